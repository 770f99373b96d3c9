//! streamcore's log, with and without retention.

use std::time::Duration;

use streamcore::log::{Cursor, Log, LogOptions, Next};

use crate::contender::{Able, Append, Contender, Lack, Setup};
use crate::payload::{Payload, Seen};

/// With retention: what is given up makes room for what comes.
pub struct Streamcore;

/// Without: everything is kept.
pub struct StreamcoreKept;

impl Contender for Streamcore {
    const NAME: &'static str = "streamcore";
    const ABOUT: &'static str = "this library's log; retention recycles its segments";
    type Log<T: Payload> = Log<T>;

    fn make<T: Payload>(setup: &Setup) -> Log<T> {
        Log::with_options(LogOptions::new().retain_last(setup.retain))
    }
    fn writer<T: Payload>(log: &Log<T>) -> impl Append<T> {
        Writer(log)
    }
    fn tailer<T: Payload>(log: &Log<T>) -> Able<impl FnMut(&mut Seen)> {
        Ok(tailer(log))
    }
    fn waiter<T: Payload>(log: &Log<T>) -> Able<impl FnMut(&mut Seen)> {
        Ok(waiter(log))
    }
    fn scanner<T: Payload>(log: &Log<T>) -> Able<impl FnMut(&mut Seen)> {
        Ok(scanner(log))
    }
    fn picker<T: Payload>(log: &Log<T>) -> Able<impl FnMut(u64, &mut Seen)> {
        Ok(picker(log))
    }
    fn counter<T: Payload>(log: &Log<T>) -> Able<impl FnMut() -> u64> {
        Ok(|| log.snapshot().len())
    }
    fn prefix() -> Able<()> {
        Ok(())
    }
    fn whole_batches() -> Able<()> {
        Ok(())
    }
    fn retention() -> Able<()> {
        Ok(())
    }
    fn trim<T: Payload>(log: &Log<T>, count: u64) -> Able<()> {
        log.trim(log.earliest().plus(count));
        Ok(())
    }
    fn seal<T: Payload>(log: &Log<T>) -> Able<()> {
        log.seal(());
        Ok(())
    }
}

impl Contender for StreamcoreKept {
    const NAME: &'static str = "streamcore, all kept";
    const ABOUT: &'static str = "this library's log without retention";
    type Log<T: Payload> = Log<T>;

    fn make<T: Payload>(_: &Setup) -> Log<T> {
        Log::new()
    }
    fn writer<T: Payload>(log: &Log<T>) -> impl Append<T> {
        Writer(log)
    }
    fn tailer<T: Payload>(log: &Log<T>) -> Able<impl FnMut(&mut Seen)> {
        Ok(tailer(log))
    }
    fn waiter<T: Payload>(log: &Log<T>) -> Able<impl FnMut(&mut Seen)> {
        Ok(waiter(log))
    }
    fn scanner<T: Payload>(log: &Log<T>) -> Able<impl FnMut(&mut Seen)> {
        Ok(scanner(log))
    }
    fn picker<T: Payload>(log: &Log<T>) -> Able<impl FnMut(u64, &mut Seen)> {
        Ok(picker(log))
    }
    fn counter<T: Payload>(log: &Log<T>) -> Able<impl FnMut() -> u64> {
        Ok(|| log.snapshot().len())
    }
    fn prefix() -> Able<()> {
        Ok(())
    }
    fn whole_batches() -> Able<()> {
        Ok(())
    }
    fn retention() -> Able<()> {
        Err(Lack::of("set up to keep every record"))
    }
    fn trim<T: Payload>(log: &Log<T>, count: u64) -> Able<()> {
        log.trim(log.earliest().plus(count));
        Ok(())
    }
    fn seal<T: Payload>(log: &Log<T>) -> Able<()> {
        log.seal(());
        Ok(())
    }
}

pub(super) struct Writer<'a, T>(pub(super) &'a Log<T>);

impl<T> Append<T> for Writer<'_, T> {
    #[inline(always)]
    fn append(&mut self, record: T) {
        self.0.append(record).expect("nobody seals a log that is measured");
    }

    #[inline(always)]
    fn append_batch(&mut self, records: impl ExactSizeIterator<Item = T>) -> Able<()> {
        self.0.append_all(records).expect("short batches, and nobody seals");
        Ok(())
    }
}

pub(super) fn tailer<T: Payload>(log: &Log<T>) -> impl FnMut(&mut Seen) {
    let mut cursor = log.cursor(log.end());
    move |seen| drain(&mut cursor, seen)
}

pub(super) fn waiter<T: Payload>(log: &Log<T>) -> impl FnMut(&mut Seen) {
    let mut cursor = log.cursor(log.end());
    move |seen| {
        cursor.wait(Some(Duration::from_millis(2)));
        drain(&mut cursor, seen);
    }
}

#[inline]
fn drain<T: Payload>(cursor: &mut Cursor<&Log<T>>, seen: &mut Seen) {
    loop {
        match cursor.next() {
            Ok(Next::Record(_, record)) => seen.see(record),
            Ok(_) => break,
            Err(trimmed) => {
                seen.missed += trimmed.earliest.since(cursor.position());
                cursor.seek(trimmed.earliest);
            }
        }
    }
}

pub(super) fn scanner<T: Payload>(log: &Log<T>) -> impl FnMut(&mut Seen) {
    move |seen| {
        let snapshot = log.snapshot();
        let mut from = snapshot.start();
        while from < snapshot.end() {
            match log.for_each(from..snapshot.end(), |_, record| seen.see(record)) {
                Ok(next) if next > from => from = next,
                Ok(_) => break,
                Err(trimmed) => from = trimmed.earliest,
            }
        }
    }
}

pub(super) fn picker<T: Payload>(log: &Log<T>) -> impl FnMut(u64, &mut Seen) {
    move |number, seen| {
        let snapshot = log.snapshot();
        if !snapshot.is_empty() {
            let position = snapshot.start().plus(number % snapshot.len());
            match log.read(position, 1) {
                Ok(chunk) => chunk.iter().for_each(|(_, record)| seen.see(record)),
                Err(trimmed) => seen.missed += trimmed.earliest.since(position).min(1),
            }
        }
    }
}
