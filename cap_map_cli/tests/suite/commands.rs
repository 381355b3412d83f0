//! The commands as a user calls them, rightly and wrongly. A migration is the main job: it
//! ends with nothing lost and nothing misdirected.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::machine::machine;
use crate::{Outcome, cap_map, checkpoint};
use cap_map_cli::checkpoint::Checkpoint;

/// Number in front of the capabilities in the last line.
fn restored(line: &str) -> u64 {
    let rest = line.strip_prefix("migrate: ").expect(line);
    let (number, rest) = rest.split_once(' ').expect(line);
    assert_eq!(rest, "capabilities restored, 0 lost, 0 misdirected");
    number.parse().expect(line)
}

#[test]
fn two_rounds() {
    let outcome = cap_map(&["migrate", "--objects=100", "--rounds=2"]).expect_success();
    // Besides the objects: factory, probe, two objects of each of three
    // entrypoints, parent, thread and protection domain.
    assert!(restored(outcome.last_line()) >= 2 * (100 + 2 + 6 + 3));
    assert_eq!(outcome.stderr, "", "no progress bar without a terminal");
}

#[test]
fn several_seeds() {
    for seed in 10..16 {
        let seed = seed.to_string();
        let outcome = cap_map(&["migrate", "--objects=40", "--rounds=1", "--seed", &seed]);
        assert!(restored(outcome.expect_success().last_line()) > 40);
    }
}

#[test]
fn one_object() {
    let outcome = cap_map(&["migrate", "--objects=1", "--rounds=1"]).expect_success();
    assert!(restored(outcome.last_line()) >= 12);
}

#[test]
fn result_as_json() {
    let outcome = cap_map(&["migrate", "--objects=30", "--rounds=1", "--seed=5", "--json"]);
    let outcome = outcome.expect_success();
    let result: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(outcome.stdout.lines().count(), 1);
    assert_eq!(result["command"], "migrate");
    assert_eq!((result["objects"].as_u64(), result["seed"].as_u64()), (Some(30), Some(5)));
    assert_eq!((result["lost"].as_u64(), result["misdirected"].as_u64()), (Some(0), Some(0)));
    assert!(result["restored"].as_u64() > Some(30));
    // Otherwise the new system would not be a challenge.
    assert!(result["overlapping"].as_u64() > Some(20), "{result}");
}

/// The table of the target has 4096 slots at first. It grows while clients call, and what it
/// is by then comes back in the next system.
#[test]
fn more_objects_than_slots_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint");
    let path = file.to_str().expect("path is UTF-8");
    let outcome =
        cap_map(&["migrate", "--objects=6000", "--rounds=1", "--json", "--checkpoint", path]);
    if outcome.stderr.contains("ulimit -Hn") {
        println!("not run: {}", outcome.stderr);
        return;
    }
    let outcome = outcome.expect_success();
    let result: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(result["growths"], 2, "{result}");
    assert!(result["restored"].as_u64() > Some(6000), "{result}");
    let lines = inspect(&file).expect_success().stdout;
    let head = lines.lines().next().unwrap();
    assert!(head.contains("label=\"init -> target\" kind=published capacity=16384 "), "{head}");
    let last = lines.lines().last().and_then(|line| line.split(' ').next());
    assert!(last.and_then(|slot| slot.parse::<u32>().ok()) > Some(6700), "{last:?}");
    cap_map(&["restore", path]).expect_success();
}

fn inspect(file: &Path) -> Outcome {
    cap_map(&["inspect", "--lines", file.to_str().expect("path is UTF-8")])
}

#[test]
fn checkpoint_and_region_print_the_same_as_the_other_reader() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint");
    checkpoint(&file, "9");
    let table = Checkpoint::load(&file).unwrap().0.table;
    let region = folder.path().join("region");
    fs::write(&region, table).unwrap();

    let ours = inspect(&file).expect_success().stdout;
    let mut lines = ours.lines();
    let head = lines.next().unwrap();
    let shape = "capacity=4096 first_user=768 shift=12 badge_bits=28";
    let expected = format!("label=\"init -> target\" kind=published {shape} boot=0x");
    assert!(head.starts_with(&expected), "{head}");
    // The monitor wrote the numbers into the memory before the target had it.
    let (_, numbers) = head.split_once(" instance=1 pd=").expect(head);
    let (pd, parent) = numbers.split_once(" parent=").expect(head);
    assert!(pd.parse::<u32>().unwrap() > 4 && parent.parse::<u32>().unwrap() > 4, "{head}");
    assert!(lines.next().is_some_and(|line| line.starts_with("11 0xb000 static ")));
    assert_eq!(lines.next(), Some("12 0xc000 static 1"));
    assert!(lines.count() > 60);
    assert_eq!(inspect(&region).expect_success().stdout, ours);

    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/read_region");
    match Command::new("python3").arg(reader).arg(&region).output() {
        Ok(theirs) => assert_eq!(String::from_utf8_lossy(&theirs.stdout), ours),
        Err(error) => eprintln!("comparison not run: python3: {error}"),
    }
}

#[test]
fn files_without_a_table_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&str, &[u8], &str); 4] = [
        ("empty", &[], "memory too small"),
        ("zeros", &[0; 4096], "not published"),
        ("noise", &[0xa5; 4096], "bad magic"),
        ("checkpoint", b"CAPCKPT\n", "at offset 8"),
    ];
    for (name, bytes, reason) in cases {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        let outcome = inspect(&file);
        assert_eq!(outcome.status.code(), Some(3), "{name}");
        assert_eq!(outcome.stdout, "");
        assert!(outcome.stderr.contains(reason), "{name}: {}", outcome.stderr);
    }
}

#[test]
fn mistakes_show_the_usage_and_end_with_status_2() {
    let mistakes: [&[&str]; 9] = [
        &[],
        &["emigrate"],
        &["migrate", "--objects"],
        &["migrate", "--objects=0"],
        &["migrate", "--objects=30001"],
        &["migrate", "--rounds=many"],
        &["migrate", "extra"],
        &["restore"],
        &["inspect"],
    ];
    for arguments in mistakes {
        let outcome = cap_map(arguments);
        assert_eq!(outcome.status.code(), Some(2), "{arguments:?}");
        assert_eq!(outcome.stdout, "", "{arguments:?}");
        assert!(outcome.stderr.contains("Usage: cap_map"), "{arguments:?}: {}", outcome.stderr);
    }
}

/// Programs that call this one read one line of JSON, whatever went wrong, and where.
#[test]
fn failures_are_told_as_json_where_results_are() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    fs::write(&text, [b't'; 4096]).unwrap();
    let text = text.to_str().unwrap();
    let cases: [(&[&str], &str, i32, &str); 13] = [
        (&["restore", "none", "--json"], "restore", 4, "none: No such file"),
        (&["restore", text, "--json"], "restore", 3, "this is not a checkpoint file"),
        (&["inspect", "none", "--json"], "inspect", 4, "none: No such file"),
        (&["inspect", text, "--json"], "inspect", 3, "bad magic"),
        (&["verify", text, "--json"], "verify", 3, "bad magic"),
        (&["diff", text, text, "--json"], "diff", 3, "bad magic"),
        (&["scan", "none", "--json"], "scan", 4, "none: No such file"),
        (&["show", "none", "label", "--json"], "show", 4, "none: No such file"),
        (&["who", "none", "4", "--json"], "who", 4, "none: No such file"),
        (&["leaks", text, "--since", text, "--json"], "leaks", 3, "no output of leaks --json"),
        (&["watch", text, "--json"], "watch", 4, "watch prints no JSON"),
        (&["migrate", "--objects=0", "--json"], "", 2, "invalid value '0' for '--objects"),
        (&["emigrate", "--json"], "", 2, "unrecognized subcommand 'emigrate'"),
    ];
    for (arguments, command, status, error) in cases {
        let outcome = cap_map(arguments);
        assert_eq!(outcome.status.code(), Some(status), "{arguments:?}: {}", outcome.stderr);
        assert_eq!(outcome.stdout.lines().count(), 1, "{arguments:?}: {}", outcome.stdout);
        let said: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
        assert_eq!(said["command"].as_str().unwrap_or_default(), command, "{said}");
        assert_eq!(said["status"], status, "{said}");
        assert!(said["error"].as_str().unwrap().contains(error), "{said}");
        assert!(outcome.stderr.contains(error), "{arguments:?}: {}", outcome.stderr);
    }
}

#[test]
fn the_user_decides_how_much_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint");
    let path = file.to_str().unwrap();
    let migrate = ["migrate", "--objects=20", "--rounds=1", "--checkpoint", path];
    let quiet = cap_map(&[&migrate[..], &["-q"]].concat()).expect_success();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    let verbose = cap_map(&["-v", "restore", path]).expect_success();
    assert!(verbose.stderr.contains("bytes read\n"), "{}", verbose.stderr);
    for arguments in [&["verify", path][..], &["diff", path, path]] {
        let quiet = cap_map(&[arguments, &["--quiet"]].concat()).expect_success();
        assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
        let verbose = cap_map(&[arguments, &["--verbose"]].concat()).expect_success();
        assert!(verbose.stderr.contains(&format!("cap_map: reading {path}\n")));
        let usual = cap_map(arguments).expect_success();
        assert_eq!(usual.stdout, verbose.stdout);
        assert_eq!(usual.stderr, "");
    }
    assert_eq!(cap_map(&["verify", "-q", "-v", path]).status.code(), Some(2));
    // What is not a checkpoint stays, unless it is not wanted any more.
    fs::write(&file, "my notes").unwrap();
    let outcome = cap_map(&migrate);
    assert_eq!(outcome.status.code(), Some(4));
    assert!(outcome.stderr.ends_with("is no checkpoint; --force replaces it\n"));
    assert_eq!(fs::read(&file).unwrap(), b"my notes");
    cap_map(&[&migrate[..], &["--force"]].concat()).expect_success();
    cap_map(&["verify", path]).expect_success();
}

#[test]
fn a_record_is_added_to_records_only() {
    let folder = tempfile::tempdir().unwrap();
    let [ram, record] = ["ram", "record"].map(|name| folder.path().join(name));
    fs::write(&ram, machine(6)).unwrap();
    let [ram, path] = [&ram, &record].map(|path| path.to_str().unwrap());
    let watch = ["watch", ram, "--plain", "--count=1", "--record", path];
    for lines in 1..3 {
        cap_map(&watch).expect_success();
        assert_eq!(fs::read_to_string(&record).unwrap().lines().count(), lines);
    }
    fs::write(&record, "my notes\n").unwrap();
    let outcome = cap_map(&watch);
    assert_eq!(outcome.status.code(), Some(4));
    assert!(outcome.stderr.ends_with("is no record of watch; --force adds to it\n"));
    assert_eq!(fs::read(&record).unwrap(), b"my notes\n");
    cap_map(&[&watch[..], &["--force"]].concat()).expect_success();
    assert!(fs::read_to_string(&record).unwrap().starts_with("my notes\n{\"time\":"));
}

#[test]
fn help_is_no_mistake_and_hides_the_roles() {
    let outcome = cap_map(&["--help"]).expect_success();
    for command in ["migrate", "restore", "inspect"] {
        assert!(outcome.stdout.contains(command), "{}", outcome.stdout);
    }
    assert!(!outcome.stdout.contains("--parent"));
    assert!(!outcome.stdout.contains("clients\n"));
}

#[test]
fn roles_do_not_run_on_their_own() {
    let outcome = cap_map(&["target", "--parent=1"]);
    // As when its parent dies while it starts: ended by a signal, without a word.
    assert_eq!((outcome.status.code(), outcome.stderr.as_str()), (None, ""));
}

/// Man pages and completions are made from the definitions, so that they cannot be stale. They have
/// all commands and options that the help has.
#[test]
fn man_pages_and_completions_are_complete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    cap_map(&["manual", path]).expect_success();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect(name);
    let help = cap_map(&["--help"]).expect_success().stdout;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let commands: Vec<_> = commands
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    assert!(commands.contains(&"watch") && commands.len() >= 11, "{commands:?}");
    let shells = ["cap_map.bash", "_cap_map", "cap_map.fish"].map(read);
    for command in commands {
        let help = cap_map(&[command, "--help"]).expect_success().stdout;
        let page = read(&format!("cap_map-{command}.1")).replace("\\-", "-");
        let options = help.split_whitespace().filter_map(|word| word.strip_prefix("--"));
        for option in options.map(|option| option.trim_end_matches([',', '.', ';'])) {
            assert!(page.contains(&format!("--{option}")), "{command}: --{option}");
            assert!(shells.iter().all(|text| text.contains(option)), "{command}: --{option}");
        }
    }
    assert!(!folder.path().join("cap_map-target.1").exists(), "a role has a page");
    let bash = folder.path().join("cap_map.bash");
    let syntax = Command::new("bash").arg("-n").arg(&bash).status().unwrap();
    assert!(syntax.success());
    let complete = format!(
        "source '{}' && COMP_WORDS=(cap_map le) COMP_CWORD=1 && _cap_map cap_map le cap_map && echo ${{COMPREPLY[@]}}",
        bash.display()
    );
    let output = Command::new("bash").args(["-c", &complete]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "leaks");
    match Command::new("groff")
        .args(["-man", "-ww", "-z", "-Tutf8"])
        .arg(folder.path().join("cap_map-leaks.1"))
        .output()
    {
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stderr), ""),
        Err(error) => println!("not run: groff: {error}"),
    }
}

#[test]
fn the_version_says_what_fits() {
    let short = cap_map(&["-V"]).expect_success().stdout;
    assert_eq!(short, concat!("cap_map ", env!("CARGO_PKG_VERSION"), "\n"));
    let long = cap_map(&["--version"]).expect_success().stdout;
    let lines: Vec<_> = long.lines().collect();
    assert_eq!(format!("{}\n", lines[0]), short);
    assert!(lines[1].starts_with("commit ") && lines[1].len() > 10, "{long}");
    assert_eq!(lines[2..], ["checkpoint format 2", "table layout 2", "directory layout 1"]);
}
