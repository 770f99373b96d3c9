//! The way of a cache line from one core to the other and back. On virtual machines it changes by the
//! minute, and every figure of threads that write one line changes with it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// What one way took before and after a measurement, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Link {
    /// Before.
    pub before: f64,
    /// After.
    pub after: f64,
}

/// How far the cores are from each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distance {
    /// They share a cache.
    Near,
    /// They do not.
    Far,
    /// It changed while it was measured.
    Mixed,
}

impl Distance {
    /// A word for a report.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Far => "far",
            Self::Mixed => "mixed",
        }
    }
}

/// Between the two that were seen: 24 and 240.
const FAR_FROM: f64 = 90.0;

impl Link {
    /// The class that a measurement belongs to.
    #[must_use]
    pub fn distance(self) -> Distance {
        match (self.before < FAR_FROM, self.after < FAR_FROM) {
            (true, true) => Distance::Near,
            (false, false) => Distance::Far,
            _ => Distance::Mixed,
        }
    }
}

const CHUNKS: usize = 40;
/// There and back, in one chunk.
const ROUND_TRIPS: u64 = 50;
/// On a machine that is taken, every way takes a turn of the scheduler; then fewer chunks must do.
const LIMIT: Duration = Duration::from_millis(10);
/// No line takes so long: it was a turn.
const TURN: f64 = 2_000.0;
/// What ends the game.
const OVER: u64 = u64::MAX;

/// The first two cores that this process may use. Two threads that the system has begun on one core may stay there
/// for longer than this takes.
fn two_cores(allowed: &CpuSet) -> [Option<CpuSet>; 2] {
    let mut cores = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false));
    [0, 1].map(|_| {
        let mut one = CpuSet::new();
        one.set(cores.next()?).ok()?;
        Some(one)
    })
}

/// Holds the calling thread to some cores. Where that is forbidden, the system decides, as before.
fn hold(to: Option<&CpuSet>) {
    let _ = to.map(|cores| sched_setaffinity(Pid::from_raw(0), cores));
}

/// One way, in nanoseconds: two threads on two cores hand a number back and forth. The lower quartile of some chunks,
/// since other processes may take a core in the midst of one.
pub fn one_way() -> f64 {
    let allowed = sched_getaffinity(Pid::from_raw(0)).ok();
    let cores = allowed.as_ref().map(two_cores).unwrap_or_default();
    let [this, other] = [cores[0].as_ref(), cores[1].as_ref()];
    let ball = CachePadded::new(AtomicU64::new(0));
    // Whether it came, or the game is over.
    let came = |number: u64| {
        let mut spins = 0u32;
        loop {
            // Acquire: pairs with the other's Release below.
            match ball.load(Ordering::Acquire) {
                OVER => return false,
                now if now == number => return true,
                _ => {}
            }
            spins += 1;
            // The other thread may wait for this very core. Not before a line has come from afar.
            if spins.is_multiple_of(400) {
                std::thread::yield_now()
            } else {
                std::hint::spin_loop()
            }
        }
    };
    // Release: pairs with the Acquire above.
    let hand_on = |number: u64| ball.store(number, Ordering::Release);
    let mut chunks = std::thread::scope(|scope| {
        scope.spawn(|| {
            hold(other);
            (1..).step_by(2).take_while(|&number| came(number)).for_each(|n| hand_on(n + 1))
        });
        hold(this);
        let mut chunks = Vec::with_capacity(CHUNKS);
        let (mut number, mut ways) = (0, 0);
        let begin = Instant::now();
        while ways < CHUNKS && (chunks.is_empty() || begin.elapsed() < LIMIT) {
            let began = Instant::now();
            for _ in 0..ROUND_TRIPS {
                came(number);
                hand_on(number + 1);
                number += 2;
            }
            came(number);
            let way = began.elapsed().as_nanos() as f64 / (ROUND_TRIPS * 2) as f64;
            ways += usize::from(way < TURN);
            chunks.push(way);
        }
        hand_on(OVER);
        hold(allowed.as_ref());
        chunks
    });
    chunks.sort_by(f64::total_cmp);
    // Turns say nothing about the way, if there is anything else.
    let ways = match chunks.partition_point(|way| *way < TURN) {
        0 => chunks.len(),
        some => some,
    };
    chunks[ways / 4]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ball_comes_back() {
        let way = one_way();
        assert!(way > 0.5 && way.is_finite(), "{way}");
    }

    #[test]
    fn a_thread_that_has_played_may_use_all_its_cores_again() {
        let before = sched_getaffinity(Pid::from_raw(0)).unwrap();
        one_way();
        assert_eq!(sched_getaffinity(Pid::from_raw(0)).unwrap(), before);
        let both = two_cores(&before).map(|core| core.is_some());
        assert_eq!(both, [true, std::thread::available_parallelism().unwrap().get() > 1]);
    }

    #[test]
    fn a_link_that_changed_belongs_to_neither_class() {
        let link = |before, after| Link { before, after }.distance();
        assert_eq!(link(24.0, 26.0), Distance::Near);
        assert_eq!(link(240.0, 250.0), Distance::Far);
        assert_eq!(link(24.0, 240.0), Distance::Mixed);
    }
}
