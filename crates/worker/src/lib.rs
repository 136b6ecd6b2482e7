//! The worker function: an SQS batch in, the failed ids out. Owns the pipeline from a notification to
//! a published manifest. Never writes outside `processed/`, never blames a file for our own faults,
//! and never reads the environment outside `config`.
//!
//! One type per arrow: SQS body -> `Notification` -> `Plan` -> `Source` -> `Probe` -> renditions ->
//! `Manifest` -> `Outcome` -> batch response.

pub mod batch;
pub mod config;
pub mod deadline;
pub mod error;
pub mod judge;
pub mod notification;
pub mod plan;
pub mod process;
pub mod store;

pub use batch::Worker;
pub use config::Config;
pub use error::{Error, Outcome};
