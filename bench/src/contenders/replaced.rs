//! The design that streamcore replaces, in Rust: one lock over a map from a stream's name to a vector of
//! shared records, of which readers take copies.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::contender::{Able, Append, Contender, Setup};
use crate::payload::{Payload, Seen};

/// A lock over a map of vectors.
pub struct Replaced;

type Streams<T> = RwLock<HashMap<String, Vec<Arc<T>>>>;

/// As long as a stream's ARN is.
const NAME: &str =
    "arn:aws:dynamodb:us-east-1:000000000000:table/Orders/stream/2015-05-20T20:51:10.252";

struct Writer<'a, T>(&'a Streams<T>);

impl<T: Payload> Append<T> for Writer<'_, T> {
    #[inline(always)]
    fn append(&mut self, record: T) {
        let record = Arc::new(record);
        let mut streams = self.0.write().unwrap_or_else(PoisonError::into_inner);
        streams.get_mut(NAME).expect("it is registered").push(record);
    }

    #[inline(always)]
    fn append_batch(&mut self, records: impl ExactSizeIterator<Item = T>) -> Able<()> {
        let mut streams = self.0.write().unwrap_or_else(PoisonError::into_inner);
        streams.get_mut(NAME).expect("it is registered").extend(records.map(Arc::new));
        Ok(())
    }
}

fn reading<T>(log: &Streams<T>) -> RwLockReadGuard<'_, HashMap<String, Vec<Arc<T>>>> {
    log.read().unwrap_or_else(PoisonError::into_inner)
}

/// What a reader of that design gets: shared records, in a vector of its own.
fn copied<T>(log: &Streams<T>, from: usize) -> Vec<Arc<T>> {
    reading(log)[NAME][from..].to_vec()
}

impl Contender for Replaced {
    const NAME: &'static str = "replaced design";
    const ABOUT: &'static str = "an RwLock over a map of vectors of Arcs; readers copy";
    type Log<T: Payload> = Streams<T>;

    fn make<T: Payload>(_: &Setup) -> Streams<T> {
        RwLock::new(HashMap::from([(NAME.to_owned(), Vec::new())]))
    }
    fn writer<T: Payload>(log: &Streams<T>) -> impl Append<T> {
        Writer(log)
    }
    fn tailer<T: Payload>(log: &Streams<T>) -> Able<impl FnMut(&mut Seen)> {
        let mut next = reading(log)[NAME].len();
        Ok(move |seen: &mut Seen| {
            let new = copied(log, next);
            new.iter().for_each(|record| seen.see(&**record));
            next += new.len();
        })
    }
    fn scanner<T: Payload>(log: &Streams<T>) -> Able<impl FnMut(&mut Seen)> {
        Ok(|seen: &mut Seen| {
            // By pages, as that design is read.
            let mut next = 0;
            loop {
                let streams = reading(log);
                let records = &streams[NAME];
                let page = records[next..records.len().min(next + 1000)].to_vec();
                drop(streams);
                page.iter().for_each(|record| seen.see(&**record));
                next += page.len();
                if page.len() < 1000 {
                    break;
                }
            }
        })
    }
    fn picker<T: Payload>(log: &Streams<T>) -> Able<impl FnMut(u64, &mut Seen)> {
        Ok(|number, seen: &mut Seen| {
            let streams = reading(log);
            let records = &streams[NAME];
            if !records.is_empty() {
                let record = Arc::clone(&records[(number % records.len() as u64) as usize]);
                drop(streams);
                seen.see(&*record);
            }
        })
    }
    fn counter<T: Payload>(log: &Streams<T>) -> Able<impl FnMut() -> u64> {
        Ok(|| reading(log)[NAME].len() as u64)
    }
    fn prefix() -> Able<()> {
        Ok(())
    }
    fn whole_batches() -> Able<()> {
        Ok(())
    }
}
