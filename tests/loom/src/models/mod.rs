//! The models. Each is one execution that loom repeats for every order of the
//! threads' steps within the bound, and for every value that a load may see.

mod helping;
mod owners;
mod pools;
mod rewriting;
mod snapshots;

use crate::runner::Model;

macro_rules! models {
    ($($module:ident::$name:ident, $preemptions:literal, $claim:literal;)*) => {
        /// All models.
        pub(crate) const ALL: &[Model] = &[$(Model {
            name: concat!(stringify!($module), "::", stringify!($name)),
            claim: $claim,
            preemptions: $preemptions,
            run: $module::$name,
        }),*];
    };
}

models! {
    snapshots::snapshot_against_owner, 2,
        "a consistent snapshot shows the table at one instant of the owner's writes";
    snapshots::snapshot_against_batch, 2,
        "a consistent snapshot shows all of a batch or nothing; no snapshot shows a staged slot";
    snapshots::snapshot_against_window, 2,
        "a snapshot that shows a receive window shows what the owner did before it, too";
    snapshots::snapshot_against_allocation, 3,
        "receive windows do not keep a snapshot from being consistent at the first attempt";
    owners::find_against_remove, 3,
        "a badge is found while another one is removed from the same probe sequence";
    owners::insert_against_insert, 3,
        "of two threads that insert a badge one succeeds, and the badge is found at once";
    owners::insert_map_against_insert_map, 2,
        "two threads that receive a capability share one slot with two references";
    owners::insert_map_against_remove, 2,
        "a reference got from insert_map survives the removal of the badge";
    owners::insert_map_against_reuse, 2,
        "a badge that arrives does not lead to the capability that took over its slot";
    owners::release_against_insert_map, 2,
        "the last reference goes while the badge arrives again: the new holder has a live slot";
    owners::release_against_forged_insert_map, 2,
        "the last reference goes during a comparison with a forged capability: one of both frees the slot";
    owners::insert_against_remove, 2,
        "of two badges in one probe sequence one comes while the other one goes";
    owners::move_against_find, 2,
        "a badge is found at every moment of a move";
    rewriting::rewrite_against_find, 2,
        "a rewritten badge is found under its new name from one instant on, and never not at all";
    rewriting::rebuild_against_find, 3,
        "badges are found while another thread rebuilds the index after a rewrite";
    rewriting::swap_against_find, 2,
        "swapped badges change places at one instant for whoever looks them up";
    rewriting::refused_against_find, 2,
        "a refused batch is never seen";
    rewriting::rewrite_against_insert, 2,
        "a badge that owner and monitor bring in at once exists once";
    rewriting::rewrite_against_remove, 2,
        "a removed badge stays removed, whatever a monitor makes of it meanwhile";
    rewriting::swap_against_remove, 2,
        "a batch on a slot that the owner removes is carried out before that, or not at all";
    rewriting::move_against_rewrite, 2,
        "a rewrite during a move arrives in the new table, or is refused";
    helping::helper_of_stopped_writer, 2,
        "a write section that a monitor finishes has its effect once, where it was meant";
    helping::stopped_writer_wakes_late, 3,
        "an owner that was helped does not undo what a monitor did to the slot since";
    helping::helper_wakes_late, 3,
        "a helper that was stopped does not bring back what the owner took out since";
    helping::stager_wakes_late, 2,
        "a monitor whose batch was aborted leaves nothing behind, however late it goes on";
    helping::resolver_meets_next_batch, 2,
        "an owner that resolves a dead monitor's batch late does not touch the next one";
    helping::resolver_meets_reused_number, 2,
        "an owner that resolves a dead monitor's batch late does not touch a later one of the same number";
    helping::reader_meets_reused_number, 2,
        "a reader that stops does not take a later batch of the same number for decided";
    pools::dispatch_against_destruction, 3,
        "an object is not destroyed while somebody uses it";
    pools::dispatch_against_destruction_in_chain, 3,
        "an object further down its chain is not destroyed while somebody uses it";
    pools::dispatch_past_removal, 3,
        "an object is found while its neighbour in the chain goes to another one";
    pools::dispatch_against_insertion, 3,
        "an object that gets a neighbour in its chain is not destroyed while somebody uses it";
    pools::dispatch_against_destruction_of_both, 3,
        "an object that loses its neighbour in the chain is not destroyed while somebody uses it";
    pools::transfer_against_destruction, 3,
        "an object whose users move from the head to it is not destroyed while somebody uses it";
    pools::transfer_against_transfer, 4,
        "an object is destroyed in the end, however often it was used";
    pools::dispatch_against_reuse, 3,
        "a badge never leads to the object that took over its slot";
    pools::dispatch_against_swap, 2,
        "a badge leads to one object or the other while a monitor swaps it";
}
