//! Who holds what from whom.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;
use cap_map_rs::Slot;
use serde::Serialize;

use super::report::{hexadecimal, quoted, state_and_badge, yes};
use super::{Machine, Standing};
use crate::image::columns;
use crate::table::json;

/// A component that holds a badge.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Holder {
    pub(crate) state: &'static str,
    pub(crate) label: String,
    slot: u32,
    #[serde(serialize_with = "hexadecimal")]
    selector: u64,
    slot_state: &'static str,
    one_instant: bool,
}

/// Who holds a badge, and from whom it is.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Holders {
    pub(crate) badge: u32,
    /// `None` if core has no such object, or core's table was not found.
    pub(crate) object: Option<String>,
    pub(crate) creator: Option<String>,
    core_slot: Option<u32>,
    pub(crate) holders: Vec<Holder>,
    one_instant: bool,
    doubts: Vec<String>,
}

impl Machine {
    /// Who holds a badge.
    pub(crate) fn holders(&self, badge: u32) -> Holders {
        let (object, creator) = self.known_of(badge);
        let core_slot = self.objects.as_ref().and_then(|objects| objects.get(&badge));
        let mut holders = Vec::new();
        for table in self.tables.iter().filter(|table| table.standing != Standing::Core) {
            for (slot, content) in &table.picture.slots {
                let (slot_state, carried) = state_and_badge(table, *slot, *content);
                if carried == badge && badge != 0 {
                    holders.push(Holder {
                        state: self.state_of(table),
                        label: self.name_of(table).to_owned(),
                        slot: *slot,
                        selector: u64::from(*slot) << table.header.geometry.shift,
                        slot_state,
                        one_instant: table.picture.one_instant,
                    });
                }
            }
        }
        Holders {
            badge,
            object,
            creator,
            core_slot: core_slot.map(|object| object.slot),
            holders,
            one_instant: self.one_instant,
            doubts: self.doubts.clone(),
        }
    }
}

impl Machine {
    /// Who holds how many objects made by whom, as a graph in Graphviz's language.
    pub(crate) fn dot(&self) -> String {
        let mut edges: BTreeMap<(String, String), usize> = BTreeMap::new();
        let objects = self.objects.as_ref();
        for table in self.living() {
            for (_, content) in &table.picture.slots {
                let Slot::Used(badge) = content else { continue };
                let Some(object) = objects.and_then(|objects| objects.get(badge)) else { continue };
                let creator = object.creator.and_then(|entry| self.directory.as_ref()?.pd(entry));
                let creator = creator.map_or("core", |pd| &pd.label);
                let edge = (creator.to_owned(), self.name_of(table).to_owned());
                *edges.entry(edge).or_default() += 1;
            }
        }
        let mut text = "digraph capabilities {\n  rankdir=LR; node [shape=box];\n".to_owned();
        for ((creator, holder), count) in edges {
            // A component needs no arrow to itself.
            if creator != holder {
                text +=
                    &format!("  {} -> {} [label=\"{count}\"];\n", node(&creator), node(&holder));
            }
        }
        text + "}\n"
    }
}

/// A label as the name of a node. Graphviz takes a backslash for an escape of its own.
fn node(label: &str) -> String {
    quoted(label).replace('\\', "\\\\")
}

impl Holders {
    /// What stands in front of the list of holders.
    pub(crate) fn headline(&self) -> String {
        let made = match &self.creator {
            Some(label) => format!(" made by {}", quoted(label)),
            None => String::new(),
        };
        match (&self.object, self.core_slot) {
            (Some(object), Some(slot)) => {
                format!("badge {}: {object}{made}, slot {slot} of core", self.badge)
            }
            _ => format!("badge {}: core has no such object, as far as can be seen", self.badge),
        }
    }

    pub(crate) fn text(&self) -> Result<String> {
        let mut text = self.headline();
        text.push('\n');
        let head = ["slot", "selector", "slot's state", "holder is", "one instant", "holder"];
        let rows: Vec<_> = self
            .holders
            .iter()
            .map(|holder| {
                [
                    holder.slot.to_string(),
                    format!("{:#x}", holder.selector),
                    holder.slot_state.to_owned(),
                    holder.state.to_owned(),
                    yes(holder.one_instant),
                    quoted(&holder.label),
                ]
            })
            .collect();
        if rows.is_empty() {
            writeln!(text, "nobody holds it")?;
        } else {
            for line in
                columns(&head, &["slot's state", "holder is", "one instant", "holder"], &rows)
            {
                writeln!(text, "{line}")?;
            }
        }
        for doubt in &self.doubts {
            writeln!(text, "! {doubt}")?;
        }
        Ok(text)
    }

    pub(crate) fn json(&self) -> Result<String> {
        json(self)
    }
}
