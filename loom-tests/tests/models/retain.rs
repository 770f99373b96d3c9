//! Retaining: every record of a retained range stays readable, whatever is trimmed meanwhile.
//! (`log/retain.rs`)

use streamcore_modelled::log::{Position, Trimmed};

use crate::harness::Model;
use crate::steps::{dropped_here, filled, position};

#[test]
fn retain() {
    Model::new("retain", || filled(4))
        .bound(2)
        .reaches(&["retained", "refused", "freed by the reader"])
        .role("reader", |log, probe| {
            match log.retain(Position::ZERO..position(4)) {
                Ok(retained) => {
                    assert_eq!(retained.positions(), Position::ZERO..position(4));
                    let read: Vec<_> =
                        retained.iter().map(|(at, value)| (at.get(), value.read())).collect();
                    assert_eq!(read, [(0, 0), (1, 1), (2, 2), (3, 3)]);
                    probe.reach("retained");
                }
                Err(Trimmed { earliest }) => {
                    assert!(earliest > Position::ZERO, "refused, although everything is retained");
                    probe.reach("refused");
                }
            }
            probe.reach_if(dropped_here() > 0, "freed by the reader");
        })
        .role("nearer", |log, _| assert!(log.trim(position(2)) >= position(2)))
        .role("farther", |log, _| assert_eq!(log.trim(position(4)), position(4)))
        .check();
}
