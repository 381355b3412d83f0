//! A system: core, clients, and a monitor with its target.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tempfile::NamedTempFile;

use crate::checkpoint::{ClientState, container};
use crate::control::{ClientAnswer, ClientOrder, Control, MonitorAnswer, MonitorOrder};
use crate::memory::{contents, file_of};
use crate::process::Process;
use crate::wire::{Caller, Cap, *};

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

/// A memory image may hold secrets of the component.
const MODE: u32 = 0o600;

/// Where a checkpoint is to be kept: a regular file, or none yet.
#[derive(Debug)]
pub(crate) struct Destination {
    /// As the user calls it.
    name: PathBuf,
    /// Where symbolic links lead to.
    path: PathBuf,
    folder: PathBuf,
    permissions: Permissions,
}

impl Destination {
    /// Looks at what is there now, so that a mistake shows before the work.
    ///
    /// # Errors
    /// There is something else than a regular file, a file that is no checkpoint (unless that
    /// is to be replaced by `force`), or no folder for it.
    pub(crate) fn new(name: &Path, force: bool) -> Result<Self> {
        let shown = name.display();
        let (path, permissions) = match fs::metadata(name) {
            Ok(found) => {
                ensure!(found.is_file(), "{shown}: is not a regular file");
                let is_ours = force || found.len() == 0 || is_checkpoint(name);
                ensure!(is_ours, "{shown}: is no checkpoint; --force replaces it");
                let path = fs::canonicalize(name).with_context(|| format!("{shown}"))?;
                (path, found.permissions())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                ensure!(!name.is_symlink(), "{shown}: is a link that leads nowhere");
                ensure!(name.file_name().is_some(), "{shown}: names no file");
                let path = std::path::absolute(name).with_context(|| format!("{shown}"))?;
                (path, Permissions::from_mode(MODE))
            }
            Err(error) => return Err(error).context(format!("{shown}")),
        };
        let Some(folder) = path.parent().map(Path::to_owned) else {
            bail!("{shown}: is not in a folder")
        };
        let is_folder = fs::metadata(&folder).is_ok_and(|found| found.is_dir());
        ensure!(is_folder, "{shown}: there is no folder {}", folder.display());
        ensure!(!name.as_os_str().as_bytes().ends_with(b"/"), "{shown}: names a folder");
        temporary_in(&folder).with_context(|| format!("{shown}: no file can be made there"))?;
        Ok(Destination { name: name.to_owned(), path, folder, permissions })
    }

    /// Replaces what is there by a file with these bytes, compressed, and the same permissions.
    /// Whatever happens, it is the old file or the new one, complete.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        self.replace(|file| {
            // With a checksum of its own, and readable by the program zstd.
            let mut encoder = zstd::stream::write::Encoder::new(file, 0)?;
            encoder.include_checksum(true)?;
            encoder.set_pledged_src_size(Some(bytes.len() as u64))?;
            encoder.write_all(bytes)?;
            encoder.finish().map(|_| ())
        })
    }

    /// The same without compression.
    pub(crate) fn write_plain(&self, bytes: &[u8]) -> Result<()> {
        self.replace(|file| file.write_all(bytes))
    }

    fn replace(&self, write: impl FnOnce(&mut NamedTempFile) -> io::Result<()>) -> Result<()> {
        self.replace_by(write).with_context(|| format!("writing {}", self.name.display()))
    }

    fn replace_by(
        &self,
        write: impl FnOnce(&mut NamedTempFile) -> io::Result<()>,
    ) -> io::Result<()> {
        // In the same folder, so that renaming stays within a file system.
        let mut file = temporary_in(&self.folder)?;
        write(&mut file)?;
        file.as_file().set_permissions(self.permissions.clone())?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        // Then the new name is as durable as the contents.
        match File::open(&self.folder) {
            Ok(folder) => folder.sync_all(),
            // A folder may be writable and not readable.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Whether the first bytes of a file are those of a checkpoint. One that cannot be read is none.
fn is_checkpoint(path: &Path) -> bool {
    let mut start = [0; 8];
    let is_read = File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok();
    is_read && container::begins(start)
}

/// A new file, which vanishes unless it gets another name.
fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".cap_map.").tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn write(path: &Path, bytes: &[u8]) -> Result<()> {
        Destination::new(path, false)?.write(bytes)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn replaces_as_a_whole_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(crate::checkpoint::read_file(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn images_are_private_and_files_keep_their_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        write(&path, b"new").unwrap();
        assert_eq!(mode(&path), 0o600);
        for kept in [0o400, 0o644] {
            fs::set_permissions(&path, Permissions::from_mode(kept)).unwrap();
            write(&path, b"newer").unwrap();
            assert_eq!(mode(&path), kept);
        }
    }

    #[test]
    fn links_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [path, link] = ["checkpoint", "link"].map(|name| folder.path().join(name));
        symlink("checkpoint", &link).unwrap();
        let error = write(&link, b"new").unwrap_err();
        assert!(error.to_string().ends_with("link: is a link that leads nowhere"), "{error:#}");
        fs::write(&path, b"").unwrap();
        write(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(crate::checkpoint::read_file(&path).unwrap(), b"new");
    }

    #[test]
    fn only_regular_files_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), Path::new("/dev/null"), Path::new("/")] {
            let error = Destination::new(path, true).unwrap_err();
            assert!(error.to_string().ends_with(": is not a regular file"), "{error:#}");
        }
        let error = Destination::new(&folder.path().join("none/checkpoint"), false).unwrap_err();
        assert!(error.to_string().contains(": there is no folder "), "{error:#}");
        let path = folder.path().join("checkpoint");
        fs::write(&path, b"old").unwrap();
        assert!(Destination::new(&path.join("below"), false).is_err());
        let error = Destination::new(&folder.path().join("none/"), false).unwrap_err();
        assert!(error.to_string().ends_with(": names a folder"), "{error:#}");
        // Nobody makes files there.
        let error = Destination::new(Path::new("/proc/checkpoint"), false).unwrap_err();
        assert!(error.to_string().ends_with(": no file can be made there"), "{error:#}");
    }

    #[test]
    fn a_file_that_is_no_checkpoint_is_replaced_by_force_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes");
        for notes in [&b"notes"[..], b"a longer text of mine"] {
            fs::write(&path, notes).unwrap();
            let error = Destination::new(&path, false).unwrap_err();
            assert!(error.to_string().ends_with("is no checkpoint; --force replaces it"));
            assert_eq!(fs::read(&path).unwrap(), notes);
        }
        Destination::new(&path, true).unwrap().write(b"new").unwrap();
        // What it has written, it replaces, and what others have written without compression.
        write(&path, b"newer").unwrap();
        fs::write(&path, container::encode(&[])).unwrap();
        write(&path, b"newest").unwrap();
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        let destination = Destination::new(&path, false).unwrap();
        fs::create_dir(&path).unwrap();
        let error = destination.write(b"new").unwrap_err();
        assert!(format!("{error:#}").contains("checkpoint"), "{error:#}");
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

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
