//! The emulator on a socket, and what it does by itself meanwhile.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::{task, time};

use crate::calls::Emulator;
use crate::routes::Routes;
use crate::service::{self, Ended, Gate};

/// How often items expire by the system's clock.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);

/// Lets items expire, for ever. A manual clock does so itself, when it is turned.
async fn expire(emulator: Arc<Emulator>) {
    let mut ticks = time::interval(EXPIRE_EVERY);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let emulator = Arc::clone(&emulator);
        match task::spawn_blocking(move || emulator.expire()).await {
            Ok(Ok(_)) => {}
            Ok(Err(fault)) => {
                let fault = String::from_utf8_lossy(&fault.body);
                tracing::error!(%fault, "items did not expire");
            }
            Err(fault) => tracing::error!(%fault, "items did not expire"),
        }
    }
}

/// What is done in intervals is not done more often than this.
const SHORTEST: Duration = Duration::from_millis(1);

/// Does what is due in streams that nobody comes to, for ever.
async fn maintain(emulator: Arc<Emulator>) {
    let mut ticks = time::interval(emulator.config.maintain_every.max(SHORTEST));
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let emulator = Arc::clone(&emulator);
        if let Err(fault) = task::spawn_blocking(move || emulator.maintain()).await {
            tracing::error!(%fault, "streams were not maintained");
        }
    }
}

/// Serves `emulator` on `listener` until `shutdown` is ready; then takes no more
/// connections, lets the requests in flight finish (for at most ten seconds), and returns when nothing is carried
/// out any more. Meanwhile items expire each second, unless the clock is a manual one, and streams that nobody
/// comes to give up what is old ([`Config::maintain_every`](crate::Config::maintain_every)).
///
/// # Errors
///
/// [`io::ErrorKind::TimedOut`] if connections were cut off at the end.
pub async fn serve(
    listener: TcpListener,
    emulator: Arc<Emulator>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    emulator.begin_serving();
    // Ends with this call, however it ends.
    let mut background = task::JoinSet::new();
    background.spawn(maintain(Arc::clone(&emulator)));
    if emulator.config.manual_clock.is_none() {
        background.spawn(expire(Arc::clone(&emulator)));
    }
    let gate = Gate::new(emulator.config.limits.clone());
    let routes = Routes::new(Arc::clone(&emulator), Arc::clone(&gate));
    let stopping = async {
        shutdown.await;
        emulator.stop();
    };
    let ended = service::serve(listener, routes, gate, stopping).await;
    background.shutdown().await;
    match ended {
        Ended::Finished => Ok(()),
        Ended::CutOff(count) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("{count} connections were cut off before their requests had ended"),
        )),
    }
}
