//! What differs between two images.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::text::object;
use super::{Image, Row};

/// What came, went, and changed from one image to another, by slots.
#[derive(Debug, Serialize)]
pub(crate) struct Difference {
    came: Vec<Row>,
    went: Vec<Row>,
    changed: Vec<(Row, Row)>,
}

/// Compares two images. Badges are other ones in each system, so they may be left aside.
pub(crate) fn diff(before: &Image, after: &Image, ignore_badges: bool) -> Difference {
    let by_slot = |image: &Image| -> BTreeMap<u32, Row> {
        image.rows.iter().map(|row| (row.slot, row.clone())).collect()
    };
    let (before, mut after) = (by_slot(before), by_slot(after));
    let mut difference = Difference { came: vec![], went: vec![], changed: vec![] };
    for (slot, old) in before {
        match after.remove(&slot) {
            None => difference.went.push(old),
            Some(mut new) => {
                if ignore_badges {
                    new.badge = old.badge;
                }
                if new != old {
                    difference.changed.push((old, new));
                }
            }
        }
    }
    difference.came = after.into_values().collect();
    difference
}

impl Difference {
    pub(crate) fn is_empty(&self) -> bool {
        self.came.is_empty() && self.went.is_empty() && self.changed.is_empty()
    }

    /// One line for each slot, and a last one that counts them.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        for row in &self.went {
            writeln!(text, "- slot {}: {}", row.slot, known(row))?;
        }
        for row in &self.came {
            writeln!(text, "+ slot {}: {}", row.slot, known(row))?;
        }
        for (old, new) in &self.changed {
            let facts = facts(old).into_iter().zip(facts(new));
            let changes: Vec<_> = facts
                .filter(|(old, new)| old != new)
                .map(|(old, new)| {
                    let [old, new] = [old, new].map(|fact| fact.unwrap_or("nothing".into()));
                    format!("{old} -> {new}")
                })
                .collect();
            writeln!(text, "~ slot {}: {}", old.slot, changes.join(", "))?;
        }
        writeln!(
            text,
            "{} came, {} went, {} changed",
            self.came.len(),
            self.went.len(),
            self.changed.len()
        )?;
        Ok(text)
    }
}

fn known(row: &Row) -> String {
    facts(row).into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The same facts in the same order for each row.
fn facts(row: &Row) -> [Option<String>; 4] {
    [
        Some(row.state.name().to_owned()),
        (row.badge != 0).then(|| format!("badge {}", row.badge)),
        row.references.map(|count| format!("{count} references")),
        row.object.as_ref().map(object),
    ]
}
