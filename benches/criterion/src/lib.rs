//! Nothing: the benches are in `benches/`, for `cargo bench -p bench-criterion`.
