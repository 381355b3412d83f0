//! No process outlives the driver, however it ends.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::common::{command, finish};

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

fn start(mark: &str, temporary: &Path) -> Child {
    let arguments = ["migrate", "--objects=50", "--rounds=1000"];
    let child = command().args(arguments).env(MARK, mark).env("TMPDIR", temporary).spawn().unwrap();
    wait_until("system does not start", || marked(mark).len() == 5);
    child
}

#[test]
fn all_processes_end_with_a_killed_driver() {
    for i in 0..4 {
        let mark = format!("{}-killed-{i}", std::process::id());
        let mut driver = start(&mark, &std::env::temp_dir());
        // At other moments of a round each time.
        thread::sleep(Duration::from_millis(120 * i));
        driver.kill().unwrap();
        driver.wait().unwrap();
        wait_until("processes are left", || marked(&mark).is_empty());
    }
}

#[test]
fn a_signal_ends_all_in_order() {
    let mark = format!("{}-signal", std::process::id());
    let folder = tempfile::tempdir().unwrap();
    let driver = start(&mark, folder.path());
    kill(Signal::TERM, &driver.id().to_string());
    let outcome = finish(driver);
    assert_eq!(outcome.status.code(), Some(130), "{}", outcome.stderr);
    assert_eq!(outcome.stderr, "cap_map: interrupted\n");
    assert!(marked(&mark).is_empty(), "processes are left");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "files are left");
}

#[test]
fn a_limit_of_descriptors_that_is_too_low_is_explained() {
    let program = env!("CARGO_BIN_EXE_cap_map");
    let script = format!("ulimit -n 500 && exec '{program}' migrate");
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("the limit is 500 (ulimit -Hn)"), "{text}");
}

#[test]
fn all_processes_end_with_the_target() {
    let mark = format!("{}-target", std::process::id());
    let mut driver = start(&mark, &std::env::temp_dir());
    let is_target = |process: &String| {
        fs::read_to_string(format!("/proc/{process}/cmdline"))
            .is_ok_and(|line| line.split('\0').nth(1) == Some("target"))
    };
    // A target that has done its part of a round is not missed, so its successors die, too.
    wait_until("the system does without a target", || {
        for target in marked(&mark).iter().filter(|process| is_target(process)) {
            kill(Signal::KILL, target);
        }
        driver.try_wait().unwrap().is_some()
    });
    let outcome = finish(driver);
    assert_eq!(outcome.status.code(), Some(1), "{}", outcome.stderr);
    assert!(!outcome.stderr.is_empty());
    wait_until("processes are left", || marked(&mark).is_empty());
}
