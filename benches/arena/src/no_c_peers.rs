//! No peers in C: the feature `c-peers` is off.

macro_rules! for_each_c_peer {
    ($m:ident) => {};
}
pub(crate) use for_each_c_peer;
