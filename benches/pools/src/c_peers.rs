//! A box from mimalloc as a contrast, and mimalloc below all contestants.

use std::mem::MaybeUninit;

use crate::contestants::{Object, Pool};

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

macro_rules! for_each_c_peer {
    ($m:ident) => {
        $m!(BoxMimalloc);
    };
}
pub(crate) use for_each_c_peer;

/// No pool at all.
pub struct BoxMimalloc;

impl Pool for BoxMimalloc {
    const NAME: &'static str = "(box on mimalloc)";
    type Item<'a> = Box<MaybeUninit<Object>>;

    fn new(_: usize) -> Self {
        BoxMimalloc
    }

    #[inline(always)]
    fn get(&self, v: u64) -> Self::Item<'_> {
        let mut object = Box::<Object>::new_uninit();
        // SAFETY: the box is valid for a write of the first of its words.
        unsafe { object.as_mut_ptr().cast::<u64>().write(v) };
        object
    }

    #[inline(always)]
    fn put<'a>(&'a self, object: Self::Item<'a>) {
        drop(object)
    }
}
