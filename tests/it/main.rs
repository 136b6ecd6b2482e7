//! Every end-to-end scenario, in one binary: the real handlers and the real S3 client against the
//! in-process stack.

mod api;
mod fixtures;
mod readme;
mod upload;
