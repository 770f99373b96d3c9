//! Concurrent vectors: boxcar, append-only-vec, orx-concurrent-vec.

use append_only_vec::AppendOnlyVec;
use orx_concurrent_vec::ConcurrentVec;

use crate::contender::{Able, Append, Contender, Setup};
use crate::payload::{Payload, Seen};

/// `boxcar::Vec`.
pub struct Boxcar;

impl Contender for Boxcar {
    const NAME: &'static str = "boxcar";
    const ABOUT: &'static str = "boxcar::Vec: buckets of doubling size, a flag per entry";
    type Log<T: Payload> = boxcar::Vec<T>;

    fn make<T: Payload>(_: &Setup) -> boxcar::Vec<T> {
        boxcar::Vec::new()
    }
    fn writer<T: Payload>(log: &boxcar::Vec<T>) -> impl Append<T> {
        |record| {
            log.push(record);
        }
    }
    fn tailer<T: Payload>(log: &boxcar::Vec<T>) -> Able<impl FnMut(&mut Seen)> {
        let mut next = log.count();
        Ok(move |seen: &mut Seen| {
            while let Some(record) = log.get(next) {
                seen.see(record);
                next += 1;
            }
        })
    }
    fn scanner<T: Payload>(log: &boxcar::Vec<T>) -> Able<impl FnMut(&mut Seen)> {
        Ok(|seen: &mut Seen| log.iter().for_each(|(_, record)| seen.see(record)))
    }
    fn picker<T: Payload>(log: &boxcar::Vec<T>) -> Able<impl FnMut(u64, &mut Seen)> {
        Ok(|number, seen: &mut Seen| {
            let count = log.count().max(1) as u64;
            if let Some(record) = log.get((number % count) as usize) {
                seen.see(record);
            }
        })
    }
    fn counter<T: Payload>(log: &boxcar::Vec<T>) -> Able<impl FnMut() -> u64> {
        Ok(|| log.count() as u64)
    }
}

/// `append_only_vec::AppendOnlyVec`.
pub struct AppendOnly;

impl Contender for AppendOnly {
    const NAME: &'static str = "append-only-vec";
    const ABOUT: &'static str = "AppendOnlyVec: appends spin until those before them are done";
    type Log<T: Payload> = AppendOnlyVec<T>;

    fn make<T: Payload>(_: &Setup) -> AppendOnlyVec<T> {
        AppendOnlyVec::new()
    }
    fn writer<T: Payload>(log: &AppendOnlyVec<T>) -> impl Append<T> {
        |record| {
            log.push(record);
        }
    }
    fn tailer<T: Payload>(log: &AppendOnlyVec<T>) -> Able<impl FnMut(&mut Seen)> {
        let mut next = log.len();
        Ok(move |seen: &mut Seen| {
            let end = log.len();
            (next..end).for_each(|at| seen.see(&log[at]));
            next = end;
        })
    }
    fn scanner<T: Payload>(log: &AppendOnlyVec<T>) -> Able<impl FnMut(&mut Seen)> {
        Ok(|seen: &mut Seen| log.iter().for_each(|record| seen.see(record)))
    }
    fn picker<T: Payload>(log: &AppendOnlyVec<T>) -> Able<impl FnMut(u64, &mut Seen)> {
        Ok(|number, seen: &mut Seen| {
            let count = log.len() as u64;
            if count > 0 {
                seen.see(&log[(number % count) as usize]);
            }
        })
    }
    fn counter<T: Payload>(log: &AppendOnlyVec<T>) -> Able<impl FnMut() -> u64> {
        Ok(|| log.len() as u64)
    }
    fn prefix() -> Able<()> {
        Ok(())
    }
}

/// `orx_concurrent_vec::ConcurrentVec`.
pub struct Orx;

struct OrxWriter<'a, T>(&'a ConcurrentVec<T>);

impl<T> Append<T> for OrxWriter<'_, T> {
    #[inline(always)]
    fn append(&mut self, record: T) {
        self.0.push(record);
    }
    #[inline(always)]
    fn append_batch(&mut self, records: impl ExactSizeIterator<Item = T>) -> Able<()> {
        let count = records.len();
        self.0.extend_n_items(records, count);
        Ok(())
    }
}

impl Contender for Orx {
    const NAME: &'static str = "orx-concurrent-vec";
    const ABOUT: &'static str = "ConcurrentVec: elements can be changed, so each read locks one";
    type Log<T: Payload> = ConcurrentVec<T>;

    fn make<T: Payload>(_: &Setup) -> ConcurrentVec<T> {
        ConcurrentVec::new()
    }
    fn writer<T: Payload>(log: &ConcurrentVec<T>) -> impl Append<T> {
        OrxWriter(log)
    }
    fn tailer<T: Payload>(log: &ConcurrentVec<T>) -> Able<impl FnMut(&mut Seen)> {
        let mut next = log.len();
        Ok(move |seen: &mut Seen| {
            while let Some(element) = log.get(next) {
                element.map(|record| seen.see(record));
                next += 1;
            }
        })
    }
    fn scanner<T: Payload>(log: &ConcurrentVec<T>) -> Able<impl FnMut(&mut Seen)> {
        Ok(|seen: &mut Seen| log.iter().for_each(|element| element.map(|record| seen.see(record))))
    }
    fn picker<T: Payload>(log: &ConcurrentVec<T>) -> Able<impl FnMut(u64, &mut Seen)> {
        Ok(|number, seen: &mut Seen| {
            let count = log.len().max(1) as u64;
            if let Some(element) = log.get((number % count) as usize) {
                element.map(|record| seen.see(record));
            }
        })
    }
    fn counter<T: Payload>(log: &ConcurrentVec<T>) -> Able<impl FnMut() -> u64> {
        Ok(|| log.len() as u64)
    }
}
