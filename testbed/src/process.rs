//! Processes of a system: the program itself under hidden subcommands.

use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{
    Pid, Resource, Signal, WaitOptions, getppid, getrlimit, kill_process, set_child_subreaper,
    set_parent_process_death_signal, setrlimit, waitpid,
};

use crate::wire::{CORE_SLOTS, FD_BASE, SERVER_MAX};

/// Descriptors that a process may need: slots, server ends, and some for itself.
const DESCRIPTORS: u64 = {
    let slots = if CORE_SLOTS > SERVER_MAX { CORE_SLOTS } else { SERVER_MAX };
    (FD_BASE + slots + 1024) as u64
};

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
        let program = std::env::current_exe().context("path of this program")?;
        let child = Command::new(program)
            .arg(name)
            .arg("--parent")
            .arg(std::process::id().to_string())
            .args(arguments)
            .stdin(Stdio::from(control))
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("start of {name}"))?;
        Ok(Process { child, name })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Stops the process, and returns when it stands still.
    pub(crate) fn stop(&self) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::STOP).with_context(|| format!("stopping {}", self.name))?;
        match waitpid(Some(pid), WaitOptions::UNTRACED)? {
            Some((_, status)) if status.stopped() => Ok(()),
            _ => bail!("{} ended instead of stopping", self.name),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
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
        bail!("started by nobody");
    }
    Ok(())
}

/// Driver: prepares for having children and their children.
pub(crate) fn become_driver() -> Result<()> {
    // Whatever a killed monitor leaves behind is ours to end.
    set_child_subreaper(Some(rustix::process::getpid()))?;
    raise_descriptor_limit()
}

/// Raises the limit of open descriptors as far as needed; children inherit it.
fn raise_descriptor_limit() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= DESCRIPTORS) {
        return Ok(());
    }
    if let Some(most) = limit.maximum.filter(|most| *most < DESCRIPTORS) {
        bail!(
            "a process of the testbed needs {DESCRIPTORS} open descriptors, \
             but the limit is {most} (ulimit -Hn)"
        );
    }
    limit.current = Some(DESCRIPTORS);
    setrlimit(Resource::Nofile, limit).context("raising the limit of open descriptors")
}
