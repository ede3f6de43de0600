//! `allotrope-core`, from code that is not `unsafe`.
//!
//! What takes an `unsafe` call is named and not called.

#![forbid(unsafe_code)]

mod lodgers;

use std::alloc::Layout;
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use allocator_api2::alloc::Global;
use allotrope_core::api::{self, Sound};
use allotrope_core::compat::{From02, From03, From04};
use allotrope_core::parts::{
    self, BlockSize, Edges, Firm, Large, Log, NONE, Run, SizeClass, Space, Table, carry_over,
    exposed, ours, reserve_ahead,
};
use allotrope_core::poison::{poison, unpoison};
use allotrope_core::{
    Affix, AlignTo, AllocError, Ask, AskFirst, AskSecond, BestFit, Broken, Budget, Buffer, BySize,
    ClassicPolicy, Contents, DefaultPolicy, Delivery, Event, EventKind, Events, Fallback,
    FixedSize, Hook, Independent, Limit, Local, LocalBudget, Locked, Movement, NoHook, Null,
    ObjectPool, OsPages, Owns, Places, Policy, Pool, PoolBox, Record, Region, Segregated,
    SharedBudget, SharedObjectPool, SharedStrategy, Source, Span, SpinLock, Strategy, Upstream,
};
use lodgers::lodge;

/// A policy of a user's own.
struct Small;

impl Policy for Small {
    const CHUNK_SIZE: usize = 4096;
    const GROWTH_SIZE: usize = 16 * 1024;
    const RESERVE_SIZE: usize = 1 << 20;
    const LARGEST_CLASS: usize = 1024;
    const LARGEST_MEDIUM: usize = 8192;
}

/// A hook of a user's own.
#[derive(Clone, Copy)]
struct Counts<'a>(&'a Cell<usize>);

impl Hook for Counts<'_> {
    type Record = Events;

    fn on_event(&self, event: &Event) {
        let known = [EventKind::Allocate, EventKind::Free, EventKind::Split, EventKind::Coalesce];
        self.0.set(self.0.get() + usize::from(known.contains(&event.kind)));
    }

    fn on_overflow(&self, lost: usize) {
        self.0.set(self.0.get() + lost);
    }
}

fn bytes<const SIZE: usize>() -> [MaybeUninit<u8>; SIZE] {
    [const { MaybeUninit::uninit() }; SIZE]
}

fn use_local<S: Strategy + std::fmt::Debug>(strategy: S) {
    let mut heap = Local::from(strategy);
    lodge(&heap);
    let layout = Layout::new::<[u64; 4]>();
    assert!(heap.allocate(layout).is_ok() && heap.allocate_zeroed(layout).is_ok());
    assert!(heap.bytes_used() > 0 && heap.bytes_held() >= heap.bytes_used());
    let _ = (heap.bytes_free(), heap.largest_free_block(), format!("{heap:?}"));
    heap.trim();
    heap.check_invariants().unwrap();
    heap.reset();
    assert_eq!((heap.bytes_used(), S::extent(Layout::new::<()>())), (0, Some(0)));
    heap.get_mut().trim();
    let mut strategy = heap.into_inner();
    assert!(strategy.allocate(layout).is_ok());
    strategy.take_events().deliver();
    lodge(&Locked::<_, parking_lot::RawMutex>::with_lock(strategy));
}

#[test]
fn strategies_over_every_source() {
    let (mut first, mut second, mut third) = (bytes::<65536>(), bytes::<65536>(), bytes::<65536>());
    use_local(BestFit::new(Buffer::new(&mut first)));
    use_local(FixedSize::<40, _>::new(Buffer::new(&mut second)));
    use_local(Segregated::new(Buffer::new(&mut third)));
    use_local(BestFit::<_, Small>::with_policy(OsPages::new()));
    use_local(FixedSize::<64, _, Small>::with_policy(OsPages::new()));
    use_local(Segregated::<_, ClassicPolicy>::with_policy(OsPages::new()));
    use_local(BestFit::new(Upstream::new(Global)));
    let seen = Cell::new(0);
    use_local(BestFit::<_, Small, _>::with_hook(Upstream::new(Global), Counts(&seen)));
    use_local(FixedSize::<64, _, Small, _>::with_hook(OsPages::new(), Counts(&seen)));
    use_local(Segregated::<_, Small, _>::with_hook(OsPages::new(), Counts(&seen)));
    assert!(seen.get() > 100);
    let pool = Pool::<_, Small, _>::with_hook(OsPages::new(), NoHook);
    lodge(&pool);
    let size = FixedSize::<64, Buffer<'_>>::buffer_size(3);
    assert!(size >= 3 * FixedSize::<64, Buffer<'_>>::BLOCK_SIZE);
}

#[test]
fn what_best_fit_and_size_classes_have_besides() {
    let mut best_fit = BestFit::new(OsPages::new());
    assert!(best_fit.allocate(Layout::new::<u64>()).is_ok());
    assert!(best_fit.spans().map(|Span { size, .. }| size).sum::<usize>() > 0);
    let _: &OsPages = best_fit.source();
    let heap = Locked::new(best_fit);
    let nothing = Span { start: NonNull::dangling(), size: 0, is_free: false };
    assert_eq!(heap.copy_spans(&mut [nothing; 4]), 2);

    let mut classes = Segregated::<_, DefaultPolicy>::with_policy(OsPages::new());
    let mut blocks = [MaybeUninit::uninit(); 10];
    assert_eq!(classes.allocate_batch(Layout::new::<u64>(), &mut blocks), 10);
    let _: &OsPages = classes.source();
    let classes = Local::new(classes);
    assert_eq!(classes.allocate_batch(Layout::new::<u64>(), &mut blocks), 10);
    let _: &OsPages = FixedSize::<16, _>::new(OsPages::new()).source();
}

#[test]
fn pools_and_their_boxes() {
    let mut pool = Pool::new(OsPages::new());
    lodge(&pool);
    let layout = Layout::new::<u64>();
    assert!(pool.allocate_in(usize::MAX, layout).is_ok() && pool.allocate_zeroed(layout).is_ok());
    assert_eq!((pool.blocks_used(layout), pool.bytes_used()), (2, 16.max(pool.bytes_used())));
    assert!(pool.capacity(layout) > 2 && pool.bytes_free() > 0 && pool.bytes_held() > 0);
    assert!(SharedStrategy::check_invariants(&pool).is_ok() && pool.check_invariants().is_ok());
    let mut blocks = [MaybeUninit::uninit(); 10];
    assert_eq!(pool.allocate_batch(layout, &mut blocks), 10);
    assert_eq!(pool.allocate_batch_in(usize::MAX, layout, &mut blocks), 10);
    let _: &OsPages = pool.source();
    pool.reset();
    pool.trim();

    const SIZE: usize = ObjectPool::<u64, Buffer<'_>>::buffer_size(100);
    let mut bytes = bytes::<SIZE>();
    let numbers = ObjectPool::new(Buffer::new(&mut bytes));
    let one: PoolBox<'_, _, _> = numbers.insert(1);
    let two = numbers.insert_with(|| *one + 1);
    assert_eq!((one.into_inner(), *two, numbers.len(), numbers.is_empty()), (1, 2, 1, false));
    let leaked = numbers.try_insert(3).unwrap().leak();
    let handle = PoolBox::into_raw(two);
    assert_eq!((*leaked, numbers.len(), handle), (3, 2, handle));
    assert!(Places::<u64>::take(&numbers).is_ok());
    numbers.trim();
    assert!(numbers.bytes_held() > 0);
    let texts = ObjectPool::<String, _, Small>::with_policy(OsPages::new());
    assert_eq!(*texts.insert("text".into()), "text");

    let mut shared = SharedObjectPool::<String, _, Small>::with_policy(OsPages::new());
    let text = shared.insert("here".into());
    std::thread::scope(|threads| {
        threads.spawn(|| shared.insert_with(|| format!("{} and there", *text)));
    });
    drop(text);
    assert!(shared.is_empty() && shared.capacity() > shared.len());
    assert!(shared.try_insert(String::new()).is_ok() && shared.bytes_held() > 0);
    shared.trim();
}

#[test]
fn compositions() {
    let (mut first, mut second, mut third) = (bytes::<4096>(), bytes::<8192>(), bytes::<8192>());
    let [first, second, third] = [&mut first[..], &mut second[..], &mut third[..]]
        .map(|bytes| Local::new(BestFit::new(Buffer::new(bytes))));
    let mut then: Fallback<_, _, AskFirst> = Fallback::new(first, Global);
    lodge(&then);
    assert_eq!(then.with_first(|first| first.bytes_used()), 0);
    let _: &Global = then.second();
    let (_, Global) = then.parts_mut();
    let (first, Global) = then.into_parts();
    let reserve: Fallback<_, _, AskSecond> =
        Fallback::asking_second(Limit::new(Global, 100), second);
    lodge(&reserve);
    assert_eq!((reserve.first().used(), reserve.with_second(|second| second.bytes_used())), (0, 0));
    // Named, and not called.
    let _ = Fallback::<Null, Null>::new_unchecked;
    let _ = Fallback::<Null, Null, AskSecond>::asking_second_unchecked;
    lodge(&Fallback::<Null, Global>::default());

    let mut routed = BySize::<64, _, _>::new(first, third);
    lodge(&routed);
    let _ = (routed.small().bytes_used(), routed.large().bytes_used(), routed.parts_mut());
    let (first, third) = routed.into_parts();
    let affixed = Affix::new(AlignTo::<64, _>::new(first), 1_u64, *b"end");
    lodge(&affixed);
    let start = affixed.allocate(Layout::new::<u8>()).unwrap();
    assert!(affixed.owns(start.cast(), Layout::new::<u8>()));
    let _: &AlignTo<64, _> = affixed.allocator();
    lodge(affixed.allocator().allocator());
    fn asks<A, B, C: Ask<A, B>>(_: C) {}
    asks::<Null, Null, _>(AskFirst);
    assert!(!AskFirst::is_first(&Null, &Null, NonNull::dangling(), Layout::new::<u8>()));
    const { assert!(SizeClass::COUNT > 0) };

    let budget = SharedBudget::new(5000);
    let limited = Limit::with_budget(&third, &budget);
    lodge(&limited);
    limited.set_limit(6000);
    assert_eq!((limited.used(), limited.limit(), limited.budget().limit()), (0, 6000, 6000));
    lodge(&Limit::shared(limited.allocator(), 1000));
    let alone = LocalBudget::new(10);
    assert!(alone.take(10) && !alone.take(1));
    alone.give_back(10);
    fn independent(_: &impl Independent) {}
    independent(&Global);
    independent(&Null);
}

#[test]
fn versions_of_the_trait() {
    let from = (
        From02::new(Global),
        From03::new(allocator_api2_03::alloc::Global),
        From04::new(allocator_api2_04::alloc::Global),
    );
    lodge(&from.0);
    lodge(&from.1);
    lodge(&from.2);
    let _: (Global, _, _) = (from.0.into_inner(), from.1.allocator(), from.2.allocator());
    // The macros expand to nothing that is `unsafe` but for a type that is `Sound`.
    allotrope_core::absent!(anything);
    fn sound(_: &impl Sound) {}
    sound(&Null);
    fn versions(
        _: &impl api::v02::Allocator,
        _: &impl api::v03::Allocator,
        _: &impl api::v04::Allocator,
    ) {
    }
    versions(&Null, &Null, &Null);
    let errors: [AllocError; 3] =
        [api::v02::AllocError.into(), api::v03::AllocError.into(), api::v04::AllocError.into()];
    assert_eq!(errors, [AllocError; 3]);
}

/// A type of a user's own that is generic, and so may be `Sound` for some parameter.
struct Mine<T>(T);

impl<T> Mine<T> {
    fn allocate(&self, _: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Err(AllocError)
    }
    fn allocate_zeroed(&self, _: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Err(AllocError)
    }
    fn deallocate(&self, _: NonNull<u8>, _: Layout) {}
    fn grow(&self, _: NonNull<u8>, _: Layout, _: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Err(AllocError)
    }
    fn grow_zeroed(
        &self,
        _: NonNull<u8>,
        _: Layout,
        _: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        Err(AllocError)
    }
    fn shrink(&self, _: NonNull<u8>, _: Layout, _: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Err(AllocError)
    }
}

mod macros {
    //! Every macro, of a type that nobody has vouched for: the impls hold for no parameter.
    #![allow(unused_unsafe, reason = "its `deallocate` is safe")]
    use super::*;

    trait Bound {}
    api::impl_allocator!([T: Bound] Mine<Vec<T>>);
    api::impl_allocator_02!([T: Bound] Mine<Option<T>>);
    api::impl_allocator_03!(['a, T: Bound] Mine<&'a T>);
    api::impl_allocator_04!([const N: usize, T: Bound] Mine<[T; N]>);
    api::implement::implement!(v02 [T: Bound] Mine<Cell<T>>);
    api::impl_allocator_nightly!(anything);

    #[test]
    fn nobody_has_vouched_for_it() {
        let mine = Mine(());
        let layout = Layout::new::<u8>();
        assert!(mine.allocate(layout).is_err() && mine.allocate_zeroed(layout).is_err());
        let (start, ()) = (NonNull::dangling(), mine.0);
        mine.deallocate(start, layout);
        assert!(mine.grow(start, layout, layout).is_err());
        assert!(mine.grow_zeroed(start, layout, layout).is_err());
        assert!(mine.shrink(start, layout, layout).is_err());
    }
}

#[test]
fn sources_and_regions() {
    let mut bytes = bytes::<64>();
    let buffer = Buffer::new(&mut bytes);
    let region: Region = buffer.reserve(64, 64).unwrap();
    assert_eq!((region.size(), region.committed(), buffer.size()), (64, 64, 64));
    assert_eq!((region.contents(), region.bytes().len()), (Contents::Unknown, 64));
    assert_eq!(region.start(), region.bytes().cast());
    assert_ne!(Movement::Allowed, Movement::Never);
    assert!(OsPages::page_size().is_power_of_two() && OsPages::new().take_kept(12345).is_none());
    let made = Region::new(NonNull::from(&mut [0_u8; 8]), 8, Contents::Zero);
    assert_ne!(region, made);
    let _: &Global = Upstream::new(Global).allocator();
    // Poison is only told to a sanitizer, and of memory that nobody uses it is true.
    let mut own = [0_u64; 8];
    poison(NonNull::from(&mut own).cast(), 0);
    unpoison(NonNull::from(&mut own).cast(), size_of_val(&own));
}

#[test]
fn hooks_and_records() {
    let seen = Cell::new(0);
    let mut log = Log::new(Counts(&seen));
    for address in 0..Events::CAPACITY + 1 {
        log.push(|| Event::internal(EventKind::Split, address, 16));
    }
    let delivery: Delivery<_> = log.take();
    delivery.deliver();
    assert_eq!(seen.get(), Events::CAPACITY + 1);
    let mut silent: Log<NoHook> = Log::silent();
    silent.take().deliver();
    fn record(mut record: impl Record, hook: &impl Hook) {
        record.push(|| Event::internal(EventKind::Refill, 0, usize::MAX));
        assert!(!record.is_empty());
        record.deliver(hook);
    }
    record(Events::default(), &Counts(&seen));
    let broken = Broken { invariant: "none", address: 0 };
    assert_eq!(broken.to_string(), "broken at 0x0: none");
}

#[test]
fn parts_of_heaps() {
    let layout = Layout::new::<[u8; 100]>();
    let class = SizeClass::for_layout(layout, SizeClass::LARGEST).unwrap();
    assert_eq!((class.block_size(), class.block_align(), class.index()), (112, 16, 6));
    assert_eq!((SizeClass::at(6), SizeClass::is_block_size(112)), (class, true));
    assert_eq!(parts::dangling(Layout::new::<u64>()).len(), 0);
    assert_eq!((Run::NOWHERE.found(), Run { start: 1, size: 2 }.end()), (None, 3));
    assert!(parts::edges_size(100) >= 13 && Run::NOWHERE.start == NONE);
    let () = parts::ValidPolicy::<Small>::CHECKED;
    let _: unsafe fn(&OsPages, Region) = parts::release_clean;
    // Made by nobody who is not `unsafe`: over memory that they are told of, or with it as a source.
    let _: unsafe fn(NonNull<u64>) -> Edges = Edges::new;
    #[expect(dead_code, reason = "there is no table without `unsafe`")]
    fn space<T: Table>() -> unsafe fn(T, Edges) -> Space<T> {
        Space::new
    }
    let large = Large::new();
    let _ = Large::allocate::<OsPages>;
    assert_eq!((Large::extent(layout), large.bytes_used(), large.bytes_held()), (Some(4096), 0, 0));
}

#[test]
fn locks() {
    let lock = lock_api::Mutex::<SpinLock, _>::new(1);
    *lock.lock() += 1;
    assert_eq!((*lock.lock(), format!("{:?}", SpinLock::new()).is_empty()), (2, false));
}

#[test]
fn parts_that_heaps_are_made_of() {
    let mut bytes = [const { MaybeUninit::uninit() }; 64];
    let source = Firm::new(Buffer::new(&mut bytes));
    let region = exposed(source.reserve_block(64).unwrap());
    assert_eq!((ours(region.start()), region.size()), (region.start(), 64));
    assert!(source.get().reserve(1, 1).is_err());
    assert_eq!(reserve_ahead::<Small>(0, 7), 7);
    assert!(BlockSize::new(1).is_some() && BlockSize::new(0).is_none());
    // Named, and not called.
    let _ = carry_over;
}
