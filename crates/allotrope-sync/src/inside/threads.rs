//! The allocators that the current thread is inside of: their places in memory, in no order.
//!
//! A place says nothing but where: nobody reaches an allocator by it. So it does no harm that coroutines
//! of one thread may end in another order than they began.
//!
//! # Invariants
//!
//! 1. An allocator that a call of [`once`] is inside of is here once, unless there was no room.

use core::cell::Cell;
use core::ptr;

use crate::fatal;

/// More are hardly ever nested; further ones are not known.
const ROOM: usize = 8;

/// An address and a size: an allocator that begins with another one is of another size.
type Place = (usize, usize);

/// No allocator.
const NOWHERE: Place = (0, 0);

std::thread_local! {
    static INSIDE: [Cell<Place>; ROOM] = const { [const { Cell::new(NOWHERE) }; ROOM] };
}

/// Runs `work` inside of `allocator`. Ends the program if this thread is inside of it already.
#[inline]
pub fn once<T, R>(allocator: &T, work: impl FnOnce() -> R) -> R {
    let place = (ptr::from_ref(allocator).addr(), size_of::<T>());
    enter(place);
    let _leave = Leave(place);
    work()
}

fn enter(place: Place) {
    INSIDE.with(|inside| {
        if inside.iter().any(|known| known.get() == place) {
            fatal::abort("an upstream called the allocator that it supplies");
        }
        if let Some(vacant) = inside.iter().find(|known| known.get() == NOWHERE) {
            vacant.set(place);
        }
    });
}

/// Leaves an allocator when it is dropped.
struct Leave(Place);

impl Drop for Leave {
    fn drop(&mut self) {
        INSIDE.with(|inside| {
            if let Some(known) = inside.iter().find(|known| known.get() == self.0) {
                known.set(NOWHERE);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocator_may_begin_with_another_one_and_be_entered_again_later() {
        let outer = [1_u64; 2];
        for _ in 0..2 * ROOM {
            assert_eq!(once(&outer, || once(&outer[0], || 7)), 7);
        }
    }

    #[test]
    fn more_than_there_is_room_for_are_let_in() {
        fn nest(allocators: &[u64]) -> usize {
            match allocators {
                [] => 0,
                [first, rest @ ..] => once(first, || 1 + nest(rest)),
            }
        }
        assert_eq!(nest(&[0; 2 * ROOM]), 2 * ROOM);
        assert_eq!(nest(&[0; 2 * ROOM]), 2 * ROOM);
    }
}
