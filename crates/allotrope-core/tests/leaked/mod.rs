//! Rounds of blocks that are leaked as references and freed by them.

use std::ptr;

use allocator_api2::alloc::Allocator;
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;

/// Boxes are leaked, and every other one is made a box again of the reference that is left: exactly
/// `Box::from_raw_in(Box::leak(b), &heap)`. What comes then is cut from their places, or linked
/// with them.
pub fn boxes<const SIZE: usize>(heap: impl Allocator + Copy) {
    let rounds = if cfg!(miri) { 2 } else { 8 };
    let mut leaked: std::vec::Vec<&mut [u8; SIZE]> = std::vec::Vec::new();
    for round in 0..rounds {
        for _ in 0..24 {
            let Ok(boxed) = Box::try_new_in([round; SIZE], heap) else { break };
            leaked.push(Box::leak(boxed));
        }
        let mut index = 0;
        leaked.retain_mut(|value| {
            index += 1;
            let value: *mut [u8; SIZE] = ptr::from_mut(*value);
            if index % 2 == 0 {
                return true;
            }
            // SAFETY: leaked from a box of this heap above, and not used any more.
            let boxed = unsafe { Box::from_raw_in(value, heap) };
            assert!(boxed.iter().all(|byte| *byte <= round && *byte == boxed[0]));
            false
        });
    }
    for value in leaked {
        // SAFETY: as above.
        drop(unsafe { Box::from_raw_in(ptr::from_mut(value), heap) });
    }
}

/// Vectors are leaked as slices that are shorter than their blocks, made vectors again, and grown
/// and shrunk: what is returned reaches all of the block.
pub fn vectors(heap: impl Allocator + Copy, most: usize) {
    let mut numbers: Vec<u8, _> = Vec::new_in(heap);
    while numbers.len() < most {
        let more = numbers.len() / 3 + 1;
        if numbers.try_reserve_exact(more).is_err() {
            break;
        }
        numbers.extend((0..more).map(|number| number as u8));
        let capacity = numbers.capacity();
        let slice = Vec::leak(numbers);
        let (start, len) = (slice.as_mut_ptr(), slice.len());
        // SAFETY: leaked just above from a vector of this heap with this capacity.
        numbers = unsafe { Vec::from_raw_parts_in(start, len, capacity, heap) };
    }
    let sum = |numbers: &[u8]| numbers.iter().map(|byte| usize::from(*byte)).sum::<usize>();
    let before = sum(&numbers[..numbers.len() / 2]);
    numbers.truncate(numbers.len() / 2);
    numbers.shrink_to_fit();
    assert_eq!(sum(&numbers), before);
}
