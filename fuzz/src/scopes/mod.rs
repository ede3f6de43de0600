//! Arenas and scopes: bytes become steps, and a shadow says what each has to do.
//!
//! ```text
//! bytes ──▶ steps ──▶ Walk ─┬─▶ arena, guards that nest, marks
//!                           └─▶ shadow: levels of blocks and kept values
//! ```

pub mod home;
pub mod kept;
pub mod shadow;
pub mod step;
pub mod walk;
