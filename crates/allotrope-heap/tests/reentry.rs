//! An upstream that calls the heap that it supplies is stopped before it does harm.
//!
//! Method: the cycle is made in a child process, by safe code: a hook of the upstream allocates from
//! the heap above. The child must abort, and say why.

use std::alloc::Layout;
use std::cell::OnceCell;
use std::env;
use std::process::{Command, ExitStatus};

use allotrope_core::{BestFit, DefaultPolicy, Event, Events, Hook, Local, OsPages, Upstream};
use allotrope_heap::{HeapRc, LocalHeap, Strategy};

type Inner = Local<BestFit<OsPages, DefaultPolicy, CallsAbove>>;
type Above = LocalHeap<Upstream<&'static Inner>>;

thread_local! {
    static ABOVE: OnceCell<&'static Above> = const { OnceCell::new() };
    static HANDLE: OnceCell<HeapRc<Upstream<&'static Inner>>> = const { OnceCell::new() };
}

#[derive(Clone, Copy)]
struct CallsAbove;

impl Hook for CallsAbove {
    type Record = Events;

    fn on_event(&self, _: &Event) {
        if let Some(above) = ABOVE.with(|above| above.get().copied()) {
            let _ = above.allocate(Layout::new::<[u8; 5000]>());
        }
        HANDLE.with(|handle| handle.get().map(|handle| handle.allocate(Layout::new::<u64>())));
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
fn aborts(name: &str, misuse: impl FnOnce(&'static Inner)) {
    if env::var_os(ROLE).is_some() {
        let inner = Local::new(BestFit::with_hook(OsPages::new(), CallsAbove));
        return misuse(Box::leak(Box::new(inner)));
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
    aborts("a_heap_whose_upstream_calls_it_aborts", |inner| {
        let above = Box::leak(Box::new(LocalHeap::new(Upstream::new(inner))));
        ABOVE.with(|cell| assert!(cell.set(above).is_ok()));
        let _ = above.allocate(Layout::new::<u64>());
    });
}

#[test]
fn a_view_whose_heap_is_called_by_its_upstream_aborts() {
    aborts("a_view_whose_heap_is_called_by_its_upstream_aborts", |inner| {
        let above = Box::leak(Box::new(LocalHeap::new(Upstream::new(inner))));
        ABOVE.with(|cell| assert!(cell.set(above).is_ok()));
        let _ = above.with(Strategy::Extents).allocate(Layout::new::<u64>());
    });
}

#[test]
fn a_handle_whose_upstream_calls_it_aborts() {
    aborts("a_handle_whose_upstream_calls_it_aborts", |inner| {
        let handle = HeapRc::new(Upstream::new(inner)).unwrap();
        HANDLE.with(|cell| assert!(cell.set(handle.clone()).is_ok()));
        let _ = handle.allocate(Layout::new::<[u8; 1 << 21]>());
    });
}
