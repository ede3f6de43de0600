//! The lock of a program on one processor: while somebody holds it, no interrupt comes.

use core::arch::asm;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, Ordering};

use lock_api::RawMutex;

/// A lock that turns interrupts off.
///
/// Nobody waits for it, since who holds it is not interrupted. Who locks it twice, though, waits for
/// ever. It excludes nobody on another processor.
///
/// `is_locked` is loaded and stored with interrupts off, so that nothing comes between the two: that
/// needs no compare-and-swap. An `asm!` that does not say `nomem` keeps the compiler from moving what
/// is done under the lock out of it.
pub struct InterruptsOff {
    is_locked: AtomicBool,
}

/// Whether interrupts were on before; they are turned on again by the processor that turned them off.
pub struct WereOn(bool, PhantomData<*const ()>);

/// Turns interrupts off; says whether they were on.
fn turn_off() -> WereOn {
    let masked: u32;
    // SAFETY: reads a register, and sets a mask that every program may set.
    unsafe { asm!("mrs {}, PRIMASK", "cpsid i", out(reg) masked, options(nostack)) };
    WereOn(masked & 1 == 0, PhantomData)
}

/// Turns them on again, if they were.
fn restore(interrupts: WereOn) {
    if interrupts.0 {
        // SAFETY: they were on before, so the program expects them.
        unsafe { asm!("cpsie i", options(nostack)) };
    }
}

// SAFETY: a guard is returned only after the flag was found down and put up, with interrupts off;
// they stay off until `unlock` puts the flag down.
unsafe impl RawMutex for InterruptsOff {
    #[allow(clippy::declare_interior_mutable_const, reason = "lock_api makes locks from this")]
    const INIT: Self = Self { is_locked: AtomicBool::new(false) };

    type Guard = WereOn;

    fn lock(&self) -> WereOn {
        loop {
            if let Some(guard) = self.try_lock() {
                return guard;
            }
        }
    }

    fn try_lock(&self) -> Option<WereOn> {
        let interrupts = turn_off();
        if self.is_locked.load(Ordering::Relaxed) {
            restore(interrupts);
            return None;
        }
        self.is_locked.store(true, Ordering::Relaxed);
        Some(interrupts)
    }

    unsafe fn unlock(&self, interrupts: WereOn) {
        self.is_locked.store(false, Ordering::Relaxed);
        restore(interrupts);
    }

    fn is_locked(&self) -> bool {
        self.is_locked.load(Ordering::Relaxed)
    }
}
