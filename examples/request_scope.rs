//! A loop over requests in constant memory: what a request needs is in a scope, and freed with it.
//!
//! `cargo run --example request_scope`

use allotrope::prelude::*;

/// What a request asks for: lines of `key=value`.
fn request(number: usize) -> String {
    (0..number % 40).map(|key| format!("key{key}={}\n", number * key)).collect()
}

/// Answers a request; everything on the way is in `scope`.
fn answer<'s>(scope: &Scope<'s, '_>, request: &str) -> &'s str {
    let mut values = HashMap::new_in(scope);
    for line in request.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        values.insert(&*scope.alloc_str(key), &*scope.alloc_str(value));
    }
    let mut keys = Vec::new_in(scope);
    keys.extend(values.keys().copied());
    keys.sort_unstable();
    let digits: usize = values.values().map(|value| value.len()).sum();
    alloc_fmt!(scope, "{} keys, {digits} digits, first {:?}", keys.len(), keys.first())
}

fn main() {
    let mut arena = Arena::new();
    let (mut bytes, mut most) = (0, 0);
    for number in 0..10_000 {
        let request = request(number);
        bytes += arena.scope(|scope| answer(scope, &request).len());
        most = most.max(arena.bytes_held());
        assert_eq!(arena.bytes_used(), 0);
    }
    println!("10000 requests, {bytes} bytes of answers, never more than {most} bytes held");
    assert!(most <= 256 * 1024);
}
