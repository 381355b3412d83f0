//! The models. Each is one execution that loom repeats for every order of the
//! threads' steps within the bound, and for every value that a load may see.

mod growth;
mod monitors;
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
    snapshots::snapshot_against_high_water, 2,
        "a consistent snapshot shows the slots that the owner has used for the first time";
    snapshots::stamp_against_owner, 2,
        "nothing has changed between two looks with the same steady stamp";
    snapshots::snapshot_against_batch, 2,
        "a consistent snapshot shows all of a batch or nothing, and says which";
    snapshots::snapshot_against_two_batches, 2,
        "a consistent snapshot is of one generation";
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
    owners::first_reference_against_forged_insert_map, 2,
        "the first reference comes and goes during a comparison with a forged capability: the slot is freed";
    owners::insert_against_remove, 2,
        "of two badges in one probe sequence one comes while the other one goes";
    owners::move_against_find, 2,
        "a badge is found at every moment of a move";
    growth::growth_against_find, 2,
        "badges are found at every moment of a growth and a move, also in a slot that came by them";
    growth::growth_against_removal, 2,
        "a look-up that goes on in the index of before a growth is not misled by changes since";
    growth::growth_against_count, 2,
        "references are counted at every moment of a growth, also those of a slot that came by it";
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
    rewriting::two_batches_against_find, 2,
        "a badge that a second batch has only put beside the one that counts is not found";
    rewriting::two_batches_against_look, 3,
        "a badge that a second batch has only put beside the one that counts is not seen";
    rewriting::batch_elsewhere_against_look, 2,
        "a badge that a batch has put beside the one of a slot that was in no batch before is not seen";
    rewriting::removed_before_the_batch, 2,
        "a slot that lost its badge before the batch never shows the new one";
    rewriting::left_out_against_remove, 2,
        "a batch names the slots that the owner has written since, and no others";
    rewriting::rewrite_against_release, 2,
        "the badge that comes with the last reference is one that the slot carried";
    rewriting::rewrite_against_detach, 2,
        "a detached slot keeps a badge that it carried";
    rewriting::rewrite_against_two_insertions, 2,
        "an announcement that is used again does not hide the badge before";
    rewriting::swap_against_reinsertion, 2,
        "a badge whose slot goes comes back once, by the owner or by a batch";
    rewriting::rewrite_against_refresh, 2,
        "an index that is rebuilt during a batch is of one generation";
    monitors::attach_against_publication, 2,
        "a monitor that finds a table published sees each badge that was entered before";
    monitors::two_monitors, 2,
        "of two monitors that rewrite the same slots one succeeds, and the other knows that it did not";
    monitors::badge_passed_on, 3,
        "a badge goes to another slot only after the slot that carried it has another one";
    monitors::claim_after_release, 2,
        "a monitor that gets the claim sees what the last holder did";
    monitors::refused_against_batch, 3,
        "what a refused batch leaves does not become a badge by the next one";
    monitors::take_over_against_insert, 2,
        "what a dead monitor left does not stand in the way of the owner, nor become a badge";
    monitors::take_over_after_the_flip, 2,
        "a batch whose monitor died behind the flip counts for owner and monitors";
    pools::dispatch_against_destruction, 3,
        "an object is not destroyed while somebody uses it";
    pools::dispatch_against_destruction_in_chain, 3,
        "an object further down its chain is not destroyed while somebody uses it";
    pools::two_dispatches_against_destruction_in_chain, 2,
        "the same with a second user, which may come when the destruction waits already";
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
    pools::reinsertion_against_removal, 4,
        "a node that leaves is not inserted elsewhere while somebody may look at it";
    pools::dispatch_against_reuse, 3,
        "a badge never leads to the object that took over its slot";
    pools::dispatch_against_swap, 2,
        "a badge leads to one object or the other while a monitor swaps it";
}
