//! How long a client may take to fetch its answer.
//!
//! A write that must wait, because the client does not read, opens a window. In each window of
//! [`Limits::patience`](super::Limits::patience) the client takes [`LEAST_BYTES`], or all that is
//! left; otherwise the connection is closed. The libraries at hand look only at whether anything moved, so one
//! byte at a time would hold an answer for ever.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::limits::LEAST_BYTES;

/// A socket whose writes do not wait for ever.
pub(super) struct Patient<S> {
    socket: S,
    patience: Duration,
    waiting: Option<Window>,
}

/// The time since a write had to wait.
struct Window {
    end: Pin<Box<Sleep>>,
    taken: usize,
}

impl<S> Patient<S> {
    pub(super) fn new(socket: S, patience: Duration) -> Self {
        Self { socket, patience, waiting: None }
    }

    /// Looks at the time when a write of `all` bytes came to an end, or must wait.
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        all: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match (&written, &mut self.waiting) {
            (Poll::Ready(Ok(taken)), Some(window)) => {
                window.taken += taken;
                if *taken == all || window.taken >= LEAST_BYTES {
                    self.waiting = None;
                }
            }
            (Poll::Ready(_), _) => {}
            (Poll::Pending, waiting) => {
                let window = waiting.get_or_insert_with(|| Window {
                    end: Box::pin(sleep_until(Instant::now() + self.patience)),
                    taken: 0,
                });
                ready!(window.end.as_mut().poll(context));
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client does not take its answer",
                )));
            }
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.judge(context, bytes.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.judge(context, slices.iter().map(|slice| slice.len()).sum(), written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::sleep;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Sends 1 MiB to a client that takes `size` bytes every 4 s. The pipe holds 1 KiB.
    async fn send_to_one_who_takes(size: usize) -> io::Result<()> {
        let (server, mut client) = duplex(1024);
        tokio::spawn(async move {
            let mut buffer = vec![0; size];
            while client.read_exact(&mut buffer).await.is_ok() {
                sleep(Duration::from_secs(4)).await;
            }
        });
        Patient::new(server, PATIENCE).write_all(&vec![0; 1 << 20]).await
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_enough_gets_everything() {
        send_to_one_who_takes(LEAST_BYTES / 2).await.expect("sent");
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_next_to_nothing_is_cut_off() {
        for size in [1, LEAST_BYTES / 8] {
            let cut = send_to_one_who_takes(size).await.expect_err("too slow");
            assert_eq!(cut.kind(), io::ErrorKind::TimedOut);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_ended_does_not_count_later() {
        let (server, mut client) = duplex(1024);
        let mut server = Patient::new(server, PATIENCE);
        for _ in 0..3 {
            let sent = tokio::join!(server.write_all(&[0; 3000]), async {
                sleep(PATIENCE / 2).await;
                client.read_exact(&mut [0; 3000]).await
            });
            assert!(sent.0.is_ok() && sent.1.is_ok(), "{sent:?}");
            sleep(PATIENCE * 2).await;
        }
    }
}
