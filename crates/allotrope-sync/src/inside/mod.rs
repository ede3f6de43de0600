//! Which locked allocators the current thread is inside of, where threads can be told apart.
//!
//! A lock whose owner asks for it again waits for ever. That happens where foreign code works under it: an
//! upstream that calls the allocator above it, or that panics, and the panic hook allocates there.
//!
//! Without `std` this knows nothing: there are no thread-locals.

#[cfg_attr(all(feature = "std", not(any(loom, shuttle))), path = "threads.rs")]
#[cfg_attr(any(not(feature = "std"), loom, shuttle), path = "nobody.rs")]
mod threads;

pub use threads::once;
