//! `tools/read_directory` and core's directory as `doc/layout.md` describes it. Core's own
//! part is C++ inside Genode, so the golden directory of the text stands for it.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::Ordering;

use crate::literal_layout::golden_table;

const SIZE: usize = 0x2c0;
/// Where the image has the directory, and the table that it names.
const AT: usize = 64;
const TABLE_AT: usize = 0x1000;

fn put(bytes: &mut [u8], at: usize, words: &[u64]) {
    let flat: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes[at..at + flat.len()].copy_from_slice(&flat);
}

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

/// The bytes of the golden table.
fn table() -> Vec<u8> {
    let words = golden_table().words.iter();
    words.flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect()
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
