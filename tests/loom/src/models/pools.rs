//! Dispatch to objects that are removed and destroyed meanwhile.

#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::Arc;

use cap_map_rs::Rewrite;
use cap_map_rs::pool::{Node, Pool};
use loom::cell::UnsafeCell;
use loom::thread::JoinHandle;

use crate::table::{A, B, C, D, Table, Yield};

/// What a destroyed object contains.
const DEAD: u32 = 0;

/// An object; its content is the badge it was made for. Loom reports whoever
/// reads the content while another thread may be writing it.
#[repr(C)]
struct Object {
    node: Node,
    content: UnsafeCell<u32>,
}

/// Objects on the heap, freed when this is dropped.
struct Objects(Vec<NonNull<Object>>);

/// A table with a pool of objects, one per badge. The objects go last, as the
/// pool lets go of its members when it is dropped.
struct World {
    table: Arc<Table>,
    pool: Pool<Yield>,
    objects: Objects,
}

// SAFETY: objects are shared, as in a component; that is what is modelled.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

impl World {
    /// All objects are in one chain; the last one is its first.
    fn new(badges: &[u32]) -> Arc<World> {
        World::with(badges, badges.len())
    }

    /// Only the first `members` objects are in the pool.
    fn with(badges: &[u32], members: usize) -> Arc<World> {
        World::in_table(Table::new(badges), badges, members)
    }

    fn in_table(table: Arc<Table>, badges: &[u32], members: usize) -> Arc<World> {
        let objects = badges.iter().map(|badge| {
            let object = Object { node: Node::new(), content: UnsafeCell::new(*badge) };
            NonNull::from(Box::leak(Box::new(object)))
        });
        let objects = Objects(objects.collect());
        let world = Arc::new(World { table, pool: Pool::new(), objects });
        for (slot, object) in (0u32..).zip(&world.objects.0).take(members) {
            world.enter(*object, slot);
        }
        world
    }

    fn enter(&self, object: NonNull<Object>, slot: u32) {
        // SAFETY: objects and pool live as long as the model's execution.
        unsafe { self.pool.insert(&self.table.owner, object.cast::<Node>(), slot) }.unwrap();
    }

    fn spawn<T: 'static>(
        self: &Arc<Self>,
        role: impl FnOnce(&World) -> T + 'static,
    ) -> JoinHandle<T> {
        let world = Arc::clone(self);
        loom::thread::spawn(move || role(&world))
    }

    /// Dispatches to the object for `badge` and returns what it contains.
    fn dispatch(&self, badge: u32) -> Option<u32> {
        let node = self.pool.acquire(&self.table.owner, badge)?;
        Some(World::finish(node))
    }

    /// Dispatches to the object of a badge while dispatching to it, and returns
    /// what it contains for both.
    fn dispatch_twice(&self, badge: u32) -> [Option<u32>; 2] {
        let outer = self.pool.acquire(&self.table.owner, badge);
        let inner = self.pool.acquire(&self.table.owner, badge);
        [inner.map(World::finish), outer.map(World::finish)]
    }

    /// Uses a pinned object, and gives it back.
    fn finish(node: NonNull<Node>) -> u32 {
        let object = node.cast::<Object>();
        // SAFETY: pinned, which is what is modelled.
        let object = unsafe { object.as_ref() };
        // SAFETY: loom reports a concurrent writer.
        let content = object.content.with(|content| unsafe { *content });
        object.node.release();
        content
    }

    /// Removes and destroys the object of a slot.
    fn destroy(&self, slot: usize) {
        let object = self.objects.0[slot];
        // SAFETY: nobody but this function destroys it.
        let node = unsafe { &object.as_ref().node };
        self.pool.remove(&self.table.owner, node).unwrap();
        node.drain::<Yield>();
        // SAFETY: as above; loom reports a concurrent reader.
        unsafe { object.as_ref() }.content.with_mut(|content| unsafe { *content = DEAD });
        // The memory is used for something else: whoever still looks at the
        // node is reported by loom.
        // SAFETY: valid memory of the same type.
        unsafe { object.cast::<Node>().write(Node::new()) };
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        for object in self.0.drain(..) {
            // SAFETY: from `Box::leak`; table and pool are gone.
            drop(unsafe { Box::from_raw(object.as_ptr()) });
        }
    }
}

/// One thread uses an object that another one destroys.
pub(super) fn dispatch_against_destruction() {
    let world = World::new(&[A]);
    let destroyer = world.spawn(|world| world.destroy(0));
    let user = world.spawn(|world| assert!(matches!(world.dispatch(A), None | Some(A))));
    destroyer.join().unwrap();
    user.join().unwrap();
    assert_eq!(world.dispatch(A), None);
}

/// The object is the last of its chain.
pub(super) fn dispatch_against_destruction_in_chain() {
    let world = World::new(&[A, B]);
    let destroyer = world.spawn(|world| world.destroy(0));
    let user = world.spawn(|world| assert!(matches!(world.dispatch(A), None | Some(A))));
    destroyer.join().unwrap();
    user.join().unwrap();
    assert_eq!(world.dispatch(A), None);
    assert_eq!(world.dispatch(B), Some(B));
}

/// The same with two users, of which one may come when the removal waits for the other.
pub(super) fn two_dispatches_against_destruction_in_chain() {
    let world = World::new(&[A, B]);
    let destroyer = world.spawn(|world| world.destroy(0));
    let users =
        [0, 1].map(|_| world.spawn(|world| assert!(matches!(world.dispatch(A), None | Some(A)))));
    destroyer.join().unwrap();
    for user in users {
        user.join().unwrap();
    }
    assert_eq!((world.dispatch(A), world.dispatch(B)), (None, Some(B)));
}

/// The way to the last object of the chain leads past one that goes to another
/// chain, and has no other behind it there.
pub(super) fn dispatch_past_removal() {
    let world = World::new(&[A, B]);
    let elsewhere = World::with(&[B], 0);
    let other = Arc::clone(&elsewhere);
    let mover = world.spawn(move |world| {
        let object = world.objects.0[1];
        // SAFETY: nobody destroys it.
        let node = unsafe { &object.as_ref().node };
        world.pool.remove(&world.table.owner, node).unwrap();
        node.drain::<Yield>();
        other.enter(object, 0);
    });
    let user = world.spawn(|world| assert_eq!(world.dispatch(A), Some(A)));
    mover.join().unwrap();
    user.join().unwrap();
    assert_eq!((world.dispatch(B), elsewhere.dispatch(B)), (None, Some(B)));
}

/// The object is alone in its chain until another one comes in front of it.
pub(super) fn dispatch_against_insertion() {
    let world = World::with(&[A, B], 1);
    let maker = world.spawn(|world| {
        world.enter(world.objects.0[1], 1);
        world.destroy(0);
    });
    let user = world.spawn(|world| assert!(matches!(world.dispatch(A), None | Some(A))));
    maker.join().unwrap();
    user.join().unwrap();
    assert_eq!((world.dispatch(A), world.dispatch(B)), (None, Some(B)));
}

/// The object's neighbour in the chain is destroyed, then the object itself,
/// whether the chain was walked meanwhile or not.
pub(super) fn dispatch_against_destruction_of_both() {
    let world = World::new(&[A, B]);
    let destroyer = world.spawn(|world| {
        world.destroy(1);
        world.destroy(0);
    });
    let user = world.spawn(|world| assert!(matches!(world.dispatch(A), None | Some(A))));
    destroyer.join().unwrap();
    user.join().unwrap();
    assert_eq!((world.dispatch(A), world.dispatch(B)), (None, None));
}

/// So many arrivals that the user transfers them, while the object is destroyed.
pub(super) fn transfer_against_destruction() {
    let world = World::new(&[A]);
    let destroyer = world.spawn(|world| world.destroy(0));
    let user = world.spawn(|world| {
        let seen = world.dispatch_twice(A);
        assert!(seen.iter().all(|content| matches!(content, None | Some(A))));
    });
    destroyer.join().unwrap();
    user.join().unwrap();
    assert_eq!(world.dispatch(A), None);
}

/// Two users transfer at once; more arrivals than the head can count.
pub(super) fn transfer_against_transfer() {
    let world = World::new(&[A]);
    let users = [0, 1]
        .map(|_| world.spawn(|world| assert_eq!(world.dispatch_twice(A), [Some(A), Some(A)])));
    for user in users {
        user.join().unwrap();
    }
    world.destroy(0);
    assert_eq!(world.dispatch(A), None);
}

/// While an object is removed, another thread puts it into another chain, takes it out
/// there, and destroys it.
pub(super) fn reinsertion_against_removal() {
    let badges = [A, B, C, D];
    // Chain 0 leads from slot 2 to slot 0, and chain 1 to slot 1.
    let world = World::in_table(Table::with_chains(&badges, 2), &badges, 3);
    let user = world.spawn(|world| assert!(matches!(world.dispatch(A), None | Some(A))));
    let remover = world.spawn(|world| {
        // SAFETY: destroyed only when it has left the chain of slot 3.
        let node = unsafe { &world.objects.0[2].as_ref().node };
        world.pool.remove(&world.table.owner, node).unwrap();
    });
    let other = world.spawn(|world| {
        let node = world.objects.0[2].cast::<Node>();
        // SAFETY: objects and pool live as long as the model's execution.
        if unsafe { world.pool.insert(&world.table.owner, node, 3) }.is_ok() {
            world.destroy(2);
        }
    });
    user.join().unwrap();
    remover.join().unwrap();
    other.join().unwrap();
    assert_eq!((world.dispatch(A), world.dispatch(C)), (Some(A), None));
}

/// Another badge with an object of its own takes over the slot.
pub(super) fn dispatch_against_reuse() {
    let world = World::new(&[A]);
    let replacer = world.spawn(|world| {
        world.destroy(0);
        world.table.owner.remove(0).unwrap();
        assert_eq!(world.table.owner.insert(B), Ok(0));
        let object = world.objects.0[0];
        // SAFETY: destroyed above, and not yet in the pool again.
        unsafe { object.as_ref() }.content.with_mut(|content| unsafe { *content = B });
        world.enter(object, 0);
    });
    let user = world.spawn(|world| assert!(matches!(world.dispatch(A), None | Some(A))));
    replacer.join().unwrap();
    user.join().unwrap();
    assert_eq!(world.dispatch(B), Some(B));
}

/// A monitor swaps the badges of two objects.
pub(super) fn dispatch_against_swap() {
    let world = World::new(&[A, B]);
    let monitor = world.table.monitor();
    let rewriter = world.spawn(move |_| {
        monitor.rewrite(&mut [Rewrite::new(0, A, B), Rewrite::new(1, B, A)]).unwrap();
    });
    let user = world.spawn(|world| assert!(matches!(world.dispatch(A), Some(A | B))));
    rewriter.join().unwrap();
    user.join().unwrap();
    assert_eq!((world.dispatch(A), world.dispatch(B)), (Some(B), Some(A)));
}
