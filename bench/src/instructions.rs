//! Instructions per operation, counted by valgrind's callgrind: repeatable
//! where times are not. The program runs itself under valgrind; each
//! combination is one call of `counted_operations`, which callgrind dumps.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::operation::{Operation, Pattern};
use crate::ops::{COMPONENT, Subject};
use crate::subjects::{BARE, OURS, PUBLISHED, TREE, subjects};
use crate::workload::Workload;

/// Operations per combination.
const COUNT: u32 = 1000;

const SIZES: [u32; 3] = [16, 1024, 3500];

/// Operation, and how many instructions our private table may need for it at any
/// of the sizes, the benchmark's own (about 24 per call) included. A limit is
/// what it takes now plus a tenth; who improves on it lowers the limit.
const OPERATIONS: [(Operation, f64); 8] = [
    (Operation::FindHit, 87.0),
    (Operation::FindMiss, 159.0),
    (Operation::InsertMapHit, 367.0),
    (Operation::InsertMapNew, 1068.0),
    (Operation::References, 78.0),
    (Operation::Window, 367.0),
    (Operation::InsertRemove, 668.0),
    (Operation::Dispatch, 179.0),
];

fn combinations() -> impl Iterator<Item = (Subject, u32, Operation)> {
    subjects(COMPONENT)
        .into_iter()
        .filter(|subject| [OURS, PUBLISHED, TREE, BARE].contains(&subject.name))
        .flat_map(|subject| SIZES.map(|size| (subject, size)))
        .flat_map(|(subject, size)| OPERATIONS.map(|(operation, _)| (subject, size, operation)))
}

/// What callgrind counts, and nothing else.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn counted_operations(workload: &mut Workload, operation: u32, count: u32) -> u32 {
    let (operation, _) = OPERATIONS[operation as usize];
    workload.run(operation, count as usize)
}

/// Runs all combinations once.
pub(crate) fn run_counted() {
    for (subject, size, operation) in combinations() {
        let mut workload = Workload::new(&subject, size, COMPONENT, Pattern::Random);
        workload.prepare(operation, &subject);
        workload.run(operation, 100);
        let number = OPERATIONS.iter().zip(0u32..).find(|((known, _), _)| *known == operation);
        counted_operations(&mut workload, number.map_or(0, |(_, number)| number), COUNT);
        workload.finish(operation);
    }
}

/// What was counted.
pub(crate) struct Counts(Vec<(&'static str, u32, Operation, f64)>);

impl Counts {
    /// Instructions per operation of a subject with so many capabilities.
    pub(crate) fn of(&self, subject: &str, size: u32, operation: Operation) -> f64 {
        let mut all = self.0.iter();
        let count =
            all.find(|(name, live, op, _)| (*name, *live, *op) == (subject, size, operation));
        count.map_or(f64::NAN, |(.., count)| *count)
    }

    /// Operation, size, and the limit of our private table.
    pub(crate) fn limits(&self) -> impl Iterator<Item = (Operation, u32, f64)> {
        OPERATIONS
            .into_iter()
            .flat_map(|(operation, limit)| SIZES.map(|size| (operation, size, limit)))
    }

    /// The limits that are exceeded.
    ///
    /// # Errors
    /// Says which these are.
    pub(crate) fn within_limits(&self) -> Result<(), String> {
        let exceeded: Vec<_> = self
            .limits()
            .filter(|(operation, size, limit)| self.of(OURS, *size, *operation) > *limit)
            .map(|(operation, size, _)| format!("{} at {size}", operation.name()))
            .collect();
        match exceeded.as_slice() {
            [] => Ok(()),
            _ => Err(format!("more instructions than the limit: {}", exceeded.join(", "))),
        }
    }

    pub(crate) fn json(&self) -> Value {
        let row = |(subject, size, operation, count): &(&str, u32, Operation, f64)| {
            json!({
                "operation": operation.name(), "live": size, "subject": subject,
                "instructions": count,
            })
        };
        self.0.iter().map(row).collect()
    }
}

/// Runs the program under valgrind; `None` if there is none.
pub(crate) fn count() -> Result<Option<Counts>, Box<dyn std::error::Error>> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return Ok(None);
    }
    let directory = std::env::temp_dir().join(format!("bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg("--toggle-collect=counted_operations")
        .arg("--dump-after=counted_operations")
        .arg(format!("--callgrind-out-file={}", directory.join("out").display()))
        .arg(std::env::current_exe()?)
        .arg("--counted")
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let counts: Result<Vec<_>, Box<dyn std::error::Error>> = combinations()
        .zip(1..)
        .map(|((subject, size, operation), number)| {
            let count = total(&directory.join(format!("out.{number}")))?;
            Ok((subject.name, size, operation, count / f64::from(COUNT)))
        })
        .collect();
    let counts = counts?;
    std::fs::remove_dir_all(&directory)?;
    Ok(Some(Counts(counts)))
}

fn total(path: &Path) -> Result<f64, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix("summary: "));
    Ok(line.ok_or("callgrind wrote no summary")?.trim().parse()?)
}
