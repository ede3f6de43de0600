//! Where the collections live.
//!
//! To add a home: implement [`Home`] and add it to `for_each_home!`.

use allocator_api2::alloc::Allocator;

/// Memory for collections.
pub trait Home {
    /// Its name in the tables.
    const NAME: &'static str;
    /// Its handle (allocator-api2 0.2).
    type Handle<'a>: Allocator + Copy
    where
        Self: 'a;

    fn new() -> Self;
    fn handle(&self) -> Self::Handle<'_>;
    /// Between turns, when all collections are gone.
    fn reset(&mut self) {}
}

/// Calls `$m!(Type)` for every home.
macro_rules! for_each_home {
    ($m:ident) => {
        $m!(SystemHandle);
        for_each_c_peer!($m);
        $m!(Bumpalo);
        $m!(BumpScope);
        $m!(Talc);
        $m!(LimitHome);
        $m!(OurBestFit);
        $m!(OurSegregated);
        $m!(OurArena);
        $m!(OurLocalHeap);
    };
}
pub(crate) use for_each_home;
