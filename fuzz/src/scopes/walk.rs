//! The walk: steps are made, and the shadow says what each has to do.

use std::alloc::Layout;
use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use allotrope_core::Source;
use allotrope_scope::{Arena, Guard, Mark, MarkError, Scope};

use super::home::Home;
use super::kept::{Planned, unwind};
use super::shadow::{Began, Block, Level, Shadow};
use super::step::{Ending, Step, Which};

/// What a step, or a list of them, says: nothing, or what is wrong.
pub type Checked<T = ()> = Result<T, String>;

/// Steps that are being made.
pub struct Walk<'s> {
    steps: slice::Iter<'s, Step>,
    shadow: Shadow,
    /// Marks that were ended.
    ended: Vec<Mark>,
    /// Was the arena reset, and nothing put there since?
    is_reset: bool,
    is_traced: bool,
}

impl<'s> Walk<'s> {
    /// Makes `steps`, from an arena in which there is nothing; `is_traced` prints each.
    pub fn new(steps: &'s [Step], is_traced: bool) -> Self {
        let (steps, shadow) = (steps.iter(), Shadow::new());
        Self { steps, shadow, ended: Vec::new(), is_reset: false, is_traced }
    }

    /// Makes all steps, and drops the arena. Its source lends what it is asked for in whole `unit`s, if it
    /// is known to lend no more.
    ///
    /// # Errors
    ///
    /// What an arena should not have done.
    pub fn run<S: Source>(mut self, mut arena: Arena<S>, unit: Option<usize>) -> Checked {
        while let Some(step) = self.next() {
            let held = arena.bytes_held();
            self.on_arena(&mut arena, step)?;
            self.shadow.check()?;
            check_account(&arena)?;
            let bound = |limit: usize| limit.checked_next_multiple_of(unit?);
            let limit = arena.allocation_limit().and_then(bound).unwrap_or(usize::MAX).max(held);
            if arena.bytes_held() > limit {
                return Err(format!("{} bytes are held of {limit}", arena.bytes_held()));
            }
        }
        let kept = self.all_kept();
        planned(catch_unwind(AssertUnwindSafe(|| drop(arena))))?;
        self.shadow.expect_drops(&kept)
    }

    fn next(&mut self) -> Option<Step> {
        let step = *self.steps.next()?;
        if self.is_traced {
            eprintln!("{}{step:?}", "  ".repeat(self.shadow.levels.len() - 1));
        }
        Some(step)
    }

    /// The kept values of all levels, oldest first.
    fn all_kept(&self) -> Vec<u32> {
        self.shadow.levels.iter().flat_map(|level| &level.kept).copied().collect()
    }

    fn on_arena<S: Source>(&mut self, arena: &mut Arena<S>, step: Step) -> Checked {
        match step {
            Step::Begin => {
                let used = arena.bytes_used();
                if let Ok(mark) = arena.try_begin_scope() {
                    self.shadow.levels.push(Level::new(Began::Mark(mark), Some(used)));
                    self.is_reset = false;
                }
            }
            Step::End { mark } => self.end_mark(arena, mark)?,
            Step::Reset => {
                let kept = self.all_kept();
                planned(catch_unwind(AssertUnwindSafe(|| arena.reset())))?;
                self.shadow.expect_drops(&kept)?;
                self.ended.extend(self.open_marks());
                self.shadow.levels.truncate(1);
                *self.shadow.top() = Level::new(Began::Root, Some(0));
                self.is_reset = true;
                if arena.bytes_used() != 0 {
                    return Err(format!("something is left of {arena:?}"));
                }
            }
            Step::ShrinkTo(bytes) => {
                arena.shrink_to(bytes);
                if self.is_reset && arena.bytes_held() > bytes {
                    return Err(format!("more than {bytes} bytes are left of {arena:?}"));
                }
            }
            Step::ChunkCap(bytes) => arena.set_chunk_cap(bytes),
            Step::Limit(limit) => arena.set_allocation_limit(limit),
            Step::List { layout } => self.list(arena, layout)?,
            _ => {
                self.is_reset = false;
                self.at_home(arena, step)?;
            }
        }
        Ok(())
    }

    fn open_marks(&self) -> Vec<Mark> {
        let began = self.shadow.levels.iter().map(|level| level.began);
        let marks =
            began.filter_map(|began| if let Began::Mark(mark) = began { Some(mark) } else { None });
        marks.collect()
    }

    /// Ends the innermost mark, or tries another.
    fn end_mark<S: Source>(&mut self, arena: &mut Arena<S>, index: usize) -> Checked {
        let mut open = self.open_marks();
        let innermost = open.pop();
        let others: Vec<Mark> = open.iter().chain(&self.ended).copied().collect();
        let other = index.checked_sub(1).and_then(|index| others.get(index % others.len().max(1)));
        if let Some(&mark) = other {
            let is_open = open.contains(&mark);
            let expected = if is_open { MarkError::WrongOrder } else { MarkError::NotOpen };
            return match arena.end_scope(mark) {
                Err(error) if error == expected => Ok(()),
                said => Err(format!("{said:?} instead of {expected:?}")),
            };
        }
        let Some(mark) = innermost else { return Ok(()) };
        let ended = self.shadow.end();
        let mut said = Ok(());
        planned(catch_unwind(AssertUnwindSafe(|| said = arena.end_scope(mark))))?;
        self.shadow.expect_drops(&ended.kept)?;
        self.ended.push(mark);
        if said.is_err() || ended.bytes_used.is_some_and(|used| used < arena.bytes_used()) {
            return Err(format!("{said:?}, {arena:?}, and before it {:?}", ended.bytes_used));
        }
        Ok(())
    }

    /// Lists the chunks, and allocates after the first.
    fn list<S: Source>(&mut self, arena: &mut Arena<S>, layout: Layout) -> Checked {
        self.is_reset = false;
        let mut chunks = arena.chunks();
        let first = chunks.next();
        let said = arena.allocate(layout);
        let others: usize = chunks.map(|chunk| chunk.size()).sum();
        if others > arena.bytes_held() {
            return Err(format!("chunks of {others} bytes after {first:?} in {arena:?}"));
        }
        let fill = self.shadow.number().1;
        said.map_or(Ok(()), |memory| self.shadow.add(memory, layout, fill))
    }

    /// Makes the step of an arena or of a scope.
    fn at_home<S: Source, H: Home<S>>(&mut self, home: &mut H, step: Step) -> Checked {
        match step {
            Step::Allocate { layout, is_zeroed } => self.allocate(home, layout, is_zeroed),
            Step::Deallocate { which } => {
                if let Some((level, index)) = self.shadow.find(which) {
                    let block = self.shadow.levels[level].blocks.remove(index);
                    let layout = block.layout.expect("found with a layout");
                    // SAFETY: the block is in the shadow, of this arena or scope: invariant 1.
                    unsafe { home.deallocate(block.memory.cast(), layout) };
                }
                Ok(())
            }
            Step::Grow { which, layout, is_zeroed } => self.resize(home, which, layout, is_zeroed),
            Step::Shrink { which, layout } => self.resize(home, which, layout, false),
            Step::Value { kind, size } => {
                let fill = self.shadow.number().1;
                if let Some(memory) = home.put(kind, size, fill) {
                    let value = Block { memory, layout: None, fill };
                    value.check()?;
                    self.shadow.top().blocks.push(value);
                }
                Ok(())
            }
            Step::Keep { panics, is_large } => {
                let number = self.shadow.number().0;
                let mut is_kept = false;
                planned(catch_unwind(AssertUnwindSafe(|| {
                    is_kept = home.keep(number, panics, is_large);
                })))?;
                self.shadow.expect_drops(if is_kept { &[] } else { slice::from_ref(&number) })?;
                self.shadow.top().kept.extend(is_kept.then_some(number));
                Ok(())
            }
            Step::Fail { kind, marks, keeps, layout } => {
                self.fail(home, kind, (marks, keeps, layout))
            }
            Step::Enter => self.within(home.enter()),
            _ => Ok(()),
        }
    }

    fn allocate<S: Source, H: Home<S>>(
        &mut self,
        home: &H,
        layout: Layout,
        is_zeroed: bool,
    ) -> Checked {
        let (used, fill) = (home.bytes_used(), self.shadow.number().1);
        let said = if is_zeroed { home.allocate_zeroed(layout) } else { home.allocate(layout) };
        let Ok(memory) = said else {
            let unchanged = used == home.bytes_used();
            return if unchanged { Ok(()) } else { Err("a failure has taken memory".into()) };
        };
        if is_zeroed {
            Block { memory, layout: None, fill: 0 }.check()?;
        }
        self.shadow.add(memory, layout, fill)
    }

    /// Grows or shrinks a block, by the size of `layout`.
    fn resize<S: Source, H: Home<S>>(
        &mut self,
        home: &H,
        which: Which,
        layout: Layout,
        is_zeroed: bool,
    ) -> Checked {
        let Some((level, index)) = self.shadow.find(which) else { return Ok(()) };
        let block = self.shadow.levels[level].blocks[index];
        let (start, old) = (block.memory.cast(), block.layout.expect("found with a layout"));
        // SAFETY: the block is in the shadow, of this arena or scope (invariant 1), and the new
        // layout is no smaller, or no larger.
        let said = unsafe {
            match layout.size() >= old.size() {
                true if is_zeroed => home.grow_zeroed(start, old, layout),
                true => home.grow(start, old, layout),
                false => home.shrink(start, old, layout),
            }
        };
        let Ok(memory) = said else { return Ok(()) };
        self.shadow.levels[level].blocks.remove(index);
        Block { memory, ..block }.check_range(0..old.size().min(layout.size()))?;
        if is_zeroed && layout.size() > old.size() {
            let zeroed = Block { memory, layout: None, fill: 0 };
            zeroed.check_range(old.size()..layout.size())?;
        }
        let fill = self.shadow.number().1;
        self.shadow.add(memory, layout, fill)
    }

    /// Makes a value that fails, after something else was put there.
    fn fail<S: Source, H: Home<S>>(
        &mut self,
        home: &H,
        kind: u8,
        (marks, keeps, layout): (bool, bool, Option<Layout>),
    ) -> Checked {
        let (used, (number, fill)) = (home.bytes_used(), self.shadow.number());
        let (mut mark, mut is_kept, mut memory) = (None, None, None);
        planned(catch_unwind(AssertUnwindSafe(|| {
            home.fail(kind, &mut || {
                mark = marks.then(|| (home.bytes_used(), home.mark()));
                is_kept = keeps.then(|| home.keep(number, false, false));
                memory = layout.and_then(|layout| Some((home.allocate(layout).ok()?, layout)));
            });
        })))?;
        self.shadow.expect_drops(if is_kept == Some(false) {
            slice::from_ref(&number)
        } else {
            &[]
        })?;
        let has_mark = mark.is_some_and(|(_, mark)| mark.is_some());
        if let Some((used, Some(mark))) = mark {
            self.shadow.levels.push(Level::new(Began::Mark(mark), used));
        }
        self.shadow.top().kept.extend((is_kept == Some(true)).then_some(number));
        // A large value, that has a chunk of its own or is the last block.
        if kind % 4 == 1 && is_kept != Some(true) && memory.is_none() && !has_mark {
            let unchanged = used == home.bytes_used();
            return if unchanged { Ok(()) } else { Err("a value that fails stays".into()) };
        }
        memory.map_or(Ok(()), |(memory, layout)| self.shadow.add(memory, layout, fill))
    }

    /// Makes steps in a scope, up to the one that leaves it.
    fn within<S: Source>(&mut self, guard: Guard<'_, S>) -> Checked {
        self.shadow.levels.push(Level::new(Began::Guard, None));
        let mut said = Ok(Ending::Drop);
        planned(catch_unwind(AssertUnwindSafe(|| {
            let mut guard = guard;
            said = self.in_scope(&mut guard.scope());
            match said {
                Ok(Ending::Unwind) => unwind(),
                Ok(Ending::Drop) => drop(guard),
                Ok(Ending::Forget) | Err(_) => mem::forget(guard),
            }
        })))?;
        let ended = self.shadow.end();
        match said? {
            Ending::Forget => {
                // The memory goes with the next scope further out.
                let blocks = ended.blocks.into_iter();
                self.shadow
                    .top()
                    .blocks
                    .extend(blocks.map(|block| Block { layout: None, ..block }));
                self.shadow.expect_drops(&[])
            }
            Ending::Drop | Ending::Unwind => self.shadow.expect_drops(&ended.kept),
        }
    }

    fn in_scope<S: Source>(&mut self, scope: &mut Scope<'_, '_, S>) -> Checked<Ending> {
        while let Some(step) = self.next() {
            if let Step::Leave(ending) = step {
                return Ok(ending);
            }
            self.at_home(scope, step)?;
            self.shadow.check()?;
        }
        Ok(Ending::Drop)
    }
}

/// Checks what an arena says of itself.
fn check_account<S: Source>(arena: &Arena<S>) -> Checked {
    arena.check_invariants().map_err(|broken| broken.to_string())?;
    let (mut held, mut used) = (0, 0);
    for chunk in arena.chunks() {
        if chunk.used() > chunk.size() {
            return Err(format!("{chunk:?} uses more than there is"));
        }
        (held, used) = (held + chunk.size(), used + chunk.used());
    }
    if (held, used) != (arena.bytes_held(), arena.bytes_used()) {
        return Err(format!("{arena:?} has chunks of {held} bytes, {used} in use"));
    }
    Ok(())
}

/// Lets planned panics pass.
fn planned(unwound: Result<(), Box<dyn Any + Send>>) -> Checked {
    match unwound {
        Err(panic) if !panic.is::<Planned>() => {
            let said = panic.downcast_ref::<String>().cloned();
            Err(format!("panic: {}", said.unwrap_or_default()))
        }
        _ => Ok(()),
    }
}
