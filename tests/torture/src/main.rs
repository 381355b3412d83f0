//! Torture of `cap_map_rs`: a component and one or two monitors as real processes that
//! are stopped, continued and killed at any moment, with an oracle that knows from
//! a ledger what may be.
//!
//! `torture --rounds N` or `--soak SECONDS` uses signals at random points,
//! `torture --step all` walks through every instruction of each write path, and
//! `torture --step hostile` has a peer act between any two.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};

mod claims;
mod driver;
mod fixture;
mod hostile;
mod ledger;
mod monitor;
mod oracle;
mod owner;
mod ptrace;
mod step;
mod world;

use driver::Driver;
use ptrace::Stepped;
use world::World;

#[derive(Parser)]
#[command(about = "Owner and monitor under signals, verified against what they intended")]
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
    /// Stop at each so many instructions only.
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
        #[arg(long)]
        seat: usize,
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
            Role::Monitor { memory, role_seed, seat } => {
                World::attach(memory).map(|world| monitor::main(world, seat, role_seed))
            }
        };
        eprintln!("torture: {result:?}");
        return ExitCode::FAILURE;
    }
    let Some(which) = &arguments.step else { return signals(&arguments) };
    match single_steps(which, arguments.stride.max(1), arguments.seed) {
        Ok(status) => status,
        Err(text) => {
            println!("step: {text}");
            ExitCode::FAILURE
        }
    }
}

/// Says why nothing can be found out here. The status is what `check` takes for that.
fn not_run(text: &str) -> ExitCode {
    println!("not run: torture: {text}");
    ExitCode::from(77)
}

/// Single steps: the paths of this name, and attacks.
fn single_steps(which: &str, stride: u64, seed: u64) -> Result<ExitCode, String> {
    let (world, _memory) = World::create().map_err(|error| error.to_string())?;
    fixture::prepare(world)?;
    if let Err(text) = Stepped::start(world, |_| 0, |_| {}) {
        return Ok(not_run(&text));
    }
    let start = Instant::now();
    let (mut good, mut all) = (true, 0);
    let mut report = |name: &str, points: u64, failures: &[String]| {
        println!("step: {name}: {points} points, {} failures", failures.len());
        for text in failures {
            println!("step: {name}: {text}");
        }
        good &= failures.is_empty() && points > 0;
        all += points;
    };
    step::main(world, which, stride, seed, &mut report)?;
    if which == "all" || which.starts_with("hostile") {
        let (attacks, failures) = hostile::main(world, which, stride, seed)?;
        report("hostile", attacks, &failures);
    }
    println!("step: {all} points in {:.1} s", start.elapsed().as_secs_f32());
    Ok(if good && all > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Rounds of signals; prints what was found.
fn signals(arguments: &Arguments) -> ExitCode {
    let mut driver = match Driver::new(arguments.seed) {
        Ok(driver) => driver,
        Err(text) => return not_run(&text),
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
    println!("torture: {} s: {}", active.as_secs(), driver.totals);
}
