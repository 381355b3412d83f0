//! A made-up machine, whose tables and directory are written here from `doc/layout.md`.

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
