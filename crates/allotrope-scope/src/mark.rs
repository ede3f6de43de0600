//! Marks: scopes that need not nest in the text of a program, checked when they end.
//!
//! ```text
//! open ──▶ │Record│ ──▶ │Record│ ──▶ nothing        in the arena's memory, newest first
//! ```
//!
//! The arena itself remembers where each open mark was made; what the user holds merely says which
//! record is meant, by its address and number. So a mark of another arena, or one that has ended,
//! cannot do any harm: it is not in the list, or is taken for an open mark, whose scope ends.
//!
//! # Invariants
//!
//! 1. A record in the list is in memory that is not freed before the list is cut below it, and its
//!    position is one of the space.

use core::cell::Cell;
use core::fmt;
use core::ptr::NonNull;

use allotrope_core::{AllocError, Broken, Source};

use crate::space::{Position, Space};

/// What an arena has been told to remember by [`begin_scope`](crate::Arena::begin_scope).
///
/// An arena knows its open marks, by where they are in its memory and by their number, and
/// [`end_scope`](crate::Arena::end_scope) refuses any other. Only a mark of an arena that is gone can
/// be taken for one of an arena that has got the same memory since. It ends a scope of that arena
/// then, as its owner could: a mistake, but one that touches no memory that is in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "a mark that is not ended keeps outer ones from ending"]
pub struct Mark {
    record: NonNull<Record>,
    serial: u64,
}

/// Why [`end_scope`](crate::Arena::end_scope) refuses a mark; the arena is unchanged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MarkError {
    /// A mark that was made later is still open: it has to end first.
    WrongOrder,
    /// It is no open mark of this arena: another arena made it, or it has ended already, itself or
    /// by a [`reset`](crate::Arena::reset).
    NotOpen,
}

impl fmt::Display for MarkError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::WrongOrder => "a scope that began later has not ended yet",
            Self::NotOpen => "this arena has no such open scope: it is another's, or has ended",
        })
    }
}

impl core::error::Error for MarkError {}

struct Record {
    outer: Option<NonNull<Record>>,
    serial: u64,
    position: Position,
}

/// The open marks of an arena.
pub(crate) struct Marks {
    open: Cell<Option<NonNull<Record>>>,
    serials: Cell<u64>,
}

impl Marks {
    pub(crate) const fn new() -> Self {
        Self { open: Cell::new(None), serials: Cell::new(0) }
    }

    /// Remembers where `space` is.
    ///
    /// # Safety
    ///
    /// `space` is the same in every call. It is not set back to an earlier position before the mark
    /// is closed.
    pub(crate) unsafe fn begin<S: Source>(&self, space: &Space<S>) -> Result<Mark, AllocError> {
        // A source that calls back may make marks while there is no place for this one. They come
        // after this position and end with it; so they are left out of the list: invariant 1.
        let (position, outer) = (space.position(), self.open.get());
        let record = space.place_for::<Record>()?;
        let serial = self.serials.get() + 1;
        // SAFETY: the block is new, and fits.
        unsafe { record.write(Record { outer, serial, position }) };
        self.serials.set(serial);
        self.open.set(Some(record));
        Ok(Mark { record, serial })
    }

    /// The position of `mark` if it is the innermost; it is closed then.
    pub(crate) fn end(&self, mark: Mark) -> Result<Position, MarkError> {
        let mut inner = false;
        let mut next = self.open.get();
        while let Some(open) = next {
            // SAFETY: invariant 1.
            let record = unsafe { open.as_ref() };
            if open == mark.record && record.serial == mark.serial {
                if inner {
                    return Err(MarkError::WrongOrder);
                }
                self.open.set(record.outer);
                return Ok(record.position);
            }
            (inner, next) = (true, record.outer);
        }
        Err(MarkError::NotOpen)
    }

    /// Is there an open one, whose position has to stay good?
    pub(crate) fn is_any_open(&self) -> bool {
        self.open.get().is_some()
    }

    /// Checks that the marks are in `space`, and in the order in which they were made.
    pub(crate) fn check_invariants<S: Source>(&self, space: &Space<S>) -> Result<(), Broken> {
        let (mut next, mut newest) = (self.open.get(), self.serials.get());
        while let Some(open) = next {
            let broken = |invariant| Err(Broken { invariant, address: open.addr().get() });
            if !space.has_block_at(open.cast()) {
                return broken("an open mark is in memory that is in use");
            }
            // SAFETY: invariant 1.
            let record = unsafe { open.as_ref() };
            if record.serial == 0 || record.serial > newest {
                return broken("open marks are in the order in which they were made");
            }
            (next, newest) = (record.outer, record.serial - 1);
        }
        Ok(())
    }

    /// Closes all marks.
    pub(crate) fn clear(&self) {
        self.open.set(None);
    }
}
