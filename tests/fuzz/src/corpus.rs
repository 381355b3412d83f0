//! Corpora as text: one file per target, one input per line.
//!
//! ```text
//! # What the file is.
//!
//! 0004*6ff
//! # Why this input is kept whatever it covers.
//! 10 ff 00*16
//! ```
//!
//! A line is an input: words of two hexadecimal digits per byte, and `HH*N` for `N`
//! times the byte `HH`. `-` is the input without a byte. The first block of comments
//! belongs to the file. A comment further down belongs to the input below it: such an
//! input is pinned, so a campaign that reduces the corpus keeps it. Inputs are in the
//! order of their length, then of their bytes, and each occurs once.

use cap_map_rs::layout::*;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Equal bytes in a row from which on they are written as `HH*N`.
const RUN: usize = 4;

/// The corpus of one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corpus {
    /// Lines of the comment that begins the file, with their `#`.
    header: Vec<String>,
    /// Inputs by length and content, each with the comment that pins it, if any.
    inputs: BTreeMap<(usize, Vec<u8>), Vec<String>>,
}

/// The text file of a target.
#[must_use]
pub fn path(target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "corpus", &format!("{target}.txt")].iter().collect()
}

impl Corpus {
    /// Reads a corpus.
    ///
    /// # Errors
    /// The number of a line that is neither a comment nor an input, or that repeats one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut corpus = Corpus::default();
        let mut comment = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.starts_with('#') {
                comment.push(line.to_owned());
            } else if !line.is_empty() {
                let input = decode(line).map_err(|error| format!("line {number}: {error}"))?;
                if !corpus.insert(input, std::mem::take(&mut comment)) {
                    return Err(format!("line {number}: occurs already"));
                }
            } else if corpus.header.is_empty() && corpus.inputs.is_empty() {
                corpus.header.append(&mut comment);
            }
        }
        Ok(corpus)
    }

    /// Writes the corpus in the one form that each corpus has.
    #[must_use]
    pub fn format(&self) -> String {
        let mut lines = self.header.clone();
        lines.push(String::new());
        for ((_, input), comment) in &self.inputs {
            lines.extend(comment.iter().cloned());
            lines.push(encode(input));
        }
        lines.join("\n") + "\n"
    }

    /// Adds an input, pinned if there is a comment; false if it was there.
    pub fn insert(&mut self, input: Vec<u8>, comment: Vec<String>) -> bool {
        let key = (input.len(), input);
        let new = !self.inputs.contains_key(&key);
        if new {
            self.inputs.insert(key, comment);
        }
        new
    }

    /// Removes all inputs that are not pinned.
    pub fn clear(&mut self) {
        self.inputs.retain(|_, comment| !comment.is_empty());
    }

    /// The inputs in their order, and whether each is pinned.
    pub fn inputs(&self) -> impl Iterator<Item = (&[u8], bool)> {
        self.inputs.iter().map(|((_, input), comment)| (input.as_slice(), !comment.is_empty()))
    }
}

fn encode(input: &[u8]) -> String {
    let mut line = String::new();
    let mut after_run = false;
    for equal in input.chunk_by(|a, b| a == b) {
        let (byte, run) = (equal[0], equal.len() >= RUN);
        if !line.is_empty() && (run || after_run) {
            line.push(' ');
        }
        let count = if run { 1 } else { equal.len() };
        line.extend((0..count).map(|_| format!("{byte:02x}")));
        if run {
            line.push_str(&format!("*{}", equal.len()));
        }
        after_run = run;
    }
    if line.is_empty() { "-".to_owned() } else { line }
}

fn decode(line: &str) -> Result<Vec<u8>, String> {
    let mut input = Vec::new();
    for word in line.split_whitespace().filter(|_| line != "-") {
        let (digits, count) = word.split_once('*').unwrap_or((word, "1"));
        let count: usize = count.parse().map_err(|error| format!("{word}: {error}"))?;
        let bytes = bytes(digits).ok_or_else(|| format!("{word}: two digits are a byte"))?;
        if word.contains('*') && bytes.len() != 1 {
            return Err(format!("{word}: one byte is repeated"));
        }
        input.extend(bytes.repeat(count));
    }
    Ok(input)
}

/// The bytes of pairs of digits; `None` without any, and for anything else.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    // Not left to the conversion: it takes a sign for a digit.
    let digits: Option<Vec<u32>> = digits.chars().map(|digit| digit.to_digit(16)).collect();
    let (pairs, []) = digits.as_ref()?.as_chunks() else { return None };
    let byte = |[high, low]: &[u32; 2]| u8::try_from(16 * high + low).ok();
    pairs.iter().map(byte).collect::<Option<Vec<u8>>>().filter(|bytes| !bytes.is_empty())
}

/// Bytes that look random, the same for each seed.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// Histories of components with few pages: without any, with one in the increment, with more
/// dataspaces, too, and with one in the image.
pub const SHORT_HISTORIES: [u32; 4] = [178, 35, 16, 69];

/// History of a unit with one page in two containers.
pub const SHORT_HISTORY_OF_UNIT: u32 = 60;

/// Chains of two containers, each with something special, and modes to repair them.
fn special_chains() -> [(u8, Vec<u8>); 6] {
    let chain = |history| cap_checkpoint_image_host::history(SHORT_HISTORIES[history], 2).0;
    let increment = |chain: &[u8]| {
        let mut places = (4096..chain.len()).step_by(4096);
        places.find(|at| chain[*at..].starts_with(b"CAPCKPT\n")).expect("two containers")
    };
    let with = |history, section: &[u8], change: fn(&mut [u8])| {
        let mut chain = chain(history);
        let start = increment(&chain);
        let place = crate::checkpoint_file::section(&chain[start..], section);
        change(&mut chain[start..][place.expect("in an increment")]);
        chain
    };
    let mut gap = chain(0);
    let before = increment(&gap) - 1;
    gap[before] = 1;
    [
        // A page that has become zero, and a dataspace with pages that the increment does not continue.
        (3, with(1, b"pages", |pages| pages[8..].fill(0))),
        (3, with(3, b"origins", |origins| origins.fill(0xff))),
        // One that continues what there is not, and one that continues another.
        (3, with(0, b"origins", |origins| origins[20..24].copy_from_slice(&[200, 0, 0, 0]))),
        (
            3,
            with(0, b"origins", |origins| {
                origins[..8].copy_from_slice(&[255, 255, 255, 255, 0, 0, 0, 0])
            }),
        ),
        // An increment of another image, and bytes where there must be none.
        (1, with(0, b"base", |base| base[8] ^= 1)),
        (0, gap),
    ]
}

/// The seeds of a target, in a fixed order.
#[must_use]
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    if target == "checkpoint" {
        let with = |mode: u8, bytes: &[u8]| [&[mode], bytes].concat();
        let mut seeds = Vec::new();
        for file in crate::checkpoint_file::samples() {
            seeds.extend([
                with(0, &file),
                with(1, &file),
                with(1, &file[..40]),
                with(0, &file[..file.len() - 1]),
                with(1, &[file.as_slice(), &[0]].concat()),
            ]);
        }
        for pages in [0, 1] {
            let image = cap_checkpoint_image_host::sample(pages);
            seeds.extend([with(0, &image), with(1, &image)]);
        }
        let maps = cap_checkpoint_image_host::sample_with_maps(0);
        seeds.extend([with(0, &maps), with(1, &maps)]);
        let unit = cap_checkpoint_image_host::sample_unit(0);
        let (chain, _) = cap_checkpoint_image_host::history_of_unit(SHORT_HISTORY_OF_UNIT, 2);
        seeds.extend([with(0, &unit), with(1, &unit), with(1, &chain), with(3, &chain)]);
        for history in SHORT_HISTORIES {
            let (chain, _) = cap_checkpoint_image_host::history(history, 2);
            seeds.extend([with(0, &chain), with(1, &chain), with(3, &chain)]);
        }
        seeds.extend(special_chains().iter().map(|(mode, chain)| with(*mode, chain)));
        return seeds;
    }
    if target == "image" {
        let [_, complete] = crate::checkpoint_file::samples();
        // Its table alone begins at the first magic.
        let magic = cap_map_rs::layout::MAGIC.to_ne_bytes();
        let at = complete.windows(8).position(|window| window == magic).unwrap_or(0);
        let table = &complete[at..at + 0x400];
        let mut labelled = [&[2], table].concat();
        labelled[1 + OFF_LABEL..][..11].copy_from_slice(b"init -> one");
        let component = cap_checkpoint_image_host::sample(0);
        return vec![
            [&[1], &complete[..]].concat(),
            [&[2], table].concat(),
            labelled,
            [&[1], &component[..]].concat(),
            [&[1], &cap_checkpoint_image_host::history(SHORT_HISTORIES[2], 2).0[..]].concat(),
            [&[1], &cap_checkpoint_image_host::sample_unit(0)[..]].concat(),
        ];
    }
    if target == "live" {
        return crate::look::machines();
    }
    if target == "owner" {
        return [directed(), noisy(target)].concat();
    }
    if target == "monitor" {
        // A header that claims more slots than there are, and all of them read.
        let claims = vec![vec![0xfc, 0, 0, 0, 0, 2, 1, 1, 0]];
        let special = vec![restless(), private()];
        return [claims, noisy(target), beyond_the_limits(), special].concat();
    }
    noisy(target)
}

/// Histories of an owner that lead to where a hostile monitor has a chance:
/// `[mode, size, writes...]`, then steps `[kind, slot, badge, ...]`.
fn directed() -> Vec<Vec<u8>> {
    const IDLE: [u8; 4] = [0, 4, 0, 0];
    // Badge 20 appears in slot 8, and the generation moves on.
    const BADGE_IN_SLOT_8: [u8; 5] = [0, 12, 8, 5, 4];
    // Badge 20, or 24, appears there, and the generation stays.
    const QUIETLY_20: [u8; 5] = [0, 13, 8, 5, 4];
    const QUIETLY_24: [u8; 5] = [0, 13, 8, 6, 4];
    const INSERT_AT_8: [u8; 3] = [4, 8, 5];
    const INSERT_AT_30: [u8; 3] = [4, 30, 5];
    const REMOVE_8: [u8; 3] = [9, 8, 0];
    const ALLOC_8: [u8; 3] = [1, 8, 0];
    const FREE_8: [u8; 4] = [8, 8, 0, 0];
    let script = |writes: &[&[u8]]| {
        [&[0, 0, u8::try_from(writes.len()).expect("few")], writes.concat().as_slice()].concat()
    };
    vec![
        // The badge appears in a slot that nobody has, and is looked for.
        [script(&[&BADGE_IN_SLOT_8]), vec![13, 0, 5, 0, 0, 0]].concat(),
        [script(&[&BADGE_IN_SLOT_8]), vec![4, 8, 5, 0, 0, 0]].concat(),
        // It appears in the slot that insert_map is about to fill.
        [script(&[&IDLE, &BADGE_IN_SLOT_8, &IDLE, &IDLE]), vec![6, 0, 5, 1, 0, 1, 0, 0, 0]]
            .concat(),
        // It appears in a receive window, and is given to another slot.
        [
            script(&[&IDLE, &BADGE_IN_SLOT_8, &IDLE]),
            [ALLOC_8, INSERT_AT_30].concat(),
            FREE_8.to_vec(),
        ]
        .concat(),
        // Another badge appears in its slot, so that the slot's entry in the index
        // stays when it is removed; the slot becomes a window, and the badge is back.
        [
            script(&[&IDLE, &QUIETLY_24, &IDLE, &QUIETLY_20, &IDLE]),
            [INSERT_AT_8, REMOVE_8, ALLOC_8, INSERT_AT_30].concat(),
            FREE_8.to_vec(),
        ]
        .concat(),
        // The same with a slot that is free when the badge is back.
        [
            script(&[&IDLE, &QUIETLY_24, &QUIETLY_20, &IDLE]),
            [INSERT_AT_8, REMOVE_8, INSERT_AT_8, ALLOC_8].concat(),
        ]
        .concat(),
    ]
}

/// Headers with one field just outside its range.
fn beyond_the_limits() -> Vec<Vec<u8>> {
    let fields = [
        (OFF_FIRST_USER, MIN_CAPACITY as u64),
        (OFF_SHIFT, u64::from(MAX_SHIFT) + 1),
        (OFF_BADGE_BITS, 0),
        (OFF_BADGE_BITS, u64::from(BADGE_BITS) + 1),
        (OFF_KIND, 0),
        (OFF_AREA, 64),
        (OFF_AREA, u64::from(u32::MAX) - 63),
        (OFF_HIGH_WATER, u64::MAX),
    ];
    let seed = |(offset, value): (usize, u64)| {
        let word = u8::try_from(offset / WORD_BYTES).expect("a header word");
        // Snapshots and look-ups follow.
        [&[0, 0, 1, word], value.to_le_bytes().as_slice(), &[0, 0, 2, 1, 1, 0]].concat()
    };
    fields.map(seed).into()
}

/// Rewrites of a table that is private.
fn private() -> Vec<u8> {
    let word = u8::try_from(OFF_KIND / WORD_BYTES).expect("a header word");
    let header = [&[0, 0, 1, word], KIND_PRIVATE.to_le_bytes().as_slice(), &[0, 0]].concat();
    // Slot 8 gets badge 200 instead of the one that it carries.
    [header, vec![5, 1, 8, 0, 200]].concat()
}

/// Snapshots of a table whose sequence a thread of the target moves on and on.
fn restless() -> Vec<u8> {
    const NEXT_SEQUENCE: [u8; 4] = [0, 1, 0, 0];
    [&[0, 63, 0, 1, 1], NEXT_SEQUENCE.as_slice(), &[2, 1].repeat(64)].concat()
}

fn noisy(target: &str) -> Vec<Vec<u8>> {
    (1..=12)
        .map(|n: u8| {
            // Modes: hook points and threads, the front and the back of the mapping.
            let mut seed = vec![if target == "monitor" { n % 2 } else { 0x10 + n % 4 }, n % 3];
            seed.extend(noise(u64::from(n), 60 + 20 * usize::from(n)));
            seed
        })
        .collect()
}
