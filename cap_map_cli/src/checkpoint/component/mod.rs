//! The image of a Genode component: its records. Normative text: `doc/checkpoint.md`.

mod check;
mod reader;
mod units;

use std::borrow::Cow;

use serde::{Serialize, Serializer};

pub(crate) use self::reader::{Chain, Container, Rest};
use crate::table::Table;

/// In place of a number or slot: there is none.
pub(crate) const NONE: u32 = u32::MAX;
/// Bytes of a page.
pub(crate) const PAGE_BYTES: usize = 4096;
/// Contents of an image, and of what differs from a container before; and the same for a unit of
/// several components.
pub(crate) const COMPLETE: u32 = 1;
const INCREMENT: u32 = 2;
const UNIT: u32 = 3;
const UNIT_INCREMENT: u32 = 4;

fn is_increment(contents: u32) -> bool {
    [INCREMENT, UNIT_INCREMENT].contains(&contents)
}

fn is_unit(contents: u32) -> bool {
    [UNIT, UNIT_INCREMENT].contains(&contents)
}

/// What a section consists of.
trait Record: Sized {
    const SECTION: &'static str;
    const BYTES: usize;

    /// The record in bytes of its size.
    fn parse(bytes: &[u8]) -> Self;
}

/// A field of a record, at the beginning of the bytes.
trait Field {
    fn parse(bytes: &[u8]) -> Self;
}

impl Field for u32 {
    fn parse(bytes: &[u8]) -> Self {
        bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }
}

impl Field for u64 {
    fn parse(bytes: &[u8]) -> Self {
        bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

impl<const N: usize> Field for [u32; N] {
    fn parse(bytes: &[u8]) -> Self {
        std::array::from_fn(|i| Field::parse(&bytes[4 * i..]))
    }
}

/// An address, or what looks like one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address(pub(crate) u64);

impl Field for Address {
    fn parse(bytes: &[u8]) -> Self {
        Address(Field::parse(bytes))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

/// A text in a field of that many bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text<const N: usize>([u8; N]);

impl<const N: usize> Text<N> {
    fn length(&self) -> usize {
        self.0.iter().position(|byte| *byte == 0).unwrap_or(N)
    }

    /// Whether it ends within the field, and nothing but zeros follow.
    fn is_well_formed(&self) -> bool {
        let length = self.length();
        length < N && self.0[length..].iter().all(|byte| *byte == 0)
    }

    /// Bytes that are no UTF-8 are replaced.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0[..self.length()])
    }

    fn is(&self, text: &str) -> bool {
        &self.0[..self.length()] == text.as_bytes()
    }
}

impl<const N: usize> Field for Text<N> {
    fn parse(bytes: &[u8]) -> Self {
        Text(*bytes.first_chunk().unwrap_or(&[0; N]))
    }
}

impl<const N: usize> Serialize for Text<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

/// A SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Field for Digest {
    fn parse(bytes: &[u8]) -> Self {
        Digest(*bytes.first_chunk().unwrap_or(&[0; 32]))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

/// Records with section, bytes, and the offset of each field, that of a zero behind the others;
/// and the type of their offsets.
macro_rules! records {
    ($($name:ident $offsets:ident $section:literal $bytes:literal {
        $($field:ident $at:literal $kind:ty;)*
        $(- $zero:ident $zero_at:literal $zero_kind:ty;)?
    })*) => {$(
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        pub(crate) struct $name {
            $(pub(crate) $field: $kind,)*
            $(#[serde(skip)] $zero: $zero_kind,)?
        }

        #[allow(dead_code)] // some fields have no wrong value
        struct $offsets {
            $($field: usize,)*
            $($zero: usize,)?
        }

        impl $name {
            const AT: $offsets = $offsets { $($field: $at,)* $($zero: $zero_at,)? };
        }

        impl Record for $name {
            const SECTION: &'static str = $section;
            const BYTES: usize = $bytes;

            fn parse(bytes: &[u8]) -> Self {
                $name {
                    $($field: Field::parse(&bytes[$at..]),)*
                    $($zero: Field::parse(&bytes[$zero_at..]),)?
                }
            }
        }
    )*};
}

records! {
    System SystemAt "system" 256 {
        version 0 u32;
        architecture 4 u32;
        page_size 8 u32;
        kernel 12 u32;
        release 16 Text<32>;
        ram_quota 48 u64;
        cap_quota 56 u64;
        checkpoint 64 u64;
        main_thread 72 u32;
        parent_slot 76 u32;
        parent_dataspace 80 u32;
        parent_offset 88 u64;
        label 96 Text<160>;
        - zero 84 u32;
    }
    Member MemberAt "members" 56 {
        session 0 u32;
        account 4 u32;
        parent 8 u32;
        parent_dataspace 12 u32;
        parent_offset 16 u64;
        table_size 24 u64;
        ram_quota 32 u64;
        cap_quota 40 u64;
        num_gates 48 u32;
        - zero 52 u32;
    }
    Object ObjectAt "objects" 24 {
        slot 0 u32;
        badge 4 u32;
        kind 8 u32;
        number 12 u32;
        member 16 u32;
        previous 20 u32;
    }
    Session SessionAt "sessions" 440 {
        id 0 u64;
        slot 8 u32;
        ram_quota 16 u64;
        cap_quota 24 u64;
        affinity 32 [u32; 6];
        service 56 Text<64>;
        label 120 Text<160>;
        args 280 Text<160>;
        - zero 12 u32;
    }
    Part PartAt "parts" 16 {
        session 0 u32;
        part 4 u32;
        slot 8 u32;
        - zero 12 u32;
    }
    Handler HandlerAt "handlers" 16 {
        session 0 u32;
        part 4 u32;
        context 8 u32;
        - zero 12 u32;
    }
    Dataspace DataspaceAt "dataspaces" 32 {
        kind 0 u32;
        cache 4 u32;
        size 8 u64;
        owner 16 u32;
        part 20 u32;
        slot 24 u32;
        member 28 u32;
    }
    Rom RomAt "roms" 208 {
        name 0 Text<160>;
        size 160 u64;
        session 168 u32;
        sha256 176 Digest;
        - zero 172 u32;
    }
    Region RegionAt "regions" 40 {
        map 0 u32;
        dataspace 4 u32;
        at 8 Address;
        size 16 u64;
        offset 24 u64;
        rights 32 u32;
        - zero 36 u32;
    }
    Thread ThreadAt "threads" 112 {
        index 0 u32;
        state 4 u32;
        session 8 u32;
        called 12 u32;
        serves 16 u32;
        handler 20 u32;
        slot 24 u32;
        native_slot 28 u32;
        gate_slot 32 u32;
        member 36 u32;
        utcb 40 Address;
        ip 48 Address;
        sp 56 Address;
        affinity 64 [u32; 4];
        name 80 Text<32>;
    }
    Fault FaultAt "faults" 24 {
        thread 0 u32;
        map 4 u32;
        address 8 Address;
        r#type 16 u32;
        - zero 20 u32;
    }
    Gate GateAt "gates" 8 {
        thread 0 u32;
        slot 4 u32;
    }
    Source SourceAt "sources" 16 {
        thread 0 u32;
        slot 4 u32;
        semaphore_slot 8 u32;
        member 12 u32;
    }
    Context ContextAt "contexts" 24 {
        source 0 u32;
        slot 4 u32;
        imprint 8 Address;
        pending 16 u32;
        - zero 20 u32;
    }
    Timer TimerAt "timers" 32 {
        session 0 u32;
        elapsed 8 u64;
        deadline 16 u64;
        period 24 u64;
        - zero 4 u32;
    }
    Base BaseAt "base" 16 {
        checkpoint 0 u64;
        crc 8 u32;
        position 12 u32;
    }
    Origin OriginAt "origins" 4 {
        dataspace 0 u32;
    }
    Page PageAt "pages" 4104 {
        dataspace 0 u32;
        page 4 u32;
    }
}

/// What a slot leads to.
pub(crate) mod object {
    pub(crate) const PARENT: u32 = 1;
    pub(crate) const SESSION: u32 = 2;
    pub(crate) const PART: u32 = 3;
    pub(crate) const DATASPACE: u32 = 4;
    pub(crate) const THREAD: u32 = 5;
    pub(crate) const NATIVE_THREAD: u32 = 6;
    pub(crate) const THREAD_GATE: u32 = 7;
    pub(crate) const GATE: u32 = 8;
    pub(crate) const SOURCE: u32 = 9;
    pub(crate) const SEMAPHORE: u32 = 10;
    pub(crate) const CONTEXT: u32 = 11;
    pub(crate) const PSEUDO: u32 = 12;
    pub(crate) const DEAD: u32 = 13;
}

/// What a dataspace is.
pub(crate) mod dataspace {
    pub(crate) const RAM: u32 = 1;
    pub(crate) const ROM: u32 = 2;
    pub(crate) const STACK_AREA: u32 = 3;
    pub(crate) const LINKER_AREA: u32 = 4;
    pub(crate) const CAP_SPACE: u32 = 5;
    pub(crate) const TRACE: u32 = 6;
    pub(crate) const SESSION: u32 = 7;
    pub(crate) const REGION_MAP: u32 = 8;
}

/// Region maps of each member, in front of those of RM sessions: address space, stack area,
/// linker area.
pub(crate) const FIXED_MAPS: usize = 3;

impl Object {
    /// Whether there is a record of what the slot leads to.
    pub(crate) fn has_record(&self) -> bool {
        ![object::PSEUDO, object::DEAD].contains(&self.kind)
    }
}

impl Dataspace {
    /// Whether it belongs to a session, and to no member.
    fn is_of_session(&self) -> bool {
        use dataspace::{REGION_MAP, ROM, SESSION, TRACE};
        [ROM, TRACE, SESSION, REGION_MAP].contains(&self.kind)
    }

    fn has_pages(&self) -> bool {
        [dataspace::RAM, dataspace::TRACE, dataspace::SESSION].contains(&self.kind)
    }
}

/// A component or a unit of several ones, from an image that was completely checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Component {
    /// One record.
    pub(crate) system: Vec<System>,
    /// Those of a unit, the root first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) members: Vec<Member>,
    /// The memory of the capability tables of all members.
    #[serde(skip)]
    pub(crate) table: Vec<u8>,
    pub(crate) objects: Vec<Object>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) parts: Vec<Part>,
    pub(crate) handlers: Vec<Handler>,
    pub(crate) dataspaces: Vec<Dataspace>,
    pub(crate) roms: Vec<Rom>,
    pub(crate) regions: Vec<Region>,
    pub(crate) threads: Vec<Thread>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) gates: Vec<Gate>,
    pub(crate) sources: Vec<Source>,
    pub(crate) contexts: Vec<Context>,
    pub(crate) timers: Vec<Timer>,
    /// One record in an increment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    base: Vec<Base>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    origins: Vec<Origin>,
    pub(crate) pages: Vec<Page>,
    /// CRC-32 of the contents of each page.
    pub(crate) page_sums: Vec<u32>,
}

/// Capability tables of a component, or of the members of a unit.
pub(crate) struct Tables {
    pub(crate) root: Table,
    /// A member that does not execute yet has none.
    pub(crate) others: Vec<Option<Table>>,
}

impl Tables {
    fn all(&self) -> impl Iterator<Item = Option<&Table>> {
        std::iter::once(Some(&self.root)).chain(self.others.iter().map(Option::as_ref))
    }
}

impl Component {
    pub(crate) fn system(&self) -> &System {
        &self.system[0]
    }

    /// Dataspaces whose contents are the region maps of RM sessions, in the order of the maps.
    pub(crate) fn region_maps(&self) -> impl Iterator<Item = &Dataspace> {
        self.dataspaces.iter().filter(|d| d.kind == dataspace::REGION_MAP)
    }
}
