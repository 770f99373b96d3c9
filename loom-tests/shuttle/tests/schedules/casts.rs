//! The scenarios: who takes part, and what must have been met.

use crate::scenario::Cast;

#[test]
fn everything_at_once() {
    let cast = Cast {
        writers: 2,
        records: 24,
        longest: 6,
        readers: 1,
        sleepers: 1,
        trimmers: 1,
        ..Cast::default()
    };
    cast.play(
        "everything at once",
        &[
            "snapshots with more in flight",
            "reads of what was trimmed meanwhile",
            "sleeps",
            "recycled segments",
            "values that died under way",
        ],
    );
}

#[test]
fn sealed_while_all_append() {
    let cast =
        Cast { writers: 2, records: 16, longest: 4, sleepers: 1, sealers: 2, ..Cast::default() };
    cast.play("sealed while all append", &["appends refused", "sleeps"]);
}

#[test]
fn trimmers_against_readers() {
    let cast =
        Cast { writers: 1, records: 40, longest: 5, readers: 2, trimmers: 2, ..Cast::default() };
    cast.play(
        "trimmers against readers",
        &["reads of what was trimmed meanwhile", "recycled segments", "values that died under way"],
    );
}

#[test]
fn retention_while_batches_come() {
    let cast = Cast {
        writers: 3,
        records: 30,
        longest: 12,
        readers: 1,
        sealers: 1,
        retained: 9,
        ..Cast::default()
    };
    cast.play(
        "retention while batches come",
        &["appends refused", "reads of what was trimmed meanwhile", "values that died under way"],
    );
}

#[test]
fn nobody_sleeps_for_ever() {
    let cast = Cast {
        writers: 2,
        records: 10,
        longest: 2,
        sleepers: 2,
        handshake: true,
        ..Cast::default()
    };
    cast.play("nobody sleeps for ever", &["sleeps", "snapshots with more in flight"]);
}
