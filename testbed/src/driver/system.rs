//! A system: core, clients, and a monitor with its target.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::checkpoint::ClientState;
use crate::control::{ClientAnswer, ClientOrder, Control, MonitorAnswer, MonitorOrder};
use crate::memory::{contents, file_of};
use crate::process::Process;
use crate::rpc::{Caller, Cap};
use crate::wire::*;

/// Badge numbers of a system: never those of the one before, but as many of them as
/// possible, at other objects. First badge and distance from one to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbering {
    pub(crate) start: u32,
    pub(crate) step: i32,
}

/// The numbering of the system of a round.
pub(crate) fn numbering(seed: u64, round: u32, objects: u32) -> Numbering {
    let mut random = fastrand::Rng::with_seed(seed);
    let base = 0x1000 + 4 * random.u32(..0x1000);
    match round % 4 {
        0 => Numbering { start: base, step: 4 },
        // Each object gets the number that a neighbour had.
        1 => Numbering { start: base + 4 * (1 + round % 7), step: 4 },
        // The other way round: the first get the numbers of the last.
        2 => Numbering { start: base + 4 * (objects + 100), step: -4 },
        // Numbers of others, and numbers that were not in use.
        _ => Numbering { start: base + 8, step: 8 },
    }
}

/// A running system. All its processes end when it is dropped.
pub(crate) struct System {
    pub(crate) tools: Cap,
    pub(crate) caller: Caller,
    /// Memory of the target's table.
    pub(crate) table: Option<File>,
    // The order matters: the monitor ends before its target is looked for, and
    // before it could end on its own.
    _monitor_process: Process,
    target: Orphan,
    monitor: Control,
    _clients_process: Process,
    clients: Control,
    _core_process: Process,
}

/// The target, which becomes a child of the driver when its monitor ends.
struct Orphan(Option<Pid>);

impl Drop for Orphan {
    fn drop(&mut self) {
        let Some(pid) = self.0 else { return };
        // Otherwise the number may be that of another process by now.
        if let Ok(None) = waitpid(Some(pid), WaitOptions::NOHANG) {
            // Both work on a child, whatever state it is in.
            let _ = kill_process(pid, Signal::KILL);
            let _ = waitpid(Some(pid), WaitOptions::empty());
        }
    }
}

fn controlled(name: &'static str) -> Result<(Process, Control)> {
    let (ours, theirs) = UnixStream::pair()?;
    let process = Process::spawn(name, &[], OwnedFd::from(theirs))?;
    Ok((process, Control::master(ours)?))
}

impl System {
    /// Starts core, clients and monitor; there is no target yet.
    pub(crate) fn start(numbering: Numbering, seed: u64, state: &ClientState) -> Result<Self> {
        let (core, theirs) = pair()?;
        let arguments =
            [format!("--start={}", numbering.start), format!("--step={}", numbering.step)];
        let core_process = Process::spawn("core", &arguments, theirs)?;
        let ready = wait_readable(&[core.as_fd()], Some(TIMEOUT))?;
        ready.context("core does not start")?;
        let (message, fds) = receive(core.as_fd()).context("core does not start")?;
        let fd = fds.into_iter().next().context("core has no tools")?;
        let tools = Cap { fd: Arc::new(fd), badge: message.badge[0] };

        let (clients_process, clients) = controlled("clients")?;
        let (monitor_process, monitor) = controlled("monitor")?;
        let system = System {
            tools,
            caller: Caller::new()?,
            table: None,
            _monitor_process: monitor_process,
            target: Orphan(None),
            monitor,
            _clients_process: clients_process,
            clients,
            _core_process: core_process,
        };
        let setup = ClientOrder::Setup { tools: system.tools.badge, seed, state: state.clone() };
        system.clients(&setup)?;
        Ok(system)
    }

    /// Starts a new target.
    pub(crate) fn start_target(&mut self, seed: u64) -> Result<()> {
        let order = MonitorOrder::Start { tools: self.tools.badge, seed };
        self.run_target(&order, None).map(|_| ())
    }

    /// Brings up the target from the bytes of a checkpoint. Returns the slots that were left
    /// out when the badges were rewritten.
    pub(crate) fn restore_target(&mut self, saved: &[u8]) -> Result<Vec<u32>> {
        let saved = file_of("checkpoint", saved)?;
        let order = MonitorOrder::Restore { tools: self.tools.badge };
        self.run_target(&order, Some(saved.as_fd()))
    }

    fn run_target(
        &mut self,
        order: &MonitorOrder,
        saved: Option<BorrowedFd<'_>>,
    ) -> Result<Vec<u32>> {
        let fds: Vec<_> = std::iter::once(self.tools.fd.as_fd()).chain(saved).collect();
        let (answer, fds) = self.monitor.order(order, &fds)?;
        let MonitorAnswer::Running { target, left_out } = answer else {
            bail!("monitor: no target")
        };
        self.target.0 = Pid::from_raw(i32::try_from(target)?);
        self.table = fds.into_iter().next().map(File::from);
        Ok(left_out)
    }

    /// Gives the target a larger table if it is about to run out of slots. Returns whether it
    /// was.
    pub(crate) fn provide_slots(&mut self) -> Result<bool> {
        let (answer, fds) = self.monitor(&MonitorOrder::ProvideSlots)?;
        let grown = matches!(answer, MonitorAnswer::Grown);
        if grown {
            self.table = fds.into_iter().next().map(File::from);
        }
        Ok(grown)
    }

    /// Saves the stopped target: the bytes of a checkpoint.
    pub(crate) fn save(&self, clients: ClientState) -> Result<Vec<u8>> {
        let (_, fds) = self.monitor(&MonitorOrder::Save { clients })?;
        contents(&fds.into_iter().next().context("no checkpoint")?.into())
    }

    /// Process number of the target.
    pub(crate) fn target(&self) -> Result<u32> {
        let pid = self.target.0.context("there is no target")?;
        Ok(u32::try_from(pid.as_raw_nonzero().get())?)
    }

    /// Gives an order to the monitor.
    pub(crate) fn monitor(&self, order: &MonitorOrder) -> Result<(MonitorAnswer, Vec<OwnedFd>)> {
        self.monitor.order(order, &[]).context("monitor")
    }

    /// Gives an order to the clients.
    pub(crate) fn clients(&self, order: &ClientOrder) -> Result<ClientAnswer> {
        let (answer, _) = self.clients.order(order, &[self.tools.fd.as_fd()]).context("clients")?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn badges_stay_within_their_range_and_change_from_round_to_round() {
        for seed in 0..100 {
            for round in 0..50 {
                let here = numbering(seed, round, 30_000);
                assert_ne!(here, numbering(seed, round + 1, 30_000));
                assert!(here.start.is_multiple_of(4) && here.step % 4 == 0);
                // Twice the objects that clients come up with besides.
                let last = i64::from(here.start) + 30_400 * i64::from(here.step);
                assert!((4..1 << 27).contains(&last), "{here:?}");
            }
        }
    }
}
