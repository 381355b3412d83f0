//! The memory that all processes share at one fixed address: the table's
//! private memory, its regions, and the ledger of what everybody intends.
//!
//! A killed process leaves exactly this memory behind, so mapping it in a new
//! process is what restoring a checkpoint is. All of it is valid when zeroed.

#![allow(unsafe_code)]

use std::ffi::{CString, c_void};
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cap_map_rs::layout::{OFF_BATCH, REGION_ALIGN, SLOTS, WORD_BYTES};
use cap_map_rs::memory::{Private, region_at};
use cap_map_rs::pool::{Node, Pool};
use cap_map_rs::sync::RelaxStrategy;
use cap_map_rs::word::BatchWord;
use cap_map_rs::{Config, Identity, Owner, Region, Slot, SlotWord};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mprotect};
use nix::time::{ClockId, clock_gettime};

use crate::ledger::Ledger;

/// First slot that the owner allocates itself.
pub(crate) const FIRST_USER: u32 = 8;
/// Badges from here on are handed out once each.
pub(crate) const FIRST_BADGE: u32 = 1024;
/// Badges in use are below this.
pub(crate) const BADGES: usize = 1 << 23;

/// Where everybody maps the memory.
const BASE: usize = 0x2000_0000_0000;
const OFF_POOLS: usize = 0xc00;
const OFF_PRIVATE: usize = 0x1000;
const OFF_AREAS: usize = 0x10000;
/// Bytes of an area, which a region is the end of.
const AREA_BYTES: usize = 0xa000;
/// Regions that a table may move to.
pub(crate) const REGIONS: usize = 3;
const OFF_LEDGER: usize = OFF_AREAS + REGIONS * AREA_BYTES;
const PAGE: usize = 0x1000;
const OFF_IDENTS: usize = 0x20_0000;
const OFF_PREDECESSORS: usize = OFF_IDENTS + 4 * BADGES;
const BYTES: usize = OFF_PREDECESSORS + 4 * BADGES;

/// Bytes from the start on that are the table: private memory and regions.
pub(crate) const TABLE_BYTES: usize = OFF_LEDGER;

const _: () = assert!(OFF_LEDGER + size_of::<Ledger>() <= OFF_IDENTS);

std::thread_local! {
    static WAITS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    static IMPATIENT: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Yields the processor, and counts.
pub(crate) struct Relax;

impl RelaxStrategy for Relax {
    fn relax() {
        if IMPATIENT.get() {
            resume_unwind(Box::new(()));
        }
        WAITS.set(WAITS.get().wrapping_add(1));
        std::thread::yield_now();
    }
}

/// Microseconds of processor time that this thread has used: what it spends
/// stopped or waiting for a processor does not count.
pub(crate) fn processor_micros() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map_or(0, |time| u64::try_from(Duration::from(time).as_micros()).unwrap_or(u64::MAX))
}

/// The waits of this thread since the last call.
pub(crate) fn waits() -> u32 {
    WAITS.replace(0)
}

/// Does `work` unless it would have to wait; tells whether it did.
pub(crate) fn without_waiting(work: impl FnOnce()) -> bool {
    IMPATIENT.set(true);
    let done = catch_unwind(AssertUnwindSafe(work)).is_ok();
    IMPATIENT.set(false);
    done
}

/// What the table's header says about its component.
pub(crate) fn identity() -> Identity {
    Identity { boot: 1, instance: 2, ..Identity::labelled(b"torture").unwrap_or(Identity::UNKNOWN) }
}

/// The table's type in this program.
pub(crate) type Table = Owner<'static, Relax>;

/// Nodes of objects.
pub(crate) const NODES: usize = 3;

/// Object pools and nodes, in the memory that is saved with the table.
pub(crate) struct Pools {
    pub(crate) pools: [Pool<Relax>; 2],
    pub(crate) nodes: [Node; NODES],
}

/// The shared memory, mapped.
#[derive(Clone, Copy)]
pub(crate) struct World(());

impl World {
    /// Fresh memory, mapped in place of what was mapped before.
    pub(crate) fn create() -> nix::Result<(World, OwnedFd)> {
        let name = CString::new("torture").unwrap_or_default();
        let fd = memfd_create(name.as_c_str(), MFdFlags::empty())?;
        nix::unistd::ftruncate(&fd, i64::try_from(BYTES).unwrap_or(i64::MAX))?;
        Ok((Self::map(fd.as_raw_fd(), MapFlags::MAP_FIXED)?, fd))
    }

    /// The memory that another process of this program created.
    pub(crate) fn attach(fd: RawFd) -> nix::Result<World> {
        Self::map(fd, MapFlags::MAP_FIXED_NOREPLACE)
    }

    fn map(fd: RawFd, fixed: MapFlags) -> nix::Result<World> {
        // SAFETY: the descriptor is open during the call.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_SHARED | fixed;
        // SAFETY: this address range is used for nothing else in this program,
        // and what was there before held the same types.
        unsafe {
            mmap(
                NonZeroUsize::new(BASE),
                NonZeroUsize::MIN.saturating_add(BYTES - 1),
                rights,
                flags,
                fd,
                0,
            )
        }?;
        Ok(World(()))
    }

    fn at<T>(offset: usize) -> *mut T {
        std::ptr::with_exposed_provenance_mut(BASE + offset)
    }

    /// The ledger.
    pub(crate) fn ledger(self) -> &'static Ledger {
        // SAFETY: mapped since `self` exists, within `BYTES`, aligned; all its
        // parts are atomic and valid whatever their bytes are.
        unsafe { &*Self::at(OFF_LEDGER) }
    }

    /// The identity of the capability that carries each badge.
    pub(crate) fn idents(self) -> &'static [AtomicU32] {
        // SAFETY: as for the ledger.
        unsafe { std::slice::from_raw_parts(Self::at(OFF_IDENTS), BADGES) }
    }

    /// The badge that a monitor replaced by each fresh one; zero for all others.
    pub(crate) fn predecessors(self) -> &'static [AtomicU32] {
        // SAFETY: as for the ledger.
        unsafe { std::slice::from_raw_parts(Self::at(OFF_PREDECESSORS), BADGES) }
    }

    /// Whether `badge` is `earlier`, or was put in its place by batches of fresh badges.
    pub(crate) fn descends(self, badge: u32, earlier: u32) -> bool {
        let mut at = badge;
        // Each fresh badge is larger than all before it.
        while at > earlier {
            at = self.predecessors().get(at as usize).map_or(0, |before| before.load(SeqCst));
        }
        at == earlier
    }

    /// Begin and size of a region, as large as the ledger says.
    fn place(self, number: usize) -> (usize, usize) {
        let size = SLOTS + self.ledger().capacity.load(SeqCst) as usize * WORD_BYTES;
        let end = OFF_AREAS + (number + 1) * AREA_BYTES;
        (end - size.next_multiple_of(REGION_ALIGN), size)
    }

    /// One of the regions.
    pub(crate) fn region(self, number: usize) -> Region<'static> {
        let (begin, size) = self.place(number);
        // SAFETY: mapped for good and accessed by atomics only; the step
        // driver, which restores images, does so while nothing else runs.
        unsafe { region_at(Self::at(begin), size) }
            .unwrap_or_else(|status| self.ledger().violate(status.message()))
    }

    /// The raw words of a region: header, then slots.
    pub(crate) fn words(self, number: usize) -> &'static [AtomicU64] {
        let (begin, size) = self.place(number);
        // SAFETY: as for the ledger.
        unsafe { std::slice::from_raw_parts(Self::at(begin), size / WORD_BYTES) }
    }

    /// Zeroes a region that nobody uses.
    pub(crate) fn clear(self, number: usize) {
        self.words(number).iter().for_each(|word| word.store(0, SeqCst));
    }

    /// Takes away, from this process, the pages in front of each region, which
    /// are those behind the one before.
    pub(crate) fn fence(self) -> nix::Result<()> {
        for number in 0..REGIONS {
            let area = OFF_AREAS + number * AREA_BYTES;
            let pages = (self.place(number).0 - area) / PAGE * PAGE;
            let Some(begin) = NonNull::new(Self::at::<c_void>(area)) else { continue };
            // SAFETY: no region of this capacity has a byte there.
            unsafe { mprotect(begin, pages, ProtFlags::PROT_NONE) }?;
        }
        Ok(())
    }

    /// A fresh table in region 0, not yet published.
    pub(crate) fn found(self) -> &'static Table {
        let capacity = self.ledger().capacity.load(SeqCst) as usize;
        let config = Config {
            first_user: FIRST_USER,
            shift: 12,
            badge_bits: 28,
            wait_budget: self.ledger().wait_budget.load(SeqCst),
            is_core: false,
        };
        let room = OFF_AREAS - OFF_PRIVATE;
        // SAFETY: mapped for good; only the table made below uses it.
        let private = unsafe { Private::at(Self::at(OFF_PRIVATE), room, capacity) };
        let table = private.and_then(|private| Table::new(config, private, self.region(0)));
        match table {
            // SAFETY: mapped, aligned, large enough (checked here), unused.
            Ok(table) => unsafe { Self::at::<Table>(0).write(table) },
            Err(status) => self.ledger().violate(status.message()),
        }
        self.table()
    }

    /// The table that [`World::found`] made, in this process or another one.
    pub(crate) fn table(self) -> &'static Table {
        const { assert!(size_of::<Table>() <= OFF_POOLS) };
        // SAFETY: `found` comes first; its pointers hold in every process, as
        // all map the memory at the same address, and it has no others.
        unsafe { &*Self::at(0) }
    }

    /// The table, taken up by a process that nobody else works on it.
    pub(crate) fn recovered(self) -> &'static Table {
        let table = self.table();
        // SAFETY: its former process is dead or will be rewound (duty 1).
        unsafe { table.recover() };
        table
    }

    /// The batch word of a region.
    pub(crate) fn batch_word(self, number: usize) -> BatchWord {
        BatchWord(self.words(number)[OFF_BATCH / WORD_BYTES].load(SeqCst))
    }

    /// What the slots of a region say, straight from the memory.
    pub(crate) fn slots(self, number: usize) -> Vec<SlotWord> {
        let slots = &self.words(number)[SLOTS / WORD_BYTES..];
        slots.iter().map(|word| SlotWord(word.load(SeqCst))).collect()
    }

    /// What each slot of a table at rest means. The memory says which slots carry badges,
    /// and the owner says which of the others are reserved.
    pub(crate) fn meanings(self, number: usize) -> Vec<Slot> {
        let bank = self.batch_word(number).bank();
        let meaning = |(slot, word): (u32, SlotWord)| match word.decode(bank) {
            Slot::Free if self.table().entry(slot) == Ok(Slot::Reserved) => Slot::Reserved,
            meaning => meaning,
        };
        (0..).zip(self.slots(number)).map(meaning).collect()
    }

    /// Fresh pools and nodes of the table.
    pub(crate) fn found_pools(self) {
        const { assert!(OFF_POOLS + size_of::<Pools>() <= OFF_PRIVATE) };
        let pools = Pools {
            pools: std::array::from_fn(|_| Pool::new()),
            nodes: std::array::from_fn(|_| Node::new()),
        };
        // SAFETY: mapped, aligned, large enough (checked here), unused.
        unsafe { Self::at::<Pools>(OFF_POOLS).write(pools) };
    }

    /// What [`World::found_pools`] made, in this process or another one.
    pub(crate) fn pools(self) -> &'static Pools {
        // SAFETY: as for the table.
        unsafe { &*Self::at(OFF_POOLS) }
    }

    /// All bytes that a stopped table consists of.
    pub(crate) fn save(self, image: &mut Vec<u8>) {
        image.clear();
        // SAFETY: mapped; everybody who might write is stopped.
        image.extend_from_slice(unsafe { std::slice::from_raw_parts(Self::at(0), TABLE_BYTES) });
    }

    /// Puts back what [`World::save`] saved.
    pub(crate) fn restore(self, image: &[u8]) {
        // SAFETY: as above; references into the table are not in use meanwhile.
        unsafe {
            std::ptr::copy_nonoverlapping(image.as_ptr(), Self::at(0), TABLE_BYTES.min(image.len()))
        }
    }
}
