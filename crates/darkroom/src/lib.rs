//! The command's library: the local stack, the pipeline over local files, and what operators do with a
//! running system. Calls the functions' real handlers; never has an opinion of its own on what becomes of an
//! upload.

pub mod cost;
pub mod dev;
pub mod forecast;
pub mod local;
pub mod operate;
pub mod process;
pub mod stack;
mod stats;
pub mod tools;
