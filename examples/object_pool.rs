//! Many values of one type that come and go: each is one block of a pool, made and freed in O(1).
//!
//! `cargo run --example object_pool`

use std::collections::VecDeque;
use std::mem::MaybeUninit;

use allotrope::prelude::*;

/// Somebody who waits to be served.
struct Customer {
    number: u32,
    minutes: u32,
}

/// Room for this many customers at a time; or one more, where the buffer starts well.
const CHAIRS: usize = 12;

fn main() {
    const SIZE: usize = ObjectPool::<Customer, Buffer>::buffer_size(CHAIRS);
    let mut bytes = [const { MaybeUninit::uninit() }; SIZE];
    let shop = ObjectPool::<Customer, _>::new(Buffer::new(&mut bytes));

    let mut queue = VecDeque::new();
    let (mut served, mut sent_away) = (std::vec![], std::vec![]);
    for minute in 0..600_u32 {
        if minute % 2 == 0 {
            // The pool is as large as the shop: whoever finds no place gets the value back.
            match shop.try_insert(Customer { number: minute / 2, minutes: 1 + minute % 7 }) {
                Ok(customer) => queue.push_back(customer),
                Err(Customer { number, .. }) => sent_away.push(number),
            }
        }
        if let Some(customer) = queue.front_mut() {
            customer.minutes -= 1;
            if customer.minutes == 0 {
                // Dropping the box drops the value, and its place is free for the next.
                served.extend(queue.pop_front().map(|customer| customer.number));
            }
        }
        assert_eq!(shop.len(), queue.len());
    }
    println!("{} served, {} sent away, {} wait", served.len(), sent_away.len(), shop.len());
    println!("in a pool of {} bytes for {CHAIRS} customers or more", shop.bytes_held());
    assert!(queue.len() >= CHAIRS - 1 && queue.len() <= CHAIRS + 1);
    assert_eq!(served.len() + sent_away.len() + queue.len(), 300);

    drop(queue);
    assert!(shop.is_empty());
}
