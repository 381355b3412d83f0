//! A checkpoint of the target: what is in it, and its file.

pub(crate) mod component;
pub mod container;

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

pub(crate) use container::read_file;
pub use container::{Refusal, Section};

use crate::table::{self, Table};

/// Facts about a checkpoint that do not depend on the size of the component.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Meta {
    /// The program whose addresses the image holds.
    pub program: Program,
    /// Address of the image.
    pub image_address: u64,
    /// Address of the table, which moves when the table grows.
    pub table_address: u64,
    /// Number of entrypoints.
    pub entrypoints: u32,
    /// Migrations that the component went through before.
    pub rounds: u32,
    /// Seed that the component was started with.
    pub seed: u64,
}

/// Identity of a program file.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Program {
    /// Its size in bytes.
    pub bytes: u64,
    /// Its CRC-32.
    pub crc32: u32,
}

/// What the kernel and core knew of a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Object {
    /// A gate of a living object.
    Gate {
        /// Component that created the gate.
        creator: u32,
        /// Entrypoint of that component.
        entrypoint: u32,
        /// Name that core recorded for it.
        name: u64,
    },
    /// A gate whose object is gone.
    Dead,
    /// The thread that a pseudo badge stands for.
    Thread,
}

/// The kernel's view of a slot that carries a badge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelEntry {
    /// The slot.
    pub slot: u32,
    /// Badge of the object in the system of the checkpoint, as the table had it.
    pub badge: u32,
    /// What the slot leads to.
    pub object: Object,
}

const ENTRY_BYTES: usize = 32;

/// In place of the references to a slot that is allocated and carries no badge.
pub const RESERVED: u16 = 0xffff;

/// A checkpoint in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// General facts.
    pub meta: Meta,
    /// The shared region, as it was at one instant.
    pub table: Vec<u8>,
    /// Private memory of the component, without the zeros at its end.
    pub image: Vec<u8>,
    /// References to each slot; [`RESERVED`] for one that is allocated without a badge.
    pub references: Vec<u16>,
    /// What the slots with badges lead to, in the order of slots.
    pub kernel: Vec<KernelEntry>,
    /// What the clients expect of the component.
    pub(crate) clients: ClientState,
}

impl Checkpoint {
    /// The bytes of the file.
    ///
    /// # Errors
    /// None that depends on the contents.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let meta = serde_json::to_vec(&self.meta)?;
        let references: Vec<u8> =
            self.references.iter().flat_map(|count| count.to_le_bytes()).collect();
        let kernel: Vec<u8> = self.kernel.iter().flat_map(encode_entry).collect();
        let clients = serde_json::to_vec(&self.clients)?;
        Ok(container::encode(&[
            ("meta", &meta),
            ("table", &self.table),
            ("image", &self.image),
            ("references", &references),
            ("kernel", &kernel),
            ("clients", &clients),
        ]))
    }

    /// A checkpoint from the bytes of a file, completely checked.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let sections = container::decode(bytes)?;
        let find = |name| find(&sections, name);
        let table_section = find("table")?;
        let table = table::read(table_section.bytes)
            .map_err(|status| refuse(&table_section, 0, status.message()))?;
        let capacity = table.header.geometry.capacity;
        let references = find("references")?;
        let (counts, rest) = references.bytes.as_chunks();
        if counts.len() != capacity as usize || !rest.is_empty() {
            return Err(refuse(&references, 0, "does not have two bytes per slot"));
        }
        let clients_section = find("clients")?;
        let clients: ClientState = json(&clients_section)?;
        if !clients.is_possible(capacity) {
            return Err(refuse(&clients_section, 0, "contradicts itself"));
        }
        Ok(Checkpoint {
            meta: json(&find("meta")?)?,
            table: table_section.bytes.to_vec(),
            image: find("image")?.bytes.to_vec(),
            references: counts.iter().map(|count| u16::from_le_bytes(*count)).collect(),
            kernel: decode_kernel(&find("kernel")?, &table)?,
            clients,
        })
    }

    /// Reads a file: the checkpoint, and its bytes without compression. The file may change
    /// behind that.
    ///
    /// # Errors
    /// The file cannot be read, or what is wrong in it, and where.
    pub fn load(path: &Path) -> Result<(Self, Vec<u8>)> {
        let bytes = read_file(path)?;
        let checkpoint = Self::decode(&bytes).with_context(|| format!("{}", path.display()))?;
        Ok((checkpoint, bytes))
    }
}

fn refuse(section: &Section<'_>, at: usize, reason: &str) -> Refusal {
    Refusal::at(section.offset + at, format!("section \"{}\": {reason}", section.name))
}

fn find<'a>(sections: &[Section<'a>], name: &str) -> Result<Section<'a>, Refusal> {
    let found = sections.iter().find(|section| section.name == name);
    found.copied().ok_or_else(|| Refusal::at(0, format!("there is no section \"{name}\"")))
}

fn json<T: serde::de::DeserializeOwned>(section: &Section<'_>) -> Result<T, Refusal> {
    serde_json::from_slice(section.bytes).map_err(|error| {
        // Columns are bytes in what is one line of text.
        refuse(section, error.column().saturating_sub(1), &error.to_string())
    })
}

fn encode_entry(entry: &KernelEntry) -> [u8; ENTRY_BYTES] {
    let (kind, creator, entrypoint, name) = match entry.object {
        Object::Gate { creator, entrypoint, name } => (0, creator, entrypoint, name),
        Object::Dead => (1, 0, 0, 0),
        Object::Thread => (2, 0, 0, 0),
    };
    let mut bytes = [0; ENTRY_BYTES];
    let fields = [entry.slot, entry.badge, kind, creator, entrypoint, 0];
    for (at, field) in bytes.chunks_exact_mut(4).zip(fields) {
        at.copy_from_slice(&field.to_le_bytes());
    }
    bytes[24..].copy_from_slice(&name.to_le_bytes());
    bytes
}

/// The entries, of which there is one for each badge in the table.
fn decode_kernel(section: &Section<'_>, table: &Table) -> Result<Vec<KernelEntry>, Refusal> {
    let (entries, rest) = section.bytes.as_chunks::<ENTRY_BYTES>();
    if !rest.is_empty() {
        return Err(refuse(section, section.bytes.len() - rest.len(), "ends within an entry"));
    }
    let mut badges = table.badges();
    let mut kernel = Vec::with_capacity(entries.len());
    for (i, bytes) in entries.iter().enumerate() {
        let (fields, _) = bytes.as_chunks();
        let [slot, badge, kind, creator, entrypoint, zero, low, high] =
            std::array::from_fn(|i| u32::from_le_bytes(fields[i]));
        let name = u64::from(high) << 32 | u64::from(low);
        let object = match (kind, creator, entrypoint, name) {
            (0, ..) => Object::Gate { creator, entrypoint, name },
            (1, 0, 0, 0) => Object::Dead,
            (2, 0, 0, 0) => Object::Thread,
            _ => return Err(refuse(section, i * ENTRY_BYTES + 8, "unknown kind of object")),
        };
        if badges.next() != Some((slot, badge)) || zero != 0 {
            return Err(refuse(section, i * ENTRY_BYTES, "entry is not the one of the next badge"));
        }
        kernel.push(KernelEntry { slot, badge, object });
    }
    if badges.next().is_some() {
        return Err(refuse(section, section.bytes.len(), "entries are missing"));
    }
    Ok(kernel)
}

/// Expectations of all clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClientState {
    /// Objects of the target that stay.
    pub(crate) permanent: Vec<ObjectState>,
    /// What the client threads have to themselves.
    pub(crate) threads: Vec<ThreadState>,
}

/// An object of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectState {
    /// Its name, which it got when it was created.
    pub(crate) name: u64,
    /// Calls that it has answered.
    pub(crate) calls: u64,
}

/// Expectations of one client thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ThreadState {
    /// Objects of the target that the thread has created and will destroy.
    pub(crate) sessions: Vec<ObjectState>,
    /// Names of the objects that the thread serves itself.
    pub(crate) own: Vec<u64>,
    /// Number of such objects that there ever were.
    pub(crate) own_created: u64,
    /// Capabilities that the target keeps in this thread's cells.
    pub(crate) cells: Vec<CellState>,
}

/// A capability that an object of the target was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CellState {
    /// Position of that object among the permanent ones.
    pub(crate) holder: usize,
    /// Name of the object that the capability leads to.
    pub(crate) held: u64,
    /// Whether that object still exists.
    pub(crate) alive: bool,
}

/// Threads that call the target.
pub(crate) const THREADS: usize = 4;

impl ClientState {
    /// Whether clients of a target with so many slots can have this state.
    pub(crate) fn is_possible(&self, slots: u32) -> bool {
        let cells = self.threads.iter().flat_map(|thread| &thread.cells);
        self.objects().count() <= slots as usize
            && self.threads.len() <= THREADS
            && cells.into_iter().all(|cell| cell.holder < self.permanent.len())
    }

    /// Objects of the target that clients have capabilities of.
    pub(crate) fn objects(&self) -> impl Iterator<Item = ObjectState> {
        let sessions = self.threads.iter().flat_map(|thread| &thread.sessions);
        self.permanent.iter().chain(sessions).copied()
    }

    /// Names of the objects that clients serve.
    pub(crate) fn own_objects(&self) -> impl Iterator<Item = u64> {
        self.threads.iter().flat_map(|thread| &thread.own).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use cap_map_rs::layout::{MIN_CAPACITY, SLOTS};

    use crate::table::tests::{golden_region, sealed};

    fn small() -> Checkpoint {
        Checkpoint {
            meta: Meta {
                program: Program { bytes: 1, crc32: 2 },
                image_address: 0x1000,
                table_address: 0x2000,
                entrypoints: 3,
                rounds: 4,
                seed: 5,
            },
            table: golden_region(),
            image: vec![1, 2, 3],
            references: vec![9; MIN_CAPACITY],
            kernel: vec![
                KernelEntry {
                    slot: 1,
                    badge: 8,
                    object: Object::Gate { creator: 2, entrypoint: 3, name: u64::MAX - 1 },
                },
                KernelEntry { slot: 4, badge: 20, object: Object::Dead },
                KernelEntry { slot: 5, badge: 32, object: Object::Dead },
                KernelEntry { slot: 6, badge: 16, object: Object::Thread },
            ],
            clients: ClientState::default(),
        }
    }

    /// The file with one section replaced, checksums and all.
    fn with(name: &str, contents: &[u8]) -> Vec<u8> {
        let file = small().encode().unwrap();
        let sections = container::decode(&file).unwrap();
        let sections: Vec<_> = sections
            .iter()
            .map(|section| {
                (section.name, if section.name == name { contents } else { section.bytes })
            })
            .collect();
        container::encode(&sections)
    }

    #[test]
    fn comes_back_as_it_was() {
        let checkpoint = small();
        let file = checkpoint.encode().unwrap();
        assert_eq!(Checkpoint::decode(&file).unwrap(), checkpoint);
    }

    #[test]
    fn truncated_and_altered_files_are_refused() {
        let file = small().encode().unwrap();
        for at in 0..file.len() {
            Checkpoint::decode(&file[..at]).unwrap_err();
            let mut altered = file.clone();
            altered[at] ^= 0x10;
            Checkpoint::decode(&altered).unwrap_err();
        }
    }

    #[test]
    fn contents_are_checked_behind_their_checksums() {
        let mut table = golden_region();
        table[0x18] = 0;
        let table = sealed(table);
        let mut forged = golden_region();
        forged[0x41] = b'i';
        let mut kernel: Vec<u8> = small().kernel.iter().flat_map(encode_entry).collect();
        let short = kernel[..ENTRY_BYTES].to_vec();
        let mut kind = kernel.clone();
        kind[8] = 3;
        kernel[ENTRY_BYTES] = 5;
        let cases: [(&str, &[u8], &str); 11] = [
            ("table", &table, "bad capacity"),
            ("table", &forged, "checksum"),
            ("table", &[0; SLOTS + 512], "not published"),
            ("table", &[], "too small"),
            ("references", &[0; 127], "two bytes per slot"),
            ("kernel", &[0; 33], "ends within an entry"),
            ("kernel", &kernel, "not the one of the next badge"),
            ("kernel", &short, "entries are missing"),
            ("kernel", &kind, "unknown kind"),
            (
                "clients",
                br#"{"permanent":[],"threads":[{"sessions":[],"own":[],"own_created":0,
                "cells":[{"holder":0,"held":1,"alive":true}]}]}"#,
                "contradicts itself",
            ),
            ("meta", b"{\"program\":3}", "section \"meta\""),
        ];
        for (section, contents, reason) in cases {
            let refusal = Checkpoint::decode(&with(section, contents)).unwrap_err();
            assert!(refusal.reason.contains(reason), "{section}: {refusal}");
            assert!(refusal.offset >= 32, "{section}: {refusal}");
        }
    }

    #[test]
    fn a_section_that_is_missing_is_named_and_others_are_ignored() {
        let file = small().encode().unwrap();
        let mut sections: Vec<_> = container::decode(&file).unwrap();
        sections.retain(|section| section.name != "image");
        let mut parts: Vec<_> =
            sections.iter().map(|section| (section.name, section.bytes)).collect();
        let refusal = Checkpoint::decode(&container::encode(&parts)).unwrap_err();
        assert!(refusal.reason.contains("\"image\""), "{refusal}");
        parts.extend([("image", [1, 2, 3].as_slice()), ("of-the-future", &[0; 5])]);
        Checkpoint::decode(&container::encode(&parts)).unwrap();
    }
}
