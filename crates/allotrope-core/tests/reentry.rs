//! An upstream that calls the allocator that it supplies is stopped before it does harm.
//!
//! Method: the cycle is made in a child process, by safe code: a hook of the upstream allocates from
//! the allocator above. The child must abort, and say why.

use std::alloc::Layout;
use std::cell::OnceCell;
use std::env;
use std::process::{Command, ExitStatus};

use allotrope_core::{
    BestFit, DefaultPolicy, Event, Events, Hook, Local, ObjectPool, OsPages, Upstream,
};

type Inner = Local<BestFit<OsPages, DefaultPolicy, CallsAbove>>;
type Above = &'static Upper;

struct Upper {
    heap: Local<BestFit<Upstream<&'static Inner>>>,
    pool: ObjectPool<u64, Upstream<&'static Inner>>,
}

thread_local! {
    static ABOVE: OnceCell<Above> = const { OnceCell::new() };
}

#[derive(Clone, Copy)]
struct CallsAbove;

impl Hook for CallsAbove {
    type Record = Events;
    fn on_event(&self, _: &Event) {
        ABOVE.with(|above| {
            let above = above.get().unwrap();
            let _ = above.heap.allocate(Layout::new::<u64>());
            let _ = above.pool.try_insert(1);
        });
    }
}

const ROLE: &str = "ALLOTROPE_REENTRY_ROLE";

/// What starts this program again: where it is emulated, `ALLOTROPE_RUNNER` says by which command.
fn itself() -> Command {
    let program = env::current_exe().unwrap();
    let runner = env::var("ALLOTROPE_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    let Some(emulator) = words.next() else { return Command::new(program) };
    let mut command = Command::new(emulator);
    command.args(words).arg(program);
    command
}

/// A signal leaves no code, on Unix; on Windows an abort has one of those that are negative.
fn is_abort(status: ExitStatus) -> bool {
    status.code().is_none_or(|code| code < 0)
}

/// Runs the test `name` again in a child that does `misuse`, and checks that it aborts.
fn aborts(name: &str, misuse: impl FnOnce(Above)) {
    if env::var_os(ROLE).is_some() {
        let inner: &'static Inner =
            Box::leak(Box::new(Local::new(BestFit::with_hook(OsPages::new(), CallsAbove))));
        let above: Above = Box::leak(Box::new(Upper {
            heap: Local::new(BestFit::new(Upstream::new(inner))),
            pool: ObjectPool::new(Upstream::new(inner)),
        }));
        ABOVE.with(|cell| assert!(cell.set(above).is_ok()));
        return misuse(above);
    }
    let mut child = itself();
    child.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(ROLE, "misuse");
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(is_abort(output.status), "no abort: {} {said}", output.status);
    assert!(said.contains("called the allocator that it supplies"), "{said}");
}

#[test]
fn a_heap_whose_upstream_calls_it_aborts() {
    aborts("a_heap_whose_upstream_calls_it_aborts", |above| {
        let _ = above.heap.allocate(Layout::new::<u64>());
    });
}

#[test]
fn a_pool_whose_upstream_calls_it_aborts() {
    aborts("a_pool_whose_upstream_calls_it_aborts", |above| {
        drop(above.pool.insert(1));
    });
}
