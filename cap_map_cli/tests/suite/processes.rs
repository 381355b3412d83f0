//! How the program ends: by itself, with its time, by signals, and with what it looks at. No process
//! outlives it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use crate::live::components;
use crate::machine::machine;
use crate::{cap_map, command, finish};

/// An environment variable that all processes of a run inherit.
const MARK: &str = "CAP_MAP_TEST_RUN";

fn marked(value: &str) -> Vec<String> {
    let wanted = format!("{MARK}={value}");
    let environment = |process: &str| fs::read(format!("/proc/{process}/environ")).ok();
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|process| {
            environment(process).is_some_and(|all| {
                all.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
            })
        })
        .collect()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

// The command of that name is not on every machine.
fn kill(signal: Signal, process: &str) {
    let process = Pid::from_raw(process.parse().unwrap()).unwrap();
    // It may have come to its end by itself.
    assert!(matches!(kill_process(process, signal), Ok(()) | Err(Errno::SRCH)));
}

fn is_target(process: &str) -> bool {
    fs::read_to_string(format!("/proc/{process}/cmdline"))
        .is_ok_and(|line| line.split('\0').nth(1) == Some("target"))
}

fn start(mark: &str, temporary: &Path) -> Child {
    let arguments = ["migrate", "--objects=50", "--rounds=1000"];
    let child = command().args(arguments).env(MARK, mark).env("TMPDIR", temporary).spawn().unwrap();
    wait_until("system does not start", || marked(mark).len() == 5);
    child
}

#[test]
fn all_processes_end_with_a_killed_driver() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..4 {
        let mark = format!("{}-killed-{i}", std::process::id());
        let mut driver = start(&mark, folder.path());
        // At other moments of a round each time.
        thread::sleep(Duration::from_millis(120 * i));
        driver.kill().unwrap();
        driver.wait().unwrap();
        wait_until("processes are left", || marked(&mark).is_empty());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "files are left");
}

#[test]
fn a_signal_ends_all_in_order() {
    let mark = format!("{}-signal", std::process::id());
    let folder = tempfile::tempdir().unwrap();
    let driver = start(&mark, folder.path());
    kill(Signal::TERM, &driver.id().to_string());
    let outcome = finish(driver);
    // As a shell expects it, whose loop would go on after a mere status.
    assert_eq!(outcome.status.signal(), Some(Signal::TERM.as_raw()), "{}", outcome.stderr);
    assert_eq!(outcome.stderr, "cap_map: interrupted\n");
    assert!(marked(&mark).is_empty(), "processes are left");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "files are left");
}

/// A program that reads the result learns of that end, too.
#[test]
fn an_end_by_a_signal_is_reported_as_json() {
    let expected = |command: &str| {
        format!(
            "{{\"command\":\"{command}\",\"error\":\"interrupted by signal 15\",\"status\":143}}\n"
        )
    };
    let mark = format!("{}-json", std::process::id());
    let arguments = ["migrate", "--json", "--objects=50", "--rounds=1000"];
    let driver = command().args(arguments).env(MARK, &mark).spawn().unwrap();
    wait_until("system does not start", || marked(&mark).len() == 5);
    kill(Signal::TERM, &driver.id().to_string());
    let outcome = finish(driver);
    assert_eq!(outcome.status.signal(), Some(Signal::TERM.as_raw()));
    assert_eq!(outcome.stdout, expected("migrate"));
    // Before there are any children.
    let mut child =
        command().args(["restore", "--json", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let input = child.stdin.take();
    thread::sleep(Duration::from_millis(300));
    kill(Signal::TERM, &child.id().to_string());
    assert_eq!(finish(child).stdout, expected("restore"));
    drop(input);
}

/// As Ctrl-Z and `fg` do it, at any moment of a round.
#[test]
fn a_run_that_is_stopped_goes_on() {
    let arguments = ["migrate", "--objects=50", "--rounds=3"];
    let mut driver = command().args(arguments).process_group(0).spawn().unwrap();
    let group = Pid::from_child(&driver);
    for _ in 0..200 {
        for signal in [Signal::STOP, Signal::CONT] {
            thread::sleep(Duration::from_millis(3));
            // It may have come to its end.
            let _ = kill_process_group(group, signal);
        }
        if driver.try_wait().unwrap().is_some() {
            break;
        }
    }
    finish(driver).expect_success();
}

#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    let program = env!("CARGO_BIN_EXE_cap_map");
    let script = format!("trap '' HUP && exec '{program}' migrate --objects=50 --rounds=3");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mark = format!("{}-ignored", std::process::id());
    let driver = shell.env(MARK, &mark).spawn().unwrap();
    wait_until("system does not start", || marked(&mark).len() == 5);
    kill(Signal::HUP, &driver.id().to_string());
    finish(driver).expect_success();
}

#[test]
fn a_run_ends_when_its_time_is_over() {
    let arguments = ["migrate", "--objects=50", "--rounds=10000", "--timeout=1", "--json"];
    let mark = format!("{}-timeout", std::process::id());
    let outcome = finish(command().args(arguments).env(MARK, &mark).spawn().unwrap());
    assert_eq!(outcome.status.code(), Some(4), "{}", outcome.stderr);
    let expected = "{\"command\":\"migrate\",\"error\":\"gave up after 1 s\",\"status\":4}\n";
    assert_eq!(outcome.stdout, expected);
    assert!(marked(&mark).is_empty(), "processes are left");
}

/// Nothing is cleaned up by the end of children where there are none.
#[test]
fn waiting_for_a_file_ends_like_all_else() {
    let start =
        |arguments: &[&str]| command().args(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut child = start(&["restore", "-", "--timeout=1"]);
    let input = child.stdin.take();
    let outcome = finish(child);
    assert_eq!(outcome.status.code(), Some(4), "{}", outcome.stderr);
    assert_eq!(outcome.stderr, "cap_map: gave up, as the time is over\n");
    drop(input);
    let mut child = start(&["restore", "-"]);
    let input = child.stdin.take();
    thread::sleep(Duration::from_millis(300));
    kill(Signal::TERM, &child.id().to_string());
    assert_eq!(finish(child).status.signal(), Some(Signal::TERM.as_raw()));
    drop(input);
}

/// Whatever a command waits for, or does without end.
#[test]
fn each_command_ends_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let ram = folder.path().join("ram");
    fs::write(&ram, machine(6)).unwrap();
    let ram = ram.to_str().unwrap();
    // Somebody who never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stub = format!("gdb:{}", listener.local_addr().unwrap());
    let cases: [&[&str]; 8] = [
        &["inspect", "-"],
        &["verify", "-"],
        &["diff", "-", ram],
        &["scan", "-"],
        &["scan", &stub],
        &["leaks", ram, "--since", "-"],
        &["watch", ram, "--plain"],
        &["show", ram, "client", "--repeat=1000000000000"],
    ];
    for arguments in cases {
        let mut child =
            command().args(arguments).arg("--timeout=1").stdin(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let begin = Instant::now();
        let outcome = finish(child);
        assert!(begin.elapsed() < Duration::from_secs(9), "{arguments:?}");
        assert_eq!(outcome.status.code(), Some(4), "{arguments:?}: {}", outcome.stderr);
        assert_eq!(outcome.stderr, "cap_map: gave up, as the time is over\n", "{arguments:?}");
        drop(input);
    }
}

/// Each call to a target that stands still takes ten seconds, and there are hundreds.
#[test]
fn a_target_that_stands_still_is_given_up() {
    let run = |wait| {
        move || {
            let mark = format!("{}-still-{wait}", std::process::id());
            let arguments = ["migrate", "--objects=400", "--rounds=1000"];
            let mut driver = command().args(arguments).env(MARK, &mark).spawn().unwrap();
            wait_until("system does not start", || marked(&mark).len() == 5);
            thread::sleep(Duration::from_millis(wait));
            let begin = Instant::now();
            while driver.try_wait().unwrap().is_none() {
                marked(&mark)
                    .iter()
                    .filter(|process| is_target(process))
                    .for_each(|target| kill(Signal::STOP, target));
                assert!(begin.elapsed() < Duration::from_secs(150), "nobody gives it up");
                thread::sleep(Duration::from_millis(20));
            }
            let outcome = finish(driver);
            assert!(matches!(outcome.status.code(), Some(1 | 4)), "{}", outcome.stderr);
        }
    };
    let runs = [300, 550, 800, 1200].map(|wait| thread::spawn(run(wait)));
    for run in runs {
        run.join().unwrap();
    }
}

#[test]
fn output_that_nobody_takes_ends_the_program() {
    let program = env!("CARGO_BIN_EXE_cap_map");
    let run = |script: &str| {
        let output = Command::new("bash").args(["-c", script]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let migrate = format!("'{program}' migrate --objects=20 --rounds=1");
    // 128 and the number of SIGPIPE.
    let piped = run(&format!("{migrate} | true; exit ${{PIPESTATUS[0]}}"));
    assert_eq!(piped, (Some(141), String::new()));
    let full = run(&format!("{migrate} > /dev/full"));
    assert_eq!(full.0, Some(4));
    assert!(full.1.starts_with("cap_map: standard output: No space left"), "{}", full.1);
}

#[test]
fn a_limit_of_descriptors_that_is_too_low_is_explained() {
    let program = env!("CARGO_BIN_EXE_cap_map");
    let script = format!("ulimit -n 500 && exec '{program}' migrate");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("the limit is 500 (ulimit -Hn)"), "{text}");
}

#[test]
fn all_processes_end_with_the_target() {
    let mark = format!("{}-target", std::process::id());
    let mut driver = start(&mark, &std::env::temp_dir());
    // A target that has done its part of a round is not missed, so its successors die, too.
    wait_until("the system does without a target", || {
        for target in marked(&mark).iter().filter(|process| is_target(process)) {
            kill(Signal::KILL, target);
        }
        driver.try_wait().unwrap().is_some()
    });
    let outcome = finish(driver);
    assert_eq!(outcome.status.code(), Some(4), "{}", outcome.stderr);
    assert!(!outcome.stderr.is_empty());
    wait_until("processes are left", || marked(&mark).is_empty());
}

/// Its machine may end at any time. What was read then is not shown.
#[test]
fn a_file_that_becomes_shorter_meanwhile_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ram = folder.path().join("ram");
    fs::write(&ram, machine(6)).unwrap();
    let path = ram.to_str().unwrap();
    let arguments = ["show", path, "client", "--repeat=1000000000000", "--timeout=60"];
    let child = command().args(arguments).spawn().unwrap();
    thread::sleep(Duration::from_millis(500));
    fs::OpenOptions::new().write(true).open(&ram).unwrap().set_len(0x1000).unwrap();
    let outcome = finish(child);
    assert_eq!(outcome.status.code(), Some(4), "{}: {}", outcome.status, outcome.stderr);
    assert!(outcome.stderr.contains("the file has become shorter"), "{}", outcome.stderr);
}

#[test]
fn the_memory_of_a_process_is_looked_through() {
    let arguments = ["migrate", "--objects=100", "--rounds=10000", "--timeout=60"];
    let mut driver = command().args(arguments).stdout(Stdio::null()).spawn().unwrap();
    let found = (0..200).find_map(|_| {
        thread::sleep(Duration::from_millis(50));
        let children = format!("/proc/{0}/task/{0}/children", driver.id());
        fs::read_to_string(children).ok()?.split_whitespace().find_map(|monitor| {
            let scan = cap_map(&["scan", "--json", &format!("pid:{monitor}")]);
            let scan: Value = serde_json::from_str(&scan.stdout).ok()?;
            // A process that cannot be looked at yet, or not any more, has an error instead.
            scan["components"].as_array()?;
            let components = components(&scan).iter().any(|(_, label)| *label == "init -> target");
            components.then_some(scan)
        })
    });
    driver.kill().unwrap();
    driver.wait().unwrap();
    let scan = found.expect("no table of the target in its monitor");
    assert!(scan["doubts"].to_string().contains("no directory of core"), "{scan}");
    let outcome = cap_map(&["scan", "pid:0"]);
    assert_eq!(outcome.status.code(), Some(4), "{}", outcome.stderr);
}
