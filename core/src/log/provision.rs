//! Provisioning: memory for segments to come, made ready by a thread that has the time.
//!
//! Memory that the system has yet to give costs whoever touches it first: a microsecond or more for a page, a
//! hundred for a huge page. A log that gives up its oldest records writes to its own memory again and again;
//! one that keeps growing meets such pages in its appends. [`Log::provision`] meets them before, in a thread of the
//! user's: it obtains blocks, touches all of their pages, and lays them on a shelf, from where the next installs
//! take them.
//!
//! # State
//!
//! One more [`shelf`](super::shelf) of empty blocks, as dead as spares are, in logs that were set up with
//! [`LogOptions::provisioned`].
//!
//! # Who may do what
//!
//! Anybody provisions; who installs a segment takes a spare first, then what was provisioned. The sealer closes the
//! shelf; a provisioner that comes later finds it closed, and gives its block back.
//!
//! # Orderings
//!
//! None of its own; see [`shelf`](super::shelf).
//!
//! # Progress
//!
//! Wait-free apart from the allocator and the system's pages, which appenders are spared.
//!
//! Models: `provision`, `provision_against_seal`.

use super::Log;
use super::log::LogOptions;
use super::position::Geometry;
use super::segment::SegmentRef;
use super::shelf::Shelf;
use crate::sync::SMALL;

/// How many blocks are kept ready: 4 MiB of 64 KiB each, two huge pages; with large values more.
const PLACES: usize = if SMALL { 1 } else { 64 };

/// Blocks that nobody has written to.
pub(crate) type Provisions<T> = Shelf<T, PLACES>;

impl LogOptions {
    /// Lets [`Log::provision`] keep memory ready: up to 64 segments, half a KiB of places for them.
    #[must_use]
    pub fn provisioned(mut self) -> Self {
        self.is_provisioned = true;
        self
    }
}

impl<T, S> Log<T, S> {
    /// Makes memory ready for the next segments, so that appends need not wait for the system to give it: as many
    /// segments as find room. Returns how many; none in a log without [`LogOptions::provisioned`], and none once
    /// it is sealed.
    ///
    /// Meant for a thread beside the appenders, which calls it whenever there may be room again:
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use streamcore::log::{Log, LogOptions};
    ///
    /// let log: Arc<Log<u64>> = Arc::new(Log::with_options(LogOptions::new().provisioned()));
    /// let appenders = Arc::clone(&log);
    /// let provisioner = std::thread::spawn(move || {
    ///     while !log.is_sealed() {
    ///         if log.provision() == 0 {
    ///             std::thread::sleep(Duration::from_micros(50));
    ///         }
    ///     }
    /// });
    /// (0..100_000).for_each(|number| assert!(appenders.append(number).is_ok()));
    /// appenders.seal(());
    /// provisioner.join().expect("it does not panic");
    /// ```
    ///
    /// [`LogStats::spares`](super::LogStats::spares) counts what is ready; [`Log::shrink`] gives it back.
    ///
    /// # Progress
    ///
    /// Wait-free apart from the allocator and the system's pages. Never makes an append wait.
    pub fn provision(&self) -> usize {
        let Some(provisions) = self.provisions() else {
            return 0;
        };
        let mut made = 0;
        while provisions.len() < PLACES as u64 && made < PLACES && !self.is_sealed() {
            if let Err(unwanted) = provisions.put(self.make_ready()) {
                self.free_spare(unwanted);
                break;
            }
            made += 1;
        }
        made
    }

    /// A block of full size whose pages are all there. It is nobody's segment yet.
    fn make_ready(&self) -> SegmentRef<T> {
        let segment = Geometry::<T>::first_full();
        let slots = Geometry::<T>::slots(segment);
        let block = SegmentRef::allocate(slots);
        self.count_block(1);
        // SAFETY: the block is fresh, of so many slots, and nobody else knows it.
        unsafe {
            block.touch(slots);
            block.end_life(segment);
        }
        block
    }
}
