//! Frames: how a snapshot lies in its file.
//!
//! ```text
//! header   magic 8, version 4, CRC-32 of these 4
//! frame    kind 1, length 4, CRC-32 4, payload          the CRC is over number 8, kind, length, payload
//! ...
//! frame    kind E: the counts, and a digest of every byte before it
//! ```
//!
//! Integers are little-endian. A frame's checksum takes in its number, so that none can be left out or exchanged;
//! the digest ties them all together. A length that is read is not trusted: memory grows with what is there.

use std::io::{self, ErrorKind, Read, Write};

use crc32fast::Hasher as Crc;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::fault::SnapshotFault as Fault;

const MAGIC: &[u8; 8] = b"scsnap\r\n";
const VERSION: u32 = 1;
const HEADER: usize = 16;
/// An item has 400 KB, and JSON spells a byte with six characters at the most.
const LONGEST: u32 = 16 << 20;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// When the snapshot was taken, and what the next store must know of this one.
    Meta,
    /// A table; its items follow.
    Table,
    /// An item, as DynamoDB JSON. Images have numbers, in their order from 0.
    Image,
    /// The image of this number is an item of the table.
    Item,
    /// A stream; its shards follow.
    Stream,
    /// A shard; its records follow.
    Shard,
    /// A record of the shard.
    Record,
    /// The last one.
    End,
}

impl Kind {
    const ALL: [(Self, u8); 8] = [
        (Self::Meta, b'M'),
        (Self::Table, b'T'),
        (Self::Image, b'I'),
        (Self::Item, b'P'),
        (Self::Stream, b'S'),
        (Self::Shard, b'H'),
        (Self::Record, b'R'),
        (Self::End, b'E'),
    ];

    fn byte(self) -> u8 {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or(0, |(_, byte)| *byte)
    }

    fn of_byte(byte: u8) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == byte).map(|(kind, _)| *kind)
    }
}

fn checksum(number: u64, kind: u8, payload: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(&number.to_le_bytes());
    crc.update(&[kind]);
    crc.update(&(payload.len() as u64).to_le_bytes());
    crc.update(payload);
    crc.finalize()
}

/// Bytes that go by, counted and digested.
struct Passed {
    bytes: u64,
    digest: SipHasher13,
}

impl Passed {
    fn new() -> Self {
        Self { bytes: 0, digest: SipHasher13::new() }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        std::hash::Hasher::write(&mut self.digest, bytes);
    }

    fn digest(&self) -> [u8; 16] {
        self.digest.finish128().as_bytes()
    }
}

/// Writes frames.
pub(super) struct FrameWriter<W> {
    to: W,
    passed: Passed,
    frames: u64,
}

impl<W: Write> FrameWriter<W> {
    pub(super) fn begin(to: W) -> io::Result<Self> {
        let mut writer = Self { to, passed: Passed::new(), frames: 0 };
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let crc = crc32fast::hash(&header[..12]);
        header[12..].copy_from_slice(&crc.to_le_bytes());
        writer.put(&header)?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.passed.take(bytes);
        self.to.write_all(bytes)
    }

    pub(super) fn frame(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).ok().filter(|length| *length <= LONGEST);
        let length = length.ok_or_else(|| io::Error::other("a frame is too long"))?;
        self.frames += 1;
        let mut head = [0; 9];
        head[0] = kind.byte();
        head[1..5].copy_from_slice(&length.to_le_bytes());
        head[5..].copy_from_slice(&checksum(self.frames, kind.byte(), payload).to_le_bytes());
        self.put(&head)?;
        self.put(payload)
    }

    /// Writes the last frame: the counts, that of the frames before it, and the digest. Returns the bytes written.
    pub(super) fn end(mut self, counts: &[u64]) -> io::Result<(W, u64)> {
        let mut payload: Vec<u8> = counts.iter().flat_map(|count| count.to_le_bytes()).collect();
        payload.extend_from_slice(&self.frames.to_le_bytes());
        payload.extend_from_slice(&self.passed.digest());
        self.frame(Kind::End, &payload)?;
        self.to.flush()?;
        Ok((self.to, self.passed.bytes))
    }
}

/// Reads frames.
pub(super) struct FrameReader<R> {
    from: R,
    passed: Passed,
    frames: u64,
    payload: Vec<u8>,
    /// The digest before the last frame that was read.
    before: [u8; 16],
}

/// Why reading stopped: the snapshot is at fault, or the system.
pub(super) enum Stopped {
    Fault(Fault),
    Io(io::Error),
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl<R: Read> FrameReader<R> {
    pub(super) fn begin(from: R) -> Result<Self, Stopped> {
        let payload = Vec::new();
        let mut reader = Self { from, passed: Passed::new(), frames: 0, payload, before: [0; 16] };
        let mut header = [0; HEADER];
        let read = reader.fill(&mut header)?;
        let same = read.min(MAGIC.len());
        if header[..same] != MAGIC[..same] {
            return Err(Fault::NotASnapshot.into());
        }
        if read < HEADER {
            return Err(Fault::Cut { at: read as u64 }.into());
        }
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| header[at + byte]));
        if word(12) != crc32fast::hash(&header[..12]) {
            return Err(Fault::Damaged { frame: 0, at: 0 }.into());
        }
        if word(8) != VERSION {
            return Err(Fault::UnknownVersion { found: word(8), known: VERSION }.into());
        }
        Ok(reader)
    }

    /// Reads until the buffer is full or the file ends; returns how much there was.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Stopped> {
        let mut read = 0;
        while read < buffer.len() {
            match self.from.read(&mut buffer[read..]) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Stopped::Io(error)),
            }
        }
        self.passed.take(&buffer[..read]);
        Ok(read)
    }

    /// Goes on to the next frame.
    pub(super) fn next(&mut self) -> Result<Kind, Stopped> {
        self.before = self.passed.digest();
        let (frame, at) = (self.frames + 1, self.passed.bytes);
        let mut head = [0; 9];
        if self.fill(&mut head)? < head.len() {
            return Err(Fault::Cut { at: self.passed.bytes }.into());
        }
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| head[at + byte]));
        let (given, allowed) = (word(1), LONGEST);
        if given > allowed {
            return Err(Fault::TooLong { frame, given, allowed }.into());
        }
        self.payload.clear();
        let limited = &mut self.from.by_ref().take(u64::from(given));
        limited.read_to_end(&mut self.payload).map_err(Stopped::Io)?;
        self.passed.take(&self.payload);
        if self.payload.len() < given as usize {
            return Err(Fault::Cut { at: self.passed.bytes }.into());
        }
        if word(5) != checksum(frame, head[0], &self.payload) {
            return Err(Fault::Damaged { frame, at }.into());
        }
        self.frames = frame;
        Kind::of_byte(head[0]).ok_or_else(|| self.malformed("its kind is unknown"))
    }

    /// What the frame holds.
    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// What is wrong with the frame that was read last.
    pub(super) fn malformed(&self, problem: impl ToString) -> Stopped {
        Stopped::Fault(Fault::Malformed { frame: self.frames, problem: problem.to_string() })
    }

    /// Checks the last frame, which was just read, and that nothing follows it.
    pub(super) fn end(mut self, counts: &[(&'static str, u64)]) -> Result<u64, Stopped> {
        let frames = ("frames", self.frames - 1);
        let numbers = counts.len() + 1;
        if self.payload.len() != numbers * 8 + 16 {
            return Err(self.malformed("it has another length"));
        }
        let (said, digest) = self.payload.split_at(numbers * 8);
        let said = said.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        for (said, (what, found)) in said.zip(counts.iter().copied().chain([frames])) {
            if said != found {
                return Err(Fault::Miscounted { what, said, found }.into());
            }
        }
        if digest != self.before {
            return Err(Fault::WrongDigest.into());
        }
        let at = self.passed.bytes;
        match self.fill(&mut [0])? {
            0 => Ok(at),
            _ => Err(Fault::Trailing { at }.into()),
        }
    }
}
