//! What a program holds that opens scopes of its thread for ever.
//!
//! Goal: a scope that ended with blocks in use and whose memory stays after the last of them is freed.
//! It stands alone, because it looks at the whole process.

#![cfg(target_os = "linux")]

use allocator_api2::vec::Vec as HereVec;
use allotrope_scope::ambient::{self, Here};

fn numbers(count: u64) -> HereVec<u64, Here> {
    let mut numbers = HereVec::new_in(Here);
    numbers.extend(0..count);
    numbers
}

/// Addresses in use by this process, in bytes. Memory itself would not do: a sanitizer keeps some for
/// every address that was ever used.
fn mapped() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').next().unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn a_retired_scopes_memory_goes_with_its_last_block() {
    let before = mapped();
    for _ in 0..300 {
        let [first, last] = ambient::scope(|| [numbers(500_000), numbers(10)]);
        drop(first);
        assert!(last.iter().copied().eq(0..10));
    }
    let grown = mapped().saturating_sub(before);
    assert!(grown < 300 << 20, "{grown} bytes more");
}
