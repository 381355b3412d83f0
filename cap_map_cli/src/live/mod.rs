//! Looking into the memory of a running machine or process from outside: which components
//! there are, what is in their tables, who holds what from whom, and what only grows.
//!
//! Nobody inside helps, and nobody inside is believed: what is in a table is what its component
//! says. Names, liveness, creators and kinds come from core's directory, and the directory and
//! core's table count only if there is no second one, or if the user says where they are.

mod directory;
mod gdb;
pub(crate) mod leaks;
mod mapping;
mod picture;
mod ram;
pub(crate) mod report;
pub(crate) mod who;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use cap_map_rs::{Header, Kind as TableKind, Slot, layout};

pub(crate) use self::directory::VERSION as DIRECTORY_VERSION;
use self::directory::{Directory, Kind, Life, Shape, choose_core, choose_directory};
pub(crate) use self::picture::Pictures;
use self::picture::{Picture, bytes_of, header_at};
pub(crate) use self::ram::{Place, Ram};

/// Tables and directories that a search keeps. Hostile memory may be full of them; whatever
/// core's directory names is found all the same.
const MAX_TABLES: usize = 70_000;
const MAX_DIRECTORIES: usize = 16;

/// Slots that are kept of tables that core does not know.
const MAX_UNKNOWN_SLOTS: usize = 4 << 20;

/// What the user knows better than the memory.
#[derive(Clone, Copy, Default)]
pub(crate) struct Known {
    /// Where core's directory is.
    pub(crate) directory: Option<u64>,
    /// Where core's table is.
    pub(crate) core: Option<u64>,
}

/// Where tables and directories may be.
pub(crate) struct Search {
    tables: BTreeMap<u64, Header>,
    directories: BTreeMap<u64, Shape>,
    /// Bytes that were looked through, and the time it took.
    seen: u64,
    time: Duration,
    /// Whether there were more than are kept.
    is_cut: bool,
}

impl Search {
    /// Looks through the memory.
    pub(crate) fn new(ram: &mut Ram) -> Result<Self> {
        let begin = Instant::now();
        let mut tables = BTreeMap::new();
        let mut directories = BTreeMap::new();
        let mut is_cut = false;
        let seen = ram.find([layout::MAGIC, directory::MAGIC], |ram, hits| {
            for hit in hits.iter().copied() {
                if let Some(header) = header_at(ram, hit) {
                    is_cut |= tables.len() == MAX_TABLES;
                    if tables.len() < MAX_TABLES {
                        tables.insert(hit, header);
                    }
                } else if let Some(shape) = Shape::read(ram, hit) {
                    is_cut |= directories.len() == MAX_DIRECTORIES;
                    if directories.len() < MAX_DIRECTORIES {
                        directories.insert(hit, shape);
                    }
                }
            }
            Ok(())
        })?;
        Ok(Search { tables, directories, seen, time: begin.elapsed(), is_cut })
    }

    /// What was found where.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{} tables and {} directories in {} bytes with contents, searched in {:.3} s",
            self.tables.len(),
            self.directories.len(),
            self.seen,
            self.time.as_secs_f64()
        )
    }
}

/// What core knows about the owner of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Core,
    /// The table of the PD of that entry.
    Pd(usize),
    /// The only table that says that it is of the PD of that entry, for which core knows none:
    /// one in private memory.
    Claims(usize),
    Unknown,
}

/// A table that was found.
struct Table {
    address: u64,
    header: Header,
    standing: Standing,
    picture: Picture,
}

/// What core knows about a badge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Object {
    slot: u32,
    kind: Kind,
    creator: Option<usize>,
}

/// A look at the whole machine.
pub(crate) struct Machine {
    pub(crate) memory: u64,
    left_out: u64,
    pub(crate) seen: u64,
    time: Duration,
    directory: Option<Directory>,
    /// Core's table first, then those that core knows, then the others, each by address.
    tables: Vec<Table>,
    /// By badges, from before the other tables were looked at; `None` without a table of core.
    objects: Option<HashMap<u32, Object>>,
    /// Badges that core had afterwards. What is in one of the two only came or went meanwhile.
    objects_afterwards: HashSet<u32>,
    /// Regions that their owners have left for larger ones.
    moved: usize,
    /// What cannot be told, and why.
    pub(crate) doubts: Vec<String>,
    /// Whether all pictures are of the same instant.
    pub(crate) one_instant: bool,
}

impl Machine {
    /// Looks at all tables that a search has found.
    pub(crate) fn look(ram: &mut Ram, search: &Search, known: Known) -> Result<Self> {
        let mut doubts = Vec::new();
        if search.is_cut {
            doubts.push(format!("the memory is full of tables: only {MAX_TABLES} are shown"));
        }
        let mut headers = search.tables.clone();
        let shape = choose_directory(ram, search, known.directory, &mut doubts)?;
        let of_directory = shape.as_ref().map(|(_, shape)| shape);
        let core = choose_core(ram, &headers, known.core, of_directory, &mut doubts)?;
        let mut accepted = Accepted::default();
        let mut machine = Machine {
            memory: ram.bytes(),
            left_out: ram.left_out,
            seen: search.seen,
            time: search.time,
            directory: None,
            tables: Vec::new(),
            objects: None,
            objects_afterwards: HashSet::new(),
            moved: 0,
            doubts,
            one_instant: false,
        };
        if let Some((address, header)) = core {
            headers.remove(&address);
            accepted.claims(address, &header);
            machine.add(ram, address, header, Standing::Core)?;
        }
        if let Some((address, shape)) = shape {
            let used =
                machine.tables.first().map_or(shape.slots, |core| core.picture.written.into());
            machine.directory = Some(Directory::read(ram, address, shape, used)?);
        }
        machine.objects = machine.core_objects();
        machine.add_known(ram, &mut headers, &mut accepted)?;
        machine.add_claimed(ram, &mut headers, &mut accepted)?;
        machine.add_unknown(ram, headers, &mut accepted)?;
        machine.objects_afterwards = machine.badges_of_core(ram)?;
        machine.one_instant = ram.stands_still() || machine.is_current(ram);
        ram.check_whole()?;
        Ok(machine)
    }

    fn add(
        &mut self,
        ram: &mut Ram,
        address: u64,
        header: Header,
        standing: Standing,
    ) -> Result<()> {
        let picture = Picture::take(ram, address, &header)?;
        if picture.retired {
            self.moved += 1;
        } else {
            self.tables.push(Table { address, header, standing, picture });
        }
        Ok(())
    }

    /// Tables of PDs of the directory.
    fn add_known(
        &mut self,
        ram: &mut Ram,
        headers: &mut BTreeMap<u64, Header>,
        accepted: &mut Accepted,
    ) -> Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let places: HashSet<u64> = directory.pds.iter().flatten().map(|pd| pd.table).collect();
        let mut known = BTreeMap::new();
        for place in places.into_iter().filter(|place| *place != 0) {
            let Some(header) = headers.get(&place).copied().or_else(|| header_at(ram, place))
            else {
                continue;
            };
            let instance = header.identity.instance;
            let owner = directory.owner_of(place, bytes_of(&header), instance);
            if let Some(entry) = owner.filter(|_| accepted.claims(place, &header)) {
                headers.remove(&place);
                known.insert(place, (header, entry));
            }
        }
        for (address, (header, entry)) in known {
            self.add(ram, address, header, Standing::Pd(entry))?;
        }
        Ok(())
    }

    /// Private tables, which core has no reason to know.
    fn add_claimed(
        &mut self,
        ram: &mut Ram,
        headers: &mut BTreeMap<u64, Header>,
        accepted: &mut Accepted,
    ) -> Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let mut without_table = BTreeMap::new();
        for (entry, pd) in directory.pds.iter().enumerate() {
            if let Some(pd) = pd.as_ref().filter(|pd| pd.life == Life::Alive && pd.badge != 0)
                && !self.tables.iter().any(|table| table.standing == Standing::Pd(entry))
            {
                without_table.insert(pd.badge, (entry, Vec::new()));
            }
        }
        for (address, header) in headers.iter() {
            let claimed = without_table.get_mut(&u64::from(header.identity.pd));
            if let Some((_, places)) = claimed.filter(|_| header.kind == TableKind::Private) {
                places.push(*address);
            }
        }
        let mut several = Vec::new();
        let mut unique = BTreeMap::new();
        for (entry, places) in without_table.into_values() {
            match places[..] {
                [] => {}
                [address] => {
                    unique.insert(address, entry);
                }
                _ => several.push(directory.pd(entry).map_or("", |pd| &pd.label).to_owned()),
            }
        }
        for label in several {
            let label = crate::table::escaped(&label);
            self.doubts
                .push(format!("several tables claim to be that of \"{label}\": none counts"));
        }
        for (address, entry) in unique {
            if let Some(header) = headers.remove(&address)
                && accepted.claims(address, &header)
            {
                self.add(ram, address, header, Standing::Claims(entry))?;
            }
        }
        Ok(())
    }

    /// All other tables: anybody may have written them.
    fn add_unknown(
        &mut self,
        ram: &mut Ram,
        headers: BTreeMap<u64, Header>,
        accepted: &mut Accepted,
    ) -> Result<()> {
        let (mut overlapping, mut left_out, mut slots) = (0, 0, 0);
        for (address, header) in headers {
            if !accepted.claims(address, &header) {
                overlapping += 1;
            } else if slots > MAX_UNKNOWN_SLOTS {
                left_out += 1;
            } else {
                self.add(ram, address, header, Standing::Unknown)?;
                slots += self.tables.last().map_or(0, |table| table.picture.slots.len());
            }
        }
        if overlapping != 0 {
            self.doubts.push(format!("{overlapping} tables that overlap others are left out"));
        }
        if left_out != 0 {
            self.doubts.push(format!("{left_out} tables that core does not know are left out"));
        }
        Ok(())
    }

    /// Whether nothing has changed since the first picture: they are all of this instant then.
    fn is_current(&self, ram: &mut Ram) -> bool {
        let directory = self.directory.as_ref().is_none_or(|directory| directory.is_current(ram));
        let mut tables = self.tables.iter();
        directory && tables.all(|table| table.picture.is_current(ram, table.address))
    }

    /// The badges that core has now.
    fn badges_of_core(&self, ram: &mut Ram) -> Result<HashSet<u32>> {
        let core = self.tables.first().filter(|table| table.standing == Standing::Core);
        let Some(core) = core else { return Ok(HashSet::new()) };
        let picture = Picture::take(ram, core.address, &core.header)?;
        let badges = picture.slots.iter().filter_map(|(_, content)| match content {
            Slot::Used(badge) => Some(*badge),
            _ => None,
        });
        Ok(badges.collect())
    }

    fn core_objects(&self) -> Option<HashMap<u32, Object>> {
        let core = self.tables.first().filter(|table| table.standing == Standing::Core)?;
        let object = |(slot, content): &(u32, Slot)| {
            let Slot::Used(badge) = *content else { return None };
            let record = self.directory.as_ref().and_then(|directory| directory.record(*slot));
            // The slot of core's main thread has a pseudo badge, which each component has.
            let is_pseudo = core.header.geometry.is_static(*slot) && badge == 1;
            if is_pseudo && record.is_none() {
                return None;
            }
            let (kind, creator) =
                record.map_or((Kind::Unknown, None), |record| (record.kind, record.creator));
            Some((badge, Object { slot: *slot, kind, creator }))
        };
        Some(core.picture.slots.iter().filter_map(object).collect())
    }

    /// The PD of a table, as core knows it.
    fn pd_of(&self, table: &Table) -> Option<&directory::Pd> {
        let (Standing::Pd(entry) | Standing::Claims(entry)) = table.standing else { return None };
        self.directory.as_ref()?.pd(entry)
    }

    /// Tables of components that live, as far as anybody can tell. Without a directory these are
    /// all but core's.
    fn living(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(|table| match table.standing {
            Standing::Core => false,
            Standing::Pd(_) | Standing::Claims(_) => {
                self.pd_of(table).is_some_and(|pd| pd.life == Life::Alive)
            }
            Standing::Unknown => self.directory.is_none(),
        })
    }

    /// What a table's component is called: by core if core knows it, otherwise by itself.
    fn name_of<'a>(&'a self, table: &'a Table) -> &'a str {
        match self.pd_of(table) {
            Some(pd) => &pd.label,
            None if table.standing == Standing::Core => "core",
            None => table.header.identity.label(),
        }
    }

    fn state_of(&self, table: &Table) -> &'static str {
        match (table.standing, self.pd_of(table).map(|pd| pd.life)) {
            (Standing::Core, _) => "core",
            (Standing::Claims(_), _) => "claims",
            (_, Some(Life::Alive)) => "alive",
            (_, Some(Life::Dead)) => "dead",
            (_, None) => "unknown",
        }
    }

    /// Whether a slot that carries this badge is in use for nothing: core, which has all
    /// capabilities, has none with this badge. Badges of static slots may be core's private ones.
    fn is_dangling(&self, table: &Table, slot: u32, badge: u32) -> bool {
        let gone = self.objects.as_ref().is_some_and(|objects| !objects.contains_key(&badge));
        gone && !self.objects_afterwards.contains(&badge) && !table.header.geometry.is_static(slot)
    }

    /// The only table that is called so: by its whole name, its last parts, or its address.
    fn table_called(&self, name: &str) -> Result<&Table> {
        if let Some(address) = name.strip_prefix("0x")
            && let Ok(address) = u64::from_str_radix(address, 16)
        {
            let table = self.tables.iter().find(|table| table.address == address);
            return table.ok_or_else(|| anyhow::anyhow!("there is no table at {address:#x}"));
        }
        let all = |fits: &dyn Fn(&str) -> bool| -> Vec<&Table> {
            self.tables.iter().filter(|table| fits(self.name_of(table))).collect()
        };
        let exact = all(&|own| own == name);
        let end = format!(" -> {name}");
        let found = if exact.is_empty() { all(&|own| own.ends_with(&end)) } else { exact };
        match found[..] {
            [table] => Ok(table),
            [] => bail!("no table of a component called \"{}\"", crate::table::escaped(name)),
            _ => {
                let places: Vec<_> =
                    found.iter().map(|table| format!("{:#x}", table.address)).collect();
                bail!("several components are called so: {}", places.join(", "))
            }
        }
    }
}

/// The memory of tables that were accepted. Each byte belongs to one table only, so all of them
/// together take no more time and memory than there are bytes.
#[derive(Default)]
struct Accepted(BTreeMap<u64, u64>);

impl Accepted {
    /// Claims the memory of a table, unless another one has it.
    fn claims(&mut self, address: u64, header: &Header) -> bool {
        let end = address + bytes_of(header);
        let before = self.0.range(..end).next_back();
        let is_free = before.is_none_or(|(_, end)| *end <= address);
        if is_free {
            self.0.insert(address, end);
        }
        is_free
    }
}
