//! Tables for people, in Markdown, so that they can become part of a document, and cost against
//! size as an SVG.

use std::error::Error;
use std::path::{Path, PathBuf};

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::instructions::Counts;
use crate::measure::{Figure, More, Row, Scaling};
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
        "several threads at once",
        [
            "subject",
            " operations per us",
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

/// Operations and their instructions.
type Column = Vec<(String, f64)>;

/// The two columns of the figures that `run/rpc_cost` prints.
fn rpc_columns(log: &Path) -> Result<[Column; 2], Box<dyn Error>> {
    let mut columns = [Vec::new(), Vec::new()];
    for line in std::fs::read_to_string(log)?.lines() {
        let Some((items, figure)) = line.split_once(" items, ") else { continue };
        let Some(figure) = figure.trim_end().strip_suffix(" instructions") else { continue };
        let Some((name, count)) = figure.trim_end().rsplit_once(' ') else { continue };
        let many = usize::from(items.trim() != "16");
        columns[many].push((name.trim().to_owned(), count.parse()?));
    }
    if columns[0].is_empty() || columns[0].len() != columns[1].len() {
        return Err(format!("{}: no figures of run/rpc_cost", log.display()).into());
    }
    Ok(columns)
}

/// Draws bars for release and series, with few and with many capabilities.
pub(crate) fn plot_rpc(path: &Path, logs: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let colours = [RGBColor(200, 40, 40), RGBColor(0, 90, 180)];
    let systems = logs.iter().map(|log| rpc_columns(log)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<_> = systems[0][0].iter().map(|(name, _)| name.clone()).collect();
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (800, 520)).into_drawing_area();
        root.fill(&WHITE)?;
        let rows = names.len() as f64;
        let mut chart = ChartBuilder::on(&root)
            .caption(
                "instructions of an operation; lighter: with many capabilities",
                ("sans-serif", 17),
            )
            .margin(10)
            .x_label_area_size(28)
            .y_label_area_size(130)
            .build_cartesian_2d((1000.0..10_000_000.0).log_scale(), rows..0.0)?;
        let number = |count: &f64| format!("{count:.0}");
        let mut mesh = chart.configure_mesh();
        mesh.disable_y_mesh().disable_y_axis().max_light_lines(0).x_label_formatter(&number);
        mesh.draw()?;
        let right = ("sans-serif", 14).into_font().color(&BLACK);
        let right = right.pos(Pos::new(HPos::Right, VPos::Center));
        chart.draw_series(names.iter().zip(0..).map(|(name, row)| {
            Text::new(format!("{name}\u{a0}"), (1000.0, f64::from(row) + 0.5), right.clone())
        }))?;
        for (system, (columns, colour)) in systems.iter().zip(colours).enumerate() {
            for (many, column) in columns.iter().enumerate() {
                let opacity = if many == 0 { 1.0 } else { 0.5 };
                let bar = |row: usize, count: f64| {
                    let top = row as f64 + 0.1 + 0.4 * system as f64 + 0.18 * many as f64;
                    let corners = [(1000.0, top), (count, top + 0.18)];
                    Rectangle::new(corners, colour.mix(opacity).filled())
                };
                let bars = column.iter().enumerate().map(|(row, (_, count))| bar(row, *count));
                let series = chart.draw_series(bars)?;
                if many == 0 {
                    let label = ["release", "series"].get(system).copied().unwrap_or_default();
                    series.label(label).legend(move |(x, y)| {
                        Rectangle::new([(x, y - 4), (x + 16, y + 4)], colour.filled())
                    });
                }
            }
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.8))
            .draw()?;
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
