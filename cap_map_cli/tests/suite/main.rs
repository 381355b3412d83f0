//! The program from the outside.

mod chains;
mod commands;
mod components;
mod images;
mod live;
mod machine;
mod processes;
mod restore;
mod units;

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Longest time for one run; many times what it takes on a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(240);

pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// The last line on standard output.
    pub(crate) fn last_line(&self) -> &str {
        self.stdout.lines().last().unwrap_or("")
    }

    /// Panics with all that is known unless the run succeeded.
    pub(crate) fn expect_success(self) -> Self {
        assert!(self.status.success(), "{}\n{}\n{}", self.status, self.stdout, self.stderr);
        self
    }
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cap_map"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program to its end.
pub(crate) fn cap_map(arguments: &[&str]) -> Outcome {
    finish(command().args(arguments).spawn().expect("start of cap_map"))
}

/// Waits for a process, and kills it when the time is over.
pub(crate) fn finish(mut child: Child) -> Outcome {
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("waiting for cap_map") {
            break status;
        }
        if begin.elapsed() > TIMEOUT {
            child.kill().expect("killing cap_map");
            child.wait().expect("waiting for cap_map");
            panic!("cap_map runs for more than {TIMEOUT:?}");
        }
        thread::sleep(Duration::from_millis(10));
    };
    let text = |thread: thread::JoinHandle<String>| thread.join().expect("output");
    Outcome { status, stdout: text(stdout), stderr: text(stderr) }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut stream) = stream {
            stream.read_to_string(&mut text).expect("output is UTF-8");
        }
        text
    })
}

/// A checkpoint of a small target.
pub(crate) fn checkpoint(file: &Path, seed: &str) {
    let file = file.to_str().expect("path is UTF-8");
    let migrate = ["migrate", "--objects=60", "--rounds=1", "--seed", seed, "--checkpoint", file];
    cap_map(&migrate).expect_success();
}
