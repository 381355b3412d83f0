//! What a look at a machine says, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;
use cap_map_rs::Slot;
use serde::{Serialize, Serializer};

use super::directory::{Kind, Life};
use super::{Machine, Standing, Table};
use crate::image::columns;
use crate::table::{escaped, json};

pub(crate) fn hexadecimal<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{number:#x}"))
}

fn maybe_hexadecimal<S: Serializer>(
    number: &Option<u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => hexadecimal(number, serializer),
        None => serializer.serialize_none(),
    }
}

/// A component with what is in its table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Component {
    /// `core`, `alive`, `dead`, `claims` to be that of a living component, or `unknown` to core.
    pub(crate) state: &'static str,
    pub(crate) label: String,
    /// `None` if the table was not found.
    #[serde(serialize_with = "maybe_hexadecimal")]
    pub(crate) address: Option<u64>,
    pub(crate) slots: u32,
    pub(crate) used: usize,
    pub(crate) detached: usize,
    pub(crate) corrupt: usize,
    /// Badges that core does not have; `None` if core's table was not found.
    pub(crate) dangling: Option<usize>,
    /// Objects in core that the component made; `None` without a directory.
    pub(crate) made: Option<usize>,
    pub(crate) one_instant: bool,
    /// Writes of the owner to its slots so far.
    pub(crate) writes: u64,
    #[serde(serialize_with = "hexadecimal")]
    pub(crate) boot: u64,
    pub(crate) instance: u64,
}

/// A slot with what core knows about its badge.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) slot: u32,
    #[serde(serialize_with = "hexadecimal")]
    selector: u64,
    pub(crate) state: &'static str,
    pub(crate) badge: u32,
    pub(crate) object: Option<String>,
    pub(crate) creator: Option<String>,
    /// Other components that hold it.
    others: usize,
}

pub(crate) fn quoted(label: &str) -> String {
    format!("\"{}\"", escaped(label))
}

pub(crate) fn yes(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

impl Machine {
    /// The components with a table, then those of which none was found.
    pub(crate) fn components(&self) -> Vec<Component> {
        let mut made: BTreeMap<usize, usize> = BTreeMap::new();
        for creator in self.objects.iter().flatten().filter_map(|(_, object)| object.creator) {
            *made.entry(creator).or_default() += 1;
        }
        let made_by = |entry: usize| made.get(&entry).copied().unwrap_or(0);
        let of_table = |table: &Table| {
            let slots = &table.picture.slots;
            let count =
                |fits: fn(&Slot) -> bool| slots.iter().filter(|(_, content)| fits(content)).count();
            let dangling = |(slot, content): &&(u32, Slot)| matches!(*content, Slot::Used(badge) if self.is_dangling(table, *slot, badge));
            Component {
                state: self.state_of(table),
                label: self.name_of(table).to_owned(),
                address: Some(table.address),
                slots: table.header.geometry.capacity,
                used: count(|content| matches!(content, Slot::Used(_))),
                detached: count(|content| matches!(content, Slot::Detached(_))),
                corrupt: count(|content| matches!(content, Slot::Corrupt)),
                dangling: self.objects.as_ref().map(|_| slots.iter().filter(dangling).count()),
                made: match table.standing {
                    Standing::Pd(entry) | Standing::Claims(entry) => {
                        self.objects.as_ref().map(|_| made_by(entry))
                    }
                    _ => None,
                },
                one_instant: table.picture.one_instant,
                writes: table.picture.stamp.sequence / 2,
                boot: table.header.identity.boot,
                instance: table.header.identity.instance,
            }
        };
        let mut components: Vec<_> = self.tables.iter().map(of_table).collect();
        let with_table: Vec<_> = self.tables.iter().map(|table| table.standing).collect();
        let pds = self.directory.iter().flat_map(|directory| directory.pds.iter().enumerate());
        let lost = pds
            .filter_map(|(entry, pd)| Some((entry, pd.as_ref()?)))
            .filter(|(entry, _)| {
                let standings = [Standing::Pd(*entry), Standing::Claims(*entry)];
                !with_table.iter().any(|standing| standings.contains(standing))
            })
            // Of the dead, only those whose objects are still there tell something.
            .filter(|(entry, pd)| pd.life == Life::Alive || made_by(*entry) != 0);
        components.extend(lost.map(|(entry, pd)| Component {
            state: if pd.life == Life::Alive { "alive" } else { "dead" },
            label: pd.label.clone(),
            address: None,
            slots: 0,
            used: 0,
            detached: 0,
            corrupt: 0,
            dangling: None,
            made: self.objects.as_ref().map(|_| made_by(entry)),
            one_instant: true,
            writes: 0,
            boot: self.directory.as_ref().map_or(0, |directory| directory.boot),
            instance: pd.instance,
        }));
        components
    }

    /// What was looked through, and what is in it.
    pub(crate) fn text(&self) -> Result<String> {
        let mut text = self.summary()?;
        let head = [
            "table",
            "state",
            "slots",
            "used",
            "detached",
            "corrupt",
            "dangling",
            "made",
            "one instant",
            "label",
        ];
        let number =
            |number: Option<usize>| number.map_or(String::new(), |number| number.to_string());
        let rows: Vec<_> = self
            .components()
            .iter()
            .map(|component| {
                let has_table = component.address.is_some();
                let of_table =
                    |count: usize| if has_table { count.to_string() } else { String::new() };
                [
                    component.address.map_or("none".to_owned(), |address| format!("{address:#x}")),
                    component.state.to_owned(),
                    of_table(component.slots as usize),
                    of_table(component.used),
                    of_table(component.detached),
                    if component.corrupt == 0 {
                        String::new()
                    } else {
                        component.corrupt.to_string()
                    },
                    number(component.dangling),
                    number(component.made),
                    if has_table { yes(component.one_instant) } else { String::new() },
                    quoted(&component.label),
                ]
            })
            .collect();
        for line in columns(&head, &["state", "one instant", "label"], &rows) {
            writeln!(text, "{line}")?;
        }
        if self.moved != 0 {
            writeln!(text, "{} regions that their owners have left for others", self.moved)?;
        }
        text += &self.remarks()?;
        Ok(text)
    }

    fn summary(&self) -> Result<String> {
        const MIB: f64 = 1048576.0;
        #[allow(clippy::cast_precision_loss)] // for people
        let [all, seen] = [self.memory, self.seen].map(|bytes| bytes as f64 / MIB);
        let mut text = format!("{all:.0} MiB of memory, {seen:.0} MiB of them with contents, ");
        writeln!(text, "looked through in {:.3} s", self.time.as_secs_f64())?;
        if self.left_out != 0 {
            writeln!(text, "mappings of more than 64 GiB are left out")?;
        }
        if let Some(directory) = &self.directory {
            let count = |life| directory.pds.iter().flatten().filter(|pd| pd.life == life).count();
            writeln!(
                text,
                "core's directory at {:#x}: boot {:#018x}, {} protection domains alive, {} dead",
                directory.address,
                directory.boot,
                count(Life::Alive),
                count(Life::Dead)
            )?;
        }
        Ok(text)
    }

    /// What is not certain.
    fn remarks(&self) -> Result<String> {
        let mut text = String::new();
        writeln!(
            text,
            "{}",
            if self.one_instant {
                "all of this is of one instant"
            } else {
                "each table is of an instant of its own"
            }
        )?;
        if self.directory.as_ref().is_some_and(|directory| !directory.one_instant) {
            writeln!(text, "core's directory was being changed")?;
        }
        for doubt in &self.doubts {
            writeln!(text, "! {doubt}")?;
        }
        Ok(text)
    }

    pub(crate) fn json(&self) -> Result<String> {
        #[derive(Serialize)]
        struct Shown<'a> {
            bytes: u64,
            bytes_with_contents: u64,
            seconds: f64,
            directory: Option<Directory>,
            moved: usize,
            components: Vec<Component>,
            one_instant: bool,
            doubts: &'a [String],
        }
        #[derive(Serialize)]
        struct Directory {
            #[serde(serialize_with = "hexadecimal")]
            address: u64,
            #[serde(serialize_with = "hexadecimal")]
            boot: u64,
            slots: u64,
            one_instant: bool,
        }
        let directory = self.directory.as_ref().map(|directory| Directory {
            address: directory.address,
            boot: directory.boot,
            slots: directory.slots,
            one_instant: directory.one_instant,
        });
        json(&Shown {
            bytes: self.memory,
            bytes_with_contents: self.seen,
            seconds: self.time.as_secs_f64(),
            directory,
            moved: self.moved,
            components: self.components(),
            one_instant: self.one_instant,
            doubts: &self.doubts,
        })
    }

    /// What core knows about a badge: its kind of object, and who made it.
    pub(crate) fn known_of(&self, badge: u32) -> (Option<String>, Option<String>) {
        let Some(object) = self.objects.as_ref().and_then(|objects| objects.get(&badge)) else {
            return (None, None);
        };
        let pds = self.directory.iter().flat_map(|directory| directory.pds.iter().flatten());
        let mut pds = pds.filter(|pd| pd.life == Life::Alive && pd.badge == u64::from(badge));
        let kind = match pds.next() {
            Some(pd) => format!("protection domain of {}", quoted(&pd.label)),
            None if object.kind == Kind::Unknown => "object".to_owned(),
            None => object.kind.name().to_owned(),
        };
        let creator = object.creator.and_then(|entry| self.directory.as_ref()?.pd(entry));
        (Some(kind), creator.map(|pd| pd.label.clone()))
    }

    /// How many living components hold each badge.
    fn holders_of_badges(&self) -> BTreeMap<u32, usize> {
        let mut count = BTreeMap::new();
        for table in self.living() {
            for (_, content) in &table.picture.slots {
                if let Slot::Used(badge) = content {
                    *count.entry(*badge).or_default() += 1;
                }
            }
        }
        count
    }

    /// The slots of the table at an address.
    pub(crate) fn rows_at(&self, address: u64) -> Vec<Row> {
        let table = self.tables.iter().find(|table| table.address == address);
        table.map_or(Vec::new(), |table| self.rows_of(table))
    }

    fn rows_of(&self, table: &Table) -> Vec<Row> {
        let holders = self.holders_of_badges();
        let is_living = self.living().any(|living| living.address == table.address);
        let row = |(slot, content): &(u32, Slot)| {
            let (state, badge) = state_and_badge(table, *slot, *content);
            // A badge that a slot has lost may be another object's by now.
            let (object, creator) =
                if state == "detached" { (None, None) } else { self.known_of(badge) };
            let is_gone = state == "used" && self.is_dangling(table, *slot, badge);
            let own = usize::from(is_living && state != "detached");
            Row {
                slot: *slot,
                selector: u64::from(*slot) << table.header.geometry.shift,
                state,
                badge,
                object: if is_gone { Some("gone".to_owned()) } else { object },
                creator,
                others: holders.get(&badge).copied().unwrap_or(0).saturating_sub(own),
            }
        };
        table.picture.slots.iter().map(row).collect()
    }

    /// The table of one component.
    pub(crate) fn component_text(&self, name: &str) -> Result<String> {
        let table = self.table_called(name)?;
        let mut text = String::new();
        writeln!(
            text,
            "table at {:#x} of {}, {}: {} slots, picture {}",
            table.address,
            quoted(self.name_of(table)),
            match self.state_of(table) {
                "unknown" => "which core does not know",
                "claims" => "as the table says, which core does not know",
                state => state,
            },
            table.header.geometry.capacity,
            if table.picture.one_instant { "of one instant" } else { "of no single instant" }
        )?;
        let own_name = table.header.identity.label();
        let is_named = self.pd_of(table).is_some() && !own_name.is_empty();
        if is_named && own_name != self.name_of(table) {
            writeln!(text, "it calls itself {}", quoted(own_name))?;
        }
        let head = ["slot", "selector", "state", "badge", "object", "made by", "other holders"];
        let rows: Vec<_> = self
            .rows_of(table)
            .into_iter()
            .map(|row| {
                [
                    row.slot.to_string(),
                    format!("{:#x}", row.selector),
                    row.state.to_owned(),
                    if row.badge == 0 { String::new() } else { row.badge.to_string() },
                    row.object.unwrap_or_default(),
                    row.creator.map_or(String::new(), |label| quoted(&label)),
                    row.others.to_string(),
                ]
            })
            .collect();
        for line in columns(&head, &["state", "object", "made by"], &rows) {
            writeln!(text, "{line}")?;
        }
        for doubt in &self.doubts {
            writeln!(text, "! {doubt}")?;
        }
        Ok(text)
    }

    pub(crate) fn component_json(&self, name: &str) -> Result<String> {
        #[derive(Serialize)]
        struct Shown<'a> {
            #[serde(serialize_with = "hexadecimal")]
            address: u64,
            state: &'static str,
            label: &'a str,
            own_label: &'a str,
            capacity: u32,
            one_instant: bool,
            attempts: u32,
            slots: Vec<Row>,
            doubts: &'a [String],
        }
        let table = self.table_called(name)?;
        json(&Shown {
            address: table.address,
            state: self.state_of(table),
            label: self.name_of(table),
            own_label: table.header.identity.label(),
            capacity: table.header.geometry.capacity,
            one_instant: table.picture.one_instant,
            attempts: table.picture.attempts,
            slots: self.rows_of(table),
            doubts: &self.doubts,
        })
    }
}

pub(super) fn state_and_badge(table: &Table, slot: u32, content: Slot) -> (&'static str, u32) {
    match content {
        Slot::Used(badge) if table.header.geometry.is_static(slot) => ("static", badge),
        Slot::Used(badge) => ("used", badge),
        Slot::Detached(badge) => ("detached", badge),
        Slot::Free | Slot::Reserved | Slot::Corrupt => ("corrupt", 0),
    }
}
