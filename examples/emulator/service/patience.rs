//! How long a client may take to fetch its answer.
//!
//! A write that must wait, because the client does not read, opens a window. In each window of
//! [`Limits::patience`](super::Limits::patience) the client takes [`LEAST_BYTES`], or all that is
//! left; otherwise the connection is closed. The libraries at hand look only at whether anything moved, so one
//! byte at a time would hold an answer for ever.
//!
//! And how long a server listens to a client that still sends when the connection is closed: were it closed
//! with bytes unread, the client's system would throw away the answer that says why.

use std::future::Future;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::limits::LEAST_BYTES;

/// For how long a client is listened to that still sends at the end.
const LINGER: Duration = Duration::from_millis(500);

/// And up to how many bytes: to listen costs more than to send.
const LINGER_BYTES: usize = 64 << 10;

/// A socket whose writes do not wait for ever.
pub(super) struct Patient<S> {
    socket: S,
    patience: Duration,
    waiting: Option<Window>,
    closing: Closing,
}

/// How far the end of a connection has come.
enum Closing {
    /// Our half is open.
    No,
    /// Our half is closed, and nothing has come since.
    Closed,
    /// The client still sends, and has sent so many bytes.
    Listening(Pin<Box<Sleep>>, usize),
}

/// The time since a write had to wait.
struct Window {
    end: Pin<Box<Sleep>>,
    taken: usize,
}

impl<S> Patient<S> {
    pub(super) fn new(socket: S, patience: Duration) -> Self {
        Self { socket, patience, waiting: None, closing: Closing::No }
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

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Patient<S> {
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
        let this = &mut *self;
        if matches!(this.closing, Closing::No) {
            ready!(Pin::new(&mut this.socket).poll_shutdown(context))?;
            this.closing = Closing::Closed;
        }
        loop {
            let mut scrap = [MaybeUninit::uninit(); 4096];
            let mut scrap = ReadBuf::uninit(&mut scrap);
            let read = Pin::new(&mut this.socket).poll_read(context, &mut scrap);
            let came = if matches!(read, Poll::Ready(Ok(()))) { scrap.filled().len() } else { 0 };
            match &mut this.closing {
                Closing::Listening(end, bytes) if came > 0 => {
                    *bytes += came;
                    // The time is asked for even while bytes come: there may always be more.
                    if *bytes > LINGER_BYTES || end.as_mut().poll(context).is_ready() {
                        return Poll::Ready(Ok(()));
                    }
                }
                _ if came > 0 => this.closing = Closing::Listening(Box::pin(sleep(LINGER)), came),
                Closing::Listening(end, _) if read.is_pending() => {
                    return end.as_mut().poll(context).map(Ok);
                }
                // The client has closed too, or had nothing more to say.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

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

    #[tokio::test(start_paused = true)]
    async fn who_still_sends_at_the_end_is_listened_to_for_a_while() {
        for endless in [false, true] {
            let (server, mut client) = duplex(1024);
            let mut server = Patient::new(server, PATIENCE);
            let sender = tokio::spawn(async move {
                let mut sent = 0;
                while (endless || sent < 9000) && client.write_all(&[0; 100]).await.is_ok() {
                    sleep(Duration::from_millis(1)).await;
                    sent += 100;
                }
                sent
            });
            // Something must have come when the end begins.
            server.read_u8().await.expect("a byte");
            let began = Instant::now();
            server.shutdown().await.expect("closed");
            drop(server);
            let sent = sender.await.expect("it ends");
            assert_eq!(endless, began.elapsed() >= LINGER, "{:?}", began.elapsed());
            assert!(if endless { sent > 9000 } else { sent == 9000 }, "{sent}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_without_measure_is_not_listened_to() {
        let (server, mut client) = duplex(1024);
        let mut server = Patient::new(server, PATIENCE);
        let sender = tokio::spawn(async move {
            let mut sent = 0;
            while client.write_all(&[0; 512]).await.is_ok() {
                sent += 512;
            }
            sent
        });
        server.read_u8().await.expect("a byte");
        let began = Instant::now();
        server.shutdown().await.expect("closed");
        drop(server);
        assert!(began.elapsed() < LINGER, "{:?}", began.elapsed());
        let sent = sender.await.expect("it ends");
        assert!((LINGER_BYTES..LINGER_BYTES + 8192).contains(&sent), "{sent}");
    }
}
