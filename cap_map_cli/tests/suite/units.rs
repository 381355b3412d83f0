//! Looking into images of units, which are several components.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use cap_checkpoint_image_host::{json, read, sample_unit};
use serde_json::Value;

use crate::{Outcome, cap_map};

fn run(command: &[&str], file: &Path) -> Outcome {
    cap_map(&[command, &[file.to_str().expect("path is UTF-8")]].concat())
}

fn number(bytes: &[u8], at: usize) -> usize {
    let value = u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    usize::try_from(value).expect("fits")
}

/// Entries of the section table.
fn entries(image: &[u8]) -> impl Iterator<Item = usize> {
    (0..usize::from(image[12])).map(|i| 32 + 40 * i)
}

/// Where a section is.
fn section(image: &[u8], name: &str) -> Range<usize> {
    let is_named = |entry: &usize| image[*entry..].starts_with(format!("{name}\0").as_bytes());
    let entry = entries(image).find(is_named).expect("a section of this name");
    let start = number(image, entry + 16);
    start..start + number(image, entry + 24)
}

/// The unit with other values: section, offset in it, and bytes. All checksums are right.
fn altered(changes: &[(&str, usize, &[u8])]) -> Vec<u8> {
    let mut image = sample_unit(3);
    for (name, at, bytes) in changes {
        let start = section(&image, name).start + at;
        image[start..][..bytes.len()].copy_from_slice(bytes);
    }
    for entry in entries(&image).collect::<Vec<_>>() {
        let start = number(&image, entry + 16);
        let sum = crc32fast::hash(&image[start..start + number(&image, entry + 24)]);
        image[entry + 32..][..4].copy_from_slice(&sum.to_le_bytes());
    }
    let head = 32 + 40 * usize::from(image[12]);
    for (at, range) in [(24, 32..head), (28, 0..28)] {
        let sum = crc32fast::hash(&image[range]);
        image[at..at + 4].copy_from_slice(&sum.to_le_bytes());
    }
    image
}

fn file(folder: &Path, name: &str, changes: &[(&str, usize, &[u8])]) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, altered(changes)).expect("written");
    file
}

#[test]
fn units_have_the_contents_that_the_other_reader_sees() {
    let folder = tempfile::tempdir().unwrap();
    let unit = file(folder.path(), "unit", &[]);
    assert_eq!(fs::read(&unit).unwrap(), sample_unit(3), "nothing is altered");
    let shown = run(&["inspect", "--json"], &unit).expect_success().stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let other: Value = serde_json::from_str(&json(&sample_unit(3))).unwrap();
    assert_eq!(other.as_object().unwrap().len(), 17, "{other}");
    for (section, records) in other.as_object().unwrap() {
        assert!(!records.as_array().unwrap().is_empty(), "{section}");
        assert_eq!(&shown[section], records, "{section}");
    }
    // Each table with its slots.
    let slots = shown["slots"].as_array().unwrap();
    let of = |name: Value| slots.iter().filter(|slot| slot["member"] == name).count();
    assert_eq!([of(Value::Null), of("first".into()), of("first -> second".into())], [30, 15, 6]);
    assert_eq!(slots.len(), 51);
    let tables = shown["tables"].as_array().unwrap();
    let names: Vec<_> = tables.iter().map(|table| [&table["member"], &table["label"]]).collect();
    assert_eq!(names, [["first", "first"], ["first -> second", "second"]]);
    assert_eq!(shown["label"], "sample");

    let text = run(&["inspect"], &unit).expect_success().stdout;
    for line in [
        "unit of 4 components \"init -> sample\" of Genode 26.02 for x86_64 on Fiasco.OC, checkpoint 3",
        "member \"first\":",
        "published table of \"second\": 64 slots, those in front of 8 static, badges of 28 bits",
        "member \"new\": has no table",
        "22 0x16000 used 1088 gate 0 main",
        "first 12 0xc000 used 2148 gate 4 main of \"first\"",
        "first -> second 10 0xa000 used 1068 dataspace 0 RAM",
        "first 1 9 0 3 9 0x20 262144 30",
        "first -> second 2 11 1 4 13 0x0 131072 10",
        "15 trace control cached 0x1000 10 CPU",
        "first stack area 0x104000 0x1000 rw 8 0x1000",
        "8 RM part 2 0x2000 0x1000 rw 1 0x0",
        "first -> second 0 main call of main of \"first\" 0x1000000 0x10100 0x20f000 0 0 1 1 12 CPU",
        "first 5 main of \"first\" 0:33 1:13 2:11",
        "first 1 main of \"first\" 1:14 1:15",
    ] {
        let same = |shown: &str| shown.split_whitespace().eq(line.split_whitespace());
        assert!(text.lines().any(same), "{line}\n{text}");
    }
    let lines = run(&["inspect", "--lines"], &unit).expect_success().stdout;
    assert_eq!(lines.lines().filter(|line| line.starts_with("label=")).count(), 3, "{lines}");
    let outcome = run(&["verify"], &unit).expect_success();
    assert!(outcome.stdout.ends_with(": 51 slots in use, all well\n"), "{}", outcome.stdout);
}

/// Both readers refuse a unit for the same field and reason.
fn refused_alike(folder: &Path, changes: &[(&str, usize, &[u8])], reason: &str) {
    let unit = file(folder, "altered", changes);
    let (_, text) = read(&fs::read(&unit).unwrap()).unwrap_err();
    assert!(text.contains(reason), "{text} instead of {reason}");
    let outcome = run(&["verify"], &unit);
    assert_eq!(outcome.status.code(), Some(3), "{reason}: {}", outcome.stdout);
    let ours = outcome.stderr;
    assert!(ours.contains(&text), "{ours} instead of {text}");
}

#[test]
fn both_readers_refuse_units_alike() {
    let folder = tempfile::tempdir().unwrap();
    // Section, number and size of a record, offset and value of a field.
    for (section, record, field, value, reason) in [
        ("members", (1, 56), 0, 7, "record 1: is not a PD session"),
        ("members", (2, 56), 0, 6, "record 2: is out of order"),
        ("members", (0, 56), 4, 1, "record 0: the root has none"),
        ("members", (1, 56), 4, 4, "record 1: no such member"),
        ("members", (1, 56), 4, 2, "record 1: quota of a member comes from itself"),
        ("members", (0, 56), 8, 1, "record 0: the root has none"),
        ("members", (1, 56), 8, 6, "record 1: no such gate"),
        ("members", (1, 56), 8, 4, "record 1: member is its own parent"),
        ("members", (3, 56), 12, 9, "record 3: member has no parent"),
        ("members", (1, 56), 12, 16, "record 1: no such dataspace"),
        ("members", (1, 56), 12, 2, "record 1: dataspace is not RAM"),
        ("members", (0, 56), 12, 0, "record 0: dataspace is the component's to free"),
        ("members", (1, 56), 16, 0xff8, "record 1: does not fit in the dataspace"),
        ("members", (3, 56), 16, 8, "record 3: reserved field is not zero"),
        ("members", (1, 56), 24, 1092, "record 1: is not a number of words"),
        ("members", (2, 56), 24, 2000, "record 2: exceeds the section of tables"),
        ("members", (2, 56), 24, 0x400, "section \"table\": bytes behind the last table"),
        ("members", (0, 56), 32, 1, "record 0: the root has none"),
        ("members", (2, 56), 32, 0xc_0001, "record 2: exceeds the RAM quota"),
        ("members", (3, 56), 32, 0x9_c001, "\"dataspaces\": record 1: exceeds the RAM quota"),
        ("members", (0, 56), 40, 1, "record 0: the root has none"),
        ("members", (2, 56), 40, 71, "record 2: exceeds the capability quota"),
        ("members", (1, 56), 48, 3, "record 1: exceeds the number of gates"),
        ("members", (1, 56), 48, 1, "section \"gates\": gate of no member"),
        ("members", (1, 56), 52, 1, "record 1: reserved field is not zero"),
        ("system", (0, 256), 72, 5, "record 0: member is not the root"),
        ("system", (0, 256), 80, 1, "record 0: is said of each member"),
        ("system", (0, 256), 88, 1, "record 0: reserved field is not zero"),
        ("objects", (30, 24), 0, 2, "record 30: a slot with a badge is missing in front of it"),
        ("objects", (50, 24), 0, 64, "record 50: no such slot"),
        ("objects", (30, 24), 4, 8, "record 30: badge is not the one of the slot"),
        ("objects", (30, 24), 8, 1, "record 30: member is not the root"),
        ("objects", (30, 24), 12, 4, "record 30: record does not name this slot"),
        ("objects", (31, 24), 16, 4, "record 31: no such member"),
        ("objects", (46, 24), 16, 1, "record 46: is out of order"),
        ("objects", (49, 24), 20, 12, "record 43: record does not name this slot"),
        ("objects", (12, 24), 20, 12, "record 12: is out of order"),
        ("objects", (12, 24), 20, 11, "record 12: other slot does not lead to this record"),
        ("objects", (22, 24), 20, 0, "record 22: other slot does not lead to this record"),
        ("objects", (36, 24), 20, 12, "record 36: other slot does not lead to this record"),
        ("dataspaces", (0, 32), 24, 43, "record 49: record does not name this slot"),
        ("dataspaces", (8, 32), 28, 4, "record 8: no such member"),
        ("dataspaces", (2, 32), 28, 1, "record 2: reserved field is not zero"),
        ("dataspaces", (12, 32), 28, 1, "record 12: is a second one of its kind"),
        ("dataspaces", (13, 32), 8, 0x2_1000, "record 13: exceeds the RAM quota"),
        ("dataspaces", (14, 32), 16, 0, "record 14: is not a CPU session"),
        ("dataspaces", (15, 32), 16, 1, "record 15: is out of order"),
        ("dataspaces", (15, 32), 20, 1, "record 15: reserved field is not zero"),
        ("dataspaces", (9, 32), 24, 12, "record 9: slot does not lead to this"),
        ("regions", (16, 40), 0, 14, "record 16: no such region map"),
        ("regions", (13, 40), 4, 10, "record 13: area of another member"),
        ("regions", (15, 40), 4, 3, "record 15: region map within a region map"),
        ("regions", (10, 40), 8, 0x20_0000, "record 10: does not fit in the region map"),
        ("faults", (0, 24), 4, 14, "record 0: no such region map"),
        ("faults", (0, 24), 8, 0x4000, "record 0: is too large"),
        ("threads", (5, 112), 36, 4, "record 5: no such member"),
        ("threads", (7, 112), 36, 1, "record 7: is out of order"),
        ("sources", (1, 16), 12, 4, "record 1: no such member"),
    ] {
        let at = record.0 * record.1 + field;
        refused_alike(folder.path(), &[(section, at, &u32::to_le_bytes(value))], reason);
    }
    // A member that is known by a record, but not by any object, and one with two slots of a record.
    refused_alike(
        folder.path(),
        &[("sessions", 2 * 440 + 56, b"PD\0")],
        "record 2: is the PD session of no member",
    );
    let number = 36 * 24 + 12;
    refused_alike(
        folder.path(),
        &[
            ("objects", number, &[0, 0, 0, 0, 1, 0, 0, 0, 12, 0, 0, 0]),
            ("objects", 43 * 24 + 20, &[36]),
        ],
        "record 43: member has two slots of the record",
    );
    refused_alike(folder.path(), &[("system", 0, &[4])], "version of the contents");
    // Two fields that are wrong, of which the first one counts.
    let part = &[1, 0, 0, 0, 1];
    refused_alike(
        folder.path(),
        &[("dataspaces", 15 * 32 + 16, part)],
        "record 15: is out of order",
    );
    refused_alike(
        folder.path(),
        &[("threads", 7 * 112 + 36, &[3]), ("threads", 7 * 112 + 4, &[3])],
        "record 7: member has no table",
    );
}

#[test]
fn units_are_compared_by_members() {
    let folder = tempfile::tempdir().unwrap();
    let before = file(folder.path(), "before", &[]);
    let diff = |changes: &[(&str, usize, &[u8])]| -> Vec<String> {
        let after = file(folder.path(), "after", changes);
        let outcome = cap_map(&["diff", before.to_str().unwrap(), after.to_str().unwrap()]);
        assert!(outcome.status.code() <= Some(1), "{}", outcome.stderr);
        outcome.stdout.lines().map(str::to_owned).collect()
    };
    assert_eq!(diff(&[]), ["0 came, 0 went, 0 changed"]);
    let lines = diff(&[("threads", 6 * 112 + 57, &[0x55])]);
    assert!(lines[0].starts_with("~ threads: member first -> second, index 0: "), "{lines:?}");
    assert_eq!(lines.len(), 2, "{lines:?}");
    let lines = diff(&[("members", 56 + 40, &[31])]);
    assert!(lines[0].starts_with("~ members: member first: "), "{lines:?}");
    assert!(lines[0].contains("caps 30") && lines[0].ends_with("caps 31"), "{lines:?}");
    // Another badge of a slot, which no other member has to know.
    let badge = (2u64 << 61 | 9000 << 5).to_le_bytes();
    let lines = diff(&[
        ("table", 1088 + 0x200 + 8 * 11, &badge),
        ("objects", 36 * 24 + 4, &9000u32.to_le_bytes()),
    ]);
    assert_eq!(lines[0], "~ slot 11 of \"first\": badge 2144 -> badge 9000", "{lines:?}");
    assert_eq!(lines[1..], ["0 came, 0 went, 1 changed"]);

    // The members may be others, and of the same name.
    let mut label = [0; 160];
    label[..5].copy_from_slice(b"first");
    let lines = diff(&[("sessions", 8 * 440 + 120, &label)]);
    let came = lines.iter().filter(|line| line.starts_with("+ slot")).count();
    let went = lines.iter().filter(|line| line.starts_with("- slot")).count();
    assert_eq!((came, went), (6, 6), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("+ slot 11 of \"first (2)\": ")), "{lines:?}");

    // One without a label differs from the root, and not from itself.
    let nameless = file(folder.path(), "nameless", &[("sessions", 6 * 440 + 120, &[0; 160])]);
    let same = nameless.to_str().unwrap();
    assert_eq!(
        cap_map(&["diff", same, same]).expect_success().stdout,
        "0 came, 0 went, 0 changed\n"
    );
    let text = run(&["inspect"], &nameless).expect_success().stdout;
    assert!(text.contains("member \"(1)\":"), "{text}");

    // A single component, and the root of a unit that has become of it.
    let single = folder.path().join("single");
    fs::write(&single, cap_checkpoint_image_host::sample_with_maps(3)).unwrap();
    let outcome = cap_map(&["diff", single.to_str().unwrap(), before.to_str().unwrap()]);
    let went = outcome.stdout.lines().filter(|line| line.starts_with("- ")).count();
    assert_eq!((outcome.status.code(), went), (Some(1), 0), "{}", outcome.stdout);
    assert!(outcome.last_line().starts_with("27 came, 0 went, "), "{}", outcome.stdout);
}

#[test]
fn badges_of_units_are_verified() {
    let folder = tempfile::tempdir().unwrap();
    let faults = |slot: usize, object: usize, badge: u64| {
        let word = (2u64 << 61 | badge << 5).to_le_bytes();
        let number = u32::try_from(badge).unwrap().to_le_bytes();
        let unit = file(
            folder.path(),
            "unit",
            &[("table", 2 * 1088 + 0x200 + 8 * slot, &word), ("objects", object * 24 + 4, &number)],
        );
        let outcome = run(&["verify"], &unit);
        assert_eq!(outcome.status.code(), Some(3), "{}{}", outcome.stdout, outcome.stderr);
        outcome.stderr
    };
    let text = faults(10, 49, 9000);
    let of = "slot 10 of \"first -> second\"";
    assert!(text.contains(&format!("{of}: has not badge 1068 of slot 17")), "{text}");
    let text = faults(10, 49, 2144);
    assert!(text.contains(&format!("{of}: has badge 2144 of slot 11 of \"first\"")), "{text}");
    // Another slot of the same member has it.
    let text = faults(10, 49, 2192);
    assert!(text.contains("has badge 2192 of slot "), "{text}");
}

/// No owner writes badge 0, and a slot has it all the same.
#[test]
fn slots_with_badge_0_have_objects() {
    let folder = tempfile::tempdir().unwrap();
    let word = (2u64 << 61).to_le_bytes();
    let changes: [(&str, usize, &[u8]); 2] =
        [("table", 1088 + 0x200 + 8 * 19, &word), ("objects", 44 * 24 + 4, &[0; 4])];
    let unit = file(folder.path(), "unit", &changes);
    let text = run(&["inspect"], &unit).expect_success().stdout;
    for line in [
        "first 19 0x13000 used 0 dead",
        "first -> second 1 0x1000 static 2148 gate 4 main of \"first\"",
        "first -> second 10 0xa000 used 1068 dataspace 0 RAM",
    ] {
        let same = |shown: &str| shown.split_whitespace().eq(line.split_whitespace());
        assert!(text.lines().any(same), "{line}\n{text}");
    }
    let outcome = run(&["verify"], &unit).expect_success();
    assert!(outcome.stdout.ends_with(": 51 slots in use, all well\n"), "{}", outcome.stdout);
}
