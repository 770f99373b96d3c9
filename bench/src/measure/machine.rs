//! The machine: what it is, and what it and this process did during a measurement.

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeVal;
use procfs::{Current, CurrentSI, KernelStats};
use serde::{Deserialize, Serialize};

/// What a run was made on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// The kernel's version.
    pub kernel: String,
    /// Whether the system gives huge pages unasked: "always", "madvise" or "never".
    pub huge_pages: String,
}

impl Machine {
    /// This one. What cannot be found out is "unknown".
    #[must_use]
    pub fn this() -> Self {
        let unknown = || "unknown".to_owned();
        let processor = procfs::CpuInfo::current().ok();
        let processor = processor.and_then(|info| info.model_name(0).map(str::to_owned));
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok();
        let huge = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").ok();
        let chosen = |text: String| {
            let (_, rest) = text.split_once('[')?;
            Some(rest.split_once(']')?.0.to_owned())
        };
        Self {
            processor: processor.unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: kernel.map_or_else(unknown, |text| text.trim().to_owned()),
            huge_pages: huge.and_then(chosen).unwrap_or_else(unknown),
        }
    }
}

/// The figures of a moment.
pub struct Moment {
    usage: Option<Usage>,
    /// Seconds of processor time of this process, and of those that it has waited for.
    used: f64,
    load: Option<Load>,
}

/// Seconds of all cores together since the machine was started.
struct Load {
    busy: f64,
    all: f64,
}

/// What happened between two moments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Between {
    /// Page faults of this process.
    pub page_faults: u64,
    /// The part of the machine that other processes had, from 0 to 1. The system counts in hundredths of a
    /// second, so for a short time it is coarse.
    pub others: f64,
    /// The most memory that this process ever had, in bytes.
    pub peak_memory: u64,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
        let children = getrusage(UsageWho::RUSAGE_CHILDREN).ok();
        let time = |usage: &Usage| seconds(usage.user_time()) + seconds(usage.system_time());
        let used = usage.iter().chain(&children).map(time).sum();
        let load = KernelStats::current().ok().map(|stats| {
            let total = stats.total;
            let idle = total.idle_ms() + total.iowait_ms().unwrap_or(0);
            let stolen = total.steal_ms().unwrap_or(0);
            let busy = total.user_ms() + total.nice_ms() + total.system_ms();
            let busy =
                busy + total.irq_ms().unwrap_or(0) + total.softirq_ms().unwrap_or(0) + stolen;
            Load { busy: busy as f64 / 1e3, all: (busy + idle) as f64 / 1e3 }
        });
        Self { usage, used, load }
    }

    /// What happened since.
    pub fn until(&self, later: &Self) -> Between {
        let mut between = Between::default();
        let own = later.used - self.used;
        if let (Some(before), Some(after)) = (&self.usage, &later.usage) {
            let faults = |usage: &Usage| usage.minor_page_faults() + usage.major_page_faults();
            between.page_faults = (faults(after) - faults(before)).unsigned_abs();
            between.peak_memory = after.max_rss().unsigned_abs() * 1024;
        }
        if let (Some(before), Some(after)) = (&self.load, &later.load) {
            let all = after.all - before.all;
            if all > 0.0 {
                between.others = ((after.busy - before.busy - own) / all).clamp(0.0, 1.0);
            }
        }
        between
    }
}

/// The memory that this process has now, in bytes; 0 if the system does not tell.
pub fn resident() -> u64 {
    let pages = procfs::process::Process::myself().and_then(|this| this.statm());
    pages.map_or(0, |pages| pages.resident * procfs::page_size())
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_and_memory_are_those_of_this_process() {
        let before = Moment::now();
        let mut pages = Vec::<u8>::with_capacity(64 << 20);
        pages.resize(64 << 20, 1);
        let pages = std::hint::black_box(pages);
        let between = before.until(&Moment::now());
        assert!(resident() >= 64 << 20, "{}", resident());
        drop(pages);
        // By huge pages there are fewer, but not none.
        assert!(between.page_faults >= 32, "{between:?}");
        assert!(between.peak_memory >= 64 << 20, "{between:?}");
        assert!((0.0..=1.0).contains(&between.others), "{between:?}");
    }

    #[test]
    fn this_machine_has_a_name() {
        assert_ne!(Machine::this().kernel, "unknown");
    }
}
