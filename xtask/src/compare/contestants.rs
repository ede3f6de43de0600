//! The global allocators: each is a feature of `bench-global`, and a binary of its own. Most are
//! features of `bench-heap`, too, where they are handles.
//!
//! The other programs list their contestants themselves.

/// All of them, in the order of the tables.
pub const GLOBALS: [&str; 14] = [
    "system",
    "mimalloc-v3",
    "mimalloc-v2",
    "snmalloc",
    "jemalloc",
    "rpmalloc",
    "rusty-alloc",
    "rallocator",
    "talc",
    "rlsf",
    "dlmalloc",
    "limit-freelist",
    "allotrope-best-fit",
    "allotrope-local-heap",
];

/// Those that cannot run under valgrind: they reserve more address space than it has.
pub const NOT_UNDER_VALGRIND: [&str; 2] = ["snmalloc", "rallocator"];
