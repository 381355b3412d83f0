//! What the fields of a component's records are about, for people.

use super::Target;
use crate::checkpoint::component::{
    Component, Dataspace, FIXED_MAPS, NONE, Object, Part, dataspace, object,
};
use crate::table::escaped;

pub(super) fn number(number: u32) -> String {
    if number == NONE { String::new() } else { number.to_string() }
}

pub(super) fn address(address: u64) -> String {
    format!("{address:#x}")
}

pub(super) fn name_of(names: &[&'static str], number: u32) -> String {
    names.get(number as usize).map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

impl Component {
    pub(super) fn service(&self, session: u32) -> String {
        match self.sessions.get(session as usize) {
            Some(session) => format!("{} {}", session.id, escaped(&session.service.text())),
            None => "parent".to_owned(),
        }
    }

    pub(super) fn thread(&self, thread: u32) -> String {
        let Some(thread) = self.threads.get(thread as usize) else { return String::new() };
        let name = escaped(&thread.name.text());
        match self.name_of_member(thread.member as usize) {
            Some(member) => format!("{name} of \"{}\"", escaped(&member)),
            None => name,
        }
    }

    /// The label of a member of a unit, none for the root. Of members with the same label, the later
    /// ones are told by their numbers, so that no two of them have the same name.
    pub(super) fn name_of_member(&self, member: usize) -> Option<String> {
        let label = |member: usize| {
            let number = self.members.get(member)?.session;
            Some(self.sessions.get(number as usize)?.label.text())
        };
        let mut name = label(member).filter(|_| member != 0)?.into_owned();
        let mut others = 1..member;
        if name.is_empty() {
            name = format!("({member})");
            others = 1..self.members.len();
        }
        while others.any(|other| label(other).is_some_and(|label| label == name)) {
            name += &format!(" ({member})");
            others = 1..self.members.len();
        }
        Some(name)
    }

    pub(super) fn member(&self, member: u32) -> String {
        self.name_of_member(member as usize).map_or(String::new(), |name| escaped(&name))
    }

    /// The slots that lead to a record which says so of its slot: in a unit, each with the number of
    /// the member.
    pub(super) fn slot(&self, slot: u32) -> String {
        if !self.is_unit() {
            return number(slot);
        }
        let mut held: Vec<_> =
            self.holders(slot).map(|o| format!("{}:{}", o.member, o.slot)).collect();
        held.reverse();
        held.join(" ")
    }

    /// Session and name of a part.
    pub(super) fn part(&self, p: &Part) -> [String; 2] {
        let session = self.service(p.session);
        let names: &[_] = match session.split_once(' ') {
            Some((_, "PD")) => &["address space", "stack area", "linker area", "native PD"],
            Some((_, "CPU")) => &["native CPU"],
            _ => &[],
        };
        [session, name_of(names, p.part)]
    }

    /// Kind and owner of a dataspace.
    pub(super) fn space(&self, d: &Dataspace) -> [String; 2] {
        const KINDS: [&str; 9] = [
            "",
            "RAM",
            "ROM",
            "stack area",
            "linker area",
            "table",
            "trace control",
            "session",
            "region map",
        ];
        let owner = match d.kind {
            dataspace::ROM => {
                let rom = self.roms.get(d.owner as usize);
                rom.map_or(String::new(), |rom| escaped(&rom.name.text()))
            }
            dataspace::SESSION | dataspace::REGION_MAP => {
                format!("{} part {}", self.service(d.owner), d.part)
            }
            dataspace::TRACE if self.is_unit() => self.service(d.owner),
            _ => String::new(),
        };
        [name_of(&KINDS, d.kind), owner]
    }

    /// Name of a region map, for one of an RM session with client ID and part.
    pub(super) fn map(&self, number: u32) -> String {
        const MAPS: [&str; FIXED_MAPS] = ["address space", "stack area", "linker area"];
        let own = (number as usize).checked_sub(FIXED_MAPS * self.num_members());
        match own.and_then(|own| self.region_maps().nth(own)) {
            Some(d) => format!("{} part {}", self.service(d.owner), d.part),
            None => MAPS[number as usize % FIXED_MAPS].to_owned(),
        }
    }

    /// Name of the member that has a region map, none for one of an RM session.
    pub(super) fn member_of_map(&self, number: u32) -> String {
        let member = number as usize / FIXED_MAPS;
        self.member(u32::try_from(member).unwrap_or(NONE))
    }

    /// What a slot leads to.
    pub(super) fn target(&self, object: &Object) -> Target {
        let number = object.number;
        let at = number as usize;
        let thread = || self.thread(number);
        let (what, name) = match object.kind {
            object::DEAD => return Target::Dead,
            object::PSEUDO => return Target::Thread,
            object::PARENT => ("parent", String::new()),
            object::SESSION => ("session", self.service(number)),
            object::PART => {
                let part = self.parts.get(at).map(|part| self.part(part));
                let [session, part] = part.unwrap_or_default();
                ("part", format!("{part} of {session}"))
            }
            object::DATASPACE => {
                let space = self.dataspaces.get(at).map(|space| self.space(space));
                ("dataspace", space.unwrap_or_default().join(" ").trim_end().to_owned())
            }
            object::THREAD => ("thread", thread()),
            object::NATIVE_THREAD => ("native thread", thread()),
            object::THREAD_GATE => ("gate of thread", thread()),
            object::GATE => {
                ("gate", self.gates.get(at).map_or(String::new(), |gate| self.thread(gate.thread)))
            }
            object::SOURCE => ("signal source", String::new()),
            object::SEMAPHORE => ("semaphore", String::new()),
            _ => {
                let context = self.contexts.get(at);
                ("context", context.map_or(String::new(), |context| address(context.imprint.0)))
            }
        };
        Target::Record { what, number, name }
    }
}
