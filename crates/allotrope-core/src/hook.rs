//! Hooks: what an observer attaches to a strategy to be told what happens inside.
//!
//! ```text
//! allocator.allocate(layout)
//!   │ borrow or lock ──▶ strategy: works, records up to 8 events in its log
//!   │ ◀── the log is taken out, the borrow or lock ends
//!   └─▶ hook.on_event(event) for each of them
//! ```
//!
//! Events are delivered *after* the strategy is done and its borrow or lock has ended. So a hook
//! may use the very allocator that it watches: it neither aliases the strategy nor deadlocks. Its
//! own calls make events too, so it has to stop somewhere.
//!
//! [`NoHook`], the default, has no size and no code: with it, all of this compiles to nothing.

use core::alloc::Layout;
use core::mem;

use allotrope_sync::fatal::no_unwinding;

/// What happened to a block or a region.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// A block was handed out.
    Allocate,
    /// A block was given back.
    Free,
    /// A free block was cut, and this is the remainder that stays free.
    Split,
    /// A block that became free was joined with a free neighbour, and this is the result.
    Coalesce,
    /// A strategy got more memory from its source.
    Refill,
    /// A strategy gave memory back to its source.
    Release,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The address of the memory that it happened to.
    pub address: usize,
    /// What was asked for; where nobody asked (a remainder, a region), the memory's own size.
    pub layout: Layout,
    /// How many bytes the memory has.
    pub extent: usize,
}

impl Event {
    /// An event on memory that nobody asked for: its layout is its own size.
    #[doc(hidden)]
    pub fn internal(kind: EventKind, address: usize, extent: usize) -> Self {
        let layout = Layout::from_size_align(extent, 1).unwrap_or(Layout::new::<()>());
        Self { kind, address, layout, extent }
    }
}

/// Someone to be told of events.
///
/// A hook is copied at every call that has events to deliver, while the strategy is borrowed or
/// locked: so it is `Copy`, which runs no code of the user's that could come back to the allocator
/// then. Make it a reference. It must not unwind; where it does, the program aborts.
///
/// ```
/// use std::cell::Cell;
/// use std::alloc::Layout;
/// use allotrope_core::{BestFit, Buffer, DefaultPolicy, Event, EventKind, Events, Hook, Local};
///
/// #[derive(Clone, Copy)]
/// struct CountFrees<'a>(&'a Cell<usize>);
///
/// impl Hook for CountFrees<'_> {
///     type Record = Events;
///     fn on_event(&self, event: &Event) {
///         if event.kind == EventKind::Free {
///             self.0.set(self.0.get() + 1);
///         }
///     }
/// }
///
/// let frees = Cell::new(0);
/// let mut bytes = [const { std::mem::MaybeUninit::uninit() }; 4096];
/// let strategy = BestFit::<_, DefaultPolicy, _>::with_hook(Buffer::new(&mut bytes), CountFrees(&frees));
/// let heap = Local::new(strategy);
/// let block = heap.allocate(Layout::new::<u64>())?;
/// // SAFETY: allocated just above with this layout.
/// unsafe { heap.deallocate(block.cast(), Layout::new::<u64>()) };
/// assert_eq!(frees.get(), 1);
/// # Ok::<(), allotrope_core::AllocError>(())
/// ```
pub trait Hook: Copy {
    /// Where events wait until they are delivered: [`Events`], or `()` for a hook that wants none.
    type Record: Record;

    /// Called for each event, in order, after the call that caused it has done its work.
    fn on_event(&self, event: &Event);

    /// Called when a call caused more events than are recorded, with how many were lost.
    fn on_overflow(&self, _lost: usize) {}
}

/// The hook that hears nothing and costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHook;

impl Hook for NoHook {
    type Record = ();
    #[inline(always)]
    fn on_event(&self, _: &Event) {}
}

/// Where the events of one call wait; `()` or [`Events`].
pub trait Record: Default + sealed::Sealed {
    /// Is anything kept?
    #[doc(hidden)]
    const KEEPS: bool;
    /// Adds what `event` makes, or counts it as lost.
    #[doc(hidden)]
    fn push(&mut self, event: impl FnOnce() -> Event);
    /// Tells `hook` everything.
    #[doc(hidden)]
    fn deliver(self, hook: &impl Hook);
    /// Is there anything to tell?
    #[doc(hidden)]
    fn is_empty(&self) -> bool;
}

impl Record for () {
    const KEEPS: bool = false;
    #[inline(always)]
    fn push(&mut self, _: impl FnOnce() -> Event) {}
    #[inline(always)]
    fn deliver(self, _: &impl Hook) {}
    #[inline(always)]
    fn is_empty(&self) -> bool {
        true
    }
}

/// The events of one call: the first [`Events::CAPACITY`] of them, and how many came after.
#[derive(Clone, Copy, Debug, Default)]
pub struct Events {
    events: [Option<Event>; Self::CAPACITY],
    /// How many there were, those that found no room included.
    count: usize,
}

impl Events {
    /// How many events of one call are recorded.
    pub const CAPACITY: usize = 8;
}

impl Record for Events {
    const KEEPS: bool = true;
    fn push(&mut self, event: impl FnOnce() -> Event) {
        if let Some(place) = self.events.get_mut(self.count) {
            *place = Some(event());
        }
        self.count += 1;
    }

    fn deliver(self, hook: &impl Hook) {
        no_unwinding(|| {
            for event in self.events.iter().flatten() {
                hook.on_event(event);
            }
            if let Some(lost @ 1..) = self.count.checked_sub(Self::CAPACITY) {
                hook.on_overflow(lost);
            }
        });
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl Sealed for super::Events {}
}

/// A strategy's hook, and the events of the call that runs.
#[derive(Debug, Default)]
pub struct Log<H: Hook> {
    hook: H,
    record: H::Record,
}

impl Log<NoHook> {
    /// A log for nobody.
    pub const fn silent() -> Self {
        Self { hook: NoHook, record: () }
    }
}

impl<H: Hook> Log<H> {
    /// A log for `hook`.
    pub fn new(hook: H) -> Self {
        Self { hook, record: H::Record::default() }
    }

    #[inline(always)]
    /// Adds what `event` makes, if anybody listens.
    pub fn push(&mut self, event: impl FnOnce() -> Event) {
        self.record.push(event);
    }

    /// Takes the events out, to be delivered when nobody borrows the strategy any more.
    #[inline(always)]
    pub fn take(&mut self) -> Delivery<H> {
        if self.record.is_empty() {
            return Delivery(None);
        }
        Delivery(Some((self.hook, mem::take(&mut self.record))))
    }
}

/// Events on their way to the hook.
#[derive(Debug)]
#[must_use = "events that are not delivered are lost"]
pub struct Delivery<H: Hook>(Option<(H, H::Record)>);

impl<H: Hook> Delivery<H> {
    /// Tells the hook. To be called when the strategy is not borrowed.
    #[inline(always)]
    pub fn deliver(self) {
        if let Some((hook, record)) = self.0 {
            record.deliver(&hook);
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::cell::RefCell;
    use std::vec::Vec;

    #[derive(Clone, Copy)]
    struct Recorder<'a>(&'a RefCell<(Vec<usize>, usize)>);

    impl Hook for Recorder<'_> {
        type Record = Events;
        fn on_event(&self, event: &Event) {
            self.0.borrow_mut().0.push(event.extent);
        }
        fn on_overflow(&self, lost: usize) {
            self.0.borrow_mut().1 += lost;
        }
    }

    #[test]
    fn eight_events_are_delivered_in_order_and_the_rest_is_counted() {
        let heard = RefCell::default();
        let mut log = Log::new(Recorder(&heard));
        for extent in 0..11 {
            log.push(|| Event::internal(EventKind::Split, 0, extent));
        }
        log.take().deliver();
        log.take().deliver();
        assert_eq!(heard.into_inner(), ((0..8).collect(), 3));
    }

    #[test]
    fn a_silent_log_has_no_size() {
        assert_eq!(size_of::<Log<NoHook>>(), 0);
    }
}
