//! The promises of an allocator, one variant each.

#![forbid(unsafe_code)]

use std::fmt;

/// What an allocator promises, and what the suite therefore checks.
///
/// Where one mistake breaks several promises, the suite reports the first that it sees; a promise
/// about a *cause* ([`Promise::FitsRange`], [`Promise::FailureKeepsState`]) is reported instead
/// of the effect when the minimal sequence passes without that cause.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Promise {
    /// The start of a block is a multiple of the alignment asked for, after a grow or a shrink too.
    Alignment,
    /// A block is at least as long as was asked for, and ends within the address space.
    Length,
    /// Blocks that are handed out at the same time do not overlap.
    Disjoint,
    /// Blocks lie in the memory that the upstream lent (see [`Suite::only_from_upstream`]).
    ///
    /// [`Suite::only_from_upstream`]: crate::Suite::only_from_upstream
    Contained,
    /// The allocator does not write to blocks that are handed out.
    Content,
    /// `grow` and `grow_zeroed` keep the bytes of the old layout.
    GrowKeepsContent,
    /// `shrink` keeps the bytes of the new layout.
    ShrinkKeepsContent,
    /// `allocate_zeroed` zeroes all of the block, `grow_zeroed` all that was not there before.
    Zeroed,
    /// After an `Err` every block is as it was, the old one of a grow or shrink included, and
    /// nothing was lost.
    FailureKeepsState,
    /// A block may be freed, grown or shrunk with any size from the requested to the returned one.
    FitsRange,
    /// A request that no memory could hold is refused.
    RefusesTheImpossible,
    /// Some request is served: an allocator that always fails keeps all other promises.
    Serves,
    /// Calls return; they do not unwind. `Allocator` merely encourages this of a call that finds
    /// no memory, `GlobalAlloc` demands it of every call.
    Returns,
    /// The allocator writes only to memory that its upstream lent it, not beside it.
    UpstreamBounds,
    /// Blocks of the upstream are given back once, and with a layout that fits.
    UpstreamCalls,
    /// When the allocator is dropped, everything that the upstream lent comes back.
    NothingLost,
    /// An allocator that was given back all its blocks has no bytes in use (see
    /// [`Suite::bytes_used`]).
    ///
    /// [`Suite::bytes_used`]: crate::Suite::bytes_used
    NothingInUse,
    /// It serves what its twin serves, and refuses the rest (see [`Suite::run_twins`]).
    ///
    /// [`Suite::run_twins`]: crate::Suite::run_twins
    AgreesWithTwin,
    /// The largest block that could be allocated at first can be allocated again after everything
    /// was freed (see [`Suite::fills_again`]).
    ///
    /// [`Suite::fills_again`]: crate::Suite::fills_again
    FillsAgain,
    /// What the closure given to [`Suite::invariants`] checks.
    ///
    /// [`Suite::invariants`]: crate::Suite::invariants
    Invariants,
}

impl Promise {
    /// The promise as a sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Alignment => "blocks are aligned as requested",
            Self::Length => "blocks are at least as long as requested",
            Self::Disjoint => "blocks do not overlap",
            Self::Contained => "blocks lie in memory of the upstream",
            Self::Content => "live blocks are not written to",
            Self::GrowKeepsContent => "grow keeps the old bytes",
            Self::ShrinkKeepsContent => "shrink keeps the bytes that remain",
            Self::Zeroed => "zeroed memory is zero",
            Self::FailureKeepsState => "a failed call changes nothing",
            Self::FitsRange => "every size from the requested to the returned one fits",
            Self::RefusesTheImpossible => "impossible requests are refused",
            Self::Serves => "some request is served",
            Self::Returns => "calls do not unwind",
            Self::UpstreamBounds => "memory beside the upstream's blocks is not written to",
            Self::UpstreamCalls => "the upstream's blocks are given back once, with their layout",
            Self::NothingLost => "everything is given back to the upstream",
            Self::NothingInUse => "nothing is in use when everything is freed",
            Self::AgreesWithTwin => "it serves what its twin serves",
            Self::FillsAgain => "the whole memory can be allocated again",
            Self::Invariants => "the allocator's invariants hold",
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?} ({})", self.sentence())
    }
}

/// A promise that was found broken, and how.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) promise: Promise,
    pub(crate) detail: String,
}

impl Broken {
    pub(crate) fn new(promise: Promise, detail: impl Into<String>) -> Self {
        Self { promise, detail: detail.into() }
    }

    /// The same observation, as evidence against another promise.
    pub(crate) fn into_evidence_against(self, promise: Promise) -> Self {
        if self.promise == promise {
            return self;
        }
        Self { promise, detail: format!("seen as {:?}: {}", self.promise, self.detail) }
    }
}
