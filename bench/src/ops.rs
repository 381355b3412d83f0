//! What a subject is: a map and an object pool behind tables of functions that have the
//! signatures of `cap_map.h`. The same structures are declared in `cpp/slots.h`.

use cap_map_ffi::{Status, cap_map_kernel, cap_map_node, cap_map_owner, cap_map_pool};

type Owner = *const cap_map_owner;

/// Functions of a map.
#[repr(C)]
pub(crate) struct MapOps {
    pub(crate) find: unsafe extern "C" fn(Owner, badge: u32, slot: *mut u32) -> Status,
    pub(crate) insert: unsafe extern "C" fn(Owner, badge: u32, slot: *mut u32) -> Status,
    pub(crate) insert_at: unsafe extern "C" fn(Owner, badge: u32, slot: u32) -> Status,
    pub(crate) insert_map: unsafe extern "C" fn(
        Owner,
        badge: u32,
        selector: usize,
        kernel: *const cap_map_kernel,
        slot: *mut u32,
    ) -> Status,
    pub(crate) remove: unsafe extern "C" fn(Owner, slot: u32) -> Status,
    pub(crate) alloc: unsafe extern "C" fn(Owner, count: u32, first: *mut u32) -> Status,
    pub(crate) free: unsafe extern "C" fn(Owner, first: u32, count: u32) -> Status,
    pub(crate) acquire: unsafe extern "C" fn(Owner, slot: u32) -> Status,
    pub(crate) release:
        unsafe extern "C" fn(Owner, slot: u32, last: *mut bool, badge: *mut u32) -> Status,
    pub(crate) create: unsafe extern "C" fn(capacity: u32, first_user: u32) -> *mut cap_map_owner,
    pub(crate) destroy: unsafe extern "C" fn(*mut cap_map_owner),
}

/// Functions of an object pool. A node has 64 bytes.
#[repr(C)]
pub(crate) struct PoolOps {
    pub(crate) insert:
        unsafe extern "C" fn(*const cap_map_pool, Owner, *mut cap_map_node, slot: u32) -> Status,
    pub(crate) remove:
        unsafe extern "C" fn(*const cap_map_pool, Owner, *const cap_map_node) -> Status,
    pub(crate) acquire:
        unsafe extern "C" fn(*const cap_map_pool, Owner, badge: u32) -> *mut cap_map_node,
    pub(crate) release: unsafe extern "C" fn(*const cap_map_node) -> Status,
    pub(crate) create: unsafe extern "C" fn() -> *mut cap_map_pool,
    pub(crate) destroy: unsafe extern "C" fn(*mut cap_map_pool),
}

/// Slots of a component and of core, and the first one for the component itself.
pub(crate) const COMPONENT: u32 = 4096;
pub(crate) const CORE: u32 = 128 * 1024;
pub(crate) const FIRST_USER: u32 = 0x200;

/// What `insert_map` asks the kernel in the baselines written here: whether the known
/// slot holds the same object, or to map it to the slot that `insert` returns.
///
/// # Errors
/// [`Status::Forged`], [`Status::OutOfSlots`], [`Status::MapFailed`].
///
/// # Safety
/// 1. `kernel` is valid, and its functions take anything.
#[inline]
pub(crate) unsafe fn ask_kernel(
    kernel: *const cap_map_kernel,
    selector: usize,
    known: Option<u32>,
    insert: impl FnOnce() -> Option<u32>,
) -> Result<u32, Status> {
    // SAFETY: duty 1.
    let kernel = unsafe { &*kernel };
    let (Some(equal), Some(map)) = (kernel.equal, kernel.map) else {
        return Err(Status::BadArgument);
    };
    match known {
        Some(slot) => {
            // SAFETY: duty 1.
            let same = unsafe { equal(kernel.context, (slot as usize) << 12, selector) };
            same.then_some(slot).ok_or(Status::Forged)
        }
        None => {
            let slot = insert().ok_or(Status::OutOfSlots)?;
            // SAFETY: duty 1.
            let mapped = unsafe { map(kernel.context, selector, (slot as usize) << 12) };
            mapped.then_some(slot).ok_or(Status::MapFailed)
        }
    }
}

/// Writes a slot that was found, or returns why there is none.
///
/// # Safety
/// 1. `out` is valid.
#[inline]
pub(crate) unsafe fn answer(result: Result<u32, Status>, out: *mut u32) -> Status {
    match result {
        Ok(value) => {
            // SAFETY: duty 1.
            unsafe { out.write(value) };
            Status::Ok
        }
        Err(status) => status,
    }
}

/// Who is measured.
#[derive(Clone, Copy)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) map: &'static MapOps,
    pub(crate) pool: Option<&'static PoolOps>,
    /// Whether it has windows of consecutive slots.
    pub(crate) windows: bool,
}

/// A map of some subject.
pub(crate) struct Map {
    ops: &'static MapOps,
    owner: *mut cap_map_owner,
}

impl Map {
    pub(crate) fn new(ops: &'static MapOps, capacity: u32) -> Self {
        // SAFETY: creation has no duties; the owner is used with these functions only.
        let owner = unsafe { (ops.create)(capacity, FIRST_USER) };
        assert!(!owner.is_null(), "map not created");
        Map { ops, owner }
    }

    pub(crate) fn owner(&self) -> Owner {
        self.owner
    }

    #[inline]
    pub(crate) fn find(&self, badge: u32) -> Option<u32> {
        let mut slot = 0;
        // SAFETY: the owner was created by the same table; `slot` is valid.
        let status = unsafe { (self.ops.find)(self.owner, badge, &mut slot) };
        (status == Status::Ok).then_some(slot)
    }

    #[inline]
    pub(crate) fn insert(&self, badge: u32) -> Option<u32> {
        let mut slot = 0;
        // SAFETY: as in `find`.
        let status = unsafe { (self.ops.insert)(self.owner, badge, &mut slot) };
        (status == Status::Ok).then_some(slot)
    }

    pub(crate) fn insert_at(&self, badge: u32, slot: u32) -> Status {
        // SAFETY: as in `find`.
        unsafe { (self.ops.insert_at)(self.owner, badge, slot) }
    }

    #[inline]
    pub(crate) fn insert_map(&self, badge: u32, kernel: &cap_map_kernel) -> Option<u32> {
        let mut slot = 0;
        // SAFETY: as in `find`; the functions of `kernel` take anything.
        let status = unsafe { (self.ops.insert_map)(self.owner, badge, 0x1000, kernel, &mut slot) };
        (status == Status::Ok).then_some(slot)
    }

    #[inline]
    pub(crate) fn remove(&self, slot: u32) -> bool {
        // SAFETY: as in `find`.
        unsafe { (self.ops.remove)(self.owner, slot) == Status::Ok }
    }

    #[inline]
    pub(crate) fn alloc(&self, count: u32) -> Option<u32> {
        let mut first = 0;
        // SAFETY: as in `find`.
        let status = unsafe { (self.ops.alloc)(self.owner, count, &mut first) };
        (status == Status::Ok).then_some(first)
    }

    #[inline]
    pub(crate) fn free(&self, first: u32, count: u32) -> bool {
        // SAFETY: as in `find`.
        unsafe { (self.ops.free)(self.owner, first, count) == Status::Ok }
    }

    #[inline]
    pub(crate) fn acquire(&self, slot: u32) -> bool {
        // SAFETY: as in `find`.
        unsafe { (self.ops.acquire)(self.owner, slot) == Status::Ok }
    }

    /// Whether it was the last reference; `None` on failure.
    #[inline]
    pub(crate) fn release(&self, slot: u32) -> Option<bool> {
        let (mut last, mut badge) = (false, 0);
        // SAFETY: as in `find`.
        let status = unsafe { (self.ops.release)(self.owner, slot, &mut last, &mut badge) };
        (status == Status::Ok).then_some(last)
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: created by the same table, not used any more.
        unsafe { (self.ops.destroy)(self.owner) }
    }
}
