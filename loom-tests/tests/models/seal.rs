//! Sealing: one exact end for everybody, and whoever is turned away sees what came before the seal.
//! (`log/seal.rs`, `log/tail.rs`)

use std::sync::Mutex;

use streamcore_modelled::log::{Log, Next, Position, SealOutcome, Sealed};
use streamcore_modelled::modelled::UnsafeCell;

use crate::harness::{Model, Probe, Watched};

/// A log whose successor is watched, a note that the sealer leaves, and what the roles saw.
struct Scene {
    log: Log<Watched, Watched>,
    note: UnsafeCell<u64>,
    appended: Mutex<Vec<Position>>,
    ends: Mutex<Vec<Position>>,
}

// SAFETY: the note is written before the seal and read after it; that this is an order is checked.
unsafe impl Sync for Scene {}

/// So many records are there before anybody races; the next two have their segment.
const BEFORE: u64 = 2;

impl Scene {
    fn new() -> Self {
        let log = Log::new();
        (0..BEFORE).for_each(|_| drop(log.append(Watched::new(7))));
        let note = UnsafeCell::new(0);
        Self { log, note, appended: Mutex::default(), ends: Mutex::default() }
    }

    /// Appends, and if it is turned away, gives the value back.
    fn append(&self, probe: &Probe) -> Result<(), Sealed<Watched>> {
        let position = self.log.append(Watched::new(7)).inspect_err(|Sealed(value)| {
            probe.reach("turned away");
            assert_eq!(value.read(), 7);
        })?;
        probe.reach("appended");
        self.appended.lock().unwrap().push(position);
        Ok(())
    }

    /// Whoever has seen the log sealed finds the end and the successor.
    fn check_sealed(&self) -> Position {
        let end = self.log.sealed_end().expect("it is sealed for ever");
        let child = self.log.successor().expect("a sealed log has a successor");
        assert_eq!(child.read(), 100);
        self.ends.lock().unwrap().push(end);
        end
    }

    fn seal(&self) -> SealOutcome<Watched> {
        let outcome = self.log.seal(Watched::new(100));
        assert_eq!(self.check_sealed(), outcome.end());
        outcome
    }

    /// Everybody saw the same end, and what was appended is exactly what lies before it.
    fn finish(self, _: &Probe) {
        let end = self.log.sealed_end().unwrap();
        let ends = self.ends.into_inner().unwrap();
        assert!(ends.iter().all(|seen| *seen == end), "{ends:?} are not all {end}");
        let mut appended = self.appended.into_inner().unwrap();
        appended.sort();
        let expected: Vec<_> = (BEFORE..end.get()).map(Position::new).collect();
        assert_eq!(appended, expected, "what was appended is what lies before the end");
        let mut read = 0;
        let all = self.log.for_each(Position::ZERO..end, |_, value| {
            assert_eq!(value.read(), 7);
            read += 1;
        });
        assert_eq!((all, read), (Ok(end), end.get()), "the prefix reaches the end");
        assert_eq!(self.log.end(), end, "what was turned away does not count");
    }
}

fn append(scene: &Scene, probe: &Probe) {
    drop(scene.append(probe));
}

#[test]
fn seal() {
    let append = |scene: &Scene, probe: &Probe| {
        if scene.append(probe).is_err() {
            // Before any look at the log, which would be ordered after the seal by itself.
            // SAFETY: the sealer has written the note before it sealed.
            assert_eq!(scene.note.with(|note| unsafe { *note }), 1);
            scene.check_sealed();
        }
    };
    Model::new("seal", Scene::new)
        .bound(2)
        .reaches(&["appended", "turned away"])
        .role("appender", append)
        .role("appender", append)
        .role("sealer", |scene, _| {
            // SAFETY: nobody else writes it, and it is read only after the seal.
            scene.note.with_mut(|note| unsafe { *note = 1 });
            assert!(matches!(scene.seal(), SealOutcome::Sealed { .. }));
        })
        .after(Scene::finish)
        .check();
}

#[test]
fn seal_observer() {
    Model::new("seal_observer", Scene::new)
        .reaches(&["appended", "turned away", "open", "sealed"])
        .role("appender", append)
        .role("sealer", |scene, _| drop(scene.log.seal(Watched::new(100))))
        .role("observer", |scene, probe| {
            if scene.log.is_sealed() {
                probe.reach("sealed");
                scene.check_sealed();
            } else {
                probe.reach("open");
            }
        })
        .after(Scene::finish)
        .check();
}

#[test]
fn seal_helped() {
    let seal = |scene: &Scene, probe: &Probe| {
        probe.reach(match scene.seal() {
            SealOutcome::Sealed { .. } => "decided",
            SealOutcome::AlreadySealed { .. } => "turned down",
        });
    };
    Model::new("seal_helped", Scene::new)
        .bound(2)
        .reaches(&["appended", "turned away", "decided", "turned down"])
        .role("appender", append)
        .role("sealer", seal)
        .role("sealer", seal)
        .after(Scene::finish)
        .check();
}

#[test]
fn seal_read_to_the_end() {
    Model::new("seal_read_to_the_end", Scene::new)
        .bound(1)
        .reaches(&["appended", "turned away", "pending", "closed", "closed behind an append"])
        .role("appender", append)
        .role("sealer", |scene, _| drop(scene.log.seal(Watched::new(100))))
        .role("reader", |scene, probe| {
            let mut cursor = scene.log.cursor(Position::ZERO);
            loop {
                match cursor.next().expect("nobody trims") {
                    Next::Record(_, value) => assert_eq!(value.read(), 7),
                    Next::Pending => return probe.reach("pending"),
                    Next::Closed => break,
                }
            }
            probe.reach("closed");
            let end = scene.check_sealed();
            assert_eq!(cursor.position(), end, "closed before all was read");
            probe.reach_if(end.get() > BEFORE, "closed behind an append");
        })
        .after(Scene::finish)
        .check();
}
