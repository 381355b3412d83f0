//! Torture of `cap_map_rs`: a component and its monitor as real processes that
//! are stopped, continued and killed at any moment, with a judge who knows from
//! a ledger what may be.
//!
//! `torture --rounds N` or `--soak SECONDS` uses signals at random points,
//! `torture --step all` walks through every instruction of each write path, and
//! `torture --step hostile` has a peer act between any two.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};

mod driver;
mod hostile;
mod judge;
mod monitor;
mod owner;
mod peer;
mod ptrace;
mod reach;
mod step;
mod world;

use driver::Driver;
use world::World;

#[derive(Parser)]
#[command(about = "Owner and monitor under signals, judged by what they intended")]
struct Arguments {
    /// Rounds of signals.
    #[arg(long, default_value_t = 300)]
    rounds: u64,
    /// Rounds for that many seconds instead, with a line each minute.
    #[arg(long)]
    soak: Option<u64>,
    /// Single steps instead, through the paths of this name, or `all`.
    #[arg(long)]
    step: Option<String>,
    /// Judge each so many instructions only.
    #[arg(long, default_value_t = 1)]
    stride: u64,
    /// Start of all random numbers.
    #[arg(long, default_value_t = 20_261_122)]
    seed: u64,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    #[command(hide = true)]
    Owner {
        #[arg(long)]
        memory: i32,
        #[arg(long)]
        role_seed: u64,
        #[arg(long)]
        restored: bool,
        #[arg(long)]
        alone: bool,
    },
    #[command(hide = true)]
    Monitor {
        #[arg(long)]
        memory: i32,
        #[arg(long)]
        role_seed: u64,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(role) = arguments.role {
        // The driver is all that could end this process in an orderly way.
        let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
        let result = match role {
            Role::Owner { memory, role_seed, restored, alone } => {
                World::attach(memory).map(|world| owner::main(world, restored, alone, role_seed))
            }
            Role::Monitor { memory, role_seed } => {
                World::attach(memory).map(|world| monitor::main(world, role_seed))
            }
        };
        eprintln!("torture: {result:?}");
        return ExitCode::FAILURE;
    }
    let Some(which) = &arguments.step else { return signals(&arguments) };
    match step::main(which, arguments.stride.max(1), arguments.seed) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            println!("step: {text}");
            ExitCode::FAILURE
        }
    }
}

/// Rounds of signals; prints what was found.
fn signals(arguments: &Arguments) -> ExitCode {
    let mut driver = match Driver::new(arguments.seed) {
        Ok(driver) => driver,
        Err(text) => {
            println!("not run: {text}");
            return ExitCode::SUCCESS;
        }
    };
    // Time in which the driver itself was stopped does not count.
    let mut active = Duration::ZERO;
    let mut minutes = 0;
    let result = loop {
        let over = match arguments.soak {
            Some(seconds) => active >= Duration::from_secs(seconds),
            None => driver.totals.rounds >= arguments.rounds,
        };
        if over {
            break Ok(());
        }
        let start = Instant::now();
        if let Err(text) = driver.round() {
            break Err(text);
        }
        active += start.elapsed().min(Duration::from_secs(1));
        if arguments.soak.is_some() && active.as_secs() / 60 > minutes {
            minutes = active.as_secs() / 60;
            report(&driver, active);
        }
    };
    report(&driver, active);
    let (rounds, operations) = (driver.totals.rounds, driver.totals.operations);
    match result {
        Ok(()) => {
            println!(
                "torture: {rounds} rounds, {operations} operations, 0 lost, 0 misdirected, 0 waits over the bound"
            );
            ExitCode::SUCCESS
        }
        Err(text) => {
            println!("torture: seed {}, round {rounds}: {text}", arguments.seed);
            ExitCode::FAILURE
        }
    }
}

fn report(driver: &Driver, active: Duration) {
    let totals = &driver.totals;
    println!(
        "torture: {} s: {} rounds, {} tables, {} kills, {} stops; {} operations, {} batches with \
         {} badges rewritten ({} changed, {} busy); at most {} yields and {} us in one operation",
        active.as_secs(),
        totals.rounds,
        totals.tables,
        totals.kills,
        totals.stops,
        totals.operations,
        totals.batches,
        totals.rewritten,
        totals.changed,
        totals.busy,
        totals.most_waits,
        totals.most_micros,
    );
}
