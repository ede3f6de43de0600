//! Pages of the operating system: first what a platform provides, then the source over it.

#[cfg(any(target_arch = "wasm32", test))]
mod free_ranges;
mod kept_for_ever;
#[cfg_attr(
    any(target_os = "linux", target_vendor = "apple", target_os = "freebsd"),
    path = "unix.rs"
)]
#[cfg_attr(target_arch = "wasm32", path = "wasm.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod platform;
mod store;
mod table;

use core::ops::Range;
use core::ptr::NonNull;

use allotrope_sync::Kept;
use allotrope_sync::facade::process_wide;

use super::{Contents, Movement, Region, Source};
use crate::{AllocError, Independent};

/// What a platform provides: address space in whole pages, and memory behind it.
///
/// Where memory [needs no commit](Self::needs_commit), reserved pages are usable at once, and the
/// system puts memory behind a page when it is first touched.
///
/// Sizes and addresses are multiples of [`page_size`](Self::page_size), save where said.
///
/// # Safety
///
/// Implementors uphold the *Guarantees* of every method, and do not unwind.
unsafe trait Platform {
    /// Every reservation starts at a multiple of this, and takes up multiples of it; a power of two.
    /// Here: no page is smaller.
    const REGION_ALIGN: usize = 4096;

    /// The size in bytes of a page: a power of two, always the same.
    fn page_size() -> usize;

    /// Whether regions are cut from segments, which takes address space to spare.
    const LENDS_FRAMES: bool = true;

    /// Whether reserved pages must be committed before they are accessed; always the same.
    fn needs_commit() -> bool;

    /// How much address space one region may take beyond what is needed, in bytes: a small part of
    /// what the process may have.
    fn spare_address_space() -> usize {
        usize::MAX
    }

    /// Reserves `size` bytes of address space, above zero. Says what the memory behind it reads as.
    ///
    /// # Guarantees
    ///
    /// Nothing else in the program uses the returned range.
    fn reserve(size: usize) -> Option<(NonNull<u8>, Contents)>;

    /// Reserves `size` bytes, a power of two, at a multiple of it; small pages serve it. They read
    /// as zero.
    ///
    /// # Guarantees
    ///
    /// As for [`reserve`](Self::reserve).
    fn reserve_aligned(size: usize) -> Option<NonNull<u8>>;

    /// Puts memory behind a range of reserved address space.
    ///
    /// # Safety
    ///
    /// The range lies in one that `reserve` returned and that was not released.
    unsafe fn commit(start: NonNull<u8>, size: usize) -> bool;

    /// Takes away the memory behind a range. Returns what it reads as once it is committed again.
    ///
    /// # Safety
    ///
    /// As for `commit`; nobody needs what is in the range, or accesses it before it is committed
    /// again.
    unsafe fn decommit(start: NonNull<u8>, size: usize) -> Contents;

    /// Takes away the memory behind a range, which stays committed: the next access gets memory
    /// again. Returns what it reads as. Here: for platforms that need no new commit.
    ///
    /// # Safety
    ///
    /// As for `commit`; the range is committed, and nobody needs what is in it.
    unsafe fn discard(start: NonNull<u8>, size: usize) -> Contents {
        // SAFETY: as the caller promises; an access is as good as a commit, see above.
        unsafe { Self::decommit(start, size) }
    }

    /// Takes away the memory behind a range, so that it reads as zero when it is used again, after
    /// a commit where that is needed. If it returns `false`, nobody knows what the range reads as.
    ///
    /// # Safety
    ///
    /// As for `decommit`; where no commit is needed, or the range is committed, it may be accessed
    /// afterwards.
    unsafe fn purge(start: NonNull<u8>, size: usize) -> bool;

    /// Prefers large pages for a range from now on, if there are any.
    ///
    /// # Safety
    ///
    /// As for `commit`.
    unsafe fn prefer_large_pages(start: NonNull<u8>, size: usize) {
        let _ = (start, size);
    }

    /// Gives back address space and memory. If it returns `false`, the range is as it was.
    ///
    /// # Safety
    ///
    /// The range is one that `reserve`, `reserve_aligned` or `grow` returned, whole, and nobody uses
    /// it.
    unsafe fn release(start: NonNull<u8>, size: usize) -> bool;

    /// Makes a range of `old` bytes `new` bytes long, which is no less; it keeps what is in it.
    ///
    /// # Guarantees
    ///
    /// What was committed still is. The new part is committed if all of the old was, and reads as
    /// zero once it is. `None` changes nothing; it is the answer where a part of the range is
    /// committed and the system has no way to grow that.
    ///
    /// # Safety
    ///
    /// The range is one that `reserve` or `grow` returned, whole; where it may move, nobody uses
    /// it.
    unsafe fn grow(
        start: NonNull<u8>,
        old: usize,
        new: usize,
        movement: Movement,
    ) -> Option<NonNull<u8>>;
}

use platform::Native;
use store::Store;

/// Pages of the operating system as a [`Source`].
///
/// A region is address space; it costs memory only where it is committed and touched. Regions of up
/// to 4 MiB are cut from segments of 64 MiB that the whole process shares, in multiples of 64 KiB (1
/// and 4 MiB, and 16 KiB, where addresses have 32 bits); longer ones are mappings of their own. So
/// thousands of small heaps take few mappings. On 64-bit targets a strategy reserves more than it
/// needs; where address space is short (`RLIMIT_AS`), a small part of it, or half of that, down to
/// what is needed now.
///
/// All of it is without locks: a forked child goes on with the regions that it has, whatever other
/// threads were doing.
///
/// | | Linux | macOS | FreeBSD | Windows | wasm32 |
/// |---|---|---|---|---|---|
/// | a page | 4 KiB, on some machines more | 4 or 16 KiB | 4 KiB, on some machines more | 4 KiB | 64 KiB |
/// | pages that are decommitted | go at once, and read as zero again | as on Linux | go when the system needs them | go at once, and read as zero when they are committed again | stay |
/// | a region that grows | moves without copying (`mremap`) | does not | does not | does not | does so in place, at the end of memory |
/// | a region that is released | its memory is the system's, and the addresses of a long one, or of an empty segment | as on Linux | as on Linux | as on Linux | is kept, and lent again |
#[derive(Clone, Copy, Debug, Default)]
pub struct OsPages(());

impl OsPages {
    /// The operating system's pages.
    pub const fn new() -> Self {
        Self(())
    }

    /// The size in bytes of a page.
    pub fn page_size() -> usize {
        Native::page_size()
    }
}

/// The size in bytes of the regions that are kept for the next who wants one: of small arenas, which
/// come and go, and would otherwise cost three system calls and a fault for each page.
const KEPT_SIZE: usize = 64 * 1024;

process_wide! {
    /// Committed regions of [`KEPT_SIZE`], for all threads.
    static KEPT: Kept<8> = Kept::new();
}

process_wide! {
    /// Where all regions come from.
    static STORE: Store<Native> = Store::new();
}

/// The pages that `range` touches.
///
/// # Safety
///
/// The region is on loan.
unsafe fn whole_pages_of<N: Platform>(
    region: &Region,
    range: Range<usize>,
) -> (NonNull<u8>, usize) {
    let page_size = N::page_size();
    let (start, end) = (range.start & !(page_size - 1), range.end.next_multiple_of(page_size));
    // SAFETY: as the caller promises.
    unsafe { part(region, start, end) }
}

/// The pages that lie in `range`.
///
/// # Safety
///
/// The region is on loan.
unsafe fn whole_pages_in<N: Platform>(
    region: &Region,
    range: Range<usize>,
) -> (NonNull<u8>, usize) {
    let page_size = N::page_size();
    let (start, end) = (range.start.next_multiple_of(page_size), range.end & !(page_size - 1));
    // SAFETY: as the caller promises.
    unsafe { part(region, start, end) }
}

/// The bytes from `start` to `end` that lie in the region: where they start, and how many.
///
/// # Safety
///
/// The region is on loan.
unsafe fn part(region: &Region, start: usize, end: usize) -> (NonNull<u8>, usize) {
    let end = end.min(region.size());
    // SAFETY: the place is at most `end`, so it lies in the region (caller), or at its end.
    (unsafe { region.start().add(start.min(end)) }, end.saturating_sub(start))
}

/// What the bytes of `range` read as after `take_away` was called for the pages that lie in it.
///
/// # Safety
///
/// The region is on loan.
unsafe fn of_whole_pages(
    region: &Region,
    range: Range<usize>,
    take_away: impl Fn(NonNull<u8>, usize) -> Contents,
) -> Contents {
    let whole = range.len();
    // SAFETY: as the caller promises.
    let (start, size) = unsafe { whole_pages_in::<Native>(region, range) };
    if size == 0 {
        return Contents::Unknown;
    }
    let contents = take_away(start, size);
    if size == whole { contents } else { Contents::Unknown }
}

// SAFETY: regions are the operating system's memory.
unsafe impl Independent for OsPages {}

// SAFETY: regions are ranges of address space that `Native` gives to nobody else until they are
// released; committed pages are readable and writable.
unsafe impl Source for OsPages {
    const RESERVES_AHEAD: bool = cfg!(target_pointer_width = "64");

    const REGION_ALIGN: usize = Native::REGION_ALIGN;

    // Where addresses have 64 bits, the upper half is the kernel's.
    const HIGHEST_ADDRESS: usize = usize::MAX >> (usize::BITS / 64 * 2);

    fn reserve(&self, least: usize, wanted: usize) -> Result<Region, AllocError> {
        STORE.reserve(least, wanted).ok_or(AllocError)
    }

    fn reserve_block(&self, size: usize) -> Result<Region, AllocError> {
        STORE.reserve_block(size).ok_or(AllocError)
    }

    unsafe fn commit(&self, region: &Region, range: Range<usize>) -> Result<(), AllocError> {
        // SAFETY: as the caller promises.
        unsafe { STORE.commit(region, range) }.then_some(()).ok_or(AllocError)
    }

    unsafe fn decommit(&self, region: &Region, range: Range<usize>) -> Contents {
        // SAFETY: the region is on loan; the pages lie in the range, which nobody needs or accesses
        // (caller).
        unsafe { of_whole_pages(region, range, |start, size| Native::decommit(start, size)) }
    }

    unsafe fn discard(&self, region: &Region, range: Range<usize>) -> Contents {
        // SAFETY: the region is on loan; the pages lie in the range, which is committed, and which
        // nobody needs (caller).
        unsafe { of_whole_pages(region, range, |start, size| Native::discard(start, size)) }
    }

    unsafe fn expect_use(&self, region: &Region, range: Range<usize>) {
        // SAFETY: the region is on loan (caller).
        let (start, size) = unsafe { whole_pages_in::<Native>(region, range) };
        if size > 0 {
            // SAFETY: the pages lie in the region, which is on loan (caller).
            unsafe { Native::prefer_large_pages(start, size) };
        }
    }

    unsafe fn release(&self, region: Region) {
        // SAFETY: as the caller promises.
        unsafe { STORE.release(&region) };
    }

    #[inline]
    fn take_kept(&self, size: usize) -> Option<Region> {
        let start = if size == KEPT_SIZE { KEPT.take() } else { None }?;
        let bytes = NonNull::slice_from_raw_parts(start, size);
        Some(Region::new(bytes, size, Contents::Unknown))
    }

    #[inline]
    unsafe fn release_or_keep(&self, region: Region) {
        if region.size() != KEPT_SIZE || !KEPT.put(region.start()) {
            // SAFETY: as the caller promises.
            unsafe { self.release(region) };
        }
    }

    unsafe fn grow_region(
        &self,
        region: Region,
        size: usize,
        movement: Movement,
    ) -> Result<Region, Region> {
        // SAFETY: as the caller promises.
        unsafe { STORE.grow(region, size, movement) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Do pages that were decommitted read as zero?
    const ZEROES: bool = cfg!(any(target_os = "linux", target_vendor = "apple"));

    fn reserved(size: usize) -> (OsPages, Region) {
        let region = OsPages::new().reserve(size, size).unwrap();
        (OsPages::new(), region)
    }

    #[test]
    fn pages_read_as_zero_keep_what_is_written_and_read_as_zero_again() {
        let (source, region) = reserved(1 << 16);
        // SAFETY: the region is ours, the range lies in it, and only committed bytes are accessed.
        unsafe {
            source.commit(&region, 100..40_000).unwrap();
            let byte = region.start().add(20_000);
            assert_eq!(byte.read(), 0);
            byte.write(7);
            source.commit(&region, 0..region.size()).unwrap();
            assert_eq!(byte.read(), 7);
            if ZEROES {
                assert_eq!(source.decommit(&region, 0..region.size()), Contents::Zero);
                source.commit(&region, 0..region.size()).unwrap();
                assert_eq!(byte.read(), 0);
            }
            assert_eq!(source.decommit(&region, 100..region.size()), Contents::Unknown);
            assert_eq!(source.decommit(&region, 100..200), Contents::Unknown);
            source.release(region);
        }
    }

    // Nobody else moves regions, and ThreadSanitizer has no `mremap`.
    #[cfg(all(target_os = "linux", not(allotrope_tsan)))]
    #[test]
    fn a_region_that_grows_keeps_its_contents() {
        let source = OsPages::new();
        let region = source.reserve_block(1 << 17).unwrap();
        // SAFETY: as above; the old region is not used after it has grown.
        unsafe {
            source.commit(&region, 0..region.size()).unwrap();
            region.start().write(7);
            let region = source.grow_region(region, 1 << 24, Movement::Allowed).unwrap();
            assert_eq!((region.size(), region.start().read()), (1 << 24, 7));
            region.start().add((1 << 24) - 1).write(8);
            let region = source.grow_region(region, 1 << 10, Movement::Allowed).unwrap_err();
            let region = source.grow_region(region, usize::MAX, Movement::Allowed).unwrap_err();
            source.release(region);
        }
    }

    #[test]
    fn a_region_that_is_committed_in_part_is_whole_after_it_was_to_grow() {
        for movement in [Movement::Never, Movement::Allowed] {
            let (source, region) = reserved(1 << 20);
            let half = region.size() / 2;
            // SAFETY: as above; where it has moved, the region is not used at its old place.
            unsafe {
                source.commit(&region, 0..half).unwrap();
                region.start().write_bytes(7, half);
                let region = match source.grow_region(region, 1 << 22, movement) {
                    Ok(region) | Err(region) => region,
                };
                source.commit(&region, 0..region.size()).unwrap();
                let bytes = region.bytes().as_ref();
                assert!(bytes[..half].iter().all(|byte| *byte == 7));
                assert!(!ZEROES || bytes[half..].iter().all(|byte| *byte == 0));
                source.release(region);
            }
        }
    }

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn several_gibibytes_are_one_region() {
        let (source, region) = reserved(8 << 30);
        let end = region.size();
        // SAFETY: as above.
        unsafe {
            source.commit(&region, end - 1..end).unwrap();
            region.start().add(end - 1).write(1);
            source.release(region);
        }
    }

    #[test]
    fn a_region_of_the_kept_size_is_lent_again() {
        let (source, region) = reserved(KEPT_SIZE);
        let start = region.start();
        // SAFETY: the region is ours, committed first, and released once.
        unsafe {
            source.commit(&region, 0..KEPT_SIZE).unwrap();
            source.release_or_keep(region);
        }
        assert_eq!(source.take_kept(2 * KEPT_SIZE), None);
        let region = source.take_kept(KEPT_SIZE).unwrap();
        assert_eq!((region.start(), region.committed()), (start, KEPT_SIZE));
        assert_eq!((source.take_kept(KEPT_SIZE), region.contents()), (None, Contents::Unknown));
        // SAFETY: as above.
        unsafe { source.release(region) };
    }

    #[test]
    fn sizes_beyond_the_address_space_are_errors() {
        let source = OsPages::new();
        for size in [usize::MAX, isize::MAX as usize, isize::MAX as usize - 4096] {
            assert_eq!(source.reserve(size, size), Err(AllocError), "{size}");
        }
    }

    #[test]
    fn no_region_is_empty() {
        let (source, region) = reserved(0);
        assert!(region.size() >= OsPages::page_size());
        // SAFETY: lent just above.
        unsafe { source.release(region) };
    }

    #[test]
    fn regions_start_and_end_where_the_platform_says() {
        for size in [1, 5000, 70_000] {
            let (source, region) = reserved(size);
            assert!(OsPages::REGION_ALIGN.is_power_of_two() && OsPages::page_size() >= 4096);
            assert!(region.start().addr().get().is_multiple_of(OsPages::REGION_ALIGN), "{size}");
            assert!(region.size().is_multiple_of(OsPages::REGION_ALIGN), "{size}");
            assert!(region.size().is_multiple_of(OsPages::page_size()), "{size}");
            // SAFETY: lent just above.
            unsafe { source.release(region) };
        }
    }

    #[test]
    fn discarded_pages_stay_usable() {
        let (source, region) = reserved(1 << 16);
        // SAFETY: the region is ours, the range lies in it, and only committed bytes are accessed.
        unsafe {
            source.commit(&region, 0..region.size()).unwrap();
            region.start().write_bytes(7, region.size());
            let contents = source.discard(&region, 0..region.size());
            let zeros = contents == Contents::Zero;
            assert!(!zeros || region.bytes().as_ref().iter().all(|&byte| byte == 0));
            region.start().write_bytes(8, region.size());
            assert!(region.bytes().as_ref().iter().all(|&byte| byte == 8));
            source.release(region);
        }
    }

    #[test]
    fn what_cannot_be_reserved_ahead_is_halved() {
        let source = OsPages::new();
        let region = source.reserve(4096, isize::MAX as usize).unwrap();
        assert!(region.size() >= 4096);
        // SAFETY: lent just above.
        unsafe { source.release(region) };
    }
}
