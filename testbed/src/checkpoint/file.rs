//! Checkpoint files on disk: written as a whole or not at all, read with a bound.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Longest file that is read; the testbed's own have a few MiB.
const MAX_BYTES: u64 = 64 << 20;

/// Replaces `path` by a file with these bytes. Whatever happens, `path` is the
/// old file or the new one, complete.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = beside(path)?;
    let written = write_to(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path).context("renaming it"));
    if let Err(error) = written {
        // It may not exist; what counts is the error that came first.
        let _ = fs::remove_file(&temporary);
        return Err(error.context(format!("writing {}", path.display())));
    }
    // The new name is as durable as the contents.
    let folder = File::open(folder_of(path)).context("opening the folder")?;
    folder.sync_all().with_context(|| format!("syncing the folder of {}", path.display()))
}

fn write_to(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .with_context(|| format!("creating {}", path.display()))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name in the same folder, so that renaming stays within a file system.
fn beside(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.tmp", std::process::id()));
    Ok(folder_of(path).join(hidden))
}

/// All bytes of a file that is not too long to be one of ours.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("{shown}"))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).with_context(|| format!("{shown}"))?;
    ensure!(bytes.len() as u64 <= MAX_BYTES, "{shown}: at offset {MAX_BYTES}: file is too long");
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_as_a_whole_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        fs::create_dir(&path).unwrap();
        let error = write(&path, b"new").unwrap_err();
        assert!(format!("{error:#}").contains("checkpoint"), "{error:#}");
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
