//! Time and statistics.

use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// How much is measured.
pub(crate) struct Effort {
    /// Interleaved repetitions.
    pub(crate) repetitions: usize,
    /// Processor time of one measurement: short enough to be rarely interrupted.
    pub(crate) batch: Duration,
    /// Wall time of one measurement with several threads.
    pub(crate) threaded: Duration,
    /// Whether only a few sizes are measured.
    pub(crate) quick: bool,
}

impl Effort {
    pub(crate) fn new(quick: bool, repetitions: usize) -> Self {
        let (repetitions, batch, threaded) =
            if quick { (3, 40, 4) } else { (repetitions.max(1), 250, 40) };
        Effort {
            repetitions,
            batch: Duration::from_micros(batch),
            threaded: Duration::from_millis(threaded),
            quick,
        }
    }

    /// Live capabilities, and slots of the table.
    pub(crate) fn sizes(&self) -> Vec<(u32, u32)> {
        use crate::ops::{COMPONENT, CORE};
        let all = [
            (16, COMPONENT),
            (256, COMPONENT),
            (1024, COMPONENT),
            (3500, COMPONENT),
            (32_000, CORE),
            (100_000, CORE),
        ];
        all.into_iter().filter(|(size, _)| !self.quick || [16, 3500].contains(size)).collect()
    }
}

/// Processor time of this thread.
pub(crate) fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Keeps this thread on one processor, if the machine has it and allows that.
pub(crate) fn pin(processor: usize) {
    let mut set = CpuSet::new();
    if set.set(processor).is_ok() && sched_setaffinity(Pid::from_raw(0), &set).is_err() {
        eprintln!("bench: not pinned to processor {processor}");
    }
}

/// Median and quartiles.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |quarter: usize| {
            let last = values.len().saturating_sub(1);
            values.get(last * quarter / 4).copied().unwrap_or(f64::NAN)
        };
        Spread { low: at(1), median: at(2), high: at(3) }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({ "q1": self.low, "median": self.median, "q3": self.high })
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = if self.median < 9.95 { 1 } else { 0 };
        write!(f, "{:.*} [{:.*}..{:.*}]", digits, self.median, digits, self.low, digits, self.high)
    }
}
