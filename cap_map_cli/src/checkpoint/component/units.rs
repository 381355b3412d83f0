//! Units: their members, their tables, and which member holds what.

use cap_map_rs::{Slot, layout};

use super::check::{
    Check, Checked, NO_DATASPACE, NO_MEMBER, NO_THREAD, OUT_OF_ORDER, PARENT_CAP, Place, fits,
};
use super::reader::{find, read_table, refuse};
use super::{
    Component, Dataspace, Gate, Member, NONE, Object, Record, System, Tables, dataspace, is_unit,
    object,
};
use crate::checkpoint::Refusal;

/// Most members of a unit.
const MAX_MEMBERS: usize = 8;

const NOT_RAM: &str = "dataspace is not RAM";
const TO_FREE: &str = "dataspace is the component's to free";
const NO_ROOM: &str = "does not fit in the dataspace";
const NOT_OF_THE_ROOT: &str = "the root has none";

/// What the members in front have of the sums.
#[derive(Default)]
struct Sums {
    table: u64,
    ram: u64,
    caps: u64,
    gates: u64,
}

impl Component {
    pub(crate) fn is_unit(&self) -> bool {
        is_unit(self.system().version)
    }

    /// Number of components.
    pub(crate) fn num_members(&self) -> usize {
        self.members.len().max(1)
    }

    /// Bytes of the table of each member. One that does not execute yet has none.
    pub(super) fn table_sizes(&self) -> Vec<u64> {
        if self.is_unit() {
            self.members.iter().map(|member| member.table_size).collect()
        } else {
            vec![self.table.len() as u64]
        }
    }

    /// Objects of a unit that lead to a record which says so of its slot, by descending members.
    pub(crate) fn holders(&self, slot: u32) -> impl Iterator<Item = &Object> {
        let object = |number: u32| self.objects.get(number as usize);
        std::iter::successors(object(slot), move |held| object(held.previous))
    }

    /// Member that a gate belongs to.
    pub(crate) fn member_of_gate(&self, gate: usize) -> u32 {
        let ends = self.members.iter().scan(0, |end, member| {
            *end += member.num_gates as usize;
            Some(*end)
        });
        (0..).zip(ends).find(|(_, end)| gate < *end).map_or(0, |(member, _)| member)
    }
}

impl Check<'_> {
    /// The members of a unit. The quota of the root is what the others have left of the unit's.
    pub(super) fn members(&self) -> Checked {
        let at = Member::AT;
        let c = self.component;
        if !c.is_unit() {
            return Ok(());
        }
        if !(2..=MAX_MEMBERS).contains(&c.members.len()) {
            let section = find(self.sections, Member::SECTION)?;
            return Err(refuse(&section, 0, "is not 2 to 8 records"));
        }
        let mut last = None;
        let mut sums = Sums::default();
        for (place, m) in self.each(&c.members)? {
            let root = place.number == 0;
            place.ensure(last < Some(m.session), at.session, OUT_OF_ORDER)?;
            last = Some(m.session);
            place.ensure(self.service(m.session, "PD"), at.session, "is not a PD session")?;
            place.ensure(!root || m.account == NONE, at.account, NOT_OF_THE_ROOT)?;
            place.names_or_none(m.account, c.members.len(), at.account, NO_MEMBER)?;
            let circle = self.pays_for_itself(place.number);
            place.ensure(!circle, at.account, "quota of a member comes from itself")?;
            place.ensure(!root || m.parent == NONE, at.parent, NOT_OF_THE_ROOT)?;
            place.names_or_none(m.parent, c.gates.len(), at.parent, "no such gate")?;
            let own = sums.gates..sums.gates + u64::from(m.num_gates);
            let good = !own.contains(&m.parent.into());
            place.ensure(good, at.parent, "member is its own parent")?;
            self.place_of_parent(&place, m)?;
            self.sums(&place, m, &mut sums)?;
            place.zero(m.zero.into(), at.zero)?;
        }
        let bytes = |sum: u64| usize::try_from(sum).unwrap_or(usize::MAX);
        if sums.table != c.table.len() as u64 {
            let section = find(self.sections, "table")?;
            return Err(refuse(&section, bytes(sums.table), "bytes behind the last table"));
        }
        if sums.gates != c.gates.len() as u64 {
            let section = find(self.sections, Gate::SECTION)?;
            return Err(refuse(&section, bytes(sums.gates) * Gate::BYTES, "gate of no member"));
        }
        Ok(())
    }

    /// Whether the quota of a member comes, by way of others, from itself.
    fn pays_for_itself(&self, member: usize) -> bool {
        let members = &self.component.members;
        let payer = |at: &usize| members.get(*at).map(|member| member.account as usize);
        let mut chain = std::iter::successors(payer(&member), payer).take(members.len());
        chain.any(|at| at == member)
    }

    /// Where a member finds the capability of its parent.
    fn place_of_parent(&self, place: &Place<'_>, m: &Member) -> Checked {
        let at = Member::AT;
        let root = place.number == 0;
        if !root && m.parent_dataspace == NONE {
            return place.zero(m.parent_offset, at.parent_offset);
        }
        let good = root || m.parent != NONE;
        place.ensure(good, at.parent_dataspace, "member has no parent")?;
        let found = self.parent_dataspace(place, m.parent_dataspace, at.parent_dataspace)?;
        place.ensure(!root || found.slot == NONE, at.parent_dataspace, TO_FREE)?;
        place.ensure(fits(m.parent_offset, PARENT_CAP, found.size), at.parent_offset, NO_ROOM)
    }

    /// A dataspace with the capability of the parent.
    fn parent_dataspace(
        &self,
        place: &Place<'_>,
        number: u32,
        field: usize,
    ) -> Result<&Dataspace, Refusal> {
        let found = self.component.dataspaces.get(number as usize);
        let found = found.ok_or_else(|| place.refuse(field, NO_DATASPACE))?;
        place.ensure(found.kind == dataspace::RAM, field, NOT_RAM)?;
        Ok(found)
    }

    /// What the members share.
    fn sums(&self, place: &Place<'_>, m: &Member, sums: &mut Sums) -> Checked {
        let at = Member::AT;
        let c = self.component;
        let root = place.number == 0;
        place.ensure(m.table_size.is_multiple_of(8), at.table_size, "is not a number of words")?;
        let good = fits(sums.table, m.table_size, c.table.len() as u64);
        place.ensure(good, at.table_size, "exceeds the section of tables")?;
        place.ensure(!root || m.ram_quota == 0, at.ram_quota, NOT_OF_THE_ROOT)?;
        let good = fits(sums.ram, m.ram_quota, c.system().ram_quota);
        place.ensure(good, at.ram_quota, "exceeds the RAM quota")?;
        place.ensure(!root || m.cap_quota == 0, at.cap_quota, NOT_OF_THE_ROOT)?;
        let good = fits(sums.caps, m.cap_quota, c.system().cap_quota);
        place.ensure(good, at.cap_quota, "exceeds the capability quota")?;
        let good = fits(sums.gates, m.num_gates.into(), c.gates.len() as u64);
        place.ensure(good, at.num_gates, "exceeds the number of gates")?;
        sums.table += m.table_size;
        sums.ram += m.ram_quota;
        sums.caps += m.cap_quota;
        sums.gates += u64::from(m.num_gates);
        Ok(())
    }

    /// What the component is started with.
    pub(super) fn start(&self) -> Checked {
        let at = System::AT;
        let c = self.component;
        for (place, s) in self.each(&c.system)? {
            let main = c.threads.get(s.main_thread as usize);
            let main = main.ok_or_else(|| place.refuse(at.main_thread, NO_THREAD))?;
            let good = !c.is_unit() || main.member == 0;
            place.ensure(good, at.main_thread, "member is not the root")?;
            let good = self.leads_to(s.parent_slot, object::PARENT, 0);
            place.ensure(good, at.parent_slot, "slot does not lead to this")?;
            if c.is_unit() {
                let none = s.parent_dataspace == NONE;
                place.ensure(none, at.parent_dataspace, "is said of each member")?;
                place.zero(s.parent_offset, at.parent_offset)?;
                continue;
            }
            let found = self.parent_dataspace(&place, s.parent_dataspace, at.parent_dataspace)?;
            place.ensure(found.slot == NONE, at.parent_dataspace, TO_FREE)?;
            let good = fits(s.parent_offset, PARENT_CAP, found.size);
            place.ensure(good, at.parent_offset, NO_ROOM)?;
        }
        Ok(())
    }

    pub(super) fn tables(&self) -> Result<Tables, Refusal> {
        let section = find(self.sections, "table")?;
        let mut end = 0;
        let mut next = |size| {
            let at = end;
            end += usize::try_from(size).unwrap_or(usize::MAX);
            let table = read_table(&section, at..end)?;
            match table.slots.iter().position(|slot| *slot == Slot::Corrupt) {
                None => Ok(table),
                Some(slot) => {
                    let at = at + layout::SLOTS + layout::WORD_BYTES * slot;
                    Err(refuse(&section, at, "slot is corrupt"))
                }
            }
        };
        let sizes = self.component.table_sizes();
        let root = next(sizes[0])?;
        // A member that does not execute yet has none.
        let others = sizes[1..].iter().map(|size| (*size != 0).then(|| next(*size)).transpose());
        let others = others.collect::<Result<_, _>>()?;
        Ok(Tables { root, others })
    }

    pub(super) fn objects(&self, tables: &Tables) -> Checked {
        let at = Object::AT;
        let tables: Vec<_> = tables.all().collect();
        let badges = (0u32..).zip(&tables).filter_map(|(m, table)| Some((m, (*table)?)));
        let badges = badges.flat_map(|(m, table)| table.badges().map(move |(s, b)| ((m, s), b)));
        let mut badges = badges.peekable();
        let (mut member, mut next) = (0, 0);
        for (place, o) in self.each(&self.component.objects)? {
            self.member(&place, o.member, at.member)?;
            place.ensure(o.member >= member, at.member, OUT_OF_ORDER)?;
            let table = tables[o.member as usize];
            let slots = table.map_or(&[][..], |table| table.slots.as_slice());
            place.names(o.slot, slots.len(), at.slot, "no such slot")?;
            let behind = o.member > member || o.slot >= next;
            place.ensure(behind, at.slot, OUT_OF_ORDER)?;
            let here = (o.member, o.slot);
            let missing = badges.peek().is_some_and(|(place, _)| *place < here);
            place.ensure(!missing, at.slot, "a slot with a badge is missing in front of it")?;
            let badge = badges.next_if(|(place, _)| *place == here).map(|(_, badge)| badge);
            place.ensure(badge.is_some(), at.slot, "slot carries no badge")?;
            place.ensure(badge == Some(o.badge), at.badge, "badge is not the one of the slot")?;
            let known = (object::PARENT..=object::DEAD).contains(&o.kind);
            place.ensure(known, at.kind, "unknown kind of object")?;
            let detached = matches!(slots[o.slot as usize], Slot::Detached(_));
            let reason = "detached slot does not lead to a dead object";
            place.ensure(!detached || o.kind == object::DEAD, at.kind, reason)?;
            let first_user = table.map_or(0, |table| table.header.geometry.first_user);
            let pseudo = o.slot < first_user && o.badge == 1;
            let reason = "not the slot of a pseudo badge";
            place.ensure(o.kind != object::PSEUDO || pseudo, at.kind, reason)?;
            let good = o.kind != object::PARENT || o.member == 0;
            place.ensure(good, at.kind, "member is not the root")?;
            self.named(&place, o)?;
            self.previous(&place, o)?;
            (member, next) = here;
            next += 1;
        }
        if badges.next().is_some() {
            let section = find(self.sections, Object::SECTION)?;
            return Err(refuse(&section, section.bytes.len(), "slots with badges are missing"));
        }
        Ok(())
    }

    /// Whether the object has a record, which names it.
    ///
    /// Records of a unit name the last object of several ones, each of which names the one before.
    fn named(&self, place: &Place<'_>, o: &Object) -> Checked {
        let at = Object::AT.number;
        let slot = self.slot_of(o).ok_or_else(|| place.refuse(at, "no such record"))?;
        let reason = "record does not name this slot";
        if !o.has_record() {
            return Ok(());
        }
        if !self.component.is_unit() {
            return place.ensure(slot == o.slot, at, reason);
        }
        let objects = &self.component.objects;
        // They descend, so there is an end.
        let before = |at: &u32| {
            let is_behind = *at as usize > place.number;
            objects.get(*at as usize).filter(|_| is_behind).map(|object| object.previous)
        };
        let mut held = std::iter::successors(Some(slot), before).take(self.component.num_members());
        place.ensure(held.any(|at| at as usize == place.number), at, reason)
    }

    /// Whether an object names one of an earlier member that leads to the same record, or none.
    fn previous(&self, place: &Place<'_>, o: &Object) -> Checked {
        let at = Object::AT.previous;
        if !self.component.is_unit() {
            return place.zero(o.previous.into(), at);
        }
        if o.previous == NONE {
            return Ok(());
        }
        place.ensure((o.previous as usize) < place.number, at, OUT_OF_ORDER)?;
        let other = &self.component.objects[o.previous as usize];
        let same = other.kind == o.kind && other.number == o.number && o.has_record();
        place.ensure(same, at, "other slot does not lead to this record")?;
        place.ensure(other.member < o.member, at, "member has two slots of the record")
    }

    /// The slot that the record of an object names, which means nothing for an object that needs none;
    /// none if there is no such record.
    fn slot_of(&self, o: &Object) -> Option<u32> {
        let number = o.number as usize;
        let c = self.component;
        let thread = || c.threads.get(number);
        let source = || c.sources.get(number);
        match o.kind {
            object::SESSION => c.sessions.get(number).map(|record| record.slot),
            object::PART => c.parts.get(number).map(|record| record.slot),
            object::DATASPACE => c.dataspaces.get(number).map(|record| record.slot),
            object::THREAD => thread().map(|thread| thread.slot),
            object::NATIVE_THREAD => thread().map(|thread| thread.native_slot),
            object::THREAD_GATE => thread().map(|thread| thread.gate_slot),
            object::GATE => c.gates.get(number).map(|record| record.slot),
            object::SOURCE => source().map(|source| source.slot),
            object::SEMAPHORE => source().map(|source| source.semaphore_slot),
            object::CONTEXT => c.contexts.get(number).map(|record| record.slot),
            _ if number != 0 => None,
            object::PARENT => Some(c.system().parent_slot),
            _ => Some(o.slot),
        }
    }
}
