//! The image of a Genode component for people: tables of its records.

use super::Target;
use super::text::columns;
use crate::checkpoint::component::{
    Component, Dataspace, FIXED_MAPS, NONE, Object, Part, dataspace, object,
};
use crate::table::escaped;

const COLUMNS: usize = 8;

type Cells = [String; COLUMNS];

/// Records of one kind.
struct Table {
    title: &'static str,
    head: [&'static str; COLUMNS],
    /// Number of columns that tell one record from the others.
    key: usize,
    rows: Vec<Cells>,
}

/// Columns with words.
const WORDS: [&str; 15] = [
    "fault",
    "service",
    "label",
    "arguments",
    "name",
    "state",
    "kind",
    "cache",
    "map",
    "rights",
    "SHA-256",
    "part",
    "session",
    "handler",
    "of",
];

fn number(number: u32) -> String {
    if number == NONE { String::new() } else { number.to_string() }
}

fn address(address: u64) -> String {
    format!("{address:#x}")
}

fn name_of(names: &[&'static str], number: u32) -> String {
    names.get(number as usize).map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

fn list(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

/// Rows of the cells; those that are left out stay empty.
fn rows<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> Vec<Cells> {
    let mut rows = rows.map(|row| row.into_iter().chain(std::iter::repeat(String::new())));
    std::iter::from_fn(|| {
        rows.next().map(|mut row| std::array::from_fn(|_| row.next().unwrap_or_default()))
    })
    .collect()
}

fn head<const N: usize>(names: [&'static str; N]) -> [&'static str; COLUMNS] {
    std::array::from_fn(|i| names.get(i).copied().unwrap_or(""))
}

impl Component {
    /// A few lines about the whole.
    pub(super) fn summary(&self) -> String {
        let system = self.system();
        let architecture = name_of(&["", "x86_64", "ARMv7"], system.architecture);
        format!(
            "component \"{}\" of Genode {} for {architecture} on Fiasco.OC, checkpoint {}\n\
             quota: {} bytes, {} capabilities; {} threads, {} sessions, {} regions, \
             {} dataspaces, {} pages that are not zero\n",
            escaped(&system.label.text()),
            escaped(&system.release.text()),
            system.checkpoint,
            system.ram_quota,
            system.cap_quota,
            self.threads.len(),
            self.sessions.len(),
            self.regions.len(),
            self.dataspaces.len(),
            self.pages.len()
        )
    }

    /// A table for each section that has records.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for table in self.tables().iter().filter(|table| !table.rows.is_empty()) {
            text += &format!("\n{}\n", table.title);
            for line in columns(&table.head, &WORDS, &table.rows) {
                text += &format!("{line}\n");
            }
        }
        text
    }

    /// What the records say, with what tells one from the others, to be compared.
    pub(super) fn facts(&self) -> Vec<(String, String)> {
        let system = self.system();
        let mut facts = vec![
            ("label".to_owned(), format!("\"{}\"", escaped(&system.label.text()))),
            ("release".to_owned(), escaped(&system.release.text())),
            ("architecture".to_owned(), system.architecture.to_string()),
            ("RAM quota".to_owned(), system.ram_quota.to_string()),
            ("capability quota".to_owned(), system.cap_quota.to_string()),
            ("checkpoint".to_owned(), system.checkpoint.to_string()),
            ("main thread".to_owned(), number(system.main_thread)),
        ];
        for table in self.tables() {
            for row in &table.rows {
                let named = |columns: std::ops::Range<usize>| {
                    let cells = columns.filter(|i| !row[*i].is_empty());
                    let cells: Vec<_> =
                        cells.map(|i| format!("{} {}", table.head[i], row[i])).collect();
                    cells.join(", ")
                };
                let name = format!("{}: {}", table.title, named(0..table.key));
                facts.push((name, named(table.key..COLUMNS)));
            }
        }
        facts
    }

    fn service(&self, session: u32) -> String {
        match self.sessions.get(session as usize) {
            Some(session) => format!("{} {}", session.id, escaped(&session.service.text())),
            None => "parent".to_owned(),
        }
    }

    fn thread(&self, thread: u32) -> String {
        let thread = self.threads.get(thread as usize);
        thread.map_or(String::new(), |thread| escaped(&thread.name.text()))
    }

    /// Number and sum of the pages of a dataspace.
    fn pages(&self, dataspace: usize) -> [String; 2] {
        // They are in the order of dataspaces.
        let first = self.pages.partition_point(|page| (page.dataspace as usize) < dataspace);
        let behind = self.pages.partition_point(|page| page.dataspace as usize <= dataspace);
        if first == behind {
            return [String::new(), String::new()];
        }
        let mut hasher = crc32fast::Hasher::new();
        for (page, sum) in self.pages[first..behind].iter().zip(&self.page_sums[first..behind]) {
            hasher.update(&page.page.to_le_bytes());
            hasher.update(&sum.to_le_bytes());
        }
        [format!("{}", behind - first), format!("{:#010x}", hasher.finalize())]
    }

    fn tables(&self) -> Vec<Table> {
        vec![self.session_table(), self.part_table(), self.handler_table(), self.timer_table()]
            .into_iter()
            .chain([self.dataspace_table(), self.rom_table(), self.region_table()])
            .chain([self.thread_table(), self.fault_table()])
            .chain([self.gate_table(), self.source_table()])
            .chain([self.context_table()])
            .collect()
    }

    fn session_table(&self) -> Table {
        let sessions = self.sessions.iter().map(|s| {
            [
                s.id.to_string(),
                escaped(&s.service.text()),
                escaped(&s.label.text()),
                number(s.slot),
                s.ram_quota.to_string(),
                s.cap_quota.to_string(),
                list(&s.affinity),
                // Nothing follows that quotes could forge.
                escaped(&s.args.text()).replace("\\u{22}", "\""),
            ]
        });
        let head = head(["ID", "service", "label", "slot", "RAM", "caps", "affinity", "arguments"]);
        Table { title: "sessions", head, key: 1, rows: rows(sessions) }
    }

    fn part_table(&self) -> Table {
        let parts = self.parts.iter().map(|p| {
            let [session, part] = self.part(p);
            [session, part, number(p.slot)]
        });
        let head = head(["session", "part", "slot"]);
        Table { title: "parts of sessions", head, key: 2, rows: rows(parts) }
    }

    fn handler_table(&self) -> Table {
        let handlers = self.handlers.iter().map(|h| {
            let names: &[_] = match h.session {
                NONE => &["session", "resources", "yield", "heartbeat"],
                _ => &[],
            };
            [self.service(h.session), name_of(names, h.part), number(h.context)]
        });
        let head = head(["session", "handler", "context"]);
        Table { title: "signal handlers", head, key: 2, rows: rows(handlers) }
    }

    fn timer_table(&self) -> Table {
        let timers = self.timers.iter().map(|t| {
            let time = |time: u64| if time == 0 { String::new() } else { time.to_string() };
            [self.service(t.session), t.elapsed.to_string(), time(t.deadline), time(t.period)]
        });
        let head = head(["session", "elapsed us", "deadline us", "period us"]);
        Table { title: "timers", head, key: 1, rows: rows(timers) }
    }

    /// Session and name of a part.
    fn part(&self, p: &Part) -> [String; 2] {
        let session = self.service(p.session);
        let names: &[_] = match session.split_once(' ') {
            Some((_, "PD")) => &["address space", "stack area", "linker area", "native PD"],
            Some((_, "CPU")) => &["native CPU"],
            _ => &[],
        };
        [session, name_of(names, p.part)]
    }

    /// Kind and owner of a dataspace.
    fn space(&self, d: &Dataspace) -> [String; 2] {
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
            _ => String::new(),
        };
        [name_of(&KINDS, d.kind), owner]
    }

    fn dataspace_table(&self) -> Table {
        const CACHES: [&str; 3] = ["uncached", "write combined", "cached"];
        let spaces = self.dataspaces.iter().enumerate().map(|(i, d)| {
            let [kind, owner] = self.space(d);
            let [pages, sum] = self.pages(i);
            [
                i.to_string(),
                kind,
                name_of(&CACHES, d.cache),
                address(d.size),
                owner,
                number(d.slot),
                pages,
                sum,
            ]
        });
        let head = head(["number", "kind", "cache", "size", "of", "slot", "pages", "CRC-32"]);
        Table { title: "dataspaces", head, key: 1, rows: rows(spaces) }
    }

    fn rom_table(&self) -> Table {
        let roms = self.roms.iter().map(|r| {
            let id = self.service(r.session);
            let id = id.split(' ').next().unwrap_or_default().to_owned();
            [id, escaped(&r.name.text()), address(r.size), r.sha256.text()]
        });
        let head = head(["ID", "name", "size", "SHA-256"]);
        Table { title: "ROM modules", head, key: 1, rows: rows(roms) }
    }

    /// Name of a region map, for one of an RM session with client ID and part.
    fn map(&self, number: u32) -> String {
        const MAPS: [&str; FIXED_MAPS] = ["address space", "stack area", "linker area"];
        let own = (number as usize).checked_sub(FIXED_MAPS);
        match own.and_then(|own| self.region_maps().nth(own)) {
            Some(d) => format!("{} part {}", self.service(d.owner), d.part),
            None => name_of(&MAPS, number),
        }
    }

    fn region_table(&self) -> Table {
        const RIGHTS: [&str; 4] = ["r", "rw", "rx", "rwx"];
        let regions = self.regions.iter().map(|r| {
            [
                self.map(r.map),
                address(r.at.0),
                address(r.size),
                name_of(&RIGHTS, r.rights),
                number(r.dataspace),
                address(r.offset),
            ]
        });
        let head = head(["map", "address", "size", "rights", "dataspace", "offset"]);
        Table { title: "regions", head, key: 2, rows: rows(regions) }
    }

    fn thread_table(&self) -> Table {
        const STATES: [&str; 7] = ["not started", "", "call", "wait", "lock", "signal", "parked"];
        let threads = self.threads.iter().map(|t| {
            let state = name_of(&STATES, t.state);
            let state = match (self.thread(t.called), self.thread(t.serves)) {
                (called, _) if t.called != NONE => format!("{state} of {called}"),
                (_, serves) if t.serves != NONE => format!("{state}, serves {serves}"),
                _ => state,
            };
            [
                t.index.to_string(),
                escaped(&t.name.text()),
                state,
                number(t.slot),
                address(t.utcb.0),
                address(t.ip.0),
                address(t.sp.0),
                list(&t.affinity),
            ]
        });
        let head = head(["index", "name", "state", "slot", "UTCB", "ip", "sp", "affinity"]);
        Table { title: "threads", head, key: 1, rows: rows(threads) }
    }

    fn fault_table(&self) -> Table {
        const TYPES: [&str; 4] = ["", "read", "write", "execute"];
        let faults = self.faults.iter().map(|f| {
            let index = self.threads.get(f.thread as usize).map(|thread| thread.index);
            [
                number(index.unwrap_or(NONE)),
                self.thread(f.thread),
                self.map(f.map),
                address(f.address.0),
                name_of(&TYPES, f.r#type),
            ]
        });
        let head = head(["index", "name", "map", "address", "fault"]);
        Table { title: "page faults to be resolved", head, key: 1, rows: rows(faults) }
    }

    fn gate_table(&self) -> Table {
        let gates = self.gates.iter().enumerate();
        let gates = gates.map(|(i, g)| [i.to_string(), self.thread(g.thread), number(g.slot)]);
        Table { title: "gates", head: head(["number", "name", "slot"]), key: 1, rows: rows(gates) }
    }

    fn source_table(&self) -> Table {
        let sources = self.sources.iter().enumerate().map(|(i, s)| {
            [i.to_string(), self.thread(s.thread), number(s.slot), number(s.semaphore_slot)]
        });
        let head = head(["number", "name", "slot", "semaphore"]);
        Table { title: "signal sources", head, key: 1, rows: rows(sources) }
    }

    fn context_table(&self) -> Table {
        let contexts = self.contexts.iter().enumerate().map(|(i, c)| {
            let imprint = address(c.imprint.0);
            [i.to_string(), number(c.source), number(c.slot), imprint, c.pending.to_string()]
        });
        let head = head(["number", "source", "slot", "imprint", "pending"]);
        Table { title: "signal contexts", head, key: 1, rows: rows(contexts) }
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
