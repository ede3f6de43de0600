//! A program without an operating system: its heaps are arrays.
//!
//! It is for the smallest Cortex-M, which loads and stores atomically and can do no more
//! (`thumbv6m-none-eabi`); `thumbv7em-none-eabihf` and the like take it as it is. For other
//! processors, `InterruptsOff` needs two other instructions, or that of the crate
//! critical-section.
//!
//! ```text
//! cargo build -p allotrope-bare-metal --target thumbv6m-none-eabi
//! ```
//!
//! It is a library, so that it needs no linker script: `run` is what a program's `main` calls.
#![no_std]
#![cfg(all(target_os = "none", target_arch = "arm"))]

extern crate alloc;

mod interrupts;

use core::mem::MaybeUninit;

use allotrope::prelude::{BestFit, Buffer, BufferHeap, Locked, ObjectPool};
use interrupts::InterruptsOff;

/// What `alloc`'s containers live in, in bytes. All of it is used: there is no other bookkeeping
/// than what `HEAP` holds.
const HEAP_SIZE: usize = 8 * 1024;

static mut MEMORY: [MaybeUninit<u8>; HEAP_SIZE] = [MaybeUninit::uninit(); HEAP_SIZE];

/// The global allocator, which interrupt handlers may use as well.
#[global_allocator]
static HEAP: Locked<BestFit<Buffer<'static>>, InterruptsOff> = Locked::with_lock(BestFit::new(
    // SAFETY: nobody else names `MEMORY`.
    Buffer::new(unsafe { &mut *(&raw mut MEMORY) }),
));

/// A message to be sent.
struct Message {
    to: u8,
    text: [u8; 30],
}

/// Uses memory in three ways, and returns how many of the global allocator's bytes that took.
///
/// # Errors
///
/// There is not enough of it.
pub fn run() -> Result<usize, alloc::collections::TryReserveError> {
    // From the global allocator. Memory is short here: whoever asks hears whether there is some.
    let mut readings = alloc::vec::Vec::new();
    readings.try_reserve_exact(100)?;
    readings.extend((0..100_u16).map(|n| n * n));
    let bytes_used = HEAP.bytes_used();

    // From an array of this function's own, which goes as it does, whatever is left in it.
    let mut bytes = [const { MaybeUninit::uninit() }; 1024];
    let scratch = BufferHeap::new(BestFit::new(Buffer::new(&mut bytes)));
    let mut sorted = allotrope::containers::Vec::new_in(&scratch);
    if sorted.try_reserve_exact(readings.len()).is_ok() {
        sorted.extend(readings.iter().copied().rev());
        sorted.sort_unstable();
    }
    assert_eq!(*sorted, *readings);

    // Objects of one type, as many as there is room for, each in the time of a pop.
    const SIZE: usize = ObjectPool::<Message, Buffer>::buffer_size(4);
    let mut bytes = [const { MaybeUninit::uninit() }; SIZE];
    let messages = ObjectPool::new(Buffer::new(&mut bytes));
    let outbox = [1, 2, 3, 4].map(|to| messages.insert(Message { to, text: [b' '; 30] }));
    assert!(messages.try_insert(Message { to: 5, text: [0; 30] }).is_err());
    let lengths: usize = outbox.iter().map(|message| message.text.len()).sum();
    assert_eq!((lengths, outbox[3].to), (120, 4));

    Ok(bytes_used)
}

/// There is nobody to tell.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
