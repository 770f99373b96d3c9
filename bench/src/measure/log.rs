//! Measuring a log: appending with and without readers, and reading.

use std::num::NonZeroU64;

use super::link::{Link, one_way};
use super::record::Measurement;
use super::threads::{Did, Gate, Outcome, run};
use crate::contender::{Able, Append, Contender, Lack, Refusal, Setup};
use crate::payload::{Owning, Payload, Seen, Sharing};
use crate::scenario::{Memory, PayloadKind, Reading, Scenario, Timing, Work};

/// Measures a contender in a scenario.
pub(crate) fn measure<C: Contender>(scenario: &Scenario) -> Result<Measurement, Refusal> {
    match scenario.payload {
        PayloadKind::U64 => work::<C, u64>(scenario),
        PayloadKind::B64 => work::<C, [u64; 8]>(scenario),
        PayloadKind::B192 => work::<C, [u64; 24]>(scenario),
        PayloadKind::B208 => work::<C, [u64; 26]>(scenario),
        PayloadKind::Arc => work::<C, Sharing>(scenario),
        PayloadKind::Own => work::<C, Owning>(scenario),
    }
}

fn work<C: Contender, T: Payload>(scenario: &Scenario) -> Result<Measurement, Refusal> {
    let is_contended = scenario.is_contended();
    let before = is_contended.then(one_way);
    let outcome = match scenario.work {
        Work::Append => append::<C, T>(scenario)?,
        Work::Scan => {
            let log = &filled::<C, T>(scenario, 0);
            let records = C::scanner(log).map(|mut scan| {
                let mut seen = Seen::default();
                scan(&mut seen);
                seen.records
            })?;
            repeat(scenario, 8 * scenario.operations, records.max(1), || {
                let mut scan = C::scanner(log)?;
                Ok(move |_, seen: &mut Seen| scan(seen))
            })?
        }
        Work::Pick => {
            let log = &filled::<C, T>(scenario, 0);
            repeat(scenario, scenario.operations, 1, || {
                let mut pick = C::picker(log)?;
                let mut random = fastrand::Rng::with_seed(7);
                Ok(move |_, seen: &mut Seen| pick(random.u64(..), seen))
            })?
        }
        Work::Poll => {
            let log = &filled::<C, T>(scenario, 1);
            repeat(scenario, 5 * scenario.operations, 1, || {
                let mut poll = C::tailer(log)?;
                Ok(move |_, seen: &mut Seen| poll(seen))
            })?
        }
        Work::Count => {
            let log = &filled::<C, T>(scenario, 0);
            repeat(scenario, 5 * scenario.operations, 1, || {
                let mut count = C::counter(log)?;
                Ok(move |_, seen: &mut Seen| seen.sum ^= count())
            })?
        }
        _ => return Err(Lack::of("a log, not a store").into()),
    };
    let link = before.map(|before| Link { before, after: one_way() });
    Ok(outcome.measurement(link))
}

impl Outcome {
    /// What is kept.
    pub fn measurement(self, link: Option<Link>) -> Measurement {
        let operations = self.operations.max(1) as f64;
        let read: u64 = self.seen.iter().map(|(seen, _)| seen.records).sum();
        let longest = self.seen.iter().map(|&(_, ns)| ns).fold(0.0, f64::max);
        Measurement {
            ns: self.elapsed / operations,
            operations: self.operations,
            reader_ns: (read > 0).then(|| longest / read as f64),
            latencies: self.latencies,
            allocations: self.allocations.count,
            allocated: self.allocations.bytes,
            page_faults: self.between.page_faults,
            peak_memory: self.between.peak_memory,
            held: self.held,
            link,
            others: self.between.others,
        }
    }
}

fn setup(scenario: &Scenario, tailers: usize) -> Setup {
    Setup { retain: scenario.retain, tailers }
}

/// Numbers that no measured record has.
const FILLING: u64 = 1 << 63;

fn fill<C: Contender, T: Payload>(log: &C::Log<T>, count: u64) {
    let mould = T::mould();
    let mut writer = C::writer(log);
    (0..count).for_each(|number| writer.append(T::make(&mould, FILLING | number)));
}

/// A log that holds what a log with retention holds.
fn filled<C: Contender, T: Payload>(scenario: &Scenario, tailers: usize) -> C::Log<T> {
    let log = C::make::<T>(&setup(scenario, tailers));
    let times = if C::retention().is_ok() { 3 } else { 1 };
    fill::<C, T>(&log, times * scenario.retain.get());
    log
}

/// Threads that do one thing over and over.
fn repeat<S: FnMut(u64, &mut Seen)>(
    scenario: &Scenario,
    operations: u64,
    stride: u64,
    make: impl Fn() -> Able<S> + Sync,
) -> Result<Outcome, Refusal> {
    let write = |_, gate: &Gate| {
        gate.warm();
        let mut step = make().inspect_err(|_| gate.start())?;
        let mut seen = Seen::default();
        let did = gate.work(0, Timing::Throughput, (operations, stride), |n| step(n, &mut seen));
        checked(seen)?;
        std::hint::black_box(seen);
        Ok(did)
    };
    run((scenario.writers, write), (0, |_, _: &Gate| Ok(Seen::default())))
}

fn append<C: Contender, T: Payload>(scenario: &Scenario) -> Result<Outcome, Refusal> {
    let keeps = C::retention().is_err();
    if scenario.memory == Memory::Fresh && !keeps {
        return Err(Lack::of("reuses its own memory; see reused memory").into());
    }
    let (logs, writers) = (scenario.logs.clamp(1, 8), scenario.writers);
    let follows = matches!(scenario.reading, Reading::Tail | Reading::Wait);
    // Readers of everything need something to read from the first moment on.
    let first = if keeps && matches!(scenario.reading, Reading::Scan | Reading::Random) {
        scenario.retain.get()
    } else {
        0
    };
    let tailers = if follows { scenario.readers.div_ceil(logs) } else { 0 };
    let logs: Vec<C::Log<T>> = (0..logs)
        .map(|_| {
            let log = C::make(&setup(scenario, tailers));
            fill::<C, T>(&log, first);
            log
        })
        .collect();
    let write = |n: usize, gate: &Gate| {
        let log = &logs[n % logs.len()];
        if scenario.memory == Memory::Reused {
            warm_up::<C, T>(scenario, log, keeps);
        }
        // Readers begin at the end: what warms up must have been appended by all.
        gate.warm();
        write::<C, T>(scenario, log, (n, n % logs.len()), gate)
    };
    let read = |n: usize, gate: &Gate| {
        gate.warm();
        read::<C, T>(scenario, &logs[n % logs.len()], n % logs.len(), gate)
    };
    let outcome = run((writers, write), (scenario.readers, read))?;
    if keeps && scenario.readers == 0 {
        let fills = first * logs.len() as u64;
        all_there::<C, T>(&logs, scenario, outcome.operations + fills)?;
    }
    Ok(outcome)
}

/// Brings memory into use: the log's own, if it gives up records, else that of another log.
fn warm_up<C: Contender, T: Payload>(scenario: &Scenario, log: &C::Log<T>, keeps: bool) {
    let writers_per_log = scenario.writers.div_ceil(scenario.logs.max(1)) as u64;
    if keeps {
        let other = C::make::<T>(&Setup { retain: NonZeroU64::MIN, ..setup(scenario, 0) });
        fill::<C, T>(&other, scenario.operations * writers_per_log);
    } else {
        fill::<C, T>(log, 3 * scenario.retain.get() / writers_per_log);
    }
}

fn write<C: Contender, T: Payload>(
    scenario: &Scenario,
    log: &C::Log<T>,
    (writer_no, log_no): (usize, usize),
    gate: &Gate,
) -> Result<Did, Refusal> {
    let mould = T::mould();
    let mut writer = C::writer(log);
    let base = writer_no as u64 * scenario.operations;
    let batch = scenario.batch as u64;
    if batch == 1 {
        let append = |n: u64| writer.append(T::make(&mould, base + n));
        return Ok(gate.work(log_no, scenario.timing, (scenario.operations, 1), append));
    }
    let operations = scenario.operations - scenario.operations % batch;
    let mut lack = None;
    let did = gate.work(log_no, scenario.timing, (operations, batch), |n| {
        let first = base + n;
        // By a 32-bit range, which knows its length.
        let records = (0..scenario.batch as u32).map(|k| T::make(&mould, first + u64::from(k)));
        if let Err(why) = writer.append_batch(records) {
            lack = Some(why);
        }
    });
    lack.map_or(Ok(did), |lack| Err(lack.into()))
}

fn read<C: Contender, T: Payload>(
    scenario: &Scenario,
    log: &C::Log<T>,
    log_no: usize,
    gate: &Gate,
) -> Result<Seen, Refusal> {
    let mut seen = Seen::default();
    // A reader that does not exist must still pass the gate, or the others would wait for ever.
    let refused = |lack: Lack| {
        gate.start();
        Refusal::from(lack)
    };
    match scenario.reading {
        Reading::None => gate.start(),
        Reading::Tail => follow(C::tailer(log).map_err(refused)?, gate, log_no, &mut seen)?,
        Reading::Wait => follow(C::waiter(log).map_err(refused)?, gate, log_no, &mut seen)?,
        Reading::Scan => {
            let mut scan = C::scanner(log).map_err(refused)?;
            gate.start();
            while gate.is_open() {
                scan(&mut seen);
            }
        }
        Reading::Random => {
            let mut pick = C::picker(log).map_err(refused)?;
            let mut random = fastrand::Rng::with_seed(11);
            gate.start();
            while gate.is_open() {
                pick(random.u64(..), &mut seen);
            }
        }
    }
    checked(seen)
}

/// Follows the log until all is seen that was appended.
fn follow(
    mut poll: impl FnMut(&mut Seen),
    gate: &Gate,
    log: usize,
    seen: &mut Seen,
) -> Result<(), Refusal> {
    gate.start();
    while gate.is_open() {
        poll(seen);
        std::hint::spin_loop();
    }
    let appended = gate.done_on(log);
    let mut idle = 0;
    while seen.records + seen.missed < appended && idle < 1000 {
        let had = *seen;
        poll(seen);
        idle = if had == *seen { idle + 1 } else { 0 };
    }
    if seen.records + seen.missed == appended {
        Ok(())
    } else {
        Err(Refusal::Wrong(format!("{appended} records were appended, but {seen:?}")))
    }
}

fn checked(seen: Seen) -> Result<Seen, Refusal> {
    if seen.torn == 0 { Ok(seen) } else { Err(Refusal::Wrong(format!("torn records: {seen:?}"))) }
}

/// Reads all logs that keep everything, and compares with what was appended.
fn all_there<C: Contender, T: Payload>(
    logs: &[C::Log<T>],
    scenario: &Scenario,
    appended: u64,
) -> Result<(), Refusal> {
    let mut seen = Seen::default();
    for log in logs {
        match C::scanner(log) {
            Ok(mut scan) => scan(&mut seen),
            Err(_) => return Ok(()),
        }
    }
    checked(seen)?;
    // Each writer's numbers are consecutive; if none was stopped early, their sum is known.
    let (n, w) = (scenario.operations, scenario.writers as u64);
    let n = n - n % scenario.batch as u64;
    let whole = appended == n * w;
    let sum = (0..w).fold(0u64, |sum, writer| {
        let base = writer * scenario.operations;
        sum.wrapping_add((n * base).wrapping_add(n * n.saturating_sub(1) / 2))
    });
    if seen.records == appended && (!whole || seen.sum == sum) {
        Ok(())
    } else {
        Err(Refusal::Wrong(format!("{appended} records were appended, but {seen:?}")))
    }
}
