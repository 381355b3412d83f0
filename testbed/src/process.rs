//! Processes of a system: the program itself under hidden subcommands.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{
    Pid, Resource, Signal, WaitId, WaitIdOptions, getppid, getrlimit, kill_process,
    set_child_subreaper, set_parent_process_death_signal, setrlimit, waitid,
};

use crate::checkpoint::Program;
use crate::wire::{FIRST_SLOT, slot_fd};

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

/// Whether a signal has asked the driver to end.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

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
        ensure!(!interrupted(), "interrupted");
        let child = Command::new(program())
            .arg0("cap_map")
            .arg(name)
            .arg("--parent")
            .arg(std::process::id().to_string())
            .args(arguments)
            .stdin(Stdio::from(control))
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("start of {name}"))?;
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
        match waitid(WaitId::Pid(pid), events)? {
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

/// Whether a signal has asked the driver to end.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Driver: prepares for having children and their children.
pub(crate) fn become_driver() -> Result<()> {
    // Without its children the driver gets no further, and cleans up as after
    // any other error.
    ctrlc::set_handler(|| {
        let children = children();
        INTERRUPTED.store(true, Ordering::Relaxed);
        for child in children.iter() {
            // It may be a zombie, which is just as well.
            let _ = kill_process(*child, Signal::KILL);
        }
    })?;
    // Whatever a killed monitor leaves behind is ours to end.
    set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
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
