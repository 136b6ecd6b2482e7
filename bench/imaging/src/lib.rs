//! What the benchmark, the driver of our own engine and the examples share: the protocol that every driver speaks,
//! reading pixels back from files, and what they should have been. Never measures anything.

pub mod clock;
pub mod picture;
pub mod protocol;
pub mod reference;
