//! Provisioning: blocks that one thread makes ready and others install.
//! (`log/provision.rs`, `log/shelf.rs`, `log/reclaim.rs`)

use streamcore_modelled::log::{Log, LogOptions, SealOutcome};

use crate::harness::Model;
use crate::steps::{Noted, WatchedLog, append, installed, position, snapshot};

/// A log of two records whose second segment is installed, to which memory may be provided.
fn provisioned() -> WatchedLog {
    let log = Log::with_options(LogOptions::new().provisioned());
    (0..2).for_each(|number| assert!(log.append(Noted::new(number)).is_ok()));
    log
}

#[test]
fn provision() {
    Model::new("provision", provisioned)
        .bound(2)
        .reaches(&["taken", "came too late"])
        .role("provisioner", |log: &WatchedLog, _| assert_eq!(log.provision(), 1))
        .role("appender", |log, _| {
            append(log);
            append(log);
        })
        .after(|log, probe| {
            probe.reach(if log.stats().spares == 0 { "taken" } else { "came too late" });
            assert_eq!(snapshot(&log).end(), position(4));
            let read = |from| log.read(position(from), 2).expect("nobody trims").len();
            assert_eq!((read(0), read(2)), (2, 2));
            assert_eq!(installed(&log), 3, "{log:?}: two of records, and one ahead");
        })
        .check();
}

/// What is made ready while the log is sealed goes back, by whoever comes second.
#[test]
fn provision_against_seal() {
    Model::new("provision_against_seal", provisioned)
        .reaches(&["before the seal", "too late"])
        .role("provisioner", |log: &WatchedLog, probe| match log.provision() {
            0 => probe.reach("too late"),
            made => {
                assert_eq!(made, 1);
                probe.reach("before the seal");
            }
        })
        .role("sealer", |log, _| {
            assert!(matches!(log.seal(()), SealOutcome::Sealed { end } if end == position(2)));
        })
        .after(|log, _| {
            let stats = log.stats();
            assert_eq!((stats.blocks, stats.spares, stats.dying), (1, 0, 0), "{stats:?}");
            assert_eq!(log.provision(), 0);
        })
        .check();
}
