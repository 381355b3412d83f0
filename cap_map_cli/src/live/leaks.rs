//! What only grows. That nobody but core holds an object is no leak yet: its creator may be about
//! to hand it out. Growth between two marks is, if it goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::SystemTime;

use anyhow::Result;
use cap_map_rs::Slot;
use serde::{Deserialize, Serialize};

use super::Machine;
use crate::checkpoint::Refusal;
use crate::image::columns;
use crate::table::{escaped, json};

/// Counts of capabilities and objects at one time: what `leaks --json` prints, and `--since` takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Seconds since 1970.
    time: f64,
    /// Boot number of core's directory, in hexadecimal digits.
    boot: String,
    /// By components.
    components: BTreeMap<String, Held>,
    /// By creators; an empty name stands for core, and for what core does not know.
    creators: BTreeMap<String, Made>,
    /// By kinds of objects.
    kinds: BTreeMap<String, u64>,
    one_instant: bool,
    doubts: Vec<String>,
}

/// What the components of a name hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    used: u64,
    /// Slots that carry the badge of an object that is gone.
    detached: u64,
    dangling: u64,
}

/// Objects that the components of a name made, by kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Made {
    objects: BTreeMap<String, u64>,
    /// Those that are in no component's table.
    only_in_core: BTreeMap<String, u64>,
}

pub(crate) fn seconds_since_1970() -> f64 {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    time.map_or(0.0, |time| time.as_secs_f64())
}

impl Machine {
    /// Counts what there is now.
    pub(crate) fn mark(&self) -> Mark {
        let mut mark = Mark {
            time: seconds_since_1970().round(),
            boot: format!("{:#x}", self.directory.as_ref().map_or(0, |directory| directory.boot)),
            components: BTreeMap::new(),
            creators: BTreeMap::new(),
            kinds: BTreeMap::new(),
            one_instant: self.one_instant,
            doubts: self.doubts.clone(),
        };
        let mut held = BTreeSet::new();
        for table in self.living() {
            let counts = mark.components.entry(self.name_of(table).to_owned()).or_default();
            for (slot, content) in &table.picture.slots {
                match *content {
                    Slot::Used(badge) => {
                        held.insert(badge);
                        counts.used += 1;
                        counts.dangling += u64::from(self.is_dangling(table, *slot, badge));
                    }
                    Slot::Detached(_) => counts.detached += 1,
                    _ => {}
                }
            }
        }
        for (badge, object) in self.objects.iter().flatten() {
            let kind = object.kind.name();
            *mark.kinds.entry(kind.to_owned()).or_default() += 1;
            let creator = object.creator.and_then(|entry| self.directory.as_ref()?.pd(entry));
            let creator = creator.map_or(String::new(), |pd| pd.label.clone());
            let made = mark.creators.entry(creator).or_default();
            *made.objects.entry(kind.to_owned()).or_default() += 1;
            // One that was gone afterwards may have been held until then.
            if !held.contains(badge) && self.objects_afterwards.contains(badge) {
                *made.only_in_core.entry(kind.to_owned()).or_default() += 1;
            }
        }
        mark
    }
}

/// One count at two marks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// What is counted.
    what: String,
    /// Whose; empty for all.
    whose: String,
    before: u64,
    now: u64,
}

impl Row {
    fn grown(&self) -> u64 {
        self.now.saturating_sub(self.before)
    }
}

/// What has grown from one mark to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Growth {
    seconds: f64,
    /// By growth, the largest first.
    pub(crate) rows: Vec<Row>,
    one_instant: bool,
    doubts: Vec<String>,
}

impl Mark {
    /// Reads what `leaks --json` printed.
    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| {
            let lines =
                bytes.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
            let offset = lines.map(<[u8]>::len).sum::<usize>() + error.column();
            Refusal::at(offset, format!("this is no output of leaks --json: {error}")).into()
        })
    }

    pub(crate) fn json(&self) -> Result<String> {
        json(self)
    }

    /// The counts with their names.
    fn counts(&self) -> BTreeMap<(String, String), u64> {
        let mut counts = BTreeMap::new();
        let mut count = |what: &str, whose: &str, number: u64| {
            *counts.entry((what.to_owned(), whose.to_owned())).or_default() += number;
        };
        for (label, held) in &self.components {
            count("slots in use of", label, held.used);
            count("slots of dead objects of", label, held.detached);
            count("dangling badges of", label, held.dangling);
        }
        for (label, made) in &self.creators {
            for (kind, number) in &made.objects {
                count(&format!("objects ({kind}) made by"), label, *number);
            }
            for (kind, number) in &made.only_in_core {
                count(&format!("objects ({kind}) only in core, made by"), label, *number);
            }
        }
        for (kind, number) in &self.kinds {
            count(&format!("all objects ({kind})"), "", *number);
        }
        counts
    }

    /// What has grown since.
    pub(crate) fn growth_since(&self, before: &Mark) -> Growth {
        let mut doubts = self.doubts.clone();
        if self.boot != before.boot {
            doubts.push("the mark is of another boot, so that nothing can be compared".into());
        }
        let old = before.counts();
        let mut rows: Vec<_> = self
            .counts()
            .into_iter()
            .map(|(key, now)| {
                let before = old.get(&key).copied().unwrap_or(0);
                Row { what: key.0, whose: key.1, before, now }
            })
            .filter(|row| row.grown() != 0)
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.grown()));
        let seconds = self.time - before.time;
        Growth { seconds, rows, one_instant: self.one_instant && before.one_instant, doubts }
    }

    /// The counts of now: what is worth a look, not yet a leak.
    pub(crate) fn text(&self) -> Result<String> {
        let counts = self.counts().into_iter().filter(|((what, _), number)| {
            *number != 0
                && (what.contains("only in core")
                    || what.contains("dangling")
                    || what.contains("dead"))
        });
        let mut rows: Vec<_> = counts.collect();
        rows.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        let rows: Vec<_> = rows
            .into_iter()
            .map(|((what, whose), number)| [number.to_string(), what, name(&whose)])
            .collect();
        let mut text = String::new();
        for line in columns(&["now", "what", "whose"], &["what", "whose"], &rows) {
            writeln!(text, "{line}")?;
        }
        writeln!(
            text,
            "That is no leak yet. Keep the output of leaks --json, and compare later by --since."
        )?;
        remarks(&mut text, &self.doubts)?;
        Ok(text)
    }
}

fn name(label: &str) -> String {
    if label.is_empty() { "core, or unknown".to_owned() } else { format!("\"{}\"", escaped(label)) }
}

fn remarks(text: &mut String, doubts: &[String]) -> Result<()> {
    for doubt in doubts {
        writeln!(text, "! {doubt}")?;
    }
    Ok(())
}

impl Growth {
    pub(crate) fn text(&self) -> Result<String> {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                let whose =
                    if row.what.starts_with("all ") { String::new() } else { name(&row.whose) };
                let [before, now, grown] = [row.before, row.now, row.grown()];
                [format!("+{grown}"), before.to_string(), now.to_string(), row.what.clone(), whose]
            })
            .collect();
        let mut text = String::new();
        for line in columns(&["grown", "before", "now", "what", "whose"], &["what", "whose"], &rows)
        {
            writeln!(text, "{line}")?;
        }
        let grown = if rows.is_empty() { "nothing has grown" } else { "what has grown" };
        writeln!(text, "{grown} in {:.1} s", self.seconds)?;
        remarks(&mut text, &self.doubts)?;
        Ok(text)
    }

    pub(crate) fn json(&self) -> Result<String> {
        json(self)
    }
}
