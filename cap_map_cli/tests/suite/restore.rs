//! Checkpoint files: restored, refused, and verified.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Stdio;

use crate::{Outcome, cap_map, checkpoint, command, finish};
use cap_map_cli::checkpoint::{Checkpoint, Object, RESERVED};
use cap_map_rs::{SlotWord, layout};

fn restore(file: &Path) -> Outcome {
    cap_map(&["restore", file.to_str().expect("path is UTF-8")])
}

/// Lost and misdirected capabilities of a restore that failed by its verification.
fn faults(file: &Path) -> (u64, u64) {
    let path = file.to_str().expect("path is UTF-8");
    let outcome = cap_map(&["restore", path, "--json"]);
    assert_eq!(outcome.status.code(), Some(1), "{}", outcome.stderr);
    let result: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert!(!result["findings"].as_array().expect("findings").is_empty());
    let number = |name: &str| result[name].as_u64().expect("number");
    (number("lost"), number("misdirected"))
}

fn change(file: &Path, change: impl FnOnce(&mut Checkpoint)) {
    let mut checkpoint = Checkpoint::load(file).unwrap().0;
    change(&mut checkpoint);
    fs::write(file, checkpoint.encode().unwrap()).unwrap();
}

#[test]
fn a_saved_target_comes_back_more_than_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint");
    checkpoint(&file, "3");
    for _ in 0..2 {
        let outcome = restore(&file).expect_success();
        let line = outcome.last_line();
        assert!(line.starts_with("restore: "), "{line}");
        assert!(line.ends_with("capabilities restored, 0 lost, 0 misdirected"), "{line}");
    }
}

/// As with `restore <(cat FILE)`.
#[test]
fn a_checkpoint_may_come_from_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint");
    checkpoint(&file, "6");
    for arguments in [["restore", "-"], ["restore", "/dev/stdin"]] {
        let mut child = command().args(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let bytes = fs::read(&file).unwrap();
        let writer = std::thread::spawn(move || pipe.write_all(&bytes).unwrap());
        finish(child).expect_success();
        writer.join().unwrap();
    }
}

/// What a run restores is what it saved, whoever replaces the file meanwhile.
#[test]
fn runs_may_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    // Not UTF-8.
    let file = folder.path().join(OsStr::from_bytes(b"checkpoint\xff"));
    let run = |_| {
        let migrate = ["migrate", "--objects=60", "--rounds=2", "--checkpoint"];
        command().args(migrate).arg(&file).env("TMPDIR", "/nonexistent").spawn().unwrap()
    };
    let runs = [0, 1, 2].map(run);
    for run in runs {
        finish(run).expect_success();
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    finish(command().arg("restore").arg(&file).spawn().unwrap()).expect_success();
}

#[test]
fn a_checkpoint_goes_to_a_regular_file_only() {
    let outcome = cap_map(&["migrate", "--objects=10", "--checkpoint", "/dev/null"]);
    assert_eq!(outcome.status.code(), Some(4));
    assert_eq!(outcome.stderr, "cap_map: /dev/null: is not a regular file\n");
}

#[test]
fn damaged_files_are_refused_with_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good");
    checkpoint(&good, "4");
    let good = zstd::decode_all(&fs::read(good).unwrap()[..]).unwrap();
    let mut future = good.clone();
    future[8] = 9;
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let mut past = good.clone();
    past[8] = 1;
    let cases: [(&str, &[u8], &str); 7] = [
        ("empty", &[], "at offset 0: the file ends within its header"),
        ("text", b"label=init -> target", "at offset 0: this is not a checkpoint file"),
        ("future", &future, "at offset 8: format version 9"),
        ("past", &past, "cap_map 0.1.0 with table layout 1 reads it"),
        ("header", &good[..20], "at offset 20: the file ends"),
        ("short", &good[..good.len() - 1], "bytes instead of"),
        ("flipped", &flipped, "checksum of section \"image\""),
    ];
    for (name, bytes, reason) in cases {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        let outcome = restore(&file);
        assert_eq!(outcome.status.code(), Some(3), "{name}");
        assert_eq!(outcome.stdout, "", "{name}");
        assert!(outcome.stderr.contains(reason), "{name}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(name), "the file is named: {}", outcome.stderr);
    }
    let outcome = restore(&folder.path().join("missing"));
    assert_eq!(outcome.status.code(), Some(4));
}

#[test]
fn another_build_does_not_continue_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint");
    checkpoint(&file, "5");
    change(&file, |checkpoint| checkpoint.meta.program.crc32 ^= 1);
    let outcome = restore(&file);
    assert_eq!(outcome.status.code(), Some(3));
    assert!(outcome.stderr.contains("another build"), "{}", outcome.stderr);
}

/// The saved table has the claim of a monitor that was killed, and badges that it put beside
/// those in use. `recover` leaves the claim alone, so the restoring monitor has to take it over.
#[test]
fn a_target_whose_monitor_died_in_a_rewrite_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint");
    checkpoint(&file, "11");
    let saved = Checkpoint::load(&file).unwrap().0;
    let (words, _) = saved.table.as_chunks();
    let words: Vec<_> = words.iter().map(|word| u64::from_ne_bytes(*word)).collect();
    let batch = words[layout::OFF_BATCH / layout::WORD_BYTES];
    assert_ne!(batch & layout::BATCH_CLAIMED, 0, "{batch:#x}");
    let slots = words[layout::SLOTS / layout::WORD_BYTES..].iter().map(|word| SlotWord(*word));
    let staged = slots.filter(|word| word.is_used() && !word.is_settled()).count();
    assert!(staged > 0);
    let path = file.to_str().expect("path is UTF-8");
    let outcome = cap_map(&["restore", path, "--json"]).expect_success();
    let result: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(result["left_out"], 0);
    assert!(result["restored"].as_u64() > Some(60), "{result}");
}

/// The oracle has to notice what a faulty monitor would do: here the file makes
/// it install gates at each other's slots.
#[test]
fn exchanged_gates_are_misdirected() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint");
    checkpoint(&file, "6");
    change(&file, |checkpoint| {
        let own = checkpoint
            .kernel
            .iter_mut()
            .filter(|entry| matches!(entry.object, Object::Gate { creator: 1, entrypoint: 0, .. }));
        let mut own: Vec<_> = own.map(|entry| &mut entry.object).collect();
        // The last ones are sessions, not the objects that help the oracle.
        let [.., a, b] = &mut own[..] else { panic!("too few objects") };
        std::mem::swap(*a, *b);
    });
    let (lost, misdirected) = faults(&file);
    assert_eq!(lost, 0);
    assert!(misdirected >= 2, "{misdirected}");
}

#[test]
fn other_reference_counts_are_a_loss() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint");
    checkpoint(&file, "7");
    change(&file, |checkpoint| {
        let slot = checkpoint.kernel.last().unwrap().slot;
        checkpoint.references[slot as usize] += 1;
    });
    assert_eq!(faults(&file), (1, 0));
}

/// A slot word does not tell an allocated slot without a badge from a free one.
#[test]
fn a_receive_window_that_is_free_is_a_loss() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint");
    checkpoint(&file, "12");
    change(&file, |checkpoint| {
        let mut counts = checkpoint.references.iter_mut();
        *counts.find(|count| **count == RESERVED).expect("entrypoints have windows") = 0;
    });
    assert_eq!(faults(&file), (1, 0));
}

/// An image whose objects are not those of the table: here one byte of each
/// place where the name of a certain object occurs is different.
#[test]
fn objects_with_other_names_are_misdirected() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint");
    checkpoint(&file, "8");
    change(&file, |checkpoint| {
        let last = checkpoint.kernel.iter().rev().find_map(|entry| match entry.object {
            Object::Gate { creator: 1, name, .. } => Some(name),
            _ => None,
        });
        let name = last.unwrap().to_ne_bytes();
        let (words, _) = checkpoint.image.as_chunks_mut();
        words.iter_mut().filter(|word| **word == name).for_each(|word| word[0] ^= 1);
    });
    let (lost, misdirected) = faults(&file);
    assert_eq!(lost, 0);
    assert!(misdirected >= 1);
}
