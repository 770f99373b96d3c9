//! Retaining: every record of a retained range stays readable, whatever is trimmed meanwhile.
//! (`log/retain.rs`)

use streamcore_modelled::log::{Position, Trimmed};

use crate::harness::Model;
use crate::steps::{assert_all_freed, dropped_here, filled, position};

#[test]
fn retain() {
    Model::new("retain", || filled(4))
        .bound(2)
        .reaches(&["retained", "refused", "freed by the reader"])
        .role("reader", |log, probe| {
            match log.retain(Position::ZERO..position(5)) {
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
        .role("nearer", |log, _| {
            // In the middle of a segment, which therefore stays.
            assert!(log.trim(position(1)) >= position(1));
            assert!(log.retain(Position::ZERO..position(1)).is_err(), "it is given up");
        })
        .role("farther", |log, _| assert_eq!(log.trim(position(4)), position(4)))
        .after(|log, _| assert_all_freed(&log))
        .check();
}
