//! A reader of a checkpoint file that somebody else wrote.

use std::ops::Range;

use cap_map_rs::SlotWord;
use cap_map_rs::layout::*;

use crate::checkpoint::ClientState;
use crate::checkpoint::component::{COMPLETE, Chain, Component, Rest};
use crate::checkpoint::{Checkpoint, KernelEntry, Meta, Object, Program, Refusal, container};
use crate::memory::{allocations, checksum};

/// The target.
pub fn run(data: &[u8]) {
    let Some((mode, bytes)) = data.split_first() else { return };
    let mut file = bytes.to_vec();
    if mode & 1 != 0 {
        repair(&mut file);
        repair_increments(&mut file, mode & 2 != 0);
    }
    let (decoded, largest, sum) = allocations(|| container::decode(&file).map(|s| s.len()));
    // A list of at most 32 sections, or the text of a refusal.
    assert!(largest <= 2048 && sum <= 8192, "allocated {sum} bytes, {largest} of them at once");
    match decoded {
        Ok(count) => assert!(count <= container::MAX_SECTIONS),
        Err(refusal) => assert!(refusal.offset <= file.len() as u64, "{refusal}"),
    }
    compare(&file);
    compare_chains(&file);
    let Ok(sections) = container::decode(&file) else { return };
    let again: Vec<_> = sections.iter().map(|section| (section.name, section.bytes)).collect();
    assert_eq!(container::encode(&again), file, "one form for each content");
    let (decoded, _, sum) = allocations(|| Checkpoint::decode(&file));
    // Each byte is copied a few times; a list in JSON takes more than its text.
    assert!(sum <= 64 * file.len() + 16384, "allocated {sum} bytes for {}", file.len());
    match decoded {
        Err(refusal) => assert!(refusal.offset <= file.len() as u64, "{refusal}"),
        Ok(checkpoint) => {
            let again = Checkpoint::decode(&checkpoint.encode().expect("can be written"));
            assert_eq!(again, Ok(checkpoint), "what was read can be written");
        }
    }
}

/// Both readers of images of Genode components say the same of a file.
fn compare(file: &[u8]) {
    let decode = |sections: Vec<_>| Component::decode(&sections, COMPLETE).map(|_| ());
    let (ours, _, sum) = allocations(|| container::decode(file).and_then(decode));
    assert!(sum <= 64 * file.len() + 16384, "allocated {sum} bytes for {}", file.len());
    match (ours, cap_checkpoint_image_host::read(file)) {
        (Ok(()), Ok(())) => {}
        (Err(ours), Err((offset, text))) => compare_refusals(&ours, offset, &text),
        (ours, cpp) => panic!("Rust: {ours:?}; C++: {cpp:?}"),
    }
}

fn compare_refusals(ours: &Refusal, offset: u64, text: &str) {
    assert_eq!(ours.offset, offset, "{ours}; {text}");
    // Reasons that are about a section are the same, but for those that a table's header has.
    if text.contains("section \"") && !text.contains("\"table\"") {
        assert_eq!(ours.to_string(), text);
    }
}

/// Both readers of chains say the same of a file, and make the same complete image of it.
fn compare_chains(file: &[u8]) -> (usize, cap_checkpoint_image_host::Rest) {
    use cap_checkpoint_image_host::{Rest as Cpp, read_chain};
    let (containers, rest, merged) = read_chain(file);
    let (chain, _, sum) = allocations(|| Chain::decode(file, usize::MAX));
    assert!(sum <= 64 * file.len() + 16384, "allocated {sum} bytes for {}", file.len());
    match chain {
        Err(ours) => {
            let Cpp::Damaged(offset, text) = &rest else { panic!("Rust: {ours}; C++: {rest:?}") };
            assert_eq!(containers, 0, "{ours}");
            compare_refusals(&ours, *offset, text);
        }
        Ok(chain) => {
            assert_eq!(chain.containers().len(), containers, "{:?}; {rest:?}", chain.rest);
            match (&chain.rest, &rest) {
                (Rest::Nothing, Cpp::Nothing) | (Rest::LeftOver, Cpp::LeftOver) => {}
                (Rest::Damaged(ours), Cpp::Damaged(offset, text)) => {
                    assert!(ours.offset <= file.len() as u64, "{ours}");
                    compare_refusals(ours, *offset, text);
                }
                (ours, cpp) => panic!("Rust: {ours:?}; C++: {cpp:?}"),
            }
            assert_eq!(chain.merge().as_deref(), Ok(&merged[..]), "of {containers} containers");
            let sections = container::decode(&merged).expect("a merged image is valid");
            let (image, _) = Component::decode(&sections, COMPLETE).expect("it is a component's");
            let (component, _) = chain.into_component().expect("the chain is valid");
            assert_eq!(component.pages, image.pages);
            assert_eq!(component.page_sums, image.page_sums);
        }
    }
    (containers, rest)
}

/// How many containers both readers accept of a file, and the text of a refusal.
#[must_use]
pub fn read_chain(file: &[u8]) -> (usize, Option<String>) {
    match compare_chains(file) {
        (containers, cap_checkpoint_image_host::Rest::Damaged(_, text)) => (containers, Some(text)),
        (containers, _) => (containers, None),
    }
}

/// What the reader of images of components says to a file, having been compared with the other one.
///
/// # Errors
/// The text of a refusal.
pub fn read_component(file: &[u8]) -> Result<(), String> {
    compare(file);
    cap_checkpoint_image_host::read(file).map_err(|(_, text)| text)
}

/// What a reader says to a file.
///
/// # Errors
/// The reason of a refusal.
pub fn read(file: &[u8]) -> Result<(), String> {
    Checkpoint::decode(file).map(|_| ()).map_err(|refusal| refusal.reason)
}

/// Sets all checksums right, so that the numbers behind them are looked at.
pub fn repair(file: &mut [u8]) {
    let number = |file: &[u8], at: usize, bytes: usize| -> Option<u64> {
        let mut value = [0; 8];
        value[..bytes].copy_from_slice(file.get(at..at + bytes)?);
        Some(u64::from_le_bytes(value))
    };
    let put = |file: &mut [u8], at: usize, sum: u32| {
        if let Some(place) = file.get_mut(at..at + 4) {
            place.copy_from_slice(&sum.to_le_bytes());
        }
    };
    let count = usize::try_from(number(file, 12, 4).unwrap_or(0)).unwrap_or(0).min(64);
    for entry in (0..count).map(|i| 32 + 40 * i) {
        let range = number(file, entry + 16, 8).zip(number(file, entry + 24, 8));
        let Some((offset, length)) = range else { break };
        let end = usize::try_from(offset.saturating_add(length)).unwrap_or(usize::MAX);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        if file.get(entry..).is_some_and(|name| name.starts_with(b"table\0"))
            && let Some(table) = file.get_mut(start..end)
        {
            repair_header(table);
            repair_others(table);
        }
        if let Some(contents) = file.get(start..end) {
            let sum = crc32fast::hash(contents);
            put(file, entry + 32, sum);
        }
    }
    if let Some(table) = file.get(32..32 + 40 * count) {
        let sum = crc32fast::hash(table);
        put(file, 24, sum);
    }
    if let Some(header) = file.get(..28) {
        let sum = crc32fast::hash(header);
        put(file, 28, sum);
    }
}

/// Sets all checksums of the containers behind the first one right, and lets each of them name the one
/// before it if that is wanted.
pub fn repair_increments(file: &mut [u8], named: bool) {
    let mut at = 0;
    loop {
        let before = &file[at..];
        if !before.starts_with(&container::MAGIC) || before.len() < 32 {
            return;
        }
        let (number, crc) = (checkpoint(before), container::header_sum(before));
        let end = at.saturating_add(container::extent(before));
        let Some(next) = end.checked_next_multiple_of(4096).filter(|next| *next < file.len())
        else {
            return;
        };
        let increment = &mut file[next..];
        let base = section(increment, b"base").filter(|base| base.len() >= 12 && named);
        if let (Some(base), Some(number)) = (base, number) {
            increment[base.start..][..8].copy_from_slice(&number.to_le_bytes());
            increment[base.start + 8..][..4].copy_from_slice(&crc.to_le_bytes());
        }
        repair(increment);
        at = next;
    }
}

/// Number of the checkpoint that a container has, whatever else is wrong.
fn checkpoint(file: &[u8]) -> Option<u64> {
    let system = section(file, b"system")?;
    file.get(system.start + 64..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Where a section is, within the file.
#[must_use]
pub fn section(file: &[u8], name: &[u8]) -> Option<Range<usize>> {
    let (entries, _) = file.get(32..)?.as_chunks::<40>();
    let is_named = |entry: &&[u8; 40]| entry[..name.len()] == *name && entry[name.len()] == 0;
    let entry = entries.iter().take(container::MAX_SECTIONS).find(is_named)?;
    let field = |at: usize| usize::try_from(u64::from_le_bytes(*entry[at..].first_chunk()?)).ok();
    let (start, length) = (field(16)?, field(24)?);
    let range = start..start.checked_add(length)?;
    file.get(range.clone()).map(|_| range)
}

/// Sets the checksum of a table's header right.
fn repair_header(table: &mut [u8]) {
    let (words, _) = table.as_chunks_mut::<WORD_BYTES>();
    if words.len() >= SLOTS / WORD_BYTES {
        let sum = checksum(|at| u64::from_ne_bytes(words[at]));
        words[OFF_CHECKSUM / WORD_BYTES] = sum.to_ne_bytes();
    }
}

/// The same for the tables of the other members of a unit, which follow the first one.
fn repair_others(tables: &mut [u8]) {
    let magic = MAGIC.to_ne_bytes();
    for at in (WORD_BYTES..tables.len()).step_by(WORD_BYTES) {
        if tables[at..].starts_with(&magic) {
            repair_header(&mut tables[at..]);
        }
    }
}

/// Files to start from: sections of any kind, and a complete checkpoint.
pub fn samples() -> [Vec<u8>; 2] {
    let any =
        [("meta", b"{}".as_slice()), ("table", &[7; 20]), ("empty", b""), ("kernel", &[0; 32])];
    let mut table = vec![0; SLOTS + MIN_CAPACITY * WORD_BYTES];
    let words = [
        (OFF_MAGIC, MAGIC),
        (OFF_VERSION, VERSION),
        (OFF_SIZE, 0x400),
        (OFF_CAPACITY, 64),
        (OFF_FIRST_USER, 4),
        (OFF_SHIFT, 12),
        (OFF_BADGE_BITS, 28),
        (OFF_SLOTS, SLOTS as u64),
        (OFF_KIND, KIND_PUBLISHED),
        (OFF_BOOT, 1),
        (OFF_INSTANCE, 2),
        (OFF_HIGH_WATER, 3),
        (SLOTS + WORD_BYTES, SlotWord::used(8).0),
        (SLOTS + 2 * WORD_BYTES, SlotWord::detached(12).0),
    ];
    for (at, word) in words {
        table[at..at + WORD_BYTES].copy_from_slice(&word.to_ne_bytes());
    }
    repair_header(&mut table);
    let object = Object::Gate { creator: 1, entrypoint: 2, name: 3 };
    let checkpoint = Checkpoint {
        meta: Meta {
            program: Program { bytes: 1, crc32: 2 },
            image_address: 3,
            table_address: 4,
            entrypoints: 5,
            rounds: 6,
            seed: 7,
        },
        table,
        image: vec![1, 2, 3],
        references: vec![1; MIN_CAPACITY],
        kernel: vec![
            KernelEntry { slot: 1, badge: 8, object },
            KernelEntry { slot: 2, badge: 12, object: Object::Dead },
        ],
        clients: ClientState::default(),
    };
    let complete = checkpoint.encode().expect("can be written");
    assert_eq!(Checkpoint::decode(&complete), Ok(checkpoint), "one that can be read");
    [container::encode(&any), complete]
}
