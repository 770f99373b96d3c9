//! Reading a request's body, within limits.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Buf, Bytes};
use tokio::time::{Instant, timeout_at};

use super::limits::{Gate, LEAST_BYTES, Room};
use super::refusal::Refusal;

/// A request's body. What it takes counts until it is dropped ([`Gate::bytes_in_flight`]).
pub struct Intake {
    bytes: Bytes,
    _room: Option<Room>,
}

impl Intake {
    /// The body.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Gate {
    /// Reads a request's body.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooLarge`], [`Refusal::TooSlow`], [`Refusal::Busy`], or [`Refusal::Unread`] when the client
    /// goes away.
    pub async fn read<B>(&self, body: B) -> Result<Intake, Refusal>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let most = self.limits.body_bytes;
        let too_large = Refusal::TooLarge(most);
        let announced = body.size_hint();
        if announced.lower() > most as u64 {
            return Err(too_large);
        }
        let whole = announced.exact();
        let mut body = std::pin::pin!(body);
        let (mut bytes, mut room) = (Vec::new(), None);
        let mut pace = Pace::new(self.limits.patience);
        loop {
            let frame = match timeout_at(pace.deadline, body.frame()).await {
                Err(_) => return Err(Refusal::TooSlow(self.limits.patience)),
                Ok(None) => return Ok(Intake { bytes: bytes.into(), _room: room }),
                Ok(Some(Err(error))) => return Err(Refusal::Unread(error.into().to_string())),
                Ok(Some(Ok(frame))) => frame,
            };
            // Trailers say nothing that an operation takes.
            let Ok(mut data) = frame.into_data() else {
                continue;
            };
            let (more, so_far) = (data.remaining(), bytes.len());
            // As a rule a body comes in one piece, and is used as it is.
            if so_far == 0 && whole == Some(more as u64) {
                room = self.room(more, room)?;
                return Ok(Intake { bytes: data.copy_to_bytes(more), _room: room });
            }
            if more > most - so_far {
                return Err(too_large);
            }
            // Only what has arrived is given memory, whatever was announced.
            room = self.room(so_far + more, room)?;
            bytes.reserve(more);
            while data.has_remaining() {
                let chunk = data.chunk();
                bytes.extend_from_slice(chunk);
                let length = chunk.len();
                data.advance(length);
            }
            pace.moved(more);
        }
    }
}

/// Whether bytes move fast enough: [`LEAST_BYTES`] within each time of patience.
struct Pace {
    patience: Duration,
    deadline: Instant,
    moved: usize,
}

impl Pace {
    fn new(patience: Duration) -> Self {
        Self { patience, deadline: Instant::now() + patience, moved: 0 }
    }

    fn moved(&mut self, bytes: usize) {
        self.moved += bytes;
        if self.moved >= LEAST_BYTES {
            *self = Self::new(self.patience);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Limits;
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;
    use std::convert::Infallible;
    use std::sync::Arc;

    type Chunk = Result<Frame<Bytes>, Infallible>;

    fn gate() -> Arc<Gate> {
        let limits = Limits { body_bytes: 1 << 20, bytes_in_flight: 2 << 20, ..Limits::default() };
        Gate::new(limits)
    }

    fn chunks(sizes: &[usize]) -> impl Body<Data = Bytes, Error = Infallible> {
        let chunk = |size: &usize| -> Chunk { Ok(Frame::data(vec![7; *size].into())) };
        StreamBody::new(futures_util::stream::iter(sizes.iter().map(chunk).collect::<Vec<_>>()))
    }

    #[tokio::test]
    async fn a_body_is_read_whole_in_one_piece_or_in_many() {
        let gate = gate();
        let one = gate.read(Full::new(Bytes::from_static(b"{}"))).await.expect("read");
        assert_eq!(one.bytes(), b"{}");
        let none = gate.read(Full::<Bytes>::default()).await.expect("read");
        assert_eq!(none.bytes(), b"");
        let many = gate.read(chunks(&[1, 0, 1 << 19, 5])).await.expect("read");
        assert_eq!(many.bytes().len(), (1 << 19) + 6);
        assert!(gate.bytes_in_flight() >= 1 << 19);
        drop(many);
        assert_eq!(gate.bytes_in_flight(), 0);
    }

    #[tokio::test]
    async fn what_is_too_large_is_refused_when_that_is_known() {
        let gate = gate();
        let refused = gate.read(Full::new(Bytes::from(vec![0; (1 << 20) + 1]))).await;
        assert!(matches!(refused, Err(Refusal::TooLarge(most)) if most == 1 << 20));
        assert!(gate.read(chunks(&[1 << 20])).await.is_ok());
        assert!(matches!(gate.read(chunks(&[1 << 20, 1])).await, Err(Refusal::TooLarge(_))));
        assert_eq!(gate.bytes_in_flight(), 0);
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_bodies_at_once() {
        let gate = gate();
        let first = gate.read(chunks(&[1 << 20])).await.expect("read");
        let _second = gate.read(chunks(&[1 << 20])).await.expect("read");
        assert!(matches!(gate.read(chunks(&[1 << 17])).await, Err(Refusal::Busy(_))));
        // Small ones still pass.
        assert!(gate.read(chunks(&[100])).await.is_ok());
        drop(first);
        assert!(gate.read(chunks(&[1 << 17])).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_refused_and_a_slow_one_is_not() {
        let gate = gate();
        let patience = gate.limits.patience;
        let trickle = |size: usize| {
            let chunks = futures_util::stream::unfold(0, move |sent| async move {
                tokio::time::sleep(patience / 2).await;
                (sent < 8).then(|| (Chunk::Ok(Frame::data(vec![7; size].into())), sent + 1))
            });
            StreamBody::new(chunks)
        };
        assert!(matches!(gate.read(trickle(LEAST_BYTES / 4)).await, Err(Refusal::TooSlow(_))));
        let slow = gate.read(trickle(LEAST_BYTES)).await.expect("read");
        assert_eq!(slow.bytes().len(), 8 * LEAST_BYTES);
    }
}
