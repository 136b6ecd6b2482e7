//! What operators do with a running Darkroom, on AWS or on the dev stack: see what became of an upload,
//! have sources looked at again, find what does not fit together and mend it, and send back what was
//! given up.
//!
//! Nothing here makes a rendition or writes a manifest: the worker does, when it is asked to. The one
//! thing that is done here is to delete what no manifest names.

pub mod backfill;
mod bucket;
mod control;
mod cursor;
mod pace;
mod queue;
pub mod reconcile;
pub mod redrive;
mod report;
mod since;
pub mod status;
mod target;
mod trouble;

use std::process::ExitCode;

use anyhow::Context;

pub use bucket::Bucket;
pub use control::{Control, Progress, Stop};
pub use cursor::Cursor;
pub use pace::{Pace, Rate};
pub use queue::Queue;
pub use since::{Age, Since};
pub use target::{Place, patient};

use report::shown;
use target::Target;

/// Exit code when something was found that is not as it should be, and was not mended.
pub const FOUND: u8 = 3;

/// The flags that all of these commands have.
#[derive(clap::Args, Debug, Clone)]
pub struct Common {
    #[command(flatten)]
    target: Target,
    /// Say what would be done, and do nothing
    #[arg(long, help_heading = "How")]
    dry_run: bool,
    /// One line of JSON for each item and one for the summary, on standard output
    #[arg(long, help_heading = "How")]
    json: bool,
    /// Requests a second at most; each message sent and each object deleted counts as one
    #[arg(long, value_name = "N/s", default_value_t = Rate::DEFAULT, help_heading = "How")]
    rate: Rate,
}

/// Runs one of the commands to its end. What others wrote cannot do harm in an error either.
pub fn run<F>(command: impl FnOnce() -> F) -> anyhow::Result<ExitCode>
where
    F: Future<Output = anyhow::Result<ExitCode>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let done = runtime.block_on(async { command().await });
    runtime.shutdown_background();
    done.map_err(|error| anyhow::anyhow!("{}", shown(&format!("{error:#}"))))
}
