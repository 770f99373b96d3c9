//! What one server takes upon itself, and the gate that keeps to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::body::Bytes;
use streamcore::wire::{Body, Part};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::refusal::Refusal;

/// A client makes progress when so many bytes of its request arrive, or of its answer are taken, within
/// [`Limits::patience`]; or all that are left.
pub const LEAST_BYTES: usize = 64 << 10;

/// Bodies and answers up to this size are not counted: connections bound them.
const SMALL_BYTES: usize = 64 << 10;
/// What larger ones are counted in.
const UNIT_BYTES: usize = 64 << 10;

/// What one server takes upon itself. The fields are public, to be set over [`Limits::default`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many connections there are at the same time: 4,096.
    pub connections: usize,
    /// How long a request's head may get: 16 KiB.
    pub head_bytes: usize,
    /// How long a connection may take until the next request's head is there, idle or slow: 75 s.
    pub head_time: Duration,
    /// How large a request's body may get: 16 MiB. AWS API Reference: BatchWriteItem takes 16 MB.
    pub body_bytes: usize,
    /// For how long nothing, or next to nothing ([`LEAST_BYTES`]), may move while a body is sent or an answer is
    /// taken: 10 s.
    pub patience: Duration,
    /// What bodies and answers above 64 KiB take together: 256 MiB.
    pub bytes_in_flight: usize,
    /// How long requests in flight may take once the server is told to stop: 10 s.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            head_bytes: 16 << 10,
            head_time: Duration::from_secs(75),
            body_bytes: 16 << 20,
            patience: Duration::from_secs(10),
            bytes_in_flight: 256 << 20,
            grace: Duration::from_secs(10),
        }
    }
}

/// Lets through what a server takes upon itself, and counts it. Shared by the socket and the endpoint.
pub struct Gate {
    pub(super) limits: Limits,
    connections: Arc<Semaphore>,
    units: Arc<Semaphore>,
    open: AtomicUsize,
    turned_away: AtomicU64,
}

/// Room for a body or an answer; given back when it is dropped.
pub(super) type Room = OwnedSemaphorePermit;

/// A connection that was let in. Counts until it is dropped.
pub(super) struct Entry {
    gate: Arc<Gate>,
    _place: OwnedSemaphorePermit,
}

impl Drop for Entry {
    fn drop(&mut self) {
        // Relaxed: a figure.
        self.gate.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    /// A gate with these limits.
    pub fn new(limits: Limits) -> Arc<Self> {
        let most = Semaphore::MAX_PERMITS;
        Arc::new(Self {
            connections: Arc::new(Semaphore::new(limits.connections.min(most))),
            units: Arc::new(Semaphore::new((limits.bytes_in_flight / UNIT_BYTES).min(most))),
            open: AtomicUsize::new(0),
            turned_away: AtomicU64::new(0),
            limits,
        })
    }

    /// The limits that it keeps to.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many connections there are now.
    pub fn open_connections(&self) -> usize {
        // Relaxed: a figure.
        self.open.load(Ordering::Relaxed)
    }

    /// How many connections, bodies and answers there was no room for.
    pub fn turned_away(&self) -> u64 {
        // Relaxed: a figure.
        self.turned_away.load(Ordering::Relaxed)
    }

    /// What bodies and answers above 64 KiB take now, in bytes, rounded up to 64 KiB each.
    pub fn bytes_in_flight(&self) -> usize {
        let all = self.limits.bytes_in_flight / UNIT_BYTES;
        all.saturating_sub(self.units.available_permits()) * UNIT_BYTES
    }

    /// Lets a connection in, if there is a place.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Entry> {
        let Ok(place) = Arc::clone(&self.connections).try_acquire_owned() else {
            self.count_turned_away();
            return None;
        };
        // Relaxed: a figure.
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Entry { gate: Arc::clone(self), _place: place })
    }

    /// Room for so many bytes, on top of what `held` is for. Waits for nobody: who waited would hold what
    /// others need.
    pub(super) fn room(&self, bytes: usize, held: Option<Room>) -> Result<Option<Room>, Refusal> {
        if bytes <= SMALL_BYTES {
            return Ok(held);
        }
        let wanted = bytes.div_ceil(UNIT_BYTES);
        let have = held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = wanted.checked_sub(have).filter(|more| *more > 0) else {
            return Ok(held);
        };
        let units = Arc::clone(&self.units);
        let more =
            u32::try_from(more).ok().and_then(|more| units.try_acquire_many_owned(more).ok());
        match (more, held) {
            (None, _) => {
                self.count_turned_away();
                Err(Refusal::Busy(self.limits.bytes_in_flight))
            }
            (Some(more), None) => Ok(Some(more)),
            (Some(more), Some(mut held)) => {
                held.merge(more);
                Ok(Some(held))
            }
        }
    }

    /// An answer as it is sent: it counts as long as any part of it is not with the client.
    pub(super) fn answer(&self, body: Body) -> Result<Counted, Refusal> {
        let room = self.room(body.len(), None)?.map(Arc::new);
        Ok(Counted { body, room })
    }

    #[cold]
    fn count_turned_away(&self) {
        // Relaxed: a figure.
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }
}

/// An answer, with the room that it takes if it is large.
pub(super) struct Counted {
    pub(super) body: Body,
    room: Option<Arc<Room>>,
}

impl Counted {
    /// An answer that takes no room.
    pub(super) fn small(body: Body) -> Self {
        Self { body, room: None }
    }

    /// Its parts; the room is given back when the last of them is dropped.
    pub(super) fn into_parts(self) -> impl Iterator<Item = Bytes> {
        let Self { body, room } = self;
        let held = move |part| Bytes::from_owner(Held { part, _room: room.clone() });
        body.into_parts().into_iter().map(held)
    }
}

/// A part on its way to the client.
struct Held {
    part: Part,
    _room: Option<Arc<Room>>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.part.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(bytes_in_flight: usize) -> Arc<Gate> {
        Gate::new(Limits { connections: 2, bytes_in_flight, ..Limits::default() })
    }

    #[test]
    fn there_are_so_many_places_and_no_more() {
        let gate = gate(0);
        let (first, _second) = (gate.enter(), gate.enter());
        assert!(gate.enter().is_none());
        assert_eq!((gate.open_connections(), gate.turned_away()), (2, 1));
        drop(first);
        assert!(gate.enter().is_some());
    }

    #[test]
    fn large_answers_count_until_they_are_dropped_and_small_ones_do_not() {
        let gate = gate(3 * UNIT_BYTES);
        let _small = gate.answer(vec![0; SMALL_BYTES].into()).expect("not counted");
        assert_eq!(gate.bytes_in_flight(), 0);
        let large = gate.answer(vec![0; SMALL_BYTES + 1].into()).expect("there is room");
        let slice = large.into_parts().next().expect("a part").slice(..10);
        assert_eq!(gate.bytes_in_flight(), 2 * UNIT_BYTES);
        assert!(matches!(gate.answer(vec![0; 2 * UNIT_BYTES].into()), Err(Refusal::Busy(_))));
        drop(slice);
        assert_eq!((gate.bytes_in_flight(), gate.turned_away()), (0, 1));
    }

    #[test]
    fn room_grows_and_is_given_back_as_one() {
        let gate = gate(4 * UNIT_BYTES);
        let held = gate.room(2 * UNIT_BYTES, None).expect("there is room");
        let held = gate.room(4 * UNIT_BYTES, held).expect("there is room");
        assert_eq!(gate.bytes_in_flight(), 4 * UNIT_BYTES);
        assert!(gate.room(4 * UNIT_BYTES + 1, held).is_err());
        assert_eq!(gate.bytes_in_flight(), 0);
    }
}
