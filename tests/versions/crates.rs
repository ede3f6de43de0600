//! Guests of stable Rust: what hashbrown and the three versions of allocator-api2 have.

use std::iter;

use allocator_api2::alloc::Allocator;
use hashbrown::HashMap;

use crate::{EveryVersion, Guest, STEPS};

/// One of each.
pub fn guests<A: EveryVersion>(memory: &A) -> Vec<Box<dyn Guest + '_>> {
    vec![
        Box::new(Squares(HashMap::new_in(memory))),
        v02::guest(memory),
        v03::guest(memory),
        v04::guest(memory),
    ]
}

/// The squares of all odd numbers below the step's; even ones come and go.
struct Squares<A: Allocator>(HashMap<u64, u64, hashbrown::DefaultHashBuilder, A>);

impl<A: Allocator> Guest for Squares<A> {
    fn step(&mut self, n: u64) {
        self.0.insert(n, n * n);
        if n % 2 == 1 {
            assert_eq!(self.0.remove(&(n - 1)), Some((n - 1) * (n - 1)));
        }
        if n.is_multiple_of(512) {
            self.0.shrink_to_fit();
        }
    }

    fn check(&self) {
        assert_eq!(self.0.len() as u64, STEPS / 2);
        assert!(self.0.iter().all(|(n, square)| n % 2 == 1 && *square == n * n));
    }
}

/// A guest of one version of allocator-api2: a `Vec` that grows and shrinks, of boxes.
macro_rules! version {
    ($module:ident, $name:ident) => {
        mod $module {
            use super::*;
            use $name::{alloc::Allocator, boxed::Box as ABox, vec::Vec as AVec};

            pub fn guest<A: EveryVersion>(memory: &A) -> Box<dyn Guest + '_> {
                Box::new(Boxes { all: AVec::new_in(memory), memory })
            }

            /// A box for each step; those of the last ten steps go at each thirteenth.
            struct Boxes<'m, A: Allocator> {
                all: AVec<ABox<u64, &'m A>, &'m A>,
                memory: &'m A,
            }

            impl<A: Allocator> Guest for Boxes<'_, A> {
                fn step(&mut self, n: u64) {
                    self.all.push(ABox::new_in(n, self.memory));
                    if n % 13 == 12 {
                        self.all.truncate(self.all.len() - 10);
                        self.all.shrink_to_fit();
                    }
                }

                fn check(&self) {
                    let held = self.all.iter().map(|number| **number);
                    assert!(held.eq(remaining()));
                }
            }
        }
    };
}

version!(v02, allocator_api2);
version!(v03, allocator_api2_03);
version!(v04, allocator_api2_04);

/// The numbers whose boxes are left.
fn remaining() -> impl Iterator<Item = u64> {
    let whole = (0..STEPS / 13).flat_map(|round| (0..3).map(move |n| round * 13 + n));
    whole.chain(iter::successors(Some(STEPS / 13 * 13), |n| Some(n + 1)).take_while(|n| *n < STEPS))
}
