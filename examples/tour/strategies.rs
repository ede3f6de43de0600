//! The same job with every strategy. Each function composes an allocator, and gives it to an index.

use std::time::{Duration, Instant};

use allotrope::prelude::{
    BestFit, Buffer, BufferHeap, FixedSize, Global, Local, Locked, ObjectPool, Pool, Segregated,
    SharedBufferHeap,
};
use allotrope::{Broken, DefaultPolicy, Policy, Upstream};

use crate::containers::Containers;
use crate::counted::Counted;
use crate::job::{self, Answer, Full, Index, Token};
use crate::nodes::{Boxes, Nodes, PATH_SIZE, TOKEN_SIZE, WORD_SIZE};
use crate::picture::Picture;
use crate::tree::Tree;

/// The bytes that all strategies but the global allocator have to get by with.
pub type Bytes = [std::mem::MaybeUninit<u8>];

/// What one strategy did.
#[derive(Debug)]
pub struct Run<'t> {
    pub answer: Answer<'t>,
    pub time: Duration,
    /// The bytes that the job asked for, at the end.
    pub asked: usize,
    /// The same, at the most.
    pub peak: usize,
    /// What is known of the memory beneath; of the global allocator, nothing.
    pub memory: Option<Memory>,
}

/// A buffer, at the end of the job.
#[derive(Debug)]
pub struct Memory {
    /// What the rest of the program can not have: blocks, what rounding adds, bookkeeping.
    pub held: usize,
    pub largest_free_block: usize,
    pub picture: Picture,
}

/// Why a strategy did not do the job.
#[derive(Debug)]
pub enum Failure {
    /// Its memory does not suffice.
    Full,
    /// It broke a promise.
    Wrong(String),
}

impl From<Full> for Failure {
    fn from(Full: Full) -> Self {
        Self::Full
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self::Wrong(broken.to_string())
    }
}

type Outcome<'t> = Result<Run<'t>, Failure>;

/// Small steps, for pools and size classes that share a buffer.
struct SmallSteps;

impl Policy for SmallSteps {
    const CHUNK_SIZE: usize = 16 * 1024;
    const GROWTH_SIZE: usize = 64 * 1024;
    const RESERVE_SIZE: usize = DefaultPolicy::RESERVE_SIZE;
    const LARGEST_CLASS: usize = 2 * 1024;
}

/// Containers, global allocator.
pub fn global_containers(tree: &Tree) -> Outcome<'_> {
    let memory = Counted::new(Global);
    let (index, time) = timed(|| job::build(tree, Containers::new_in(&memory)))?;
    Ok(Run::new(&index, time, (memory.now(), memory.peak()), None))
}

/// Containers, global allocator, several threads.
pub fn global_containers_shared(tree: &Tree, threads: usize) -> Outcome<'_> {
    let memory = Counted::new(Global);
    let (index, time) = timed(|| job::build_shared(tree, threads, || Containers::new_in(&memory)))?;
    Ok(Run::new(&index, time, (memory.now(), memory.peak()), None))
}

/// Nodes, global allocator.
pub fn global_nodes(tree: &Tree) -> Outcome<'_> {
    let memory = Counted::new(Global);
    let (index, time) =
        timed(|| job::build(tree, Nodes::new_in(&memory, &memory, Boxes(&memory))))?;
    Ok(Run::new(&index, time, (memory.now(), memory.peak()), None))
}

/// Nodes, global allocator, several threads.
pub fn global_nodes_shared(tree: &Tree, threads: usize) -> Outcome<'_> {
    let memory = Counted::new(Global);
    let make = || Nodes::new_in(&memory, &memory, Boxes(&memory));
    let (index, time) = timed(|| job::build_shared(tree, threads, make))?;
    Ok(Run::new(&index, time, (memory.now(), memory.peak()), None))
}

/// Containers, best fit in one buffer.
pub fn best_fit_containers<'t>(tree: &'t Tree, bytes: &mut Bytes) -> Outcome<'t> {
    let heap = BufferHeap::new(BestFit::new(Buffer::new(bytes)));
    let run = {
        let memory = Counted::new(&heap);
        let (index, time) = timed(|| job::build(tree, Containers::new_in(&memory)))?;
        Run::new(&index, time, (memory.now(), memory.peak()), Some(look_at(&heap)))
    };
    all_is_back(heap.bytes_used(), heap.check_invariants())?;
    Ok(run)
}

/// Nodes, best fit in one buffer.
pub fn best_fit_nodes<'t>(tree: &'t Tree, bytes: &mut Bytes) -> Outcome<'t> {
    let heap = BufferHeap::new(BestFit::new(Buffer::new(bytes)));
    let run = {
        let memory = Counted::new(&heap);
        let (index, time) =
            timed(|| job::build(tree, Nodes::new_in(&memory, &memory, Boxes(&memory))))?;
        Run::new(&index, time, (memory.now(), memory.peak()), Some(look_at(&heap)))
    };
    all_is_back(heap.bytes_used(), heap.check_invariants())?;
    Ok(run)
}

/// Containers, best fit in one buffer, several threads behind one lock.
pub fn best_fit_containers_shared<'t>(
    tree: &'t Tree,
    threads: usize,
    bytes: &mut Bytes,
) -> Outcome<'t> {
    let heap = SharedBufferHeap::new(BestFit::new(Buffer::new(bytes)));
    let run = {
        let memory = Counted::new(&heap);
        let make = || Containers::new_in(&memory);
        let (index, time) = timed(|| job::build_shared(tree, threads, make))?;
        Run::new(&index, time, (memory.now(), memory.peak()), Some(look_at_shared(&heap)))
    };
    all_is_back(heap.bytes_used(), heap.check_invariants())?;
    Ok(run)
}

/// Nodes, a pool for each size of block; all pools take their chunks from one buffer.
pub fn pools<'t>(tree: &'t Tree, bytes: &mut Bytes) -> Outcome<'t> {
    type Uniform<'h, 'b, const SIZE: usize> =
        Local<FixedSize<SIZE, Upstream<&'h BufferHeap<'b>>, SmallSteps>>;
    let heap = BufferHeap::new(BestFit::new(Buffer::new(bytes)));
    let run = {
        let words: Uniform<WORD_SIZE> = Local::new(FixedSize::with_policy(Upstream::new(&heap)));
        let paths: Uniform<PATH_SIZE> = Local::new(FixedSize::with_policy(Upstream::new(&heap)));
        let tokens: Uniform<TOKEN_SIZE> = Local::new(FixedSize::with_policy(Upstream::new(&heap)));
        let run = {
            let counted = (Counted::new(&words), Counted::new(&paths), Counted::new(&tokens));
            let index = Nodes::new_in(&counted.0, &counted.1, Boxes(&counted.2));
            let (index, time) = timed(|| job::build(tree, index))?;
            let now = counted.0.now() + counted.1.now() + counted.2.now();
            let peak = counted.0.peak() + counted.1.peak() + counted.2.peak();
            Run::new(&index, time, (now, peak), Some(look_at(&heap)))
        };
        all_is_back(words.bytes_used(), words.check_invariants())?;
        all_is_back(paths.bytes_used(), paths.check_invariants())?;
        all_is_back(tokens.bytes_used(), tokens.check_invariants())?;
        run
    };
    all_is_back(heap.bytes_used(), heap.check_invariants())?;
    Ok(run)
}

/// The same, with the tokens in an object pool, whose boxes own them.
pub fn pools_and_object_pool<'t>(tree: &'t Tree, bytes: &mut Bytes) -> Outcome<'t> {
    type Uniform<'h, 'b, const SIZE: usize> =
        Local<FixedSize<SIZE, Upstream<&'h BufferHeap<'b>>, SmallSteps>>;
    let heap = BufferHeap::new(BestFit::new(Buffer::new(bytes)));
    let run = {
        let words: Uniform<WORD_SIZE> = Local::new(FixedSize::with_policy(Upstream::new(&heap)));
        let paths: Uniform<PATH_SIZE> = Local::new(FixedSize::with_policy(Upstream::new(&heap)));
        let tokens = ObjectPool::<Token<'t>, _, SmallSteps>::with_policy(Upstream::new(&heap));
        let run = {
            let counted = (Counted::new(&words), Counted::new(&paths));
            let index = Nodes::new_in(&counted.0, &counted.1, &tokens);
            let (index, time) = timed(|| job::build(tree, index))?;
            // The number of tokens only grows, but for the one that is looked at.
            let now = counted.0.now() + counted.1.now() + tokens.len() * TOKEN_SIZE;
            Run::new(&index, time, (now, now + TOKEN_SIZE), Some(look_at(&heap)))
        };
        all_is_back(words.bytes_used(), words.check_invariants())?;
        all_is_back(paths.bytes_used(), paths.check_invariants())?;
        all_is_back(tokens.len(), Ok(()))?;
        run
    };
    all_is_back(heap.bytes_used(), heap.check_invariants())?;
    Ok(run)
}

/// Size classes, whose slabs and larger blocks all come from one buffer.
type Classes<'h, 'b> = Local<Segregated<Upstream<&'h BufferHeap<'b>>, SmallSteps>>;

/// Containers, size classes.
pub fn segregated_containers<'t>(tree: &'t Tree, bytes: &mut Bytes) -> Outcome<'t> {
    let heap = BufferHeap::new(BestFit::new(Buffer::new(bytes)));
    let run = {
        let classes: Classes = Local::new(Segregated::with_policy(Upstream::new(&heap)));
        let run = {
            let memory = Counted::new(&classes);
            let (index, time) = timed(|| job::build(tree, Containers::new_in(&memory)))?;
            Run::new(&index, time, (memory.now(), memory.peak()), Some(look_at(&heap)))
        };
        all_is_back(classes.bytes_used(), classes.check_invariants())?;
        run
    };
    all_is_back(heap.bytes_used(), heap.check_invariants())?;
    Ok(run)
}

/// Nodes, size classes.
pub fn segregated_nodes<'t>(tree: &'t Tree, bytes: &mut Bytes) -> Outcome<'t> {
    let heap = BufferHeap::new(BestFit::new(Buffer::new(bytes)));
    let run = {
        let classes: Classes = Local::new(Segregated::with_policy(Upstream::new(&heap)));
        let run = {
            let memory = Counted::new(&classes);
            let (index, time) =
                timed(|| job::build(tree, Nodes::new_in(&memory, &memory, Boxes(&memory))))?;
            Run::new(&index, time, (memory.now(), memory.peak()), Some(look_at(&heap)))
        };
        all_is_back(classes.bytes_used(), classes.check_invariants())?;
        run
    };
    all_is_back(heap.bytes_used(), heap.check_invariants())?;
    Ok(run)
}

/// Nodes, pools, several threads; each pool behind a lock of its own.
pub fn pools_shared<'t>(tree: &'t Tree, threads: usize, bytes: &mut Bytes) -> Outcome<'t> {
    type Uniform<'h, 'b, const SIZE: usize> =
        Locked<FixedSize<SIZE, Upstream<&'h SharedBufferHeap<'b>>, SmallSteps>>;
    let heap = SharedBufferHeap::new(BestFit::new(Buffer::new(bytes)));
    let run = {
        let words: Uniform<WORD_SIZE> = Locked::new(FixedSize::with_policy(Upstream::new(&heap)));
        let paths: Uniform<PATH_SIZE> = Locked::new(FixedSize::with_policy(Upstream::new(&heap)));
        let tokens: Uniform<TOKEN_SIZE> = Locked::new(FixedSize::with_policy(Upstream::new(&heap)));
        let run = {
            let counted = (Counted::new(&words), Counted::new(&paths), Counted::new(&tokens));
            let make = || Nodes::new_in(&counted.0, &counted.1, Boxes(&counted.2));
            let (index, time) = timed(|| job::build_shared(tree, threads, make))?;
            let now = counted.0.now() + counted.1.now() + counted.2.now();
            let peak = counted.0.peak() + counted.1.peak() + counted.2.peak();
            Run::new(&index, time, (now, peak), Some(look_at_shared(&heap)))
        };
        all_is_back(words.bytes_used(), words.check_invariants())?;
        all_is_back(paths.bytes_used(), paths.check_invariants())?;
        all_is_back(tokens.bytes_used(), tokens.check_invariants())?;
        run
    };
    all_is_back(heap.bytes_used(), heap.check_invariants())?;
    Ok(run)
}

/// Nodes, one pool for blocks of all sizes, several threads without a lock.
pub fn pool_shared<'t>(tree: &'t Tree, threads: usize, bytes: &mut Bytes) -> Outcome<'t> {
    let heap = SharedBufferHeap::new(BestFit::new(Buffer::new(bytes)));
    let run = {
        let pool = Pool::<_, SmallSteps>::with_policy(Upstream::new(&heap));
        let run = {
            let memory = Counted::new(&pool);
            let make = || Nodes::new_in(&memory, &memory, Boxes(&memory));
            let (index, time) = timed(|| job::build_shared(tree, threads, make))?;
            Run::new(&index, time, (memory.now(), memory.peak()), Some(look_at_shared(&heap)))
        };
        all_is_back(pool.bytes_used(), pool.check_invariants())?;
        run
    };
    all_is_back(heap.bytes_used(), heap.check_invariants())?;
    Ok(run)
}

impl<'t> Run<'t> {
    fn new(
        index: &impl Index<'t>,
        time: Duration,
        (asked, peak): (usize, usize),
        memory: Option<Memory>,
    ) -> Self {
        Self { answer: index.answer(), time, asked, peak, memory }
    }
}

fn timed<I>(work: impl FnOnce() -> Result<I, Full>) -> Result<(I, Duration), Full> {
    let start = Instant::now();
    let index = work()?;
    Ok((index, start.elapsed()))
}

fn look_at(heap: &BufferHeap) -> Memory {
    Memory {
        held: heap.bytes_held() - heap.bytes_free(),
        largest_free_block: heap.largest_free_block(),
        picture: Picture::take(|spans| heap.copy_spans(spans)),
    }
}

fn look_at_shared(heap: &SharedBufferHeap) -> Memory {
    Memory {
        held: heap.bytes_held() - heap.bytes_free(),
        largest_free_block: heap.largest_free_block(),
        picture: Picture::take(|spans| heap.copy_spans(spans)),
    }
}

/// Nothing is used any more, and nobody wrote where they should not.
fn all_is_back(used: usize, invariants: Result<(), Broken>) -> Result<(), Failure> {
    invariants?;
    if used > 0 {
        return Err(Failure::Wrong(format!("{used} bytes are still used when all is dropped")));
    }
    Ok(())
}
