//! Measures each operation on all subjects in turn.

use std::time::Duration;

use crate::measure::{Column, Effort, Row, Spread, processor_time};
use crate::operation::{Operation, Pattern};
use crate::ops::Subject;
use crate::subjects::{BARE, PUBLISHED, TREE, subjects};
use crate::workload::Workload;

/// What is measured for a pattern, in this order on the same maps.
fn operations(pattern: Pattern) -> &'static [Operation] {
    use Operation::*;
    match pattern {
        Pattern::Sequential | Pattern::Recent => &[FindHit, Dispatch],
        Pattern::Random | Pattern::Clustered => &[
            FindHit,
            FindDependent,
            FindMiss,
            InsertMapHit,
            InsertMapNew,
            Dispatch,
            References,
            Window,
            InsertRemove,
            WindowHoles,
        ],
    }
}

/// All rows. Tells on standard error how far it is, as it takes minutes.
pub(crate) fn all(effort: &Effort, only: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let patterns = [Pattern::Random, Pattern::Sequential, Pattern::Recent, Pattern::Clustered];
    for pattern in patterns.into_iter().filter(|p| !effort.quick || *p == Pattern::Random) {
        for (size, capacity) in effort.sizes() {
            let chosen: Vec<_> =
                operations(pattern).iter().filter(|op| op.name().contains(only)).collect();
            if chosen.is_empty() {
                continue;
            }
            let mut maps: Vec<_> = subjects(capacity)
                .into_iter()
                .map(|subject| (subject, Workload::new(&subject, size, capacity, pattern)))
                .collect();
            for operation in chosen {
                rows.push(one(effort, *operation, pattern, size, &mut maps));
            }
            eprintln!("bench: measured {size} capabilities, {} badges", pattern.name());
        }
    }
    rows
}

fn one(
    effort: &Effort,
    operation: Operation,
    pattern: Pattern,
    size: u32,
    maps: &mut [(Subject, Workload)],
) -> Row {
    let mut running: Vec<_> =
        maps.iter_mut().filter(|(subject, _)| operation.applies_to(subject)).collect();
    let mut counts = Vec::new();
    for (subject, workload) in &mut running {
        workload.prepare(operation, subject);
        counts.push(calibrate(effort, operation, workload));
    }
    let mut times = vec![Vec::new(); running.len()];
    let mut lower_bound = Vec::new();
    for repetition in 0..effort.repetitions {
        for turn in 0..running.len() {
            // Another one begins each time.
            let who = (turn + repetition) % running.len();
            let (_, workload) = &mut running[who];
            workload.run(operation, counts[who] / 4 + 1);
            let start = processor_time();
            workload.run(operation, counts[who]);
            times[who].push(per_operation(start, counts[who]));
        }
        let (start, (_, workload)) = (processor_time(), &running[0]);
        if workload.run_lower_bound(operation, counts[0]) {
            lower_bound.push(per_operation(start, counts[0]));
        }
    }
    let at = |name| running.iter().position(|(subject, _)| subject.name == name).unwrap_or(0);
    let (published, tree) = (at(PUBLISHED), at(TREE));
    let tree_to = |times_of: &[f64]| {
        let pairs = times[tree].iter().zip(times_of);
        Spread::of(pairs.map(|(tree, other)| tree / other).collect())
    };
    let (tree_to_lower_bound, tree_to_bare) = (tree_to(&lower_bound), tree_to(&times[at(BARE)]));
    let columns = running
        .iter_mut()
        .enumerate()
        .map(|(who, (subject, workload))| {
            workload.finish(operation);
            let ratio_to = |base: usize| {
                let pairs = times[who].iter().zip(&times[base]);
                Spread::of(pairs.map(|(time, base)| time / base).collect())
            };
            Column {
                subject: subject.name,
                time: Spread::of(times[who].clone()),
                ratio: ratio_to(0),
                published: ratio_to(published),
            }
        })
        .collect();
    let lower_bound = Spread::of(lower_bound);
    Row { operation, pattern, size, columns, lower_bound, tree_to_lower_bound, tree_to_bare }
}

/// Nanoseconds since `start` for each of so many operations.
#[allow(clippy::cast_precision_loss)]
fn per_operation(start: Duration, count: usize) -> f64 {
    processor_time().saturating_sub(start).as_secs_f64() * 1e9 / count as f64
}

/// How often the operation runs within the time of one measurement.
fn calibrate(effort: &Effort, operation: Operation, workload: &mut Workload) -> usize {
    let mut count = 1;
    loop {
        let start = processor_time();
        workload.run(operation, count);
        if processor_time().saturating_sub(start) >= effort.batch {
            return count;
        }
        count *= 2;
    }
}
