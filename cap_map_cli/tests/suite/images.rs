//! Looking into checkpoint files.

use std::fs;
use std::path::Path;

use cap_map_cli::checkpoint::{Checkpoint, Object, RESERVED, container};
use cap_map_rs::{SlotWord, layout};
use serde_json::Value;

use crate::{Outcome, cap_map, checkpoint};

fn run(command: &[&str], file: &Path) -> Outcome {
    cap_map(&[command, &[file.to_str().expect("path is UTF-8")]].concat())
}

/// A checkpoint in a file, and the same one in memory.
fn sample(folder: &Path) -> (std::path::PathBuf, Checkpoint) {
    let file = folder.join("checkpoint");
    checkpoint(&file, "11");
    let decoded = Checkpoint::load(&file).unwrap().0;
    (file, decoded)
}

fn write(folder: &Path, name: &str, checkpoint: &Checkpoint) -> std::path::PathBuf {
    let file = folder.join(name);
    fs::write(&file, checkpoint.encode().unwrap()).unwrap();
    file
}

fn put_word(checkpoint: &mut Checkpoint, slot: u32, word: SlotWord) {
    let at = layout::SLOTS + slot as usize * layout::WORD_BYTES;
    checkpoint.table[at..at + 8].copy_from_slice(&word.0.to_ne_bytes());
}

/// Slots that lead to objects of the target, and their badges.
fn own_gates(checkpoint: &Checkpoint) -> Vec<(u32, u32)> {
    let own = |object| matches!(object, Object::Gate { creator: 1, .. });
    let entries = checkpoint.kernel.iter().filter(|entry| own(entry.object));
    entries.map(|entry| (entry.slot, entry.badge)).collect()
}

#[test]
fn an_image_is_summed_up_and_shown_by_slots() {
    let folder = tempfile::tempdir().unwrap();
    let (file, checkpoint) = sample(folder.path());
    let text = run(&["inspect"], &file).expect_success().stdout;
    assert!(text.starts_with("checkpoint of format 2, "), "{text}");
    assert!(text.contains("\npublished table of \"init -> target\": 4096 slots, "), "{text}");
    assert!(!text.contains('\u{1b}'), "colours without a terminal");
    let (_, table) = text.split_once("\n\n").unwrap();
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("slot  selector  state     badge  references  object"));
    let thread = lines.find(|line| line.starts_with("  12 ")).unwrap();
    assert!(thread.ends_with("  thread") && thread.contains(" static "), "{thread}");

    let (slot, badge) = own_gates(&checkpoint)[0];
    let chosen = format!("--badge={badge}");
    let text = run(&["inspect", "--json", &chosen], &file).expect_success().stdout;
    let shown: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["label"], "init -> target");
    assert_eq!(shown["slots"].as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(shown["slots"][0]["slot"], slot);
    assert_eq!(shown["slots"][0]["object"]["creator"], "target");
    let text = run(&["inspect", "--state=used", "--slot=12"], &file).expect_success().stdout;
    assert!(!text.contains("\n\n"), "the thread's slot is a static one: {text}");

    let meta = run(&["inspect", "--section=meta"], &file).expect_success().stdout;
    assert_eq!(serde_json::from_str::<Value>(&meta).unwrap()["seed"], 11);
    let outcome = run(&["inspect", "--section=none"], &file);
    assert_eq!(outcome.status.code(), Some(4));
    assert!(
        outcome.stderr.contains("no section \"none\", only meta, table, "),
        "{}",
        outcome.stderr
    );
}

#[test]
fn parts_that_contradict_each_other_are_found() {
    type Change = fn(&mut Checkpoint);
    let folder = tempfile::tempdir().unwrap();
    let (file, good) = sample(folder.path());
    let outcome = run(&["verify"], &file).expect_success();
    assert!(outcome.stdout.ends_with(" slots in use, all well\n"), "{}", outcome.stdout);
    let cases: [(&str, Change); 10] = [
        ("is not zero, but behind the high-water mark", |checkpoint| {
            put_word(checkpoint, 4090, SlotWord::used(4));
        }),
        ("which no client has", |checkpoint| {
            let of_clients = |object| matches!(object, Object::Gate { creator: 2, .. });
            let mut entries = checkpoint.kernel.iter_mut();
            let entry = entries.find(|entry| of_clients(entry.object)).expect("one of a client");
            if let Object::Gate { name, .. } = &mut entry.object {
                *name += 1 << 30;
            }
        }),
        ("has badge", |checkpoint| {
            let [(_, badge), (slot, _)] = own_gates(checkpoint)[..2] else { panic!("no gates") };
            put_word(checkpoint, slot, SlotWord::used(badge));
            let mut entries = checkpoint.kernel.iter_mut();
            entries.find(|entry| entry.slot == slot).unwrap().badge = badge;
        }),
        ("is free, but has 3 references", |checkpoint| checkpoint.references[4000] = 3),
        ("carries a badge, but is said to be reserved", |checkpoint| {
            let (slot, _) = own_gates(checkpoint)[0];
            checkpoint.references[slot as usize] = RESERVED;
        }),
        ("nobody has a reference to it", |checkpoint| {
            let (slot, _) = own_gates(checkpoint)[0];
            checkpoint.references[slot as usize] = 0;
        }),
        ("there is no entrypoint 9", |checkpoint| {
            let (slot, _) = own_gates(checkpoint)[0];
            for entry in checkpoint.kernel.iter_mut().filter(|entry| entry.slot == slot) {
                if let Object::Gate { entrypoint, .. } = &mut entry.object {
                    *entrypoint = 9;
                }
            }
        }),
        ("nobody knows component 7", |checkpoint| {
            let of_clients = |object| matches!(object, Object::Gate { creator: 2, .. });
            let mut entries = checkpoint.kernel.iter_mut();
            let entry = entries.find(|entry| of_clients(entry.object)).expect("one of a client");
            if let Object::Gate { creator, .. } = &mut entry.object {
                *creator = 7;
            }
        }),
        ("leads to the object of slot", |checkpoint| {
            let own = |object| matches!(object, Object::Gate { creator: 1, .. });
            let mut entries = checkpoint.kernel.iter_mut().filter(|entry| own(entry.object));
            let first = entries.next().unwrap().object;
            entries.next().unwrap().object = first;
        }),
        ("of a client: no slot leads to it", |checkpoint| {
            for entry in &mut checkpoint.kernel {
                if let Object::Gate { creator: 1, name, .. } = &mut entry.object {
                    *name ^= 1 << 63;
                }
            }
        }),
    ];
    for (reason, change) in cases {
        let mut altered = good.clone();
        change(&mut altered);
        let altered = write(folder.path(), "altered", &altered);
        let outcome = run(&["verify"], &altered);
        assert_eq!(outcome.status.code(), Some(3), "{reason}: {}", outcome.stdout);
        assert!(outcome.stderr.contains(reason), "{reason}: {}", outcome.stderr);
        let outcome = run(&["verify", "--json"], &altered);
        assert_eq!((outcome.status.code(), outcome.stderr.as_str()), (Some(3), ""));
        let said: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert!(said["faults"].to_string().contains(reason), "{said}");
    }
}

#[test]
fn clients_that_have_an_object_twice_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = sample(folder.path());
    let bytes = zstd::decode_all(&fs::read(&file).unwrap()[..]).unwrap();
    let sections = container::decode(&bytes).unwrap();
    let clients = sections.iter().find(|section| section.name == "clients").unwrap().bytes;
    let mut clients: Value = serde_json::from_slice(clients).unwrap();
    let objects = clients["permanent"].as_array_mut().unwrap();
    objects.push(objects[0].clone());
    let clients = serde_json::to_vec(&clients).unwrap();
    let altered: Vec<_> = sections
        .iter()
        .map(|section| match section.name {
            "clients" => ("clients", &*clients),
            name => (name, section.bytes),
        })
        .collect();
    fs::write(&file, container::encode(&altered)).unwrap();
    let outcome = run(&["verify"], &file);
    assert_eq!(outcome.status.code(), Some(3), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("of a client: occurs twice"), "{}", outcome.stderr);
}

#[test]
fn images_are_compared_by_slots() {
    let folder = tempfile::tempdir().unwrap();
    let (file, good) = sample(folder.path());
    let name = |file: &Path| file.to_str().expect("path is UTF-8").to_owned();
    let diff = |options: &[&str], other: &Path| {
        cap_map(&[&["diff"], options, &[&name(&file), &name(other)]].concat())
    };
    let same = diff(&[], &file).expect_success();
    assert_eq!(same.stdout, "0 came, 0 went, 0 changed\n");

    // Another badge, a slot that is free, and one that is not any more.
    let mut other = good.clone();
    let [(first, _), (second, _)] = own_gates(&other)[..2] else { panic!("no gates") };
    put_word(&mut other, first, SlotWord::used(4));
    other.kernel.iter_mut().find(|entry| entry.slot == first).unwrap().badge = 4;
    put_word(&mut other, second, SlotWord::FREE);
    other.kernel.retain(|entry| entry.slot != second);
    other.references[second as usize] = 0;
    let free = (3000..).find(|slot| good.references[*slot as usize] == 0).unwrap();
    other.references[free as usize] = RESERVED;
    let other = write(folder.path(), "other", &other);
    let outcome = diff(&[], &other);
    assert_eq!(outcome.status.code(), Some(1), "{}", outcome.stderr);
    assert!(outcome.stdout.contains(&format!("+ slot {free}: reserved\n")), "{}", outcome.stdout);
    assert!(
        outcome.stdout.contains(&format!("- slot {second}: used, badge ")),
        "{}",
        outcome.stdout
    );
    assert!(outcome.stdout.contains(&format!("~ slot {first}: badge ")), "{}", outcome.stdout);
    assert!(outcome.stdout.ends_with("1 came, 1 went, 1 changed\n"), "{}", outcome.stdout);
    let outcome = diff(&["--ignore-badges", "--json"], &other);
    let difference: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(difference["changed"], Value::Array(vec![]));
    assert_eq!(difference["came"][0]["slot"], free);

    // What is not about a slot differs, too.
    let mut elsewhere = good.clone();
    elsewhere.meta.seed += 1;
    let elsewhere = write(folder.path(), "elsewhere", &elsewhere);
    let outcome = diff(&["--ignore-badges"], &elsewhere);
    assert_eq!(outcome.status.code(), Some(1));
    assert_eq!(outcome.stdout, "~ seed: 11 -> 12\n0 came, 0 went, 0 changed\n");

    fs::write(&other, "no image").unwrap();
    assert_eq!(diff(&[], &other).status.code(), Some(3));
}

#[test]
fn a_table_alone_can_be_inspected_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let (file, checkpoint) = sample(folder.path());
    let region = folder.path().join("region");
    fs::write(&region, &checkpoint.table).unwrap();
    let text = run(&["inspect"], &region).expect_success().stdout;
    assert!(text.starts_with("published table of "), "{text}");
    run(&["verify"], &region).expect_success();
    let arguments = ["diff", file.to_str().unwrap(), region.to_str().unwrap()];
    // The table knows nothing of references and objects.
    let outcome = cap_map(&arguments);
    assert_eq!(outcome.status.code(), Some(1));
    assert!(outcome.stdout.contains(" references -> nothing"), "{}", outcome.stdout);
}

#[test]
fn images_are_compressed_as_zstd_does_it() {
    let folder = tempfile::tempdir().unwrap();
    let (file, checkpoint) = sample(folder.path());
    let compressed = fs::read(&file).unwrap();
    let plain = zstd::decode_all(&compressed[..]).unwrap();
    assert_eq!(Checkpoint::decode(&plain).unwrap(), checkpoint);
    assert!(compressed.len() < plain.len() / 2, "{} of {}", compressed.len(), plain.len());
    // What others have compressed, or unpacked, is the same.
    let as_file = |bytes: &[u8]| {
        let path = folder.path().join("other");
        fs::write(&path, bytes).unwrap();
        path
    };
    let shown = run(&["inspect"], &file).expect_success().stdout;
    for other in [plain.clone(), zstd::encode_all(&plain[..], 19).unwrap()] {
        assert_eq!(run(&["inspect"], &as_file(&other)).expect_success().stdout, shown);
    }
    let script = format!(
        "zstd -t '{0}' && zstd -dc '{0}' | '{1}' inspect -",
        file.display(),
        env!("CARGO_BIN_EXE_cap_map")
    );
    match std::process::Command::new("zstd").arg("--version").output() {
        Ok(_) => {
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), shown);
        }
        Err(error) => println!("not run: zstd: {error}"),
    }
    // Damaged, cut off, or endless.
    let mut damaged = compressed.clone();
    damaged[compressed.len() / 2] ^= 0x55;
    let endless = zstd::encode_all(std::io::Read::take(std::io::repeat(0), 1 << 28), 3).unwrap();
    let cases =
        [(&damaged[..], "damaged"), (&compressed[..100], "damaged"), (&endless, "too long")];
    for (bytes, reason) in cases {
        let outcome = run(&["inspect"], &as_file(bytes));
        assert_eq!((outcome.status.code(), outcome.stdout.as_str()), (Some(3), ""), "{reason}");
        assert!(
            outcome.stderr.contains(reason) && outcome.stderr.contains("at offset"),
            "{}",
            outcome.stderr
        );
    }
}
