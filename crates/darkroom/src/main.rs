//! The command `darkroom`: reads arguments, says what went wrong, exits. No decisions.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use darkroom::operate::{self, backfill, reconcile, redrive, status};
use darkroom::{cost, dev, forecast, process};

/// From what a browser uploads to a complete set of web images.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    dev: dev::Args,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything on this machine: API, S3, queue, worker, CDN and a page to try it (the default)
    Dev(dev::Args),
    /// Make the renditions of local files, just as the worker makes them of uploads
    Process(process::Args),
    /// Have the worker look at sources that have no manifest, or one of another recipe
    Backfill(backfill::Args),
    /// Find what does not fit together in a bucket; mend it with --fix
    Reconcile(reconcile::Args),
    /// Say why messages are in the dead-letter queue, and send them back
    Redrive(redrive::Args),
    /// Tell one upload's story: source, manifest, renditions, queue
    Status(status::Args),
    /// Say what uploads cost on AWS, from what they take here
    Cost(cost::Args),
    /// Say how long the uploads of a burst would wait, by a model
    Forecast(forecast::Args),
    /// Be one of the two functions, by the environment's settings
    #[command(hide = true)]
    Function {
        #[arg(value_enum)]
        which: Function,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Function {
    Presign,
    Worker,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(said) => {
            let _ = said.print();
            // Not clap's own 2, which means that images were rejected.
            return if said.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let done = match cli.command {
        None => dev::run(cli.dev),
        Some(Command::Dev(args)) => dev::run(args),
        Some(Command::Process(args)) => process::run(&args),
        Some(Command::Backfill(args)) => operate::run(|| backfill::run(&args)),
        Some(Command::Reconcile(args)) => operate::run(|| reconcile::run(&args)),
        Some(Command::Redrive(args)) => operate::run(|| redrive::run(&args)),
        Some(Command::Status(args)) => operate::run(|| status::run(&args)),
        Some(Command::Cost(args)) => cost::run(&args),
        Some(Command::Forecast(args)) => forecast::run(&args),
        Some(Command::Function { which }) => function(which),
    };
    done.unwrap_or_else(|error| {
        eprintln!("darkroom: {error:#}");
        ExitCode::FAILURE
    })
}

/// As its own binary would.
fn function(which: Function) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new()?;
    let served = runtime.block_on(async {
        match which {
            Function::Presign => presign::serve().await,
            Function::Worker => worker::serve().await,
        }
    });
    served.map_err(|error| anyhow::anyhow!(error))?;
    Ok(ExitCode::SUCCESS)
}
