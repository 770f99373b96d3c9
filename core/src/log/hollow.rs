//! Hollowing: dropping the values before the horizon in the segment that the horizon stands in.
//!
//! A segment's memory comes back when all of its records are given up, and that may be a long time off:
//! a thousand records of 400 KB are one segment. So [`Log::trim`] drops what it has given up
//! of the first segment right away, whenever nobody reads in it.
//!
//! # State
//!
//! How far the segment's values have been dropped stands in the block (`Progress`). It belongs to who is
//! alone in the segment, and in the end to the claimer, who drops the others.
//!
//! # Who may do what
//!
//! Any trimmer tries to come in alone: an exchange of the pin word from exactly 0 to 1. It succeeds only if
//! no reader is inside, and then keeps other trimmers out until it has left. Readers are not kept out. They
//! come in as always, and then look at the horizon:
//!
//! ```text
//! trimmer                                reader
//!   raises the horizon to h                pins                        (Acquire)
//!   0 -> 1, alone           (AcqRel)       looks: is my position before the horizon? then Trimmed
//!   drops the values before h              reads
//!   leaves                  (Release)      leaves                      (Release)
//! ```
//!
//! A reader whose pin comes before the exchange makes it fail. One whose pin comes after it acquires it, so
//! it sees a horizon of at least h, and stays clear of what is dropped. What a reader has found to be
//! retained once it is inside stays until it leaves, wherever the horizon goes.
//!
//! # Progress
//!
//! Wait-free but for the values' `Drop`. Nobody waits: who is not alone leaves the values to a later trim, or
//! to the claimer of the whole segment.
//!
//! Models: `hollow`, `hollow_twice`, `hollow_retain`, `hollow_cursor`.

use super::Log;
use super::directory::Found;
use super::pins::Alone;
use super::position::{Geometry, Position};

impl<T, S> Log<T, S> {
    /// Drops the values before `horizon`, which the caller has raised or found, in its segment.
    pub(crate) fn hollow_out(&self, horizon: Position) {
        let place = Geometry::<T>::locate(horizon);
        if place.slot == 0 || !std::mem::needs_drop::<T>() {
            return;
        }
        let Some(word) = self.directory().pin_word(place.segment) else {
            return;
        };
        if word.pin_alone() == Alone::Taken {
            return;
        }
        if let Found::Block(block) = self.directory().find(place.segment) {
            // SAFETY: this is the segment's block, and the caller is in it alone. Who comes in later sees
            // the horizon, which never passes the watermark.
            self.count_panics(unsafe { block.drop_before(place.segment, place.slot) });
        }
        self.leave(place.segment);
    }
}
