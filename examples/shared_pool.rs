//! One pool for several threads: blocks made by one thread are freed by another.
//!
//! `cargo run --example shared_pool`

use std::sync::mpsc;
use std::thread;

use allotrope::Upstream;
use allotrope::prelude::*;

/// What one thread hands to the other.
struct Message {
    text: [u8; 48],
    sender: u32,
}

type Pool = Locked<FixedSize<{ size_of::<Message>() }, Upstream<Global>>>;

const SENDERS: u32 = 3;
const MESSAGES: u32 = 1000;

fn main() {
    let pool = Pool::new(FixedSize::new(Upstream::new(Global)));
    let (sender, receiver) = mpsc::sync_channel::<Box<Message, &Pool>>(16);

    let received = thread::scope(|threads| {
        for number in 0..SENDERS {
            let (pool, sender) = (&pool, sender.clone());
            threads.spawn(move || {
                for _ in 0..MESSAGES {
                    let message = Message { text: [b'.'; 48], sender: number };
                    // The channel is closed only when the receiver is gone.
                    if sender.send(Box::new_in(message, pool)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        // Each message is freed here, by a thread that did not make it.
        receiver
            .iter()
            .filter(|message| message.text[47] == b'.' && message.sender < SENDERS)
            .count()
    });

    println!("{received} messages of {} bytes by {SENDERS} threads", size_of::<Message>());
    println!("through {} bytes of memory", pool.bytes_held());
    assert_eq!(received, (SENDERS * MESSAGES) as usize);
    assert_eq!(pool.bytes_used(), 0);
}
