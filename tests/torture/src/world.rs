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
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cap_map_rs::layout::{REGION_ALIGN, SLOTS, WORD_BYTES};
use cap_map_rs::memory::{Private, region_at};
use cap_map_rs::sync::RelaxStrategy;
use cap_map_rs::{Config, Owner, Region};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mprotect};
use nix::time::{ClockId, clock_gettime};

/// Largest capacity in use.
pub(crate) const MAX_SLOTS: usize = 4096;
/// First slot that the owner allocates itself.
pub(crate) const FIRST_USER: u32 = 8;
/// Owner threads at most.
pub(crate) const LANES: usize = 4;
/// Objects that several threads insert and release.
pub(crate) const OBJECTS: usize = 48;
/// Badges from here on are handed out once each.
pub(crate) const FIRST_BADGE: u32 = 1024;
/// Badges in use are below this.
pub(crate) const BADGES: usize = 1 << 23;

/// Where everybody maps the memory.
const BASE: usize = 0x2000_0000_0000;
const OFF_PRIVATE: usize = 0x1000;
const OFF_AREAS: usize = 0x10000;
/// Bytes of an area, which a region is the end of.
const AREA_BYTES: usize = 0xa000;
/// Regions that a table may move to.
pub(crate) const REGIONS: usize = 3;
const OFF_LEDGER: usize = OFF_AREAS + REGIONS * AREA_BYTES;
const PAGE: usize = 0x1000;
const OFF_IDENTS: usize = 0x20_0000;
const BYTES: usize = OFF_IDENTS + 4 * BADGES;

/// Bytes from the start on that are the table: private memory and regions.
pub(crate) const TABLE_BYTES: usize = OFF_LEDGER;

/// What an owner's thread or a monitor is doing.
#[repr(C)]
pub(crate) struct Lane {
    /// An [`crate::claims::Op`] in progress, or zero; its arguments follow.
    pub(crate) op: AtomicU32,
    pub(crate) slot: AtomicU32,
    pub(crate) count: AtomicU32,
    pub(crate) ident: AtomicU32,
    /// Operations finished.
    pub(crate) done: AtomicU64,
    /// The last pause that was observed.
    pub(crate) parked: AtomicU32,
    /// Most calls of the waiting strategy in one operation.
    pub(crate) waits: AtomicU32,
    /// Most processor time of one operation in microseconds.
    pub(crate) micros: AtomicU64,
}

/// One entry of the batch that the monitor works on.
#[repr(C)]
pub(crate) struct Entry {
    pub(crate) slot: AtomicU32,
    pub(crate) old: AtomicU32,
    pub(crate) new: AtomicU32,
    pub(crate) ident: AtomicU32,
}

/// The batch that the monitor works on, written before it begins.
#[repr(C)]
pub(crate) struct Batch {
    /// Counts the batches; moves on before anything else of it changes.
    pub(crate) number: AtomicU64,
    /// One of the constants of [`status`].
    pub(crate) status: AtomicU32,
    pub(crate) len: AtomicU32,
    pub(crate) entries: [Entry; MAX_SLOTS],
}

/// States of a [`Batch`].
pub(crate) mod status {
    /// Its entries are not complete; the table knows nothing of it.
    pub(crate) const PREPARING: u32 = 0;
    /// It may or may not have been committed.
    pub(crate) const INTENDED: u32 = 1;
    /// The table said so; the ledger may not know the new badges yet.
    pub(crate) const COMMITTED: u32 = 2;
    /// The ledger knows the new badges.
    pub(crate) const APPLIED: u32 = 3;
    /// Nothing has changed.
    pub(crate) const REFUSED: u32 = 4;
}

/// What everybody intends and has achieved.
#[repr(C)]
pub(crate) struct Ledger {
    pub(crate) capacity: AtomicU32,
    pub(crate) patience: AtomicU32,
    pub(crate) lanes_used: AtomicU32,
    /// Set by an owner that waits for the driver's go.
    pub(crate) ready: AtomicU32,
    pub(crate) go: AtomicU32,
    /// Odd: everybody pauses between two operations.
    pub(crate) pause: AtomicU32,
    /// The pause in which the first lane shall inspect the index, and has.
    pub(crate) inspect: AtomicU32,
    pub(crate) inspected: AtomicU32,
    pub(crate) next_badge: AtomicU32,
    pub(crate) next_ident: AtomicU32,
    /// Slot plus one that a restored owner is putting in order.
    pub(crate) cleaning: AtomicU32,
    pub(crate) refused_busy: AtomicU32,
    pub(crate) refused_changed: AtomicU32,
    pub(crate) rewritten: AtomicU64,
    violated: AtomicU32,
    violation: [AtomicU8; 240],
    pub(crate) lanes: [Lane; LANES],
    pub(crate) monitor: Lane,
    pub(crate) batch: Batch,
    /// Who was handed out each slot, for what: see [`crate::claims::Claim`].
    pub(crate) claims: [AtomicU64; MAX_SLOTS],
    /// The toy kernel's capabilities: incarnation by slot.
    pub(crate) kernel: [AtomicU32; MAX_SLOTS],
    /// The living incarnation of each object.
    pub(crate) alive: [AtomicU32; OBJECTS],
    /// References that each lane holds.
    pub(crate) holds: [[AtomicU16; MAX_SLOTS]; LANES],
}

const _: () = assert!(OFF_LEDGER + size_of::<Ledger>() <= OFF_IDENTS);

impl Ledger {
    /// Records the first violation; a process that finds one stands still.
    pub(crate) fn violate(&self, text: &str) -> ! {
        if self.violated.compare_exchange(0, 1, SeqCst, SeqCst).is_ok() {
            for (byte, value) in self.violation.iter().zip(text.bytes()) {
                byte.store(value, SeqCst);
            }
            self.violated.store(2, SeqCst);
        }
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// What was violated, if anything; the beginning of the text if whoever
    /// wrote it was killed.
    pub(crate) fn violation(&self) -> Option<String> {
        match self.violated.load(SeqCst) {
            0 => return None,
            2 => {}
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
        let bytes: Vec<u8> = self.violation.iter().map(|byte| byte.load(SeqCst)).collect();
        Some(String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned())
    }

    /// References to a slot that the ledger knows of.
    pub(crate) fn held(&self, slot: usize) -> u32 {
        self.holds.iter().map(|lane| u32::from(lane[slot].load(SeqCst))).sum()
    }
}

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

/// The table's type in this program.
pub(crate) type Table = Owner<'static, Relax>;

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
            patience: self.ledger().patience.load(SeqCst),
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
        const { assert!(size_of::<Table>() <= OFF_PRIVATE) };
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
