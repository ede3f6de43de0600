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

use core::marker::PhantomData;
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

    /// The chunk that `address` lies in.
    ///
    /// # Safety
    ///
    /// It lies in one that [`from_head`](Self::from_head) may be called for, of `size` bytes.
    #[inline(always)]
    pub(super) unsafe fn around<T>(address: NonNull<T>, size: usize) -> Self {
        let offset = address.addr().get() & (size - 1);
        // SAFETY: a chunk starts at a multiple of its size, so its start lies so far before.
        let head = unsafe { address.cast::<u8>().sub(offset) };
        // SAFETY: as the caller promises.
        unsafe { Self::from_head(head.cast()) }
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
    pub(super) unsafe fn fill(self, class: usize, blocks: Blocks, size: usize) {
        let head = self.head.as_ptr();
        let words = self.first_word();
        let head_size = Self::HEAD_SIZE + blocks.words * size_of::<Word>();
        poison::unpoison(self.start(), head_size);
        // SAFETY: the words lie behind the head, and before the first block.
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
        // SAFETY: the blocks lie in the chunk.
        let first = unsafe { self.start().add(blocks.first * block_size(class)) };
        poison::poison(first, size - blocks.first * block_size(class));
    }

    /// Makes it spare: none of its blocks is anybody's any more.
    ///
    /// # Safety
    ///
    /// This thread has the chunk to itself.
    pub(super) unsafe fn clear(self) {
        // SAFETY: as in `fill`.
        unsafe { (&raw mut (*self.head.as_ptr()).class).write(SPARE) };
    }

    /// Makes the summary say what the words do. Returns whether the chunk is held now, by the
    /// caller.
    ///
    /// # Safety
    ///
    /// This thread has the chunk to itself, and it is not spare.
    pub(super) unsafe fn summarize(self) -> bool {
        let summary = Summary::of(self.occupancy().words());
        // SAFETY: as in `fill`.
        unsafe { (&raw mut (*self.head.as_ptr()).summary).write(summary) };
        self.occupancy().state().0
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

    /// Its class, if it is not spare.
    pub(super) fn class(self) -> Option<usize> {
        // SAFETY: the head is initialized, and invariant 2.
        let class = unsafe { (&raw const (*self.head.as_ptr()).class).read() };
        (class != SPARE).then_some(usize::from(class))
    }

    /// Which of its blocks are free; it is not spare.
    #[inline(always)]
    pub(super) fn occupancy(self) -> Occupancy<'p> {
        let head = self.head.as_ptr();
        // SAFETY: the head is initialized; summary and words are accessed as atomics only, save by
        // a thread that has the chunk to itself (invariant 2).
        unsafe {
            let words = usize::from((&raw const (*head).words).read());
            let words = core::slice::from_raw_parts(self.first_word().as_ptr(), words);
            Occupancy::new(&(*head).summary, words)
        }
    }

    /// Its first byte.
    pub(super) const fn start(self) -> NonNull<u8> {
        self.head.cast()
    }

    #[inline(always)]
    const fn first_word(self) -> NonNull<Word> {
        // SAFETY: words stand behind the head.
        unsafe { self.head.add(1) }.cast()
    }

    /// Its word `number`.
    #[inline(always)]
    pub(super) const fn word(self, number: usize) -> NonNull<Word> {
        // SAFETY: as the caller knows the number, there is such a word.
        unsafe { self.first_word().add(number) }
    }

    /// The number of a word of this chunk.
    #[inline(always)]
    pub(super) fn number_of(self, word: NonNull<Word>) -> usize {
        let offset = word.addr().get() - self.head.addr().get() - Self::HEAD_SIZE;
        offset / size_of::<Word>()
    }

    /// The block of `class` that bit `bit` of word `word` stands for.
    #[inline(always)]
    pub(super) fn block(self, class: usize, word: usize, bit: u32) -> NonNull<u8> {
        let number = word * WORD_BLOCKS + bit as usize;
        // SAFETY: only blocks that lie in the chunk have bits.
        unsafe { self.start().add(number << shift_of(class)) }
    }

    /// The word and the bit that stand for the block of `class` at `block`.
    #[inline(always)]
    pub(super) fn place_of(self, class: usize, block: NonNull<u8>) -> (usize, u32) {
        let number = (block.addr().get() - self.head.addr().get()) >> shift_of(class);
        (number / WORD_BLOCKS, 1 << (number % WORD_BLOCKS))
    }
}

const _: () = assert!(align_of::<Head>() >= align_of::<Word>());
