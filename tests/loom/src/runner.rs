//! Runs models as tests. `libtest_mimic` chooses them and reports on them; each runs in a
//! process of its own, so that one that fails takes nothing else down.

use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Failed, Trial};

/// The argument that makes this program explore one model itself.
const HERE: &str = "--here";

/// Branch points that loom may record in one execution.
const MAX_BRANCHES: usize = 10_000;

/// One model.
pub(crate) struct Model {
    /// Unique name, with its module.
    pub(crate) name: &'static str,
    /// What it shows, as one sentence.
    pub(crate) claim: &'static str,
    /// Preemptions per execution that are explored (loom's bound).
    pub(crate) preemptions: usize,
    /// One execution.
    pub(crate) run: fn(),
}

impl Model {
    /// The bound in force. `LOOM_MAX_PREEMPTIONS` overrides that of the model.
    pub(crate) fn bound(&self) -> usize {
        let forced = std::env::var("LOOM_MAX_PREEMPTIONS").ok();
        forced.and_then(|bound| bound.parse().ok()).unwrap_or(self.preemptions)
    }

    /// Runs every execution within the bound and returns their number. The first execution
    /// that fails ends this process: unwinding through loom's threads would only add noise.
    pub(crate) fn explore(&'static self) -> usize {
        let executions = Arc::new(AtomicUsize::new(0));
        let failed_at = Arc::clone(&executions);
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            eprintln!("in execution {}:", failed_at.load(Ordering::Relaxed));
            hook(panic);
            std::process::exit(1);
        }));
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(self.bound());
        builder.max_branches = MAX_BRANCHES;
        let counter = Arc::clone(&executions);
        builder.check(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            (self.run)();
        });
        executions.load(Ordering::Relaxed)
    }
}

/// What exploring a model took.
struct Effort {
    executions: usize,
    seconds: f64,
}

/// The program: runs the models that its arguments choose, and prints a table of them.
pub(crate) fn main(models: &'static [Model]) -> ExitCode {
    if let [_, here, name] = std::env::args().collect::<Vec<_>>().as_slice()
        && here == HERE
    {
        return match models.iter().find(|model| model.name == name) {
            Some(model) => explore_here(model),
            None => ExitCode::from(2),
        };
    }
    let arguments = Arguments::from_args();
    let efforts = Arc::new(Mutex::new(Vec::new()));
    let trials = models.iter().map(|model| trial(model, Arc::clone(&efforts))).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if arguments.list {
        return ExitCode::SUCCESS;
    }
    if conclusion.num_passed + conclusion.num_failed == 0 {
        eprintln!("loom: no model of that name");
        return ExitCode::from(2);
    }
    if let Ok(mut efforts) = efforts.lock() {
        efforts.sort_by_key(|(model, _)| models.iter().position(|other| other.name == model.name));
        print_table(&efforts);
    }
    conclusion.exit_code()
}

fn trial(model: &'static Model, efforts: Arc<Mutex<Vec<(&'static Model, Effort)>>>) -> Trial {
    let bound = format!("bound {}", model.bound());
    let explore = move || {
        let effort = explore_apart(model)?;
        efforts.lock().map_err(|error| error.to_string())?.push((model, effort));
        Ok(())
    };
    Trial::test(model.name, explore).with_kind(bound)
}

fn print_table(efforts: &[(&Model, Effort)]) {
    println!("| model | bound | executions | seconds of processor time |\n|---|---|---|---|");
    for (model, Effort { executions, seconds }) in efforts {
        println!("| `{}` | {} | {executions} | {seconds:.1} |", model.name, model.bound());
    }
    let executions: usize = efforts.iter().map(|(_, effort)| effort.executions).sum();
    let seconds: f64 = efforts.iter().map(|(_, effort)| effort.seconds).sum();
    println!("{executions} executions, {seconds:.0} s of processor time");
}

/// Explores a model in a process of its own.
fn explore_apart(model: &Model) -> Result<Effort, Failed> {
    let mut child = Command::new(std::env::current_exe()?)
        .args([HERE, model.name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // Open until the child ends, so that it notices if this process dies.
    let _stdin = child.stdin.take();
    let output = child.wait_with_output()?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let effort = stdout.split_once(' ').and_then(|(executions, seconds)| {
        Some(Effort { executions: executions.parse().ok()?, seconds: seconds.trim().parse().ok()? })
    });
    match effort {
        // A model without executions has shown nothing.
        Some(effort) if output.status.success() && effort.executions > 0 => Ok(effort),
        _ => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            Err(format!("claim: {}\n{stderr}", model.claim).into())
        }
    }
}

/// Explores a model in this process, and prints the number of executions and the seconds.
fn explore_here(model: &'static Model) -> ExitCode {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(3);
    });
    let executions = model.explore();
    println!("{executions} {:.2}", processor_seconds());
    let _ = std::io::stdout().flush();
    ExitCode::SUCCESS
}

/// Processor time of this process so far, which does not depend on what else
/// the machine does.
fn processor_seconds() -> f64 {
    let nanoseconds = std::fs::read_to_string("/proc/self/schedstat").ok().and_then(|text| {
        let field = text.split_whitespace().next()?;
        field.parse::<f64>().ok()
    });
    nanoseconds.unwrap_or(0.0) / 1e9
}
