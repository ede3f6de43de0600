//! The side table: what an allocator remembers of its large blocks, by their addresses.
//!
//! ```text
//! newest ──▶ level (24 buckets) ──▶ level (12 buckets) ──▶ null
//!              │                      │
//!              │ bucket: 8 keys, 8 values, one of them for each address
//!              ▼
//!            keys    │ 0 │ address │ 1 │ 0 │ address │ 0 │ 0 │ 0 │    0: vacant, 1: held
//!            values  │   │ value   │   │   │ value   │   │   │   │
//! ```
//!
//! An address hashes to one bucket of each level, and its value may lie in any of them. Where all
//! are full, the table gets one more level, twice as large. So a table of `n` values has `O(log n)`
//! levels, and a look-up reads one cache line of keys in each.
//!
//! Levels lie in memory that the user brings, and are never taken away while the table is shared.
//!
//! # Invariants
//!
//! 1. A key above 1 says that the value beside it is there. Key 1 says that one thread, which
//!    wrote the 1, has the entry to itself. Key 0 says that there is no value.
//! 2. A value lies in one of its address's buckets, unless those had no room when its address
//!    changed ([`Taken::put_back`]). Then it lies anywhere, and is found by looking everywhere.
//! 3. Whatever `newest` reaches is a level, and stays one while the table is borrowed.
//!
//! # Why there is no ABA problem
//!
//! An entry is claimed by exchanging 0 for 1, and taken by exchanging its address for 1. Neither
//! concludes anything from what the key was before, and entries and levels are never unlinked.
//!
//! # Orderings
//!
//! - *Publishing a value.* The store of the address is `Release`, the exchange that takes the
//!   value `Acquire`: who takes a value sees what was written there.
//! - *Vacating an entry.* The store of 0 is `Release`, the exchange that claims the entry
//!   `Acquire`: who writes the next value does so after the last one was read.
//! - *Adding a level.* The exchange of `newest` is `Release`, the load with which each walk begins
//!   `Acquire`: who reaches a level sees it whole. Later exchanges continue the release sequence
//!   of the earlier ones, so that holds for the older levels, too.
//! - The loads that look for a key are `Relaxed`: the exchange that follows decides.
//!
//! `tests/loom_side_table.rs` fails when one of them is weakened.

use core::iter;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use crate::fatal::promised;

use crate::facade::atomic::{AtomicPtr, AtomicUsize, Ordering};
use crate::facade::cell::UnsafeCell;
use crate::facade::const_fn;

/// A lock-free map from addresses to values, in memory that its user brings.
///
/// Dropping a table drops neither its values nor its levels: [`drain`](Self::drain) and
/// [`take_empty_level`](Self::take_empty_level) give them out.
#[derive(Debug)]
pub struct SideTable<V, const WIDTH: usize = 8> {
    newest: AtomicPtr<Level<V, WIDTH>>,
    values: PhantomData<V>,
}

// SAFETY: a value is reached by one thread at a time (invariant 1), which may be any; that rests on
// atomics that are shared, which those of the facade are not on every target.
unsafe impl<V: Send, const WIDTH: usize> Sync for SideTable<V, WIDTH> where AtomicPtr<V>: Sync {}

/// Room for many values: this, and behind it the buckets.
#[derive(Debug)]
struct Level<V, const WIDTH: usize> {
    head: UnsafeCell<Head<V, WIDTH>>,
}

/// What is known of a level. It is written before the level is shared, and then only read.
#[derive(Debug)]
struct Head<V, const WIDTH: usize> {
    older: *mut Level<V, WIDTH>,
    buckets: NonNull<[Bucket<V, WIDTH>]>,
    /// How many bytes of memory it was made in.
    size: usize,
    /// Where that memory came from.
    origin: MaybeUninit<V>,
}

/// The entries for the addresses of one hash.
#[derive(Debug)]
struct Bucket<V, const WIDTH: usize> {
    keys: [AtomicUsize; WIDTH],
    values: [UnsafeCell<MaybeUninit<V>>; WIDTH],
}

/// No value.
const VACANT: usize = 0;
/// One thread has the entry to itself.
const HELD: usize = 1;
/// The size in bytes of the first level.
const FIRST_SIZE: usize = 4096;

impl<V, const WIDTH: usize> SideTable<V, WIDTH> {
    const_fn! {
        /// A table without any room.
        pub fn new() -> Self {
            Self { newest: AtomicPtr::new(ptr::null_mut()), values: PhantomData }
        }
    }

    /// How many bytes a level needs at least, wherever they start.
    pub const fn least_level_size() -> usize {
        size_of::<Level<V, WIDTH>>() + size_of::<Bucket<V, WIDTH>>() + 2 * (Self::ALIGN - 1)
    }

    /// The alignment of a level and of its buckets.
    const ALIGN: usize = {
        let (level, bucket) = (align_of::<Level<V, WIDTH>>(), align_of::<Bucket<V, WIDTH>>());
        if level > bucket { level } else { bucket }
    };

    /// How many bytes the next level should have: twice as many as the last.
    pub fn next_level_size(&self) -> usize {
        let doubled = self.levels().next().map(|level| level.size().saturating_mul(2));
        doubled.unwrap_or(FIRST_SIZE).max(Self::least_level_size())
    }

    /// Adds `value` under `address`, which is above 1, and under which there is no other.
    ///
    /// # Errors
    ///
    /// `value`, if there is no room: [`add_level`](Self::add_level) makes some.
    pub fn insert(&self, address: usize, value: V) -> Result<(), V> {
        promised!(address > HELD, "not the address of a block", address);
        match self.claim(address) {
            Some(entry) => {
                entry.publish(address, value);
                Ok(())
            }
            None => Err(value),
        }
    }

    /// Takes the value out that is under `address`. Its entry is held until it is put back or
    /// vacated. Nothing is ever under 0 or 1.
    pub fn take(&self, address: usize) -> Option<(V, Taken<'_, V, WIDTH>)> {
        if address <= HELD {
            // Such a key is no address, and no value is beside it.
            return None;
        }
        // Invariant 2.
        let mut places = self.entries_for(address).chain(self.entries());
        let entry = places.find(|entry| entry.hold(address))?;
        // SAFETY: the key was an address and is 1 now, so the value is there, and ours to move out
        // (invariant 1).
        let value = unsafe { entry.read() };
        Some((value, Taken { table: self, entry }))
    }

    /// Adds a level in `memory`, for which `origin` stands.
    ///
    /// # Errors
    ///
    /// `origin`, if the memory has fewer than [`least_level_size`](Self::least_level_size) bytes.
    ///
    /// # Safety
    ///
    /// The memory is valid for reads and writes, and nobody else accesses it, until
    /// [`take_empty_level`](Self::take_empty_level) returns `origin`.
    pub unsafe fn add_level(&self, memory: NonNull<[u8]>, origin: V) -> Result<(), V> {
        if memory.len() < Self::least_level_size() {
            return Err(origin);
        }
        // SAFETY: the memory is ours (caller), and has room.
        let (level, buckets) = unsafe { Self::make_buckets(memory) };
        let mut older = self.newest.load(Ordering::Relaxed);
        let (size, origin) = (memory.len(), MaybeUninit::new(origin));
        let head = UnsafeCell::new(Head { older, buckets, size, origin });
        // SAFETY: as above; `make_buckets` aligned it.
        unsafe { level.write(Level { head }) };
        // SAFETY: written just above.
        let shared = unsafe { level.as_ref() };
        while let Err(current) = self.newest.compare_exchange_weak(
            older,
            level.as_ptr(),
            Ordering::Release,
            Ordering::Relaxed,
        ) {
            older = current;
            // SAFETY: the level is not reachable for anybody else yet.
            shared.head.with_mut(|head| unsafe { (*head).older = older });
        }
        Ok(())
    }

    /// Where a level in `memory` starts, and its buckets, all vacant.
    ///
    /// # Safety
    ///
    /// As for `add_level`, and the memory is long enough.
    unsafe fn make_buckets(
        memory: NonNull<[u8]>,
    ) -> (NonNull<Level<V, WIDTH>>, NonNull<[Bucket<V, WIDTH>]>) {
        let padding = |address: usize| address.wrapping_neg() & (Self::ALIGN - 1);
        let start = memory.cast::<u8>();
        let level = padding(start.addr().get());
        let end = level + size_of::<Level<V, WIDTH>>();
        let first = end + padding(start.addr().get() + end);
        let count = (memory.len() - first) / size_of::<Bucket<V, WIDTH>>();
        // SAFETY: the level and `count` buckets from `first` lie in the memory.
        let (level, buckets) = unsafe { (start.add(level).cast(), start.add(first).cast()) };
        for index in 0..count {
            // SAFETY: as above; it is aligned, and ours.
            unsafe { buckets.add(index).write(Bucket::new()) };
        }
        (level, NonNull::slice_from_raw_parts(buckets, count))
    }

    /// Takes every value out. O(room of the table).
    pub fn drain(&mut self, mut receive: impl FnMut(usize, V)) {
        for entry in self.entries() {
            let address = entry.key.load(Ordering::Relaxed);
            if address > HELD {
                entry.key.store(VACANT, Ordering::Relaxed);
                // SAFETY: the value is there (invariant 1), and nobody else has the table.
                receive(address, unsafe { entry.read() });
            }
        }
    }

    /// Calls `visit` with every address and its value. O(room of the table).
    ///
    /// # Safety
    ///
    /// No other thread uses the table meanwhile, and `visit` does not either.
    pub unsafe fn for_each(&self, mut visit: impl FnMut(usize, &V)) {
        for entry in self.entries() {
            let address = entry.key.load(Ordering::Relaxed);
            if address > HELD {
                // SAFETY: the value is there (invariant 1), and stays (caller).
                entry.value.with(|value| visit(address, unsafe { (*value).assume_init_ref() }));
            }
        }
    }

    /// How many values there are. O(room of the table).
    pub fn len(&self) -> usize {
        self.entries().filter(|entry| entry.key.load(Ordering::Relaxed) > HELD).count()
    }

    /// Is there no value? O(room of the table).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes of memory the levels take.
    pub fn bytes_held(&self) -> usize {
        self.levels().map(Level::size).sum()
    }

    /// Removes a level without values, and returns what stands for its memory, which is the user's
    /// again.
    pub fn take_empty_level(&mut self) -> Option<V> {
        let mut newer: Option<&Level<V, WIDTH>> = None;
        let empty = self.levels().find(|level| {
            let keys = level.buckets().flat_map(|bucket| &bucket.keys);
            let is_empty = keys.into_iter().all(|key| key.load(Ordering::Relaxed) == VACANT);
            newer = if is_empty { newer } else { Some(level) };
            is_empty
        })?;
        // SAFETY: borrowed mutably, the table is nobody else's, and the level leaves it.
        let Head { older, buckets, origin, .. } = empty.head.with(|head| unsafe { head.read() });
        match newer {
            // SAFETY: as above.
            Some(newer) => newer.head.with_mut(|head| unsafe { (*head).older = older }),
            None => self.newest.store(older, Ordering::Relaxed),
        }
        // SAFETY: the buckets are ours, and used no more. Only `loom`'s have something to drop.
        unsafe { buckets.drop_in_place() };
        // SAFETY: `add_level` wrote it, and it is moved out once.
        Some(unsafe { origin.assume_init() })
    }

    /// An entry for `address`, held.
    fn claim(&self, address: usize) -> Option<Entry<'_, V>> {
        self.entries_for(address).find(|entry| entry.hold(VACANT))
    }

    /// The entries in which `address` belongs.
    fn entries_for(&self, address: usize) -> impl Iterator<Item = Entry<'_, V>> {
        let buckets = self.levels().filter_map(move |level| level.bucket_of(address));
        buckets.flat_map(Bucket::entries)
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_, V>> {
        self.levels().flat_map(Level::buckets).flat_map(Bucket::entries)
    }

    fn levels(&self) -> impl Iterator<Item = &Level<V, WIDTH>> {
        // SAFETY: invariant 3.
        let newest = unsafe { self.newest.load(Ordering::Acquire).as_ref() };
        // SAFETY: as above.
        iter::successors(newest, |level| unsafe { level.older().as_ref() })
    }
}

impl<V, const WIDTH: usize> Default for SideTable<V, WIDTH> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V, const WIDTH: usize> Level<V, WIDTH> {
    fn older(&self) -> *mut Self {
        // SAFETY: a head is only read once its level is shared.
        self.head.with(|head| unsafe { (*head).older })
    }

    fn size(&self) -> usize {
        // SAFETY: as above.
        self.head.with(|head| unsafe { (*head).size })
    }

    fn buckets(&self) -> impl Iterator<Item = &Bucket<V, WIDTH>> {
        // SAFETY: as above.
        let buckets = self.head.with(|head| unsafe { (*head).buckets });
        // SAFETY: they are initialized, and stay as long as the level does.
        unsafe { buckets.as_ref() }.iter()
    }

    fn bucket_of(&self, address: usize) -> Option<&Bucket<V, WIDTH>> {
        let count = self.buckets().size_hint().0;
        self.buckets().nth(place_of(address, count))
    }
}

/// Which of `count` buckets is for `address`: any mapping that spreads neighbouring pages.
fn place_of(address: usize, count: usize) -> usize {
    // Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4): the high half is mixed
    // best, and a multiplication maps it to the range.
    let hash = (address as u64 >> 12).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    ((hash * count as u64) >> 32) as usize
}

impl<V, const WIDTH: usize> Bucket<V, WIDTH> {
    fn new() -> Self {
        Self {
            keys: [(); WIDTH].map(|()| AtomicUsize::new(VACANT)),
            values: [(); WIDTH].map(|()| UnsafeCell::new(MaybeUninit::uninit())),
        }
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_, V>> {
        self.keys.iter().zip(&self.values).map(|(key, value)| Entry { key, value })
    }
}

/// A key and its value.
#[derive(Debug)]
struct Entry<'t, V> {
    key: &'t AtomicUsize,
    value: &'t UnsafeCell<MaybeUninit<V>>,
}

impl<V> Entry<'_, V> {
    /// Has the entry to itself from now on if its key was `key`.
    fn hold(&self, key: usize) -> bool {
        let exchange =
            || self.key.compare_exchange(key, HELD, Ordering::Acquire, Ordering::Relaxed);
        self.key.load(Ordering::Relaxed) == key && exchange().is_ok()
    }

    /// Moves the value out.
    ///
    /// # Safety
    ///
    /// There is one, and nobody else reads it.
    unsafe fn read(&self) -> V {
        // SAFETY: as the caller promises.
        self.value.with(|value| unsafe { value.read().assume_init() })
    }

    /// Ends the holding of an entry with a value in it.
    fn publish(&self, address: usize, value: V) {
        // SAFETY: the entry is held by this thread (invariant 1), and empty.
        self.value.with_mut(|place| unsafe { place.write(MaybeUninit::new(value)) });
        self.key.store(address, Ordering::Release);
    }
}

/// An entry whose value was taken out, held for the taker.
#[derive(Debug)]
#[must_use = "an entry that is neither put back nor vacated is lost"]
pub struct Taken<'t, V, const WIDTH: usize> {
    table: &'t SideTable<V, WIDTH>,
    entry: Entry<'t, V>,
}

impl<V, const WIDTH: usize> Taken<'_, V, WIDTH> {
    /// Puts a value in under `address`, the same as before or another. There always is room: the
    /// entry itself.
    pub fn put_back(self, address: usize, value: V) {
        let mut belongs = self.table.entries_for(address);
        if belongs.any(|entry| ptr::eq(entry.key, self.entry.key)) {
            return self.entry.publish(address, value);
        }
        match self.table.claim(address) {
            Some(better) => {
                better.publish(address, value);
                self.vacate();
            }
            None => self.entry.publish(address, value),
        }
    }

    /// Leaves the entry to whoever needs one next.
    pub fn vacate(self) {
        self.entry.key.store(VACANT, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::thread;
    use std::vec::Vec;

    /// A table over leaked memory, each level of which stands for its own bytes.
    struct Tested {
        table: SideTable<(usize, usize)>,
        levels: Mutex<Vec<NonNull<[u64]>>>,
    }

    // SAFETY: the pointers are only freed at the end, by one thread.
    unsafe impl Sync for Tested {}

    impl Tested {
        fn new() -> Self {
            Self { table: SideTable::new(), levels: Mutex::default() }
        }

        fn insert(&self, address: usize, value: usize) {
            let mut value = (address, value);
            while let Err(refused) = self.table.insert(address, value) {
                value = refused;
                let words = self.table.next_level_size().div_ceil(8);
                let level = std::vec![0_u64; words].into_boxed_slice();
                let level = NonNull::from(std::boxed::Box::leak(level));
                let bytes = NonNull::slice_from_raw_parts(level.cast(), words * 8);
                self.levels.lock().unwrap().push(level);
                // SAFETY: leaked just above, and freed after the table is used for the last time.
                unsafe { self.table.add_level(bytes, (level.addr().get(), 0)) }.unwrap();
            }
        }

        fn remove(&self, address: usize) -> Option<usize> {
            let ((key, value), entry) = self.table.take(address)?;
            assert_eq!(key, address);
            entry.vacate();
            Some(value)
        }
    }

    impl Drop for Tested {
        fn drop(&mut self) {
            self.table.drain(|address, (key, _)| assert_eq!(address, key));
            let mut origins: Vec<_> =
                iter::from_fn(|| self.table.take_empty_level()).map(|origin| origin.0).collect();
            let levels = self.levels.get_mut().unwrap();
            let mut starts: Vec<_> = levels.iter().map(|level| level.addr().get()).collect();
            origins.sort();
            starts.sort();
            assert_eq!(origins, starts);
            for level in levels {
                // SAFETY: leaked by `insert`, and in no table any more.
                drop(unsafe { std::boxed::Box::from_raw(level.as_ptr()) });
            }
        }
    }

    /// xorshift (Marsaglia 2003).
    fn random(state: &mut u64) -> usize {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state >> 16) as usize
    }

    #[test]
    fn table_does_what_a_map_does() {
        let steps = if cfg!(miri) { 500 } else { 10_000 };
        for seed in 1..=4 {
            let (tested, mut twin, mut state) = (Tested::new(), BTreeMap::new(), seed);
            for step in 0..steps {
                let address = (1 + random(&mut state) % 4096) << 12;
                match (twin.remove(&address), random(&mut state) % 4) {
                    (Some(value), 0) => {
                        let other = address + (4097 << 12);
                        let ((key, held), entry) = tested.table.take(address).unwrap();
                        assert_eq!((key, held), (address, value), "seed {seed}, step {step}");
                        if twin.contains_key(&other) {
                            entry.put_back(address, (address, value));
                            twin.insert(address, value);
                        } else {
                            entry.put_back(other, (other, value));
                            twin.insert(other, value);
                        }
                    }
                    (value @ Some(_), _) => assert_eq!(tested.remove(address), value, "{seed}"),
                    (None, _) => {
                        assert_eq!(tested.remove(address), None, "seed {seed}, step {step}");
                        tested.insert(address, step);
                        twin.insert(address, step);
                    }
                }
            }
            assert_eq!(tested.table.len(), twin.len(), "seed {seed}");
            let mut seen = BTreeMap::new();
            // SAFETY: nobody else has the table.
            unsafe {
                tested
                    .table
                    .for_each(|address, value| assert_eq!(seen.insert(address, value.1), None))
            };
            assert_eq!(seen, twin, "seed {seed}");
        }
    }

    #[test]
    fn a_value_that_finds_no_room_under_its_new_address_is_found_all_the_same() {
        let tested = Tested::new();
        tested.insert(4096, 0);
        let (value, entry) = tested.table.take(4096).unwrap();
        // Fill all else, so that only the entry itself is left.
        let full = (2..100_000).map(|page| page << 12);
        let _ = full.filter(|&address| tested.table.insert(address, (address, 1)).is_ok()).count();
        let mut others = (200_000..).map(|page| page << 12);
        let moved =
            others.find(|&address| tested.table.insert(address, (address, 1)).is_err()).unwrap();
        entry.put_back(moved, (moved, value.1));
        assert_eq!(tested.remove(moved), Some(0));
        assert_eq!(tested.remove(moved), None);
    }

    #[test]
    fn the_keys_that_are_no_addresses_have_no_values() {
        let tested = Tested::new();
        tested.insert(4096, 7);
        let (value, entry) = tested.table.take(4096).unwrap();
        // There are vacant entries now, and one that is held.
        for key in [VACANT, HELD] {
            assert!(tested.table.take(key).is_none(), "{key}");
        }
        entry.put_back(4096, value);
        assert_eq!(tested.remove(4096), Some(7));
    }

    #[test]
    fn memory_too_small_for_a_level_is_refused() {
        let table = SideTable::<usize>::new();
        let mut bytes = std::vec![0_u8; SideTable::<usize>::least_level_size()];
        for start in 0..8 {
            let memory = NonNull::from(&mut bytes[start..]);
            // SAFETY: too short but for the first, which the table does not outlive.
            let added = unsafe { table.add_level(memory, start) };
            assert_eq!(added.is_ok(), start == 0, "{start}");
        }
        assert_eq!(table.bytes_held(), bytes.len());
    }

    #[test]
    fn threads_share_a_table_without_losing_a_value() {
        let (threads, rounds) = if cfg!(miri) { (3, 30) } else { (4, 5000) };
        let tested = Tested::new();
        let work = |thread: usize| {
            let mut state = thread as u64 + 1;
            let mut mine = BTreeMap::new();
            for round in 0..rounds {
                let address = ((random(&mut state) % 512) * threads + thread + 1) << 12;
                match mine.remove(&address) {
                    Some(value) => assert_eq!(tested.remove(address), Some(value)),
                    None => {
                        tested.insert(address, round);
                        mine.insert(address, round);
                    }
                }
            }
            mine.len()
        };
        let left: usize = thread::scope(|scope| {
            let all: Vec<_> =
                (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(tested.table.len(), left);
    }
}
