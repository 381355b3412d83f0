//! Time, statistics, and what was measured, as figures for programs. `report` makes tables of them.

use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::operation::{Operation, Pattern};

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

    pub(crate) fn json(&self) -> Value {
        json!({ "q1": self.low, "median": self.median, "q3": self.high })
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = if self.median < 9.95 { 1 } else { 0 };
        write!(f, "{:.*} [{:.*}..{:.*}]", digits, self.median, digits, self.low, digits, self.high)
    }
}

/// The figures of one operation at one size.
pub(crate) struct Row {
    pub(crate) operation: Operation,
    pub(crate) pattern: Pattern,
    pub(crate) size: u32,
    pub(crate) columns: Vec<Column>,
    /// Nanoseconds of the lower bound, and the tree's time divided by that; no
    /// figures for operations without a lower bound.
    pub(crate) lower_bound: Spread,
    pub(crate) tree_to_lower_bound: Spread,
    /// The tree's time divided by that of the least that a table can do.
    pub(crate) tree_to_bare: Spread,
}

/// The figures of one subject.
pub(crate) struct Column {
    pub(crate) subject: &'static str,
    /// Nanoseconds per operation.
    pub(crate) time: Spread,
    /// Its time divided by that of our private table, per repetition.
    pub(crate) ratio: Spread,
    /// The same for our published table.
    pub(crate) published: Spread,
}

impl Row {
    pub(crate) fn column(&self, subject: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.subject == subject)
    }

    pub(crate) fn json(&self) -> Value {
        let columns = self.columns.iter().map(|column| {
            json!({
                "subject": column.subject,
                "ns": column.time.json(),
                "ratio_to_ours": column.ratio.json(),
                "ratio_to_published": column.published.json(),
            })
        });
        json!({
            "operation": self.operation.name(),
            "pattern": self.pattern.name(),
            "live": self.size,
            "lower_bound_ns": self.lower_bound.json(),
            "tree_to_lower_bound": self.tree_to_lower_bound.json(),
            "tree_to_bare": self.tree_to_bare.json(),
            "subjects": columns.collect::<Vec<_>>(),
        })
    }
}

/// A figure that involves a monitor.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: Spread,
    pub(crate) unit: &'static str,
    /// What was asked for.
    pub(crate) asked: &'static str,
}

impl Figure {
    pub(crate) fn json(&self) -> Value {
        json!({
            "name": self.name, "value": self.value.json(), "unit": self.unit, "asked": self.asked,
        })
    }
}

/// How the operations of several threads compare with those of one.
pub(crate) struct Scaling {
    pub(crate) name: String,
    /// Two threads' rate divided by one thread's.
    pub(crate) two: Spread,
    /// What was asked for.
    pub(crate) asked: &'static str,
    pub(crate) more: More,
}

/// What else was measured.
pub(crate) enum More {
    /// Operations per microsecond of one thread, four threads' rate divided by
    /// that, and the part of both processors that two threads had, in percent.
    Rates { one: Spread, four: Spread, share: Spread },
    /// Batches that a monitor rewrote meanwhile.
    Batches(u64),
}

impl Scaling {
    pub(crate) fn json(&self) -> Value {
        match &self.more {
            More::Rates { one, four, share } => json!({
                "name": self.name, "per_us": one.json(), "two": self.two.json(),
                "four": four.json(), "percent_of_two_processors": share.json(),
            }),
            More::Batches(count) => {
                json!({ "name": self.name, "two": self.two.json(), "batches": count })
            }
        }
    }
}
