//! Files that are read once and with a bound.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result};

/// Longest file that is read; the testbed's own have a few MiB.
const MAX_BYTES: u64 = 64 << 20;

/// All bytes of a file that is not too long to be one of ours. `-` is the standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().take(MAX_BYTES + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("{shown}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        let refusal = super::Refusal { offset: MAX_BYTES, reason: "file is too long".into() };
        return Err(refusal).context(format!("{shown}"));
    }
    Ok(bytes)
}
