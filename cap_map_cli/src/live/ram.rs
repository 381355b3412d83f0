//! The memory of a machine or of a process, as others see it from outside: a shared memory
//! file of a running guest, a raw or ELF dump, a process, or a debugger's stub.

use std::ffi::OsStr;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cap_map_rs::sync::{Ordering, fence};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind, ReadCache, elf};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::gdb::Stub;
use super::mapping::{Mapping, kept};
use crate::checkpoint::Refusal;

/// Bytes that are read at once.
const CHUNK: u64 = 1 << 20;

/// Bytes from one look to the next: tables and directories begin at multiples of it.
const STEP: u64 = 64;

const WORD: u64 = 8;

/// Bytes between two pieces of data that are read instead of skipped.
const SMALL_HOLE: u64 = 1 << 20;

/// Mappings of a process that are larger are left out: they are reserved addresses, such as
/// those of a sanitizer, and looking through them would take hours.
const MAX_MAPPING: u64 = 1 << 36;

const HOLE_END: u64 = 1 << 32;

/// Addresses that can be read, and where the source has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    address: u64,
    bytes: u64,
    at: u64,
}

/// Where the bytes of a raw file are in the memory of the machine.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place {
    /// Address of the first one.
    pub(crate) base: u64,
    /// Where the hole for devices begins, which ends at 4 GiB.
    pub(crate) hole: Option<u64>,
}

impl Place {
    fn parts(self, bytes: u64) -> Result<Vec<Part>> {
        let Place { base, hole } = self;
        ensure!(base.is_multiple_of(STEP), "its address is no multiple of {STEP}");
        ensure!(base.checked_add(bytes).is_some(), "it does not end within 64 bits");
        let Some(hole) = hole.filter(|hole| base + bytes > *hole) else {
            return Ok(vec![Part { address: base, bytes, at: 0 }]);
        };
        let is_possible = hole.is_multiple_of(STEP) && (base + 1..HOLE_END).contains(&hole);
        ensure!(is_possible, "there is no hole from {hole:#x} to 4 GiB");
        let below = hole - base;
        let above = Part { address: HOLE_END, bytes: bytes - below, at: below };
        Ok(vec![Part { address: base, bytes: below, at: 0 }, above])
    }
}

enum Source {
    /// Memory that changes: its words are seen through atomics.
    Shared(Mapping, File),
    /// A file whose bytes are copied: a dump, or the memory of a process.
    File(File),
    Stub(Stub),
}

/// The memory of a machine or a process.
pub(crate) struct Ram {
    source: Source,
    /// In the order of their addresses.
    parts: Vec<Part>,
    /// Bytes of mappings that are left out.
    pub(crate) left_out: u64,
}

impl Ram {
    /// Opens `gdb:HOST:PORT`, `pid:NUMBER`, or a file, whose bytes are at their `place` unless it
    /// is an ELF file. `-` is the standard input.
    pub(crate) fn open(name: &OsStr, place: Place) -> Result<Self> {
        let opened = match name.to_str().and_then(|name| name.split_once(':')) {
            Some(("gdb", address)) => Self::of_stub(address),
            Some(("pid", number)) => Self::of_process(number),
            _ if name == "-" => Self::of_file(Path::new("/dev/stdin"), place),
            _ => Self::of_file(Path::new(name), place),
        };
        opened.with_context(|| Path::new(name).display().to_string())
    }

    fn of_stub(address: &str) -> Result<Self> {
        let mut stub = Stub::connect(address)?;
        let bytes = stub.memory_size()?;
        let parts = vec![Part { address: 0, bytes, at: 0 }];
        Ok(Ram { source: Source::Stub(stub), parts, left_out: 0 })
    }

    fn of_process(number: &str) -> Result<Self> {
        let number: u32 = number.parse().context("pid: needs the number of a process")?;
        let maps = std::fs::read(format!("/proc/{number}/maps")).context("its mappings")?;
        let memory = File::open(format!("/proc/{number}/mem")).context("its memory")?;
        let mut left_out = 0;
        let mut parts = Vec::new();
        for range in maps.split(|byte| *byte == b'\n').filter_map(readable_mapping) {
            let bytes = range.end - range.start;
            if bytes > MAX_MAPPING {
                left_out += bytes;
            } else {
                parts.push(Part { address: range.start, bytes, at: range.start });
            }
        }
        Ok(Ram { source: Source::File(memory), parts: joined(parts), left_out })
    }

    fn of_file(path: &Path, place: Place) -> Result<Self> {
        let mut file = File::open(path)?;
        if file.metadata()?.file_type().is_fifo() {
            file = kept(file)?;
        }
        let metadata = file.metadata()?;
        ensure!(metadata.is_file(), "not a regular file");
        let mut start = [0; 6];
        let is_elf = file.read_exact_at(&mut start, 0).is_ok() && start.starts_with(&elf::ELFMAG);
        if is_elf {
            if start[5] != elf::ELFDATA2LSB.0 || cfg!(target_endian = "big") {
                return refused(5, "an ELF file of another byte order");
            }
            let parts = elf_parts(&file, metadata.len())?;
            return Ok(Ram { source: Source::File(file), parts, left_out: 0 });
        }
        let mapping = Mapping::new(&file)?;
        let parts = place.parts(mapping.words().len() as u64 * WORD)?;
        Ok(Ram { source: Source::Shared(mapping, file), parts, left_out: 0 })
    }

    /// Refuses what was read of a file that has become shorter meanwhile.
    pub(crate) fn check_whole(&self) -> Result<()> {
        if let Source::Shared(mapping, file) = &self.source {
            let bytes = size_of_val(mapping.words()) as u64;
            let is_whole = mapping.is_whole() && file.metadata()?.len() >= bytes;
            ensure!(is_whole, "the file has become shorter");
        }
        Ok(())
    }

    /// Bytes that can be read.
    pub(crate) fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// Whether the memory stands still while it is looked at.
    pub(crate) fn stands_still(&self) -> bool {
        matches!(self.source, Source::Stub(_))
    }

    /// How many bytes can be read from an address on.
    pub(crate) fn bytes_from(&self, address: u64) -> u64 {
        self.part_of(address).map_or(0, |part| part.address + part.bytes - address)
    }

    fn part_of(&self, address: u64) -> Option<Part> {
        let behind = self.parts.partition_point(|part| part.address <= address);
        let part = *self.parts.get(behind.checked_sub(1)?)?;
        (address - part.address < part.bytes).then_some(part)
    }

    /// Copies words, each one as a whole; what is read by later calls is read later.
    ///
    /// # Errors
    /// If there are not as many words at the address, or they cannot be read.
    pub(crate) fn read(&mut self, address: u64, words: &mut [u64]) -> Result<()> {
        let bytes = size_of_val(words) as u64;
        let part = self.part_of(address).filter(|part| {
            address.is_multiple_of(WORD) && part.address + part.bytes - address >= bytes
        });
        let part = part.with_context(|| format!("no memory of {bytes} bytes at {address:#x}"))?;
        let at = part.at + (address - part.address);
        match &mut self.source {
            Source::Shared(mapping, _) => {
                let first = usize::try_from(at / WORD)?;
                let source = mapping.words().get(first..).context("the memory has shrunk")?;
                for (word, source) in words.iter_mut().zip(source) {
                    *word = source.load(Ordering::Relaxed);
                }
                ensure!(mapping.is_whole(), "the file has become shorter");
            }
            Source::File(file) => read_words(file, at, words)?,
            Source::Stub(stub) => stub.read(at, words)?,
        }
        // Pairs with the releases of owner and core: no later read overtakes this one.
        fence(Ordering::Acquire);
        Ok(())
    }

    /// Looks at each multiple of 64 for one of two words, and tells the addresses in ascending
    /// order, about a megabyte at a time. Returns how many bytes were looked through.
    pub(crate) fn find(
        &mut self,
        wanted: [u64; 2],
        mut hits: impl FnMut(&mut Self, &[u64]) -> Result<()>,
    ) -> Result<u64> {
        let mut found = Vec::new();
        let mut buffer = vec![0; usize::try_from(CHUNK / WORD)?];
        let mut seen = 0;
        for part in self.with_data()? {
            let start = part.address.next_multiple_of(STEP);
            let end = part.address + part.bytes;
            for chunk in (start..end).step_by(usize::try_from(CHUNK)?) {
                let bytes = CHUNK.min(end - chunk);
                self.find_in(chunk, bytes, wanted, &mut buffer, &mut found)?;
                if !found.is_empty() {
                    hits(self, &found)?;
                    found.clear();
                }
            }
            seen += part.bytes;
        }
        Ok(seen)
    }

    fn find_in(
        &mut self,
        address: u64,
        bytes: u64,
        wanted: [u64; 2],
        buffer: &mut [u64],
        found: &mut Vec<u64>,
    ) -> Result<()> {
        let step = usize::try_from(STEP / WORD)?;
        let place = |i: usize| address + i as u64 * STEP;
        let count = usize::try_from(bytes / WORD)?;
        if let Source::Shared(mapping, _) = &self.source
            && let Some(part) = self.part_of(address)
        {
            let first = usize::try_from((part.at + address - part.address) / WORD)?;
            let words = mapping.words().get(first..).unwrap_or(&[]);
            let looks = words.iter().take(count).step_by(step).enumerate();
            let hits = looks.filter(|(_, word)| wanted.contains(&word.load(Ordering::Relaxed)));
            found.extend(hits.map(|(i, _)| place(i)));
            return Ok(());
        }
        let Some(words) = buffer.get_mut(..count) else { return Ok(()) };
        if let Err(error) = self.read(address, words) {
            return self.find_by_pages(address, bytes, wanted, found).context(error);
        }
        let looks = words.iter().step_by(step).enumerate();
        let hits = looks.filter(|(_, word)| wanted.contains(word));
        found.extend(hits.map(|(i, _)| place(i)));
        Ok(())
    }

    /// A process may have pages that cannot be read. All others are looked at one by one.
    fn find_by_pages(
        &mut self,
        address: u64,
        bytes: u64,
        wanted: [u64; 2],
        found: &mut Vec<u64>,
    ) -> Result<()> {
        const PAGE: u64 = 4096;
        ensure!(matches!(self.source, Source::File(_)), "no answer");
        let mut page = [0; 512];
        for at in (address..address + bytes).step_by(usize::try_from(PAGE)?) {
            let count = usize::try_from(PAGE.min(address + bytes - at) / WORD)?;
            if self.read(at, &mut page[..count]).is_ok() {
                let looks =
                    (at..).step_by(usize::try_from(STEP)?).zip(page[..count].iter().step_by(8));
                found.extend(looks.filter(|(_, word)| wanted.contains(word)).map(|(at, _)| at));
            }
        }
        Ok(())
    }

    /// The parts without what a file has not been given any bytes for.
    fn with_data(&self) -> Result<Vec<Part>> {
        let file = match &self.source {
            Source::File(file) | Source::Shared(_, file)
                if file.metadata()?.is_file() && file.metadata()?.len() != 0 =>
            {
                file
            }
            _ => return Ok(self.parts.clone()),
        };
        let mut parts = Vec::new();
        for part in &self.parts {
            for data in data_in(file, part.at..part.at + part.bytes)? {
                let at = data.start.max(part.at);
                let end = data.end.min(part.at + part.bytes);
                // A table begins at a multiple of 64, but a piece of data need not.
                let address = part.address + (at - part.at);
                parts.push(Part { address, bytes: end.saturating_sub(at), at });
            }
        }
        Ok(parts)
    }
}

/// Copies bytes of a file as words.
fn read_words(file: &File, at: u64, words: &mut [u64]) -> Result<()> {
    let mut bytes = vec![0; size_of_val(words)];
    file.read_exact_at(&mut bytes, at)?;
    let (chunks, _) = bytes.as_chunks();
    for (word, bytes) in words.iter_mut().zip(chunks) {
        *word = u64::from_ne_bytes(*bytes);
    }
    Ok(())
}

/// The pieces of a file with data; small holes between them are data, too.
fn data_in(file: &File, range: Range<u64>) -> Result<Vec<Range<u64>>> {
    let mut pieces: Vec<Range<u64>> = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start.min(range.end),
            Err(Errno::NXIO) => break,
            // The file system knows no holes.
            Err(Errno::INVAL) => return Ok(vec![range]),
            Err(error) => return Err(error).context("looking for holes"),
        };
        let end = seek(file, SeekFrom::Hole(start)).map_or(range.end, |end| end.min(range.end));
        match pieces.last_mut() {
            Some(last) if start - last.end < SMALL_HOLE => last.end = end,
            _ => pieces.push(start..end),
        }
        at = end.max(at + 1);
    }
    Ok(pieces)
}

/// The addresses of a line of `/proc/PID/maps`, if they can be read without touching a device.
fn readable_mapping(line: &[u8]) -> Option<Range<u64>> {
    let mut fields = line.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    let (range, rights) = (fields.next()?, fields.next()?);
    let path = fields.nth(3).unwrap_or_default();
    let is_device = path.starts_with(b"/dev/") && !path.starts_with(b"/dev/shm/");
    if !rights.starts_with(b"r") || is_device || path.starts_with(b"[v") {
        return None;
    }
    let (start, end) = str::from_utf8(range).ok()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let (start, end) = (number(start)?, number(end)?);
    (start < end).then_some(start..end)
}

/// Parts whose addresses and places follow each other become one.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut all: Vec<Part> = Vec::new();
    for part in parts {
        match all.last_mut() {
            Some(last)
                if last.address + last.bytes == part.address && last.at + last.bytes == part.at =>
            {
                last.bytes += part.bytes;
            }
            _ => all.push(part),
        }
    }
    all
}

fn refused<T>(offset: u64, reason: impl Into<String>) -> Result<T> {
    Err(Refusal { offset, reason: reason.into() }.into())
}

fn elf_parts(file: &File, length: u64) -> Result<Vec<Part>> {
    let kind = FileKind::parse(&ReadCache::new(file));
    let segments = match kind {
        Ok(FileKind::Elf64) => segments::<elf::FileHeader64<Endianness>>(file),
        Ok(FileKind::Elf32) => segments::<elf::FileHeader32<Endianness>>(file),
        _ => return refused(4, "an ELF file of an unknown class"),
    };
    let mut segments = match segments {
        Ok(segments) => segments,
        Err(error) => return refused(0, error.to_string()),
    };
    // A dump of a process has no physical addresses.
    if segments.iter().all(|segment| segment.physical == 0) {
        segments.iter_mut().for_each(|segment| segment.physical = segment.linear);
    }
    segments.retain(|segment| segment.bytes != 0);
    segments.sort_by_key(|segment| segment.physical);
    let mut parts: Vec<Part> = Vec::new();
    for Segment { physical, at, bytes, .. } in segments {
        if at.checked_add(bytes).is_none_or(|end| end > length) {
            return refused(
                at.min(length),
                format!("the segment of {bytes} bytes for address {physical:#x} is cut off"),
            );
        }
        let end_of_last = parts.last().map_or(0, |last| last.address + last.bytes);
        if physical < end_of_last || physical.checked_add(bytes).is_none() {
            return refused(at, format!("the segment for address {physical:#x} overlaps another"));
        }
        // Words of a table are at multiples of eight.
        let skip = (physical.next_multiple_of(WORD) - physical).min(bytes);
        parts.push(Part { address: physical + skip, bytes: bytes - skip, at: at + skip });
    }
    Ok(joined(parts))
}

/// What a program header says about memory.
struct Segment {
    physical: u64,
    linear: u64,
    at: u64,
    bytes: u64,
}

fn segments<H: FileHeader<Endian = Endianness>>(
    file: &File,
) -> Result<Vec<Segment>, object::read::Error> {
    let data = ReadCache::new(file);
    let header = H::parse(&data)?;
    let endian = header.endian()?;
    let headers = header.program_headers(endian, &data)?;
    let loaded = headers.iter().filter(|header| header.p_type(endian) == elf::PT_LOAD);
    let segments = loaded.map(|header| Segment {
        physical: header.p_paddr(endian).into(),
        linear: header.p_vaddr(endian).into(),
        at: header.p_offset(endian).into(),
        bytes: header.p_filesz(endian).into(),
    });
    Ok(segments.collect())
}
