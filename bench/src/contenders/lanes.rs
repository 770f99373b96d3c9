//! A prototype: each writer has a lane of its own, and readers merge the lanes by the time of each record.
//!
//! No line is written by two writers, so appends scale with the cores. What a record's place is, a clock says that
//! all cores share: the time stamp counter. It has to be read anyway, and reading it moves no line.
//!
//! ```text
//! writer    write the record -> announce "about to publish" -> read the clock -> publish with that stamp
//! reader    read the clock -> per lane: is it about to publish? how long is it?
//! ```
//!
//! # Why the order holds
//!
//! A reader may show what is stamped before its own look at the clock, and, where a lane is about to publish, not
//! later than that lane's announcement. A lane that it found idle announces after that look, and takes its stamp
//! after that: behind the reader's. So nothing comes later that belongs before what was shown. If append A returned
//! before B was called, A's stamp is smaller. Both rest on a clock that never shows less on one core than it has shown
//! on another before. Processors promise that (an invariant counter, the same on all cores); no memory model knows it,
//! so no model checker can prove it.
//!
//! # What it does not do
//!
//! A record has no dense position: its number is known only to who has merged all before it. To look for what is new
//! is to look at every lane. There is no trimming, which would have to agree on a stamp with all readers, and no
//! seal, which would have to stop each lane in turn. A writer that is suspended between its announcement and its
//! publishing hides what came after it, as in every log with an order.

use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

use self::clock::{now, now_behind, roughly_now};
use self::lane::Lane;
use crate::contender::{Able, Append, Contender, Lack, Setup};
use crate::payload::{Payload, Seen};

mod clock;
mod lane;
#[cfg(test)]
mod tests;

/// Lanes that readers merge.
pub struct Lanes;

/// As many writers may be at work at a time.
const LANES: usize = 128;

/// A log of lanes.
pub struct LaneLog<T> {
    lanes: Box<[Lane<T>]>,
    /// Lanes that ever had an owner.
    used: CachePadded<AtomicUsize>,
}

struct Writer<'a, T> {
    lane: &'a Lane<T>,
    len: u64,
    last: u64,
}

impl<T> LaneLog<T> {
    fn writer(&self) -> Writer<'_, T> {
        let free = self.lanes.iter().position(Lane::take);
        let number = free.unwrap_or_else(|| panic!("more than {LANES} writers at a time"));
        // AcqRel, and before the first stamp: a reader that does not see this lane has looked at the clock before.
        self.used.fetch_max(number + 1, Ordering::AcqRel);
        let lane = &self.lanes[number];
        let len = lane.len();
        // SAFETY: these are published.
        let last = len.checked_sub(1).map_or(0, |last| unsafe { lane.stamp_of(last) });
        Writer { lane, len, last }
    }

    /// Up to where each lane can be shown, so that nothing will come before what is shown.
    fn cut(&self, ends: &mut Vec<u64>) {
        let before = now();
        let mut limit = before.saturating_sub(1);
        // Acquire pairs with `writer`: a lane that is missing here is stamped behind `before`.
        let lanes = &self.lanes[..self.used.load(Ordering::Acquire)];
        ends.clear();
        for lane in lanes {
            // First whether it is about to publish, then what is published.
            limit = lane.ahead().map_or(limit, |ahead| limit.min(ahead));
            ends.push(lane.len());
        }
        for (lane, end) in lanes.iter().zip(ends) {
            // SAFETY: so many are published.
            *end = unsafe { lane.until(limit, *end) };
        }
    }

    /// Visits the records of all lanes from `next` up to `ends`, in the order of their stamps.
    fn merge(&self, next: &mut Vec<u64>, ends: &[u64], mut visit: impl FnMut(&T)) {
        next.resize(ends.len(), 0);
        loop {
            // The lane of the least stamp goes on until it passes the least of the others.
            let mut first = None;
            let mut second = (u64::MAX, usize::MAX);
            for (number, lane) in self.lanes[..ends.len()].iter().enumerate() {
                if next[number] >= ends[number] {
                    continue;
                }
                // SAFETY: `ends` come from `cut`: these are published.
                let head = (unsafe { lane.stamp_of(next[number]) }, number);
                match first {
                    Some(least) if least < head => second = second.min(head),
                    Some(least) => (first, second) = (Some(head), least),
                    None => first = Some(head),
                }
            }
            let Some((_, number)) = first else { return };
            let (lane, at) = (&self.lanes[number], &mut next[number]);
            // SAFETY: as above.
            while *at < ends[number] && (unsafe { lane.stamp_of(*at) }, number) < second {
                // SAFETY: as above.
                visit(unsafe { lane.value(*at) });
                *at += 1;
            }
        }
    }
}

impl<T> Writer<'_, T> {
    /// Publishes the slots from `len` up to `end`, which were written.
    #[inline(always)]
    fn publish(&mut self, end: u64) {
        let bound = roughly_now();
        self.lane.announce(bound);
        self.last = now_behind().max(bound + 1).max(self.last + 1);
        // SAFETY: the lane is this writer's own; these slots were written and not published.
        unsafe { self.lane.stamp(self.len..end, self.last) };
        self.lane.publish(end);
        self.len = end;
    }
}

impl<T> Append<T> for Writer<'_, T> {
    #[inline(always)]
    fn append(&mut self, record: T) {
        // SAFETY: the lane is this writer's own, and slots from `len` on are not published.
        unsafe { self.lane.write(self.len, record) };
        self.publish(self.len + 1);
    }

    #[inline(always)]
    fn append_batch(&mut self, records: impl ExactSizeIterator<Item = T>) -> Able<()> {
        let mut end = self.len;
        for record in records {
            // SAFETY: as above. If the iterator panics, what it gave is forgotten, and nobody waits.
            unsafe { self.lane.write(end, record) };
            end += 1;
        }
        if end > self.len {
            self.publish(end);
        }
        Ok(())
    }
}

impl<T> Drop for Writer<'_, T> {
    fn drop(&mut self) {
        self.lane.give_back();
    }
}

impl Contender for Lanes {
    const NAME: &'static str = "lanes";
    const ABOUT: &'static str =
        "prototype: a lane per writer, merged by readers in the order of a clock";
    type Log<T: Payload> = LaneLog<T>;

    fn make<T: Payload>(_: &Setup) -> LaneLog<T> {
        let lanes = (0..LANES).map(|_| Lane::new()).collect();
        LaneLog { lanes, used: CachePadded::new(AtomicUsize::new(0)) }
    }
    fn writer<T: Payload>(log: &LaneLog<T>) -> impl Append<T> {
        log.writer()
    }
    fn tailer<T: Payload>(log: &LaneLog<T>) -> Able<impl FnMut(&mut Seen)> {
        let (mut next, mut ends) = (Vec::new(), Vec::new());
        log.cut(&mut next);
        Ok(move |seen: &mut Seen| {
            log.cut(&mut ends);
            // An announcement may be a little older than the look before.
            ends.iter_mut().zip(&next).for_each(|(end, next)| *end = (*end).max(*next));
            log.merge(&mut next, &ends, |record| seen.see(record));
        })
    }
    fn scanner<T: Payload>(log: &LaneLog<T>) -> Able<impl FnMut(&mut Seen)> {
        let mut ends = Vec::new();
        Ok(move |seen: &mut Seen| {
            log.cut(&mut ends);
            log.merge(&mut Vec::new(), &ends, |record| seen.see(record));
        })
    }
    fn picker<T: Payload>(_: &LaneLog<T>) -> Able<impl FnMut(u64, &mut Seen)> {
        Err::<fn(u64, &mut Seen), _>(Lack::of(
            "no dense positions: numbers are known to who merges",
        ))
    }
    fn counter<T: Payload>(log: &LaneLog<T>) -> Able<impl FnMut() -> u64> {
        let mut ends = Vec::new();
        Ok(move || {
            log.cut(&mut ends);
            ends.iter().sum()
        })
    }
    fn prefix() -> Able<()> {
        Ok(())
    }
    fn whole_batches() -> Able<()> {
        Ok(())
    }
}
