use super::*;

use cap_map_rs::layout::{MIN_CAPACITY, SLOTS};

use crate::table::tests::{golden_region, sealed};

fn small() -> Checkpoint {
    Checkpoint {
        meta: Meta {
            program: Program { bytes: 1, crc32: 2 },
            image_address: 0x1000,
            table_address: 0x2000,
            entrypoints: 3,
            rounds: 4,
            seed: 5,
        },
        table: golden_region(),
        image: vec![1, 2, 3],
        references: vec![9; MIN_CAPACITY],
        kernel: vec![
            KernelEntry {
                slot: 1,
                badge: 8,
                object: Object::Gate { creator: 2, entrypoint: 3, name: u64::MAX - 1 },
            },
            KernelEntry { slot: 4, badge: 20, object: Object::Dead },
            KernelEntry { slot: 5, badge: 32, object: Object::Dead },
            KernelEntry { slot: 6, badge: 16, object: Object::Thread },
        ],
        clients: ClientState::default(),
    }
}

/// The file with one section replaced, checksums and all.
fn with(name: &str, contents: &[u8]) -> Vec<u8> {
    let file = small().encode().unwrap();
    let sections = container::decode(&file).unwrap();
    let sections: Vec<_> = sections
        .iter()
        .map(|section| (section.name, if section.name == name { contents } else { section.bytes }))
        .collect();
    container::encode(&sections)
}

#[test]
fn comes_back_as_it_was() {
    let checkpoint = small();
    let file = checkpoint.encode().unwrap();
    assert_eq!(Checkpoint::decode(&file).unwrap(), checkpoint);
}

#[test]
fn truncated_and_altered_files_are_refused() {
    let file = small().encode().unwrap();
    for at in 0..file.len() {
        Checkpoint::decode(&file[..at]).unwrap_err();
        let mut altered = file.clone();
        altered[at] ^= 0x10;
        Checkpoint::decode(&altered).unwrap_err();
    }
}

#[test]
fn contents_are_checked_behind_their_checksums() {
    let mut table = golden_region();
    table[0x18] = 0;
    let table = sealed(table);
    let mut forged = golden_region();
    forged[0x41] = b'i';
    let mut kernel: Vec<u8> = small().kernel.iter().flat_map(encode_entry).collect();
    let short = kernel[..ENTRY_BYTES].to_vec();
    let mut kind = kernel.clone();
    kind[8] = 3;
    kernel[ENTRY_BYTES] = 5;
    let cases: [(&str, &[u8], &str); 11] = [
        ("table", &table, "bad capacity"),
        ("table", &forged, "checksum"),
        ("table", &[0; SLOTS + 512], "not published"),
        ("table", &[], "too small"),
        ("references", &[0; 127], "two bytes per slot"),
        ("kernel", &[0; 33], "ends within an entry"),
        ("kernel", &kernel, "not the one of the next badge"),
        ("kernel", &short, "entries are missing"),
        ("kernel", &kind, "unknown kind"),
        (
            "clients",
            br#"{"permanent":[],"threads":[{"sessions":[],"own":[],"own_created":0,
                "cells":[{"holder":0,"held":1,"alive":true}]}]}"#,
            "contradicts itself",
        ),
        ("meta", b"{\"program\":3}", "section \"meta\""),
    ];
    for (section, contents, reason) in cases {
        let refusal = Checkpoint::decode(&with(section, contents)).unwrap_err();
        assert!(refusal.reason.contains(reason), "{section}: {refusal}");
        assert!(refusal.offset >= 32, "{section}: {refusal}");
    }
}

#[test]
fn a_section_that_is_missing_is_named_and_others_are_ignored() {
    let file = small().encode().unwrap();
    let mut sections: Vec<_> = container::decode(&file).unwrap();
    sections.retain(|section| section.name != "image");
    let mut parts: Vec<_> = sections.iter().map(|section| (section.name, section.bytes)).collect();
    let refusal = Checkpoint::decode(&container::encode(&parts)).unwrap_err();
    assert!(refusal.reason.contains("\"image\""), "{refusal}");
    parts.extend([("image", [1, 2, 3].as_slice()), ("of-the-future", &[0; 5])]);
    Checkpoint::decode(&container::encode(&parts)).unwrap();
}
