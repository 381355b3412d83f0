//! Whether the parts of an image agree with each other, and what differs between two images.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;

use serde::Serialize;

use super::text::object;
use super::{Image, Row, State, Target, UNKNOWN_CREATOR, kind_name};
use crate::checkpoint::component::Component;
use crate::checkpoint::{Checkpoint, ObjectState, RESERVED};
use crate::table::{Table, escaped};

/// What came, went, and changed from one image to another, by slots.
#[derive(Debug, Serialize)]
pub(crate) struct Difference {
    came: Vec<Row>,
    went: Vec<Row>,
    changed: Vec<(Row, Row)>,
    /// What is not about a slot.
    facts: Vec<Fact>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Fact {
    name: String,
    before: String,
    after: String,
}

/// Compares two images. Badges are other ones in each system, so they may be left aside.
pub(crate) fn diff(before: &Image, after: &Image, ignore_badges: bool) -> Difference {
    let general =
        general_facts(before, ignore_badges).into_iter().zip(general_facts(after, ignore_badges));
    let general =
        general.map(|((name, before), (_, after))| Fact { name: name.to_owned(), before, after });
    let facts =
        general.chain(records(before, after)).filter(|fact| fact.before != fact.after).collect();
    let by_slot = |image: &Image| -> BTreeMap<(Option<String>, u32), Row> {
        image.rows.iter().map(|row| ((row.member.clone(), row.slot), row.clone())).collect()
    };
    let (before, mut after) = (by_slot(before), by_slot(after));
    let mut difference = Difference { came: vec![], went: vec![], changed: vec![], facts };
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

/// The records of two components by name, in the order of the first, then of the second.
fn records(before: &Image, after: &Image) -> Vec<Fact> {
    let of = |image: &Image| {
        let mut facts = image.component.as_ref().map_or_else(Vec::new, Component::facts);
        facts
            .extend(image.tables().filter_map(|(member, table)| Some(table_facts(member?, table))));
        facts
    };
    let mut rest: HashMap<_, _> = of(after).into_iter().collect();
    let nothing = || "nothing".to_owned();
    let mut facts: Vec<_> = of(before)
        .into_iter()
        .map(|(name, before)| {
            let after = rest.remove(&name).unwrap_or_else(nothing);
            Fact { name, before, after }
        })
        .collect();
    let new = of(after).into_iter().filter(|(name, _)| rest.contains_key(name));
    facts.extend(new.map(|(name, after)| Fact { name, before: nothing(), after }));
    facts
}

/// What the header of a member's table says.
fn table_facts(member: &str, table: &Table) -> (String, String) {
    let (identity, geometry) = (&table.header.identity, &table.header.geometry);
    let label = escaped(identity.label());
    let (slots, first, boot) = (geometry.capacity, geometry.first_user, identity.boot);
    let facts = format!(
        "label \"{label}\", {slots} slots, {first} static, boot {boot:#x}, instance {}",
        identity.instance
    );
    (format!("table of \"{}\"", escaped(member)), facts)
}

/// What an image says besides its slots: the same names in the same order for each.
fn general_facts(image: &Image, ignore_badges: bool) -> Vec<(&'static str, String)> {
    let header = &image.table.header;
    let (identity, geometry) = (&header.identity, &header.geometry);
    let of_image = |fact: fn(&Checkpoint) -> String| {
        image.checkpoint.as_ref().map_or("unknown".to_owned(), fact)
    };
    let sum = |bytes: &[u8]| format!("CRC-32 {:#010x}", crc32fast::hash(bytes));
    let mut facts = vec![
        ("label", format!("\"{}\"", escaped(identity.label()))),
        ("kind", kind_name(header.kind).to_owned()),
        ("slots", geometry.capacity.to_string()),
        ("static slots", geometry.first_user.to_string()),
        ("bits of badges", geometry.badge_bits.to_string()),
        ("boot", format!("{:#x}", identity.boot)),
        ("instance", identity.instance.to_string()),
        ("program", of_image(|image| format!("{:#010x}", image.meta.program.crc32))),
        ("seed", of_image(|image| image.meta.seed.to_string())),
        ("migrations before", of_image(|image| image.meta.rounds.to_string())),
        ("entrypoints", of_image(|image| image.meta.entrypoints.to_string())),
        ("memory", image.checkpoint.as_ref().map_or("unknown".into(), |image| sum(&image.image))),
        ("clients", image.section("clients").map_or("unknown".into(), sum)),
    ];
    if !ignore_badges {
        facts.push(("protection domain", identity.pd.to_string()));
        facts.push(("parent", identity.parent.to_string()));
    }
    facts
}

impl Difference {
    pub(crate) fn is_empty(&self) -> bool {
        self.came.is_empty()
            && self.went.is_empty()
            && self.changed.is_empty()
            && self.facts.is_empty()
    }

    /// One line for each slot, and a last one that counts them.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        for Fact { name, before, after } in &self.facts {
            writeln!(text, "~ {name}: {before} -> {after}")?;
        }
        for row in &self.went {
            writeln!(text, "- {}: {}", row.place(), known(row))?;
        }
        for row in &self.came {
            writeln!(text, "+ {}: {}", row.place(), known(row))?;
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
            writeln!(text, "~ {}: {}", old.place(), changes.join(", "))?;
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
    facts(row).into_iter().skip(1).flatten().collect::<Vec<_>>().join(", ")
}

/// The same facts in the same order for each row.
fn facts(row: &Row) -> [Option<String>; 5] {
    [
        Some(format!("selector {:#x}", row.selector)),
        Some(row.state.name().to_owned()),
        row.state.has_badge().then(|| format!("badge {}", row.badge)),
        row.references.map(|count| format!("{count} references")),
        row.object.as_ref().map(object),
    ]
}

/// What is wrong with an image whose structure and checksums are right.
pub(crate) fn verify(image: &Image) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = HashMap::new();
    for row in &image.rows {
        let place = row.place();
        if row.state == State::Corrupt {
            faults.push(format!("{place}: is corrupt"));
        } else if row.state.is_found()
            && let Some(other) = seen.insert((&row.member, row.badge), row.slot)
        {
            faults.push(format!("{place}: has badge {} of slot {other}", row.badge));
        }
    }
    for (member, table) in image.tables() {
        let of_member = member.map_or(String::new(), |name| format!(" of \"{}\"", escaped(name)));
        for slot in &table.behind_mark {
            let reason = "is not zero, but behind the high-water mark";
            faults.push(format!("slot {slot}{of_member}: {reason}"));
        }
    }
    if let Some(component) = &image.component {
        check_badges(image, component, &mut faults);
    }
    if let Some(checkpoint) = &image.checkpoint {
        check_slots(image, checkpoint, &mut faults);
        check_clients(image, checkpoint, &mut faults);
    }
    faults
}

/// Whether the members of a unit know each object by one badge, and no others by it.
fn check_badges(image: &Image, component: &Component, faults: &mut Vec<String>) {
    if !component.is_unit() {
        return;
    }
    // There is an object for each row with a badge, in the same order.
    let rows = image.rows.iter().filter(|row| row.state.has_badge());
    let objects = rows.zip(&component.objects).filter(|(_, object)| object.has_record());
    let (mut by_badge, mut by_object) = (HashMap::new(), HashMap::new());
    for (row, object) in objects {
        let (place, key) = (row.place(), (object.kind, object.number));
        let (other, before) = by_badge.entry(row.badge).or_insert((key, place.clone()));
        if *other != key {
            let badge = row.badge;
            faults.push(format!("{place}: has badge {badge} of {before}, which leads elsewhere"));
        }
        let (badge, before) = by_object.entry(key).or_insert((row.badge, place.clone()));
        if *badge != row.badge {
            faults.push(format!(
                "{place}: has not badge {badge} of {before}, which leads there, too"
            ));
        }
    }
}

/// References and objects of the slots.
fn check_slots(image: &Image, checkpoint: &Checkpoint, faults: &mut Vec<String>) {
    let rows: HashMap<_, _> = image.rows.iter().map(|row| (row.slot, row)).collect();
    for (slot, count) in (0u32..).zip(&checkpoint.references) {
        let row = rows.get(&slot);
        if *count != 0 && row.is_none() {
            faults.push(format!("slot {slot}: is free, but has {count} references"));
        }
        if row.is_some_and(|row| lacks_holder(row)) {
            faults.push(format!("slot {slot}: nobody has a reference to it"));
        }
        if *count == RESERVED && row.is_some_and(|row| row.state.has_badge()) {
            faults.push(format!("slot {slot}: carries a badge, but is said to be reserved"));
        }
    }
    let mut seen = HashMap::new();
    for row in &image.rows {
        let slot = row.slot;
        match &row.object {
            Some(Target::Gate { creator, entrypoint, name }) => {
                if creator == "target" && *entrypoint >= checkpoint.meta.entrypoints {
                    faults.push(format!("slot {slot}: there is no entrypoint {entrypoint}"));
                }
                if creator.starts_with(UNKNOWN_CREATOR) {
                    faults.push(format!("slot {slot}: nobody knows {creator}"));
                }
                if let Some(other) = seen.insert((creator, name), slot) {
                    faults.push(format!("slot {slot}: leads to the object of slot {other}"));
                }
            }
            Some(Target::Thread) if row.state != State::Static => {
                faults.push(format!("slot {slot}: leads to a thread"));
            }
            _ => {}
        }
    }
}

fn lacks_holder(row: &Row) -> bool {
    matches!(row.state, State::Used | State::Detached) && row.references == Some(0)
}

/// What the clients expect of the component.
fn check_clients(image: &Image, checkpoint: &Checkpoint, faults: &mut Vec<String>) {
    let served: HashSet<_> = image
        .rows
        .iter()
        .filter_map(|row| match &row.object {
            Some(Target::Gate { creator, name, .. }) if creator == "target" => Some(*name),
            _ => None,
        })
        .collect();
    let own: HashSet<u64> = checkpoint.clients.own_objects().collect();
    for row in &image.rows {
        if let Some(Target::Gate { creator, name, .. }) = &row.object
            && creator == "clients"
            && !own.contains(name)
        {
            faults
                .push(format!("slot {}: leads to object {name:#x}, which no client has", row.slot));
        }
    }
    let mut known = HashSet::new();
    for ObjectState { name, .. } in checkpoint.clients.objects() {
        if !served.contains(&name) {
            faults.push(format!("object {name:#x} of a client: no slot leads to it"));
        }
        if !known.insert(name) {
            faults.push(format!("object {name:#x} of a client: occurs twice"));
        }
    }
}
