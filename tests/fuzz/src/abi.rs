//! The C ABI: valid or null pointers, arbitrary numbers, and a hostile region.
//!
//! Longer than 450 lines because it calls each function of the C interface.

#![allow(unsafe_code)]

use std::cell::{Cell, OnceCell};
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::atomic::Ordering;

use cap_map_ffi::*;
use cap_map_rs::layout::*;
use cap_map_rs::limits::LOST_RACES;

use crate::hostile::Input;
use crate::hostile::{Relax, Script, bounded, hook, under_attack};
use crate::memory::{Block, Guarded, Place};

/// The function that the library asks its environment for.
#[unsafe(no_mangle)]
extern "C" fn cap_map_relax() {
    <Relax as cap_map_rs::sync::RelaxStrategy>::relax();
}

thread_local! {
    static MEMORY: OnceCell<[Guarded; 2]> = const { OnceCell::new() };
    static ANSWERS: Cell<u64> = const { Cell::new(0) };
}

/// What the table's header says.
const IDENTITY: cap_map_identity =
    cap_map_identity { label: [0; CAP_MAP_LABEL_BYTES], boot: 1, instance: 2, pd: 4, parent: 8 };

const NODES: usize = 4;
const SLOT_LIMIT: u32 = 128;

/// More than any call of these tests waits.
const BOUND: u64 = LOST_RACES as u64 * 32 * (8 + 8);

fn answer() -> bool {
    hook();
    ANSWERS.set(ANSWERS.get().rotate_right(1));
    ANSWERS.get() & 1 == 0
}

unsafe extern "C" fn equal(_: *mut c_void, _: usize, _: usize) -> bool {
    answer()
}

unsafe extern "C" fn valid(_: *mut c_void, _: usize) -> bool {
    answer()
}

unsafe extern "C" fn map(_: *mut c_void, _: usize, _: usize) -> bool {
    answer() || answer()
}

unsafe extern "C" fn vanished(_: *mut c_void, _: usize, _: u32) {}

/// Outputs, each of which a call may get or not.
#[derive(Default)]
struct Outputs {
    number: u32,
    other: u32,
    flag: bool,
    state: u32,
}

/// A pointer to `value`, or null.
fn maybe<T>(input: &mut Input<'_>, value: &mut T) -> *mut T {
    if input.byte().is_multiple_of(8) { null_mut() } else { value }
}

/// The target.
pub fn run(data: &[u8]) {
    let memory = MEMORY.with(|memory| *memory.get_or_init(|| [Guarded::new(), Guarded::new()]));
    let mut input = Input::new(data);
    let mode = input.byte();
    let place = if mode & 2 == 0 { Place::Back } else { Place::Front };
    let mut block = Block::new(cap_map_owner_size(SLOT_LIMIT));
    let size = match input.byte() {
        0 => usize::from(input.u16()) % Guarded::BYTES,
        slots => SLOTS + WORD_BYTES * (MIN_CAPACITY + 8 * usize::from(slots % 16)),
    };
    let arbitrary = mode & 4 != 0;
    let config = cap_map_config {
        max_slots: if arbitrary { input.number() } else { SLOT_LIMIT },
        first_user: if arbitrary { input.number() } else { 8 },
        shift: if arbitrary { input.number() } else { 12 },
        badge_bits: if arbitrary { input.number() } else { 28 },
        wait_budget: u32::from(mode >> 4 & 7),
        core: u32::from(mode & 0xf0 == 0xf0),
    };
    let private = block.bytes() - if arbitrary { usize::from(input.byte()) } else { 0 };
    let mut owner = null_mut();
    let region = memory[0].at(place, size).cast();
    // SAFETY: both memories are as large as told, and used by the library only.
    let status = unsafe {
        cap_map_owner_create(
            block.base().cast(),
            private,
            region,
            size,
            &raw const config,
            &raw mut owner,
        )
    };
    if status != Status::Ok {
        return;
    }
    assert!(config.max_slots <= SLOT_LIMIT, "more slots than there is memory for");
    let identity = IDENTITY;
    // SAFETY: as above.
    let published = unsafe { cap_map_owner_publish(owner, &raw const identity) };
    if config.core != 0 {
        assert_eq!(published, Status::BadKind, "no monitor may rewrite core's table");
        return;
    }
    assert_eq!(published, Status::Ok);
    let words = memory[0].words(place, size / 64 * 64);
    let words = if size.is_multiple_of(64) { words } else { memory[0].all() };
    let script = Script::decode(&mut input, words);
    let threaded = mode & 9 == 1;
    let mut test = Test {
        owner,
        monitor: None,
        regions: memory,
        place,
        pools: [const { cap_map_pool { opaque: [0; 4] } }; 2],
        nodes: [const { cap_map_node { opaque: [0; 6] } }; NODES],
        pins: [0; NODES],
        members: [false; NODES],
        threaded,
    };
    test.init();
    under_attack(&script, threaded, || {
        for _ in 0..96 {
            if input.is_empty() {
                break;
            }
            hook();
            bounded(BOUND, || test.step(&mut input));
        }
    });
    test.end();
}

struct Test {
    owner: *mut cap_map_owner,
    monitor: Option<cap_map_monitor>,
    regions: [Guarded; 2],
    place: Place,
    pools: [cap_map_pool; 2],
    nodes: [cap_map_node; NODES],
    pins: [u32; NODES],
    /// Which nodes are members of a pool.
    members: [bool; NODES],
    /// Whether the peer writes at any moment.
    threaded: bool,
}

// Every call below keeps the duties of the exported functions: pointers are
// null or lead to live values of this frame, sizes are those of the memory.
#[allow(clippy::undocumented_unsafe_blocks, clippy::multiple_unsafe_ops_per_block)]
impl Test {
    fn init(&mut self) {
        for pool in &mut self.pools {
            assert_eq!(unsafe { cap_map_pool_init(pool) }, Status::Ok);
        }
        for node in &mut self.nodes {
            assert_eq!(unsafe { cap_map_node_init(node) }, Status::Ok);
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let owner: *const cap_map_owner =
            if input.byte().is_multiple_of(32) { null() } else { self.owner };
        match input.byte() % 8 {
            0 | 1 => self.slot_call(owner, input),
            2 | 3 => self.badge_call(owner, input),
            4 => self.region_call(owner, input),
            5 => self.pool_call(owner, input),
            _ => self.monitor_call(input),
        }
    }

    fn slot_call(&mut self, owner: *const cap_map_owner, input: &mut Input<'_>) {
        let mut out = Outputs::default();
        let (kind, slot, count) = (input.byte() % 8, input.number(), input.number());
        let first = maybe(input, &mut out.number);
        let capacity = unsafe { cap_map_owner_capacity(owner) };
        match kind {
            0 => {
                if unsafe { cap_map_slot_alloc(owner, count, first) } == Status::Ok {
                    assert!(count != 0 && count <= capacity && out.number <= capacity - count);
                }
            }
            1 => {
                if unsafe { cap_map_slot_alloc_at(owner, slot) } == Status::Ok {
                    assert!(slot < capacity);
                }
            }
            2 => unsafe {
                let _ = cap_map_slot_free(owner, slot, count);
            },
            3 => {
                let state = maybe(input, &mut out.state).cast();
                let badge = maybe(input, &mut out.other);
                let status = unsafe { cap_map_slot_entry(owner, slot, state, badge) };
                assert!(status != Status::Ok || slot < capacity);
                assert!(matches!(out.state, 0..=3 | 7), "state {}", out.state);
            }
            4 => unsafe {
                let _ = cap_map_slot_badge(owner, slot);
                let _ = cap_map_slot_remove(owner, slot);
            },
            5 => unsafe {
                let _ = cap_map_ref_acquire(owner, slot);
            },
            6 => unsafe {
                let badge = maybe(input, &mut out.other);
                let last = maybe(input, &mut out.flag);
                let _ = cap_map_ref_release(owner, slot, last, badge);
            },
            _ => assert!(unsafe { cap_map_ref_count(owner, slot) } <= 0xffff),
        }
    }

    fn badge_call(&mut self, owner: *const cap_map_owner, input: &mut Input<'_>) {
        let mut out = Outputs::default();
        let (kind, badge, slot) = (input.byte() % 8, input.number(), input.number());
        let to = maybe(input, &mut out.number);
        let capacity = unsafe { cap_map_owner_capacity(owner) };
        let status = match kind {
            0 => unsafe { cap_map_badge_find(owner, badge, to) },
            1 => unsafe { cap_map_badge_find_acquire(owner, badge, to) },
            2..4 => unsafe { cap_map_badge_insert(owner, badge, to) },
            4 | 5 => unsafe { cap_map_badge_insert_at(owner, badge, slot) },
            _ => {
                ANSWERS.set(input.u64());
                let mut kernel = cap_map_kernel {
                    context: null_mut(),
                    equal: Some(equal),
                    valid: Some(valid),
                    map: (slot != 77).then_some(map),
                    vanished: Some(vanished),
                };
                let kernel = maybe(input, &mut kernel);
                let selector = (slot as usize).rotate_left(u32::from(kind));
                unsafe { cap_map_badge_insert_map(owner, badge, selector, kernel, to) }
            }
        };
        assert!(status != Status::Ok || out.number < capacity);
    }

    fn region_call(&mut self, owner: *const cap_map_owner, input: &mut Input<'_>) {
        let kind = input.byte() % 8;
        let mut identity = IDENTITY;
        for (to, from) in identity.label.iter_mut().zip(input.bytes(CAP_MAP_LABEL_BYTES)) {
            *to = *from;
        }
        let identity = maybe(input, &mut identity);
        match kind {
            0..3 => {
                let again = unsafe { cap_map_owner_publish(owner, identity) };
                assert_ne!(again, Status::Ok, "published twice");
            }
            3 => {
                let described = unsafe { cap_map_owner_describe(owner, identity) };
                assert_ne!(described, Status::Ok, "a published table is described");
            }
            4 | 5 => self.move_call(owner, identity, input),
            _ => unsafe {
                let _ = cap_map_owner_recover(owner);
            },
        }
    }

    fn move_call(
        &mut self,
        owner: *const cap_map_owner,
        identity: *const cap_map_identity,
        input: &mut Input<'_>,
    ) {
        let size = usize::from(input.u16()) % Guarded::BYTES / 64 * 64;
        let which = usize::from(input.byte() % 4);
        let area_bytes = input.number();
        let identity = unsafe { identity.as_ref() };
        let publication = identity.map(|identity| cap_map_publication {
            identity: *identity,
            area_bytes,
            area_version: input.number(),
        });
        let publication = publication.as_ref().map_or(null(), std::ptr::from_ref);
        // Memory that another table lay in is refused, and so is that of this one.
        if which == 1 {
            self.regions[1].all().iter().for_each(|word| word.store(0, Ordering::Relaxed));
        }
        let memory = self.regions[usize::from(which != 0)];
        let region = memory.at(self.place, size).cast();
        let header = memory.words(self.place, size).iter().take(SLOTS / WORD_BYTES);
        // The peer of another thread may write meanwhile.
        let is_blank =
            self.threaded || header.into_iter().all(|word| word.load(Ordering::Relaxed) == 0);
        let mut offset = 0;
        let to = maybe(input, &mut offset);
        let status = unsafe { cap_map_owner_move(owner, region, size, publication, to) };
        if status == Status::Ok {
            assert!(which != 0, "moved to where it is");
            assert!(is_blank, "moved over another table");
            assert!(!publication.is_null(), "a published table became private");
            let end = offset as usize + area_bytes as usize;
            assert!(offset == 0 || end <= size, "an area outside the memory");
            self.regions.swap(0, 1);
            self.monitor = None;
        }
    }

    fn pool_call(&mut self, owner: *const cap_map_owner, input: &mut Input<'_>) {
        let (kind, number) = (input.byte() % 8, input.number());
        let pool: *const cap_map_pool = &self.pools[usize::from(input.byte() % 2)];
        let at = usize::from(input.byte()) % NODES;
        let node: *mut cap_map_node = &mut self.nodes[at];
        let found = match kind {
            0 | 1 => unsafe {
                self.members[at] |= cap_map_pool_insert(pool, owner, node, number) == Status::Ok;
                return;
            },
            2 => unsafe {
                // Leaving a pool needs the owner that it was entered with.
                self.members[at] &= cap_map_pool_remove(pool, self.owner, node) != Status::Ok;
                return;
            },
            3 => {
                if self.pins[at] > 0 {
                    self.pins[at] -= 1;
                    assert_eq!(unsafe { cap_map_node_release(node) }, Status::Ok);
                } else if !self.members[at] {
                    // Who is still a member is waited for without end: its users may
                    // be counted in the head of its chain.
                    assert_eq!(unsafe { cap_map_node_drain(node) }, Status::Ok);
                }
                return;
            }
            4 => unsafe { cap_map_pool_first(pool) },
            5 => unsafe { cap_map_pool_acquire_slot(pool, owner, number) },
            _ => unsafe { cap_map_pool_acquire(pool, owner, number) },
        };
        if !found.is_null() {
            let at = self.nodes.iter().position(|node| std::ptr::eq(node, found));
            self.pins[at.expect("a node of a pool")] += 1;
        }
    }

    fn monitor_call(&mut self, input: &mut Input<'_>) {
        let Some(monitor) = self.monitor.as_ref() else { return self.attach(input) };
        let mut out = Outputs::default();
        let mut shape = cap_map_header {
            capacity: 0,
            first_user: 0,
            shift: 0,
            badge_bits: 0,
            kind: cap_map_kind::Private,
            area_offset: 0,
            area_bytes: 0,
            area_version: 0,
            identity: IDENTITY,
        };
        let _ = unsafe { cap_map_monitor_header(monitor, &raw mut shape) };
        let (kind, number) = (input.byte() % 8, input.number());
        match kind {
            0 => self.attach(input),
            1 => unsafe {
                let mut stamp = cap_map_stamp { sequence: 0, generation: 0 };
                let _ = cap_map_monitor_stamp(monitor, maybe(input, &mut stamp));
                if number.is_multiple_of(4) {
                    let _ = cap_map_monitor_take_over(monitor);
                }
            },
            2 => unsafe {
                let state = maybe(input, &mut out.state).cast();
                let status =
                    cap_map_monitor_entry(monitor, number, state, maybe(input, &mut out.other));
                assert!(status != Status::Ok || number < shape.capacity);
            },
            3 => unsafe {
                let to = maybe(input, &mut out.number);
                let status =
                    cap_map_monitor_next(monitor, number, to, maybe(input, &mut out.other));
                assert!(status != Status::Ok || out.number < shape.capacity);
            },
            4 => {
                let count = (number as usize).min(2 * SLOT_LIMIT as usize);
                let mut words = vec![0u64; count].into_boxed_slice();
                let stamp = cap_map_stamp { sequence: 0, generation: 0 };
                let mut taken =
                    cap_map_snapshot { stamp, attempts: 0, slots: 0, consistent: false };
                let to = maybe(input, &mut taken);
                let status =
                    unsafe { cap_map_monitor_snapshot(monitor, words.as_mut_ptr(), count, to) };
                assert!(status != Status::Ok || taken.slots as usize <= count, "all that fits");
            }
            _ => {
                let mut batch: Vec<_> = (0..number % 16)
                    .map(|_| {
                        Rewrite::new(
                            input.number(),
                            4 * u32::from(input.byte() % 64),
                            input.number(),
                        )
                    })
                    .collect();
                let to = maybe(input, &mut out.number);
                let _ = unsafe {
                    cap_map_monitor_rewrite(monitor, batch.as_mut_ptr(), batch.len(), to)
                };
            }
        }
        let word = u64::from(number) << 32 | u64::from(number);
        let state = unsafe { cap_map_word_entry(word, &raw mut out.other) };
        assert!(matches!(state as u32, 0..=3 | 7));
        let message = cap_map_status_message(number);
        assert!(!unsafe { std::ffi::CStr::from_ptr(message) }.is_empty());
        let _ = (cap_map_region_size(number), cap_map_owner_size(number));
    }

    fn attach(&mut self, input: &mut Input<'_>) {
        let size = match input.byte() {
            0 => usize::from(input.u16()) % Guarded::BYTES,
            slots => SLOTS + WORD_BYTES * (MIN_CAPACITY + 8 * usize::from(slots % 16)),
        };
        let memory = self.regions[0].at(self.place, size).cast();
        let mut monitor = cap_map_monitor { opaque: [0; 24] };
        let wait_budget = u32::from(input.byte() % 8);
        let to = maybe(input, &mut monitor);
        let status = unsafe { cap_map_monitor_attach(memory, size, wait_budget, to) };
        // The address of an unaligned size is not that of the region.
        self.monitor = (status == Status::Ok).then_some(monitor);
    }

    /// Takes all nodes out, as they are about to go.
    fn end(&mut self) {
        for (at, node) in self.nodes.iter().enumerate() {
            for pool in &self.pools {
                let _ = unsafe { cap_map_pool_remove(pool, self.owner, node) };
            }
            (0..self.pins[at]).for_each(|_| unsafe {
                let _ = cap_map_node_release(node);
            });
            assert_eq!(unsafe { cap_map_node_drain(node) }, Status::Ok);
        }
        for pool in &self.pools {
            assert!(unsafe { cap_map_pool_first(pool) }.is_null(), "a pool without members");
        }
    }
}
