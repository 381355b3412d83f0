//! The command line.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use signal_hook::consts::SIGPIPE;

use cap_map_rs::layout;

use crate::checkpoint::{Refusal, container};
use crate::cpp::{testbed_core, testbed_target};
use crate::driver::{self, Report};
use crate::files::{self, End};
use crate::process::{self, FAILED};
use crate::{clients, live, monitor, observe, table};

/// Capabilities were lost or misdirected, or files differ.
const FAULTY: u8 = 1;

/// The arguments have a mistake.
const USAGE: u8 = 2;

/// The contents of a file were refused.
const REFUSED: u8 = 3;

/// What there is to know about this program when something does not fit.
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit ",
    env!("CAP_MAP_COMMIT"),
    "\ncheckpoint format 2\ntable layout 2\ndirectory layout 1"
);

const _: () =
    assert!(container::VERSION == 2 && layout::VERSION == 2 && live::DIRECTORY_VERSION == 1);

/// Moves a live component and its capabilities from system to system.
#[derive(Parser)]
#[command(
    name = "cap_map",
    version,
    long_version = LONG_VERSION,
    about,
    after_help = "Exit status: 0 if all is well, 1 if capabilities were lost or misdirected or files \
                  differ, 2 for a mistake in the arguments, 3 if a file was refused, 4 if the \
                  command could not be carried out."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    habits: Habits,
}

/// Options of all commands.
#[derive(Args)]
struct Habits {
    /// Give up after this time, whatever the command is doing
    #[arg(long, global = true, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=1 << 31))]
    timeout: Option<u64>,
    /// Say on standard error what is being done
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
    /// No progress bar, and no text that says what the exit status says, too
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Let a target serve clients, save it, and restore it under other badges
    Migrate {
        /// Objects that the target serves
        #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=30_000))]
        objects: u32,
        /// Migrations, each to a system with another numbering of badges
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10000))]
        rounds: u32,
        /// Seed of badge numbers and of what clients do. Threads run as they like
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..1 << 31))]
        seed: u64,
        /// Keep the last checkpoint in this file
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// Replace a file that is no checkpoint, too
        #[arg(long, requires = "checkpoint")]
        force: bool,
        /// Print the result as JSON, also that of a failure
        #[arg(long)]
        json: bool,
    },
    /// Bring up a system from a checkpoint file, and check it
    Restore {
        /// The checkpoint; - for the standard input
        file: PathBuf,
        /// Print the result as JSON, also that of a failure
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Files(files::Command),
    #[command(flatten)]
    Observe(observe::Command),
    /// Write man pages, and completions for bash, zsh and fish, into a folder
    Manual {
        /// The folder, which is made if there is none
        folder: PathBuf,
    },
    #[command(hide = true)]
    Core {
        #[arg(long)]
        parent: u32,
        #[arg(long)]
        start: u32,
        #[arg(long, allow_negative_numbers = true)]
        step: i32,
    },
    #[command(hide = true)]
    Target {
        #[arg(long)]
        parent: u32,
    },
    #[command(hide = true)]
    Monitor {
        #[arg(long)]
        parent: u32,
    },
    #[command(hide = true)]
    Rewriter {
        #[arg(long)]
        parent: u32,
    },
    #[command(hide = true)]
    Clients {
        #[arg(long)]
        parent: u32,
    },
}

impl Command {
    /// What to call it in a result, and whether that is to be JSON.
    fn name_and_json(&self) -> (&'static str, bool) {
        match self {
            Command::Migrate { json, .. } => ("migrate", *json),
            Command::Restore { json, .. } => ("restore", *json),
            Command::Files(command) => command.name_and_json(),
            Command::Observe(command) => command.name_and_json(),
            Command::Manual { .. } => ("manual", false),
            Command::Core { .. }
            | Command::Target { .. }
            | Command::Monitor { .. }
            | Command::Rewriter { .. }
            | Command::Clients { .. } => ("", false),
        }
    }
}

/// What a command has to say.
enum Outcome {
    Report(Report),
    Files(files::End),
    Bytes(Vec<u8>),
    /// A signal has ended it.
    Signal(i32),
    Nothing,
}

/// Runs the command that the arguments ask for.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::try_parse().unwrap_or_else(|mistake| explain(&mistake));
    let Arguments { command, habits } = arguments;
    let (name, json) = command.name_and_json();
    process::set_habits(process::Habits {
        timeout: habits.timeout.map(Duration::from_secs),
        reported_as: json.then_some(name),
        verbose: habits.verbose,
        quiet: habits.quiet,
    });
    let mut result = execute(command);
    match process::end() {
        None => {}
        Some(process::End::Signal(signal)) => {
            process::report_failure(
                &process::interrupted(signal),
                process::status_of_signal(signal),
            );
            complain("interrupted");
            return process::die_by(signal);
        }
        Some(process::End::TimeOver) => {
            result = Err(anyhow!("gave up after {} s", habits.timeout.unwrap_or_default()));
        }
    }
    let printed = match &result {
        Ok(Outcome::Report(report)) if json => report.json().and_then(|text| print(&text)),
        Ok(Outcome::Report(report)) => {
            report.findings.iter().for_each(|finding| complain(finding));
            print_unless_quiet(&report.text())
        }
        Ok(Outcome::Files(end)) => print_end(end, json),
        Ok(Outcome::Bytes(bytes)) => write(bytes),
        Ok(Outcome::Signal(signal)) => return process::die_by(*signal),
        Ok(Outcome::Nothing) => Ok(()),
        Err(error) => {
            process::report_failure(&format!("{error:#}"), status_of(error));
            Ok(())
        }
    };
    let status = match (&result, &printed) {
        (_, Err(error)) if is_broken_pipe(error) => return process::die_by(SIGPIPE),
        (Err(error), _) | (_, Err(error)) => {
            complain(&format!("{error:#}"));
            status_of(error)
        }
        (Ok(Outcome::Report(report)), _) if !report.good() => FAULTY,
        (Ok(Outcome::Files(End::Difference(difference))), _) if !difference.is_empty() => FAULTY,
        (Ok(Outcome::Files(End::Faults(found))), _) if !found.faults.is_empty() => REFUSED,
        (Ok(_), _) => 0,
    };
    ExitCode::from(status)
}

/// Prints what came of a command that looks into files.
fn print_end(end: &End, json: bool) -> Result<()> {
    match end {
        End::Bytes(bytes) => write(bytes),
        End::Difference(difference) if json => print(&table::json(difference)?),
        End::Difference(difference) => print_unless_quiet(&difference.text()?),
        End::Faults(found) if json => print(&table::json(found)?),
        End::Faults(found) if found.faults.is_empty() => print_unless_quiet(&found.all_well()),
        End::Faults(found) => {
            found.faults.iter().for_each(|fault| complain(fault));
            complain(&found.count());
            Ok(())
        }
        End::Merged(merged) if json => print(&table::json(merged)?),
        End::Merged(merged) => print_unless_quiet(&merged.text()),
    }
}

fn status_of(error: &anyhow::Error) -> u8 {
    if error.chain().any(|cause| cause.is::<Refusal>()) { REFUSED } else { FAILED }
}

/// Writes a message on standard error. That this fails cannot be reported anywhere.
fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "cap_map: {message}");
}

fn print(text: &str) -> Result<()> {
    write(text.as_bytes())
}

fn write(bytes: &[u8]) -> Result<()> {
    let mut output = io::stdout();
    output.write_all(bytes).and_then(|()| output.flush()).context("standard output")
}

/// For what the exit status says, too.
fn print_unless_quiet(text: &str) -> Result<()> {
    if process::is_quiet() { Ok(()) } else { print(text) }
}

/// Man pages and completions, from the definitions of the commands.
fn write_manual(folder: &Path) -> Result<()> {
    let shown = || folder.display().to_string();
    fs::create_dir_all(folder).with_context(shown)?;
    let mut program = Arguments::command();
    program.build();
    clap_mangen::generate_to(program.clone(), folder).with_context(shown)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut program, "cap_map", folder).with_context(shown)?;
    }
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(|error: &io::Error| error.kind() == ErrorKind::BrokenPipe)
}

/// Ends the program with the usage on standard error and status 2, unless help
/// was asked for.
fn explain(mistake: &clap::Error) -> ! {
    let text = mistake.to_string();
    if mistake.use_stderr() && std::env::args().any(|argument| argument == "--json") {
        let first = text.lines().next().unwrap_or_default();
        process::print_failure(None, first.trim_start_matches("error: "), USAGE);
    }
    // Cannot be reported anywhere else.
    let _ = mistake.print();
    if mistake.use_stderr() && !text.contains("Usage:") {
        let mut program = Arguments::command();
        program.build();
        let name = std::env::args().nth(1).unwrap_or_default();
        let usage = match program.find_subcommand_mut(&name) {
            Some(command) => command.render_usage(),
            None => program.render_usage(),
        };
        let _ = writeln!(io::stderr(), "\n{usage}");
    }
    std::process::exit(mistake.exit_code());
}

fn execute(command: Command) -> Result<Outcome> {
    match command {
        Command::Migrate { objects, rounds, seed, checkpoint, force, .. } => {
            process::become_driver()?;
            let options = driver::Options { objects, rounds, seed, checkpoint, force };
            return driver::migrate(&options).map(Outcome::Report);
        }
        Command::Restore { file, .. } => {
            process::become_driver()?;
            return driver::restore(&file).map(Outcome::Report);
        }
        Command::Files(command) => return files::run(command).map(Outcome::Files),
        Command::Manual { folder } => {
            return write_manual(&folder).map(|()| Outcome::Nothing);
        }
        Command::Observe(command) => {
            return Ok(match observe::run(&command)? {
                observe::End::Text(text) => Outcome::Bytes(text.into_bytes()),
                observe::End::Signal(signal) => Outcome::Signal(signal),
            });
        }
        Command::Core { parent, start, step } => {
            process::die_with_parent(parent)?;
            testbed_core(start, step);
        }
        Command::Target { parent } => {
            process::die_with_parent(parent)?;
            testbed_target();
        }
        Command::Monitor { parent } => {
            process::die_with_parent(parent)?;
            monitor::run()?;
        }
        Command::Rewriter { parent } => {
            process::die_with_parent(parent)?;
            monitor::run_rewriter()?;
        }
        Command::Clients { parent } => {
            process::die_with_parent(parent)?;
            clients::run()?;
        }
    }
    Ok(Outcome::Nothing)
}
