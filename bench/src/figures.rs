//! What was measured, as figures for programs. `report` makes tables of the same.

use serde_json::{Value, json};

use crate::measure::Spread;
use crate::operation::{Operation, Pattern};

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

/// How the dispatches of several threads compare with those of one.
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
    /// Dispatches per microsecond of one thread, four threads' rate divided by
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
