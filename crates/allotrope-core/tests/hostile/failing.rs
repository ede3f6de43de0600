//! An upstream that fails at its n-th call, for every n.

use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator, Global};
use allotrope_core::Upstream;

use super::kinds::{Block, Kind, Tiny, each, layout};

/// Memory of std's, of which one request is refused.
#[derive(Clone)]
struct Failing<'a>(&'a State);

#[derive(Default)]
struct State {
    /// How many requests succeed before one is refused.
    patience: Cell<Option<usize>>,
    refusals: Cell<usize>,
    bytes: Cell<usize>,
}

// SAFETY: in these tests, all is on one thread; the kinds are `Send` for others.
unsafe impl Send for Failing<'_> {}

// SAFETY: every call is one of std's allocator, or a refusal.
unsafe impl Allocator for Failing<'_> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        match self.0.patience.get() {
            Some(0) => {
                self.0.patience.set(None);
                self.0.refusals.set(self.0.refusals.get() + 1);
                return Err(AllocError);
            }
            patience => self.0.patience.set(patience.map(|left| left - 1)),
        }
        let block = Global.allocate(layout)?;
        self.0.bytes.set(self.0.bytes.get() + layout.size());
        Ok(block)
    }

    unsafe fn deallocate(&self, start: NonNull<u8>, layout: Layout) {
        self.0.bytes.set(self.0.bytes.get() - layout.size());
        // SAFETY: as the caller promises.
        unsafe { Global.deallocate(start, layout) };
    }
}

/// The contract suites do this with random calls and the first hundred requests; here it is all
/// requests of one script, and what failed is tried again at once.
#[test]
fn what_failed_once_was_refused_for_ever() {
    for nth in 0.. {
        let mut refusals = 0;
        each_over(|state, name, memory| {
            state.patience.set(Some(nth));
            script(name, memory);
            refusals += state.refusals.get();
        });
        if refusals == 0 {
            assert!(nth > 10, "only {nth} requests reached the upstream");
            return;
        }
    }
}

/// Tests each kind over an upstream that gets all back.
fn each_over(mut test: impl FnMut(&State, &str, &dyn Kind)) {
    let state = State::default();
    each::<Tiny, _>(
        || Upstream::new(Failing(&state)),
        |name, memory| {
            test(&state, name, &*memory);
            drop(memory);
            assert_eq!(state.bytes.get(), 0, "{name}");
            state.patience.set(None);
            state.refusals.set(0);
        },
    );
}

fn script(name: &str, memory: &dyn Kind) {
    let mut blocks: Vec<Block> = Vec::new();
    let sizes = [1, 48, 64, 200, 256, 300, 1000, 5000, 20, 60, 100, 2000, 64, 64];
    let all = sizes.iter().cycle().take(5 * sizes.len());
    for (turn, &size) in all.enumerate() {
        let layout = layout(size, 8 << (turn % 3));
        let used = memory.used();
        let block = Block::new(memory, layout, turn as u8).or_else(|| {
            assert_eq!(memory.used(), used, "{name}: {layout:?}");
            memory.check();
            blocks.iter().for_each(|block| block.check(block.len));
            Block::new(memory, layout, turn as u8)
        });
        assert!(block.is_some() || ["FixedSize", "Pool"].contains(&name), "{name}: {layout:?}");
        blocks.extend(block);
        if turn % 3 == 2 && !blocks.is_empty() {
            let block = blocks.swap_remove(turn * 7 % blocks.len());
            let used = memory.used();
            match block.resize(memory, self::layout(block.layout.size() * 3 / 2, 16)) {
                Ok(block) => blocks.push(block),
                Err(block) => {
                    assert_eq!(memory.used(), used, "{name}: {layout:?}");
                    block.free(memory);
                }
            }
        }
    }
    blocks.into_iter().for_each(|block| block.free(memory));
    memory.check();
    assert_eq!(memory.used(), 0, "{name}");
}
