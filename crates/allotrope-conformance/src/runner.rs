//! The runner: makes one call after another, and checks every promise that the call touches.
//!
//! A returned block is checked before anything is written to it: length, alignment, that it lies
//! where it may, that it overlaps nothing; then its content; then it is filled and entered into
//! the shadow. A block is checked again before it is freed, grown or shrunk, and in *audits* of
//! the whole heap, so many steps apart that they cost about as much as the calls.

use std::alloc::Layout;
use std::ops::AddAssign;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use allocator_api2::alloc::{AllocError, Allocator};

use crate::operation::{Operation, Shown};
use crate::pattern;
use crate::promise::{Broken, Promise};
use crate::random::mix;
use crate::settings::Settings;
use crate::shadow::{Live, Shadow};
use crate::upstream::TestUpstream;

/// What a run counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) operations: u64,
    pub(crate) served: u64,
    pub(crate) refused: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.served += other.served;
        self.refused += other.refused;
    }
}

/// What a runner runs against.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) allocator: &'a dyn Allocator,
    pub(crate) invariants: &'a dyn Fn() -> Result<(), String>,
    pub(crate) upstream: &'a TestUpstream,
    pub(crate) settings: &'a Settings,
}

/// Runs operations against an allocator.
pub(crate) struct Runner<'a> {
    pub(crate) scene: Scene<'a>,
    pub(crate) shadow: Shadow,
    pub(crate) tally: Tally,
    /// Every operation so far, where it is asked for.
    pub(crate) record: Option<Vec<Operation>>,
    /// Whether every step is followed by an audit.
    pub(crate) thorough: bool,
    /// The tag of the next block.
    ///
    /// A block gets a new one whenever it is filled, and no two cases of a process have the same,
    /// so that what an earlier block left in memory is never taken for a later one's bytes.
    next_tag: u64,
    until_audit: usize,
    /// The size with which the last block was freed, grown or shrunk, above the requested one.
    pub(crate) last_excess: usize,
}

/// How many runners there were. Relaxed: it only has to differ from one to the next.
static CASES: AtomicU64 = AtomicU64::new(0);

impl<'a> Runner<'a> {
    pub(crate) fn new(scene: Scene<'a>) -> Self {
        Self {
            scene,
            shadow: Shadow::default(),
            tally: Tally::default(),
            record: None,
            thorough: false,
            next_tag: mix(CASES.fetch_add(1, Ordering::Relaxed)),
            until_audit: 0,
            last_excess: 0,
        }
    }

    pub(crate) fn settings(&self) -> &'a Settings {
        self.scene.settings
    }

    /// Makes one call and checks what it did. Skips a call that makes no sense now.
    pub(crate) fn apply(&mut self, operation: Operation) -> Result<(), Broken> {
        if let Some(record) = &mut self.record {
            record.push(operation);
        }
        if self.settings().trace {
            eprintln!("{}. {operation}", self.tally.operations + 1);
        }
        self.tally.operations += 1;
        match operation {
            Operation::Allocate { block, layout, zeroed } => {
                self.allocate(block, layout, zeroed)?
            }
            Operation::Deallocate { block, excess } => self.deallocate(block, excess)?,
            Operation::Grow { block, excess, layout, zeroed } => {
                self.grow(block, excess, layout, zeroed)?;
            }
            Operation::Shrink { block, excess, layout } => self.shrink(block, excess, layout)?,
        }
        self.scene.upstream.fault()?;
        let (each, every) = self.settings().checked_steps;
        if self.tally.operations <= each || self.tally.operations.is_multiple_of(every) {
            self.invariants()?;
        }
        if self.thorough || self.until_audit == 0 {
            self.until_audit = self.shadow.live().len().max(64) * 2;
            return self.audit();
        }
        self.until_audit -= 1;
        Ok(())
    }

    /// Checks every live block, every guard, and the allocator's own invariants.
    pub(crate) fn audit(&self) -> Result<(), Broken> {
        self.shadow.check_all()?;
        self.scene.upstream.check_guards()?;
        self.invariants()
    }

    /// Frees every block that is left, oldest first as far as the shadow knows.
    pub(crate) fn free_all(&mut self) -> Result<(), Broken> {
        while let Some(block) = self.shadow.live().first() {
            let number = block.number;
            self.deallocate(number, 0)?;
            self.scene.upstream.fault()?;
        }
        self.audit()
    }

    fn invariants(&self) -> Result<(), Broken> {
        (self.scene.invariants)().map_err(|detail| Broken::new(Promise::Invariants, detail))
    }

    fn allocate(&mut self, number: u32, layout: Layout, zeroed: bool) -> Result<(), Broken> {
        if self.shadow.get(number).is_some() {
            return Ok(());
        }
        let result = if zeroed {
            self.scene.allocator.allocate_zeroed(layout)
        } else {
            self.scene.allocator.allocate(layout)
        };
        let Some(block) = self.accept(number, layout, result)? else { return Ok(()) };
        if zeroed {
            // SAFETY: `accept` vouches for the block; that it is initialized is what the
            // allocator promises here.
            check_zeroed(unsafe { pattern::first_nonzero(block.start, 0..block.len) }, &block)?;
        }
        self.enter(block);
        Ok(())
    }

    fn deallocate(&mut self, number: u32, excess: usize) -> Result<(), Broken> {
        let Some(block) = self.shadow.get(number) else { return Ok(()) };
        block.check()?;
        self.shadow.remove(number);
        let layout = self.fitting(&block, excess);
        // SAFETY: the allocator returned the block, and it was live until the line above; the
        // layout fits it.
        unsafe { self.scene.allocator.deallocate(block.start, layout) };
        Ok(())
    }

    fn grow(&mut self, number: u32, excess: usize, to: Layout, zeroed: bool) -> Result<(), Broken> {
        let Some(old) = self.shadow.get(number) else { return Ok(()) };
        old.check()?;
        let from = self.fitting(&old, excess);
        let Ok(to) = Layout::from_size_align(to.size().max(from.size()), to.align()) else {
            return Ok(());
        };
        let kept = from.size();
        // What lies between the old layout and the old length may be kept or zeroed.
        let shown = if zeroed {
            pattern::end_of_kept(kept).start..old.len
        } else {
            pattern::end_of_kept(kept)
        };
        // SAFETY: the range lies in the block, which is live and ours.
        unsafe { pattern::fill_range(old.start, shown, old.tag) };
        // SAFETY: the block is live, `from` fits it, and `to` is at least as large.
        let result = unsafe {
            if zeroed {
                self.scene.allocator.grow_zeroed(old.start, from, to)
            } else {
                self.scene.allocator.grow(old.start, from, to)
            }
        };
        let Some(block) = self.replace(&old, to, result)? else { return Ok(()) };
        check_kept(&old, &block, kept, Promise::GrowKeepsContent)?;
        if zeroed {
            check_grown_zeroed(&old, &block, kept)?;
        }
        self.enter(block);
        Ok(())
    }

    fn shrink(&mut self, number: u32, excess: usize, to: Layout) -> Result<(), Broken> {
        let Some(old) = self.shadow.get(number) else { return Ok(()) };
        old.check()?;
        let from = self.fitting(&old, excess);
        let Ok(to) = Layout::from_size_align(to.size().min(from.size()), to.align()) else {
            return Ok(());
        };
        let kept = to.size();
        // SAFETY: the range lies in the block, which is live and ours.
        unsafe { pattern::fill_range(old.start, pattern::end_of_kept(kept), old.tag) };
        // SAFETY: the block is live, `from` fits it, and `to` is at most as large.
        let result = unsafe { self.scene.allocator.shrink(old.start, from, to) };
        let Some(block) = self.replace(&old, to, result)? else { return Ok(()) };
        check_kept(&old, &block, kept, Promise::ShrinkKeepsContent)?;
        self.enter(block);
        Ok(())
    }

    fn fitting(&mut self, block: &Live, excess: usize) -> Layout {
        let layout = block.fitting(excess);
        self.last_excess = layout.size() - block.requested.size();
        layout
    }

    /// Checks the outcome of a grow or shrink of `old`; on success `old` is no longer live.
    fn replace(
        &mut self,
        old: &Live,
        to: Layout,
        result: Result<NonNull<[u8]>, AllocError>,
    ) -> Result<Option<Live>, Broken> {
        if result.is_ok() {
            self.shadow.remove(old.number);
        } else {
            old.check()
                .map_err(|broken| broken.into_evidence_against(Promise::FailureKeepsState))?;
        }
        self.accept(old.number, to, result)
    }

    /// Checks a returned block, before anything is written to it.
    fn accept(
        &mut self,
        number: u32,
        layout: Layout,
        result: Result<NonNull<[u8]>, AllocError>,
    ) -> Result<Option<Live>, Broken> {
        let Ok(returned) = result else {
            self.tally.refused += 1;
            self.check_refused()?;
            return Ok(None);
        };
        self.tally.served += 1;
        let (start, len) = (returned.cast::<u8>(), returned.len());
        let broken = |promise, detail| Err(Broken::new(promise, detail));
        if layout.size() > IMPOSSIBLE {
            let detail = format!("a request of {} was served", Shown(layout));
            return broken(Promise::RefusesTheImpossible, detail);
        }
        let ends = start.addr().get().checked_add(len);
        if len < layout.size() || len > isize::MAX as usize || ends.is_none() {
            let detail = format!("a request of {} got {len} bytes at {start:p}", Shown(layout));
            return broken(Promise::Length, detail);
        }
        if !start.addr().get().is_multiple_of(layout.align()) {
            let detail = format!("a request of {} got a block at {start:p}", Shown(layout));
            return broken(Promise::Alignment, detail);
        }
        let contained = self.settings().only_from_upstream && len > 0;
        if contained && !self.scene.upstream.contains(start, len) {
            let detail = format!("{len} bytes at {start:p} are not all lent by the upstream");
            return broken(Promise::Contained, detail);
        }
        self.shadow.disjoint(start, len)?;
        self.next_tag = self.next_tag.wrapping_add(1);
        let tag = mix(self.next_tag);
        Ok(Some(Live { number, start, requested: layout, len, tag }))
    }

    fn enter(&mut self, block: Live) {
        // SAFETY: `accept` vouches for the block, which is entered next.
        unsafe { block.fill() };
        self.shadow.insert(block);
    }

    /// After an `Err`, live blocks are as they were. Of many blocks some are checked.
    fn check_refused(&self) -> Result<(), Broken> {
        let turn = self.tally.refused as usize;
        let checked = self.shadow.check_some(16, turn).and_then(|()| {
            let whole = turn.is_multiple_of(16);
            if whole {
                self.scene.upstream.check_guards().and_then(|()| self.invariants())
            } else {
                Ok(())
            }
        });
        checked.map_err(|broken| broken.into_evidence_against(Promise::FailureKeepsState))
    }
}

/// No machine has this much memory; with addresses of 32 bits, not in one piece.
pub(crate) const IMPOSSIBLE: usize =
    isize::MAX as usize / 4 * (if usize::BITS == 64 { 1 } else { 3 });

fn check_zeroed(nonzero: Option<usize>, block: &Live) -> Result<(), Broken> {
    match nonzero {
        None => Ok(()),
        Some(at) => Err(Broken::new(
            Promise::Zeroed,
            format!("byte {at} of b{} (length {}) is not zero", block.number, block.len),
        )),
    }
}

/// The first `kept` bytes of `new` are those of `old`.
fn check_kept(old: &Live, new: &Live, kept: usize, promise: Promise) -> Result<(), Broken> {
    // SAFETY: the new block is at least `kept` bytes long and valid. That what the old one held
    // there, which was filled, is initialized in the new one is what the allocator promises.
    let found = unsafe {
        pattern::first_difference(new.start, old.len, kept, old.tag).or_else(|| {
            pattern::first_difference_in(new.start, pattern::end_of_kept(kept), old.tag)
        })
    };
    match found {
        None => Ok(()),
        Some(at) => Err(Broken::new(
            promise,
            format!("byte {at} of the {kept} bytes that b{} has to keep is lost", old.number),
        )),
    }
}

/// What is new is zero; what lies between the old layout and the old length is kept or zero.
fn check_grown_zeroed(old: &Live, new: &Live, kept: usize) -> Result<(), Broken> {
    let between = kept..old.len.min(new.len);
    for at in between {
        // SAFETY: the offset is below the new length, and `grow_zeroed` initializes all of it.
        let found = unsafe { new.start.add(at).read() };
        if found != 0 && found != pattern::byte_at(old.tag, at) {
            return check_zeroed(Some(at), new);
        }
    }
    let fresh = old.len.min(new.len)..new.len;
    // SAFETY: as above.
    check_zeroed(unsafe { pattern::first_nonzero(new.start, fresh) }, new)
}
