//! Loom's atomics as if they were mapped memory: references that live as long
//! as the table that a model works on.

#![allow(unsafe_code)]

/// An array on the heap, lent out for `'static` and freed when this is dropped.
pub(crate) struct Memory<T>(*mut [T]);

// SAFETY: the array is only lent out as a shared reference.
unsafe impl<T: Sync> Send for Memory<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Memory<T> {}

impl<T> Memory<T> {
    /// `count` elements, and the reference to them.
    ///
    /// The reference must not be used any more when the memory is dropped: a
    /// [`Table`](crate::table::Table) drops it last, and a model joins all its
    /// threads before it drops the table.
    pub(crate) fn new(count: usize, element: impl FnMut() -> T) -> (Self, &'static [T]) {
        let mut element = element;
        let array: Box<[T]> = (0..count).map(|_| element()).collect();
        let array = Box::into_raw(array);
        // SAFETY: from a box just now; freed by `drop` only.
        (Memory(array), unsafe { &*array })
    }
}

impl<T> Memory<T> {
    /// One element, and a reference to it that is the only one. The same duty as for
    /// [`Memory::new`].
    pub(crate) fn exclusive(element: T) -> (Self, &'static mut T) {
        let element = Box::into_raw(Box::new(element));
        let array = std::ptr::slice_from_raw_parts_mut(element, 1);
        // SAFETY: from a box just now; freed by `drop` only, as an array of one.
        (Memory(array), unsafe { &mut *element })
    }
}

impl<T> Drop for Memory<T> {
    fn drop(&mut self) {
        // SAFETY: from `Box::into_raw` in `new`, and dropped once.
        drop(unsafe { Box::from_raw(self.0) });
    }
}
