//! The store in Go is measured as all others are; where there is no Go, it says so and is left out.

use streamcore_bench::compare::{Registry, plan};
use streamcore_bench::contender::Refusal;
use streamcore_bench::scenario::{Scenario, Work};

const GO: [&str; 2] = ["Go's design", "Go's design, prebuilt"];

fn of_stores() -> Vec<Scenario> {
    let scenarios = plan::standard().into_iter().map(Scenario::small);
    scenarios.filter(|scenario| scenario.work.is_of_store()).collect()
}

/// Why it cannot take part, if there is no Go.
fn lacking(registry: &Registry) -> Option<String> {
    let put = of_stores().into_iter().find(|scenario| scenario.work == Work::Put);
    match registry.measure(GO[0], &put.expect("something is put")) {
        Ok(_) => None,
        Err(Refusal::Lack(lack)) => Some(lack.to_string()),
        Err(Refusal::Wrong(how)) => panic!("{how}"),
    }
}

#[test]
fn it_does_what_it_can_and_says_what_it_cannot() {
    let registry = Registry::standard();
    if let Some(lack) = lacking(&registry) {
        println!("skipped: {lack}");
        assert!(
            lack.starts_with("no Go toolchain") || lack.starts_with("STREAMCORE_GO"),
            "there is a Go, and yet: {lack}"
        );
        return;
    }
    let mut measured = Vec::new();
    for scenario in of_stores() {
        for name in GO {
            assert!(registry.names(&scenario).contains(&name));
            let is_of_it = match scenario.work {
                Work::Put => true,
                Work::GetRecords | Work::Register(_) => name == GO[0],
                _ => false,
            };
            let found = match registry.measure(name, &scenario) {
                Ok(found) if is_of_it => found,
                Err(Refusal::Lack(_)) if !is_of_it => continue,
                other => panic!("{name}, {scenario}: {other:?}"),
            };
            let all = match scenario.work {
                Work::Register(count) => count as u64,
                Work::GetRecords => 4 * scenario.operations * scenario.writers as u64,
                _ => scenario.operations * scenario.writers as u64,
            };
            assert!(found.ns > 0.0 && found.peak_memory > 0, "{name}, {scenario}: {found:?}");
            // It stops early only where the machine is taken.
            assert!((1..=all).contains(&found.operations), "{name}, {scenario}: {found:?}");
            let latencies = found.latencies.as_ref().map(|latencies| latencies.count());
            assert_eq!(latencies, scenario.is_latency().then_some(found.operations));
            assert_eq!(found.link.is_some(), scenario.is_contended());
            assert_eq!(found.held.is_some(), matches!(scenario.work, Work::Register(_)));
            // The record and its number, unless the record was made before.
            let made = found.allocations as f64 / found.operations as f64;
            match (scenario.work, name == GO[0]) {
                (Work::Put, true) => assert!((1.9..2.2).contains(&made), "{scenario}: {made}"),
                (Work::Put, false) => assert!((0.9..1.2).contains(&made), "{scenario}: {made}"),
                _ => {}
            }
            measured.push((scenario.to_string(), name));
        }
    }
    assert!(measured.len() >= 12, "{measured:?}");
}

#[test]
fn everybody_hears_which_go_it_is_or_that_there_is_none() {
    let registry = Registry::standard();
    let lack = lacking(&registry);
    for name in GO {
        let about = registry.about().into_iter().find(|about| about.name == name).unwrap().about;
        match &lack {
            None => assert!(about.contains("(go1."), "{about}"),
            Some(lack) => assert!(about.contains(lack.as_str()), "{about}"),
        }
    }
}
