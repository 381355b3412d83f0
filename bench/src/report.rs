//! Tables for people and figures for programs.

use serde_json::{Value, json};

use crate::compare::Row;
use crate::ops::{BARE, OURS, PUBLISHED, TREE};
use crate::workload::{Operation, Pattern};

/// The ratios that issue 6 asks for: tree's time divided by ours.
const TARGETS: [(Operation, [(u32, f64); 5]); 5] = [
    (Operation::FindHit, [(16, 5.0), (256, 10.0), (1024, 10.0), (3500, 8.0), (100_000, 12.0)]),
    (
        Operation::InsertRemove,
        [(16, 8.0), (256, 15.0), (1024, 20.0), (3500, 30.0), (100_000, 400.0)],
    ),
    (Operation::Window, [(16, 3.0), (256, 10.0), (1024, 20.0), (3500, 50.0), (100_000, 500.0)]),
    (Operation::Dispatch, [(16, 4.0), (256, 6.0), (1024, 6.0), (3500, 6.0), (100_000, 8.0)]),
    (Operation::References, [(16, 2.0), (256, 2.0), (1024, 2.0), (3500, 2.0), (100_000, 2.0)]),
];

/// One line about the machine.
pub(crate) fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    let model = model.map_or("unknown processor", |(_, model)| model);
    format!("{model}, {processors} processors, load {load} at the start")
}

pub(crate) fn print_head() {
    println!("\nns per operation (median); ratio = tree / ours, median [quartiles]");
    println!(
        "{:<24}{:<11}{:>7}{:>9}{:>10}{:>10}  {:<22}{:<22}{:>10}{:>8}{:>10}{:>8}",
        "operation",
        "pattern",
        "live",
        "ours",
        "published",
        "AVL tree",
        "tree / ours",
        "tree / published",
        "red-black",
        "hash",
        "list",
        "bare"
    );
}

pub(crate) fn print_row(row: &Row) {
    let time =
        |subject| row.column(subject).map_or("-".to_owned(), |column| number(column.time.median));
    let (ratio, published) = row.column(TREE).map_or_else(Default::default, |column| {
        (column.ratio.to_string(), column.published.to_string())
    });
    println!(
        "{:<24}{:<11}{:>7}{:>9}{:>10}{:>10}  {:<22}{:<22}{:>10}{:>8}{:>10}{:>8}",
        row.operation.name(),
        format!("{:?}", row.pattern).to_lowercase(),
        row.size,
        time(OURS),
        time(PUBLISHED),
        time(TREE),
        ratio,
        published,
        time("red-black"),
        time("hash"),
        time("list"),
        time(BARE),
    );
}

fn number(value: f64) -> String {
    if value < 99.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// The table of issue 6, with what is reached.
pub(crate) fn print_targets(rows: &[Row]) {
    println!("\nrandom pattern: tree / ours, tree / ours published, tree / bare, tree / floor");
    for (operation, targets) in TARGETS {
        for (size, target) in targets {
            let row = rows.iter().find(|row| {
                row.operation == operation && row.size == size && row.pattern == Pattern::Random
            });
            let Some(row) = row else { continue };
            let Some(column) = row.column(TREE) else { continue };
            println!(
                "{:<22}{:>8}  at least {:<5}{:<5}{:<24}{:<24}{:<24}{}",
                operation.name(),
                size,
                target,
                if column.ratio.median >= target { "yes" } else { "no" },
                column.ratio.to_string(),
                column.published.to_string(),
                row.tree_to_bare.to_string(),
                row.tree_to_floor,
            );
        }
    }
}

pub(crate) fn json(row: &Row) -> Value {
    let columns = row.columns.iter().map(|column| {
        json!({
            "subject": column.subject,
            "ns": column.time.json(),
            "ratio_to_ours": column.ratio.json(),
            "ratio_to_published": column.published.json(),
        })
    });
    json!({
        "operation": row.operation.name(),
        "pattern": format!("{:?}", row.pattern).to_lowercase(),
        "live": row.size,
        "floor_ns": row.floor.json(),
        "tree_to_floor": row.tree_to_floor.json(),
        "tree_to_bare": row.tree_to_bare.json(),
        "subjects": columns.collect::<Vec<_>>(),
    })
}
