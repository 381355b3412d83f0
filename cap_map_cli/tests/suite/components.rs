//! Looking into images of Genode components.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{Outcome, cap_map};

fn run(command: &[&str], file: &Path) -> Outcome {
    cap_map(&[command, &[file.to_str().expect("path is UTF-8")]].concat())
}

/// An image of a Genode component, as its writer in C++ has made it.
fn component(folder: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> std::path::PathBuf {
    let file = folder.join(name);
    let mut image = cap_checkpoint_image_host::sample(3);
    change(&mut image);
    fs::write(&file, image).unwrap();
    file
}

/// Sets the checksums of a section and of everything in front of the first one right.
fn seal(image: &mut [u8], section: usize) {
    let number = |image: &[u8], at: usize| {
        usize::try_from(u64::from_le_bytes(image[at..at + 8].try_into().unwrap())).unwrap()
    };
    let entry = 32 + 40 * section;
    let start = number(image, entry + 16);
    let end = start + number(image, entry + 24);
    for (at, range) in [(entry + 32, start..end), (24, 32..32 + 40 * 16), (28, 0..28)] {
        let sum = crc32fast::hash(&image[range]);
        image[at..at + 4].copy_from_slice(&sum.to_le_bytes());
    }
}

/// Where the records of a section begin.
fn place(image: &[u8], section: usize) -> usize {
    let at = 32 + 40 * section + 16;
    usize::try_from(u64::from_le_bytes(image[at..at + 8].try_into().unwrap())).unwrap()
}

const SYSTEM: usize = 0;
const HANDLERS: usize = 5;
const DATASPACES: usize = 6;
const REGIONS: usize = 8;
const THREADS: usize = 9;
const FAULTS: usize = 10;

#[test]
fn images_of_components_have_the_contents_that_the_other_reader_sees() {
    let folder = tempfile::tempdir().unwrap();
    let file = component(folder.path(), "image", |_| ());
    let image = fs::read(&file).unwrap();
    let shown = shown_as_the_other_reader_does(&file, |section| section == "faults");
    assert_eq!(shown["slots"].as_array().unwrap().len(), 24);
    assert_eq!(shown["slots"][15]["object"]["what"], "thread");

    let text = run(&["inspect"], &file).expect_success().stdout;
    for line in [
        "component \"init -> sample\" of Genode 26.02 for x86_64 on Fiasco.OC, checkpoint 3",
        "  22   0x16000  used       1088  gate 0 main",
        " 1  PD       pd         8  1000    10  4 1 1 0 1 1  ram_quota=1000, label=\"x\"",
        "    1  ep      call of main       20  0x2000200  0x10100  0x21f000   1 0 1 1",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
    for title in ["sessions", "dataspaces", "ROM modules", "regions", "threads", "timers"] {
        assert!(text.contains(&format!("\n\n{title}\n")), "{title}: {text}");
    }
    let outcome = run(&["verify"], &file).expect_success();
    assert!(outcome.stdout.ends_with(": 24 slots in use, all well\n"), "{}", outcome.stdout);
    let threads = Command::new(env!("CARGO_BIN_EXE_cap_map"))
        .args(["inspect", "--section=threads"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(threads.stdout, image[place(&image, THREADS)..][..4 * 112]);
}

/// What is shown of an image, which is what the other reader sees; some sections are empty.
fn shown_as_the_other_reader_does(file: &Path, empty: impl Fn(&str) -> bool) -> Value {
    let image = fs::read(file).unwrap();
    let text = run(&["inspect", "--json"], file).expect_success().stdout;
    let shown: Value = serde_json::from_str(&text).unwrap();
    let other: Value = serde_json::from_str(&cap_checkpoint_image_host::json(&image)).unwrap();
    assert_eq!(other.as_object().unwrap().len(), 16, "{other}");
    for (section, records) in other.as_object().unwrap() {
        assert_eq!(records.as_array().unwrap().is_empty(), empty(section), "{section}");
        assert_eq!(&shown[section], records, "{section}");
    }
    shown
}

#[test]
fn region_maps_and_faults_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("image");
    fs::write(&file, cap_checkpoint_image_host::sample_with_maps(3)).unwrap();
    shown_as_the_other_reader_does(&file, |_| false);
    let text = run(&["inspect"], &file).expect_success().stdout;
    for line in [
        " 6  region map   cached      0x8000  8 RM part 0",
        "8 RM part 0       0x2000    0x3000  rw              7  0x1000",
        "    6  waits  8 RM part 2   0x1010  write",
    ] {
        assert!(text.lines().any(|shown| shown.trim() == line.trim()), "{line}\n{text}");
    }
    run(&["verify"], &file).expect_success();
}

#[test]
fn images_without_faults_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = component(folder.path(), "image", |image| {
        let at = image.windows(7).position(|bytes| bytes == b"faults\0").unwrap();
        image[at..at + 6].copy_from_slice(b"others");
        seal(image, THREADS);
    });
    assert_eq!(cap_checkpoint_image_host::read(&fs::read(&file).unwrap()), Ok(()));
    let text = run(&["inspect", "--json"], &file).expect_success().stdout;
    let shown: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["faults"].as_array().unwrap().len(), 0);
}

#[test]
fn images_of_components_are_compared_by_their_records() {
    let folder = tempfile::tempdir().unwrap();
    let before = component(folder.path(), "before", |_| ());
    let after = component(folder.path(), "after", |image| {
        let threads = place(image, THREADS);
        image[threads + 112 + 57] = 0x55;
        seal(image, THREADS);
    });
    let [before, after] = [&before, &after].map(|file| file.to_str().unwrap());
    assert_eq!(
        cap_map(&["diff", before, before]).expect_success().last_line(),
        "0 came, 0 went, 0 changed"
    );
    let outcome = cap_map(&["diff", before, after]);
    assert_eq!(outcome.status.code(), Some(1));
    let line = outcome.stdout.lines().next().unwrap_or_default();
    assert!(line.starts_with("~ threads: index 1: name ep, "), "{line}");
    assert!(line.contains("sp 0x21f000, ") && line.contains("sp 0x215500, "), "{line}");
    assert_eq!(outcome.stdout.lines().count(), 2, "{}", outcome.stdout);
}

#[test]
fn both_readers_refuse_images_of_components_alike() {
    let folder = tempfile::tempdir().unwrap();
    type Change = fn(&mut Vec<u8>);
    let cases: [(&str, Change); 5] = [
        ("version of the contents", |image| {
            let system = place(image, SYSTEM);
            image[system] = 2;
            seal(image, SYSTEM);
        }),
        ("record 1: other thread does not serve this one", |image| {
            let threads = place(image, THREADS);
            image[threads + 16..threads + 20].fill(0xff);
            seal(image, THREADS);
        }),
        ("record 2: unknown state of a thread", |image| {
            let threads = place(image, THREADS);
            image[threads + 2 * 112 + 4] = 1;
            seal(image, THREADS);
        }),
        ("bytes instead of", |image| image.truncate(5000)),
        ("checksum", |image| image[5000] ^= 1),
    ];
    for (reason, change) in cases {
        refused_alike(&component(folder.path(), "altered", change), reason);
    }
}

/// Lets both readers refuse an image, for the same field and reason.
fn refused_alike(file: &Path, reason: &str) {
    let (offset, text) = cap_checkpoint_image_host::read(&fs::read(file).unwrap()).unwrap_err();
    let outcome = run(&["verify"], file);
    assert_eq!(outcome.status.code(), Some(3), "{reason}: {}", outcome.stdout);
    let ours = outcome.stderr;
    assert!(
        ours.contains(reason) && ours.contains(&format!("at offset {offset}: ")),
        "{ours}; {text}"
    );
    if text.contains("section \"") {
        assert!(ours.contains(&text), "{ours} instead of {text}");
    }
}

#[test]
fn both_readers_refuse_region_maps_faults_and_memory_of_sessions_alike() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("altered");
    // Section, number and size of a record, offset and value of a field.
    for (section, record, field, value, reason) in [
        (HANDLERS, (1, 16), 0, 6, "record 1: no such session"),
        (HANDLERS, (1, 16), 8, 2, "record 1: no such signal context"),
        (DATASPACES, (5, 32), 20, 1, "record 5: memory is not the component's"),
        (DATASPACES, (6, 32), 0, 9, "record 6: unknown kind of dataspace"),
        (DATASPACES, (6, 32), 8, 0x8001, "record 6: is not a number of pages"),
        (DATASPACES, (6, 32), 16, 6, "record 6: no such session"),
        (DATASPACES, (6, 32), 16, 4, "record 6: is not an RM session"),
        (DATASPACES, (7, 32), 20, 0, "record 7: is out of order"),
        (DATASPACES, (7, 32), 24, 5, "record 7: slot does not lead to this"),
        (REGIONS, (9, 40), 0, 5, "record 9: no such region map"),
        (REGIONS, (9, 40), 0, 2, "record 9: is out of order"),
        (REGIONS, (8, 40), 4, 3, "record 8: region map within a region map"),
        (REGIONS, (8, 40), 8, 0x1000, "record 8: is not behind the one before"),
        (REGIONS, (9, 40), 8, 0x4000, "record 9: does not fit in the region map"),
        (REGIONS, (9, 40), 16, 0, "record 9: is not a number of pages"),
        (REGIONS, (8, 40), 24, 0x2000, "record 8: does not fit in the dataspace"),
        (REGIONS, (9, 40), 32, 4, "record 9: unknown rights"),
        (REGIONS, (9, 40), 36, 1, "record 9: reserved field is not zero"),
        (FAULTS, (0, 24), 0, 5, "record 0: no such thread"),
        (FAULTS, (0, 24), 0, 3, "record 0: thread is not parked"),
        (FAULTS, (0, 24), 4, 5, "record 0: no such region map"),
        (FAULTS, (0, 24), 8, 0x4000, "record 0: is too large"),
        (FAULTS, (0, 24), 16, 4, "record 0: unknown type of a fault"),
        (FAULTS, (0, 24), 20, 1, "record 0: reserved field is not zero"),
    ] {
        let mut image = cap_checkpoint_image_host::sample_with_maps(3);
        let at = place(&image, section) + record.0 * record.1 + field;
        image[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
        seal(&mut image, section);
        fs::write(&file, image).unwrap();
        refused_alike(&file, reason);
    }
}
