//! Tables for people, in Markdown, so that they can become part of a document, and cost against
//! size as an SVG.

use std::error::Error;
use std::path::Path;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::figures::{Figure, More, Row, Scaling};
use crate::instructions::Counts;
use crate::operation::{Operation, Pattern};
use crate::subjects::{BARE, OURS, PUBLISHED, TREE};

/// The ratios asked for: tree's time divided by ours.
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

/// Prints a table of words, then numbers; the heads of the numbers begin with a space.
fn print<const N: usize>(
    title: &str,
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(head.map(str::trim));
    for (column, head) in table.column_iter_mut().zip(head) {
        if head.starts_with(' ') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let rows: Vec<_> = rows.into_iter().collect();
    if !rows.is_empty() {
        println!("\n{title}\n\n{}", table.add_rows(rows));
    }
}

fn number(value: f64) -> String {
    if value < 99.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// All operations on all subjects.
pub(crate) fn operations(rows: &[Row]) {
    let cells = |row: &Row| {
        let time = |subject| {
            row.column(subject).map_or("-".to_owned(), |column| number(column.time.median))
        };
        let (ratio, published) = row.column(TREE).map_or_else(Default::default, |column| {
            (column.ratio.to_string(), column.published.to_string())
        });
        [
            row.operation.name().to_owned(),
            row.pattern.name().to_owned(),
            row.size.to_string(),
            time(OURS),
            time(PUBLISHED),
            time(TREE),
            ratio,
            published,
            time("red-black"),
            time("hash"),
            time("list"),
            time(BARE),
        ]
    };
    print(
        "ns per operation (median); ratio = tree / ours, median [quartiles]",
        [
            "operation",
            "pattern",
            " live",
            " ours",
            " published",
            " AVL tree",
            " tree / ours",
            " tree / published",
            " red-black",
            " hash",
            " list",
            " bare",
        ],
        rows.iter().map(cells),
    );
}

/// What was asked for, and what is reached.
pub(crate) fn targets(rows: &[Row]) {
    let asked = TARGETS
        .into_iter()
        .flat_map(|(operation, targets)| targets.map(|(size, target)| (operation, size, target)));
    let cells = |(operation, size, target): (Operation, u32, f64)| {
        let row = rows.iter().find(|row| {
            row.operation == operation && row.size == size && row.pattern == Pattern::Random
        })?;
        let column = row.column(TREE)?;
        Some([
            operation.name().to_owned(),
            size.to_string(),
            target.to_string(),
            if column.ratio.median >= target { "yes" } else { "no" }.to_owned(),
            column.ratio.to_string(),
            column.published.to_string(),
            row.tree_to_bare.to_string(),
            row.tree_to_lower_bound.to_string(),
        ])
    };
    print(
        "random pattern: the tree's time divided by that of ours, and of the least possible",
        [
            "operation",
            " live",
            " at least",
            "reached",
            " tree / ours",
            " tree / published",
            " tree / bare",
            " tree / lower bound",
        ],
        asked.filter_map(cells),
    );
}

/// What a monitor does, and what it costs the owner.
pub(crate) fn monitor(figures: &[Figure]) {
    let cells = |figure: &Figure| {
        let value = figure.value.to_string();
        [figure.name.clone(), value, figure.unit.to_owned(), figure.asked.to_owned()]
    };
    print(
        "monitor: median [quartiles]",
        ["figure", " value", "unit", "asked"],
        figures.iter().map(cells),
    );
}

/// Object dispatch by several threads.
pub(crate) fn threads(scalings: &[Scaling]) {
    let cells = |scaling: &Scaling| {
        let (one, four, share, batches) = match &scaling.more {
            More::Rates { one, four, share } => {
                (one.to_string(), four.to_string(), share.to_string(), String::new())
            }
            More::Batches(count) => {
                (String::new(), String::new(), String::new(), count.to_string())
            }
        };
        let (name, two) = (scaling.name.clone(), scaling.two.to_string());
        [name, one, two, four, share, batches, scaling.asked.to_owned()]
    };
    print(
        "object dispatch by threads",
        [
            "subject",
            " dispatches per us",
            " 2 threads / 1",
            " 4 threads / 1",
            " processors of 2, %",
            " batches",
            "asked of 2 / 1",
        ],
        scalings.iter().map(cells),
    );
}

/// Instructions per operation, with the limits of our private table.
pub(crate) fn instructions(counts: &Counts) {
    let cells = |(operation, size, limit): (Operation, u32, f64)| {
        let of = |subject| counts.of(subject, size, operation);
        [
            operation.name().to_owned(),
            size.to_string(),
            format!("{:.1}", of(OURS)),
            format!("{:.1}", of(PUBLISHED)),
            format!("{:.1}", of(TREE)),
            format!("{:.1}", of(BARE)),
            format!("{:.1}", of(TREE) / of(OURS)),
            limit.to_string(),
        ]
    };
    print(
        "instructions per operation, at random",
        [
            "operation",
            " live",
            " ours",
            " published",
            " AVL tree",
            " bare",
            " tree / ours",
            " limit",
        ],
        counts.limits().map(cells),
    );
}

const PANELS: [Operation; 6] = [
    Operation::FindHit,
    Operation::InsertRemove,
    Operation::Window,
    Operation::Dispatch,
    Operation::InsertMapHit,
    Operation::InsertMapNew,
];

/// Subjects and the colours of their lines.
const LINES: [(&str, RGBColor); 6] = [
    (OURS, RGBColor(0, 90, 180)),
    (PUBLISHED, RGBColor(90, 170, 230)),
    (TREE, RGBColor(200, 40, 40)),
    ("red-black", RGBColor(230, 140, 40)),
    ("hash", RGBColor(120, 120, 120)),
    ("list", RGBColor(110, 60, 140)),
];

/// Draws one panel per operation, random pattern.
pub(crate) fn plot(path: &Path, rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (1200, 760)).into_drawing_area();
        root.fill(&WHITE)?;
        for (area, operation) in root.split_evenly((2, 3)).iter().zip(PANELS) {
            panel(area, rows, operation)?;
        }
        root.present()?;
    }
    Ok(std::fs::write(path, compact(&text))?)
}

/// One line per label, grid and series, where the backend has one per dot and more.
fn compact(svg: &str) -> String {
    let same = |svg: String, element: &str| {
        svg.replace(&format!("/>\n<{element} "), &format!("/><{element} "))
    };
    let svg = svg.replace("\">\n", "\">").replace("\n</text>", "</text>");
    ["line", "circle"].into_iter().fold(svg, same)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn panel(area: &Area<'_>, rows: &[Row], operation: Operation) -> Result<(), Box<dyn Error>> {
    let chosen = |row: &&Row| row.operation == operation && row.pattern == Pattern::Random;
    let rows: Vec<_> = rows.iter().filter(chosen).collect();
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}, ns", operation.name()), ("sans-serif", 17))
        .margin(10)
        .x_label_area_size(28)
        .y_label_area_size(56)
        .build_cartesian_2d((10.0..200_000.0).log_scale(), (1.0..1_000_000.0).log_scale())?;
    chart.configure_mesh().x_desc("live capabilities").max_light_lines(0).draw()?;
    for (subject, colour) in LINES {
        let points: Vec<_> = rows
            .iter()
            .filter_map(|row| Some((f64::from(row.size), row.column(subject)?.time.median)))
            .collect();
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)).point_size(3))?
            .label(subject)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(())
}
