//! `allotrope-scope`, from code that is not `unsafe`.

#![forbid(unsafe_code)]

mod lodgers;

use std::alloc::Layout;

use allotrope_core::{AllocError, OsPages, Source};
use allotrope_scope::ambient::{self, Here};
use allotrope_scope::{
    Arena, ArenaPool, ChunkUse, Guard, InitError, LocalArena, Mark, MarkError, PooledArena, Scope,
    ScopeBox, SharedArena, alloc_fmt, try_alloc_fmt,
};
use lodgers::lodge;

/// Every method that puts a value somewhere.
macro_rules! put_values {
    ($place:expr) => {{
        let place = $place;
        let values = (place.alloc(1), place.try_alloc(2).unwrap(), place.alloc_with(|| 3));
        assert_eq!((*values.0, *values.1, *values.2), (1, 2, 3));
        assert_eq!(*place.try_alloc_with(|| 4).unwrap(), 4);
        let (copied, cloned) = (place.alloc_slice_copy(&[1, 2]), place.alloc_slice_clone(&[3, 4]));
        assert_eq!((&copied[..], &cloned[..]), (&[1, 2][..], &[3, 4][..]));
        assert_eq!(
            place.try_alloc_slice_copy(&[1, 2]).unwrap(),
            place.try_alloc_slice_clone(&[1, 2]).unwrap()
        );
        let filled = place.alloc_slice_fill_with(3, |index| index);
        assert_eq!(filled, place.try_alloc_slice_fill_with(3, |index| index).unwrap());
        assert_eq!(filled, place.alloc_slice_fill_iter([0, 1, 2]));
        assert_eq!(filled, place.try_alloc_slice_fill_iter([0, 1, 2]).unwrap());
        assert_eq!(place.alloc_str("text"), place.try_alloc_str("text").unwrap());
        assert_eq!(alloc_fmt!(place, "{} and {}", 1, 2), "1 and 2");
        assert_eq!(try_alloc_fmt!(place, "{}", 1), Ok("1").map(|text| place.alloc_str(text)));
        assert_eq!(
            place.alloc_fmt(format_args!("a")),
            place.try_alloc_fmt(format_args!("a")).unwrap()
        );
        assert_eq!(place.alloc_try_with(|| Err::<u8, _>("no")), Err("no"));
        assert_eq!(place.try_alloc_try_with(|| Err::<u8, _>("no")), Err(InitError::Init("no")));
        let boxed: ScopeBox<'_, String> = place.boxed("boxed".into());
        assert_eq!(ScopeBox::into_inner(boxed), "boxed");
        assert_eq!(*ScopeBox::leak(place.try_boxed(5).unwrap()), 5);
        let layout = Layout::new::<[u64; 4]>();
        assert!(place.allocate(layout).is_ok() && place.allocate_zeroed(layout).is_ok());
    }};
}

fn in_scopes<S: Source>(arena: &mut Arena<S>) {
    arena.scope(|outer: &mut Scope<'_, '_, S>| {
        put_values!(&*outer);
        lodge(&*outer);
        let kept = outer.keep(String::from("kept"));
        assert_eq!(outer.try_keep(kept.len()).map(|len| *len), Ok(4));
        outer.scope(|inner| put_values!(&*inner));
        let mut guard: Guard<'_, S> = outer.enter();
        lodge(&guard.scope());
    });
    drop(arena.enter());
}

#[test]
fn arenas_and_scopes() {
    let mut arena = Arena::with_source(OsPages::new());
    put_values!(&arena);
    lodge(&arena);
    in_scopes(&mut arena);
    assert_eq!(
        (&*arena.keep(String::from("kept")), arena.try_keep(1)),
        (&String::from("kept"), Ok(&mut 1))
    );
    let outer: Mark = arena.begin_scope();
    let inner = arena.try_begin_scope().unwrap();
    assert_eq!(arena.end_scope(outer), Err(MarkError::WrongOrder));
    assert_eq!((arena.end_scope(inner), arena.end_scope(outer)), (Ok(()), Ok(())));
    arena.set_allocation_limit(Some(1 << 20));
    arena.set_chunk_cap(1 << 16);
    assert_eq!(arena.chunk_cap(), 1 << 16);
    assert_eq!(arena.allocation_limit(), Some(1 << 20));
    assert!(arena.bytes_held() >= arena.bytes_used() && arena.check_invariants().is_ok());
    let chunks = arena.chunks().map(|chunk: ChunkUse| (chunk.start(), chunk.used(), chunk.size()));
    assert!(chunks.count() > 0);
    let _: &OsPages = arena.source();
    arena.reset();
    arena.shrink_to(0);
    put_values!(&Arena::new());
    put_values!(&Arena::with_capacity(1000));
    put_values!(&Arena::try_with_capacity(1000).unwrap());
    put_values!(&Arena::with_capacity_in(1000, OsPages::new()));
    put_values!(&Arena::try_with_capacity_in(1000, OsPages::new()).unwrap());
}

#[test]
fn arenas_of_many_threads() {
    let mut arena = SharedArena::with_source(OsPages::new());
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                put_values!(&arena);
                lodge(&arena);
                let local: LocalArena<'_, _> = arena.local();
                put_values!(&local);
                lodge(&arena.try_local().unwrap());
            });
        }
    });
    arena.set_allocation_limit(None);
    arena.set_chunk_cap(1 << 16);
    assert_eq!((arena.allocation_limit(), arena.bytes_held() > 0), (None, true));
    assert!(arena.bytes_used() > 0);
    arena.reset();
    arena.shrink_to(0);
    let pool: ArenaPool = ArenaPool::keeping(10_000);
    let mut pooled: PooledArena<'_> = pool.get();
    in_scopes(&mut pooled);
    put_values!(&pool.get_or(Arena::new));
    drop(pooled);
    pool.clear();
}

#[test]
fn ambient_scopes() {
    let escaped = ambient::scope(|| {
        lodge(&Here);
        let mut arena = Arena::new();
        ambient::scope_in(&mut arena, || lodge(&Here));
        assert_eq!(ambient::try_scope_in(&mut arena, || lodge(&Here)), Ok(()));
        let layout = Layout::new::<u64>();
        assert!(Here.allocate(layout).is_ok() && Here.allocate_zeroed(layout).is_ok());
        allocator_api2::boxed::Box::new_in([7; 100], Here)
    });
    assert_eq!(*escaped, [7; 100]);
    assert_eq!(Here.allocate(Layout::new::<u64>()), Err(AllocError));
}

#[test]
fn caps_of_chunks() {
    let arena = Arena::new();
    arena.set_chunk_cap(0);
    assert_eq!((arena.chunk_cap(), *arena.alloc(1)), (0, 1));
}
