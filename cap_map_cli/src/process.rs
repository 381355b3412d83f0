//! Processes of a system: the program itself under hidden subcommands.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::io::retry_on_intr;
use rustix::process::{
    Pid, Resource, Signal, WaitId, WaitIdOptions, getppid, getrlimit, kill_process,
    set_child_subreaper, set_parent_process_death_signal, setrlimit, waitid,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::checkpoint::Program;
use crate::wire::{FIRST_SLOT, slot_fd};

/// Exit status of a command that could not be carried out.
pub(crate) const FAILED: u8 = 4;

/// Slots that a process uses besides those of the target's objects: other capabilities, and
/// receive windows.
const OTHER_SLOTS: u32 = 1024;

/// Descriptors of a process that are neither slots nor server ends.
const OTHER_DESCRIPTORS: u32 = 256;

/// The file of this program. (Under an instrumentation tool, only its path leads
/// to it; if it was deleted since it started, only the other name does.)
fn program() -> PathBuf {
    let path = std::env::current_exe().ok().filter(|path| path.exists());
    path.unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}

/// Which program this is.
pub(crate) fn this_program() -> Result<Program> {
    let bytes = std::fs::read(program()).context("reading this program")?;
    Ok(Program { bytes: bytes.len() as u64, crc32: crc32fast::hash(&bytes) })
}

/// Children that have not been reaped.
static CHILDREN: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Why the driver has to end: number of a signal, [`TIME_OVER`], or 0 if it goes on.
static END: AtomicI32 = AtomicI32::new(0);

const TIME_OVER: i32 = -1;

fn children() -> MutexGuard<'static, Vec<Pid>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child process, which is killed and reaped when dropped.
pub(crate) struct Process {
    child: Child,
    name: &'static str,
}

impl Process {
    /// Starts a role with a control socket as its standard input.
    pub(crate) fn spawn(
        name: &'static str,
        arguments: &[String],
        control: OwnedFd,
    ) -> Result<Self> {
        let mut children = children();
        ensure!(end().is_none(), "interrupted");
        let child = Command::new(program())
            .arg0("cap_map")
            .arg(name)
            .arg("--parent")
            .arg(std::process::id().to_string())
            .args(arguments)
            .stdin(Stdio::from(control))
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {name} ({})", program().display()))?;
        children.push(Pid::from_child(&child));
        Ok(Process { child, name })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Stops the process, and returns when it stands still.
    pub(crate) fn stop(&self) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::STOP).with_context(|| format!("stopping {}", self.name))?;
        let events = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        match retry_on_intr(|| waitid(WaitId::Pid(pid), events))? {
            Some(status) if status.stopped() => Ok(()),
            _ => bail!("{} ended instead of stopping", self.name),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // From here on its number may become that of another process.
        let pid = Pid::from_child(&self.child);
        children().retain(|child| *child != pid);
        // Fails if it is gone already; the wait is what matters then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Child: makes sure that it does not outlive its parent.
pub(crate) fn die_with_parent(parent: u32) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the line above.
    let now = getppid().map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs());
    if now != parent {
        // As the signal would have ended it: not worth a message.
        kill_process(rustix::process::getpid(), Signal::KILL)?;
    }
    Ok(())
}

/// Why the driver has to end.
pub(crate) enum End {
    /// A signal of this number asked for it.
    Signal(i32),
    /// It took too long.
    TimeOver,
}

/// Why the driver has to end, if it has to.
pub(crate) fn end() -> Option<End> {
    match END.load(Ordering::Relaxed) {
        0 => None,
        TIME_OVER => Some(End::TimeOver),
        signal => Some(End::Signal(signal)),
    }
}

/// Lets the driver end. Without its children it gets no further, and cleans up as after any
/// other error. One that has none yet may be waiting for a file, and has nothing to clean up.
fn end_driver(why: i32) {
    let children = children();
    if children.is_empty() && why != TIME_OVER {
        report_failure(&interrupted(why), status_of_signal(why));
        let _ = emulate_default_handler(why);
    } else if children.is_empty() {
        let reason = "gave up, as the time is over";
        if let Some(leave) = LEAVE_SCREEN.get() {
            leave();
        }
        report_failure(reason, FAILED);
        // That this fails cannot be reported anywhere.
        let _ = writeln!(std::io::stderr(), "cap_map: {reason}");
        std::process::exit(FAILED.into());
    }
    // The first reason counts.
    let _ = END.compare_exchange(0, why, Ordering::Relaxed, Ordering::Relaxed);
    for child in children.iter() {
        // It may be a zombie, which is just as well.
        let _ = kill_process(*child, Signal::KILL);
    }
}

/// What all commands have in common.
pub(crate) struct Habits {
    /// When to give up.
    pub(crate) timeout: Option<Duration>,
    /// What the command is called, if a failure is to be reported as JSON.
    pub(crate) reported_as: Option<&'static str>,
    /// Whether to say what is being done.
    pub(crate) verbose: bool,
    /// Whether the exit status is enough.
    pub(crate) quiet: bool,
}

static HABITS: OnceLock<Habits> = OnceLock::new();

/// How to leave a screen that is shown.
static LEAVE_SCREEN: OnceLock<fn()> = OnceLock::new();

/// Takes up what all commands have in common, once.
pub(crate) fn set_habits(habits: Habits) {
    if let Some(timeout) = HABITS.get_or_init(|| habits).timeout {
        std::thread::spawn(move || {
            std::thread::sleep(timeout);
            end_driver(TIME_OVER);
        });
    }
}

/// Says how to leave the screen that is shown from now on, if the time is over.
pub(crate) fn leave_screen_by(leave: fn()) {
    LEAVE_SCREEN.get_or_init(|| leave);
}

/// Whether the exit status is enough.
pub(crate) fn is_quiet() -> bool {
    HABITS.get().is_some_and(|habits| habits.quiet)
}

/// Says what is being done, on standard error, if that was asked for.
pub(crate) fn tell(text: impl FnOnce() -> String) {
    if HABITS.get().is_some_and(|habits| habits.verbose) {
        // That this fails cannot be reported anywhere.
        let _ = writeln!(std::io::stderr(), "cap_map: {}", text());
    }
}

/// Prints a failure as JSON, if that was asked for.
pub(crate) fn report_failure(error: &str, status: u8) {
    if let Some(command) = HABITS.get().and_then(|habits| habits.reported_as) {
        print_failure(Some(command), error, status);
    }
}

/// Prints a failure as JSON. Without a command, the arguments were not understood.
pub(crate) fn print_failure(command: Option<&str>, error: &str, status: u8) {
    let text = serde_json::json!({"command": command, "error": error, "status": status});
    // That this fails cannot be reported anywhere: the failure itself is.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// What is said of an end by a signal.
pub(crate) fn interrupted(signal: i32) -> String {
    format!("interrupted by signal {signal}")
}

/// What a shell reports then.
pub(crate) fn status_of_signal(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

/// Driver: prepares for having children and their children, and for an end by a signal.
pub(crate) fn become_driver() -> Result<()> {
    let mut signals = Signals::new(ending_signals()?).context("signal handlers")?;
    std::thread::spawn(move || signals.forever().for_each(end_driver));
    // Whatever a killed monitor leaves behind is ours to end.
    set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

/// Signals that end the program. What is ignored, as under nohup, stays ignored.
pub(crate) fn ending_signals() -> Result<impl Iterator<Item = i32>> {
    let ignored = ignored_signals()?;
    Ok([SIGHUP, SIGINT, SIGTERM].into_iter().filter(move |signal| !ignored.contains(signal)))
}

/// Numbers of the signals that this process ignores.
fn ignored_signals() -> Result<Vec<i32>> {
    let status = std::fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.context("/proc/self/status: no ignored signals")?;
    let mask = u64::from_str_radix(mask.trim(), 16).context("/proc/self/status")?;
    Ok((0..64).filter(|bit| mask >> bit & 1 != 0).map(|bit| bit + 1).collect())
}

/// Ends this process as the signal would have, so that a shell knows it. Returns only if
/// that fails.
pub(crate) fn die_by(signal: i32) -> ExitCode {
    let status = status_of_signal(signal);
    let _ = emulate_default_handler(signal);
    ExitCode::from(status)
}

/// Driver: raises the limit of open descriptors as far as a target with so many objects
/// needs; children inherit it. Slots are used from the lowest on, so that the highest
/// descriptor depends on how many there are.
pub(crate) fn raise_descriptor_limit(objects: u32) -> Result<()> {
    let last = FIRST_SLOT.saturating_add(objects).saturating_add(OTHER_SLOTS);
    let needed = u64::from(slot_fd(last)) + u64::from(OTHER_DESCRIPTORS);
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(most) = limit.maximum.filter(|most| *most < needed) {
        bail!(
            "with {objects} objects, a process of the testbed needs {needed} open descriptors, \
             but the limit is {most} (ulimit -Hn)"
        );
    }
    limit.current = Some(needed);
    setrlimit(Resource::Nofile, limit).context("raising the limit of open descriptors")
}
