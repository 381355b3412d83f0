//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::{CommandFactory, Parser, Subcommand};

use crate::cpp::{testbed_core, testbed_target};
use crate::{checkpoint, clients, driver, monitor, process, table};

/// Moves a live component and its capabilities from system to system.
#[derive(Parser)]
#[command(name = "cap_map", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
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
        /// Seed of what is left to chance
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..1 << 31))]
        seed: u64,
        /// Keep the last checkpoint in this file
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Bring up a system from a checkpoint file, and check it
    Restore {
        /// The checkpoint
        file: PathBuf,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the capability table in a checkpoint or region file
    Inspect {
        /// The file
        file: PathBuf,
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

/// Runs the command that the arguments ask for.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::try_parse().unwrap_or_else(|mistake| explain(&mistake));
    match execute(arguments.command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(_) if process::interrupted() => {
            eprintln!("cap_map: interrupted");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("cap_map: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Ends the program with the usage on standard error and status 2, unless help
/// was asked for.
fn explain(mistake: &clap::Error) -> ! {
    let text = mistake.to_string();
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
        eprintln!("\n{usage}");
    }
    std::process::exit(mistake.exit_code());
}

fn execute(command: Command) -> Result<bool> {
    match command {
        Command::Migrate { objects, rounds, seed, checkpoint, json } => {
            process::become_driver()?;
            let options = driver::Options { objects, rounds, seed, checkpoint };
            let report = driver::migrate(&options)?;
            report.print(json)?;
            Ok(report.good())
        }
        Command::Restore { file, json } => {
            process::become_driver()?;
            let report = driver::restore(&file)?;
            report.print(json)?;
            Ok(report.good())
        }
        Command::Inspect { file } => inspect(&file).map(|()| true),
        Command::Core { parent, start, step } => {
            process::die_with_parent(parent)?;
            testbed_core(start, step);
            Ok(false)
        }
        Command::Target { parent } => {
            process::die_with_parent(parent)?;
            testbed_target();
            Ok(false)
        }
        Command::Monitor { parent } => {
            process::die_with_parent(parent)?;
            monitor::run().map(|()| true)
        }
        Command::Rewriter { parent } => {
            process::die_with_parent(parent)?;
            monitor::run_rewriter().map(|()| true)
        }
        Command::Clients { parent } => {
            process::die_with_parent(parent)?;
            clients::run().map(|()| true)
        }
    }
}

fn inspect(file: &std::path::Path) -> Result<()> {
    use std::io::Write;
    let bytes = checkpoint::table_of(file)?;
    let table = table::read(&bytes).map_err(|status| anyhow!("{}: {status}", file.display()))?;
    let mut text = String::new();
    for line in table.lines() {
        text += &line;
        text.push('\n');
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
