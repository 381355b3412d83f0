//! Reads the containers of a component: a complete image, and increments behind it.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use super::check::{self, Check};
use super::{
    Base, COMPLETE, Component, Context, Dataspace, Fault, Field, Gate, Handler, INCREMENT, Member,
    Object, Origin, PAGE_BYTES, Page, Part, Record, Region, Rom, Session, Source, System, Tables,
    Thread, Timer, UNIT, UNIT_INCREMENT, is_increment, is_unit,
};
use crate::checkpoint::{Refusal, Section, container};
use crate::table::{self, Table};

/// Bytes of an entry of section `pages`.
const PAGE_ENTRY: usize = 8 + PAGE_BYTES;
/// Where an increment may begin.
const ALIGN: usize = 4096;
/// Where the last increment ends at the latest.
const MAX_BYTES: usize = 128 << 20;

/// The sections, in the order in which they are checked.
const SECTIONS: [(&str, usize); 19] = [
    (System::SECTION, System::BYTES),
    (Member::SECTION, Member::BYTES),
    ("table", 1),
    (Object::SECTION, Object::BYTES),
    (Session::SECTION, Session::BYTES),
    (Part::SECTION, Part::BYTES),
    (Handler::SECTION, Handler::BYTES),
    (Dataspace::SECTION, Dataspace::BYTES),
    (Rom::SECTION, Rom::BYTES),
    (Region::SECTION, Region::BYTES),
    (Thread::SECTION, Thread::BYTES),
    (Fault::SECTION, Fault::BYTES),
    (Gate::SECTION, Gate::BYTES),
    (Source::SECTION, Source::BYTES),
    (Context::SECTION, Context::BYTES),
    (Timer::SECTION, Timer::BYTES),
    (Base::SECTION, Base::BYTES),
    (Origin::SECTION, Origin::BYTES),
    (Page::SECTION, Page::BYTES),
];

/// The sections of contents of that version.
fn sections_of(contents: u32) -> impl Iterator<Item = (&'static str, usize)> {
    let has = move |name| match name {
        Base::SECTION | Origin::SECTION => is_increment(contents),
        Member::SECTION => is_unit(contents),
        _ => true,
    };
    SECTIONS.into_iter().filter(move |(name, _)| has(*name))
}

pub(super) fn find<'a>(sections: &[Section<'a>], name: &str) -> Result<Section<'a>, Refusal> {
    let found = sections.iter().find(|section| section.name == name).copied();
    found.ok_or_else(|| Refusal::at(0, format!("section \"{name}\": is missing")))
}

/// Contents as `system` names them, if they are those of a component or of a unit as expected.
fn contents_of(system: &Section<'_>, expected: u32) -> Result<u32, Refusal> {
    if system.bytes.len() < 4 {
        return Ok(expected);
    }
    let version = u32::parse(system.bytes);
    let known = (COMPLETE..=UNIT_INCREMENT).contains(&version);
    if known && is_increment(version) == is_increment(expected) {
        return Ok(version);
    }
    // Other versions may have other sections and records.
    Err(refuse(system, 0, "version of the contents is not the one that is read"))
}

/// The section, `None` if it is missing and may be: images were written without it.
fn find_or_none<'a>(sections: &[Section<'a>], name: &str) -> Result<Option<Section<'a>>, Refusal> {
    match find(sections, name) {
        Err(_) if name == Fault::SECTION => Ok(None),
        found => found.map(Some),
    }
}

pub(super) fn refuse(section: &Section<'_>, at: usize, reason: &str) -> Refusal {
    Refusal::at(section.offset + at, format!("section \"{}\": {reason}", section.name))
}

impl Component {
    /// Whether the sections are those of a component's image.
    pub(crate) fn is_in(sections: &[Section<'_>]) -> bool {
        sections.iter().any(|section| section.name == System::SECTION)
    }

    /// The component or unit in the sections of an image, and its tables, all completely checked.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub(crate) fn decode(
        sections: &[Section<'_>],
        expected: u32,
    ) -> Result<(Self, Tables), Refusal> {
        let contents = contents_of(&find(sections, System::SECTION)?, expected)?;
        for (name, _) in sections_of(contents) {
            find_or_none(sections, name)?;
        }
        for (name, bytes) in sections_of(contents) {
            let Some(section) = find_or_none(sections, name)? else { continue };
            let rest = section.bytes.len() % bytes;
            if rest != 0 {
                let at = section.bytes.len() - rest;
                return Err(refuse(&section, at, "ends within a record"));
            }
        }
        let records = [(System::SECTION, System::BYTES), (Base::SECTION, Base::BYTES)];
        let increment = is_increment(contents);
        for (name, bytes) in records.into_iter().take(1 + usize::from(increment)) {
            let section = find(sections, name)?;
            if section.bytes.len() != bytes {
                return Err(refuse(&section, 0, "is not one record"));
            }
        }
        let component = Component {
            system: parse(sections)?,
            members: if is_unit(contents) { parse(sections)? } else { Vec::new() },
            table: find(sections, "table")?.bytes.to_vec(),
            objects: parse(sections)?,
            sessions: parse(sections)?,
            parts: parse(sections)?,
            handlers: parse(sections)?,
            dataspaces: parse(sections)?,
            roms: parse(sections)?,
            regions: parse(sections)?,
            threads: parse(sections)?,
            faults: match find_or_none(sections, Fault::SECTION)? {
                Some(_) => parse(sections)?,
                None => Vec::new(),
            },
            gates: parse(sections)?,
            sources: parse(sections)?,
            contexts: parse(sections)?,
            timers: parse(sections)?,
            base: if increment { parse(sections)? } else { Vec::new() },
            origins: if increment { parse(sections)? } else { Vec::new() },
            pages: parse(sections)?,
            page_sums: pages(sections)?.map(crc32fast::hash).collect(),
        };
        let tables = check::check(&component, sections)?;
        Ok((component, tables))
    }
}

fn parse<R: Record>(sections: &[Section<'_>]) -> Result<Vec<R>, Refusal> {
    Ok(find(sections, R::SECTION)?.bytes.chunks_exact(R::BYTES).map(R::parse).collect())
}

/// Contents of the pages.
fn pages<'a>(sections: &[Section<'a>]) -> Result<impl Iterator<Item = &'a [u8]>, Refusal> {
    let section = find(sections, Page::SECTION)?;
    Ok(section.bytes.chunks_exact(PAGE_ENTRY).map(|entry| &entry[PAGE_ENTRY - PAGE_BYTES..]))
}

/// The table in the memory of one, which a monitor handed out, at that place of the section.
pub(super) fn read_table(section: &Section<'_>, place: Range<usize>) -> Result<Table, Refusal> {
    let at = place.start;
    let table = table::read(&section.bytes[place])
        .map_err(|status| refuse(section, at, status.message()))?;
    if table.header.kind != cap_map_rs::Kind::Published {
        return Err(refuse(section, at, "table is not published"));
    }
    Ok(table)
}

/// A container of a chain.
struct Link<'a> {
    offset: usize,
    bytes: &'a [u8],
    sections: Vec<Section<'a>>,
    component: Component,
}

impl Link<'_> {
    fn end(&self) -> usize {
        self.offset + self.bytes.len()
    }

    /// Whether the sections are those of an increment that says it follows this container.
    fn is_named_by(&self, sections: &[Section<'_>]) -> bool {
        let base = find(sections, Base::SECTION).ok();
        let base = base.filter(|base| base.bytes.len() >= Base::BYTES);
        base.map(|base| Base::parse(base.bytes)).is_some_and(|base| {
            base.checkpoint == self.component.system().checkpoint
                && base.crc == container::header_sum(self.bytes)
        })
    }
}

/// What is behind the last container of a chain.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    Nothing,
    /// An intact container of another chain.
    LeftOver,
    /// What may be the next increment.
    Damaged(Refusal),
}

/// What there is to know about a container.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Container {
    pub(crate) checkpoint: u64,
    pub(crate) offset: usize,
    pub(crate) bytes: usize,
    pub(crate) pages: usize,
    pub(crate) header_crc32: u32,
}

/// A complete image, and the increments behind it.
pub(crate) struct Chain<'a> {
    bytes: &'a [u8],
    links: Vec<Link<'a>>,
    /// Tables of the last container.
    tables: Tables,
    pub(crate) rest: Rest,
}

impl<'a> Chain<'a> {
    /// The chain at the beginning of the bytes. Nothing is looked at behind that many containers.
    ///
    /// # Errors
    /// What is wrong with the complete image, and where. What is wrong behind it is told by `rest`.
    pub(crate) fn decode(bytes: &'a [u8], most: usize) -> Result<Self, Refusal> {
        let image = &bytes[..container::extent(bytes)];
        let sections = container::decode(image)?;
        let (component, tables) = Component::decode(&sections, COMPLETE)?;
        let first = Link { offset: 0, bytes: image, sections, component };
        let mut chain = Chain { bytes, links: vec![first], tables, rest: Rest::Nothing };
        while chain.links.len() < most && chain.append() {}
        Ok(chain)
    }

    /// Adds the container behind the last one if it is the next increment.
    fn append(&mut self) -> bool {
        match self.next() {
            Ok((link, tables)) => {
                self.links.push(link);
                self.tables = tables;
                true
            }
            Err(rest) => {
                self.rest = rest;
                false
            }
        }
    }

    fn next(&self) -> Result<(Link<'a>, Tables), Rest> {
        let position = self.links.len();
        let end = self.last().end();
        let offset = end.next_multiple_of(ALIGN);
        let gap = self.bytes.get(end..offset).unwrap_or(&self.bytes[end..]);
        if gap.iter().any(|byte| *byte != 0) {
            let refusal = Refusal::at(0, "bytes behind the container are not zero");
            return Err(damaged(refusal, position - 1, end));
        }
        let rest = self.bytes.get(offset..).unwrap_or_default();
        if !rest.starts_with(&container::MAGIC) {
            return Err(Rest::Nothing);
        }
        let damaged = |refusal| damaged(refusal, position, offset);
        let bytes = &rest[..container::extent(rest)];
        let sections = container::decode(bytes).map_err(damaged)?;
        if !self.last().is_named_by(&sections) {
            return Err(Rest::LeftOver);
        }
        if offset + bytes.len() > MAX_BYTES {
            return Err(damaged(Refusal::at(0, "chain is too long")));
        }
        let (component, tables) = Component::decode(&sections, INCREMENT).map_err(damaged)?;
        let check = Check { component: &component, sections: &sections };
        check.follows(&self.last().component, position).map_err(damaged)?;
        Ok((Link { offset, bytes, sections, component }, tables))
    }

    fn last(&self) -> &Link<'a> {
        &self.links[self.links.len() - 1]
    }

    /// Where the last container is.
    pub(crate) fn place_of_last(&self) -> Range<usize> {
        self.last().offset..self.last().end()
    }

    /// Number of bytes behind the last container, from where the next one may begin.
    pub(crate) fn bytes_behind(&self) -> usize {
        self.bytes.len().saturating_sub(self.last().end().next_multiple_of(ALIGN))
    }

    /// The containers, in their order.
    pub(crate) fn containers(&self) -> Vec<Container> {
        let container = |link: &Link<'_>| Container {
            checkpoint: link.component.system().checkpoint,
            offset: link.offset,
            bytes: link.bytes.len(),
            pages: link.component.pages.len(),
            header_crc32: container::header_sum(link.bytes),
        };
        self.links.iter().map(container).collect()
    }

    /// Pages of the component that are not zero, by the dataspaces of the last container.
    fn pages(&self) -> Result<BTreeMap<(u32, u32), &'a [u8]>, Refusal> {
        let mut all = BTreeMap::new();
        for link in &self.links {
            if link.offset != 0 {
                let origins = (0..).zip(&link.component.origins);
                let now: BTreeMap<_, u32> = origins.map(|(now, o)| (o.dataspace, now)).collect();
                let before = std::mem::take(&mut all).into_iter();
                all = before
                    .filter_map(|((dataspace, page), bytes)| {
                        now.get(&dataspace).map(|now| ((*now, page), bytes))
                    })
                    .collect();
            }
            for (place, bytes) in link.component.pages.iter().zip(pages(&link.sections)?) {
                all.insert((place.dataspace, place.page), bytes);
            }
        }
        all.retain(|_, bytes| bytes.iter().any(|byte| *byte != 0));
        Ok(all)
    }

    /// The bytes of a complete image that was saved instead of the last container.
    pub(crate) fn merge(&self) -> Result<Vec<u8>, Refusal> {
        let last = &self.last().sections;
        let contents = if self.last().component.is_unit() { UNIT } else { COMPLETE };
        let mut system = find(last, System::SECTION)?.bytes.to_vec();
        system[System::AT.version..][..4].copy_from_slice(&contents.to_le_bytes());
        let mut pages = Vec::new();
        for ((dataspace, page), bytes) in self.pages()? {
            pages.extend(dataspace.to_le_bytes());
            pages.extend(page.to_le_bytes());
            pages.extend(bytes);
        }
        let mut sections = Vec::new();
        for (name, _) in sections_of(contents) {
            let bytes = match name {
                System::SECTION => &system,
                Page::SECTION => &pages,
                // One that may be missing is as good as empty.
                _ => find_or_none(last, name)?.map_or(&[][..], |section| section.bytes),
            };
            sections.push((name, bytes));
        }
        Ok(container::encode(&sections))
    }

    /// The component as the last container leaves it, with all its pages, and the tables.
    pub(crate) fn into_component(mut self) -> Result<(Component, Tables), Refusal> {
        let (places, contents): (Vec<_>, Vec<_>) = self.pages()?.into_iter().unzip();
        let last = self.links.swap_remove(self.links.len() - 1);
        let component = Component {
            pages: places
                .iter()
                .map(|(dataspace, page)| Page { dataspace: *dataspace, page: *page })
                .collect(),
            page_sums: contents.into_iter().map(crc32fast::hash).collect(),
            ..last.component
        };
        Ok((component, self.tables))
    }
}

/// A refusal of bytes that are at `offset` of the chain.
fn damaged(refusal: Refusal, position: usize, offset: usize) -> Rest {
    let Refusal { offset: within, reason } = refusal;
    let reason = if position == 0 { reason } else { format!("container {position}: {reason}") };
    Rest::Damaged(Refusal { offset: within + offset as u64, reason })
}
