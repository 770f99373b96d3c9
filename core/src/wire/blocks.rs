//! Blocks: runs of records as they stand in an answer, encoded once and then shared by all answers.
//!
//! The records of a shard are divided into blocks of a hundred, by position. An answer that holds a whole block
//! shares its text with the [`Cache`], or leaves it there; an answer that holds a part of one copies it from
//! the block, if that is there. Records do not change, and a block is known by its shard, not by names that a
//! later stream may have again. So it is right for ever; it is only forgotten, to make room for another.
//!
//! Records so large that no page holds a hundred of them are not kept, nor those that are read a few at a time, as
//! they come.
//!
//! # The cache
//!
//! An array of slots, each an atomic pointer to a block or to nothing. A block's key is the serial number of its shard, and
//! its own number there; a hash of the key says in which two slots it may be. Slots are many more than blocks, so
//! that few meet. Who puts a block in takes out what was in its slot, and then turns a hand over the slots until all
//! blocks together fit into the bytes that were allowed. The hand passes over a block that was used since it came by
//! last, once ("clock": Corbató, A Paging Experiment with the Multics System, 1968). Blocks lie in the order of a
//! hash, so that readers who go round a stream larger than the cache still find some.
//!
//! Ours, although there are crates: `quick_cache` is read under a lock for each of its shards, and `moka`, which looks up
//! without one, has its readers do the work of its policy, under a lock, in batches. Here no reader waits for another.
//!
//! # Progress
//!
//! Lock-free, as `arc-swap` is. A lookup is a load, or two. Who puts a block in looks at every slot twice at the most; as a
//! rule at less than ten.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;

use super::body::Body;
use super::record::Splicer;
use crate::log::Position;
use crate::model::RecordRef;
use crate::stream::Page;

/// The records of a block. Pages of 100, 200, 500 and 1,000 that start at a shard's beginning have whole ones.
pub(super) const RECORDS: u64 = 100;

/// There is a slot for so many bytes that are allowed: the smallest blocks take twice as many.
const BYTES_PER_SLOT: u64 = 16 << 10;

/// And so many slots at the most: 8 MiB. They are not counted with the blocks.
const MOST_SLOTS: u64 = 1 << 20;

/// So many blocks at least must find room, or none is kept.
const LEAST_BLOCKS: u64 = 4;

/// Which block it is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    shard: NonZeroU32,
    block: u64,
}

impl Key {
    /// The block that a record of this page belongs to; none for a shard without a number.
    fn of(page: &Page, position: Position) -> Option<Self> {
        Some(Self { shard: page.shard_serial().get()?, block: position.get() / RECORDS })
    }

    /// Two numbers that differ from those of other keys in all of their bits (the finish of MurmurHash3: Appleby).
    fn hashes(self) -> [u64; 2] {
        let mixed = |seed: u64| {
            let word =
                (self.block ^ u64::from(self.shard.get()).rotate_left(40)).wrapping_add(seed);
            let word = (word ^ word >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
            let word = (word ^ word >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
            word ^ word >> 33
        };
        [mixed(0), mixed(0x9e37_79b9_7f4a_7c15)]
    }
}

/// The text of [`RECORDS`] consecutive records, with commas between them.
pub(super) struct Block {
    key: Key,
    text: Box<[u8]>,
    /// Where each record starts.
    starts: Box<[usize]>,
    crc32: crc32fast::Hasher,
    /// Whether it was read since the hand came by.
    is_used: AtomicBool,
}

impl Block {
    /// The block of these records.
    fn encode<'p>(
        key: Key,
        records: impl Iterator<Item = RecordRef<'p>> + Clone,
        splicer: &mut Splicer<'p>,
    ) -> Self {
        let (mut text, mut starts) = (Vec::new(), Vec::with_capacity(RECORDS as usize));
        splicer.write_all(records, &mut text, |start| starts.push(start));
        let mut crc32 = crc32fast::Hasher::new();
        crc32.update(&text);
        let (text, starts) = (text.into(), starts.into());
        Self { key, text, starts, crc32, is_used: AtomicBool::new(false) }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn crc32(&self) -> &crc32fast::Hasher {
        &self.crc32
    }

    /// What it takes on the heap.
    fn bytes(&self) -> u64 {
        (size_of::<Self>() + self.text.len() + size_of_val(&*self.starts)) as u64
    }

    /// Where the text of these records lies, counted from the block's first.
    fn range(&self, records: Range<usize>) -> Range<usize> {
        // Without the comma in front of the record behind.
        let end = self.starts.get(records.end).map_or(self.text.len(), |next| next - 1);
        self.starts[records.start]..end
    }
}

/// What the hand leaves where it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spare {
    /// What was used since it came by last.
    Used,
    /// Nothing: others use blocks as fast as it comes by.
    None,
}

/// Blocks that were encoded before. See the [module](self).
pub(super) struct Cache {
    slots: Box<[ArcSwapOption<Block>]>,
    allowed: u64,
    /// What all blocks in the slots take, and for a moment also those on their way in or out.
    held: AtomicU64,
    hand: AtomicUsize,
}

impl Cache {
    /// A cache of so many bytes; none if that is too little for it to be of use.
    pub(super) fn new(allowed: u64) -> Option<Self> {
        let slots = (allowed / BYTES_PER_SLOT).min(MOST_SLOTS).next_power_of_two();
        (allowed >= BYTES_PER_SLOT).then(|| Self {
            slots: (0..slots).map(|_| ArcSwapOption::empty()).collect(),
            allowed,
            held: AtomicU64::new(0),
            hand: AtomicUsize::new(0),
        })
    }

    /// What the blocks take.
    pub(super) fn held_bytes(&self) -> u64 {
        // Relaxed: a figure.
        self.held.load(Ordering::Relaxed)
    }

    /// The two slots that a block may be in.
    #[inline]
    fn places(&self, key: Key) -> [&ArcSwapOption<Block>; 2] {
        // Their number is a power of two.
        key.hashes().map(|hash| &self.slots[hash as usize & (self.slots.len() - 1)])
    }

    fn get(&self, key: Key) -> Option<Arc<Block>> {
        self.places(key).into_iter().find_map(|slot| {
            let block = slot.load();
            let block = block.as_ref().filter(|block| block.key == key)?;
            // Relaxed, here and below: a hint to the hand, it orders nothing. Written only if it changes: the line
            // is every reader's.
            if !block.is_used.load(Ordering::Relaxed) {
                block.is_used.store(true, Ordering::Relaxed);
            }
            Some(Arc::clone(block))
        })
    }

    /// Keeps a block, unless it would take a good part of what is allowed.
    fn put(&self, block: &Arc<Block>) {
        if block.bytes() > self.allowed / LEAST_BLOCKS {
            return;
        }
        // Relaxed, here and below: a block is added before it can be found, and so before it can be taken out: the
        // swaps of its slot order the two, and the sum is never less than what is in the slots.
        self.held.fetch_add(block.bytes(), Ordering::Relaxed);
        let [first, second] = self.places(block.key);
        let is_free = first.load().as_ref().is_none_or(|other| other.key == block.key);
        let slot = if is_free { first } else { second };
        self.forget(slot.swap(Some(Arc::clone(block))));
        for round in [Spare::Used, Spare::None] {
            for _ in 0..self.slots.len() {
                if self.held.load(Ordering::Relaxed) <= self.allowed {
                    return;
                }
                self.turn(round);
            }
        }
    }

    /// Moves the hand on by a slot, and takes out what it finds there.
    fn turn(&self, spare: Spare) {
        let at = self.hand.fetch_add(1, Ordering::Relaxed) & (self.slots.len() - 1);
        let slot = &self.slots[at];
        match &*slot.load() {
            Some(block) if spare == Spare::Used && block.is_used.load(Ordering::Relaxed) => {
                block.is_used.store(false, Ordering::Relaxed);
                return;
            }
            Some(_) => {}
            None => return,
        }
        // Perhaps another block by now: then that one goes.
        self.forget(slot.swap(None));
    }

    fn forget(&self, block: Option<Arc<Block>>) {
        if let Some(block) = block {
            self.held.fetch_sub(block.bytes(), Ordering::Relaxed);
        }
    }

    /// Appends a page's records with commas between them: to `open`, which holds the text in front of them, and with
    /// it, as soon as there is a block to share, to the body.
    pub(super) fn write(&self, page: &Page, open: &mut Vec<u8>, body: &mut Body) {
        let mut splicer = Splicer::new();
        let records = page.iter();
        let (mut at, end) = (page.first_position(), page.next_position());
        while at < end {
            let first = at.minus(at.get() % RECORDS);
            let next = first.plus(RECORDS).min(end);
            let part = at.since(first) as usize..next.since(first) as usize;
            if at > page.first_position() {
                open.push(b',');
            }
            let is_whole = part.len() as u64 == RECORDS;
            let key = Key::of(page, first);
            let here = || {
                let behind = at.since(page.first_position()) as usize;
                records.clone().skip(behind).take(part.len())
            };
            match (key.and_then(|key| self.get(key)), key) {
                (Some(block), _) if is_whole => share(body, open, block),
                // Copied: to share a few records would be to hold on to a hundred.
                (Some(block), _) => open.extend_from_slice(&block.text[block.range(part)]),
                (None, Some(key)) if is_whole => {
                    let block = Arc::new(Block::encode(key, here(), &mut splicer));
                    self.put(&block);
                    share(body, open, block);
                }
                (None, _) => splicer.write_all(here(), open, |_| {}),
            }
            at = next;
        }
    }
}

/// Appends a block, and what is open in front of it.
fn share(body: &mut Body, open: &mut Vec<u8>, block: Arc<Block>) {
    if !open.is_empty() {
        body.push(std::mem::take(open));
    }
    body.share(block);
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("allowed", &self.allowed)
            .field("held", &self.held_bytes())
            .finish_non_exhaustive()
    }
}
