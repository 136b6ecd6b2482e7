//! The command's library: the local stack, and the pipeline over local files. Calls the functions'
//! real handlers; never has an opinion of its own on what becomes of an upload.

pub mod dev;
pub mod local;
pub mod process;
pub mod stack;
pub mod tools;
