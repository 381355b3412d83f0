//! A thread is stopped for good while it holds the private lock.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};

use cap_map_rs::layout::OFF_BATCH;
use cap_map_rs::sync::RelaxStrategy;
use cap_map_rs::word::BatchWord;
use cap_map_rs::{Owner, Slot, Status};

use crate::common::{CONFIG, Relax, named, private, region, region_words};
use crate::recovery::recover;

/// Waits for good in threads of this name.
struct Parked;

/// Whether such a thread waits.
static PARKED: AtomicBool = AtomicBool::new(false);

impl RelaxStrategy for Parked {
    fn relax() {
        while std::thread::current().name() == Some("parked") {
            PARKED.store(true, Ordering::SeqCst);
            std::thread::park();
        }
        Relax::relax();
    }
}

/// A table of which a thread is stopped for good while it inserts badge 48 into slot 9,
/// and holds the private lock.
fn with_a_held_lock(check: impl FnOnce(*mut Owner<'static, Parked>)) {
    // One at a time, as there is one flag.
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _alone = ALONE.lock();
    PARKED.store(false, Ordering::SeqCst);
    let words = region_words(64);
    let owner = Owner::<Parked>::new(CONFIG, private(64), region(words)).unwrap();
    let owner: *mut Owner<'static, Parked> = Box::leak(Box::new(owner));
    // SAFETY: leaked.
    let shared: &'static Owner<'static, Parked> = unsafe { &*owner };
    shared.publish(&named("locked")).unwrap();
    assert_eq!(shared.insert(44), Ok(8));
    let claimed = BatchWord::new(0).claimed();
    words[OFF_BATCH / 8].store(claimed.0, Ordering::SeqCst);
    let thread = std::thread::Builder::new().name("parked".into());
    thread.spawn(|| shared.insert(48)).unwrap();
    while !PARKED.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    check(owner);
}

#[test]
fn recovering_opens_the_private_lock() {
    with_a_held_lock(|owner| {
        // SAFETY: leaked.
        let owner = unsafe { &*owner };
        recover(owner);
        assert_eq!((owner.find(44), owner.entry(9)), (Ok(8), Ok(Slot::Free)));
        assert_eq!(owner.insert(48), Ok(9));
    });
}

/// A component forks while another of its threads holds the private lock. That thread
/// does not exist in the child.
#[cfg(unix)]
#[test]
fn a_forked_child_starts_anew_although_the_lock_is_held() {
    unsafe extern "C" {
        fn fork() -> i32;
        fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
        fn alarm(seconds: u32) -> u32;
        fn _exit(code: i32) -> !;
    }
    let fresh = region(region_words(64));
    with_a_held_lock(|owner| {
        // SAFETY: the child calls nothing that needs another thread or the heap.
        let child = unsafe { fork() };
        assert!(child >= 0, "no fork");
        if child == 0 {
            // SAFETY: as above. A child that hangs dies by a signal.
            unsafe { alarm(20) };
            // SAFETY: the thread that uses it does not exist here.
            let owner = unsafe { &mut *owner };
            let reset = AssertUnwindSafe(|| {
                owner.reset(fresh) == Ok(())
                    && owner.find(44) == Err(Status::NotFound)
                    && owner.insert(48) == Ok(8)
                    && owner.find(48) == Ok(8)
            });
            // A wait that is too long panics. With this thread the child would end well.
            let fine = std::panic::catch_unwind(reset).unwrap_or(false);
            // SAFETY: as above.
            unsafe { _exit(i32::from(!fine)) };
        }
        let mut status = 0;
        // SAFETY: `status` is alive.
        assert_eq!(unsafe { waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0, "exit status, or the signal that ended the child");
    });
}
