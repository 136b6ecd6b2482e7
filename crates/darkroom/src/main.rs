//! The command `darkroom`: reads arguments, says what went wrong, exits. No decisions.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use darkroom::{dev, process};

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
    };
    done.unwrap_or_else(|error| {
        eprintln!("darkroom: {error:#}");
        ExitCode::FAILURE
    })
}
