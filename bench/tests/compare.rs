//! The harness measures what it says: every contender, in a small version of every kind of scenario, gives
//! back what it was given; and one that does not is found out.

use std::sync::Mutex;

use streamcore_bench::compare::{Registry, plan};
use streamcore_bench::contender::{Able, Append, Contender, Refusal, Setup};
use streamcore_bench::payload::{Payload, Seen};
use streamcore_bench::scenario::{PayloadKind, Reading, Scenario};

/// Whether it was measured; a contender that does it wrong fails the test.
fn measured(registry: &Registry, name: &str, scenario: &Scenario) -> bool {
    match registry.measure(name, scenario) {
        Ok(measurement) => {
            assert!(measurement.operations > 0, "{name}, {scenario}: nothing was done");
            assert!(measurement.ns > 0.0, "{name}, {scenario}: it took no time");
            let latencies = measurement.latencies.map(|latencies| latencies.count());
            let expected = scenario.is_latency().then_some(measurement.operations);
            assert_eq!(latencies, expected, "{name}, {scenario}: latencies");
            true
        }
        Err(Refusal::Lack(_)) => false,
        Err(Refusal::Wrong(how)) => panic!("{name}, {scenario}: {how}"),
    }
}

#[test]
fn what_was_appended_is_what_is_read() {
    let registry = Registry::standard();
    let payloads = [
        PayloadKind::U64,
        PayloadKind::B64,
        PayloadKind::B192,
        PayloadKind::B208,
        PayloadKind::Arc,
        PayloadKind::Own,
    ];
    for payload in payloads {
        let append = Scenario::append(payload).small();
        let follow = append.clone().readers(1, Reading::Tail);
        for name in registry.names(&append) {
            assert!(measured(&registry, name, &append), "{name} appends");
            let follows = measured(&registry, name, &follow.clone().writers(2));
            assert!(follows || name.starts_with("floor:"), "{name} can be followed");
        }
    }
}

#[test]
fn every_scenario_of_the_default_set_can_be_measured() {
    let registry = Registry::standard();
    for scenario in plan::standard().into_iter().map(Scenario::small) {
        let names = registry.names(&scenario);
        let count = names.iter().filter(|name| measured(&registry, name, &scenario)).count();
        // The floor, and somebody to compare with it.
        assert!(count >= 2, "{scenario}: only {count} of {} were measured", names.len());
    }
}

/// A log that can be told to go wrong: to lose each hundredth record, to show one twice, or to tear them.
struct Broken<const HOW: u8>;

impl<const HOW: u8> Contender for Broken<HOW> {
    const NAME: &'static str = "broken";
    const ABOUT: &'static str = "a vector behind a lock that goes wrong";
    type Log<T: Payload> = Mutex<Vec<T>>;

    fn make<T: Payload>(_: &Setup) -> Mutex<Vec<T>> {
        Mutex::default()
    }
    fn writer<T: Payload>(log: &Mutex<Vec<T>>) -> impl Append<T> {
        let mut count = 0;
        move |record| {
            count += 1;
            if HOW != 1 || count % 100 != 0 {
                log.lock().unwrap().push(record);
            }
        }
    }
    fn tailer<T: Payload>(log: &Mutex<Vec<T>>) -> Able<impl FnMut(&mut Seen)> {
        let mut next = log.lock().unwrap().len();
        let mut shown_twice = HOW != 2;
        Ok(move |seen: &mut Seen| {
            let records = log.lock().unwrap();
            if !shown_twice && let Some(record) = records.get(next) {
                seen.see(record);
                shown_twice = true;
            }
            records[next..].iter().for_each(|record| seen.see(record));
            seen.torn += u64::from(HOW == 3);
            next = records.len();
        })
    }
    fn scanner<T: Payload>(log: &Mutex<Vec<T>>) -> Able<impl FnMut(&mut Seen)> {
        Ok(|seen: &mut Seen| log.lock().unwrap().iter().for_each(|record| seen.see(record)))
    }
}

#[test]
fn a_log_that_goes_wrong_is_found_out() {
    let append = Scenario::append(PayloadKind::U64).small();
    let follow = append.clone().readers(1, Reading::Tail);
    let right = Registry::empty().with::<Broken<0>>();
    assert!(measured(&right, "broken", &append) && measured(&right, "broken", &follow));
    let losing = Registry::empty().with::<Broken<1>>();
    for scenario in [&append, &follow] {
        assert!(matches!(losing.measure("broken", scenario), Err(Refusal::Wrong(_))), "{scenario}");
    }
    let repeating = Registry::empty().with::<Broken<2>>();
    assert!(matches!(repeating.measure("broken", &follow), Err(Refusal::Wrong(_))));
    let torn = Registry::empty().with::<Broken<3>>();
    assert!(matches!(torn.measure("broken", &follow), Err(Refusal::Wrong(_))));
}

#[test]
fn nobody_is_measured_by_a_wrong_name() {
    let refused = Registry::standard().measure("boxcars", &Scenario::default().small());
    assert!(matches!(refused, Err(Refusal::Lack(lack)) if lack.to_string().contains("boxcars")));
}
