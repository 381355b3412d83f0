//! Measures the capability table beside an AVL tree, a red-black tree, a list
//! and a hash map, all through the same functions of the C ABI.
//!
//! Subjects are measured in turn within each repetition, so what disturbs the
//! machine disturbs all of them, and a ratio is taken per repetition. Times are
//! processor time of the measuring thread. Results are checked before and after.
//!
//! `ops` declares what a subject is, `subjects/` has those written in Rust, `cpp/`
//! the others. `workload` runs an `operation`; `compare`, `threads`, `monitor` and
//! `instructions` measure; lower bounds and the bare table tell the least possible.
//! `report` presents what was measured.

mod compare;
mod instructions;
mod measure;
mod monitor;
mod operation;
mod ops;
mod report;
mod subjects;
mod threads;
mod workload;

use std::path::PathBuf;

use clap::Parser;
use serde_json::json;

use measure::{Figure, Row, Scaling};

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
    /// Measure nothing. Plot what `run/rpc_cost` has printed for Genode's release and for
    /// the series.
    #[arg(long, num_args = 2, value_names = ["RELEASE", "SERIES"], requires = "plot")]
    rpc: Option<Vec<PathBuf>>,
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
    if let (Some(logs), Some(path)) = (&arguments.rpc, &arguments.plot) {
        return report::plot_rpc(path, logs);
    }
    if arguments.instructions {
        let Some(counts) = instructions::count()? else {
            println!("not run: valgrind is not installed");
            return Ok(());
        };
        report::instructions(&counts);
        if let Some(path) = &arguments.json {
            std::fs::write(path, serde_json::to_string_pretty(&counts.json())?)?;
        }
        return Ok(counts.within_limits()?);
    }
    let effort = measure::Effort::new(arguments.quick, arguments.repetitions);
    let machine = report::machine();
    println!("{machine}");
    measure::pin(1);
    let rows = compare::all(&effort, &arguments.only);
    report::operations(&rows);
    report::targets(&rows);
    let monitor = monitor::all(&effort, &arguments.only);
    report::monitor(&monitor);
    let threads = threads::all(&effort, &arguments.only);
    report::threads(&threads);
    if let Some(path) = &arguments.plot {
        report::plot(path, &rows)?;
    }
    if let Some(path) = &arguments.json {
        let figures = json!({
            "machine": machine,
            "operations": rows.iter().map(Row::json).collect::<Vec<_>>(),
            "monitor": monitor.iter().map(Figure::json).collect::<Vec<_>>(),
            "threads": threads.iter().map(Scaling::json).collect::<Vec<_>>(),
        });
        std::fs::write(path, serde_json::to_string_pretty(&figures)?)?;
    }
    Ok(())
}
