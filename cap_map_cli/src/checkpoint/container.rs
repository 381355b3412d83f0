//! The bytes of a checkpoint file: named sections with checksums. Normative
//! text: `doc/checkpoint.md`.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};

use crate::table::escaped;

/// First bytes of a checkpoint file.
pub const MAGIC: [u8; 8] = *b"CAPCKPT\n";

/// Version of the format, the only one that is written and read.
pub const VERSION: u32 = 2;

/// The version whose tables have the layout before this one.
const OLD_VERSION: u32 = 1;
/// The last release that reads it.
const OLD_RELEASE: &str = "0.1.0";

/// Most sections of a file.
pub const MAX_SECTIONS: usize = 32;

/// Longest file that is read; the testbed's own have a few MiB.
const MAX_BYTES: u64 = 128 << 20;

/// First bytes of a file that zstd has compressed.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Whether a file that begins so claims to be a checkpoint, compressed or not.
pub(crate) fn begins(start: [u8; 8]) -> bool {
    start == MAGIC || start.starts_with(&ZSTD_MAGIC)
}

/// Memory for decompression: twice what the longest file needs.
const MAX_WINDOW_LOG: u32 = MAX_BYTES.ilog2() + 1;

const HEADER: usize = 32;
const ENTRY: usize = 40;
/// Offset of the header's checksum, which covers what is in front of it.
const HEADER_SUM: usize = 28;
const NAME: usize = 16;
const ALIGN: usize = 8;

/// Why a file is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Byte of the file that the reason is about.
    pub offset: u64,
    /// The reason.
    pub reason: String,
}

impl Refusal {
    pub(crate) fn at(offset: usize, reason: impl Into<String>) -> Self {
        Refusal { offset: offset as u64, reason: reason.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at offset {}: {}", self.offset, self.reason)
    }
}

impl std::error::Error for Refusal {}

/// One section of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// Name of at most 16 characters.
    pub name: &'a str,
    /// Position in the file.
    pub offset: usize,
    /// Contents.
    pub bytes: &'a [u8],
}

/// The file with the given sections, in this order.
///
/// # Panics
/// If there are too many sections, or a name is too long or not ASCII.
pub fn encode(sections: &[(&str, &[u8])]) -> Vec<u8> {
    assert!(sections.len() <= MAX_SECTIONS, "too many sections");
    let mut table = Vec::new();
    let mut body = Vec::new();
    let start = HEADER + ENTRY * sections.len();
    for (name, bytes) in sections {
        assert!(name.len() <= NAME && name.is_ascii(), "name of a section");
        body.resize(body.len().next_multiple_of(ALIGN), 0);
        let mut padded = [0; NAME];
        padded[..name.len()].copy_from_slice(name.as_bytes());
        table.extend(padded);
        table.extend(((start + body.len()) as u64).to_le_bytes());
        table.extend((bytes.len() as u64).to_le_bytes());
        table.extend(crc32fast::hash(bytes).to_le_bytes());
        table.extend([0; 4]);
        body.extend(*bytes);
    }
    let count = u32::try_from(sections.len()).expect("checked above");
    let mut file = Vec::with_capacity(start + body.len());
    file.extend(MAGIC);
    file.extend(VERSION.to_le_bytes());
    file.extend(count.to_le_bytes());
    file.extend(((start + body.len()) as u64).to_le_bytes());
    file.extend(crc32fast::hash(&table).to_le_bytes());
    file.extend(crc32fast::hash(&file).to_le_bytes());
    file.extend(table);
    file.extend(body);
    file
}

fn u32_at(file: &[u8], offset: usize) -> Result<u32, Refusal> {
    let bytes = file.get(offset..).and_then(<[u8]>::first_chunk);
    bytes.map(|bytes| u32::from_le_bytes(*bytes)).ok_or_else(|| ended(file))
}

fn u64_at(file: &[u8], offset: usize) -> Result<u64, Refusal> {
    let bytes = file.get(offset..).and_then(<[u8]>::first_chunk);
    bytes.map(|bytes| u64::from_le_bytes(*bytes)).ok_or_else(|| ended(file))
}

fn ended(file: &[u8]) -> Refusal {
    Refusal::at(file.len(), "the file ends within its header")
}

/// The checksum in the header of a container.
pub(crate) fn header_sum(container: &[u8]) -> u32 {
    u32_at(container, HEADER_SUM).unwrap_or(0)
}

/// Number of bytes to read a container from that others may follow: its length if the header is
/// right and the length is possible, else all.
pub(crate) fn extent(bytes: &[u8]) -> usize {
    let is_right = bytes.len() >= HEADER
        && bytes.starts_with(&MAGIC)
        && u32_at(bytes, 8) == Ok(VERSION)
        && crc32fast::hash(&bytes[..HEADER_SUM]) == header_sum(bytes);
    let length = u64_at(bytes, 16).ok().and_then(|length| usize::try_from(length).ok());
    let possible = HEADER..=bytes.len();
    length.filter(|length| is_right && possible.contains(length)).unwrap_or(bytes.len())
}

/// The sections of a file, after everything about it has been checked.
///
/// # Errors
/// What is wrong, and where.
pub fn decode(file: &[u8]) -> Result<Vec<Section<'_>>, Refusal> {
    let magic = file.get(..MAGIC.len()).ok_or_else(|| ended(file))?;
    if magic != MAGIC {
        return Err(Refusal::at(0, "this is not a checkpoint file"));
    }
    let version = u32_at(file, 8)?;
    if version != VERSION {
        let mut reason =
            format!("format version {version}, but this program reads version {VERSION} only");
        if version == OLD_VERSION {
            reason += &format!("; cap_map {OLD_RELEASE} with table layout 1 reads it");
        }
        return Err(Refusal::at(8, reason));
    }
    let header_sum = u32_at(file, HEADER_SUM)?;
    if crc32fast::hash(&file[..HEADER_SUM]) != header_sum {
        return Err(Refusal::at(HEADER_SUM, "checksum of the header does not match"));
    }
    let length = u64_at(file, 16)?;
    if length != file.len() as u64 {
        let offset = length.min(file.len() as u64);
        let reason = format!("the file has {} bytes instead of {length}", file.len());
        return Err(Refusal { offset, reason });
    }
    let count = u32_at(file, 12)? as usize;
    if count > MAX_SECTIONS {
        return Err(Refusal::at(12, format!("{count} sections, at most {MAX_SECTIONS}")));
    }
    let start = HEADER + ENTRY * count;
    let table = file
        .get(HEADER..start)
        .ok_or_else(|| Refusal::at(12, format!("{count} sections do not fit in the file")))?;
    if crc32fast::hash(table) != u32_at(file, 24)? {
        return Err(Refusal::at(24, "checksum of the section table does not match"));
    }
    let mut sections = Vec::with_capacity(count);
    let mut end = start;
    for at in (HEADER..start).step_by(ENTRY) {
        let section = section(file, at, end)?;
        if sections.iter().any(|other: &Section<'_>| other.name == section.name) {
            return Err(Refusal::at(
                at,
                format!("section \"{}\" occurs twice", escaped(section.name)),
            ));
        }
        end = section.offset + section.bytes.len();
        sections.push(section);
    }
    if end != file.len() {
        return Err(Refusal::at(end, "bytes behind the last section"));
    }
    Ok(sections)
}

/// The section whose entry is at `at`, and that follows what ends at `end`.
fn section(file: &[u8], at: usize, end: usize) -> Result<Section<'_>, Refusal> {
    let name = file.get(at..at + NAME).ok_or_else(|| ended(file))?;
    let used = name.iter().position(|byte| *byte == 0).unwrap_or(NAME);
    let (name, padding) = name.split_at(used);
    let name = str::from_utf8(name).ok().filter(|name| name.is_ascii() && !name.is_empty());
    let Some(name) = name.filter(|_| padding.iter().all(|byte| *byte == 0)) else {
        return Err(Refusal::at(at, "name of a section is malformed"));
    };
    let refuse = |field: usize, reason: &str| {
        Err(Refusal::at(at + field, format!("section \"{}\": {reason}", escaped(name))))
    };
    let offset = end.next_multiple_of(ALIGN);
    if u64_at(file, at + 16)? != offset as u64 {
        return refuse(16, "is not where the one before ends");
    }
    let length = u64_at(file, at + 24)?;
    let bytes = usize::try_from(length)
        .ok()
        .and_then(|length| offset.checked_add(length))
        .and_then(|end| file.get(offset..end));
    let Some(bytes) = bytes else { return refuse(24, "does not fit in the file") };
    if u32_at(file, at + 36)? != 0 {
        return refuse(36, "reserved field is not zero");
    }
    if file.get(end..offset).is_none_or(|gap| gap.iter().any(|byte| *byte != 0)) {
        let reason = format!("padding before section \"{}\" is not zero", escaped(name));
        return Err(Refusal::at(end, reason));
    }
    if crc32fast::hash(bytes) != u32_at(file, at + 32)? {
        let reason = format!("checksum of section \"{}\" does not match", escaped(name));
        return Err(Refusal::at(offset, reason));
    }
    Ok(Section { name, offset, bytes })
}

/// All bytes of a file that is not too long to be one of ours, without compression. `-` is the
/// standard input.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    let read = if path == Path::new("-") {
        read_from(io::stdin().lock())
    } else {
        File::open(path).map_err(Into::into).and_then(|file| read_from(BufReader::new(file)))
    };
    read.with_context(|| format!("{}", path.display()))
}

fn read_from(mut file: impl BufRead) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut start = [0; ZSTD_MAGIC.len()];
    let mut seen = 0;
    while seen < start.len() {
        match retry_on_interrupt(|| file.read(&mut start[seen..]))? {
            0 => break,
            count => seen += count,
        }
    }
    let file = start[..seen].chain(file);
    if start == ZSTD_MAGIC {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(file)?;
        decoder.window_log_max(MAX_WINDOW_LOG)?;
        let read = decoder.take(MAX_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| compression_fault(error, bytes.len()))?;
    } else {
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Refusal { offset: MAX_BYTES, reason: "file is too long".into() }.into());
    }
    Ok(bytes)
}

fn retry_on_interrupt<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// What the decoder says of the file is a refusal. What the system says while reading it is none.
fn compression_fault(error: io::Error, read: usize) -> anyhow::Error {
    if error.raw_os_error().is_some() {
        return error.into();
    }
    Refusal::at(read, format!("of the contents: the compressed file is damaged: {error}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Vec<u8> {
        encode(&[("first", b"some bytes\n"), ("empty", b""), ("last", &[7; 25])])
    }

    #[test]
    fn sections_come_back() {
        let file = small();
        let sections = decode(&file).unwrap();
        let got: Vec<_> = sections.iter().map(|section| (section.name, section.bytes)).collect();
        let want: [(&str, &[u8]); 3] =
            [("first", b"some bytes\n"), ("empty", b""), ("last", &[7; 25])];
        assert_eq!(got, want);
        assert!(sections.iter().all(|section| section.offset % 8 == 0));
        assert_eq!(decode(&encode(&[])).unwrap(), []);
    }

    #[test]
    fn two_sections_of_one_name_are_refused() {
        let refusal = decode(&encode(&[("a", b"1"), ("b", b""), ("a", b"1")])).unwrap_err();
        assert_eq!(refusal.to_string(), "at offset 112: section \"a\" occurs twice");
    }

    #[test]
    fn names_in_a_refusal_do_not_talk_to_the_terminal() {
        let refusal = decode(&encode(&[("\u{1b}[31m\n", b""), ("\u{1b}[31m\n", b"")])).unwrap_err();
        assert!(refusal.reason.contains(r"\u{1b}[31m\u{a}"), "{refusal}");
        assert!(!refusal.reason.contains('\u{1b}'), "{refusal}");
    }

    #[test]
    fn every_truncation_is_refused_within_the_file() {
        let file = small();
        for length in 0..file.len() {
            let refusal = decode(&file[..length]).unwrap_err();
            assert!(refusal.offset <= length as u64, "{length}: {refusal}");
        }
        let mut longer = file.clone();
        longer.push(0);
        let refusal = decode(&longer).unwrap_err();
        assert_eq!(refusal.offset, file.len() as u64);
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let file = small();
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut altered = file.clone();
                altered[at] ^= 1 << bit;
                let refusal = decode(&altered).unwrap_err();
                assert!(refusal.offset <= file.len() as u64, "{at}.{bit}: {refusal}");
            }
        }
    }

    /// Whoever reads that another release is needed must be able to tell it from this one.
    #[test]
    fn the_release_that_reads_old_files_is_not_this_one() {
        assert_ne!(OLD_RELEASE, env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn another_version_is_named() {
        for (version, release) in [(1u32, true), (3, false), (0, false)] {
            let mut file = small();
            file[8..12].copy_from_slice(&version.to_le_bytes());
            let refusal = decode(&file).unwrap_err();
            assert_eq!(refusal.offset, 8);
            assert!(refusal.reason.contains(&format!("version {version},")), "{refusal}");
            assert_eq!(refusal.reason.contains("cap_map 0.1.0"), release, "{refusal}");
        }
    }

    #[test]
    fn a_hostile_header_costs_nothing() {
        // Checksums are right, so only the numbers themselves can be refused.
        for (offset, value) in [(12, u32::MAX), (12, 33), (12, 32)] {
            let mut file = small();
            file[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
            let sum = crc32fast::hash(&file[..28]);
            file[28..32].copy_from_slice(&sum.to_le_bytes());
            assert_eq!(decode(&file).unwrap_err().offset, 12);
        }
        for (field, value) in [(16, u64::MAX), (16, 0), (24, u64::MAX), (24, 1 << 40)] {
            let mut file = small();
            let at = HEADER + field;
            file[at..at + 8].copy_from_slice(&value.to_le_bytes());
            let table = HEADER..HEADER + 3 * ENTRY;
            let sum = crc32fast::hash(&file[table]);
            file[24..28].copy_from_slice(&sum.to_le_bytes());
            let sum = crc32fast::hash(&file[..28]);
            file[28..32].copy_from_slice(&sum.to_le_bytes());
            assert_eq!(decode(&file).unwrap_err().offset, at as u64);
        }
    }
}
