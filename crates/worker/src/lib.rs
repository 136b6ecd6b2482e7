//! The worker function: an SQS batch in, the failed ids out; or, outside Lambda, a poller of the same queue.
//! Owns the pipeline from a notification to a published manifest. Never writes outside `processed/`, never blames a file for our own faults,
//! and never reads the environment outside `config`.
//!
//! One type per arrow: SQS body -> `Notification` -> `Plan` -> `Source` -> `Probe` -> renditions ->
//! `Manifest` -> `Outcome` -> batch response.

pub mod batch;
pub mod cdn;
pub mod clients;
pub mod config;
pub mod deadline;
pub mod error;
pub mod judge;
pub mod notification;
pub mod plan;
pub mod poller;
pub mod process;
pub mod queue;
pub mod report;
pub mod retry;
mod serve;
pub mod store;
pub mod tell;
mod turns;

pub use batch::Worker;
pub use clients::Clients;
pub use config::Config;
pub use error::{Error, Outcome};
pub use serve::serve;
