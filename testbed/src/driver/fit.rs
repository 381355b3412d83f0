//! Whether this program can continue a checkpoint.

use anyhow::Result;

use crate::checkpoint::{Checkpoint, Refusal};
use crate::memory::{image_bytes, table_address, table_bytes};
use crate::process::this_program;
use crate::wire::{IMAGE_ADDRESS, TARGET_ENTRYPOINTS};

/// Refuses what this program cannot continue, before anything is started.
pub(super) fn check_fits(checkpoint: &Checkpoint) -> Result<()> {
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
