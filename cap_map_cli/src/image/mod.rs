//! Looking into checkpoint and table files, without starting anything.

mod compare;
mod component;
mod names;
mod text;

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cap_map_rs::{Header, Kind, Slot};
use clap::ValueEnum;
use serde::Serialize;

pub(crate) use self::compare::{Difference, diff, verify};
pub(crate) use self::text::columns;
use crate::checkpoint::component::{Chain, Component, Container, Rest};
use crate::checkpoint::{
    Checkpoint, Meta, Object, RESERVED, Refusal, Section, container, read_file,
};
use crate::table::{self, Table, escaped};
use crate::wire::{COMPONENT_CLIENTS, COMPONENT_CORE, COMPONENT_MONITOR, COMPONENT_TARGET};

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Carries a badge, and is one of the slots with a fixed number
    Static,
    /// Carries a badge
    Used,
    /// Carried a badge until its object died
    Detached,
    /// Allocated without a badge; only a checkpoint knows
    Reserved,
    /// Holds what no correct writer produces
    Corrupt,
}

impl State {
    /// Whether the slot carries a badge that finds it.
    pub(crate) fn is_found(self) -> bool {
        matches!(self, State::Static | State::Used)
    }

    /// Whether the slot carries a badge, whatever its number is.
    pub(crate) fn has_badge(self) -> bool {
        self.is_found() || self == State::Detached
    }

    fn name(self) -> &'static str {
        match self {
            State::Static => "static",
            State::Used => "used",
            State::Detached => "detached",
            State::Reserved => "reserved",
            State::Corrupt => "corrupt",
        }
    }
}

/// In front of the number of a component that is none of the testbed's.
const UNKNOWN_CREATOR: &str = "component ";

/// What a slot leads to, according to kernel and core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Target {
    Gate {
        creator: String,
        entrypoint: u32,
        #[serde(serialize_with = "hexadecimal")]
        name: u64,
    },
    /// An object that a record of a component's image is about.
    Record {
        what: &'static str,
        number: u32,
        name: String,
    },
    Dead,
    Thread,
}

impl From<Object> for Target {
    fn from(object: Object) -> Self {
        match object {
            Object::Dead => Target::Dead,
            Object::Thread => Target::Thread,
            Object::Gate { creator, entrypoint, name } => {
                let creator = match creator {
                    COMPONENT_CORE => "core".to_owned(),
                    COMPONENT_TARGET => "target".to_owned(),
                    COMPONENT_CLIENTS => "clients".to_owned(),
                    COMPONENT_MONITOR => "monitor".to_owned(),
                    number => format!("{UNKNOWN_CREATOR}{number}"),
                };
                Target::Gate { creator, entrypoint, name }
            }
        }
    }
}

/// Readers of JSON often know numbers of 53 bits only.
fn hexadecimal<S: serde::Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{number:#x}"))
}

/// One slot that is not free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// Name of the member of a unit whose slot it is, none for the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) member: Option<String>,
    pub(crate) slot: u32,
    pub(crate) selector: u64,
    pub(crate) state: State,
    /// Zero for a slot without a badge.
    pub(crate) badge: u32,
    /// References of the component, which only a checkpoint has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) references: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) object: Option<Target>,
}

impl Row {
    /// The slot, for people.
    fn place(&self) -> String {
        let slot = self.slot;
        let of_member = |name: &String| format!("slot {slot} of \"{}\"", escaped(name));
        self.member.as_ref().map_or_else(|| format!("slot {slot}"), of_member)
    }
}

/// The containers of a component's image, and what they are followed by.
#[derive(Serialize)]
pub(crate) struct Containers {
    pub(crate) containers: Vec<Container>,
    /// Bytes of an earlier chain.
    pub(crate) left_over: usize,
}

/// What a file holds.
pub(crate) struct Image {
    bytes: Vec<u8>,
    /// Where the sections of a checkpoint are: in the last container, if there are several.
    container: Range<usize>,
    /// Of a unit, the table of the root.
    pub(crate) table: Table,
    /// Members of a unit besides the root: name, and table of one that executes.
    others: Vec<(String, Option<Table>)>,
    /// What a file has that is a checkpoint of the testbed.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// What a file has that is the image of a Genode component.
    pub(crate) component: Option<Component>,
    pub(crate) containers: Option<Containers>,
    pub(crate) rows: Vec<Row>,
}

/// Which slots to show. Empty lists mean all.
#[derive(Default)]
pub(crate) struct Choice {
    pub(crate) slots: Vec<u32>,
    pub(crate) badges: Vec<u32>,
    pub(crate) states: Vec<State>,
}

impl Choice {
    fn is_all(&self) -> bool {
        self.slots.is_empty() && self.badges.is_empty() && self.states.is_empty()
    }

    fn has(&self, row: &Row) -> bool {
        fn allows<T: PartialEq>(list: &[T], value: &T) -> bool {
            list.is_empty() || list.contains(value)
        }
        allows(&self.slots, &row.slot)
            && allows(&self.badges, &row.badge)
            && allows(&self.states, &row.state)
    }
}

impl Image {
    /// Reads a file, and checks all that a restore would check of it. Of a chain, so many containers
    /// are looked at.
    pub(crate) fn load(path: &Path, most: Option<usize>) -> Result<Self> {
        let shown = || path.display().to_string();
        let image = Self::decode(read_file(path)?, most).with_context(shown)?;
        let count = image.containers.as_ref().map_or(0, |found| found.containers.len());
        has_containers(count, most).with_context(shown)?;
        Ok(image)
    }

    pub(crate) fn decode(bytes: Vec<u8>, most: Option<usize>) -> Result<Self, Refusal> {
        let refused = |status: cap_map_rs::Status| Refusal::at(0, status.message());
        if !bytes.starts_with(&container::MAGIC) {
            let table = table::read(&bytes).map_err(refused)?;
            return Ok(Image::new(bytes, table, Vec::new(), None, None));
        }
        if is_component(&bytes)? {
            let chain = chain(&bytes, most)?;
            let (containers, place) = (Containers::of(&chain), chain.place_of_last());
            let (component, tables) = chain.into_component()?;
            let others = (1..).zip(tables.others);
            let others =
                others.filter_map(|(i, table)| Some((component.name_of_member(i)?, table)));
            let others = others.collect();
            let image = Image::new(bytes, tables.root, others, None, Some(component));
            return Ok(Image { container: place, containers: Some(containers), ..image });
        }
        let checkpoint = Checkpoint::decode(&bytes)?;
        let table = table::read(&checkpoint.table).map_err(refused)?;
        Ok(Image::new(bytes, table, Vec::new(), Some(checkpoint), None))
    }

    fn new(
        bytes: Vec<u8>,
        table: Table,
        others: Vec<(String, Option<Table>)>,
        checkpoint: Option<Checkpoint>,
        component: Option<Component>,
    ) -> Self {
        let container = 0..bytes.len();
        let rows = Vec::new();
        let mut image = Image {
            bytes,
            container,
            table,
            others,
            checkpoint,
            component,
            containers: None,
            rows,
        };
        image.rows = rows_of(&image);
        image
    }

    /// All tables, each with the name of the member, none for the root.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (Option<&str>, &Table)> {
        let others = self.others.iter();
        let others = others.filter_map(|(name, table)| Some((Some(&**name), table.as_ref()?)));
        std::iter::once((None, &self.table)).chain(others)
    }

    /// The bytes of one section of a checkpoint.
    pub(crate) fn section(&self, name: &str) -> Result<&[u8]> {
        let sections = self.sections()?;
        let names: Vec<_> = sections.iter().map(|section| escaped(section.name)).collect();
        let found = sections.iter().find(|section| section.name == name);
        let found =
            found.with_context(|| format!("no section \"{name}\", only {}", names.join(", ")))?;
        Ok(found.bytes)
    }

    /// Whether the file holds more than a table.
    fn is_checkpoint(&self) -> bool {
        self.checkpoint.is_some() || self.component.is_some()
    }

    /// None for a file with a table only.
    fn sections(&self) -> Result<Vec<Section<'_>>, Refusal> {
        if self.is_checkpoint() {
            container::decode(&self.bytes[self.container.clone()])
        } else {
            Ok(Vec::new())
        }
    }

    /// The chosen slots and the facts about all as JSON, in one line.
    pub(crate) fn json(&self, choice: &Choice) -> Result<String> {
        #[derive(Serialize)]
        struct Shown<'a> {
            format: Option<u32>,
            meta: Option<&'a Meta>,
            #[serde(flatten)]
            component: Option<&'a Component>,
            #[serde(flatten)]
            containers: Option<&'a Containers>,
            #[serde(flatten)]
            table: Facts<'a>,
            /// Those of the other members of a unit.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            tables: Vec<Facts<'a>>,
            slots: Vec<&'a Row>,
        }
        let mut tables = self.tables().map(|(member, table)| Facts::of(member, &table.header));
        let shown = Shown {
            format: self.is_checkpoint().then_some(container::VERSION),
            meta: self.checkpoint.as_ref().map(|checkpoint| &checkpoint.meta),
            component: self.component.as_ref(),
            containers: self.containers.as_ref(),
            table: tables.next().unwrap_or_else(|| Facts::of(None, &self.table.header)),
            tables: tables.collect(),
            slots: self.rows.iter().filter(|row| choice.has(row)).collect(),
        };
        table::json(&shown)
    }
}

/// What the header of a table says.
#[derive(Serialize)]
struct Facts<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<&'a str>,
    label: &'a str,
    kind: &'static str,
    capacity: u32,
    first_user: u32,
    badge_bits: u32,
    #[serde(serialize_with = "hexadecimal")]
    boot: u64,
    instance: u64,
    pd: u32,
    parent: u32,
}

impl<'a> Facts<'a> {
    fn of(member: Option<&'a str>, header: &'a Header) -> Self {
        Facts {
            member,
            label: header.identity.label(),
            kind: kind_name(header.kind),
            capacity: header.geometry.capacity,
            first_user: header.geometry.first_user,
            badge_bits: header.geometry.badge_bits,
            boot: header.identity.boot,
            instance: header.identity.instance,
            pd: header.identity.pd,
            parent: header.identity.parent,
        }
    }
}

impl Containers {
    fn of(chain: &Chain<'_>) -> Self {
        let left_over = if chain.rest == Rest::LeftOver { chain.bytes_behind() } else { 0 };
        Containers { containers: chain.containers(), left_over }
    }
}

/// Whether a file holds the image of a component, maybe with increments behind it.
fn is_component(bytes: &[u8]) -> Result<bool, Refusal> {
    let sections = container::decode(&bytes[..container::extent(bytes)])?;
    Ok(Component::is_in(&sections))
}

/// The chain at the start of the bytes, with nothing behind it that is damaged.
fn chain(bytes: &[u8], most: Option<usize>) -> Result<Chain<'_>, Refusal> {
    let chain = Chain::decode(bytes, most.unwrap_or(usize::MAX))?;
    match &chain.rest {
        Rest::Damaged(Refusal { offset, reason }) => {
            let intact = chain.containers().len();
            let reason = format!("{reason}; intact containers in front of that: {intact}");
            Err(Refusal { offset: *offset, reason })
        }
        Rest::Nothing | Rest::LeftOver => Ok(chain),
    }
}

/// Fails if there are fewer containers than those that are wanted.
fn has_containers(count: usize, most: Option<usize>) -> Result<()> {
    let most = most.unwrap_or(0);
    ensure!(count >= most, "there are not {most} containers, but {count}");
    Ok(())
}

/// A complete image of a chain: its bytes, and the containers that it is made of.
pub(crate) fn merge(bytes: &[u8], most: Option<usize>) -> Result<(Vec<u8>, Containers)> {
    if !is_component(bytes)? {
        return Err(Refusal::at(0, "this is not the image of a component").into());
    }
    let chain = chain(bytes, most)?;
    let containers = Containers::of(&chain);
    has_containers(containers.containers.len(), most)?;
    Ok((chain.merge()?, containers))
}

pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Core => "core",
        Kind::Private => "private",
        Kind::Published => "published",
    }
}

/// All slots that are not free.
fn rows_of(image: &Image) -> Vec<Row> {
    let kernel = image.checkpoint.iter().flat_map(|checkpoint| &checkpoint.kernel);
    let records = image.component.iter().flat_map(|component| {
        let objects = component.objects.iter();
        objects.map(|object| component.target(object))
    });
    let mut objects = kernel.map(|entry| entry.object.into()).chain(records);
    let references = image.checkpoint.as_ref().map_or(&[][..], |found| found.references.as_slice());
    let tables = image.tables();
    tables.flat_map(|(member, table)| rows(member, table, references, &mut objects)).collect()
}

/// The slots of a table, with what those that carry a badge lead to.
fn rows(
    member: Option<&str>,
    table: &Table,
    references: &[u16],
    objects: &mut impl Iterator<Item = Target>,
) -> Vec<Row> {
    let geometry = &table.header.geometry;
    let mut rows = Vec::new();
    for (slot, content) in (0u32..).zip(&table.slots) {
        let counted = references.get(slot as usize).copied();
        let (state, badge) = match *content {
            Slot::Free | Slot::Reserved if counted == Some(RESERVED) => (State::Reserved, 0),
            Slot::Free | Slot::Reserved => continue,
            Slot::Used(badge) if geometry.is_static(slot) => (State::Static, badge),
            Slot::Used(badge) => (State::Used, badge),
            Slot::Detached(badge) => (State::Detached, badge),
            Slot::Corrupt => (State::Corrupt, 0),
        };
        rows.push(Row {
            member: member.map(str::to_owned),
            slot,
            selector: u64::from(slot) << geometry.shift,
            state,
            badge,
            references: counted.filter(|count| *count != RESERVED),
            // The reader has checked that there is one for each badge, in this order.
            object: if state.has_badge() { objects.next() } else { None },
        });
    }
    rows
}
