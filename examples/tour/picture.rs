//! What a buffer looks like: its runs of used and free memory, drawn.

use std::ptr::NonNull;

use allotrope::Span;

const ROWS: usize = 4;
const CELLS_PER_ROW: usize = 64;
const CELLS: usize = ROWS * CELLS_PER_ROW;

/// From all free to all used.
const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];

/// How many bytes of each cell are used, and the size of a cell.
#[derive(Debug)]
pub struct Picture {
    used: Vec<usize>,
    cell_size: usize,
}

impl Picture {
    /// A picture from a heap's `copy_spans`, which copies what there is room for and says how many
    /// spans there are.
    pub fn take(copy_spans: impl Fn(&mut [Span]) -> usize) -> Self {
        let blank = Span { start: NonNull::dangling(), size: 0, is_free: true };
        let mut spans = vec![blank; copy_spans(&mut [])];
        copy_spans(&mut spans);
        Self::of(&spans)
    }

    /// The spans side by side, cut into cells of one size.
    fn of(spans: &[Span]) -> Self {
        let size: usize = spans.iter().map(|span| span.size).sum();
        let cell_size = size.div_ceil(CELLS).max(1);
        let mut used = vec![0; size.div_ceil(cell_size)];
        let mut start = 0;
        for span in spans {
            let end = start + span.size;
            while start < end {
                let cell = start / cell_size;
                let part = end.min((cell + 1) * cell_size) - start;
                used[cell] += if span.is_free { 0 } else { part };
                start += part;
            }
        }
        Self { used, cell_size }
    }

    pub fn print(&self, title: &str) {
        println!(
            "\n{title}, {} bytes a cell, from {} to {}:",
            self.cell_size, SHADES[0], SHADES[4]
        );
        for row in self.used.chunks(CELLS_PER_ROW) {
            println!(
                "  {}",
                row.iter().map(|used| shade(*used, self.cell_size)).collect::<String>()
            );
        }
    }
}

/// All free and all used are told apart from almost.
fn shade(used: usize, size: usize) -> char {
    match used {
        0 => SHADES[0],
        _ if used == size => SHADES[4],
        _ => SHADES[1 + used * 3 / size],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_add_up_to_what_is_used() {
        let span = |size, is_free| Span { start: NonNull::dangling(), size, is_free };
        let picture = Picture::of(&[span(1600, false), span(16, true), span(2480, false)]);
        assert_eq!((picture.cell_size, picture.used.len()), (16, 256));
        assert_eq!(picture.used.iter().sum::<usize>(), 4080);
        assert_eq!(picture.used.iter().filter(|used| **used == 0).count(), 1);
        assert!(Picture::of(&[]).used.is_empty());
    }

    #[test]
    fn shades_go_from_free_to_used() {
        let shades = [0, 1, 40, 70, 99, 100].map(|used| shade(used, 100));
        assert_eq!(shades, ['·', '░', '▒', '▓', '▓', '█']);
    }
}
