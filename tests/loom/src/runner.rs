//! Running models: one process each, two at a time, and a line for each.

use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Branch points that loom may record in one execution.
const MAX_BRANCHES: usize = 10_000;

/// One model.
pub(crate) struct Model {
    /// Unique name.
    pub(crate) name: &'static str,
    /// What it shows, as one sentence.
    pub(crate) claim: &'static str,
    /// Preemptions per execution that are explored (loom's bound).
    pub(crate) preemptions: usize,
    /// One execution.
    pub(crate) run: fn(),
}

struct Outcome {
    passed: bool,
    executions: usize,
    seconds: f64,
    message: String,
}

/// The program: runs all models, or those named.
pub(crate) fn main(all: &'static [Model]) -> ExitCode {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if let [one, name] = names.as_slice()
        && one == "--one"
    {
        return match all.iter().find(|model| model.name == name) {
            Some(model) => run_here(model),
            None => ExitCode::from(2),
        };
    }
    if names == ["--list"] {
        all.iter().for_each(|model| println!("{}", model.name));
        return ExitCode::SUCCESS;
    }
    let markdown = names.iter().any(|name| name == "--markdown");
    names.retain(|name| name != "--markdown" && name != "--only");
    let chosen: Vec<&Model> =
        all.iter().filter(|m| names.is_empty() || names.iter().any(|n| n == m.name)).collect();
    if chosen.is_empty() || (!names.is_empty() && chosen.len() != names.len()) {
        eprintln!("loom: no such model; there are:");
        all.iter().for_each(|model| eprintln!("  {}", model.name));
        return ExitCode::from(2);
    }
    let passed = run_all(&chosen, markdown);
    println!("loom: {passed} of {} models passed", chosen.len());
    if passed == chosen.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_all(chosen: &[&Model], markdown: bool) -> usize {
    let next = AtomicUsize::new(0);
    let passed = AtomicUsize::new(0);
    let output = Mutex::new(());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(model) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = run_apart(model);
                    passed.fetch_add(usize::from(outcome.passed), Ordering::Relaxed);
                    let _one_at_a_time = output.lock();
                    print(model, &outcome, markdown);
                }
            });
        }
    });
    passed.into_inner()
}

fn print(model: &Model, outcome: &Outcome, markdown: bool) {
    let Model { name, claim, preemptions, .. } = model;
    let Outcome { executions, seconds, .. } = outcome;
    if markdown {
        println!("| `{name}` | {claim} | {preemptions} | {executions} | {seconds:.1} |");
    } else {
        let verdict = if outcome.passed { "ok    " } else { "FAILED" };
        println!("{verdict} {name:<36} bound {preemptions} {executions:>8} runs {seconds:6.1} s");
    }
    if !outcome.passed {
        println!("{}", outcome.message);
    }
}

/// Runs a model in a process of its own.
fn run_apart(model: &Model) -> Outcome {
    let child = std::env::current_exe().and_then(|program| {
        Command::new(program)
            .args(["--one", model.name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    });
    let output = child.and_then(|mut child| {
        // Open until the child ends, so that it notices if this process dies.
        let _stdin = child.stdin.take();
        child.wait_with_output()
    });
    match output {
        Ok(output) => {
            let stdout = String::from_utf8_lossy(&output.stdout);
            let mut fields = stdout.split_whitespace();
            let executions = fields.next().and_then(|field| field.parse().ok()).unwrap_or(0);
            let seconds = fields.next().and_then(|field| field.parse().ok()).unwrap_or(0.0);
            Outcome {
                // A model without executions has shown nothing.
                passed: output.status.success() && executions > 0,
                executions,
                seconds,
                message: String::from_utf8_lossy(&output.stderr).into_owned(),
            }
        }
        Err(error) => {
            Outcome { passed: false, executions: 0, seconds: 0.0, message: error.to_string() }
        }
    }
}

/// Processor time of this process so far, which does not depend on what else
/// the machine does.
fn seconds() -> f64 {
    let nanoseconds = std::fs::read_to_string("/proc/self/schedstat").ok().and_then(|text| {
        let field = text.split_whitespace().next()?;
        field.parse::<f64>().ok()
    });
    nanoseconds.unwrap_or(0.0) / 1e9
}

/// Explores a model in this process and prints the number of executions.
fn run_here(model: &'static Model) -> ExitCode {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(3);
    });
    let executions = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&executions);
    // A failure ends the process at once: unwinding through loom's threads
    // would only add noise.
    let hook = std::panic::take_hook();
    let failed_at = Arc::clone(&executions);
    std::panic::set_hook(Box::new(move |panic| {
        eprintln!("in execution {}:", failed_at.load(Ordering::Relaxed));
        hook(panic);
        std::process::exit(1);
    }));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(
        std::env::var("LOOM_MAX_PREEMPTIONS")
            .ok()
            .and_then(|bound| bound.parse().ok())
            .unwrap_or(model.preemptions),
    );
    builder.max_branches = MAX_BRANCHES;
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        (model.run)();
    });
    println!("{} {:.2}", executions.load(Ordering::Relaxed), seconds());
    let _ = std::io::stdout().flush();
    ExitCode::SUCCESS
}
