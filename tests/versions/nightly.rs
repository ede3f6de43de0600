//! What nightly knows: the trait of `core::alloc`, too, and std's containers as guests.

use std::alloc::Allocator;
use std::collections::BTreeMap;
use std::sync::Arc;

use allotrope_core::compat::{From02, From03, From04, FromNightly};

use crate::{Guest, STEPS};

/// Every version of `Allocator` that the compiler knows.
pub trait EveryVersion:
    Allocator
    + allocator_api2::alloc::Allocator
    + allocator_api2_03::alloc::Allocator
    + allocator_api2_04::alloc::Allocator
{
}

impl<A> EveryVersion for A where
    A: Allocator
        + allocator_api2::alloc::Allocator
        + allocator_api2_03::alloc::Allocator
        + allocator_api2_04::alloc::Allocator
{
}

/// Every wrapper: each is asked in the version that the next one speaks.
pub type Chain<A> = From03<FromNightly<From04<From02<A>>>>;

/// `allocator` in every wrapper.
pub fn chain<A>(allocator: A) -> Chain<A> {
    From03::new(FromNightly::new(From04::new(From02::new(allocator))))
}

/// The allocator in a chain.
pub fn inside<A>(chain: &Chain<A>) -> &A {
    chain.allocator().allocator().allocator().allocator()
}

/// One of each kind.
pub fn guests<A: EveryVersion>(memory: &A) -> Vec<Box<dyn Guest + '_>> {
    vec![
        Box::new(Shared { all: Vec::new_in(memory), memory }),
        Box::new(Ordered(BTreeMap::new_in(memory))),
        Box::new(Linked { last: None, memory }),
    ]
}

/// std's `Vec` of std's `Arc`s, each held twice.
struct Shared<'m, A: Allocator> {
    all: Vec<Arc<u64, &'m A>, &'m A>,
    memory: &'m A,
}

impl<A: Allocator> Guest for Shared<'_, A> {
    fn step(&mut self, n: u64) {
        let number = Arc::new_in(n, self.memory);
        self.all.push(Arc::clone(&number));
        self.all.push(number);
        if n % 7 == 6 {
            self.all.truncate(self.all.len() - 6);
            self.all.shrink_to_fit();
        }
    }

    fn check(&self) {
        assert_eq!(self.all.len() as u64, 8 * (STEPS / 7) + 2 * (STEPS % 7));
        for pair in self.all.chunks(2) {
            assert!(Arc::ptr_eq(&pair[0], &pair[1]));
            assert_eq!(Arc::strong_count(&pair[0]), 2);
        }
        assert!(self.all.is_sorted_by_key(|number| **number));
    }
}

/// The squares of all numbers that 3 does not divide, in order.
struct Ordered<A: Allocator + Clone>(BTreeMap<u64, u64, A>);

impl<A: Allocator + Clone> Guest for Ordered<A> {
    fn step(&mut self, n: u64) {
        self.0.insert(n, n * n);
        if n % 3 == 2 {
            assert_eq!(self.0.remove(&(n - 2)), Some((n - 2) * (n - 2)));
        }
    }

    fn check(&self) {
        let expected = (0..STEPS).filter(|n| n % 3 != 0 || n + 2 >= STEPS);
        assert!(self.0.iter().map(|(n, square)| (*n, *square)).eq(expected.map(|n| (n, n * n))));
    }
}

/// std's `Box`es of trait objects, each the owner of the one before.
struct Linked<'m, A: Allocator> {
    last: Option<Box<dyn Link + 'm, &'m A>>,
    memory: &'m A,
}

/// What a [`Linked`] is made of.
trait Link {
    fn number(&self) -> u64;
    fn before(&self) -> Option<&dyn Link>;
}

struct Knot<'m, A: Allocator> {
    number: u64,
    before: Option<Box<dyn Link + 'm, &'m A>>,
}

impl<A: Allocator> Link for Knot<'_, A> {
    fn number(&self) -> u64 {
        self.number
    }

    fn before(&self) -> Option<&dyn Link> {
        self.before.as_deref().map(|before| before as &dyn Link)
    }
}

impl<A: Allocator> Guest for Linked<'_, A> {
    fn step(&mut self, n: u64) {
        // No chain is longer than a hundred: it is dropped by recursion.
        let before = if n.is_multiple_of(100) { None } else { self.last.take() };
        self.last = Some(Box::new_in(Knot { number: n, before }, self.memory));
    }

    fn check(&self) {
        let mut expected = (0..STEPS).rev().take(100);
        let mut link = self.last.as_deref().map(|link| link as &dyn Link);
        while let Some(knot) = link {
            assert_eq!(Some(knot.number()), expected.next());
            link = knot.before();
        }
        assert_eq!(expected.next(), None);
    }
}
