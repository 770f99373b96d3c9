//! Writing: what was captured, frame by frame, into a file that takes the place of the former one when it is whole.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use streamcore::model::Image;

use super::capture::Capture;
use super::content::{ShardFrame, StreamFrame, write_record};
use super::fault::SnapshotFault as Fault;
use super::frame::{FrameWriter, Kind};

/// What a snapshot holds.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Counts {
    pub(super) tables: u64,
    pub(super) items: u64,
    pub(super) streams: u64,
    pub(super) shards: u64,
    pub(super) records: u64,
    pub(super) images: u64,
}

impl Counts {
    /// In the order of the last frame.
    pub(super) fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("tables", self.tables),
            ("items", self.items),
            ("streams", self.streams),
            ("shards", self.shards),
            ("records", self.records),
            ("images", self.images),
        ]
    }
}

/// Writes a snapshot beside `path`, and puts it there when all of it has come to the disk. Returns its bytes.
pub(super) fn write_file(path: &Path, capture: Capture) -> Result<(Counts, u64), Fault> {
    let beside = beside(path);
    let fault = |doing, path: &Path| {
        let path = path.to_owned();
        move |error| Fault::Io { doing, path, error }
    };
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(fault("remove", &beside)(error));
        }
        _ => {}
    }
    let file = create(&beside).map_err(fault("create", &beside))?;
    let buffered = BufWriter::with_capacity(1 << 20, file);
    let (counts, bytes, written) = write(buffered, capture).map_err(fault("write", &beside))?;
    let file = written.into_inner().map_err(|error| fault("write", &beside)(error.into_error()))?;
    file.sync_all().map_err(fault("sync", &beside))?;
    std::fs::rename(&beside, path).map_err(fault("replace", path))?;
    sync_folder(path).map_err(fault("sync the folder of", path))?;
    Ok((counts, bytes))
}

/// Where a snapshot is written before it takes its place.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// The file holds a secret, so it is the owner's alone.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The new name of the file is on the disk when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Images that were written already, by their addresses: whatever was captured stays alive until all is
/// written, or is looked for no more.
#[derive(Default)]
struct Images {
    shared: HashMap<usize, u64>,
    count: u64,
}

pub(super) fn write<W: Write>(to: W, capture: Capture) -> io::Result<(Counts, u64, W)> {
    let mut writer = FrameWriter::begin(to)?;
    let mut counts = Counts::default();
    let mut images = Images::default();
    let mut buffer = Vec::new();
    writer.frame(Kind::Meta, &serde_json::to_vec(&capture.meta)?)?;
    for (table, parts) in capture.tables {
        writer.frame(Kind::Table, &serde_json::to_vec(&table)?)?;
        counts.tables += 1;
        for part in parts {
            for image in part.values() {
                // One owner: the table itself.
                let number = images.write(image, 1, &mut buffer, &mut writer)?;
                writer.frame(Kind::Item, &number.to_le_bytes())?;
                counts.items += 1;
            }
        }
    }
    for archive in capture.streams {
        writer.frame(Kind::Stream, &serde_json::to_vec(&StreamFrame::from(archive.state()))?)?;
        counts.streams += 1;
        for shard in archive.shards() {
            writer.frame(Kind::Shard, &serde_json::to_vec(&ShardFrame::from(shard.state()))?)?;
            counts.shards += 1;
            for (position, record) in shard.records() {
                let mut numbers = [None; 3];
                for (number, image) in
                    numbers.iter_mut().zip([&record.new, &record.old, &record.keys])
                {
                    if let Some(image) = image {
                        // Two owners: the log, and the record at hand.
                        *number = Some(images.write(image, 2, &mut buffer, &mut writer)?);
                    }
                }
                buffer.clear();
                write_record(position, &record, numbers, &mut buffer);
                writer.frame(Kind::Record, &buffer)?;
                counts.records += 1;
            }
        }
    }
    counts.images = images.count;
    let (to, bytes) = writer.end(&counts.named().map(|(_, count)| count))?;
    Ok((counts, bytes, to))
}

impl Images {
    /// Writes an image, unless it was written before; returns its number. One that has no more than
    /// `alone` owners is shared with nothing that was captured.
    fn write<W: Write>(
        &mut self,
        image: &Image,
        alone: usize,
        buffer: &mut Vec<u8>,
        writer: &mut FrameWriter<W>,
    ) -> io::Result<u64> {
        if let Some(number) = self.shared.get(&image.address()) {
            return Ok(*number);
        }
        let number = self.count;
        if image.owners() > alone {
            self.shared.insert(image.address(), number);
        }
        buffer.clear();
        image.write_json(buffer);
        writer.frame(Kind::Image, buffer)?;
        self.count += 1;
        Ok(number)
    }
}
