//! Every end-to-end scenario, in one binary: the real handlers and the real S3 client against the
//! in-process stack.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod api;
mod fixtures;
mod fuzzed;
mod messages;
mod metrics;
mod operate;
mod page;
mod protocol;
mod readme;
mod retries;
mod simulate;
mod tell;
mod upload;
mod worker;
