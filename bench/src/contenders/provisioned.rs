//! streamcore's log without retention, beside a thread that makes memory ready for it.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use streamcore::log::{Log, LogOptions};

use crate::contender::{Able, Append, Contender, Setup};
use crate::payload::{Payload, Seen};

use super::streamcore::{Writer, scanner, tailer};

/// The log, and the thread that touches its memory ahead.
pub struct StreamcoreProvisioned;

/// A log whose memory is provisioned as long as it lives.
pub struct Provisioned<T> {
    log: Arc<Log<T>>,
    provisioner: Option<JoinHandle<()>>,
}

impl Contender for StreamcoreProvisioned {
    const NAME: &'static str = "streamcore, provisioned";
    const ABOUT: &'static str =
        "the same, and a thread that touches new memory before appends come to it";
    type Log<T: Payload> = Provisioned<T>;

    fn make<T: Payload>(_: &Setup) -> Provisioned<T> {
        let log = Arc::new(Log::with_options(LogOptions::new().provisioned()));
        let theirs = Arc::clone(&log);
        log.provision();
        let provisioner = thread::spawn(move || {
            while !theirs.is_sealed() {
                if theirs.provision() == 0 {
                    thread::sleep(Duration::from_micros(20));
                }
            }
        });
        Provisioned { log, provisioner: Some(provisioner) }
    }
    fn writer<T: Payload>(log: &Provisioned<T>) -> impl Append<T> {
        Writer(&*log.log)
    }
    fn tailer<T: Payload>(log: &Provisioned<T>) -> Able<impl FnMut(&mut Seen)> {
        Ok(tailer(&*log.log))
    }
    fn scanner<T: Payload>(log: &Provisioned<T>) -> Able<impl FnMut(&mut Seen)> {
        Ok(scanner(&*log.log))
    }
    fn prefix() -> Able<()> {
        Ok(())
    }
    fn whole_batches() -> Able<()> {
        Ok(())
    }
}

impl<T> Drop for Provisioned<T> {
    fn drop(&mut self) {
        self.log.seal(());
        if let Some(provisioner) = self.provisioner.take() {
            // It has nothing to say, and cannot have panicked.
            let _ = provisioner.join();
        }
    }
}
