//! The shortest list of steps that still shows what is wrong.

#![forbid(unsafe_code)]

use crate::calls::Verdict;

/// Leaves out as many steps as can be, so that something is still wrong, and says what it is.
pub fn shorten<T: Copy>(steps: &mut Vec<T>, make: impl Fn(&[T]) -> Verdict) -> Option<String> {
    let mut wrong = None;
    let mut run = steps.len();
    while run > 0 {
        let mut start = 0;
        while start < steps.len() {
            let end = steps.len().min(start + run);
            let fewer = [&steps[..start], &steps[end..]].concat();
            match make(&fewer) {
                Err(still) => (wrong, *steps) = (Some(still), fewer),
                Ok(()) => start = end,
            }
        }
        run /= 2;
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_needed_is_left_out() {
        let mut steps: Vec<u32> = (0..100).collect();
        let make = |steps: &[u32]| match steps.contains(&13) && steps.contains(&77) {
            true => Err(String::from("both")),
            false => Ok(()),
        };
        assert_eq!(shorten(&mut steps, make), Some(String::from("both")));
        assert_eq!(steps, [13, 77]);
    }
}
