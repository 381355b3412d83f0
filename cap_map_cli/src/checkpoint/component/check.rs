//! Whether the parts of a component's image are in their ranges and agree with each other.
//!
//! Sections, records and fields are checked in the order of `doc/checkpoint.md`, so each
//! reader refuses an image for the same field.
//!
//! Longer than 450 lines because all checks stand in that one order.

use super::reader::{find, refuse};
use super::{
    Address, Base, Component, Context, Dataspace, FIXED_MAPS, Fault, Gate, Handler, NONE, Origin,
    PAGE_BYTES, Page, Part, Record, Region, Rom, Session, Source, System, Tables, Text, Thread,
    Timer, dataspace, is_increment, object,
};
use crate::checkpoint::{Refusal, Section};

const X86_64: u32 = 1;
const ARM_V7: u32 = 2;
const FIASCO_OC: u32 = 1;
/// Bytes of the parent capability as passed to a component.
pub(super) const PARENT_CAP: u64 = 32;
const CALL: u32 = 2;
const PARKED: u32 = 6;
/// Last type of a page fault.
const EXECUTE: u32 = 3;
const MAX_THREADS: u32 = 128;
/// Most containers of a chain.
const MAX_CHAIN: u32 = 64;
/// Sums of two such times do not overflow.
const TIME_LIMIT: u64 = 1 << 62;
const PAGE: u64 = PAGE_BYTES as u64;

const NO_SESSION: &str = "no such session";
pub(super) const NO_THREAD: &str = "no such thread";
pub(super) const NO_DATASPACE: &str = "no such dataspace";
const NO_CONTEXT: &str = "no such signal context";
const NO_SLOT: &str = "slot does not lead to this";
const NO_MAP: &str = "no such region map";
pub(super) const NO_MEMBER: &str = "no such member";
const NO_CPU_SESSION: &str = "is not a CPU session";
pub(super) const OUT_OF_ORDER: &str = "is out of order";
const NO_OWN_PAGES: &str = "dataspace has no pages of its own";
const NO_PAGES: &str = "is not a number of pages";
const OF_MONITOR: &str = "memory is not the component's";
const TOO_LARGE: &str = "is too large";
const UNKNOWN_PART: &str = "unknown part of the session";

/// Where a record is, to refuse its fields.
pub(super) struct Place<'a> {
    section: Section<'a>,
    pub(super) number: usize,
    bytes: usize,
}

pub(super) type Checked = Result<(), Refusal>;

impl Place<'_> {
    pub(super) fn refuse(&self, field: usize, reason: &str) -> Refusal {
        let reason = format!("record {}: {reason}", self.number);
        refuse(&self.section, self.number * self.bytes + field, &reason)
    }

    pub(super) fn ensure(&self, condition: bool, field: usize, reason: &str) -> Checked {
        if condition { Ok(()) } else { Err(self.refuse(field, reason)) }
    }

    pub(super) fn zero(&self, value: u64, field: usize) -> Checked {
        self.ensure(value == 0, field, "reserved field is not zero")
    }

    fn text<const N: usize>(&self, text: &Text<N>, field: usize) -> Checked {
        self.ensure(text.is_well_formed(), field, "text is malformed")
    }

    pub(super) fn names(&self, number: u32, count: usize, field: usize, reason: &str) -> Checked {
        self.ensure((number as usize) < count, field, reason)
    }

    pub(super) fn names_or_none(
        &self,
        number: u32,
        count: usize,
        field: usize,
        reason: &str,
    ) -> Checked {
        self.ensure(number == NONE || (number as usize) < count, field, reason)
    }
}

/// A component that is being checked.
pub(super) struct Check<'a> {
    pub(super) component: &'a Component,
    pub(super) sections: &'a [Section<'a>],
}

/// Checks everything, and returns the tables.
pub(super) fn check(component: &Component, sections: &[Section<'_>]) -> Result<Tables, Refusal> {
    let check = Check { component, sections };
    check.system()?;
    check.members()?;
    let tables = check.tables()?;
    check.objects(&tables)?;
    check.start()?;
    check.sessions()?;
    check.parts()?;
    check.handlers()?;
    check.dataspaces()?;
    check.roms()?;
    check.regions()?;
    check.threads()?;
    check.faults()?;
    check.signals()?;
    check.timers()?;
    if is_increment(component.system().version) {
        check.increment()?;
    }
    check.pages()?;
    Ok(tables)
}

/// Whether a range is within the limit.
pub(super) fn fits(start: u64, size: u64, limit: u64) -> bool {
    start.checked_add(size).is_some_and(|end| end <= limit)
}

impl<'a> Check<'a> {
    /// Each record with its place.
    pub(super) fn each<R: Record>(
        &self,
        records: &'a [R],
    ) -> Result<impl Iterator<Item = (Place<'a>, &'a R)>, Refusal> {
        let section = find(self.sections, R::SECTION)?;
        Ok(records
            .iter()
            .enumerate()
            .map(move |(number, record)| (Place { section, number, bytes: R::BYTES }, record)))
    }

    fn address_limit(&self) -> u64 {
        if self.component.system().architecture == X86_64 { 1 << 47 } else { 1 << 32 }
    }

    pub(super) fn service(&self, session: u32, name: &str) -> bool {
        let session = self.component.sessions.get(session as usize);
        session.is_some_and(|session| session.service.is(name))
    }

    /// Whether the component must not have the memory, whose content the monitor trusts. It shares
    /// the buffers of a session only.
    fn of_monitor(&self, d: &Dataspace) -> bool {
        let buffers = if self.service(d.owner, "Nic") { 2 } else { 1 };
        d.kind == dataspace::SESSION && d.part >= buffers
    }

    /// The member that a record belongs to, which is checked before anything else depends on it.
    pub(super) fn member(&self, place: &Place<'_>, member: u32, field: usize) -> Checked {
        place.names(member, self.component.num_members(), field, NO_MEMBER)
    }

    /// Whether the slot, as it is in a record, leads to this record.
    pub(super) fn leads_to(&self, slot: u32, kind: u32, number: usize) -> bool {
        let objects = &self.component.objects;
        let found = if self.component.is_unit() {
            objects.get(slot as usize)
        } else {
            let at = objects.binary_search_by_key(&slot, |object| object.slot).ok();
            at.map(|at| &objects[at])
        };
        found.is_some_and(|object| object.kind == kind && object.number as usize == number)
    }

    fn slot(&self, place: &Place<'_>, slot: u32, kind: u32, field: usize) -> Checked {
        let good = slot == NONE || self.leads_to(slot, kind, place.number);
        place.ensure(good, field, NO_SLOT)
    }

    fn system(&self) -> Checked {
        let at = System::AT;
        for (place, s) in self.each(&self.component.system)? {
            let known = [X86_64, ARM_V7].contains(&s.architecture);
            place.ensure(known, at.architecture, "unknown architecture")?;
            place.ensure(u64::from(s.page_size) == PAGE, at.page_size, "unknown page size")?;
            place.ensure(s.kernel == FIASCO_OC, at.kernel, "unknown kernel")?;
            place.text(&s.release, at.release)?;
            place.zero(s.zero.into(), at.zero)?;
            place.text(&s.label, at.label)?;
        }
        Ok(())
    }

    fn sessions(&self) -> Checked {
        let at = Session::AT;
        let (mut last, mut pds) = (None, 0);
        for (place, s) in self.each(&self.component.sessions)? {
            place.ensure(last < Some(s.id), at.id, OUT_OF_ORDER)?;
            last = Some(s.id);
            self.slot(&place, s.slot, object::SESSION, at.slot)?;
            place.zero(s.zero.into(), at.zero)?;
            place.text(&s.service, at.service)?;
            if s.service.is("PD") {
                let members = &self.component.members;
                let known = members.get(pds).is_some_and(|m| m.session as usize == place.number);
                if self.component.is_unit() {
                    place.ensure(known, at.service, "is the PD session of no member")?;
                } else {
                    place.ensure(pds == 0, at.service, "is a second PD session")?;
                }
                pds += 1;
            }
            place.text(&s.label, at.label)?;
            place.text(&s.args, at.args)?;
        }
        let section = find(self.sections, Session::SECTION)?;
        if pds != 0 { Ok(()) } else { Err(refuse(&section, 0, "there is no PD session")) }
    }

    fn parts(&self) -> Checked {
        let at = Part::AT;
        let mut last = None;
        for (place, p) in self.each(&self.component.parts)? {
            place.names(p.session, self.component.sessions.len(), at.session, NO_SESSION)?;
            place.ensure(last < Some((p.session, p.part)), at.session, OUT_OF_ORDER)?;
            last = Some((p.session, p.part));
            let count = match () {
                () if self.service(p.session, "PD") => 4,
                () if self.service(p.session, "CPU") => 1,
                () => usize::MAX,
            };
            place.names(p.part, count, at.part, UNKNOWN_PART)?;
            self.slot(&place, p.slot, object::PART, at.slot)?;
            place.zero(p.zero.into(), at.zero)?;
        }
        Ok(())
    }

    fn handlers(&self) -> Checked {
        let at = Handler::AT;
        let mut last = None;
        for (place, h) in self.each(&self.component.handlers)? {
            place.names_or_none(
                h.session,
                self.component.sessions.len(),
                at.session,
                NO_SESSION,
            )?;
            place.ensure(last < Some((h.session, h.part)), at.session, OUT_OF_ORDER)?;
            last = Some((h.session, h.part));
            let is = |name| self.service(h.session, name);
            let count = match () {
                () if h.session == NONE => 4,
                () if is("PD") => 3,
                () if is("CPU") || is("ROM") || is("Timer") => 1,
                () => NONE as usize,
            };
            place.names(h.part, count, at.part, UNKNOWN_PART)?;
            place.names(h.context, self.component.contexts.len(), at.context, NO_CONTEXT)?;
            place.zero(h.zero.into(), at.zero)?;
        }
        Ok(())
    }

    /// RAM that the dataspaces of each member may have: what it has received, and for the root what
    /// the others have left.
    fn ram(&self) -> Vec<u64> {
        let quota = self.component.system().ram_quota;
        let others: Vec<_> = self.component.members.iter().skip(1).map(|m| m.ram_quota).collect();
        std::iter::once(quota - others.iter().sum::<u64>()).chain(others).collect()
    }

    fn dataspaces(&self) -> Checked {
        let at = Dataspace::AT;
        let c = self.component;
        let (mut ram, tables) = (self.ram(), c.table_sizes());
        let (mut roms, mut seen) = (0, Vec::new());
        let (mut last, mut last_map, mut last_trace) = (None, None, None);
        for (place, d) in self.each(&c.dataspaces)? {
            self.member(&place, d.member, at.member)?;
            let member = d.member as usize;
            let known = (dataspace::RAM..=dataspace::REGION_MAP).contains(&d.kind);
            place.ensure(known, at.kind, "unknown kind of dataspace")?;
            // The trace control is the one of a component, or of a CPU session.
            let trace = d.kind == dataspace::TRACE && c.is_unit();
            if (dataspace::STACK_AREA..=dataspace::TRACE).contains(&d.kind) && !trace {
                let kind = (d.member, d.kind);
                place.ensure(!seen.contains(&kind), at.kind, "is a second one of its kind")?;
                seen.push(kind);
            }
            place.ensure(d.cache < 3, at.cache, "unknown cache attribute")?;
            place.ensure(d.size != 0 && d.size.is_multiple_of(PAGE), at.size, NO_PAGES)?;
            if d.kind == dataspace::RAM {
                place.ensure(d.size <= ram[member], at.size, "exceeds the RAM quota")?;
                ram[member] -= d.size;
            }
            if d.kind == dataspace::CAP_SPACE {
                let good = d.size == tables[member];
                place.ensure(good, at.size, "is not the size of the table")?;
            }
            if d.kind == dataspace::TRACE {
                place.ensure(d.size == PAGE, at.size, "is not one page")?;
            }
            match d.kind {
                dataspace::ROM => {
                    let module = c.roms.get(roms).filter(|_| d.owner as usize == roms);
                    if let Some(module) = module {
                        let reason = "is not the size of the ROM module";
                        place.ensure(module.size == d.size, at.size, reason)?;
                    }
                    place.ensure(module.is_some(), at.owner, "is not the next ROM module")?;
                    roms += 1;
                }
                dataspace::SESSION | dataspace::REGION_MAP => {
                    let map = d.kind == dataspace::REGION_MAP;
                    place.names(d.owner, c.sessions.len(), at.owner, NO_SESSION)?;
                    let good = !map || self.service(d.owner, "RM");
                    place.ensure(good, at.owner, "is not an RM session")?;
                    let last = if map { &mut last_map } else { &mut last };
                    place.ensure(*last < Some((d.owner, d.part)), at.owner, OUT_OF_ORDER)?;
                    *last = Some((d.owner, d.part));
                }
                dataspace::TRACE if trace => {
                    place.ensure(self.service(d.owner, "CPU"), at.owner, NO_CPU_SESSION)?;
                    place.ensure(last_trace < Some(d.owner), at.owner, OUT_OF_ORDER)?;
                    last_trace = Some(d.owner);
                }
                _ => place.zero(d.owner.into(), at.owner)?,
            }
            if ![dataspace::SESSION, dataspace::REGION_MAP].contains(&d.kind) {
                place.zero(d.part.into(), at.part)?;
            }
            place.ensure(!self.of_monitor(d) || d.slot == NONE, at.slot, OF_MONITOR)?;
            self.slot(&place, d.slot, object::DATASPACE, at.slot)?;
            if d.is_of_session() {
                place.zero(d.member.into(), at.member)?;
            }
        }
        match self.each(&c.roms)?.nth(roms) {
            None => Ok(()),
            Some((place, _)) => Err(place.refuse(0, "ROM module without a dataspace")),
        }
    }

    fn roms(&self) -> Checked {
        let at = Rom::AT;
        let mut last = None;
        for (place, r) in self.each(&self.component.roms)? {
            place.text(&r.name, at.name)?;
            place.names(r.session, self.component.sessions.len(), at.session, NO_SESSION)?;
            place.ensure(last < Some(r.session), at.session, OUT_OF_ORDER)?;
            last = Some(r.session);
            place.ensure(self.service(r.session, "ROM"), at.session, "is not a ROM session")?;
            place.zero(r.zero.into(), at.zero)?;
        }
        Ok(())
    }

    /// Sizes of the region maps, in the order of their numbers.
    fn map_sizes(&self) -> Vec<u64> {
        let spaces = &self.component.dataspaces;
        let size_of = |member, kind| {
            let found = spaces.iter().find(|d| (d.member, d.kind) == (member, kind));
            found.map_or(0, |d| d.size)
        };
        let of_member = |member| -> [_; FIXED_MAPS] {
            let areas = [dataspace::STACK_AREA, dataspace::LINKER_AREA];
            let [stack, linker] = areas.map(|kind| size_of(member, kind));
            [self.address_limit(), stack, linker]
        };
        let fixed = (0u32..).take(self.component.num_members()).flat_map(of_member);
        fixed.chain(self.component.region_maps().map(|d| d.size)).collect()
    }

    fn regions(&self) -> Checked {
        let at = Region::AT;
        let spaces = &self.component.dataspaces;
        let limits = self.map_sizes();
        let fixed = FIXED_MAPS * self.component.num_members();
        let (mut map, mut end) = (0, Address(0));
        for (place, r) in self.each(&self.component.regions)? {
            place.names(r.map, limits.len(), at.map, NO_MAP)?;
            place.ensure(r.map >= map, at.map, OUT_OF_ORDER)?;
            if r.map > map {
                (map, end) = (r.map, Address(0));
            }
            let found = spaces.get(r.dataspace as usize);
            let found = found.ok_or_else(|| place.refuse(at.dataspace, NO_DATASPACE))?;
            let nested = [dataspace::STACK_AREA, dataspace::LINKER_AREA].contains(&found.kind);
            let (member, kind) = (map as usize / FIXED_MAPS, map as usize % FIXED_MAPS);
            let good = !nested || (map as usize) < fixed && kind == 0;
            place.ensure(good, at.dataspace, "region map within a region map")?;
            let good = !nested || member == found.member as usize;
            place.ensure(good, at.dataspace, "area of another member")?;
            place.ensure(!self.of_monitor(found), at.dataspace, OF_MONITOR)?;
            place.ensure(r.at.0.is_multiple_of(PAGE), at.at, NO_PAGES)?;
            place.ensure(r.at >= end, at.at, "is not behind the one before")?;
            place.ensure(r.size != 0 && r.size.is_multiple_of(PAGE), at.size, NO_PAGES)?;
            let good = fits(r.at.0, r.size, limits[map as usize]);
            place.ensure(good, at.size, "does not fit in the region map")?;
            place.ensure(r.offset.is_multiple_of(PAGE), at.offset, NO_PAGES)?;
            let good = fits(r.offset, r.size, found.size);
            place.ensure(good, at.offset, "does not fit in the dataspace")?;
            place.ensure(r.rights < 4, at.rights, "unknown rights")?;
            place.zero(r.zero.into(), at.zero)?;
            end = Address(r.at.0 + r.size);
        }
        Ok(())
    }

    /// Whether the thread waits, by way of others, for itself.
    fn waits_for_itself(&self, thread: usize) -> bool {
        let threads = &self.component.threads;
        let called = |at: &usize| threads.get(*at).map(|thread| thread.called as usize);
        let most = self.component.num_members() * MAX_THREADS as usize;
        let mut chain = std::iter::successors(called(&thread), called).take(most);
        chain.any(|at| at == thread)
    }

    fn threads(&self) -> Checked {
        let at = Thread::AT;
        let threads = &self.component.threads;
        let limit = Address(self.address_limit());
        let tables = self.component.table_sizes();
        let mut last = None;
        for (place, t) in self.each(threads)? {
            self.member(&place, t.member, at.member)?;
            place.ensure(t.index < MAX_THREADS, at.index, TOO_LARGE)?;
            place.ensure(last < Some((t.member, t.index)), at.index, OUT_OF_ORDER)?;
            last = Some((t.member, t.index));
            let known = t.state == 0 || (CALL..=PARKED).contains(&t.state);
            place.ensure(known, at.state, "unknown state of a thread")?;
            let executes = t.state == 0 || tables[t.member as usize] != 0;
            place.ensure(executes, at.state, "member has no table")?;
            place.ensure(self.service(t.session, "CPU"), at.session, NO_CPU_SESSION)?;
            let number = u32::try_from(place.number).unwrap_or(NONE);
            place.names_or_none(t.called, threads.len(), at.called, NO_THREAD)?;
            if let Some(other) = threads.get(t.called as usize) {
                place.ensure(t.state == CALL, at.called, "thread does not call")?;
                let reason = "other thread does not serve this one";
                place.ensure(other.serves == number, at.called, reason)?;
                let circle = self.waits_for_itself(place.number);
                place.ensure(!circle, at.called, "threads wait for each other")?;
            }
            place.names_or_none(t.serves, threads.len(), at.serves, NO_THREAD)?;
            if let Some(other) = threads.get(t.serves as usize) {
                place.ensure(t.state != 0, at.serves, "thread is not started")?;
                let reason = "other thread does not call this one";
                place.ensure(other.called == number, at.serves, reason)?;
            }
            let contexts = self.component.contexts.len();
            place.names_or_none(t.handler, contexts, at.handler, NO_CONTEXT)?;
            self.slot(&place, t.slot, object::THREAD, at.slot)?;
            self.slot(&place, t.native_slot, object::NATIVE_THREAD, at.native_slot)?;
            self.slot(&place, t.gate_slot, object::THREAD_GATE, at.gate_slot)?;
            place.ensure(t.utcb < limit, at.utcb, TOO_LARGE)?;
            place.ensure(t.ip < limit, at.ip, TOO_LARGE)?;
            let good = (t.ip.0 == 0) == (t.state == 0);
            place.ensure(good, at.ip, "does not fit the state of the thread")?;
            place.ensure(t.sp < limit, at.sp, TOO_LARGE)?;
            place.text(&t.name, at.name)?;
        }
        Ok(())
    }

    fn faults(&self) -> Checked {
        let at = Fault::AT;
        let c = self.component;
        if c.faults.is_empty() {
            return Ok(()); // the section may be missing
        }
        let sizes = self.map_sizes();
        let mut last = None;
        for (place, f) in self.each(&c.faults)? {
            let thread = c.threads.get(f.thread as usize);
            let thread = thread.ok_or_else(|| place.refuse(at.thread, NO_THREAD))?;
            place.ensure(last < Some(f.thread), at.thread, OUT_OF_ORDER)?;
            last = Some(f.thread);
            place.ensure(thread.state == PARKED, at.thread, "thread is not parked")?;
            place.names(f.map, sizes.len(), at.map, NO_MAP)?;
            let good = f.address < Address(sizes[f.map as usize]);
            place.ensure(good, at.address, TOO_LARGE)?;
            let known = (1..=EXECUTE).contains(&f.r#type);
            place.ensure(known, at.r#type, "unknown type of a fault")?;
            place.zero(f.zero.into(), at.zero)?;
        }
        Ok(())
    }

    /// Gates, and what signals come from.
    fn signals(&self) -> Checked {
        let c = self.component;
        let at = Gate::AT;
        for (place, g) in self.each(&c.gates)? {
            place.names_or_none(g.thread, c.threads.len(), at.thread, NO_THREAD)?;
            self.slot(&place, g.slot, object::GATE, at.slot)?;
        }
        let at = Source::AT;
        for (place, s) in self.each(&c.sources)? {
            self.member(&place, s.member, at.member)?;
            place.names_or_none(s.thread, c.threads.len(), at.thread, NO_THREAD)?;
            self.slot(&place, s.slot, object::SOURCE, at.slot)?;
            self.slot(&place, s.semaphore_slot, object::SEMAPHORE, at.semaphore_slot)?;
        }
        let at = Context::AT;
        for (place, x) in self.each(&c.contexts)? {
            place.names(x.source, c.sources.len(), at.source, "no such signal source")?;
            self.slot(&place, x.slot, object::CONTEXT, at.slot)?;
            place.ensure(x.imprint.0 != 0, at.imprint, "imprint is zero")?;
            place.zero(x.zero.into(), at.zero)?;
        }
        Ok(())
    }

    fn timers(&self) -> Checked {
        let at = Timer::AT;
        let mut last = None;
        for (place, t) in self.each(&self.component.timers)? {
            place.ensure(self.service(t.session, "Timer"), at.session, "is not a Timer session")?;
            place.ensure(last < Some(t.session), at.session, OUT_OF_ORDER)?;
            last = Some(t.session);
            place.zero(t.zero.into(), at.zero)?;
            place.ensure(t.elapsed < TIME_LIMIT, at.elapsed, TOO_LARGE)?;
            place.ensure(t.deadline < TIME_LIMIT, at.deadline, TOO_LARGE)?;
            place.ensure(t.period < TIME_LIMIT, at.period, TOO_LARGE)?;
            let good = t.period == 0 || t.deadline != 0;
            place.ensure(good, at.period, "period without a deadline")?;
        }
        Ok(())
    }

    fn pages(&self) -> Checked {
        let at = Page::AT;
        let mut last = None;
        for (place, p) in self.each(&self.component.pages)? {
            let found = self.component.dataspaces.get(p.dataspace as usize);
            let found = found.ok_or_else(|| place.refuse(at.dataspace, NO_DATASPACE))?;
            place.ensure(found.has_pages(), at.dataspace, NO_OWN_PAGES)?;
            if let Some((dataspace, page)) = last {
                place.ensure(p.dataspace >= dataspace, at.dataspace, OUT_OF_ORDER)?;
                let good = p.dataspace > dataspace || p.page > page;
                place.ensure(good, at.page, OUT_OF_ORDER)?;
            }
            last = Some((p.dataspace, p.page));
            let good = u64::from(p.page) < found.size / PAGE;
            place.ensure(good, at.page, "does not fit in the dataspace")?;
        }
        Ok(())
    }

    /// What an increment says besides the records of an image.
    fn increment(&self) -> Checked {
        let at = Base::AT;
        let c = self.component;
        for (place, b) in self.each(&c.base)? {
            let earlier = b.checkpoint < c.system().checkpoint;
            place.ensure(earlier, at.checkpoint, "is not the number of an earlier checkpoint")?;
            let known = (1..MAX_CHAIN).contains(&b.position);
            place.ensure(known, at.position, "no such position in a chain")?;
        }
        if c.origins.len() != c.dataspaces.len() {
            let section = find(self.sections, Origin::SECTION)?;
            return Err(refuse(&section, 0, "is not one record for each dataspace"));
        }
        let at = Origin::AT;
        let mut last = None;
        for ((place, o), dataspace) in self.each(&c.origins)?.zip(&c.dataspaces) {
            if o.dataspace != NONE {
                place.ensure(dataspace.has_pages(), at.dataspace, NO_OWN_PAGES)?;
                place.ensure(last < Some(o.dataspace), at.dataspace, OUT_OF_ORDER)?;
                last = Some(o.dataspace);
            }
        }
        Ok(())
    }

    /// Whether what an increment says of the container before it is right.
    pub(super) fn follows(&self, before: &Component, position: usize) -> Checked {
        let at = Base::AT;
        let c = self.component;
        for (place, b) in self.each(&c.base)? {
            let reason = "is not the next position in the chain";
            place.ensure(b.position as usize == position, at.position, reason)?;
        }
        let at = Origin::AT;
        for ((place, o), dataspace) in self.each(&c.origins)?.zip(&c.dataspaces) {
            if o.dataspace != NONE {
                let old = before.dataspaces.get(o.dataspace as usize);
                let old = old.ok_or_else(|| place.refuse(at.dataspace, NO_DATASPACE))?;
                let same = old.kind == dataspace.kind && old.size == dataspace.size;
                place.ensure(same, at.dataspace, "origin is of another kind or size")?;
            }
        }
        Ok(())
    }
}
