//! The image of a Genode component for people: tables of its records.

use super::names::{address, name_of, number};
use super::text::columns;
use crate::checkpoint::component::{Component, NONE};
use crate::table::escaped;

const COLUMNS: usize = 10;

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
const WORDS: [&str; 16] = [
    "member",
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
        let what = match self.members.len() {
            0 => "component".to_owned(),
            count => format!("unit of {count} components"),
        };
        format!(
            "{what} \"{}\" of Genode {} for {architecture} on Fiasco.OC, checkpoint {}\n\
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
        vec![
            self.member_table(),
            self.session_table(),
            self.part_table(),
            self.handler_table(),
            self.timer_table(),
        ]
        .into_iter()
        .chain([self.dataspace_table(), self.rom_table(), self.region_table()])
        .chain([self.thread_table(), self.fault_table()])
        .chain([self.gate_table(), self.source_table()])
        .chain([self.context_table()])
        .collect()
    }

    fn member_table(&self) -> Table {
        let members = (0u32..).zip(&self.members).map(|(i, m)| {
            let id = self.sessions.get(m.session as usize).map_or(0, |session| session.id);
            [
                self.member(i),
                i.to_string(),
                id.to_string(),
                number(m.account),
                number(m.parent),
                number(m.parent_dataspace),
                address(m.parent_offset),
                m.ram_quota.to_string(),
                m.cap_quota.to_string(),
            ]
        });
        let head = head([
            "member",
            "number",
            "ID",
            "account",
            "gate",
            "dataspace",
            "offset",
            "RAM",
            "caps",
        ]);
        Table { title: "members", head, key: 1, rows: rows(members) }
    }

    fn session_table(&self) -> Table {
        let sessions = self.sessions.iter().map(|s| {
            [
                s.id.to_string(),
                escaped(&s.service.text()),
                escaped(&s.label.text()),
                self.slot(s.slot),
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
            [session, part, self.slot(p.slot)]
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

    fn dataspace_table(&self) -> Table {
        const CACHES: [&str; 3] = ["uncached", "write combined", "cached"];
        let spaces = self.dataspaces.iter().enumerate().map(|(i, d)| {
            let [kind, owner] = self.space(d);
            let [pages, sum] = self.pages(i);
            [
                self.member(d.member),
                i.to_string(),
                kind,
                name_of(&CACHES, d.cache),
                address(d.size),
                owner,
                self.slot(d.slot),
                pages,
                sum,
            ]
        });
        let head =
            head(["member", "number", "kind", "cache", "size", "of", "slot", "pages", "CRC-32"]);
        Table { title: "dataspaces", head, key: 2, rows: rows(spaces) }
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

    fn region_table(&self) -> Table {
        const RIGHTS: [&str; 4] = ["r", "rw", "rx", "rwx"];
        let regions = self.regions.iter().map(|r| {
            [
                self.member_of_map(r.map),
                self.map(r.map),
                address(r.at.0),
                address(r.size),
                name_of(&RIGHTS, r.rights),
                number(r.dataspace),
                address(r.offset),
            ]
        });
        let head = head(["member", "map", "address", "size", "rights", "dataspace", "offset"]);
        Table { title: "regions", head, key: 3, rows: rows(regions) }
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
                self.member(t.member),
                t.index.to_string(),
                escaped(&t.name.text()),
                state,
                self.slot(t.slot),
                address(t.utcb.0),
                address(t.ip.0),
                address(t.sp.0),
                list(&t.affinity),
                // Of a single component, there is one.
                if self.is_unit() { self.service(t.session) } else { String::new() },
            ]
        });
        let head = head([
            "member", "index", "name", "state", "slot", "UTCB", "ip", "sp", "affinity", "session",
        ]);
        Table { title: "threads", head, key: 2, rows: rows(threads) }
    }

    fn fault_table(&self) -> Table {
        const TYPES: [&str; 4] = ["", "read", "write", "execute"];
        let faults = self.faults.iter().map(|f| {
            let thread = self.threads.get(f.thread as usize);
            [
                thread.map_or(String::new(), |thread| self.member(thread.member)),
                thread.map_or(String::new(), |thread| thread.index.to_string()),
                self.thread(f.thread),
                self.map(f.map),
                address(f.address.0),
                name_of(&TYPES, f.r#type),
            ]
        });
        let head = head(["member", "index", "name", "map", "address", "fault"]);
        Table { title: "page faults to be resolved", head, key: 2, rows: rows(faults) }
    }

    fn gate_table(&self) -> Table {
        let gates = self.gates.iter().enumerate().map(|(i, g)| {
            let member = self.member(self.member_of_gate(i));
            [member, i.to_string(), self.thread(g.thread), self.slot(g.slot)]
        });
        let head = head(["member", "number", "name", "slot"]);
        Table { title: "gates", head, key: 2, rows: rows(gates) }
    }

    fn source_table(&self) -> Table {
        let sources = self.sources.iter().enumerate().map(|(i, s)| {
            let [slot, semaphore] = [s.slot, s.semaphore_slot].map(|slot| self.slot(slot));
            [self.member(s.member), i.to_string(), self.thread(s.thread), slot, semaphore]
        });
        let head = head(["member", "number", "name", "slot", "semaphore"]);
        Table { title: "signal sources", head, key: 2, rows: rows(sources) }
    }

    fn context_table(&self) -> Table {
        let contexts = self.contexts.iter().enumerate().map(|(i, c)| {
            let imprint = address(c.imprint.0);
            [i.to_string(), number(c.source), self.slot(c.slot), imprint, c.pending.to_string()]
        });
        let head = head(["number", "source", "slot", "imprint", "pending"]);
        Table { title: "signal contexts", head, key: 1, rows: rows(contexts) }
    }
}
