//! The upstream of an allocator under test: it counts, fails when told to, and watches its blocks.
//!
//! ```text
//!   whole allocation
//!   ├── guard ──┼────────── lent ──────────┼── guard ──┤
//!               start                      start + len
//! ```
//!
//! Guards hold a pattern; whoever writes beside a lent block changes it.

use std::alloc::{self, Layout};
use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use allocator_api2::alloc::{AllocError, Allocator};

use crate::pattern;
use crate::promise::{Broken, Promise};

/// How an upstream behaves in one run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Conditions {
    /// The call that fails, counted from 1, which is the first one after the allocator was made.
    pub fails_at: Option<u64>,
    /// Whether the calls after that fail as well.
    pub keeps_failing: bool,
    /// How many bytes may be lent at once, from when the allocator was made.
    pub bytes_limit: Option<usize>,
    /// How many bytes more than requested every block has.
    pub excess: usize,
}

impl Conditions {
    /// Whether the upstream may refuse something.
    pub(crate) fn refuse(&self) -> bool {
        self.fails_at.is_some() || self.bytes_limit.is_some()
    }
}

/// Where an allocator under test gets its memory from.
///
/// It is an `Allocator` itself, and cheap to clone: every clone is the same upstream. Blocks come
/// from std's allocator, with guards around them; what is still lent when the last clone is
/// dropped is freed then.
#[derive(Clone, Debug)]
pub struct TestUpstream(Arc<State>);

#[derive(Debug)]
struct State {
    /// Whether `books` holds a fault, to be seen without the lock.
    faulty: AtomicBool,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    conditions: Conditions,
    /// Whether the allocator under test is made, and the conditions hold.
    armed: bool,
    calls: u64,
    refusals: u64,
    bytes_lent: usize,
    lent: BTreeMap<usize, Lent>,
    fault: Option<Broken>,
}

#[derive(Clone, Copy, Debug)]
struct Lent {
    whole_start: NonNull<u8>,
    whole: Layout,
    requested: Layout,
    len: usize,
    /// A buffer belongs to the upstream, which frees it in the end.
    buffer: bool,
}

// SAFETY: a record of memory that belongs to no thread; it is only read under the lock.
unsafe impl Send for Lent {}

impl TestUpstream {
    /// An upstream that behaves as `conditions` say, once it is armed.
    pub(crate) fn new(conditions: Conditions) -> Self {
        let books = Mutex::new(Books { conditions, ..Books::default() });
        Self(Arc::new(State { faulty: AtomicBool::new(false), books }))
    }

    /// An upstream for a test that does without the suite; the conditions hold from now on.
    pub fn alone(conditions: Conditions) -> Self {
        let upstream = Self::new(conditions);
        upstream.arm();
        upstream
    }

    /// Checks that no call was wrong so far, and that nobody has written beside what is lent.
    ///
    /// # Errors
    ///
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        self.fault().and_then(|()| self.check_guards()).map_err(|broken| broken.detail)
    }

    /// Lends `len` bytes for as long as `self` is borrowed, aligned to 4096.
    ///
    /// This is the memory for allocators in a fixed buffer. It is no call, so it never fails.
    #[expect(clippy::mut_from_ref, reason = "every call lends memory of its own")]
    pub fn buffer(&self, len: usize) -> &mut [MaybeUninit<u8>] {
        let layout = Layout::from_size_align(len, 4096).expect("a buffer is a sensible size");
        let start = self.books().lend(layout, 0, true).expect("there is memory for a buffer");
        // SAFETY: `lend` returned `len` bytes that nobody else knows. They are freed when the last
        // clone of `self` is dropped, and the borrow ends before that.
        unsafe { NonNull::slice_from_raw_parts(start.cast(), len).as_mut() }
    }

    /// How many calls to allocate (or to grow or shrink, which move) were made so far.
    pub fn calls(&self) -> u64 {
        self.books().calls
    }

    /// How many calls were refused so far.
    pub fn refusals(&self) -> u64 {
        self.books().refusals
    }

    /// How many bytes are lent now, buffers not counted.
    pub fn bytes_lent(&self) -> usize {
        self.books().bytes_lent
    }

    /// Counts calls from here, and lets the conditions hold.
    pub(crate) fn arm(&self) {
        let mut books = self.books();
        books.armed = true;
        books.calls = 0;
    }

    /// Whether all of `len` bytes at `start` are lent.
    pub(crate) fn contains(&self, start: NonNull<u8>, len: usize) -> bool {
        let start = start.addr().get();
        let books = self.books();
        let below = books.lent.range(..=start).next_back();
        below.is_some_and(|(&from, lent)| {
            start.checked_add(len).is_some_and(|end| end <= from + lent.len)
        })
    }

    /// The first wrong call, if there was one.
    pub(crate) fn fault(&self) -> Result<(), Broken> {
        // Relaxed: the fault itself is read under the lock.
        if !self.0.faulty.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.books().fault.clone().map_or(Ok(()), Err)
    }

    /// Checks the guards of everything that is lent.
    pub(crate) fn check_guards(&self) -> Result<(), Broken> {
        let books = self.books();
        books.lent.iter().try_for_each(|(&start, lent)| lent.check_guards(start))
    }

    /// Checks that everything came back.
    pub(crate) fn check_settled(&self) -> Result<(), Broken> {
        let books = self.books();
        let mut out = books.lent.values().filter(|lent| !lent.buffer).peekable();
        match out.peek().map(|lent| lent.len) {
            None => Ok(()),
            Some(len) => Err(Broken::new(
                Promise::NothingLost,
                format!(
                    "{} blocks of the upstream, one of them of {len} bytes, were not given back \
                     when the allocator was dropped",
                    out.count()
                ),
            )),
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // No code of a user runs under the lock, so a poisoned one is still in order.
        self.0.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// Counts a call, and says whether it may be served.
    fn call(&mut self, layout: Layout) -> Result<(), AllocError> {
        self.calls += 1;
        let Conditions { fails_at, keeps_failing, bytes_limit, .. } = self.conditions;
        let fails = fails_at
            .is_some_and(|nth| self.calls == nth || (keeps_failing && self.calls > nth))
            || bytes_limit
                .is_some_and(|limit| self.bytes_lent.saturating_add(layout.size()) > limit);
        if self.armed && fails {
            self.refusals += 1;
            return Err(AllocError);
        }
        Ok(())
    }

    fn lend(&mut self, layout: Layout, excess: usize, buffer: bool) -> Option<NonNull<u8>> {
        let len = layout.size().checked_add(excess)?;
        let align = layout.align().max(GUARD);
        let size = len.checked_add(align + GUARD)?;
        let whole = Layout::from_size_align(size, align).ok()?;
        // SAFETY: the size of `whole` is at least that of its guards.
        let whole_start = NonNull::new(unsafe { alloc::alloc(whole) })?;
        // SAFETY: the front guard is `align` bytes, which `whole` begins with.
        let start = unsafe { whole_start.add(align) };
        let lent = Lent { whole_start, whole, requested: layout, len, buffer };
        // SAFETY: the memory is ours alone, and both guards lie in `whole`.
        unsafe {
            start.write_bytes(FRESH, len);
            pattern::fill_range(start.sub(GUARD), 0..GUARD, GUARD_TAG);
            pattern::fill_range(start.add(len), 0..GUARD, GUARD_TAG);
        }
        self.lent.insert(start.addr().get(), lent);
        self.bytes_lent += if buffer { 0 } else { len };
        Some(start)
    }

    /// Takes back a block that fits `layout`, or says what is wrong.
    fn take_back(&mut self, start: NonNull<u8>, layout: Layout) -> Result<(), Broken> {
        let address = start.addr().get();
        let wrong = |detail| Err(Broken::new(Promise::UpstreamCalls, detail));
        let Some(&lent) = self.lent.get(&address).filter(|lent| !lent.buffer) else {
            return wrong(format!("{address:#x} was given back, where no block is lent"));
        };
        let fits = layout.align() == lent.requested.align()
            && (lent.requested.size()..=lent.len).contains(&layout.size());
        if !fits {
            return wrong(format!(
                "a block that was requested with {} and has length {} was given back with {}",
                crate::operation::Shown(lent.requested),
                lent.len,
                crate::operation::Shown(layout),
            ));
        }
        self.lent.remove(&address);
        self.bytes_lent -= lent.len;
        let guards = lent.check_guards(address);
        // SAFETY: the block was lent, is in no list any more, and its layout is recorded with it.
        unsafe { alloc::dealloc(lent.whole_start.as_ptr(), lent.whole) };
        guards
    }
}

impl Lent {
    fn check_guards(&self, address: usize) -> Result<(), Broken> {
        let front = address - self.whole_start.addr().get();
        for (place, offset) in [("before", front - GUARD), ("after", front + self.len)] {
            // SAFETY: both guards lie in `whole`, and `lend` filled them.
            let found = unsafe {
                pattern::first_difference_in(self.whole_start.add(offset), 0..GUARD, GUARD_TAG)
            };
            if let Some(at) = found {
                let detail = format!(
                    "memory {place} a lent block of {} bytes was overwritten, at byte {at} of the \
                     {GUARD} that guard it",
                    self.len
                );
                return Err(Broken::new(Promise::UpstreamBounds, detail));
            }
        }
        Ok(())
    }
}

// SAFETY: a block comes from std's allocator, is aligned and long enough by the arithmetic of
// `lend`, and stays valid until it is given back or the last clone is dropped. Clones share the
// same books. Nothing here unwinds but a failing assertion about a buffer.
unsafe impl Allocator for TestUpstream {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let mut books = self.books();
        books.call(layout)?;
        let excess = books.conditions.excess;
        let start = books.lend(layout, excess, false).ok_or(AllocError)?;
        Ok(NonNull::slice_from_raw_parts(start, layout.size() + excess))
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        let mut books = self.books();
        if let Err(broken) = books.take_back(start, layout) {
            books.fault.get_or_insert(broken);
            // Relaxed: the fault itself is read under the lock.
            self.0.faulty.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let books = self.books.get_mut().unwrap_or_else(PoisonError::into_inner);
        for lent in books.lent.values() {
            // SAFETY: what is in the list is still allocated with this layout. Nobody can use it:
            // a block is valid for as long as a clone of the upstream is, and this was the last.
            unsafe { alloc::dealloc(lent.whole_start.as_ptr(), lent.whole) };
        }
    }
}

/// What fresh memory holds: nothing that is zero, and the same in every run.
const FRESH: u8 = 0xd5;
const GUARD: usize = 64;
const GUARD_TAG: u64 = 0x6775_6172_6400_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_that_shall_fail_fails_and_no_other() {
        let conditions = Conditions { fails_at: Some(2), ..Conditions::default() };
        let upstream = TestUpstream::alone(conditions);
        let layout = Layout::new::<u64>();
        let served: Vec<bool> = (0..4).map(|_| upstream.allocate(layout).is_ok()).collect();
        assert_eq!(served, [true, false, true, true]);
        assert_eq!((upstream.calls(), upstream.refusals(), upstream.bytes_lent()), (4, 1, 24));
        assert_eq!(upstream.check_settled().unwrap_err().promise, Promise::NothingLost);
    }

    #[test]
    fn a_wrong_layout_and_a_write_beside_a_block_are_seen() {
        let upstream = TestUpstream::new(Conditions::default());
        let layout = Layout::from_size_align(24, 8).unwrap();
        let start = upstream.allocate(layout).unwrap().cast::<u8>();
        // SAFETY: the guard behind the block is memory of the same allocation.
        unsafe { start.add(24).write(0) };
        assert_eq!(upstream.check_guards().unwrap_err().promise, Promise::UpstreamBounds);
        // SAFETY: the upstream refuses a layout that does not fit, and keeps the block.
        unsafe { upstream.deallocate(start, Layout::new::<u64>()) };
        assert_eq!(upstream.fault().unwrap_err().promise, Promise::UpstreamCalls);
        assert!(upstream.check().is_err());
        assert_eq!(upstream.bytes_lent(), 24);
    }
}
