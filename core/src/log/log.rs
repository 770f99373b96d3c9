//! The log itself: its parts, what each of them shares a cache line with, and its figures.
//!
//! ```text
//! writers   tail                              every append
//! readers   watermark, horizon                every read; written once in 64 appends
//! seldom    seal, wait list, shelves, rows    read by everyone, hardly ever written
//! ```

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU64;

use super::directory::Directory;
use super::position::{Geometry, Position};
use super::prefix::Watermark;
use super::provision::Provisions;
use super::reclaim::Horizon;
use super::seal::Seal;
use super::segment::SegmentRef;
use super::shelf::Shelf;
use super::tail::Tail;
use super::waiters::WaitList;
use crate::sync::CachePadded;
use crate::sync::atomic::{AtomicU64, Ordering};

/// A lock-free, append-only log of `T`.
///
/// Any number of threads append, read, trim, wait and seal through a shared reference. Appends get
/// dense positions from 0; readers see a prefix without holes; memory is given back by trimming. `S`
/// is what a sealed log points to.
///
/// See the [module documentation](super) for an example and [`implementation`](super::implementation)
/// for how it works and why it is right.
pub struct Log<T, S = ()> {
    tail: CachePadded<Tail>,
    shared: CachePadded<Shared>,
    sealing: Seal<S>,
    wait_list: WaitList,
    spares: Shelf<T, 2>,
    dying: Shelf<T, 4>,
    provisions: Option<Box<Provisions<T>>>,
    retained: Option<NonZeroU64>,
    blocks: AtomicU64,
    panics: AtomicU64,
    directory: Directory<T>,
    /// The log owns values and hands them to other threads, in both directions.
    owns: PhantomData<*mut (T, S)>,
}

/// The words that readers look at and border work writes.
struct Shared {
    watermark: Watermark,
    horizon: Horizon,
}

// SAFETY: values come in from one thread, are read by others through `&T`, and dropped by yet another:
// all that needs `T: Send + Sync`. The same holds for the successor.
unsafe impl<T: Send + Sync, S: Send + Sync> Send for Log<T, S> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync, S: Send + Sync> Sync for Log<T, S> {}

/// How a log is set up.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogOptions {
    retained: Option<NonZeroU64>,
    pub(crate) is_provisioned: bool,
    start: Position,
}

impl LogOptions {
    /// The defaults: everything is retained until it is trimmed by hand.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps at least the last `count` records, and trims what is older by whole segments while
    /// appending.
    #[must_use]
    pub fn retain_last(mut self, count: NonZeroU64) -> Self {
        self.retained = Some(count);
        self
    }

    /// Lets the log begin at `start`, as one that was appended to and trimmed so far: the next append gets this
    /// position, and those before it say that they are trimmed. For records that come back to their places.
    ///
    /// `None` for a start that no log reaches: from 2^60 on. A log of large values reaches less, 2^50 positions at
    /// the least (2^28 with 32 bits), and ends the process behind them; [`Log::can_reach`] tells.
    #[must_use]
    pub fn starting_at(mut self, start: Position) -> Option<Self> {
        // Above are the flags of the tail.
        (start < Position::new(1 << 60)).then(|| {
            self.start = start;
            self
        })
    }
}

/// Figures of a log at about one moment; each is right by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct LogStats {
    /// Positions reserved by appends.
    pub appended: u64,
    /// Positions below the watermark, trimmed ones included.
    pub published: u64,
    /// Reserved, but not known to be published: in flight, behind a writer that is suspended, or published
    /// since anybody last looked at the whole prefix (appends do so now and then, cursors at the tail do not).
    pub prefix_lag: u64,
    /// Positions below the horizon.
    pub trimmed: u64,
    /// Blocks of memory: segments in use, spares, and those whose values are being dropped.
    pub blocks: u64,
    /// Of those, empty ones kept for the next segments.
    pub spares: u64,
    /// Of those, trimmed ones whose values are dropped by the next appends.
    pub dying: u64,
    /// Guards and cursors inside retained segments.
    pub pins: u64,
    /// Whether somebody waits, or has waited since the last append.
    pub has_waiters: bool,
    /// Panics of values' `Drop` and of wakers that were contained.
    pub contained_panics: u64,
}

impl<T, S> Log<T, S> {
    /// An empty log. Takes less than 1 KiB; segments are made when they are needed.
    pub fn new() -> Self {
        Self::with_options(LogOptions::new())
    }

    /// An empty log, set up by `options`.
    pub fn with_options(options: LogOptions) -> Self {
        Self {
            tail: CachePadded::new(Tail::new(options.start)),
            shared: CachePadded::new(Shared {
                watermark: Watermark::new(options.start),
                horizon: Horizon::new(options.start),
            }),
            sealing: Seal::new(),
            wait_list: WaitList::new(),
            spares: Shelf::new(),
            dying: Shelf::new(),
            provisions: options.is_provisioned.then(Box::default),
            retained: options.retained,
            blocks: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            directory: Directory::new(),
            owns: PhantomData,
        }
    }

    /// Whether a log of such values can be appended to up to `end`, as far as the memory for its directory goes,
    /// which grows with its positions (twelve bytes a segment, up to four times as many). For positions that come
    /// from elsewhere: no size is trusted before it has been asked for.
    ///
    /// # Progress
    ///
    /// As the allocator, which is asked for the memory, and given it back.
    #[must_use]
    pub fn can_reach(end: Position) -> bool {
        // The segment behind the end is made ready when the log is sealed there.
        Directory::<T>::can_hold(Geometry::<T>::locate(end).segment)
    }

    /// The position that the next append gets, or, once sealed, the log's end: where a reader begins
    /// who wants only what is appended from now on. Trimmed records count.
    ///
    /// This is not where a snapshot ends: it includes appends in flight, so nothing whose append
    /// returned before this call comes behind it.
    ///
    /// # Progress
    ///
    /// Wait-free.
    #[inline]
    pub fn end(&self) -> Position {
        self.reserved()
    }

    /// The first position that is still retained. Wait-free.
    #[inline]
    pub fn earliest(&self) -> Position {
        self.horizon().load()
    }

    /// The log's figures. Cheap: a few loads, and one per segment that is retained.
    pub fn stats(&self) -> LogStats {
        let trimmed = self.horizon().load();
        let published = self.watermark().load();
        let appended = self.reserved();
        let mut pins = 0;
        let mut segment = Geometry::<T>::locate(trimmed).segment;
        while Geometry::<T>::first(segment) < published {
            pins += self.directory.pin_word(segment).map_or(0, |word| u64::from(word.readers()));
            segment = segment.next();
        }
        LogStats {
            appended: appended.get(),
            published: published.get(),
            prefix_lag: appended.since(published),
            trimmed: trimmed.get(),
            // Relaxed: numbers to look at.
            blocks: self.blocks.load(Ordering::Relaxed),
            spares: self.spares.len() + self.provisions().map_or(0, Shelf::len),
            dying: self.dying.len(),
            pins,
            has_waiters: !self.wait_list.is_empty(),
            contained_panics: self.panics.load(Ordering::Relaxed),
        }
    }

    /// Gives back what the log keeps for later: drops the values of dead segments and frees the spare
    /// ones. For a log that has fallen idle; one that goes on allocates anew, and so does a thread that
    /// provisions.
    ///
    /// # Progress
    ///
    /// Lock-free; bounded by what is given back.
    pub fn shrink(&self) {
        self.reap_all();
        self.free_spares();
    }

    #[inline(always)]
    pub(crate) fn tail(&self) -> &Tail {
        &self.tail
    }

    #[inline(always)]
    pub(crate) fn watermark(&self) -> &Watermark {
        &self.shared.watermark
    }

    #[inline(always)]
    pub(crate) fn horizon(&self) -> &Horizon {
        &self.shared.horizon
    }

    #[inline(always)]
    pub(crate) fn directory(&self) -> &Directory<T> {
        &self.directory
    }

    pub(crate) fn sealing(&self) -> &Seal<S> {
        &self.sealing
    }

    pub(crate) fn sealing_mut(&mut self) -> &mut Seal<S> {
        &mut self.sealing
    }

    pub(crate) fn wait_list(&self) -> &WaitList {
        &self.wait_list
    }

    pub(crate) fn spares(&self) -> &Shelf<T, 2> {
        &self.spares
    }

    pub(crate) fn provisions(&self) -> Option<&Provisions<T>> {
        self.provisions.as_deref()
    }

    pub(crate) fn dying(&self) -> &Shelf<T, 4> {
        &self.dying
    }

    pub(crate) fn retained_count(&self) -> Option<u64> {
        self.retained.map(NonZeroU64::get)
    }

    /// Counts blocks of memory, for statistics.
    pub(crate) fn count_block(&self, change: i64) {
        // Relaxed: a number to look at.
        self.blocks.fetch_add(change as u64, Ordering::Relaxed);
    }

    /// Counts panics of user code that were contained, for statistics.
    pub(crate) fn count_panics(&self, panics: u64) {
        if panics > 0 {
            // Relaxed: a number to look at.
            self.panics.fetch_add(panics, Ordering::Relaxed);
        }
    }
}

impl<T, S> Default for Log<T, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, S> fmt::Debug for Log<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Log").field(&self.stats()).finish()
    }
}

impl<T, S> Drop for Log<T, S> {
    fn drop(&mut self) {
        while let Some(block) = self.dying.take() {
            // SAFETY: whoever takes a block from the shelf owns it; it was put there dead.
            unsafe {
                block.drop_some(usize::MAX);
                block.free(Geometry::<T>::slots(block.former_number()));
            }
        }
        while let Some(block) = self.spares.take().or_else(|| self.provisions()?.take()) {
            // SAFETY: spares are empty, of full size, and belong to whoever takes them.
            unsafe { block.free(1 << Geometry::<T>::FULL_BITS) };
        }
        self.directory.drain(|segment, block: SegmentRef<T>| {
            // SAFETY: `&mut self` means that no guard is left that uses the block.
            unsafe {
                block.end_life(segment);
                block.drop_some(usize::MAX);
                block.free(Geometry::<T>::slots(segment));
            }
        });
    }
}
