//! Where a checkpoint file is written: as a whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tempfile::NamedTempFile;

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
    /// There is something else than a regular file, or no folder for it.
    pub(crate) fn new(name: &Path) -> Result<Self> {
        let shown = name.display();
        let (path, permissions) = match fs::metadata(name) {
            Ok(found) => {
                ensure!(found.is_file(), "{shown}: is not a regular file");
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

    /// Replaces what is there by a file with these bytes and the same permissions.
    /// Whatever happens, it is the old file or the new one, complete.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        self.replace(bytes).with_context(|| format!("writing {}", self.name.display()))
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        // In the same folder, so that renaming stays within a file system.
        let mut file = temporary_in(&self.folder)?;
        file.write_all(bytes)?;
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

/// A new file, which vanishes unless it gets another name.
fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".cap_map.").tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn write(path: &Path, bytes: &[u8]) -> Result<()> {
        Destination::new(path)?.write(bytes)
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
        assert_eq!(fs::read(&path).unwrap(), b"new");
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
        fs::write(&path, b"old").unwrap();
        write(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn only_regular_files_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), Path::new("/dev/null"), Path::new("/")] {
            let error = Destination::new(path).unwrap_err();
            assert!(error.to_string().ends_with(": is not a regular file"), "{error:#}");
        }
        let error = Destination::new(&folder.path().join("none/checkpoint")).unwrap_err();
        assert!(error.to_string().contains(": there is no folder "), "{error:#}");
        let path = folder.path().join("checkpoint");
        fs::write(&path, b"old").unwrap();
        assert!(Destination::new(&path.join("below")).is_err());
        let error = Destination::new(&folder.path().join("none/")).unwrap_err();
        assert!(error.to_string().ends_with(": names a folder"), "{error:#}");
        // Nobody makes files there.
        let error = Destination::new(Path::new("/proc/checkpoint")).unwrap_err();
        assert!(error.to_string().ends_with(": no file can be made there"), "{error:#}");
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        let destination = Destination::new(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let error = destination.write(b"new").unwrap_err();
        assert!(format!("{error:#}").contains("checkpoint"), "{error:#}");
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
