//! A chunk of a pool: blocks of one class, and in front of them which are free.
//!
//! ```text
//! multiple of the chunk's size
//! │ summary │ links │ number │ class │ words: which blocks are free │ block │ block │ … │
//! └──────────── head ────────────────┘
//! ```
//!
//! # Invariants
//!
//! 1. Links are accessed as atomics only, from when the chunk is cut until its region is released:
//!    a thread that was late may read the link of a chunk that others use.
//! 2. All else is written while one thread has the chunk to itself, and after that only the
//!    summary and the words change, as atomics.
//! 3. Behind the head of a chunk with a class stand `words` words, and behind these its blocks, in
//!    the chunk. Only bits of blocks are ever set.

use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;

use allotrope_sync::facade::atomic::AtomicU32;
use allotrope_sync::{NO_ID, Occupancy, Summary, Word};

use crate::layout::powers::{Blocks, WORD_BLOCKS, block_size, shift_of};
use crate::poison;

/// What stands at the start of a chunk.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Head {
    summary: Summary,
    /// In the stack of chunks that wait for a shard, or of spare ones.
    pub(super) waiting: AtomicU32,
    /// In the list of all chunks of the class.
    pub(super) older: AtomicU32,
    id: u32,
    class: u16,
    words: u16,
}

/// The class of a chunk that has none.
const SPARE: u16 = u16::MAX;

/// A chunk of a pool that stays borrowed for as long as this is used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'p> {
    head: NonNull<Head>,
    pool: PhantomData<&'p Head>,
}

impl<'p> Chunk<'p> {
    /// How many bytes stand before the words.
    pub(super) const HEAD_SIZE: usize = size_of::<Head>();

    /// Where the blocks of `class` lie in chunks of `size` bytes, if there are any.
    pub(super) const fn blocks_of(class: usize, size: usize) -> Option<Blocks> {
        Blocks::new(class, size, Self::HEAD_SIZE, size_of::<Word>())
    }

    /// The chunk with this head.
    ///
    /// # Safety
    ///
    /// It was [cut](Self::cut), and its region will not be released during `'p`.
    #[inline(always)]
    pub(super) const unsafe fn from_head(head: NonNull<Head>) -> Self {
        Self { head, pool: PhantomData }
    }

    /// Makes a spare chunk at `start`.
    ///
    /// # Safety
    ///
    /// The memory there is as long as a chunk with a head, committed, this thread's alone, and at
    /// a multiple of the chunk's size. `id` is its number.
    pub(super) unsafe fn cut(start: NonNull<u8>, id: u32) -> Self {
        let head = start.cast::<Head>();
        poison::unpoison(start, Self::HEAD_SIZE);
        let (waiting, older) = (AtomicU32::new(NO_ID), AtomicU32::new(NO_ID));
        let summary = Summary::held(0);
        // SAFETY: there is room for a head, and nobody else knows of it (caller).
        unsafe { head.write(Head { summary, waiting, older, id, class: SPARE, words: 0 }) };
        // SAFETY: cut just now.
        unsafe { Self::from_head(head) }
    }

    /// Makes it one of blocks of `class`, all free, that the caller holds.
    ///
    /// # Safety
    ///
    /// The chunk has `size` bytes, `blocks` are those of `class` in it, it is spare, and this
    /// thread has it to itself.
    pub(super) unsafe fn fill(self, class: usize, blocks: Blocks, size: usize) -> Classed<'p> {
        let head = self.head.as_ptr();
        let words = self.first_word();
        let head_size = Self::HEAD_SIZE + blocks.words * size_of::<Word>();
        poison::unpoison(self.start(), head_size);
        // SAFETY: the words lie behind the head, and before the first block (`Blocks`), in memory
        // that is this thread's alone (caller).
        unsafe {
            (0..blocks.words).for_each(|n| words.add(n).write(Word::new(blocks.bits(n))));
        }
        // SAFETY: the head is initialized; no reference to these fields is left, as nobody else
        // has the chunk (caller). The links are not touched.
        unsafe {
            (&raw mut (*head).summary).write(Summary::held(blocks.words));
            (&raw mut (*head).class).write(class as u16);
            (&raw mut (*head).words).write(blocks.words as u16);
        }
        // SAFETY: the blocks lie in the chunk (`Blocks`).
        let first = unsafe { self.start().add(blocks.first * block_size(class)) };
        poison::poison(first, size - blocks.first * block_size(class));
        Classed(self)
    }

    /// The links of the chunk.
    #[inline(always)]
    pub(super) fn links(self) -> (&'p AtomicU32, &'p AtomicU32) {
        let head = self.head.as_ptr();
        // SAFETY: the head stays for as long as the pool is borrowed, and this part of it is
        // accessed as atomics only (invariant 1).
        unsafe { (&(*head).waiting, &(*head).older) }
    }

    /// Its number.
    pub(super) fn id(self) -> u32 {
        // SAFETY: the head is initialized, and its number never changes.
        unsafe { (&raw const (*self.head.as_ptr()).id).read() }
    }

    /// Its class and itself, if it is not spare.
    ///
    /// # Safety
    ///
    /// No other thread [fills](Self::fill) or [clears](Classed::clear) it meanwhile.
    pub(super) unsafe fn classed(self) -> Option<(usize, Classed<'p>)> {
        // SAFETY: the head is initialized, and nobody writes to it (caller, invariant 2).
        let class = unsafe { (&raw const (*self.head.as_ptr()).class).read() };
        (class != SPARE).then_some((usize::from(class), Classed(self)))
    }

    /// Its first byte.
    pub(super) const fn start(self) -> NonNull<u8> {
        self.head.cast()
    }

    #[inline(always)]
    const fn first_word(self) -> NonNull<Word> {
        // SAFETY: a chunk is longer than its head.
        unsafe { self.head.add(1) }.cast()
    }
}

/// A chunk that has a class, and keeps it for as long as this is used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Classed<'p>(Chunk<'p>);

impl<'p> Deref for Classed<'p> {
    type Target = Chunk<'p>;

    #[inline(always)]
    fn deref(&self) -> &Chunk<'p> {
        &self.0
    }
}

impl<'p> Classed<'p> {
    /// A chunk that has a class.
    ///
    /// # Safety
    ///
    /// It was [filled](Chunk::fill), and is not cleared during `'p`.
    #[inline(always)]
    pub(super) const unsafe fn new(chunk: Chunk<'p>) -> Self {
        Self(chunk)
    }

    /// The chunk that the word or block at `address` lies in.
    ///
    /// # Safety
    ///
    /// It lies in one that [`new`](Self::new) may be called for, of `size` bytes, and the pointer
    /// reaches all of that.
    #[inline(always)]
    pub(super) unsafe fn around<T>(address: NonNull<T>, size: usize) -> Self {
        let offset = address.addr().get() & (size - 1);
        // SAFETY: a chunk starts at a multiple of its size, so its start lies so far before.
        let head = unsafe { address.cast::<u8>().sub(offset) };
        // SAFETY: as the caller promises.
        unsafe { Self::new(Chunk::from_head(head.cast())) }
    }

    /// Makes it spare: none of its blocks is anybody's any more.
    ///
    /// # Safety
    ///
    /// This thread has the chunk to itself.
    pub(super) unsafe fn clear(self) {
        // SAFETY: as in `fill`.
        unsafe { (&raw mut (*self.0.head.as_ptr()).class).write(SPARE) };
    }

    /// Makes the summary say what the words do. Returns whether the chunk is held now, by the
    /// caller.
    ///
    /// # Safety
    ///
    /// This thread has the chunk to itself.
    pub(super) unsafe fn summarize(self) -> bool {
        // SAFETY: as the caller promises; the last reference to the summary is not used when it is
        // written.
        unsafe {
            let summary = Summary::of(self.occupancy().words());
            (&raw mut (*self.0.head.as_ptr()).summary).write(summary);
            self.occupancy().state().0
        }
    }

    /// Its class.
    pub(super) fn class(self) -> usize {
        // SAFETY: the head is initialized, and the class does not change while the chunk has one
        // (invariant 2).
        usize::from(unsafe { (&raw const (*self.0.head.as_ptr()).class).read() })
    }

    /// Which of its blocks are free.
    #[inline(always)]
    pub(super) fn occupancy(self) -> Occupancy<'p> {
        let head = self.0.head.as_ptr();
        // SAFETY: the chunk has a class, so its head and words are initialized (invariant 3), and
        // nobody writes to the head but, as an atomic, to the summary (invariant 2).
        unsafe {
            let words = usize::from((&raw const (*head).words).read());
            let words = core::slice::from_raw_parts(self.first_word().as_ptr(), words);
            Occupancy::new(&(*head).summary, words)
        }
    }

    /// Its word `number`: a pointer that reaches all of the chunk, which a reference to a word does
    /// not. Words are valid for shared references during `'p`.
    ///
    /// # Safety
    ///
    /// It has such a word.
    #[inline(always)]
    pub(super) const unsafe fn word(self, number: usize) -> NonNull<Word> {
        // SAFETY: as the caller promises.
        unsafe { self.0.first_word().add(number) }
    }

    /// The number of a word of this chunk.
    #[inline(always)]
    pub(super) fn number_of(self, word: NonNull<Word>) -> usize {
        let offset = word.addr().get() - self.0.head.addr().get() - Chunk::HEAD_SIZE;
        offset / size_of::<Word>()
    }

    /// The block that bit `bit` of word `word` stands for.
    ///
    /// # Safety
    ///
    /// The chunk has this class, and such a block: the bit was set.
    #[inline(always)]
    pub(super) unsafe fn block(self, class: usize, word: usize, bit: u32) -> NonNull<u8> {
        let number = word * WORD_BLOCKS + bit as usize;
        // SAFETY: the block lies in the chunk (caller, invariant 3).
        unsafe { self.start().add(number << shift_of(class)) }
    }

    /// The word and the bit that stand for the block of `class` at `block`.
    #[inline(always)]
    pub(super) fn place_of(self, class: usize, block: NonNull<u8>) -> (usize, u32) {
        let number = (block.addr().get() - self.0.head.addr().get()) >> shift_of(class);
        (number / WORD_BLOCKS, 1 << (number % WORD_BLOCKS))
    }
}

const _: () = assert!(align_of::<Head>() >= align_of::<Word>());
