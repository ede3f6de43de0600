//! Ambient scopes of coroutines, which begin and end in any order.
//!
//! Goal: blocks whose memory goes while they are in use, or goes to two at once, because scopes of one
//! thread are not those of one stack; allocation in a scope that has ended; what becomes of a scope whose
//! coroutine is dropped in the middle, forgotten, or goes on in another thread.

#![cfg(all(target_os = "linux", target_arch = "x86_64", not(any(loom, allotrope_tsan))))]

use std::alloc::Layout;
use std::cell::RefCell;
use std::env;
use std::fmt;
use std::mem;
use std::process::Command;
use std::rc::Rc;
use std::thread;

use allocator_api2::vec::Vec as HereVec;
use allotrope_scope::ambient::{self, Here};
use allotrope_scope::{Arena, alloc_fmt};
use corosensei::{Coroutine, CoroutineResult, Yielder};

/// What a coroutine is told to do next.
#[derive(Clone, Copy)]
enum Step {
    Allocate(u64),
    Grow,
    Free,
    /// Leaves what it has in use when its scope ends.
    Escape,
    End,
}

type Work = Coroutine<Step, (), ()>;
type Numbers = HereVec<u64, Here>;

/// Counts on from `first`; whoever else writes there is noticed.
fn numbers(first: u64, len: u64) -> Numbers {
    let mut numbers = HereVec::new_in(Here);
    numbers.extend(first..first + len);
    numbers
}

#[track_caller]
fn is_whole(numbers: &Numbers) {
    let first = numbers.first().copied().unwrap_or(0);
    assert!(numbers.iter().zip(first..).all(|(number, n)| *number == n), "overwritten");
}

fn no_scope_is_open() -> bool {
    Here.allocate(Layout::new::<u64>()).is_err()
}

/// A coroutine with a scope of its own, in its own arena or one of the process.
fn coroutine(in_own_arena: bool, escaped: &Rc<RefCell<Vec<Numbers>>>) -> Work {
    let escaped = Rc::clone(escaped);
    Coroutine::new(move |yielder: &Yielder<Step, ()>, mut step: Step| {
        let mut arena = Arena::new();
        let run = || {
            let mut lists = Vec::new();
            loop {
                match step {
                    Step::Allocate(first) => lists.push(numbers(first, 20 + first % 100)),
                    Step::Grow => lists.iter_mut().for_each(|list: &mut Numbers| {
                        let next = list.last().map_or(0, |last| last + 1);
                        list.extend(next..next + 50);
                    }),
                    Step::Free => drop(lists.pop()),
                    Step::Escape => escaped.borrow_mut().append(&mut lists),
                    Step::End => break,
                }
                lists.iter().for_each(is_whole);
                step = yielder.suspend(());
            }
            lists.iter().for_each(is_whole);
        };
        if in_own_arena { ambient::scope_in(&mut arena, run) } else { ambient::scope(run) }
    })
}

#[test]
fn two_scopes_that_ended_in_the_order_in_which_they_began_left_one_open() {
    let escaped = Rc::default();
    let [mut first, mut second] = [coroutine(false, &escaped), coroutine(false, &escaped)];
    first.resume(Step::Allocate(1));
    second.resume(Step::Allocate(2));
    first.resume(Step::End);
    assert!(!no_scope_is_open(), "the second one is");
    second.resume(Step::End);
    assert!(no_scope_is_open());
}

#[test]
fn scopes_of_coroutines_interleave_in_any_way() {
    let mut seed = 1_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for turn in 0..100 {
        let escaped = Rc::<RefCell<Vec<Numbers>>>::default();
        let mut open: Vec<Work> = Vec::new();
        for step in 0..200 {
            if open.len() < 6 && random(5) == 0 {
                open.push(coroutine(random(2) == 0, &escaped));
            }
            if open.is_empty() {
                assert!(no_scope_is_open());
                continue;
            }
            let index = random(open.len() as u64) as usize;
            let next = match random(10) {
                0..4 => Step::Allocate(1000 * turn + step),
                4..6 => Step::Grow,
                6 => Step::Free,
                7 => Step::Escape,
                _ => Step::End,
            };
            match (open[index].resume(next), random(10)) {
                (CoroutineResult::Return(()), _) => drop(open.swap_remove(index)),
                // In the middle of its scope: it unwinds.
                (CoroutineResult::Yield(()), 0) => drop(open.swap_remove(index)),
                (CoroutineResult::Yield(()), 1) if escaped.borrow().len() > 10 => {
                    escaped.borrow_mut().drain(..5).for_each(|list| is_whole(&list));
                }
                (CoroutineResult::Yield(()), _) => {}
            }
            escaped.borrow().iter().for_each(is_whole);
        }
        drop(open);
        assert!(no_scope_is_open());
        escaped.borrow().iter().for_each(is_whole);
    }
}

#[test]
fn a_coroutine_that_is_forgotten_leaves_its_scope_open() {
    let escaped = Rc::default();
    let mut forgotten = Coroutine::new(|yielder: &Yielder<(), ()>, ()| {
        let mut arena = Arena::new();
        ambient::scope_in(&mut arena, || {
            let _list = numbers(1, 100);
            yielder.suspend(());
        });
    });
    forgotten.resume(());
    let mut other = coroutine(true, &escaped);
    other.resume(Step::Allocate(1000));
    mem::forget(forgotten);
    other.resume(Step::Escape);
    other.resume(Step::End);
    // In the scope that nobody will end.
    let list = numbers(0, 1000);
    ambient::scope(|| is_whole(&numbers(7, 1000)));
    is_whole(&list);
    escaped.borrow().iter().for_each(is_whole);
}

/// Shows a number, and lets others go on before each of its digits.
struct Slow<'a>(u64, &'a Yielder<(), ()>);

impl fmt::Display for Slow<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_string().chars().try_for_each(|digit| {
            self.1.suspend(());
            write!(formatter, "{digit}")
        })
    }
}

#[test]
fn coroutines_take_turns_while_an_arena_makes_their_values() {
    let arena = Rc::new(Arena::new());
    let make = |first: u64| {
        let arena = Rc::clone(&arena);
        Coroutine::new(move |yielder: &Yielder<(), ()>, ()| {
            for number in first..first + 20 {
                let fills = |n: usize| {
                    yielder.suspend(());
                    number + n as u64
                };
                let slice = arena.alloc_slice_fill_with(7, fills);
                let text = alloc_fmt!(arena, "{}", Slow(number, yielder));
                let value = arena.alloc_with(|| {
                    yielder.suspend(());
                    [number; 3]
                });
                assert!(slice.iter().zip(number..).all(|(value, n)| *value == n));
                assert_eq!((text.parse(), *value), (Ok(number), [number; 3]));
            }
        })
    };
    let mut all: Vec<_> = (0..5).map(|n| make(1000 * n)).collect();
    for turn in 0.. {
        // Some are dropped in the middle of what they make.
        all.retain_mut(|work| matches!(work.resume(()), CoroutineResult::Yield(())));
        match all.len() {
            0 => break,
            len if turn == 100 => drop(all.remove(len / 2)),
            _ => {}
        }
    }
    arena.check_invariants().unwrap();
}

/// A coroutine may not be sent: this says what no safe code can.
struct Sent(Work);

// SAFETY: there is none: this is the misuse that must be noticed.
unsafe impl Send for Sent {}

#[test]
fn a_scope_that_ends_on_another_thread_ends_the_program() {
    const ROLE: &str = "ALLOTROPE_COROUTINE_ROLE";
    if env::var_os(ROLE).is_some() {
        let mut work = coroutine(true, &Rc::default());
        work.resume(Step::Allocate(1));
        let sent = Sent(work);
        let end = move || {
            let mut sent = sent;
            sent.0.resume(Step::End);
        };
        _ = thread::spawn(end).join();
        return;
    }
    let program = env::current_exe().expect("a test has a program");
    let mut command = Command::new(program);
    let name = "a_scope_that_ends_on_another_thread_ends_the_program";
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(ROLE, "misuse");
    let output = command.output().expect("the test's own program starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "it went unnoticed");
    assert!(told.contains("an ambient scope ended on another thread"), "another failure: {told}");
}
