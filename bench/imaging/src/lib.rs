//! What the benchmark and the driver of our own engine share: the protocol that every driver speaks, and reading
//! pixels back from files. Never measures anything.

pub mod picture;
pub mod protocol;
