//! A made-up machine, whose tables and directory are written here from `doc/layout.md`, and the
//! golden directory of that text, which `tools/read_directory` reads. Core's own part is C++ inside
//! Genode, so the golden directory stands for it.

use std::path::Path;
use std::process::{Command, Output};

pub(crate) const BOOT: u64 = 0x0123_4567_89ab_cdef;
pub(crate) const MIB: usize = 1 << 20;

pub(crate) fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

pub(crate) fn put(bytes: &mut [u8], at: usize, words: &[u64]) {
    for (i, word) in words.iter().enumerate() {
        bytes[at + 8 * i..][..8].copy_from_slice(&word.to_ne_bytes());
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    pub(crate) label: &'a str,
    pub(crate) kind: u64,
    pub(crate) capacity: u64,
    pub(crate) instance: u64,
    pub(crate) pd: u64,
    /// Slot, state, badge.
    pub(crate) slots: &'a [(usize, u64, u64)],
}

impl Table<'_> {
    pub(crate) fn bytes(self) -> Vec<u8> {
        let Table { label, kind, capacity, instance, pd, slots } = self;
        let size = 0x200 + 8 * capacity;
        let mut bytes = vec![0; usize::try_from(size).unwrap()];
        put(&mut bytes, 0, &[0x4341_5054_4142_4c45, 2, size, capacity, 4, 12, 28, 0x200]);
        bytes[0x40..][..label.len()].copy_from_slice(label.as_bytes());
        put(&mut bytes, 0xc0, &[2 * slots.len() as u64]);
        let mark = slots.iter().map(|(slot, ..)| slot + 1).max().unwrap_or(0);
        put(&mut bytes, 0xd0, &[mark as u64]);
        put(&mut bytes, 0x100, &[kind, BOOT, instance, pd]);
        let sum = fnv(bytes[..0x80].iter().chain(&bytes[0x100..0x140]).copied());
        put(&mut bytes, 0x140, &[sum]);
        for (slot, state, badge) in slots {
            put(&mut bytes, 0x200 + 8 * slot, &[state << 61 | badge << 33 | badge << 5]);
        }
        bytes
    }
}

/// State, badge, address of the table, instance, label.
pub(crate) type Pd<'a> = (u64, u64, u64, u64, &'a str);

pub(crate) fn directory(pds: &[Pd<'_>], slots: usize, records: &[(usize, u32)]) -> Vec<u8> {
    let first = 0xc0 + 128 * pds.len();
    let size = (first + 4 * slots).next_multiple_of(8);
    let mut bytes = vec![0; size];
    let numbers = [size, pds.len(), 128, 0xc0, slots, first].map(|number| number as u64);
    put(&mut bytes, 0, &[0x4341_5044_4952_4543, 1]);
    put(&mut bytes, 16, &numbers);
    put(&mut bytes, 0x40, &[BOOT]);
    let sum = fnv(bytes[..0x48].iter().copied());
    put(&mut bytes, 0x48, &[sum]);
    put(&mut bytes, 0x80, &[6]);
    for (i, (state, badge, address, instance, label)) in pds.iter().enumerate() {
        let at = 0xc0 + 128 * i;
        put(&mut bytes, at, &[*state, *badge, *address, 0x2000, *instance]);
        bytes[at + 0x40..][..label.len()].copy_from_slice(label.as_bytes());
    }
    for (slot, record) in records {
        bytes[first + 4 * slot..][..4].copy_from_slice(&record.to_ne_bytes());
    }
    bytes
}

pub(crate) const DIRECTORY: usize = 0x10_0000;
pub(crate) const CORE: usize = 0x14_0000;
pub(crate) const SERVER: usize = 0x20_0000;
pub(crate) const CLIENT: usize = 0x21_0000;
pub(crate) const DEAD: usize = 0x22_0000;
pub(crate) const QUIET: usize = 0x23_0000;
pub(crate) const FORGED: usize = 0x30_0000;

/// Slots in use with consecutive badges.
pub(crate) fn used(slots: std::ops::Range<usize>, first: u64) -> Vec<(usize, u64, u64)> {
    slots.zip(first..).map(|(slot, i)| (slot, 2, 4 * i)).collect()
}

/// A machine of 4 MiB. The server has made `gates` objects, of which the client holds three.
pub(crate) fn machine(gates: usize) -> Vec<u8> {
    let mut ram = vec![0; 4 * MIB];
    let mut add = |at: usize, bytes: Vec<u8>| ram[at..at + bytes.len()].copy_from_slice(&bytes);
    let pds: [Pd<'_>; 4] = [
        (1, 24, SERVER as u64, 11, "init -> server"),
        (1, 28, CLIENT as u64, 12, "init -> client"),
        (2, 32, DEAD as u64, 13, "init -> old"),
        (1, 36, 0, 0, "init -> quiet"),
    ];
    // Slots 6 to 9 of core are the PDs, then there are the gates of the server.
    let mut records: Vec<_> = (10..10 + gates).map(|slot| (slot, 0x1_0001)).collect();
    records.push((5, 0x3_0000));
    add(DIRECTORY, directory(&pds, 1024, &records));
    let slots = used(5..10 + gates, 5);
    add(
        CORE,
        Table { label: "core", kind: 1, capacity: 1024, instance: 1, pd: 0, slots: &slots }.bytes(),
    );
    let server = Table { label: "server", kind: 3, capacity: 512, instance: 11, pd: 0, slots: &[] };
    let mut slots = vec![(4, 2, 24)];
    slots.extend(used(8..12, 10));
    add(SERVER, Table { slots: &slots, ..server }.bytes());
    let slots =
        [(3, 2, 1), (4, 2, 28), (8, 2, 40), (9, 2, 44), (10, 2, 48), (11, 2, 4000), (12, 3, 60)];
    add(CLIENT, Table { label: "client", instance: 12, pd: 0, slots: &slots, ..server }.bytes());
    add(DEAD, Table { label: "old", instance: 13, pd: 0, slots: &[(4, 2, 32)], ..server }.bytes());
    let quiet = Table { label: "", kind: 2, instance: 0, pd: 36, ..server };
    add(QUIET, Table { slots: &[(4, 2, 36), (5, 2, 52)], ..quiet }.bytes());
    // What the client has written into its own memory.
    let forged =
        Table { label: "init -> server", kind: 2, capacity: 64, instance: 11, pd: 0, slots: &[] };
    let slots = used(4..64, 10);
    add(FORGED, Table { slots: &slots, ..forged }.bytes());
    ram
}

/// Physical address, offset, length.
pub(crate) type Segment = (u64, u64, u64);

/// An ELF file with these segments.
pub(crate) fn elf(wide: bool, segments: &[Segment], contents: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x7f, b'E', b'L', b'F', if wide { 2 } else { 1 }, 1, 1];
    let number = |bytes: &mut Vec<u8>, value: u64, width: usize| {
        bytes.extend(&value.to_le_bytes()[..width]);
    };
    bytes.resize(16, 0);
    let word = if wide { 8 } else { 4 };
    let (header, entry) = if wide { (64, 56) } else { (52, 32) };
    for (value, width) in [(4, 2), (62, 2), (1, 4), (0, word), (header, word), (0, word), (0, 4)] {
        number(&mut bytes, value, width);
    }
    for value in [header, entry, segments.len() as u64, 0, 0, 0] {
        number(&mut bytes, value, 2);
    }
    for (address, offset, length) in segments {
        let all = [*offset, 0, *address, *length, *length];
        number(&mut bytes, 1, 4);
        if wide {
            number(&mut bytes, 0, 4);
        }
        all.iter().for_each(|value| number(&mut bytes, *value, word));
        if !wide {
            number(&mut bytes, 0, 4);
        }
        number(&mut bytes, 0, word);
    }
    bytes.resize(0x201, 0);
    bytes.extend(contents);
    bytes
}

const SIZE: usize = 0x2c0;
/// Where the image has the directory, and the table that it names.
const AT: usize = 64;
const TABLE_AT: usize = 0x1000;

/// The golden directory, with another place of the table.
fn golden(table_at: u64) -> Vec<u8> {
    let mut bytes = vec![0; SIZE];
    put(&mut bytes, 0, &[0x4341_5044_4952_4543, 1, 0x2c0, 2, 128, 0xc0, 64, 0x1c0]);
    put(&mut bytes, 0x40, &[0x0123_4567_89ab_cdef, 0x2345_d0a9_cae1_3d8e]);
    put(&mut bytes, 0x80, &[6]);
    put(&mut bytes, 0xc0, &[1, 24, table_at, 0x400, 7]);
    bytes[0x100..0x106].copy_from_slice(b"golden");
    bytes[0x210..0x214].copy_from_slice(&0x0001_0001_u32.to_ne_bytes());
    bytes
}

fn read(name: &str, image: &[u8]) -> Output {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, image).expect("a file for the reader");
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/read_directory");
    Command::new(tool)
        .arg(file)
        .args(["--base", "0x100000"])
        .output()
        .expect("tools/read_directory")
}

/// The golden table, but for its slots.
fn table() -> Vec<u8> {
    let slots = [(6, 3, 16)];
    Table { label: "golden", kind: 3, capacity: 64, instance: 7, pd: 24, slots: &slots }.bytes()
}

fn image(directory: &[u8], table: &[u8]) -> Vec<u8> {
    let mut image = vec![0; TABLE_AT + 0x400];
    image[AT..AT + directory.len()].copy_from_slice(directory);
    image[TABLE_AT..TABLE_AT + table.len()].copy_from_slice(table);
    image
}

#[test]
fn the_golden_directory_names_the_golden_table() {
    let out = read("golden_directory", &image(&golden(0x10_1000), &table()));
    let expected = "directory at 0x100040 boot=0x0123456789abcdef sequence=6\n\
                    0 alive badge=24 label=\"golden\" gate=1\n  \
                    table at 0x101000 size=0x400 instance=7: label=\"golden\" capacity=64 mark=7\n\
                    core, or unknown:\n";
    assert_eq!(String::from_utf8_lossy(&out.stdout), expected);
    assert!(out.status.success());
}

/// A table of another instance, or none at all, is not taken for that of the PD.
#[test]
fn a_table_must_be_the_one_that_the_directory_names() {
    let mut directory = golden(0x10_1000);
    put(&mut directory, 0xe0, &[8]);
    for (table, reason) in [(table(), "another instance"), (vec![0; 0x400], "no table")] {
        let out = read("other_table", &image(&directory, &table));
        assert!(String::from_utf8_lossy(&out.stdout).contains(reason), "{reason}");
    }
}

/// The checksum tells a directory from what looks like one.
#[test]
fn each_constant_word_counts() {
    for word in 0..10 {
        let mut directory = golden(0);
        directory[8 * word] ^= 1;
        let out = read("damaged_directory", &image(&directory, &[]));
        assert!(!out.status.success() && out.stdout.is_empty(), "word {word}");
    }
}
