//! About the least that a table of this layout can do: the same memory, but for a
//! head per slot; the locked instructions that threads of one component need; and
//! hardly more. No monitor, no slot state, no private record, no check of an
//! argument or a bound, no count that saturates, and no tags in the index. It is
//! used by one thread. What the tree costs in units of this estimates what a table
//! can reach.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};

use cap_map_ffi::{Status, cap_map_kernel, cap_map_node, cap_map_owner, cap_map_pool};

use crate::ops::{MapOps, PoolOps, answer, ask_kernel};

/// An entry of the index: a slot number plus one, or zero.
trait Entry: Copy + Default + TryFrom<u32> + Into<u32> + 'static {}
impl Entry for u16 {}
impl Entry for u32 {}

struct Bare<E> {
    shift: u32,
    mask: usize,
    index: Vec<E>,
    /// Badges; zero for none.
    words: Vec<u64>,
    counts: Vec<AtomicU16>,
    heads: Vec<AtomicU64>,
    lock: AtomicBool,
    /// Set bits are free slots.
    free: Vec<u32>,
    /// No free slot is in a word before the first of these, no four in a row in
    /// one before the second.
    hints: [usize; 2],
}

const BITS: usize = u32::BITS as usize;

/// What an arrival adds to a head, as in our table.
const ONE: u64 = 1 << 48;

/// What a pool keeps in the memory of a node.
struct Node {
    slot: u32,
    pins: AtomicU32,
}

struct Ops<E>(PhantomData<E>);

/// The map and the pool for tables of up to 64 Ki slots, and for larger ones.
pub(crate) static NARROW: MapOps = Ops::<u16>::MAP;
pub(crate) static NARROW_POOL: PoolOps = Ops::<u16>::POOL;
pub(crate) static WIDE: MapOps = Ops::<u32>::MAP;
pub(crate) static WIDE_POOL: PoolOps = Ops::<u32>::POOL;

#[allow(clippy::mut_from_ref)]
unsafe fn table<'a, E>(owner: *const cap_map_owner) -> &'a mut Bare<E> {
    // SAFETY: the benchmark uses a table of this kind from one thread only.
    unsafe { &mut *owner.cast_mut().cast() }
}

/// An element, without a check: all places are below the length.
macro_rules! at {
    ($array:expr, $place:expr) => {
        // SAFETY: slots come from the table itself, places are masked.
        *unsafe { $array.get_unchecked_mut($place) }
    };
}

impl<E: Entry> Bare<E> {
    #[inline(always)]
    fn home(&self, badge: u32) -> usize {
        (badge.wrapping_mul(0x9e37_79b1) >> self.shift) as usize
    }

    #[inline(always)]
    fn slot_of(&mut self, badge: u32) -> Option<u32> {
        let mut place = self.home(badge);
        loop {
            let entry: u32 = at!(self.index, place).into();
            let slot = entry.checked_sub(1)?;
            if at!(self.words, slot as usize) == u64::from(badge) {
                return Some(slot);
            }
            place = (place + 1) & self.mask;
        }
    }

    #[inline(always)]
    fn locked<O>(&mut self, f: impl FnOnce(&mut Self) -> O) -> O {
        while self
            .lock
            .compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            std::hint::spin_loop();
        }
        let result = f(self);
        self.lock.store(false, Ordering::Release);
        result
    }

    /// Allocates the lowest run of slots whose number is `hint`'s.
    #[inline(always)]
    fn take(&mut self, hint: usize, count: u32) -> Option<u32> {
        let mut word = self.hints[hint];
        loop {
            let mut starts = *self.free.get(word)?;
            if count > 1 {
                starts &= starts >> 1;
                starts &= starts >> 2;
            }
            if starts != 0 {
                let bit = starts.trailing_zeros();
                at!(self.free, word) &= !((u32::MAX >> (32 - count)) << bit);
                self.hints[hint] = word;
                return u32::try_from(word * BITS).ok().map(|first| first + bit);
            }
            word += 1;
        }
    }

    #[inline(always)]
    fn give(&mut self, first: u32, count: u32) {
        let word = first as usize / BITS;
        at!(self.free, word) |= (u32::MAX >> (32 - count)) << (first % u32::BITS);
        self.hints = self.hints.map(|hint| hint.min(word));
    }

    /// Lets the slot carry the badge, unless another one does.
    #[inline(always)]
    fn file(&mut self, badge: u32, slot: u32) -> bool {
        let mut place = self.home(badge);
        loop {
            let entry: u32 = at!(self.index, place).into();
            let Some(other) = entry.checked_sub(1) else { break };
            if at!(self.words, other as usize) == u64::from(badge) {
                return false;
            }
            place = (place + 1) & self.mask;
        }
        at!(self.words, slot as usize) = u64::from(badge);
        at!(self.counts, slot as usize).store(0, Ordering::Relaxed);
        at!(self.index, place) = E::try_from(slot + 1).unwrap_or_default();
        true
    }

    #[inline(always)]
    fn insert(&mut self, badge: u32) -> Result<u32, Status> {
        self.locked(|table| {
            let taken = table.take(0, 1).ok_or(Status::OutOfSlots)?;
            if !table.file(badge, taken) {
                table.give(taken, 1);
                return Err(Status::Exists);
            }
            Ok(taken)
        })
    }

    #[inline(always)]
    fn acquire(&mut self, slot: u32) {
        at!(self.counts, slot as usize).fetch_add(1, Ordering::Relaxed);
    }

    /// Deletion by shifting back (Knuth 3, algorithm 6.4R).
    #[inline(always)]
    fn unfile(&mut self, slot: u32) {
        let badge = std::mem::take(&mut at!(self.words, slot as usize));
        let mut hole = self.home(u32::try_from(badge).unwrap_or(0));
        while at!(self.index, hole).into() != slot + 1 {
            hole = (hole + 1) & self.mask;
        }
        let mut place = hole;
        loop {
            place = (place + 1) & self.mask;
            let entry: u32 = at!(self.index, place).into();
            let Some(other) = entry.checked_sub(1) else { break };
            let badge = at!(self.words, other as usize);
            let home = self.home(u32::try_from(badge).unwrap_or(0));
            if place.wrapping_sub(home) & self.mask >= place.wrapping_sub(hole) & self.mask {
                at!(self.index, hole) = at!(self.index, place);
                hole = place;
            }
        }
        at!(self.index, hole) = E::default();
    }
}

impl<E: Entry> Ops<E> {
    const MAP: MapOps = MapOps {
        find: Self::find,
        insert: Self::insert,
        insert_at: Self::insert_at,
        insert_map: Self::insert_map,
        remove: Self::remove,
        alloc: Self::alloc,
        free: Self::free,
        acquire: Self::acquire,
        release: Self::release,
        create: Self::create,
        destroy: Self::destroy,
    };

    const POOL: PoolOps = PoolOps {
        insert: Self::pool_insert,
        remove: Self::pool_remove,
        acquire: Self::pool_acquire,
        release: Self::node_release,
        create: Self::pool_create,
        destroy: Self::pool_destroy,
    };

    unsafe extern "C" fn find(owner: *const cap_map_owner, badge: u32, slot: *mut u32) -> Status {
        // SAFETY: the owner came from `create`.
        let found = unsafe { table::<E>(owner) }.slot_of(badge);
        // SAFETY: the caller's `slot` is valid.
        unsafe { answer(found.ok_or(Status::NotFound), slot) }
    }

    unsafe extern "C" fn insert(owner: *const cap_map_owner, badge: u32, slot: *mut u32) -> Status {
        // SAFETY: the owner came from `create`.
        let taken = unsafe { table::<E>(owner) }.insert(badge);
        // SAFETY: the caller's `slot` is valid.
        unsafe { answer(taken, slot) }
    }

    unsafe extern "C" fn insert_at(owner: *const cap_map_owner, badge: u32, slot: u32) -> Status {
        // SAFETY: the owner came from `create`.
        let table = unsafe { table::<E>(owner) };
        at!(table.free, slot as usize / BITS) &= !(1 << (slot % u32::BITS));
        if table.file(badge, slot) { Status::Ok } else { Status::Exists }
    }

    unsafe extern "C" fn insert_map(
        owner: *const cap_map_owner,
        badge: u32,
        selector: usize,
        kernel: *const cap_map_kernel,
        slot: *mut u32,
    ) -> Status {
        // SAFETY: the owner came from `create`.
        let table = unsafe { table::<E>(owner) };
        let known = table.slot_of(badge);
        // SAFETY: the caller's `kernel` is valid.
        let entered = unsafe { ask_kernel(kernel, selector, known, || table.insert(badge).ok()) };
        let entered = entered.inspect(|slot| table.acquire(*slot));
        // SAFETY: the caller's `slot` is valid.
        unsafe { answer(entered, slot) }
    }

    unsafe extern "C" fn remove(owner: *const cap_map_owner, slot: u32) -> Status {
        // SAFETY: the owner came from `create`.
        unsafe { table::<E>(owner) }.locked(|table| {
            table.unfile(slot);
            table.give(slot, 1);
        });
        Status::Ok
    }

    unsafe extern "C" fn alloc(owner: *const cap_map_owner, count: u32, first: *mut u32) -> Status {
        // SAFETY: the owner came from `create`.
        let taken = unsafe { table::<E>(owner) }.locked(|table| {
            let taken = table.take(1, count)?;
            for slot in taken..taken + count {
                // What a monitor would see of it.
                at!(table.words, slot as usize) = u64::MAX;
                at!(table.counts, slot as usize).store(0, Ordering::Relaxed);
            }
            Some(taken)
        });
        // SAFETY: the caller's `first` is valid.
        unsafe { answer(taken.ok_or(Status::OutOfSlots), first) }
    }

    unsafe extern "C" fn free(owner: *const cap_map_owner, first: u32, count: u32) -> Status {
        // SAFETY: the owner came from `create`.
        unsafe { table::<E>(owner) }.locked(|table| {
            for slot in first..first + count {
                at!(table.words, slot as usize) = 0;
                at!(table.counts, slot as usize).store(u16::MAX, Ordering::Relaxed);
            }
            table.give(first, count);
        });
        Status::Ok
    }

    unsafe extern "C" fn acquire(owner: *const cap_map_owner, slot: u32) -> Status {
        // SAFETY: the owner came from `create`.
        unsafe { table::<E>(owner) }.acquire(slot);
        Status::Ok
    }

    unsafe extern "C" fn release(
        owner: *const cap_map_owner,
        slot: u32,
        last: *mut bool,
        badge: *mut u32,
    ) -> Status {
        // SAFETY: the owner came from `create`.
        let table = unsafe { table::<E>(owner) };
        let before = at!(table.counts, slot as usize).fetch_sub(1, Ordering::AcqRel);
        if before == 1 {
            let old = table.locked(|table| {
                let old = at!(table.words, slot as usize);
                table.unfile(slot);
                old
            });
            // SAFETY: the caller's `badge` is valid.
            unsafe { badge.write(u32::try_from(old).unwrap_or(0)) };
        }
        // SAFETY: the caller's `last` is valid.
        unsafe { last.write(before == 1) };
        Status::Ok
    }

    unsafe extern "C" fn create(capacity: u32, first_user: u32) -> *mut cap_map_owner {
        let capacity = capacity as usize;
        let places = (2 * capacity).next_power_of_two();
        let free = |word: usize| if word < first_user as usize / BITS { 0 } else { u32::MAX };
        let table = Bare {
            shift: 32 - places.trailing_zeros(),
            mask: places - 1,
            index: vec![E::default(); places],
            words: vec![0; capacity],
            counts: (0..capacity).map(|_| AtomicU16::new(u16::MAX)).collect(),
            heads: (0..capacity).map(|_| AtomicU64::new(0)).collect(),
            lock: AtomicBool::new(false),
            free: (0..capacity / BITS).map(free).collect(),
            hints: [0; 2],
        };
        Box::into_raw(Box::new(table)).cast()
    }

    unsafe extern "C" fn destroy(owner: *mut cap_map_owner) {
        // SAFETY: came from `create`.
        drop(unsafe { Box::from_raw(owner.cast::<Bare<E>>()) });
    }

    unsafe extern "C" fn pool_insert(
        _: *const cap_map_pool,
        owner: *const cap_map_owner,
        node: *mut cap_map_node,
        slot: u32,
    ) -> Status {
        let node = node.cast::<Node>();
        // SAFETY: a node has room for this, and nobody else knows it yet.
        unsafe { node.write(Node { slot, pins: AtomicU32::new(0) }) };
        // SAFETY: the owner came from `create`.
        let table = unsafe { table::<E>(owner) };
        at!(table.heads, slot as usize) = AtomicU64::new(node.expose_provenance() as u64);
        Status::Ok
    }

    unsafe extern "C" fn pool_remove(
        _: *const cap_map_pool,
        owner: *const cap_map_owner,
        node: *const cap_map_node,
    ) -> Status {
        // SAFETY: written at insertion.
        let slot = unsafe { &*node.cast::<Node>() }.slot;
        // SAFETY: the owner came from `create`.
        let table = unsafe { table::<E>(owner) };
        at!(table.heads, slot as usize) = AtomicU64::new(0);
        Status::Ok
    }

    /// The arrival is the pin, as in a chain of one node. The slot may have been used
    /// again before that.
    unsafe extern "C" fn pool_acquire(
        _: *const cap_map_pool,
        owner: *const cap_map_owner,
        badge: u32,
    ) -> *mut cap_map_node {
        // SAFETY: the owner came from `create`.
        let table = unsafe { table::<E>(owner) };
        let Some(slot) = table.slot_of(badge) else { return core::ptr::null_mut() };
        let head = at!(table.heads, slot as usize).fetch_add(ONE, Ordering::Acquire);
        if at!(table.words, slot as usize) != u64::from(badge) {
            return core::ptr::null_mut();
        }
        std::ptr::with_exposed_provenance_mut(usize::try_from(head & (ONE - 1)).unwrap_or(0))
    }

    unsafe extern "C" fn node_release(node: *const cap_map_node) -> Status {
        // SAFETY: written at insertion.
        unsafe { &*node.cast::<Node>() }.pins.fetch_sub(1, Ordering::Release);
        Status::Ok
    }

    /// A pool is nothing but its table's heads.
    unsafe extern "C" fn pool_create() -> *mut cap_map_pool {
        std::ptr::null_mut()
    }

    unsafe extern "C" fn pool_destroy(_: *mut cap_map_pool) {}
}
