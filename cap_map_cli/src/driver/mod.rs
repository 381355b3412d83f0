//! The test driver: sets up systems, moves the target from one to the next,
//! and verifies what arrived.

mod system;
mod verify;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

pub(crate) use self::system::Destination;
use self::system::{System, numbering};
use self::verify::{FINDINGS, Verdict, verify};
use crate::checkpoint::{Checkpoint, ClientState, Refusal};
use crate::control::{ClientAnswer, ClientOrder, MonitorAnswer, MonitorOrder};
use crate::memory::{image_bytes, table_address, table_bytes};
use crate::process::{is_quiet, raise_descriptor_limit, tell, this_program};
use crate::wire::{IMAGE_ADDRESS, TARGET_ENTRYPOINTS};

/// Calls per object in each system.
const CALLS_PER_OBJECT: u64 = 2;

/// Calls in each system besides.
const CALLS: u64 = 2000;

/// Objects that the target serves before clients call.
const FIRST_OBJECTS: u32 = 400;

/// Objects that it creates from one look at the table to the next.
const MORE_OBJECTS: u32 = 500;

/// Steps of a round that the progress bar shows.
const STEPS: u64 = 4;

/// What to do.
pub(crate) struct Options {
    pub(crate) objects: u32,
    pub(crate) rounds: u32,
    pub(crate) seed: u64,
    /// Where to keep the checkpoint.
    pub(crate) checkpoint: Option<PathBuf>,
    /// Whether it may replace a file that is none.
    pub(crate) force: bool,
}

/// Starts a system and moves its target on, from system to system.
pub(crate) fn migrate(options: &Options) -> Result<Report> {
    let Options { objects, rounds, seed, .. } = *options;
    raise_descriptor_limit(objects)?;
    let mut report = Report { command: "migrate", objects, seed, ..Report::default() };
    let begin = Instant::now();
    let destination = options.checkpoint.as_deref();
    let destination = destination.map(|name| Destination::new(name, options.force)).transpose()?;
    let bar = progress(u64::from(rounds) * STEPS);

    let mut state = ClientState::default();
    let mut system = System::start(numbering(seed, 0, objects), seed, &state)?;
    system.start_target(seed).context("start of the target")?;
    populate(&mut system, &mut report, objects)?;
    // A target that is known to be broken is not moved on.
    while report.rounds < rounds && report.good() {
        report.rounds += 1;
        let round = report.rounds;
        let show = |doing: &str| {
            bar.set_message(format!("round {round}: {doing}"));
            tell(|| format!("round {round}: {doing}"));
        };
        show("serving");
        let saved = work_and_save(&system, &mut report, objects, &bar)?;
        if let Some(destination) = &destination {
            destination.write(&saved)?;
        }
        tell(|| format!("round {round}: {} bytes saved", saved.len()));
        let checkpoint = Checkpoint::decode(&saved)?;
        state.clone_from(&checkpoint.clients);
        drop(system);
        show("restoring");
        system = System::start(numbering(seed, round, objects), seed + u64::from(round), &state)?;
        restore_and_verify(&mut system, &checkpoint, &saved, &mut report, &bar)?;
    }
    if report.good() {
        // The last system has to work as well.
        serve(&system, &mut report, objects)?;
    }
    bar.finish_and_clear();
    report.seconds = begin.elapsed().as_secs_f64();
    Ok(report)
}

/// Brings up a system from a checkpoint file, which is read once, and lets it work for a while.
pub(crate) fn restore(file: &Path) -> Result<Report> {
    let begin = Instant::now();
    let (checkpoint, saved) = Checkpoint::load(file)?;
    tell(|| format!("{}: {} bytes read", file.display(), saved.len()));
    check_fits(&checkpoint).with_context(|| format!("{}", file.display()))?;
    let objects = u32::try_from(checkpoint.clients.permanent.len())?;
    raise_descriptor_limit(objects)?;
    let seed = checkpoint.meta.seed;
    let mut report = Report { command: "restore", objects, rounds: 1, seed, ..Report::default() };
    let bar = progress(STEPS);
    let round = checkpoint.meta.rounds.saturating_add(1);
    let mut system = System::start(numbering(seed, round, objects), seed, &checkpoint.clients)?;
    restore_and_verify(&mut system, &checkpoint, &saved, &mut report, &bar)?;
    if report.good() {
        serve(&system, &mut report, objects)?;
    }
    bar.finish_and_clear();
    report.seconds = begin.elapsed().as_secs_f64();
    Ok(report)
}

/// Refuses what this program cannot continue, before anything is started.
fn check_fits(checkpoint: &Checkpoint) -> Result<()> {
    let meta = &checkpoint.meta;
    let refuse = |reason| Err(Refusal::at(0, reason).into());
    if meta.program != this_program()? {
        return refuse(
            "the checkpoint was taken by another build of this program, whose memory \
             image this build cannot continue",
        );
    }
    let slots = u32::try_from(checkpoint.references.len())?;
    let fits = meta.image_address == IMAGE_ADDRESS
        && Some(meta.table_address) == table_address(slots)
        && u64::from(meta.entrypoints) == TARGET_ENTRYPOINTS
        && checkpoint.image.len() as u64 <= image_bytes()
        && checkpoint.table.len() == table_bytes(slots);
    if fits { Ok(()) } else { refuse("memory of the target has another shape") }
}

/// Lets the target create its objects. Clients call the first ones while the others are
/// created, so that a table that grows is in use.
fn populate(system: &mut System, report: &mut Report, objects: u32) -> Result<()> {
    let first = objects.min(FIRST_OBJECTS);
    system.clients(&ClientOrder::Populate { objects: first })?;
    if first == objects {
        return Ok(());
    }
    run(system, 1)?;
    let mut missing = objects - first;
    while missing > 0 {
        let more = missing.min(MORE_OBJECTS);
        system.clients(&ClientOrder::Populate { objects: more })?;
        missing -= more;
        report.growths += u32::from(system.provide_slots()?);
    }
    // The target goes on, so it would answer calls that nobody waits for any more.
    stop(system, report, &ClientOrder::Pause).map(|_| ())
}

/// Lets clients work, and saves the target in the middle of it: the bytes of a checkpoint.
fn work_and_save(
    system: &System,
    report: &mut Report,
    objects: u32,
    bar: &ProgressBar,
) -> Result<Vec<u8>> {
    let calls = CALLS + CALLS_PER_OBJECT * u64::from(objects);
    run(system, calls)?;
    bar.inc(1);
    system.monitor(&MonitorOrder::LoseRewriter)?;
    let (observed, _) = system.monitor(&MonitorOrder::Observe)?;
    if let MonitorAnswer::Observed { consistent, other } = observed {
        report.snapshots += consistent;
        report.other_snapshots += other;
    }
    system.monitor(&MonitorOrder::Freeze)?;
    let clients = stop(system, report, &ClientOrder::Stop)?;
    let saved = system.save(clients)?;
    bar.inc(1);
    Ok(saved)
}

/// Lets clients work, and stops them.
fn serve(system: &System, report: &mut Report, objects: u32) -> Result<()> {
    let calls = CALLS + u64::from(objects);
    run(system, calls)?;
    stop(system, report, &ClientOrder::Stop).map(|_| ())
}

/// Answers in a row that tell of no further call, until the run is given up.
const IDLE_ANSWERS: u32 = 5;

/// Lets clients work until so many calls were answered, for as long as there is progress: the
/// work grows with the objects, and machines differ.
fn run(system: &System, calls: u64) -> Result<()> {
    let (mut before, mut idle) = (0, 0);
    loop {
        let ClientAnswer::Running { calls: now, wrong } =
            system.clients(&ClientOrder::Run { calls })?
        else {
            bail!("clients do not run");
        };
        // A call without an answer counts among the wrong ones, and the run has failed.
        if now >= calls || wrong > 0 {
            return Ok(());
        }
        idle = if now > before { 0 } else { idle + 1 };
        ensure!(idle < IDLE_ANSWERS, "clients make no progress");
        before = now;
    }
}

fn stop(system: &System, report: &mut Report, how: &ClientOrder) -> Result<ClientState> {
    let ClientAnswer::Stopped { state, calls, wrong, first_wrong } = system.clients(how)? else {
        bail!("clients do not stop");
    };
    report.calls += calls;
    // An answer that was not the expected one came from the wrong object, or
    // from none.
    report.misdirected += wrong;
    report.findings.extend(first_wrong);
    Ok(state)
}

fn restore_and_verify(
    system: &mut System,
    checkpoint: &Checkpoint,
    saved: &[u8],
    report: &mut Report,
    bar: &ProgressBar,
) -> Result<()> {
    let left_out = system.restore_target(saved).context("restoring the target")?;
    report.add_left_out(&left_out);
    bar.inc(1);
    report.add(verify(system, checkpoint)?);
    system.clients(&ClientOrder::Attach)?;
    bar.inc(1);
    Ok(())
}

/// Result of a command.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    pub(crate) command: &'static str,
    pub(crate) objects: u32,
    /// Migrations made.
    pub(crate) rounds: u32,
    pub(crate) seed: u64,
    /// How often the table has grown.
    pub(crate) growths: u32,
    /// Capabilities found as they should be, summed over the rounds.
    pub(crate) restored: u64,
    pub(crate) lost: u64,
    pub(crate) misdirected: u64,
    /// Slots of a restored table that were left out when the badges were rewritten.
    pub(crate) left_out: u64,
    /// Slots whose new badge belonged to another slot before.
    pub(crate) overlapping: u64,
    /// Calls that clients made while capabilities came and went.
    pub(crate) calls: u64,
    /// Snapshots of the table in use: of one instant, and others.
    pub(crate) snapshots: u64,
    pub(crate) other_snapshots: u64,
    pub(crate) seconds: f64,
    /// What was wrong, the first few.
    pub(crate) findings: Vec<String>,
}

impl Report {
    pub(crate) fn add(&mut self, verdict: Verdict) {
        self.restored += verdict.restored;
        self.lost += verdict.lost;
        self.misdirected += verdict.misdirected;
        self.overlapping += verdict.overlapping;
        self.findings.extend(verdict.findings);
    }

    /// Slots that the rewrite of a restored table left out. Nobody else writes that table, so
    /// there should be none, and the verification finds each of them, too.
    pub(crate) fn add_left_out(&mut self, slots: &[u32]) {
        self.left_out += slots.len() as u64;
        let text = |slot| format!("slot {slot} was left out when the badges were rewritten");
        self.findings.extend(slots.iter().take(FINDINGS).map(text));
    }

    /// Whether nothing was lost or misdirected.
    pub(crate) fn good(&self) -> bool {
        self.lost == 0 && self.misdirected == 0
    }

    /// The result as JSON.
    pub(crate) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    /// The result without the findings.
    pub(crate) fn text(&self) -> String {
        let facts = format!(
            "{} rounds, {} growths, {} calls, {} snapshots, {} new badges that other slots had \
             before, {:.1} s\n",
            self.rounds,
            self.growths,
            self.calls,
            self.snapshots + self.other_snapshots,
            self.overlapping,
            self.seconds
        );
        let verdict = format!(
            "{}: {} capabilities restored, {} lost, {} misdirected\n",
            self.command, self.restored, self.lost, self.misdirected
        );
        facts + &verdict
    }
}

/// A progress bar where somebody can see it.
pub(crate) fn progress(steps: u64) -> ProgressBar {
    let visible = std::io::stderr().is_terminal() && !is_quiet();
    let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}");
    let bar = ProgressBar::with_draw_target(Some(steps), target);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
