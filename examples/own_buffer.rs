//! Containers in an array on the stack: not one byte comes from anywhere else.
//!
//! `cargo run --example own_buffer`

use std::mem::MaybeUninit;

use allotrope::prelude::*;

fn main() {
    let mut bytes = [const { MaybeUninit::uninit() }; 4096];
    let heap = BufferHeap::new(BestFit::new(Buffer::new(&mut bytes)));

    // A sieve: the candidates live in the array, and so do the primes.
    let mut is_prime = Vec::new_in(&heap);
    is_prime.resize(1000, true);
    let mut primes: Vec<u16, _> = Vec::new_in(&heap);
    for number in 2..is_prime.len() {
        if is_prime[number] {
            primes.push(number as u16);
            (number * number..is_prime.len()).step_by(number).for_each(|n| is_prime[n] = false);
        }
    }
    println!("{} primes below {}, the last is {}", primes.len(), is_prime.len(), primes[167]);
    println!("{heap:?}, largest free block {}", heap.largest_free_block());
    assert_eq!((primes.len(), primes.last()), (168, Some(&997)));

    // What is too large is an error, and nothing else changes.
    assert!(primes.try_reserve(4096).is_err());
    assert_eq!(primes.len(), 168);

    // What is dropped can be used again, whole.
    drop((is_prime, primes));
    assert_eq!(heap.bytes_used(), 0);
    println!("empty again: a block of {} bytes could be had", heap.largest_free_block());
}
