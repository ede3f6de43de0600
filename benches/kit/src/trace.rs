//! Allocation traces: their operations, their compact file form, their live bytes.
//!
//! A file is the bytes `ALTR1\n` and a zstd stream of varints (seven bits a byte, low ones first):
//!
//! ```text
//! slot count, operation count, then for each operation
//!   kind | align_log2 << 2, slot, size (none for a free)      kinds: 0 alloc, 1 free, 2 realloc
//!   3, thread                                                 what follows is of this thread
//! ```
//!
//! # Invariants
//!
//! 1. `align_log2 <= 16` in every [`Op`], so a 32-bit size and it are a layout.
//! 2. The slots of a [`Trace`] are below its slot count; a slot is allocated before it is freed.

use std::alloc::Layout;
use std::io;
use std::path::Path;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Fills an empty slot with a block.
    Alloc,
    /// Empties a slot.
    Free,
    /// Changes the size of the block in a slot.
    Realloc,
}

/// One operation on the block in table entry `slot`; slots are used again after a free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    kind: Kind,
    align_log2: u8,
    slot: u32,
    size: u32,
}

const MAX_ALIGN_LOG2: u8 = 16;

impl Op {
    /// What the operation does.
    #[inline(always)]
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// The table entry of its block.
    #[inline(always)]
    pub fn slot(self) -> usize {
        self.slot as usize
    }

    /// The size of its block; the new one where it changes.
    #[inline(always)]
    pub fn size(self) -> usize {
        self.size as usize
    }

    /// Bytes live in the slot after the operation.
    #[inline(always)]
    pub fn live(self) -> usize {
        if self.kind == Kind::Free { 0 } else { self.size() }
    }

    /// The layout of its block; the new one where it changes.
    #[inline(always)]
    pub fn layout(self) -> Layout {
        self.layout_of(self.size)
    }

    /// The layout of its block if that had this size.
    #[inline(always)]
    pub fn layout_of(self, size: u32) -> Layout {
        // SAFETY: invariant 1: the alignment is a power of two, and the size rounded up to it is
        // below 2^33.
        unsafe { Layout::from_size_align_unchecked(size as usize, 1 << self.align_log2) }
    }
}

/// Operations in the order they happened.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    name: String,
    slots: usize,
    ops: Vec<Op>,
}

const MAGIC: &[u8; 6] = b"ALTR1\n";

/// Takes a varint from the front of `bytes`.
fn take_number(bytes: &mut &[u8]) -> io::Result<u64> {
    let (mut number, mut shift) = (0u64, 0);
    loop {
        let (&byte, rest) = bytes.split_first().ok_or(io::ErrorKind::UnexpectedEof)?;
        *bytes = rest;
        if shift > 63 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        number |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
        shift += 7;
    }
}

fn invalid(what: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

impl Trace {
    /// Its name in tables.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many blocks are live at once at most, so how long a table of them is.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Its operations.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The trace in the bytes of a file.
    pub fn decode(name: &str, bytes: &[u8]) -> io::Result<Trace> {
        let mut body = bytes.strip_prefix(&MAGIC[..]).ok_or_else(|| invalid("no trace"))?;
        let mut raw = Vec::new();
        let mut stream = ruzstd::decoding::StreamingDecoder::new(&mut body).map_err(invalid)?;
        io::Read::read_to_end(&mut stream, &mut raw)?;
        Self::from_numbers(name, &raw)
    }

    fn from_numbers(name: &str, mut raw: &[u8]) -> io::Result<Trace> {
        let slots = take_number(&mut raw)? as usize;
        let count = take_number(&mut raw)? as usize;
        let mut held: Vec<Option<(u32, u8)>> = vec![None; slots];
        let mut ops = Vec::with_capacity(count);
        while ops.len() < count {
            let head = take_number(&mut raw)?;
            let kind = match head & 3 {
                0 => Kind::Alloc,
                1 => Kind::Free,
                2 => Kind::Realloc,
                _ => {
                    take_number(&mut raw)?; // whose thread it is does not matter here
                    continue;
                }
            };
            let slot = take_number(&mut raw)? as u32;
            let block = held.get_mut(slot as usize).ok_or_else(|| invalid("an unknown slot"))?;
            if (kind == Kind::Alloc) != block.is_none() {
                return Err(invalid("a slot filled twice, or emptied before it was filled"));
            }
            if kind != Kind::Free {
                let size = u32::try_from(take_number(&mut raw)?).map_err(invalid)?;
                *block = Some((size, (head >> 2) as u8));
            }
            let (size, align_log2) = block.expect("filled above or before");
            if align_log2 > MAX_ALIGN_LOG2 {
                return Err(invalid("an alignment above 64 KiB"));
            }
            if kind == Kind::Free {
                *block = None;
            }
            ops.push(Op { kind, align_log2, slot, size });
        }
        Ok(Trace { name: name.into(), slots, ops })
    }

    /// The trace in a file, named after it.
    pub fn load(path: &Path) -> io::Result<Trace> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Trace::decode(name.split('.').next().unwrap_or(""), &std::fs::read(path)?)
    }

    /// All `*.trace` files of a folder, by name.
    ///
    /// # Panics
    ///
    /// If the folder or one of its traces cannot be read.
    pub fn load_dir(dir: &Path) -> Vec<Trace> {
        let broken = |path: &Path, e: io::Error| -> ! { panic!("{}: {e}", path.display()) };
        let entries = std::fs::read_dir(dir).unwrap_or_else(|e| broken(dir, e));
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "trace"));
        files.sort();
        files.iter().map(|path| Trace::load(path).unwrap_or_else(|e| broken(path, e))).collect()
    }

    /// Most bytes live at once.
    pub fn peak_live(&self) -> usize {
        let mut held = vec![0usize; self.slots];
        let (mut live, mut peak) = (0usize, 0usize);
        for op in &self.ops {
            let bytes = &mut held[op.slot()];
            live = live - *bytes + op.live();
            *bytes = op.live();
            peak = peak.max(live);
        }
        peak
    }
}

/// Builds a trace operation by operation, and hands out its slots.
#[derive(Debug, Default)]
pub struct Builder {
    ops: Vec<Op>,
    held: Vec<(u32, u8)>,
    free_slots: Vec<u32>,
}

impl Builder {
    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether there is no operation.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Allocates a block; its slot.
    ///
    /// # Panics
    ///
    /// If the alignment is above 64 KiB.
    pub fn alloc(&mut self, size: usize, align_log2: u8) -> u32 {
        assert!(align_log2 <= MAX_ALIGN_LOG2, "an alignment above 64 KiB");
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.held.push((0, 0));
            self.held.len() as u32 - 1
        });
        self.held[slot as usize] = (size as u32, align_log2);
        self.ops.push(Op { kind: Kind::Alloc, align_log2, slot, size: size as u32 });
        slot
    }

    /// Changes the size of the block in `slot`.
    pub fn realloc(&mut self, slot: u32, size: usize) {
        let (held, align_log2) = &mut self.held[slot as usize];
        *held = size as u32;
        self.ops.push(Op { kind: Kind::Realloc, align_log2: *align_log2, slot, size: size as u32 });
    }

    /// Frees the block in `slot`.
    pub fn free(&mut self, slot: u32) {
        let (size, align_log2) = self.held[slot as usize];
        self.ops.push(Op { kind: Kind::Free, align_log2, slot, size });
        self.free_slots.push(slot);
    }

    /// The trace.
    pub fn finish(self, name: &str) -> Trace {
        Trace { name: name.into(), slots: self.held.len(), ops: self.ops }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_read_with_the_size_their_slot_holds() {
        let raw = [2, 3, 3 << 2, 1, 40, 3, 7, 2 | 3 << 2, 1, 0x80, 1, 1, 1];
        let trace = Trace::from_numbers("x", &raw).unwrap();
        let op = |kind, size| Op { kind, align_log2: 3, slot: 1, size };
        assert_eq!(trace.ops(), [op(Kind::Alloc, 40), op(Kind::Realloc, 128), op(Kind::Free, 128)]);
        assert_eq!(trace.peak_live(), 128);
    }

    #[test]
    fn broken_files_are_refused() {
        assert!(Trace::decode("x", b"not a trace").is_err());
        assert!(Trace::from_numbers("x", &[1, 1, 1, 0]).is_err(), "freed before it was allocated");
        assert!(Trace::from_numbers("x", &[1, 1, 17 << 2, 0, 8]).is_err(), "alignment too large");
        assert!(Trace::from_numbers("x", &[1, 1, 0, 1, 8]).is_err(), "unknown slot");
    }
}
