//! Grace periods: how a removal outlasts the threads that may look at an unlinked node.
//!
//! A walker is counted in the head of its chain. Others may come while a removal waits,
//! so that the count need never be zero. The head has a *turn* for that, one bit. A grace
//! period changes it by an addition, which also tells how many walkers there are. These,
//! and no others, find another turn when they leave than when they came, and say so. The
//! period ends when all of them have left. Later walkers do not make it longer.

use super::head::Head;
use crate::sync::{AtomicU32, AtomicU64, Lock, Ordering, RelaxStrategy};

/// The grace periods of a table, one at a time.
pub(crate) struct Grace<R> {
    /// Walkers that have left in another turn than the one in which they came. The number
    /// wraps.
    left: AtomicU32,
    /// Held during a period, so that all who leave are those of its chain.
    period: Lock<(), R>,
}

impl<R: RelaxStrategy> Grace<R> {
    pub(crate) fn new() -> Self {
        Grace { left: AtomicU32::new(0), period: Lock::new(()) }
    }

    /// Waits for the threads that walk the chain now. Each stays for a few loads.
    pub(crate) fn outlast_walkers(&self, bucket: &AtomicU64) {
        // Acquire pairs with the release of a walker's departure: all that it did with the
        // node is done.
        if !Head(bucket.load(Ordering::Acquire)).is_walked() {
            return;
        }
        self.period.with(|()| {
            let before = self.left.load(Ordering::Relaxed);
            // Relaxed: the turn changes in here only.
            let next_turn = Head(bucket.load(Ordering::Relaxed)).next_turn();
            // Acquire pairs with the release of walkers that have departed. An addition is
            // one instruction, whatever other threads do to the head.
            let head = Head(bucket.fetch_add(next_turn, Ordering::Acquire));
            let walkers = if head.is_walked() { head.count() } else { 0 };
            // Acquire pairs with the release in `depart`.
            while self.left.load(Ordering::Acquire).wrapping_sub(before) != walkers {
                R::relax();
            }
        });
    }

    /// Takes a walker out of the chain, whose head was `head` when it came.
    #[inline]
    pub(super) fn depart(&self, bucket: &AtomicU64, head: Head) {
        // Release pairs with the acquires of the head in `outlast_walkers`: the pin is
        // visible.
        if Head(bucket.fetch_sub(Head::ONE, Ordering::Release)).turn() != head.turn() {
            // Release pairs with the acquire of the number there.
            self.left.fetch_add(1, Ordering::Release);
        }
    }

    /// Lets a walker of a test come. It leaves when the result is called.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn walker<'a>(&'a self, bucket: &'a AtomicU64) -> impl FnOnce() + 'a {
        let head = Head(bucket.fetch_add(Head::ONE, Ordering::Acquire));
        move || self.depart(bucket, head)
    }

    /// Ends a period whose thread is gone: it has no reference to the table any more.
    pub(crate) fn reopen(&mut self) {
        self.period.reopen();
    }

    /// Ends a period whose thread is gone (a restored memory image).
    ///
    /// # Safety
    /// 1. No thread is inside a function of this table, nor will one resume there.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn force_open(&self) {
        // SAFETY: duty 1.
        unsafe { self.period.force_open() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;
    use std::time::Duration;

    use spin::relax::Spin;

    use crate::sync::AtomicBool;

    use super::*;

    thread_local! {
        static RELAXED: Cell<u32> = const { Cell::new(0) };
        static CHAIN: Cell<Option<(&'static Grace<Crowd>, &'static AtomicU64)>> =
            const { Cell::new(None) };
        static WALKERS: RefCell<VecDeque<Box<dyn FnOnce()>>> = const { RefCell::new(VecDeque::new()) };
    }

    /// At each wait, a walker comes, and the one that has been there for longest leaves.
    struct Crowd;

    impl RelaxStrategy for Crowd {
        fn relax() {
            let relaxed = RELAXED.get() + 1;
            assert!(relaxed < 100, "an endless wait");
            RELAXED.set(relaxed);
            arrive();
            WALKERS.with_borrow_mut(VecDeque::pop_front).expect("just one came")();
        }
    }

    fn arrive() {
        let (grace, bucket) = CHAIN.get().expect("set by the test");
        WALKERS.with_borrow_mut(|walkers| walkers.push_back(Box::new(grace.walker(bucket))));
    }

    /// The chain is walked at any time. A removal waits for those who were there first.
    #[test]
    fn later_walkers_do_not_prolong_a_period() {
        let grace: &Grace<Crowd> = Box::leak(Box::new(Grace::new()));
        let bucket = Box::leak(Box::new(AtomicU64::new(Head(0).led_by(8, false).0)));
        CHAIN.set(Some((grace, bucket)));
        grace.outlast_walkers(bucket);
        assert_eq!(RELAXED.get(), 0, "nobody is there");
        (0..3).for_each(|_| arrive());
        for round in 0..5 {
            RELAXED.set(0);
            grace.outlast_walkers(bucket);
            assert_eq!((round, RELAXED.get()), (round, 3));
            let head = Head(bucket.load(Ordering::Relaxed));
            assert_eq!((head.address(), head.count(), head.is_long()), (8, 3, true));
        }
    }

    /// The walkers of one chain say nothing about those of another one.
    #[test]
    fn there_is_one_period_at_a_time() {
        let grace = Grace::<Spin>::new();
        let [first, second] = [(); 2].map(|()| AtomicU64::new(Head(0).led_by(8, false).0));
        let [leave_first, leave_second] = [&first, &second].map(|bucket| grace.walker(bucket));
        let turn = |bucket: &AtomicU64| Head(bucket.load(Ordering::Relaxed)).turn();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                grace.outlast_walkers(&first);
                is_over.store(true, Ordering::SeqCst);
            });
            while !turn(&first) {
                std::thread::yield_now();
            }
            scope.spawn(|| grace.outlast_walkers(&second));
            std::thread::sleep(Duration::from_millis(50));
            assert!(!turn(&second), "the other period has not begun");
            leave_second();
            std::thread::sleep(Duration::from_millis(50));
            assert!(!is_over.load(Ordering::SeqCst), "its walker is still there");
            leave_first();
        });
        assert!(is_over.load(Ordering::SeqCst));
    }
}
