//! Looking into the memory of a machine, a made-up one.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;

use serde_json::Value;

use crate::machine::{CORE, DIRECTORY, MIB, QUIET, SERVER, Segment, Table, elf, fnv, machine, put};
use crate::{Outcome, cap_map, command, finish};

fn in_file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn run(arguments: &[&str], path: &Path) -> Outcome {
    cap_map(&[arguments, &[path.to_str().unwrap()]].concat())
}

fn json(arguments: &[&str], path: &Path) -> Value {
    let outcome = run(&[arguments, &["--json"]].concat(), path).expect_success();
    assert_eq!(outcome.stdout.lines().count(), 1);
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// States and labels of the components.
pub(crate) fn components(scan: &Value) -> Vec<(&str, &str)> {
    let components = scan["components"].as_array().unwrap();
    components
        .iter()
        .map(|component| {
            (component["state"].as_str().unwrap(), component["label"].as_str().unwrap())
        })
        .collect()
}

/// Each command of the page, on the machine of this file, prints what stands there.
#[test]
fn the_page_shows_what_the_commands_print() {
    fs::write("/tmp/later", machine(9)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    in_file(folder.path(), "ram", &machine(6));
    in_file(folder.path(), "later", &machine(9));
    let page = include_str!("../../../doc/live.md");
    let blocks = page.split("\n    $ ").skip(1);
    let mut count = 0;
    for block in blocks {
        let (line, rest) = block.split_once('\n').unwrap();
        let shown = rest.lines().take_while(|line| line.starts_with("    "));
        let shown: String = shown.map(|line| line[4..].to_owned() + "\n").collect();
        let (arguments, output) = match line.split_once(" > ") {
            Some((arguments, file)) => (arguments, Some(file)),
            None => (line, None),
        };
        let arguments = arguments.strip_prefix("cap_map ").expect(line);
        // The shell's quotes.
        let arguments: Vec<_> = arguments
            .split('\'')
            .enumerate()
            .flat_map(
                |(i, text)| if i % 2 == 0 { text.split_whitespace().collect() } else { vec![text] },
            )
            .collect();
        let child = command().args(&arguments).current_dir(folder.path()).spawn().unwrap();
        let outcome = finish(child).expect_success();
        if let Some(file) = output {
            fs::write(folder.path().join(file), &outcome.stdout).unwrap();
        } else {
            let [ours, shown] =
                [&outcome.stdout, &shown].map(|text| without_times(text.trim_end()));
            assert_eq!(ours, shown, "{line}");
        }
        count += 1;
    }
    assert!(count >= 6, "{count} commands");
}

/// Times differ from run to run.
fn without_times(text: &str) -> String {
    let word = |word: &str| {
        let is_time = word.contains('.') && word.parse::<f64>().is_ok();
        if is_time { "TIME".to_owned() } else { word.to_owned() }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn names_and_lives_are_those_of_the_directory() {
    let folder = tempfile::tempdir().unwrap();
    let ram = in_file(folder.path(), "ram", &machine(6));
    let scan = json(&["scan"], &ram);
    let expected = [
        ("core", "core"),
        ("alive", "init -> server"),
        ("alive", "init -> client"),
        ("dead", "init -> old"),
        ("claims", "init -> quiet"),
        ("unknown", "init -> server"),
    ];
    assert_eq!(components(&scan), expected);
    assert_eq!(scan["doubts"], Value::Array(vec![]));
    assert_eq!((&scan["one_instant"], &scan["bytes"]), (&true.into(), &(4 * MIB).into()));
    let client = &scan["components"][2];
    assert_eq!((&client["used"], &client["detached"]), (&6.into(), &1.into()));
    assert_eq!((&client["dangling"], &client["made"]), (&1.into(), &0.into()));
    assert_eq!(scan["components"][1]["made"], 6);
    // A table whose instance is another one is not that of the PD.
    let mut other = machine(6);
    put(&mut other, DIRECTORY + 0xc0 + 32, &[99]);
    let other = in_file(folder.path(), "other", &other);
    let scan = json(&["scan"], &other);
    assert_eq!(components(&scan)[2..4], [("dead", "init -> old"), ("claims", "init -> quiet")]);
    assert_eq!(
        components(&scan)[4..],
        [("unknown", "server"), ("unknown", "init -> server"), ("alive", "init -> server")]
    );
    assert_eq!(scan["components"][6]["address"], Value::Null);
}

#[test]
fn what_a_component_forges_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let ram = in_file(folder.path(), "ram", &machine(6));
    // A forged table holds all badges, and yet nobody but core holds objects 52 to 60.
    let mark = json(&["leaks"], &ram);
    assert_eq!(mark["creators"]["init -> server"]["only_in_core"]["gate"], 2);
    let who = cap_map(&["who", "--json", ram.to_str().unwrap(), "56"]).expect_success();
    let who: Value = serde_json::from_str(&who.stdout).unwrap();
    assert_eq!(who["holders"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&who["holders"][0]["state"], &who["creator"]),
        (&"unknown".into(), &"init -> server".into())
    );

    // A second table that claims to be that of a PD: none of them counts.
    let mut bytes = machine(6);
    let copy = bytes[QUIET..QUIET + 0x1200].to_vec();
    bytes[0x38_0000..][..copy.len()].copy_from_slice(&copy);
    let two = in_file(folder.path(), "two", &bytes);
    let scan = json(&["scan"], &two);
    assert!(components(&scan).iter().all(|(state, _)| *state != "claims"), "{scan}");
    assert!(
        scan["doubts"][0].as_str().unwrap().contains("\"init -> quiet\": none counts"),
        "{scan}"
    );

    // A second directory, or a second table of core: none is believed unless it is named.
    let mut bytes = machine(6);
    let copy = bytes[DIRECTORY..CORE].to_vec();
    bytes[0x38_0000..][..copy.len()].copy_from_slice(&copy);
    let two = in_file(folder.path(), "two", &bytes);
    let scan = json(&["scan"], &two);
    assert_eq!(scan["directory"], Value::Null);
    assert!(components(&scan)[1..].iter().all(|(state, _)| *state == "unknown"), "{scan}");
    assert!(scan["doubts"][0].as_str().unwrap().contains("0x100000, 0x380000"), "{scan}");
    let scan = json(&["scan", "--directory=0x100000"], &two);
    assert_eq!(components(&scan)[1], ("alive", "init -> server"));
    let core = machine(6)[CORE..CORE + 0x4000].to_vec();
    let mut bytes = machine(6);
    bytes[0x38_0000..][..core.len()].copy_from_slice(&core);
    let two = in_file(folder.path(), "two", &bytes);
    let scan = json(&["scan"], &two);
    assert!(scan["doubts"][0].as_str().unwrap().contains("--core"), "{scan}");
    assert_eq!(scan["components"][0]["dangling"], Value::Null);
    let scan = json(&["scan", "--core=0x140000"], &two);
    assert_eq!(
        (&scan["components"][0]["state"], &scan["components"][0]["address"]),
        (&"core".into(), &"0x140000".into())
    );
    let outcome = run(&["scan", "--core=0x150000"], &two);
    assert_eq!(outcome.status.code(), Some(4));
    assert!(outcome.stderr.contains("no table at 0x150000"), "{}", outcome.stderr);

    // A forged table in front of another one does not hide it.
    let mut bytes = machine(6);
    let wide =
        Table { label: "wide", kind: 2, capacity: 16384, instance: 5, pd: 0, slots: &[] }.bytes();
    bytes[SERVER - 0x400..][..0x200].copy_from_slice(&wide[..0x200]);
    let wide = in_file(folder.path(), "wide", &bytes);
    let scan = json(&["scan"], &wide);
    assert_eq!(components(&scan)[1], ("alive", "init -> server"));
    assert!(scan["doubts"][0].as_str().unwrap().contains("overlap"), "{scan}");
}

/// As many tables as fit: neither time nor memory grow beyond those of the memory.
#[test]
fn memory_that_is_full_of_tables_is_looked_through() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = machine(6);
    let largest =
        Table { label: "x", kind: 2, capacity: 131_072, instance: 1, pd: 0, slots: &[] }.bytes();
    for _ in 0..32 * MIB / 0x400 {
        bytes.extend(&largest[..0x400]);
    }
    let full = in_file(folder.path(), "full", &bytes);
    let scan = json(&["scan"], &full);
    assert!(scan["doubts"].to_string().contains("overlap"), "{scan}");
    let all = components(&scan);
    assert_eq!(
        all[..3],
        [("core", "core"), ("alive", "init -> server"), ("alive", "init -> client")]
    );
    assert!(all.len() < 100, "{} tables", all.len());
}

#[test]
fn a_graph_shows_who_holds_what_from_whom() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = machine(6);
    // A label that would end the name of a node.
    let at = DIRECTORY + 0xc0 + 128 + 0x40;
    bytes[at..at + 14].copy_from_slice(b"\" ] x [ \\\"    ");
    let ram = in_file(folder.path(), "ram", &bytes);
    let dot = run(&["who", "--dot"], &ram).expect_success().stdout;
    let lines: Vec<_> = dot.lines().collect();
    let client = r"\\u{22} ] x [ \\u{5c}\\u{22}    ";
    let expected = [
        format!("  \"core\" -> \"{client}\" [label=\"1\"];"),
        "  \"core\" -> \"init -> quiet\" [label=\"1\"];".to_owned(),
        "  \"core\" -> \"init -> server\" [label=\"1\"];".to_owned(),
        format!("  \"init -> server\" -> \"{client}\" [label=\"3\"];"),
        "  \"init -> server\" -> \"init -> quiet\" [label=\"1\"];".to_owned(),
    ];
    assert_eq!(lines[2..7], expected, "{dot}");
    assert_eq!((lines[0], lines[7]), ("digraph capabilities {", "}"));
    // A badge that nobody asked for is a mistake.
    assert_eq!(run(&["who"], &ram).status.code(), Some(2));
}

#[test]
fn growth_between_two_marks_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut mark = machine(6);
    let before = in_file(folder.path(), "before", &mark);
    let since = run(&["leaks", "--json"], &before).expect_success().stdout;
    let since = in_file(folder.path(), "since", since.as_bytes());
    let since = format!("--since={}", since.to_str().unwrap());
    let same = json(&["leaks", &since], &before);
    assert_eq!(same["rows"], Value::Array(vec![]));
    let after = in_file(folder.path(), "after", &machine(16));
    let growth = json(&["leaks", &since], &after);
    let row = |what: &str, whose: &str, before: u64, now: u64| serde_json::json!({"what": what, "whose": whose, "before": before, "now": now});
    let rows = growth["rows"].as_array().unwrap();
    assert!(rows.contains(&row("all objects (gate)", "", 6, 16)), "{growth}");
    assert!(rows.contains(&row("objects (gate) made by", "init -> server", 6, 16)), "{growth}");
    let only = row("objects (gate) only in core, made by", "init -> server", 2, 12);
    assert!(rows.contains(&only), "{growth}");
    assert_eq!(rows.len(), 3, "{growth}");
    // Of another boot, nothing can be compared.
    put(&mut mark, DIRECTORY + 0x40, &[7]);
    let sum = fnv(mark[DIRECTORY..DIRECTORY + 0x48].iter().copied());
    put(&mut mark, DIRECTORY + 0x48, &[sum]);
    let other = in_file(folder.path(), "other", &mark);
    let growth = json(&["leaks", &since], &other);
    assert!(growth["doubts"].to_string().contains("another boot"), "{growth}");
    let outcome = run(&["leaks", "--since=/dev/null"], &after);
    assert_eq!(outcome.status.code(), Some(3), "{}", outcome.stderr);
}

#[test]
fn an_elf_dump_is_the_memory_that_its_segments_are() {
    let folder = tempfile::tempdir().unwrap();
    let raw = in_file(folder.path(), "raw", &machine(6));
    let expected = json(&["scan"], &raw)["components"].clone();
    let (half, size) = (0x1f_0000, 4 * MIB as u64);
    // At an odd offset, and in an order of their own.
    let segments =
        [(half, 0x201 + half, size - half), (0, 0x201, half), (0xffff_0000, 0x201 + size, 0)];
    for wide in [true, false] {
        let dump = in_file(folder.path(), "dump", &elf(wide, &segments, &machine(6)));
        assert_eq!(json(&["scan"], &dump)["components"], expected, "wide: {wide}");
    }
    let cases: [(&str, &[Segment]); 3] = [
        ("is cut off", &[(0, 0x201, size + 1)]),
        ("is cut off", &[(0, u64::MAX - 1, 4096)]),
        ("overlaps another", &[(0, 0x201, 8192), (4096, 0x201, 8192)]),
    ];
    for (reason, segments) in cases {
        let dump = in_file(folder.path(), "dump", &elf(true, segments, &machine(6)));
        let outcome = run(&["scan"], &dump);
        assert_eq!(outcome.status.code(), Some(3), "{reason}");
        assert!(
            outcome.stderr.contains(reason) && outcome.stderr.contains("at offset"),
            "{}",
            outcome.stderr
        );
    }
    let mut big = elf(true, &segments, &machine(6));
    big[5] = 2;
    let whole = elf(true, &segments, &machine(6));
    for bytes in [&big, &whole[..60], &whole[..100]] {
        let dump = in_file(folder.path(), "dump", bytes);
        let outcome = run(&["scan"], &dump);
        assert_eq!(
            (outcome.status.code(), outcome.stdout.as_str()),
            (Some(3), ""),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn holes_of_a_file_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let ram = in_file(folder.path(), "ram", &machine(6));
    let file = fs::OpenOptions::new().write(true).open(&ram).unwrap();
    file.set_len(1 << 40).unwrap();
    let scan = json(&["scan"], &ram);
    assert_eq!(scan["bytes"], 1u64 << 40);
    assert!(scan["bytes_with_contents"].as_u64() <= Some(8 * MIB as u64), "{scan}");
    assert_eq!(components(&scan).len(), 6);
}

#[test]
fn a_dump_may_come_through_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let ram = in_file(folder.path(), "ram", &machine(6));
    let dump = elf(true, &[(0, 0x201, 4 * MIB as u64)], &machine(6));
    let expected = json(&["scan"], &ram)["components"].clone();
    for bytes in [machine(6), dump] {
        let scan = command().args(["scan", "--json", "-"]).stdin(Stdio::piped()).spawn();
        let mut scan = scan.unwrap();
        let mut pipe = scan.stdin.take().unwrap();
        let writer = thread::spawn(move || pipe.write_all(&bytes).unwrap());
        let scan: Value = serde_json::from_str(&finish(scan).expect_success().stdout).unwrap();
        assert_eq!(scan["components"], expected);
        writer.join().unwrap();
    }
}

/// As QEMU has it: what does not fit below the hole for devices is behind 4 GiB.
#[test]
fn memory_behind_the_hole_is_where_core_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut ram = machine(6);
    let expected = json(&["scan"], &in_file(folder.path(), "low", &ram));
    let hole = SERVER as u64;
    for i in 0..3 {
        let at = DIRECTORY + 0xc0 + 128 * i + 16;
        let address = u64::from_ne_bytes(ram[at..at + 8].try_into().unwrap());
        put(&mut ram, at, &[address - hole + (1 << 32)]);
    }
    let file = in_file(folder.path(), "high", &ram);
    let found = json(&["scan", "--hole=0x200000"], &file);
    let (expected, found) = (components(&expected), components(&found));
    assert_eq!(found, expected);
    let outcome = run(&["show", "--hole=0x200000"], &file);
    assert_eq!(outcome.status.code(), Some(2), "a label is missing");
    // Nobody finds a table where core says.
    let missed = json(&["scan"], &file);
    assert_eq!(components(&missed).iter().filter(|(state, _)| *state == "unknown").count(), 4);
    for hole in ["0", "0x200001", "0x200000000"] {
        let base = if hole == "0x200000000" { "0x1ffffff00" } else { "0" };
        let outcome = run(&["scan", "--hole", hole, "--base", base], &file);
        assert_eq!(outcome.status.code(), Some(4), "{hole}");
        assert!(outcome.stderr.contains("there is no hole from "), "{}", outcome.stderr);
    }
}

/// A stub for debuggers with this memory, as QEMU's is one; it answers `count` packets.
fn stub(memory: Vec<u8>, count: usize) -> (String, thread::JoinHandle<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("gdb:{}", listener.local_addr().unwrap());
    let serve = move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut reader = BufReader::new(stream);
        let mut detached = false;
        reader.get_mut().write_all(b"$T02thread:01;#04").unwrap();
        for _ in 0..count {
            let mut packet = Vec::new();
            if !matches!(reader.read_until(b'#', &mut packet), Ok(1..)) {
                break;
            }
            let mut sum = [0; 2];
            if reader.read_exact(&mut sum).is_err() {
                break;
            }
            let start = packet.iter().position(|byte| *byte == b'$').unwrap();
            let packet = String::from_utf8(packet[start + 1..packet.len() - 1].to_vec()).unwrap();
            detached |= packet == "D";
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let answers: Vec<String> = if packet.starts_with("qRcmd") {
                let text = format!("base memory: {}\nplugged memory: 0\n", memory.len());
                vec![format!("O{}", hex(text.as_bytes()) as String), "OK".to_owned()]
            } else if let Some(place) = packet.strip_prefix('m') {
                let (at, bytes) = place.split_once(',').unwrap();
                let [at, bytes] = [at, bytes].map(|text| usize::from_str_radix(text, 16).unwrap());
                vec![hex(&memory[at..at + bytes])]
            } else {
                vec!["OK".to_owned()]
            };
            for answer in answers {
                let sum = answer.bytes().fold(0u8, u8::wrapping_add);
                let text = format!("+${answer}#{sum:02x}");
                // The other side may be gone.
                let _ = reader.get_mut().write_all(text.as_bytes());
            }
        }
        detached
    };
    (address, thread::spawn(serve))
}

#[test]
fn the_memory_behind_a_stub_for_debuggers_is_looked_through() {
    let folder = tempfile::tempdir().unwrap();
    let raw = in_file(folder.path(), "raw", &machine(6));
    let expected = json(&["scan"], &raw)["components"].clone();
    let (address, thread) = stub(machine(6), usize::MAX);
    let scan = cap_map(&["scan", "--json", &address]).expect_success();
    let scan: Value = serde_json::from_str(&scan.stdout).unwrap();
    assert_eq!(scan["components"], expected);
    assert!(thread.join().unwrap(), "the machine is not let go on");
    // One that goes away in the middle.
    let (address, thread) = stub(machine(6), 10);
    let outcome = cap_map(&["scan", "--json", &address]);
    assert_eq!(outcome.status.code(), Some(4), "{}", outcome.stderr);
    thread.join().unwrap();
}

#[test]
fn names_that_do_not_fit_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let ram = in_file(folder.path(), "ram", &machine(6));
    let path = ram.to_str().unwrap();
    let show = |label: &str| cap_map(&["show", path, label]);
    assert!(show("client").expect_success().stdout.contains("it calls itself \"client\""));
    assert!(show("0x300000").expect_success().stdout.contains("which core does not know"));
    let outcome = show("server");
    assert!(outcome.stderr.contains("0x200000, 0x300000"), "{}", outcome.stderr);
    assert_eq!(outcome.status.code(), Some(4));
    // Parts of the name, not any letters.
    assert!(show("lient").stderr.contains("no table of a component called"));
    assert!(show("nobody").stderr.contains("no table of a component called \"nobody\""));
    let gone = folder.path().join("gone");
    let empty = in_file(folder.path(), "empty", &[]);
    for path in [folder.path(), &gone, &empty, Path::new("/dev/zero")] {
        let outcome = run(&["scan"], path);
        assert_eq!((outcome.status.code(), outcome.stdout.as_str()), (Some(4), ""), "{path:?}");
    }
}
