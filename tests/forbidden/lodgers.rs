//! Containers that live together in one allocator, and notice when another's bytes are theirs.

use allocator_api2::alloc::Allocator;
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;

/// Boxes and vectors, of which some go while others come, as far as there is memory.
pub fn lodge<A: Allocator>(memory: &A) {
    let mut boxes = std::vec::Vec::new();
    let mut texts: std::vec::Vec<(u64, Vec<u64, &A>)> = std::vec::Vec::new();
    for n in 0..300_u64 {
        boxes.extend(Box::try_new_in([n; 5], memory));
        let mut text = Vec::new_in(memory);
        if text.try_reserve_exact(n as usize % 40).is_ok() {
            text.resize(text.capacity(), n);
            texts.push((n, text));
        }
        if n % 3 == 0 && !boxes.is_empty() {
            boxes.swap_remove(n as usize * 7 % boxes.len());
        }
        if n % 4 == 0 && !texts.is_empty() {
            let index = n as usize * 5 % texts.len();
            let (number, text) = &mut texts[index];
            if text.try_reserve(30).is_ok() {
                text.resize(text.capacity(), *number);
            }
        }
        if n % 5 == 0 && !texts.is_empty() {
            texts.swap_remove(n as usize * 11 % texts.len());
        }
    }
    assert!(boxes.iter().all(|value| value.iter().all(|n| *n == value[0])));
    assert!(texts.iter().all(|(number, text)| text.iter().all(|n| n == number)));
}
