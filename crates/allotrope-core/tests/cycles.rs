//! An allocator that is its own upstream, as a static can be by safe code, never hands out memory
//! twice: it ends in its lock, at the end of the stack, or in an error.
//!
//! Method: each cycle is made in a child process, which must end as it is said here. The lock of
//! these tests says that it is asked twice, instead of waiting for ever. `reentry.rs` has the cycles
//! of one thread.

use std::alloc::Layout;
use std::env;
use std::process::{self, Command};
use std::sync::atomic::{AtomicBool, Ordering};

use allocator_api2::alloc::Allocator;
use allotrope_core::{
    Affix, AllocError, BestFit, Buffer, BySize, FixedSize, Limit, Locked, Pool, Segregated,
    SharedBudget, Upstream,
};
use lock_api::{GuardSend, RawMutex};

type Any = &'static (dyn Allocator + Sync);

/// A lock that ends the program where another one would wait.
struct Impatient(AtomicBool);

// SAFETY: there is one guard at a time: whoever finds the flag up does not get one.
unsafe impl RawMutex for Impatient {
    #[allow(clippy::declare_interior_mutable_const, reason = "lock_api makes locks from this")]
    const INIT: Self = Self(AtomicBool::new(false));

    type Guard = GuardSend;

    fn lock(&self) -> GuardSend {
        self.try_lock().unwrap_or_else(|| {
            eprintln!("the lock was asked twice");
            process::abort()
        })
    }

    fn try_lock(&self) -> Option<GuardSend> {
        (!self.0.swap(true, Ordering::Acquire)).then(GuardSend::new)
    }

    unsafe fn unlock(&self, _: GuardSend) {
        self.0.store(false, Ordering::Release);
    }

    fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

static BEST_FIT: Locked<BestFit<Upstream<Any>>, Impatient> =
    Locked::with_lock(BestFit::new(Upstream::new(&BEST_FIT)));

static FIXED_SIZE: Locked<FixedSize<64, Upstream<Any>>, Impatient> =
    Locked::with_lock(FixedSize::new(Upstream::new(&FIXED_SIZE)));

static CLASSES: Locked<Segregated<Upstream<Any>>, Impatient> =
    Locked::with_lock(Segregated::new(Upstream::new(&CLASSES)));

type Small = Locked<FixedSize<64, Buffer<'static>>, Impatient>;
type Large = Locked<BestFit<Upstream<Any>>, Impatient>;

/// The large part has its regions from the whole: they are large.
static BY_SIZE: BySize<64, Small, Large> = BySize::new(
    Locked::with_lock(FixedSize::new(Buffer::new(&mut []))),
    Locked::with_lock(BestFit::new(Upstream::new(&BY_SIZE))),
);

/// Two that supply each other.
static ONE: Locked<BestFit<Upstream<Any>>, Impatient> =
    Locked::with_lock(BestFit::new(Upstream::new(&OTHER)));
static OTHER: Locked<Segregated<Upstream<Any>>, Impatient> =
    Locked::with_lock(Segregated::new(Upstream::new(&ONE)));

static POOL: Pool<Upstream<Any>> = Pool::new(Upstream::new(&POOL));

static LIMIT: Limit<Any, SharedBudget> = Limit::with_budget(&LIMIT, SharedBudget::new(1000));

static LIMITED_AFFIXES: Affix<Limit<Any, SharedBudget>, u64> =
    Affix::new(Limit::with_budget(&LIMITED_AFFIXES, SharedBudget::new(1000)), 7, ());

const ROLE: &str = "ALLOTROPE_CYCLES_ROLE";

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

/// Runs the test `name` again in a child that allocates from `cycle`, and checks that it ends
/// with `sentence`.
fn ends(name: &str, sentence: &str, cycle: Any) {
    if env::var_os(ROLE).is_some() {
        let _ = cycle.allocate(Layout::new::<[u64; 16]>());
        return;
    }
    let mut child = itself();
    child.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(ROLE, "misuse");
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // A sanitizer that finds the end of the stack exits.
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(sentence), "{said}");
}

const TWICE: &str = "the lock was asked twice";

#[test]
fn best_fit_over_itself_asks_its_lock_twice() {
    ends("best_fit_over_itself_asks_its_lock_twice", TWICE, &BEST_FIT);
}

#[test]
fn size_classes_over_themselves_ask_their_lock_twice() {
    ends("size_classes_over_themselves_ask_their_lock_twice", TWICE, &CLASSES);
}

#[test]
fn a_part_that_is_supplied_by_the_whole_asks_its_lock_twice() {
    ends("a_part_that_is_supplied_by_the_whole_asks_its_lock_twice", TWICE, &BY_SIZE);
}

#[test]
fn two_that_supply_each_other_ask_a_lock_twice() {
    ends("two_that_supply_each_other_ask_a_lock_twice", TWICE, &ONE);
}

#[test]
fn a_pool_over_itself_comes_to_the_end_of_the_stack() {
    ends("a_pool_over_itself_comes_to_the_end_of_the_stack", "overflow", &POOL);
}

#[test]
fn uniform_blocks_of_themselves_are_refused() {
    // No block of theirs is as large as a region, so that the lock is not even asked.
    assert_eq!(FIXED_SIZE.allocate(Layout::new::<[u64; 16]>()), Err(AllocError));
}

#[test]
fn a_limit_of_itself_ends_with_its_budget_and_takes_nothing() {
    assert_eq!(LIMIT.allocate(Layout::new::<[u64; 4]>()), Err(AllocError));
    assert_eq!(LIMITED_AFFIXES.allocate(Layout::new::<[u64; 4]>()), Err(AllocError));
    assert_eq!((LIMIT.used(), LIMITED_AFFIXES.allocator().used()), (0, 0));
}
