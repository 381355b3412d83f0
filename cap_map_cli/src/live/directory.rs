//! Core's directory: which PDs there are, where their tables lie, and what each slot of core
//! refers to (`doc/layout.md`, "Core's directory"). Which directory and which table of core are
//! believed is decided here, too.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use cap_map_rs::{Header, Kind as TableKind};
use serde::Serialize;

use super::picture::header_at;
use super::ram::Ram;
use super::{MAX_DIRECTORIES, Search};

/// `"CAPDIREC"` read as a big-endian number.
pub(crate) const MAGIC: u64 = 0x4341_5044_4952_4543;

/// The only version that is read.
pub(crate) const VERSION: u64 = 1;
const HEADER_WORDS: usize = 0xc0 / 8;
const CONSTANT_WORDS: usize = 9;
const SEQUENCE_WORD: usize = 0x80 / 8;
const PD_WORDS: usize = 128 / 8;
const LABEL_WORD: usize = 0x40 / 8;

/// Attempts to see the directory at one instant. Core changes it for each object that is made.
const ATTEMPTS: u32 = 30;

/// Whether a PD exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Life {
    Alive,
    Dead,
}

/// A PD that core knows.
#[derive(Clone, Debug)]
pub(crate) struct Pd {
    pub(crate) life: Life,
    pub(crate) badge: u64,
    /// Where its table is; zero if core does not know.
    pub(crate) table: u64,
    pub(crate) table_bytes: u64,
    pub(crate) instance: u64,
    pub(crate) label: String,
}

/// What a slot of core refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Unknown,
    Gate,
    Task,
    Thread,
    Irq,
    Factory,
    Pager,
    Other,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Unknown => "unknown",
            Kind::Gate => "gate",
            Kind::Task => "task",
            Kind::Thread => "thread",
            Kind::Irq => "irq",
            Kind::Factory => "factory",
            Kind::Pager => "pager",
            Kind::Other => "other",
        }
    }
}

/// What a slot record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    /// Index of the PD that made the object, in [`Directory::pds`].
    pub(crate) creator: Option<usize>,
}

/// A copy of the directory.
pub(crate) struct Directory {
    pub(crate) address: u64,
    pub(crate) boot: u64,
    pub(crate) slots: u64,
    /// By the numbers of their entries; `None` for free ones.
    pub(crate) pds: Vec<Option<Pd>>,
    records: Vec<u64>,
    /// Whether the copy is of one instant, and the sequence of that.
    pub(crate) one_instant: bool,
    sequence: u64,
}

/// The numbers of a header that is one.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pds: usize,
    pub(crate) slots: u64,
    pub(crate) boot: u64,
    bytes: u64,
}

impl Shape {
    /// The header at an address, if there is one, and the directory has room there.
    pub(crate) fn read(ram: &mut Ram, address: u64) -> Option<Self> {
        let mut words = [0; HEADER_WORDS];
        ram.read(address, &mut words).ok()?;
        let [magic, version, bytes, pds, pd_bytes, first_pd, slots, first_slot, boot, sum] =
            *words.first_chunk()?;
        let constant = words[..CONSTANT_WORDS].iter().flat_map(|word| word.to_ne_bytes());
        let is_one = magic == MAGIC && version == VERSION && sum == fnv(constant);
        let fits = (1..=65535).contains(&pds)
            && pd_bytes == 8 * PD_WORDS as u64
            && first_pd == 8 * HEADER_WORDS as u64
            && (64..=131_072).contains(&slots)
            && first_slot == first_pd + pd_bytes * pds
            && bytes == (first_slot + 4 * slots).next_multiple_of(8)
            && bytes <= ram.bytes_from(address);
        (is_one && fits).then_some(Shape { pds: usize::try_from(pds).ok()?, slots, boot, bytes })
    }
}

/// FNV-1a of 64 bits.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

impl Directory {
    /// Copies the directory, with the records of the slots in front of `used_slots`; the others
    /// have none.
    pub(crate) fn read(ram: &mut Ram, address: u64, shape: Shape, used_slots: u64) -> Result<Self> {
        let pd_words = PD_WORDS * shape.pds;
        let records = used_slots.min(shape.slots).div_ceil(2);
        let mut words = vec![0; HEADER_WORDS + pd_words + usize::try_from(records)?];
        let room = usize::try_from(shape.bytes / 8)?;
        words.truncate(room);
        let mut one_instant = false;
        let mut attempt = 0;
        while !one_instant && attempt < ATTEMPTS {
            attempt += 1;
            let before = sequence(ram, address)?;
            ram.read(address, &mut words)?;
            one_instant = before.is_multiple_of(2) && sequence(ram, address)? == before;
            words[SEQUENCE_WORD] = before;
            if !one_instant && !ram.stands_still() {
                thread::sleep(Duration::from_micros(20));
            }
        }
        let (entries, records) = words[HEADER_WORDS..].split_at(pd_words);
        let pds = entries.chunks_exact(PD_WORDS).map(pd).collect();
        Ok(Directory {
            address,
            boot: shape.boot,
            slots: shape.slots,
            pds,
            records: records.to_vec(),
            one_instant,
            sequence: words[SEQUENCE_WORD],
        })
    }

    /// Whether nothing has changed since the copy.
    pub(crate) fn is_current(&self, ram: &mut Ram) -> bool {
        self.one_instant && sequence(ram, self.address).is_ok_and(|now| now == self.sequence)
    }

    /// What a slot of core refers to; `None` if core has recorded no object.
    pub(crate) fn record(&self, slot: u32) -> Option<Record> {
        let word = *self.records.get(slot as usize / 2)?;
        let [low, high] = [word & 0xffff_ffff, word >> 32];
        let is_first = slot.is_multiple_of(2) == cfg!(target_endian = "little");
        let record = if is_first { low } else { high };
        let kind = match record >> 16 & 0xff {
            0 => Kind::Unknown,
            1 => Kind::Gate,
            2 => Kind::Task,
            3 => Kind::Thread,
            4 => Kind::Irq,
            5 => Kind::Factory,
            6 => Kind::Pager,
            _ => Kind::Other,
        };
        let creator = usize::try_from(record & 0xffff).ok()?.checked_sub(1);
        let creator = creator.filter(|entry| self.pds.get(*entry).is_some_and(Option::is_some));
        (record != 0).then_some(Record { kind, creator })
    }

    /// The entry of the PD whose table has to be at that address.
    pub(crate) fn owner_of(&self, address: u64, bytes: u64, instance: u64) -> Option<usize> {
        let is_it =
            |pd: &Pd| pd.table == address && pd.table_bytes >= bytes && pd.instance == instance;
        let entries = || self.pds.iter().enumerate();
        let of = |life| {
            let mut entries = entries().filter_map(|(i, pd)| Some((i, pd.as_ref()?)));
            entries.find(|(_, pd)| pd.life == life && is_it(pd)).map(|(i, _)| i)
        };
        // The memory of a dead one may be used again.
        of(Life::Alive).or_else(|| of(Life::Dead))
    }

    /// The PD of an entry.
    pub(crate) fn pd(&self, entry: usize) -> Option<&Pd> {
        self.pds.get(entry)?.as_ref()
    }
}

fn sequence(ram: &mut Ram, address: u64) -> Result<u64> {
    let mut word = [0];
    ram.read(address + 8 * SEQUENCE_WORD as u64, &mut word)?;
    Ok(word[0])
}

fn pd(words: &[u64]) -> Option<Pd> {
    let [state, badge, table, table_bytes, instance] = *words.first_chunk()?;
    let life = match state {
        1 => Life::Alive,
        2 => Life::Dead,
        _ => return None,
    };
    let label: Vec<u8> = words[LABEL_WORD..].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let label = label.split(|byte| *byte == 0).next().unwrap_or_default();
    let label = String::from_utf8_lossy(label).into_owned();
    Some(Pd { life, badge, table, table_bytes, instance, label })
}

/// The only directory, or the one that the user names.
pub(crate) fn choose_directory(
    ram: &mut Ram,
    search: &Search,
    known: Option<u64>,
    doubts: &mut Vec<String>,
) -> Result<Option<(u64, Shape)>> {
    if let Some(address) = known {
        let Some(shape) = Shape::read(ram, address) else { bail!("no directory at {address:#x}") };
        return Ok(Some((address, shape)));
    }
    let mut directories = search.directories.iter().map(|(address, shape)| (*address, *shape));
    let first = directories.next();
    if directories.next().is_some() {
        doubts.push(format!(
            "there are several directories, of which at most one is core's, and none is believed; \
             --directory says which one: {}",
            places(search.directories.keys())
        ));
        return Ok(None);
    }
    if first.is_none() {
        doubts.push(
            "there is no directory of core, so nobody says who is alive, and who made what".into(),
        );
    }
    Ok(first)
}

/// The only table that can be core's, or the one that the user names.
pub(crate) fn choose_core(
    ram: &mut Ram,
    headers: &BTreeMap<u64, Header>,
    known: Option<u64>,
    shape: Option<&Shape>,
    doubts: &mut Vec<String>,
) -> Result<Option<(u64, Header)>> {
    if let Some(address) = known {
        let Some(header) = header_at(ram, address) else { bail!("no table at {address:#x}") };
        return Ok(Some((address, header)));
    }
    let can_be = |header: &Header| {
        let fits = |shape: &Shape| {
            header.identity.boot == shape.boot && u64::from(header.geometry.capacity) == shape.slots
        };
        header.kind == TableKind::Core && shape.is_none_or(fits)
    };
    let tables: BTreeMap<_, _> = headers.iter().filter(|(_, header)| can_be(header)).collect();
    match tables.len() {
        0 => doubts.push("there is no table of core, so nobody says which badges exist".into()),
        1 => return Ok(tables.first_key_value().map(|(address, header)| (**address, **header))),
        _ => doubts.push(format!(
            "several tables claim to be core's, and none is believed; --core says which one: {}",
            places(tables.keys().copied())
        )),
    }
    Ok(None)
}

fn places<'a>(addresses: impl Iterator<Item = &'a u64>) -> String {
    let places: Vec<_> = addresses.take(MAX_DIRECTORIES).map(|at| format!("{at:#x}")).collect();
    places.join(", ")
}
