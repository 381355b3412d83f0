//! Looking again and again: lines for pipes, records of use over time, and the screen.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::image::columns;
use crate::live::leaks::seconds_since_1970;
use crate::live::report::{Component, quoted};
use crate::live::{Known, Machine, Ram, Search};
use crate::table::json;

/// One look, with what has happened since the one before.
pub(super) struct Tick {
    pub(super) machine: Machine,
    pub(super) components: Vec<Component>,
    /// Writes of the owner to its slots in each second; `None` at the first look.
    pub(super) rates: Vec<Option<f64>>,
}

/// A machine that is looked at again and again.
pub(super) struct Watched {
    ram: Ram,
    known: Known,
    /// When each table had how many writes.
    before: HashMap<(Option<u64>, u64), u64>,
    time: Option<Instant>,
}

impl Watched {
    pub(super) fn new(ram: Ram, known: Known) -> Self {
        Watched { ram, known, before: HashMap::new(), time: None }
    }

    /// Looks once more. Tables come and go, so the memory is searched each time.
    pub(super) fn look(&mut self) -> Result<Tick> {
        let search = Search::new(&mut self.ram)?;
        let now = Instant::now();
        let machine = Machine::look(&mut self.ram, &search, self.known)?;
        let components = machine.components();
        let seconds = self.time.map(|before| (now - before).as_secs_f64().max(1e-3));
        let rate = |component: &Component| {
            let before = *self.before.get(&(component.address, component.instance))?;
            #[allow(clippy::cast_precision_loss)] // a rate
            let writes = component.writes.wrapping_sub(before) as f64;
            Some(writes / seconds?)
        };
        let rates = components.iter().map(rate).collect();
        let writes = components
            .iter()
            .map(|component| ((component.address, component.instance), component.writes));
        self.before = writes.collect();
        self.time = Some(now);
        Ok(Tick { machine, components, rates })
    }
}

/// What the components can be sorted by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Place,
    Label,
    Used,
    Dangling,
    Rate,
}

impl Order {
    pub(super) fn next(self) -> Self {
        match self {
            Order::Place => Order::Label,
            Order::Label => Order::Used,
            Order::Used => Order::Dangling,
            Order::Dangling => Order::Rate,
            Order::Rate => Order::Place,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Order::Place => "place",
            Order::Label => "label",
            Order::Used => "used",
            Order::Dangling => "dangling",
            Order::Rate => "writes",
        }
    }
}

/// Use over time, one line of JSON for each look.
pub(super) struct Recorder(File);

/// What each record begins with.
const RECORD_START: &[u8] = b"{\"time\":";

impl Recorder {
    /// Opens a file to add to it: a new one, an earlier record, or by `force` any other.
    pub(super) fn new(path: &Path, force: bool) -> Result<Self> {
        let open = || {
            let is_file = path.metadata().is_ok_and(|found| found.is_file());
            if is_file && !force {
                let mut start = [0; RECORD_START.len()];
                let count = File::open(path)?.read_at(&mut start, 0)?;
                let is_ours = RECORD_START.starts_with(&start[..count]);
                ensure!(is_ours, "is no record of watch; --force adds to it");
            }
            Ok(OpenOptions::new().create(true).append(true).open(path)?)
        };
        open().map(Recorder).with_context(|| path.display().to_string())
    }

    pub(super) fn add(&mut self, tick: &Tick) -> Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            time: f64,
            one_instant: bool,
            components: &'a [Component],
        }
        let line = Line {
            time: seconds_since_1970(),
            one_instant: tick.machine.one_instant,
            components: &tick.components,
        };
        self.0.write_all(json(&line)?.as_bytes()).context("the record")
    }
}

/// Prints a table for each look, `count` times or without end.
pub(super) fn plainly(
    mut watched: Watched,
    interval: Duration,
    count: Option<u64>,
    mut recorder: Option<Recorder>,
) -> Result<()> {
    let mut looks = 0;
    while count.is_none_or(|count| looks < count) {
        if looks != 0 {
            thread::sleep(interval);
        }
        looks += 1;
        let tick = watched.look()?;
        if let Some(recorder) = &mut recorder {
            recorder.add(&tick)?;
        }
        let mut output = io::stdout();
        let written = output.write_all(tick.text().as_bytes()).and_then(|()| output.flush());
        written.context("standard output")?;
    }
    Ok(())
}

impl Tick {
    /// Numbers of the components in an order.
    pub(super) fn sorted(&self, order: Order) -> Vec<usize> {
        let Tick { components, rates, .. } = self;
        let mut shown: Vec<_> = (0..components.len()).collect();
        match order {
            Order::Place => {}
            Order::Label => shown.sort_by(|a, b| components[*a].label.cmp(&components[*b].label)),
            Order::Used => shown.sort_by_key(|i| Reverse(components[*i].used)),
            Order::Dangling => shown.sort_by_key(|i| Reverse(components[*i].dangling)),
            Order::Rate => {
                shown.sort_by(|a, b| rates[*b].unwrap_or(0.0).total_cmp(&rates[*a].unwrap_or(0.0)))
            }
        }
        shown
    }

    fn text(&self) -> String {
        let head =
            ["state", "used", "detached", "dangling", "made", "writes/s", "one instant", "label"];
        let number =
            |number: Option<usize>| number.map_or(String::new(), |number| number.to_string());
        let row = |(component, rate): (&Component, &Option<f64>)| {
            [
                component.state.to_owned(),
                component.used.to_string(),
                component.detached.to_string(),
                number(component.dangling),
                number(component.made),
                rate.map_or("-".to_owned(), |rate| format!("{rate:.0}")),
                if component.one_instant { "yes" } else { "no" }.to_owned(),
                quoted(&component.label),
            ]
        };
        let rows: Vec<_> = self.components.iter().zip(&self.rates).map(row).collect();
        let mut text = columns(&head, &["state", "one instant", "label"], &rows).join("\n");
        for doubt in &self.machine.doubts {
            text += &format!("\n! {doubt}");
        }
        text + "\n\n"
    }
}
