//! Measures the capability table beside an AVL tree, a red-black tree, a list
//! and a hash map, all through the same functions of the C ABI.
//!
//! Subjects are measured in turn within each repetition, so what disturbs the
//! machine disturbs all of them, and a ratio is taken per repetition. Times are
//! processor time of the measuring thread. Results are checked before and after.
//!
//! `ops` declares what a subject is, `ours`, `rb_map`, `hash_map` and `bare` are
//! those written in Rust, `cpp/` holds the others. `workload` runs operations,
//! `compare`, `threads`, `monitor` and `instructions` measure, `floor` and `bare`
//! tell the least possible; `report` and `plot` present.

mod bare;
mod compare;
mod floor;
mod hash_map;
mod instructions;
mod measure;
mod monitor;
mod ops;
mod ours;
mod plot;
mod rb_map;
mod report;
mod threads;
mod workload;

use std::path::PathBuf;

use clap::Parser;
use serde_json::json;

/// What is measured, and for how long.
#[derive(Parser)]
#[command(version, about = "Measures the capability table beside trees, a list and a hash map")]
struct Arguments {
    /// Write all figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Plot cost against size to this SVG file.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// A smoke run of a few seconds; its figures mean little.
    #[arg(long)]
    quick: bool,
    /// Count instructions per operation under valgrind instead of measuring time.
    #[arg(long)]
    instructions: bool,
    /// Measure only operations whose name contains this text.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Repetitions.
    #[arg(long, value_name = "COUNT", default_value_t = 21)]
    repetitions: usize,
    /// Runs the operations that are counted; meant for use under valgrind.
    #[arg(long, hide = true)]
    counted: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    if arguments.counted {
        instructions::run_counted();
        return Ok(());
    }
    if arguments.instructions {
        let counts = instructions::count()?;
        if let Some(path) = &arguments.json {
            std::fs::write(path, serde_json::to_string_pretty(&counts)?)?;
        }
        return Ok(());
    }
    let effort = measure::Effort::new(arguments.quick, arguments.repetitions);
    let machine = report::machine();
    println!("{machine}");
    measure::pin(1);
    let rows = compare::all(&effort, &arguments.only);
    report::print_targets(&rows);
    let monitor = monitor::all(&effort, &arguments.only);
    let threads = threads::all(&effort, &arguments.only);
    if let Some(path) = &arguments.plot {
        plot::write(path, &rows)?;
    }
    if let Some(path) = &arguments.json {
        let figures = json!({
            "machine": machine,
            "operations": rows.iter().map(report::json).collect::<Vec<_>>(),
            "monitor": monitor,
            "threads": threads,
        });
        std::fs::write(path, serde_json::to_string_pretty(&figures)?)?;
    }
    Ok(())
}
