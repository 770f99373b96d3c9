//! Appending, and reading what was appended: values are whole, the prefix has no holes, and
//! snapshots never go back. (`log/segment.rs`, `log/prefix.rs`, `log/snapshot.rs`)

use streamcore_modelled::log::{Log, Position, Snapshot};

use crate::harness::{Model, Probe, Watched};

fn append(log: &Log<Watched>, _: &Probe) {
    log.append(Watched::new(7)).expect("nobody seals the log");
}

/// Takes a snapshot and reads all of it.
fn snapshot_and_read(log: &Log<Watched>) -> Snapshot {
    let snapshot = log.snapshot();
    let mut next = snapshot.start();
    let end = log.for_each(snapshot.positions(), |position, value| {
        assert_eq!(position, next, "a hole in the prefix");
        assert_eq!(value.read(), 7);
        next = Position::new(position.get() + 1);
    });
    assert_eq!(end, Ok(snapshot.end()), "what a snapshot covers is readable");
    snapshot
}

#[test]
fn publish() {
    Model::new("publish", Log::<Watched>::new)
        .bound(2)
        .reaches(&["saw none", "saw one", "saw both"])
        .role("appender", append)
        .role("appender", append)
        .role("reader", |log, probe| {
            probe.reach(match snapshot_and_read(log).len() {
                0 => "saw none",
                1 => "saw one",
                _ => "saw both",
            });
        })
        .after(|log, _| assert_eq!(snapshot_and_read(&log).len(), 2))
        .check();
}

#[test]
fn snapshots_never_go_back() {
    Model::new("snapshots_never_go_back", Log::<Watched>::new)
        .reaches(&["saw more", "saw the same"])
        .role("appender", append)
        .role("reader", |log, probe| {
            let first = snapshot_and_read(log);
            let second = snapshot_and_read(log);
            assert!(first.end() <= second.end(), "a later snapshot ends earlier");
            probe.reach(if first == second { "saw the same" } else { "saw more" });
        })
        .check();
}
