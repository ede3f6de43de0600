//! The lock of those who name none, on a target without compare-and-swap: there is none.

pub(super) use NoLock as SpinLock;

/// Stands for the lock of a [`Locked`](crate::Locked) that names none, and is no lock: this target
/// has no compare-and-swap, so a spin lock cannot be made.
///
/// Name a lock of your own, one that turns interrupts off, for one:
/// `Locked::<_, InterruptsOff>::with_lock(strategy)`.
#[derive(Debug)]
pub enum NoLock {}
