//! A table that grows while threads look things up in it by their slots.
//!
//! ```text
//! current ──▶ │ len: 16 │ a │ – │ b │ …           entries of slots 0, 1, 2 …
//!             │ len: 8  │ a │ – │ b │ …           one from before: still right for who has it
//! ```
//!
//! # Invariants
//!
//! 1. `current` points to a table that stays until the arena is reset: its head, and behind it so
//!    many entries as that says.
//! 2. An entry is written once in each table, under the stock's lock: by the thread whose slot it is,
//!    or before the table is published.
//! 3. An entry is read by the thread whose slot it is, or under the stock's lock.
//!
//! # Orderings
//!
//! A table is published by `Release`, and looked up by `Acquire`: who finds it finds its entries.
//! An entry that its own thread wrote is in the table that this thread finds next, for `current`
//! never goes back. Who has the lock reads `current` `Relaxed`: all who published had it before.

use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::NonNull;

use allotrope_core::AllocError;
use allotrope_sync::facade::atomic::{AtomicPtr, Ordering};
use allotrope_sync::facade::cell::UnsafeCell;
use allotrope_sync::facade::const_fn;

/// Addresses of `T`s by slot.
pub(super) struct Table<T> {
    current: AtomicPtr<Head>,
    entries: PhantomData<NonNull<T>>,
}

/// What stands before the entries.
struct Head {
    len: usize,
}

type Entry<T> = UnsafeCell<Option<NonNull<T>>>;

/// The table of a new arena.
static EMPTY: Head = Head { len: 0 };

impl<T> Table<T> {
    /// How many entries the first table has that is not empty.
    const LEAST: usize = 8;

    const_fn! {
        pub(super) fn new() -> Self {
            Self { current: AtomicPtr::new((&raw const EMPTY).cast_mut()), entries: PhantomData }
        }
    }

    /// What was put for `slot`.
    ///
    /// # Safety
    ///
    /// The slot is the caller's.
    #[inline(always)]
    pub(super) unsafe fn get(&self, slot: usize) -> Option<NonNull<T>> {
        let head = self.current.load(Ordering::Acquire);
        // SAFETY: invariant 1.
        if slot >= unsafe { (*head).len } {
            return None;
        }
        // SAFETY: as above, and invariant 3.
        unsafe { (*entry(head, slot)).with(|entry| *entry) }
    }

    /// Puts `address` for `slot`. If that is beyond the table, `allocate` gives memory for a larger one.
    ///
    /// # Safety
    ///
    /// The slot is the caller's, nothing was put for it before, and the stock is locked. What
    /// `allocate` returns stays until the arena is reset.
    pub(super) unsafe fn put(
        &self,
        slot: usize,
        address: NonNull<T>,
        allocate: impl FnOnce(Layout) -> Result<NonNull<[u8]>, AllocError>,
    ) -> Result<(), AllocError> {
        let head = self.current.load(Ordering::Relaxed);
        // SAFETY: invariant 1.
        let len = unsafe { (*head).len };
        if slot < len {
            // SAFETY: invariants 1 and 2.
            unsafe { (*entry(head, slot)).with_mut(|entry| *entry = Some(address)) };
            return Ok(());
        }
        let larger = (slot + 1).next_power_of_two().max(Self::LEAST);
        let table = allocate(layout::<T>(larger)?)?.cast::<Head>().as_ptr();
        // SAFETY: the block is new, and has room for a head and its entries; the old table stays,
        // and its entries are read under the lock.
        unsafe {
            table.write(Head { len: larger });
            for index in 0..larger {
                let old = (index < len).then(|| (*entry::<T>(head, index)).with(|entry| *entry));
                let value = if index == slot { Some(address) } else { old.flatten() };
                entry(table, index).cast_mut().write(UnsafeCell::new(value));
            }
        }
        self.current.store(table, Ordering::Release);
        Ok(())
    }
}

/// The layout of a table of `len` entries.
fn layout<T>(len: usize) -> Result<Layout, AllocError> {
    let entries = Layout::array::<Entry<T>>(len).map_err(|_| AllocError)?;
    let (table, _) = Layout::new::<Head>().extend(entries).map_err(|_| AllocError)?;
    Ok(table)
}

/// Where the entries begin.
const fn offset<T>() -> usize {
    size_of::<Head>().next_multiple_of(align_of::<Entry<T>>())
}

/// The entry of `slot`.
///
/// # Safety
///
/// `head` is that of a table with so many entries.
#[inline(always)]
unsafe fn entry<T>(head: *const Head, slot: usize) -> *const Entry<T> {
    // SAFETY: as the caller promises.
    unsafe { head.byte_add(const { offset::<T>() }).cast::<Entry<T>>().add(slot) }
}
