//! What the compiler refuses, each beside its twin that it accepts. Only doctests compile this.
//!
//! # Values do not outlive their scope
//!
//! ```
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! let sum = arena.scope(|scope| *scope.alloc(1) + 1);
//! assert_eq!(sum, 2);
//! ```
//! ```compile_fail
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! let value = arena.scope(|scope| scope.alloc(1));
//! assert_eq!(*value, 1);
//! ```
//!
//! Nor by a variable outside:
//!
//! ```
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! let mut outside = 0;
//! arena.scope(|scope| outside = *scope.alloc(1));
//! assert_eq!(outside, 1);
//! ```
//! ```compile_fail,E0521
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! let mut outside = &mut 0;
//! arena.scope(|scope| outside = scope.alloc(1));
//! assert_eq!(*outside, 1);
//! ```
//!
//! Nor past their guard:
//!
//! ```
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! let mut guard = arena.enter();
//! let value = guard.scope().alloc(1);
//! assert_eq!(*value, 1);
//! drop(guard);
//! ```
//! ```compile_fail,E0505
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! let mut guard = arena.enter();
//! let value = guard.scope().alloc(1);
//! drop(guard);
//! assert_eq!(*value, 1);
//! ```
//!
//! Nor past a reset, or the end of a mark:
//!
//! ```
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! let value = *arena.alloc(1);
//! arena.reset();
//! assert_eq!(value, 1);
//! ```
//! ```compile_fail,E0502
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! let value = arena.alloc(1);
//! arena.reset();
//! assert_eq!(*value, 1);
//! ```
//! ```compile_fail,E0502
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! let mark = arena.begin_scope();
//! let value = arena.alloc(1);
//! arena.end_scope(mark).unwrap();
//! assert_eq!(*value, 1);
//! ```
//!
//! # The outer scope waits for the inner one
//!
//! ```
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! arena.scope(|outer| {
//!     let value = outer.alloc(1);
//!     outer.scope(|inner| *value += *inner.alloc(1));
//!     assert_eq!(*value, 2);
//! });
//! ```
//! ```compile_fail,E0502
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! arena.scope(|outer| {
//!     outer.scope(|inner| *outer.alloc(1) += *inner.alloc(1));
//! });
//! ```
//! ```compile_fail,E0502
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! let mut guard = arena.enter();
//! let mut outer = guard.scope();
//! let mut inner = outer.enter();
//! outer.alloc(1);
//! inner.scope().alloc(1);
//! ```
//! ```compile_fail,E0502
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! let mut guard = arena.enter();
//! arena.alloc(1);
//! guard.scope().alloc(1);
//! ```
//!
//! Nor may its containers grow meanwhile:
//!
//! ```
//! # use allotrope_scope::Arena;
//! # use allocator_api2::vec::Vec;
//! let mut arena = Arena::new();
//! arena.scope(|outer| {
//!     let mut list = Vec::new_in(&*outer);
//!     list.push(1);
//!     let slice = outer.alloc_slice_copy(&list);
//!     drop(list);
//!     outer.scope(|inner| slice[0] += *inner.alloc(1));
//!     assert_eq!(*slice, [2]);
//! });
//! ```
//! ```compile_fail,E0502
//! # use allotrope_scope::Arena;
//! # use allocator_api2::vec::Vec;
//! let mut arena = Arena::new();
//! arena.scope(|outer| {
//!     let mut list = Vec::new_in(&*outer);
//!     outer.scope(|inner| list.push(*inner.alloc(1)));
//! });
//! ```
//!
//! Nor can two handles change places:
//!
//! ```compile_fail
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! arena.scope(|outer| {
//!     let mut guard = outer.enter();
//!     let mut inner = guard.scope();
//!     std::mem::swap(outer, &mut inner);
//! });
//! ```
//!
//! # Kept values see nothing that is gone
//!
//! What they borrow is there before their scope is, and after it:
//!
//! ```
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! let mut guard = arena.enter();
//! {
//!     let name = String::from("local");
//!     guard.scope().keep(name);
//! }
//! ```
//! ```compile_fail,E0597
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! let mut guard = arena.enter();
//! {
//!     let name = String::from("local");
//!     guard.scope().keep(vec![&name]);
//! }
//! ```
//! ```compile_fail,E0597
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! arena.scope(|scope| {
//!     let name = String::from("local");
//!     scope.keep(vec![&name]);
//! });
//! ```
//!
//! They do not borrow each other, for one of them would be dropped first; values without drop glue
//! may form any graph:
//!
//! ```
//! # use allotrope_scope::Arena;
//! # use std::cell::Cell;
//! struct Node<'a>(Cell<Option<&'a Node<'a>>>);
//!
//! let mut arena = Arena::new();
//! arena.scope(|scope| {
//!     let one = &*scope.alloc(Node(Cell::new(None)));
//!     let other = &*scope.alloc(Node(Cell::new(Some(one))));
//!     one.0.set(Some(other));
//!     assert!(one.0.get().unwrap().0.get().is_some());
//! });
//! ```
//! ```compile_fail,E0521
//! # use allotrope_scope::Arena;
//! # use std::cell::Cell;
//! struct Node<'a>(Cell<Option<&'a Node<'a>>>, String);
//! impl Drop for Node<'_> {
//!     fn drop(&mut self) {
//!         println!("{}", self.0.get().unwrap().1);
//!     }
//! }
//!
//! let mut arena = Arena::new();
//! arena.scope(|scope| {
//!     let one = &*scope.keep(Node(Cell::new(None), "one".into()));
//!     let other = &*scope.keep(Node(Cell::new(Some(one)), "other".into()));
//!     one.0.set(Some(other));
//! });
//! ```
//! ```compile_fail
//! # use allotrope_scope::Arena;
//! # use std::cell::Cell;
//! struct Node<'a>(Cell<Option<&'a Node<'a>>>, String);
//! impl Drop for Node<'_> {
//!     fn drop(&mut self) {
//!         println!("{}", self.0.get().unwrap().1);
//!     }
//! }
//!
//! let mut arena = Arena::new();
//! let mut guard = arena.enter();
//! let scope = guard.scope();
//! let one = &*scope.keep(Node(Cell::new(None), "one".into()));
//! let other = &*scope.keep(Node(Cell::new(Some(one)), "other".into()));
//! one.0.set(Some(other));
//! ```
//!
//! An arena keeps values for a time that nobody knows, and may be sent with them:
//!
//! ```
//! # use allotrope_scope::Arena;
//! let arena = Arena::new();
//! arena.keep(String::from("owned"));
//! std::thread::spawn(move || drop(arena)).join().unwrap();
//! ```
//! ```compile_fail,E0277
//! # use allotrope_scope::Arena;
//! let arena = Arena::new();
//! arena.keep(std::rc::Rc::new(1));
//! ```
//! ```compile_fail,E0597
//! # use allotrope_scope::Arena;
//! let arena = Arena::new();
//! let name = String::from("local");
//! arena.keep(vec![&name]);
//! ```
//!
//! # One thread
//!
//! ```
//! # use allotrope_scope::Arena;
//! let arena = Arena::new();
//! std::thread::spawn(move || assert_eq!(*arena.alloc(1), 1)).join().unwrap();
//! ```
//! ```compile_fail,E0277
//! # use allotrope_scope::Arena;
//! let arena = Arena::new();
//! std::thread::scope(|threads| {
//!     threads.spawn(|| assert_eq!(*arena.alloc(1), 1));
//! });
//! ```
//! ```compile_fail,E0277
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! let guard = arena.enter();
//! std::thread::scope(|threads| {
//!     threads.spawn(move || drop(guard));
//! });
//! ```
//!
//! # Many threads
//!
//! ```
//! # use allotrope_scope::SharedArena;
//! let mut arena = SharedArena::new();
//! let value = std::thread::scope(|threads| *threads.spawn(|| arena.alloc(1)).join().unwrap());
//! arena.reset();
//! assert_eq!(value, 1);
//! ```
//! ```compile_fail,E0502
//! # use allotrope_scope::SharedArena;
//! let mut arena = SharedArena::new();
//! let value = std::thread::scope(|threads| threads.spawn(|| arena.alloc(1)).join().unwrap());
//! arena.reset();
//! assert_eq!(*value, 1);
//! ```
//! ```compile_fail,E0502
//! # use allotrope_scope::SharedArena;
//! let mut arena = SharedArena::new();
//! let handle = arena.local();
//! arena.reset();
//! handle.alloc(1);
//! ```
//! ```compile_fail,E0277
//! # use allotrope_scope::SharedArena;
//! let arena = SharedArena::new();
//! let handle = arena.local();
//! std::thread::scope(|threads| {
//!     threads.spawn(|| assert_eq!(*handle.alloc(1), 1));
//! });
//! ```
//! A value that may not be sent is not, whoever owns the arena:
//!
//! ```compile_fail,E0277
//! # use allotrope_scope::SharedArena;
//! let arena = SharedArena::new();
//! let value = arena.alloc(std::cell::Cell::new(1));
//! let shared = &*value;
//! std::thread::scope(|threads| {
//!     threads.spawn(move || shared.set(2));
//! });
//! ```
//!
//! # Arenas that are used again
//!
//! ```
//! # use allotrope_core::Buffer;
//! # use allotrope_scope::{Arena, ArenaPool};
//! # use std::mem::MaybeUninit;
//! let mut bytes = [MaybeUninit::uninit(); 2000];
//! let pool: ArenaPool<Buffer> = ArenaPool::keeping(2000);
//! drop(pool.get_or(|| Arena::with_source(Buffer::new(&mut bytes))));
//! ```
//! ```compile_fail,E0597
//! # use allotrope_core::Buffer;
//! # use allotrope_scope::{Arena, ArenaPool};
//! # use std::mem::MaybeUninit;
//! let pool: ArenaPool<Buffer> = ArenaPool::keeping(2000);
//! let mut bytes = [MaybeUninit::uninit(); 2000];
//! drop(pool.get_or(|| Arena::with_source(Buffer::new(&mut bytes))));
//! ```
//! ```compile_fail
//! # use allotrope_core::Buffer;
//! # use allotrope_scope::ArenaPool;
//! fn shorten<'s>(pool: &'s ArenaPool<Buffer<'static>>) -> &'s ArenaPool<Buffer<'s>> {
//!     pool
//! }
//! ```
//!
//! # Values that nobody would drop
//!
//! ```
//! # use allotrope_scope::Arena;
//! let arena = Arena::new();
//! arena.alloc_slice_copy(&["one", "two"]);
//! ```
//! ```compile_fail,E0080
//! # use allotrope_scope::Arena;
//! let arena = Arena::new();
//! arena.alloc_slice_fill_iter([String::from("one"), String::from("two")]);
//! ```
//!
//! # Boxes and containers do not outlive their place
//!
//! ```
//! # use allotrope_scope::Arena;
//! # use allocator_api2::vec::Vec;
//! let mut arena = Arena::new();
//! let mut list = Vec::new_in(&arena);
//! list.push(*arena.boxed(1));
//! assert_eq!(list, [1]);
//! drop(list);
//! arena.reset();
//! ```
//! ```compile_fail,E0502
//! # use allotrope_scope::Arena;
//! # use allocator_api2::vec::Vec;
//! let mut arena = Arena::new();
//! let mut list = Vec::new_in(&arena);
//! arena.reset();
//! list.push(1);
//! ```
//! ```compile_fail,E0502
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! let boxed = arena.boxed(String::from("gone"));
//! arena.reset();
//! drop(boxed);
//! ```
//! ```compile_fail,E0502
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! let kept = arena.keep(String::from("gone"));
//! arena.reset();
//! kept.push('!');
//! ```
//! ```compile_fail,E0505
//! # use allotrope_scope::Arena;
//! let arena = Arena::new();
//! let boxed = arena.boxed(String::from("gone"));
//! drop(arena);
//! drop(boxed);
//! ```
//! ```compile_fail
//! # use allotrope_scope::{Arena, ScopeBox};
//! let mut arena = Arena::new();
//! let boxed: ScopeBox<'_, i32> = arena.scope(|scope| scope.boxed(1));
//! ```
//! ```compile_fail,E0505
//! # use allotrope_scope::Arena;
//! let mut arena = Arena::new();
//! let mut guard = arena.enter();
//! let leaked = allotrope_scope::ScopeBox::leak(guard.scope().boxed(1));
//! drop(guard);
//! assert_eq!(*leaked, 1);
//! ```
//! ```compile_fail,E0597
//! # use allotrope_scope::Arena;
//! # use allocator_api2::{boxed::Box, vec::Vec};
//! let place = Arena::new();
//! let mut guards = Vec::new();
//! let mut arena = Arena::new();
//! guards.push(Box::new_in(arena.enter(), &place));
//! ```
//!
//! Nor those of an arena of a pool, or of threads:
//!
//! ```
//! # use allotrope_scope::ArenaPool;
//! let pool: ArenaPool = ArenaPool::new();
//! let arena = pool.get();
//! assert_eq!(*arena.alloc(1), 1);
//! ```
//! ```compile_fail,E0505
//! # use allotrope_scope::ArenaPool;
//! let pool: ArenaPool = ArenaPool::new();
//! let arena = pool.get();
//! let value = arena.alloc(1);
//! drop(arena);
//! assert_eq!(*value, 1);
//! ```
//! ```compile_fail,E0505
//! # use allotrope_scope::ArenaPool;
//! let pool: ArenaPool = ArenaPool::new();
//! let arena = pool.get();
//! drop(pool);
//! drop(arena);
//! ```
//! ```compile_fail,E0505
//! # use allotrope_scope::SharedArena;
//! let arena = SharedArena::new();
//! let handle = arena.local();
//! let value = handle.alloc(1);
//! drop(arena);
//! assert_eq!(*value, 1);
//! ```
//!
//! # Nobody makes a lifetime longer, or the one that kept values outlive any other
//!
//! ```
//! # use allotrope_scope::Scope;
//! fn shorter<'a: 'b, 'b, 'o>(scope: Scope<'a, 'o>) -> Scope<'b, 'o> {
//!     scope
//! }
//! ```
//! ```compile_fail
//! # use allotrope_scope::Scope;
//! fn longer<'a: 'b, 'b, 'o>(scope: Scope<'b, 'o>) -> Scope<'a, 'o> {
//!     scope
//! }
//! ```
//! ```compile_fail
//! # use allotrope_scope::Scope;
//! fn shorter<'s, 'a: 'b, 'b>(scope: Scope<'s, 'a>) -> Scope<'s, 'b> {
//!     scope
//! }
//! ```
//! ```compile_fail
//! # use allotrope_scope::Scope;
//! fn longer<'s, 'a: 'b, 'b>(scope: Scope<'s, 'b>) -> Scope<'s, 'a> {
//!     scope
//! }
//! ```
//! ```compile_fail
//! # use allotrope_scope::Guard;
//! fn shorter<'a: 'b, 'b>(guard: Guard<'a>) -> Guard<'b> {
//!     guard
//! }
//! ```
//! ```compile_fail
//! # use allotrope_scope::ScopeBox;
//! fn shorter<'s>(boxed: &'s mut ScopeBox<'s, &'static str>) -> &'s mut ScopeBox<'s, &'s str> {
//!     boxed
//! }
//! ```
//!
//! # Ambient scopes
//!
//! ```
//! # use allotrope_scope::{Arena, ambient};
//! let mut arena = Arena::new();
//! assert_eq!(ambient::scope_in(&mut arena, || 1), 1);
//! arena.alloc(1);
//! ```
//! ```compile_fail,E0502
//! # use allotrope_scope::{Arena, ambient};
//! let mut arena = Arena::new();
//! ambient::scope_in(&mut arena, || *arena.alloc(1));
//! ```
//! ```compile_fail,E0502
//! # use allotrope_scope::{Arena, ambient};
//! let mut arena = Arena::new();
//! let value = arena.alloc(1);
//! ambient::scope_in(&mut arena, || ());
//! assert_eq!(*value, 1);
//! ```
//! What is in one thread's scope is neither sent nor shared, but by a plain reference:
//!
//! ```
//! # use allocator_api2::boxed::Box;
//! # use allotrope_scope::ambient::{self, Here};
//! ambient::scope(|| {
//!     let boxed = Box::new_in(1, Here);
//!     let value: &i32 = &boxed;
//!     std::thread::scope(|threads| _ = threads.spawn(move || assert_eq!(*value, 1)));
//! });
//! ```
//! ```compile_fail,E0277
//! # use allocator_api2::boxed::Box;
//! # use allotrope_scope::ambient::{self, Here};
//! ambient::scope(|| {
//!     let boxed = Box::new_in(1, Here);
//!     std::thread::scope(|threads| _ = threads.spawn(|| assert_eq!(*boxed, 1)));
//! });
//! ```
//! ```compile_fail,E0451
//! # use allotrope_scope::ambient::Here;
//! let here = Here { one_thread: std::marker::PhantomData };
//! ```
//!
//! # Sources of one thread
//!
//! ```
//! # use allotrope_core::{OsPages, Source};
//! # use allotrope_scope::{ArenaPool, SharedArena};
//! fn is_shared<T: Sync>() {}
//! is_shared::<SharedArena<OsPages>>();
//! is_shared::<ArenaPool<OsPages>>();
//! ```
//! ```compile_fail,E0277
//! # use allotrope_core::Upstream;
//! # use allotrope_scope::{SharedArena, ambient::Here};
//! fn is_shared<T: Sync>() {}
//! is_shared::<SharedArena<Upstream<Here>>>();
//! ```
//! ```compile_fail,E0277
//! # use allotrope_core::Upstream;
//! # use allotrope_scope::{ArenaPool, ambient::Here};
//! fn is_shared<T: Sync>() {}
//! is_shared::<ArenaPool<Upstream<Here>>>();
//! ```
//! ```compile_fail,E0277
//! # use allotrope_core::Upstream;
//! # use allotrope_scope::{Arena, ambient::Here};
//! fn is_sent<T: Send>() {}
//! is_sent::<Arena<Upstream<Here>>>();
//! ```
//! ```compile_fail,E0277
//! # use allotrope_scope::PooledArena;
//! fn is_shared<T: Sync>() {}
//! is_shared::<PooledArena>();
//! ```
//! ```compile_fail,E0277
//! # use allotrope_scope::ScopeBox;
//! fn is_sent<T: Send>() {}
//! is_sent::<ScopeBox<std::rc::Rc<i32>>>();
//! ```
//! ```compile_fail,E0277
//! # use allotrope_scope::ScopeBox;
//! fn is_shared<T: Sync>() {}
//! is_shared::<ScopeBox<std::cell::Cell<i32>>>();
//! ```
