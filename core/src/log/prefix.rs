//! The prefix: how far the log is published without a hole, shared by all as the watermark.
//!
//! # State
//!
//! The watermark is the first position that is not known to be published; all positions before it
//! are. It only rises, always to the end of a batch, by scans: a scan reads the states of the slots
//! from the watermark up to the tail that it read at its entry, and stops at the first slot that is
//! not ready.
//!
//! # Who may do what
//!
//! Readers scan when they want to know; writers scan a little at their border work, so that trimming
//! moves and the first read is cheap although nobody reads. Each slot is scanned about once in all.
//! A scan holds a pin on the segment that it looks into: the watermark may have left it behind, and
//! then it may be trimmed.
//!
//! # Batches
//!
//! A batch is published from its last slot to its first, so a scan that finds the first one ready
//! finds them all. Only a scan that stops early by its own decision could stop inside a batch; it
//! goes on to the end of the batch instead.
//!
//! # Orderings
//!
//! A scan acquires each slot's state and releases the watermark: who acquires the watermark may read
//! every value below it without looking at states.
//!
//! # Progress
//!
//! A scan is bounded by what was reserved at its entry. It starts anew only when others have raised
//! the watermark past the segment that it looked into, so it is lock-free.
//!
//! Models: `publish`, `read_own_write`, `share`, `regress`, `stale_scan`, `overtaken_scan`, `batch`, `batch_long`.

use super::Log;
use super::position::{Geometry, Position};
use super::read::{Entered, LogHandle, SegmentPin};
use super::segment::Batch;
use crate::sync::atomic::{AtomicU64, Ordering};

/// The first position that is not known to be published.
pub(crate) struct Watermark(AtomicU64);

impl Watermark {
    /// The watermark of a log whose first position is `start`.
    pub(crate) fn new(start: Position) -> Self {
        Self(AtomicU64::new(start.get()))
    }

    #[inline(always)]
    pub(crate) fn load(&self) -> Position {
        // Acquire pairs with `raise`: the values below may be read.
        Position::new(self.0.load(Ordering::Acquire))
    }

    /// Raises the watermark; an old scanner must not drag it down, so never a plain store.
    fn raise(&self, to: Position) {
        // Release pairs with `load`: the scan has acquired every slot below `to`, itself or through
        // the watermark it began at.
        self.0.fetch_max(to.get(), Ordering::Release);
    }
}

/// How much a scan may look at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Budget {
    /// All that was reserved when it began.
    All,
    /// About so many slots: it goes on to the end of a batch.
    About(u64),
}

/// How many slots a reader at the tail looks at before it reads them.
const LOOK_AHEAD: u64 = 64;

/// How a scan ended.
enum Scan {
    /// Everything before this position is published, and it ends no batch in the middle.
    Reached(Position),
    /// Others raised the watermark further, and trimmed what was to be looked at.
    Overtaken,
}

impl<T, S> Log<T, S> {
    /// Raises the watermark over what is published, and returns how far the caller may read.
    #[inline]
    pub(crate) fn advance(&self, budget: Budget) -> Position {
        // The tail first: the watermark that is read after it covers what others scanned meanwhile.
        let reserved = self.reserved();
        let from = self.watermark().load();
        if from >= reserved { from } else { self.advance_from(from, reserved, budget) }
    }

    /// The same if there is something to scan: apart, so that to find nothing new takes two loads.
    #[inline(never)]
    fn advance_from(&self, mut from: Position, reserved: Position, budget: Budget) -> Position {
        while from < reserved {
            match self.scan(from, reserved, budget) {
                Scan::Reached(boundary) => {
                    if boundary > from {
                        self.watermark().raise(boundary);
                    }
                    return boundary;
                }
                Scan::Overtaken => from = self.watermark().load(),
            }
        }
        from
    }

    fn scan(&self, from: Position, reserved: Position, budget: Budget) -> Scan {
        let stop = match budget {
            Budget::All => reserved,
            Budget::About(slots) => reserved.min(from.plus(slots)),
        };
        let mut boundary = from;
        let mut next = from;
        while next < reserved && (next < stop || boundary < next) {
            let pin = match self.enter(Geometry::<T>::locate(next).segment) {
                Entered::Inside(pin) => pin,
                Entered::NotYet { .. } => break,
                Entered::Trimmed(_) => return Scan::Overtaken,
            };
            let border = Geometry::<T>::first(pin.segment().next()).min(reserved);
            let before = next;
            scan_segment(&pin, &mut next, &mut boundary, border, stop);
            if next < border || next == before {
                break;
            }
        }
        Scan::Reached(boundary)
    }
}

/// How far the log is published behind `from`, up to which the caller knows it to be, as far as the segment
/// tells that the caller is inside. The shared watermark stays where it is.
pub(crate) fn boundary_inside<H: LogHandle>(pin: &SegmentPin<H>, from: Position) -> Position {
    let (mut next, mut boundary) = (from, from);
    let border = Geometry::<H::Value>::first(pin.segment().next());
    scan_segment(pin, &mut next, &mut boundary, border, from.plus(LOOK_AHEAD));
    boundary
}

/// Moves `next` over the ready slots of one segment up to `border`, and `boundary` over the batches
/// that end there; stops at `stop` as soon as no batch is open.
fn scan_segment<H: LogHandle>(
    pin: &SegmentPin<H>,
    next: &mut Position,
    boundary: &mut Position,
    border: Position,
    stop: Position,
) {
    let segment = pin.segment();
    let first = Geometry::<H::Value>::first(segment);
    if *boundary == *next {
        let most = border.min(stop).since(*next) as usize;
        let alone = pin.ready_alone(next.since(first) as usize, most);
        *next = next.plus(alone as u64);
        *boundary = *next;
    }
    while *next < border && (*next < stop || *boundary < *next) {
        let state = pin.state(next.since(first) as usize);
        if !state.is_ready(segment) {
            return;
        }
        *next = next.plus(1);
        if state.batch() == Batch::Ends {
            *boundary = *next;
        }
    }
}

#[cfg(all(test, not(any(streamcore_loom, streamcore_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn an_old_scanner_does_not_drag_the_watermark_down() {
        let watermark = Watermark::new(Position::ZERO);
        watermark.raise(Position::new(7));
        watermark.raise(Position::new(3));
        assert_eq!(watermark.load(), Position::new(7));
    }
}
