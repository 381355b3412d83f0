//! Looking into files and into the memory of a machine, which somebody else wrote: all that
//! `inspect`, `verify`, `diff`, `scan`, `show`, `who` and `leaks` do.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::LazyLock;

use cap_map_rs::layout::*;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::checkpoint_file::{repair, samples};
use crate::hostile::Input;
use crate::image::{Choice, Image, diff, verify};
use crate::live::{Known, Machine, Place, Ram, Search};
use crate::memory::checksum;

/// The target for files with an image or a table.
pub fn image(data: &[u8]) {
    static GOOD: LazyLock<Image> = LazyLock::new(|| {
        let [_, complete] = samples();
        Image::decode(complete, None).expect("one that can be read")
    });
    let Some((mode, bytes)) = data.split_first() else { return };
    let mut file = bytes.to_vec();
    match mode % 3 {
        0 => {}
        1 => repair(&mut file),
        _ => seal(&mut file),
    }
    let size = file.len() as u64;
    let image = match Image::decode(file, None) {
        Err(refusal) => return assert!(refusal.offset <= size, "{refusal}"),
        Ok(image) => image,
    };
    let choice = Choice::default();
    check_text(&image.text(&choice, false).expect("text"));
    check_json(&image.json(&choice).expect("JSON"));
    verify(&image).iter().for_each(|fault| check_text(fault));
    assert!(diff(&image, &image, false).is_empty(), "an image differs from itself");
    let there = diff(&GOOD, &image, mode & 0x80 != 0);
    let back = diff(&image, &GOOD, mode & 0x80 != 0);
    assert_eq!(there.is_empty(), back.is_empty());
    check_text(&there.text().expect("text"));
}

/// Where the machine has its directory, and where its tables, each of 64 slots.
const DIRECTORY: usize = 0;
const TABLES: [usize; 4] = [0x400, 0x800, 0xc00, 0x1000];
const PDS: usize = 4;
const MACHINE: usize = 0x1800;
/// Bytes of it that an ELF file to start from has: directory and core's table.
const PART: usize = 0x800;

/// The target for the memory of a machine: an ELF file, or a machine with some words changed.
pub fn live(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    let mut bytes = if mode & 1 == 0 {
        rest.to_vec()
    } else {
        let mut bytes = machine();
        let mut input = Input::new(rest);
        while !input.is_empty() {
            let at = usize::from(input.u16()) * 4 % (MACHINE - 8);
            let value = match input.byte() {
                0..0x40 => u64::from(input.byte()),
                0x40..0x80 => MAGIC,
                0x80..0xc0 => u64::from(input.u16()) << 6,
                _ => input.u64(),
            };
            bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
        }
        bytes
    };
    if mode & 2 != 0 {
        (0..bytes.len()).step_by(64).for_each(|at| seal(&mut bytes[at..]));
    }
    let mut file = File::from(memfd_create("machine", MemfdFlags::CLOEXEC).expect("memory"));
    file.write_all(&bytes).expect("memory");
    let name = format!("/proc/self/fd/{}", file.as_raw_fd());
    let Ok(mut ram) = Ram::open(name.as_ref(), Place::default()) else { return };
    let search = Search::new(&mut ram).expect("a search");
    let known = |bit, place: usize| (mode & bit != 0).then_some(place as u64);
    let known = Known { directory: known(4, DIRECTORY), core: known(8, TABLES[0]) };
    let Ok(machine) = Machine::look(&mut ram, &search, known) else { return };
    check_text(&machine.text().expect("text"));
    check_json(&machine.json().expect("JSON"));
    check_text(&machine.dot());
    let places =
        bytes.chunks(64).enumerate().filter(|(_, line)| line.starts_with(&MAGIC.to_ne_bytes()));
    for place in places.map(|(i, _)| 64 * i) {
        let name = format!("{place:#x}");
        if let Ok(text) = machine.component_text(&name) {
            check_text(&text);
            check_json(&machine.component_json(&name).expect("JSON"));
        }
    }
    for badge in [0, 4, 40, u32::MAX] {
        check_text(&machine.holders(badge).text().expect("text"));
    }
    let mark = machine.mark();
    check_json(&mark.json().expect("JSON"));
    check_text(&mark.growth_since(&mark).text().expect("text"));
}

/// What is printed neither talks to the terminal nor forges lines: labels are escaped.
fn check_text(text: &str) {
    let is_odd = |c: char| c.is_control() && c != '\n';
    assert!(!text.chars().any(is_odd), "{text:?}");
}

fn check_json(text: &str) {
    check_text(text);
    assert_eq!(text.lines().count(), 1, "{text:?}");
    serde_json::from_str::<serde_json::Value>(text).expect("JSON");
}

/// Sets the checksum of a table, or of a directory, right.
fn seal(bytes: &mut [u8]) {
    let (words, _) = bytes.as_chunks_mut::<WORD_BYTES>();
    let Some(magic) = words.first().map(|word| u64::from_ne_bytes(*word)) else { return };
    if magic == MAGIC && words.len() >= SLOTS / WORD_BYTES {
        let sum = checksum(|at| u64::from_ne_bytes(words[at]));
        words[OFF_CHECKSUM / WORD_BYTES] = sum.to_ne_bytes();
    } else if magic == u64::from_be_bytes(*b"CAPDIREC") && words.len() >= 0xc0 / WORD_BYTES {
        let constant = words[..9].as_flattened().iter();
        let sum = constant.fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        words[9] = sum.to_ne_bytes();
    }
}

/// A directory of four PDs, core's table, and three others.
fn machine() -> Vec<u8> {
    let mut bytes = vec![0; MACHINE];
    let mut put = |at: usize, words: &[u64]| {
        for (i, word) in words.iter().enumerate() {
            let at = at + WORD_BYTES * i;
            bytes[at..at + WORD_BYTES].copy_from_slice(&word.to_ne_bytes());
        }
    };
    let first = 0xc0 + 128 * PDS as u64;
    let size = first + 4 * MIN_CAPACITY as u64;
    let magic = u64::from_be_bytes(*b"CAPDIREC");
    put(DIRECTORY, &[magic, 1, size, PDS as u64, 128, 0xc0, MIN_CAPACITY as u64, first, 1]);
    for (i, place) in TABLES.into_iter().enumerate() {
        let kind = if i == 0 { KIND_CORE } else { KIND_PUBLISHED };
        let bytes = (SLOTS + MIN_CAPACITY * WORD_BYTES) as u64;
        put(place, &[MAGIC, VERSION, bytes, MIN_CAPACITY as u64, 4, 12, 28, SLOTS as u64]);
        put(place + OFF_HIGH_WATER, &[20]);
        put(place + OFF_KIND, &[kind, 1, i as u64, 4 * i as u64]);
        for slot in 4..12 {
            let badge = 4 * slot as u64;
            put(
                place + SLOTS + WORD_BYTES * slot,
                &[STATE_USED << STATE_SHIFT | badge << BADGE_0_SHIFT | badge << BADGE_1_SHIFT],
            );
        }
        if i != 0 {
            put(
                DIRECTORY + 0xc0 + 128 * i,
                &[1 + i as u64 % 2, 4 * i as u64, place as u64, bytes, i as u64],
            );
        }
    }
    put(DIRECTORY + 0xc0 + 128 * PDS + 4 * 4, &[0x0001_0002_0001_0002, 0x0002_0000_0003_0000]);
    for at in [DIRECTORY, TABLES[0], TABLES[1], TABLES[2], TABLES[3]] {
        seal(&mut bytes[at..]);
    }
    bytes
}

/// Inputs to start from: the machine as it is, also in an ELF file.
pub fn machines() -> Vec<Vec<u8>> {
    let mut elf = b"\0\x7fELF\x02\x01\x01".to_vec();
    elf.resize(17, 0);
    let header = [0x0001_003e_0004_u64, 0, 64, 0, 0x0038_0040_0000_0000, 1];
    elf.extend(header.iter().flat_map(|word| word.to_le_bytes()));
    let segment = [1, 120, 0, 0, PART as u64, PART as u64, 0];
    elf.extend(segment.iter().flat_map(|word: &u64| word.to_le_bytes()));
    elf.extend(&machine()[..PART]);
    vec![vec![1], vec![3, 0, 0, 0, 0], elf]
}
