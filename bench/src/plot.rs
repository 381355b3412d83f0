//! Cost against size, as an SVG.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::figures::Row;
use crate::operation::{Operation, Pattern};
use crate::subjects::{OURS, PUBLISHED, TREE};

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
pub(crate) fn write(path: &Path, rows: &[Row]) -> Result<(), Box<dyn Error>> {
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
