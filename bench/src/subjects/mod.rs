//! The subjects: our table, the tree that it replaces, and what else there is. Those
//! written in C++ are in `cpp/`.

pub(crate) mod ours;

mod bare;
mod hash_map;
mod rb_map;

use crate::ops::{COMPONENT, MapOps, PoolOps, Subject};

unsafe extern "C" {
    safe static avl_map_ops: MapOps;
    safe static avl_core_map_ops: MapOps;
    safe static list_map_ops: MapOps;
    safe static avl_pool_ops: PoolOps;
    safe static avl_core_pool_ops: PoolOps;
}

/// The names of the subjects; ours come first, then the one to beat.
pub(crate) const OURS: &str = "ours";
pub(crate) const PUBLISHED: &str = "ours, published";
pub(crate) const TREE: &str = "AVL tree";
/// The least that a table can do.
pub(crate) const BARE: &str = "bare";

/// All subjects that can cope with a table of this capacity.
pub(crate) fn subjects(capacity: u32) -> Vec<Subject> {
    let core = capacity > COMPONENT;
    let (tree, tree_pool) =
        if core { (&avl_core_map_ops, &avl_core_pool_ops) } else { (&avl_map_ops, &avl_pool_ops) };
    let (bare, bare_pool) =
        if core { (&bare::WIDE, &bare::WIDE_POOL) } else { (&bare::NARROW, &bare::NARROW_POOL) };
    let ours = |name, map| Subject { name, map, pool: Some(&ours::POOL), windows: true };
    let mut all = vec![
        ours(OURS, &ours::PRIVATE),
        ours(PUBLISHED, &ours::PUBLISHED),
        Subject { name: TREE, map: tree, pool: Some(tree_pool), windows: true },
        Subject { name: "red-black", map: &rb_map::OPS, pool: None, windows: true },
        Subject { name: "hash", map: &hash_map::OPS, pool: Some(&hash_map::POOL), windows: false },
        Subject { name: BARE, map: bare, pool: Some(bare_pool), windows: true },
    ];
    if !core {
        all.push(Subject { name: "list", map: &list_map_ops, pool: None, windows: true });
    }
    all
}
