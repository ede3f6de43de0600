//! An operating system that has no more memory: `RLIMIT_AS`, which the shell sets for a child.
//!
//! AddressSanitizer needs more address space than any limit leaves, and a limit on an emulator is not
//! one on the program that it runs.

#![cfg(all(
    target_os = "linux",
    target_pointer_width = "64",
    not(any(allotrope_asan, allotrope_tsan))
))]

use std::env;
use std::process::Command;

use allotrope_core::{DefaultPolicy, OsPages};

use super::kinds::{Block, FIXED, Kind, Tiny, each, layout};

const ROLE: &str = "ALLOTROPE_LIMITED";
const NAME: &str = "memory_ends::a_heap_that_had_grown_to_the_limit_lost_what_it_had";

/// How many KiB of address space the child has: less than any policy reserves ahead.
const LIMIT: &str = "300000";

/// What is reserved ahead is refused, and halved until it is not; when nothing is left, that is an
/// error, and all that was there still is.
#[test]
fn a_heap_that_had_grown_to_the_limit_lost_what_it_had() {
    if env::var_os(ROLE).is_some() {
        each::<DefaultPolicy, _>(OsPages::new, grow_to_the_end);
        each::<Tiny, _>(OsPages::new, grow_to_the_end);
        return;
    }
    if env::var_os("ALLOTROPE_RUNNER").is_some() {
        return;
    }
    let program = env::current_exe().expect("a test has a program");
    let output = Command::new("sh")
        .args(["-c", "ulimit -v \"$0\" && exec \"$@\"", LIMIT])
        .arg(program)
        .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
        .env(ROLE, "1")
        .output()
        .expect("there is a shell");
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{error}");
}

fn grow_to_the_end<'a>(name: &str, memory: Box<dyn Kind + Send + 'a>) {
    // All that the test itself needs, before the memory ends.
    let mut held = Vec::with_capacity(10_000);
    let fixed = name == "FixedSize";
    let sizes = if fixed { [FIXED; 3] } else { [3 << 20, 100_000, 1 << 20] };
    for (turn, &size) in sizes.iter().cycle().enumerate() {
        let size = if name == "Pool" { size.min(1 << 20) } else { size };
        match Block::new(&*memory, layout(size, 8), turn as u8) {
            Some(block) if held.len() < held.capacity() => held.push(block),
            Some(block) => {
                block.free(&*memory);
                break;
            }
            None => break,
        }
    }
    let bytes: usize = held.iter().map(|block: &Block| block.len).sum();
    assert!(bytes > if fixed { 600_000 } else { 64 << 20 }, "{name}: {bytes}");
    assert!(fixed || held.len() < held.capacity(), "{name}: the limit was not met");
    let used = memory.used();
    assert!(fixed || Block::new(&*memory, layout(1 << 30, 8), 0).is_none(), "{name}");
    assert_eq!(memory.used(), used, "{name}");
    memory.check();
    held.iter().for_each(|block| block.check(block.len));
    // What is given back serves again.
    let (last, size) = (held.pop().unwrap(), sizes[0]);
    let layout = last.layout;
    last.free(&*memory);
    held.extend(Block::new(&*memory, layout, 1));
    held.drain(..).for_each(|block| block.free(&*memory));
    assert_eq!(memory.used(), 0, "{name}");
    let again = Block::new(&*memory, self::layout(size, 8), 2).unwrap();
    again.free(&*memory);
}
