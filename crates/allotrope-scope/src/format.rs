//! Formatted text in an arena or scope.

/// Puts formatted text into an arena or a scope: `format!` with the place first.
///
/// ```
/// use allotrope_scope::{Arena, alloc_fmt};
///
/// let arena = Arena::new();
/// let text = alloc_fmt!(arena, "{} and {}", 1, "two");
/// assert_eq!(text, "1 and two");
/// ```
///
/// # Panics
///
/// If the source has no more memory, or a value refuses to be formatted.
#[macro_export]
macro_rules! alloc_fmt {
    ($place:expr, $($text:tt)+) => {
        $place.alloc_fmt(::core::format_args!($($text)+))
    };
}

/// As [`alloc_fmt!`](crate::alloc_fmt), with a `Result` instead of a panic.
#[macro_export]
macro_rules! try_alloc_fmt {
    ($place:expr, $($text:tt)+) => {
        $place.try_alloc_fmt(::core::format_args!($($text)+))
    };
}
