//! `cargo xtask`: the one door to everything the project can check and measure of itself.

fn main() {}
