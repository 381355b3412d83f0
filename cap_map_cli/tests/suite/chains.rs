//! Complete images of components with increments behind them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cap_checkpoint_image_host::{Rest, history, history_of_unit, mixed_history, read_chain};
use serde_json::Value;

use crate::{Outcome, cap_map};

const ALIGN: usize = 4096;

fn run(command: &[&str], files: &[&Path]) -> Outcome {
    let files = files.iter().map(|file| file.to_str().expect("path is UTF-8"));
    cap_map(&command.iter().copied().chain(files).collect::<Vec<_>>())
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, bytes).expect("written");
    file
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value[..N].copy_from_slice(&bytes[at..at + N]);
    u64::from_le_bytes(value)
}

/// Where the containers of an intact chain begin.
fn places(chain: &[u8]) -> Vec<usize> {
    let mut places = vec![0];
    loop {
        let at = places[places.len() - 1];
        let length = usize::try_from(number::<8>(chain, at + 16)).expect("fits");
        let next = (at + length).next_multiple_of(ALIGN);
        if next >= chain.len() {
            return places;
        }
        places.push(next);
    }
}

/// Offset of a section of the container at `at`, and its length.
fn section(chain: &[u8], at: usize, name: &str) -> (usize, usize) {
    let count = usize::try_from(number::<4>(chain, at + 12)).expect("fits");
    let mut entries = (0..count).map(|i| at + 32 + 40 * i);
    let is_named = |entry: &usize| chain[*entry..].starts_with(format!("{name}\0").as_bytes());
    let entry = entries.find(is_named).expect("a section of this name");
    let field = |field| usize::try_from(number::<8>(chain, entry + field)).expect("fits");
    (at + field(16), field(24))
}

/// Both readers say the same of a chain that is not intact: what, and for which of its containers.
fn both_refuse(folder: &Path, chain: &[u8], intact: usize, reason: &str) {
    let file = write(folder, "altered", chain);
    let (containers, rest, _) = read_chain(chain);
    let Rest::Damaged(offset, text) = rest else { panic!("{reason}: {rest:?}") };
    assert_eq!(containers, intact, "{reason}: {text}");
    for command in ["inspect", "verify"] {
        let outcome = run(&[command], &[&file]);
        assert_eq!((outcome.status.code(), outcome.stdout.as_str()), (Some(3), ""), "{reason}");
        let ours = outcome.stderr;
        assert!(ours.contains(reason) && ours.contains(&format!("at offset {offset}: ")), "{ours}");
        if text.contains("section \"") {
            assert!(ours.contains(&text), "{ours} instead of {text}");
        }
        assert_eq!(ours.contains("intact containers"), intact != 0, "{ours}");
    }
    let out = folder.join("refused");
    let outcome = run(&["merge", "--json"], &[&file, &out]);
    assert_eq!((outcome.status.code(), outcome.stderr.contains(reason)), (Some(3), true));
    let said: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!((&said["command"], &said["status"]), (&"merge".into(), &3.into()));
    assert!(!out.exists(), "{reason}: nothing is written");
    // What is in front of the damage is as good as ever.
    if intact != 0 {
        let most = format!("--containers={intact}");
        run(&["verify", &most], &[&file]).expect_success();
        run(&["merge", &most], &[&file, &out]).expect_success();
        fs::remove_file(&out).expect("written before");
    }
}

#[test]
fn merged_chains_are_the_images_that_could_have_been_saved_instead() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let components = (0..12).map(|seed| (1 + seed, history(seed, 1 + seed)));
    let units = (0..4).map(|seed| (2 + seed, history_of_unit(seed, 2 + seed)));
    for (count, (chain, complete)) in components.chain(units) {
        let file = write(folder.path(), "chain", &chain);
        let outcome = run(&["merge"], &[&file, &out]).expect_success();
        assert_eq!(fs::read(&out).unwrap(), complete, "history of {count} containers");
        assert!(outcome.stdout.contains(&format!(" of {count} containers, ")), "{count}");
        assert_eq!(read_chain(&chain), (count as usize, Rest::Nothing, complete));
        let same = run(&["diff"], &[&file, &out]).expect_success();
        assert_eq!(same.stdout, "0 came, 0 went, 0 changed\n");
        run(&["verify"], &[&out]).expect_success();
    }
}

#[test]
fn earlier_containers_are_merged_if_one_asks_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let (chain, _) = history(3, 6);
    let file = write(folder.path(), "chain", &chain);
    for containers in 1..=6 {
        let most = format!("--containers={containers}");
        run(&["merge", &most], &[&file, &out]).expect_success();
        assert_eq!(fs::read(&out).unwrap(), history(3, containers).1);
        let text = run(&["inspect", &most], &[&file]).expect_success().stdout;
        assert!(text.contains(&format!("checkpoint {}\n", 3 + containers)), "{text}");
    }
    let outcome = run(&["merge", "--containers=7"], &[&file, &out]);
    assert_eq!(outcome.status.code(), Some(4));
    assert!(outcome.stderr.contains("there are not 7 containers, but 6"), "{}", outcome.stderr);
    for count in ["0", "-1", "many"] {
        let outcome = run(&["inspect", &format!("--containers={count}")], &[&file]);
        assert_eq!(outcome.status.code(), Some(2), "{}", outcome.stderr);
    }
}

#[test]
fn containers_of_a_chain_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, complete) = history(3, 4);
    let file = write(folder.path(), "chain", &chain);
    let image = write(folder.path(), "image", &complete);
    let places = places(&chain);

    let text = run(&["inspect", "--json"], &[&file]).expect_success().stdout;
    let shown: Value = serde_json::from_str(&text).unwrap();
    let containers = shown["containers"].as_array().unwrap();
    let offsets: Vec<_> = containers.iter().map(|one| one["offset"].as_u64().unwrap()).collect();
    assert_eq!(offsets, places.iter().map(|place| *place as u64).collect::<Vec<_>>());
    assert_eq!(shown["left_over"], 0);
    assert_eq!(shown["base"][0]["position"], 3);
    assert_eq!(shown["base"][0]["crc"], containers[2]["header_crc32"]);
    assert_eq!(shown["base"][0]["checkpoint"], containers[2]["checkpoint"]);
    assert_eq!(
        shown["origins"].as_array().unwrap().len(),
        shown["dataspaces"].as_array().unwrap().len()
    );

    // All else is what the complete image says.
    let text = run(&["inspect", "--json"], &[&image]).expect_success().stdout;
    let other: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(other["containers"].as_array().unwrap().len(), 1);
    for (name, records) in other.as_object().unwrap() {
        if !["system", "containers"].contains(&name.as_str()) {
            assert_eq!(&shown[name], records, "{name}");
        }
    }
    assert!(!other["pages"].as_array().unwrap().is_empty());

    let text = run(&["inspect"], &[&file]).expect_success().stdout;
    let line = "position  checkpoint  offset  bytes  pages  CRC-32";
    assert!(text.lines().any(|shown| shown.trim() == line), "{text}");
    assert!(text.contains(" base 16, "), "{text}");
    let text = run(&["verify"], &[&file]).expect_success().stdout;
    assert!(text.ends_with(": 4 containers, 24 slots in use, all well\n"), "{text}");

    // The bytes of a section are those of the last container.
    let (at, length) = section(&chain, places[3], "origins");
    let bytes = std::process::Command::new(env!("CARGO_BIN_EXE_cap_map"))
        .args(["inspect", "--section=origins"])
        .arg(&file)
        .output()
        .unwrap()
        .stdout;
    assert_eq!(bytes, chain[at..at + length]);
}

#[test]
fn chains_are_compared_by_what_they_end_with() {
    let folder = tempfile::tempdir().unwrap();
    let [before, after] = [3, 4].map(|count| history(3, count).0);
    let [before, after] = [("before", before), ("after", after)]
        .map(|(name, chain)| write(folder.path(), name, &chain));
    let outcome = run(&["diff"], &[&before, &after]);
    assert_eq!(outcome.status.code(), Some(1));
    assert!(outcome.stdout.starts_with("~ checkpoint: 6 -> 7\n"), "{}", outcome.stdout);
}

/// A component may get children, and be alone again.
#[test]
fn chains_of_components_and_units_are_what_they_end_with() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let histories: [&[bool]; 3] =
        [&[false, true, true, false], &[false, true], &[true, false, true]];
    for units in histories {
        let (chain, complete) = mixed_history(units);
        let file = write(folder.path(), "chain", &chain);
        assert_eq!(read_chain(&chain), (units.len(), Rest::Nothing, complete.clone()));
        for count in 1..=units.len() {
            let most = format!("--containers={count}");
            let ends_with = mixed_history(&units[..count]).1;
            run(&["merge", &most], &[&file, &out]).expect_success();
            assert_eq!(fs::read(&out).unwrap(), ends_with, "{count} of {units:?}");
            let text = run(&["inspect", &most], &[&file]).expect_success().stdout;
            let is_unit = text.contains("unit of 4 components \"init -> sample\"");
            assert_eq!(is_unit, units[count - 1], "{count} of {units:?}: {text}");
            assert_eq!(text.contains("\nmember \"first\":"), is_unit, "{text}");
        }
        let image = write(folder.path(), "image", &complete);
        let same = run(&["diff"], &[&file, &image]).expect_success();
        assert_eq!(same.stdout, "0 came, 0 went, 0 changed\n");
        run(&["verify"], &[&file]).expect_success();
    }
    // Its children come and go.
    let [single, unit] = [(1, "single"), (2, "unit")].map(|(count, name)| {
        let (chain, _) = mixed_history(&histories[0][..count]);
        write(folder.path(), name, &chain)
    });
    for (files, sign) in [([&single, &unit], '+'), ([&unit, &single], '-')] {
        let outcome = run(&["diff"], &files.map(PathBuf::as_path));
        let of_child = |line: &&str| {
            let place = line.split(": ").next().expect("there is one");
            place.starts_with(sign) && place.contains(" of \"first")
        };
        let slots = outcome.stdout.lines().filter(of_child).count();
        assert_eq!((outcome.status.code(), slots), (Some(1), 21), "{}", outcome.stdout);
    }
}

#[test]
fn what_an_earlier_chain_has_left_is_told_and_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, _) = history(5, 3);
    let places = places(&chain);
    // The second increment where the first one was, and an increment of nobody.
    let left = [&chain[..places[1]], &chain[places[2]..]].concat();
    let file = write(folder.path(), "left", &left);
    let bytes = left.len() - places[1];
    assert_eq!(read_chain(&left), (1, Rest::LeftOver, history(5, 1).1));
    let text = run(&["verify"], &[&file]).expect_success().stdout;
    assert!(
        text.ends_with(&format!("all well; {bytes} bytes of an earlier chain behind\n")),
        "{text}"
    );
    let text = run(&["inspect"], &[&file]).expect_success().stdout;
    assert!(text.contains(&format!("\n{bytes} bytes of an earlier chain behind it\n")), "{text}");
    let text = run(&["verify", "--json"], &[&file]).expect_success().stdout;
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["left_over"], bytes);
    // What does not begin with the magic is nothing.
    let nothing = [&chain[..places[1]], &[7; 5000]].concat();
    let file = write(folder.path(), "nothing", &nothing);
    let text = run(&["verify"], &[&file]).expect_success().stdout;
    assert!(text.ends_with(": 24 slots in use, all well\n"), "{text}");
}

#[test]
fn both_readers_refuse_chains_alike() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, _) = history(5, 3);
    let places = places(&chain);
    let altered = |at: usize| {
        let mut altered = chain.clone();
        altered[at] ^= 1;
        altered
    };
    let refused = |chain: &[u8], intact, reason: &str| {
        both_refuse(folder.path(), chain, intact, reason);
    };
    refused(&altered(places[1] + 29), 1, "container 1: checksum of the header does not match");
    refused(&altered(places[2] + 40), 2, "container 2: checksum of the section table");
    let (base, _) = section(&chain, places[2], "base");
    refused(&altered(base), 2, "container 2: checksum of ");
    refused(&altered(places[1] - 1), 1, "bytes behind the container are not zero");
    refused(&altered(100), 0, "checksum of the section table");
    refused(&chain[..places[2] + 20], 2, "container 2: the file ends within its header");
    refused(&chain[..chain.len() - 1], 2, "container 2: the file has ");
    // Fields, behind checksums that are right.
    let sealed = |at: usize, name: &str, field: usize, value: u32| {
        let mut altered = chain.clone();
        let (start, length) = section(&chain, at, name);
        altered[start + field..start + field + 4].copy_from_slice(&value.to_le_bytes());
        let entry = (at + 32..).step_by(40);
        let mut entry = entry.filter(|at| chain[*at..].starts_with(format!("{name}\0").as_bytes()));
        let entry = entry.next().unwrap();
        let count = usize::try_from(number::<4>(&chain, at + 12)).unwrap();
        let ranges = [
            (entry + 32, start..start + length),
            (at + 24, at + 32..at + 32 + 40 * count),
            (at + 28, at..at + 28),
        ];
        for (sum_at, range) in ranges {
            let sum = crc32fast::hash(&altered[range]);
            altered[sum_at..sum_at + 4].copy_from_slice(&sum.to_le_bytes());
        }
        altered
    };
    let last = places[2];
    refused(&sealed(last, "base", 12, 1), 2, "record 0: is not the next position in the chain");
    refused(&sealed(last, "base", 12, 64), 2, "record 0: no such position in a chain");
    refused(&sealed(last, "system", 64, 0), 2, "is not the number of an earlier checkpoint");
    refused(&sealed(last, "system", 0, 3), 2, "container 2: section \"system\": version of the");
    refused(&sealed(last, "origins", 0, 77), 2, "container 2: section \"origins\": record ");
    let increment = &chain[places[1]..];
    refused(increment, 0, "section \"system\": version of the contents");
}

#[test]
fn results_of_a_merge_are_written_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, complete) = history(2, 3);
    let file = write(folder.path(), "chain", &chain);
    let out = folder.path().join("out");
    let text = run(&["merge", "--json"], &[&file, &out]).expect_success().stdout;
    let said: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(said["bytes"], complete.len());
    assert_eq!(said["containers"].as_array().unwrap().len(), 3);
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(run(&["merge", "--quiet"], &[&file, &out]).expect_success().stdout, "");

    // A file of somebody else stays, and a chain becomes an image in its place.
    let notes = write(folder.path(), "notes", b"notes of mine");
    let outcome = run(&["merge"], &[&file, &notes]);
    assert_eq!(outcome.status.code(), Some(4));
    assert!(outcome.stderr.contains("is no checkpoint; --force replaces it"), "{}", outcome.stderr);
    run(&["merge", "--force"], &[&file, &notes]).expect_success();
    assert_eq!(fs::read(&notes).unwrap(), complete);
    run(&["merge"], &[&file, &file]).expect_success();
    assert_eq!(fs::read(&file).unwrap(), complete);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing is left behind");

    // Compression makes no difference.
    let packed = zstd::encode_all(&chain[..], 3).unwrap();
    let packed = write(folder.path(), "packed", &packed);
    run(&["merge"], &[&packed, &out]).expect_success();
    assert_eq!(fs::read(&out).unwrap(), complete);

    let table = write(folder.path(), "table", &chain[..100]);
    assert_eq!(run(&["merge"], &[&table, &out]).status.code(), Some(3));
    let other = write(folder.path(), "other", b"something else");
    let outcome = run(&["merge"], &[&other, &out]);
    assert_eq!(outcome.status.code(), Some(3));
    assert!(outcome.stderr.contains("this is not a checkpoint file"), "{}", outcome.stderr);
    assert_eq!(fs::read(&out).unwrap(), complete, "a failure changes nothing");
    let none = folder.path().join("none");
    assert_eq!(run(&["merge"], &[&none, &out]).status.code(), Some(4));
}

#[test]
fn checkpoints_of_the_testbed_are_not_merged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint");
    crate::checkpoint(&file, "11");
    let outcome = run(&["merge"], &[&file, &folder.path().join("out")]);
    assert_eq!(outcome.status.code(), Some(3));
    assert!(outcome.stderr.contains("this is not the image of a component"), "{}", outcome.stderr);
    let outcome = run(&["inspect", "--containers=1"], &[&file]);
    assert_eq!(outcome.status.code(), Some(4));
    // Nothing may follow them, as ever.
    let mut bytes = zstd::decode_all(&fs::read(&file).unwrap()[..]).unwrap();
    bytes.push(0);
    let longer = write(folder.path(), "longer", &bytes);
    let outcome = run(&["verify"], &[&longer]);
    assert_eq!(outcome.status.code(), Some(3));
    assert!(outcome.stderr.contains(" bytes instead of "), "{}", outcome.stderr);
}
