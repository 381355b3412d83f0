//! The one source of atomics, fences and the private lock: the real ones, or
//! loom's under `--cfg loom`. Nothing else in the crate names them directly.

#[cfg(not(loom))]
pub use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
#[cfg(loom)]
pub use loom::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

pub use spin::relax::RelaxStrategy;

/// The component's private lock. Readers never take it on their fast path, and
/// no kernel call is made while it is held.
#[cfg(not(loom))]
pub struct Lock<T, R>(spin::mutex::SpinMutex<T, R>);

#[cfg(not(loom))]
impl<T, R: RelaxStrategy> Lock<T, R> {
    /// An open lock around `value`.
    pub fn new(value: T) -> Self {
        Lock(spin::mutex::SpinMutex::new(value))
    }

    /// Runs `f` under the lock; waits with the strategy `R`.
    #[inline]
    pub fn with<O>(&self, f: impl FnOnce(&mut T) -> O) -> O {
        f(&mut self.0.lock())
    }

    /// Opens the lock, whose holder is gone: it has no reference to the lock any more.
    #[allow(unsafe_code)]
    pub fn reopen(&mut self) {
        // SAFETY: a guard would borrow the lock, which this function borrows alone.
        unsafe { self.0.force_unlock() }
    }

    /// Opens the lock although its holder is gone (a restored memory image).
    ///
    /// # Safety
    /// 1. No thread is inside [`Lock::with`], nor will one resume there.
    #[allow(unsafe_code)]
    pub unsafe fn force_open(&self) {
        // SAFETY: duty 1 is the contract of `force_unlock`: nobody holds a guard.
        unsafe { self.0.force_unlock() }
    }
}

/// The same interface over loom's mutex, whose waiting is loom's.
#[cfg(loom)]
pub struct Lock<T, R>(loom::sync::Mutex<T>, core::marker::PhantomData<fn() -> R>);

#[cfg(loom)]
impl<T, R: RelaxStrategy> Lock<T, R> {
    /// An open lock around `value`.
    pub fn new(value: T) -> Self {
        Lock(loom::sync::Mutex::new(value), core::marker::PhantomData)
    }

    /// Runs `f` under the lock.
    pub fn with<O>(&self, f: impl FnOnce(&mut T) -> O) -> O {
        f(&mut self.0.lock().unwrap())
    }

    /// Has no meaning in a model.
    pub fn reopen(&mut self) {}

    /// Has no meaning in a model.
    ///
    /// # Safety
    /// None needed.
    #[allow(unsafe_code)]
    pub unsafe fn force_open(&self) {}
}
