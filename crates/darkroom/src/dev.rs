//! `darkroom dev`: starts the stack, says where everything is, and ends it cleanly on Ctrl-C.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use contract::Recipe;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};
use worker::config::read_recipe;
use worker::poller::stop_signal;

use crate::local::sqs::DEAD_LETTER_QUEUE_NAME;
use crate::stack::meters::Meters;
use crate::stack::{ACCESS_KEY, BUCKET, Options, REGION, SECRET_KEY, Stack};
use crate::tools;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Port of the API; S3, the CDN and SQS listen on the three after it
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// Keep nothing on disk
    #[arg(long, conflicts_with = "dir")]
    memory: bool,
    /// Folder of what is stored and queued
    #[arg(long, default_value = ".darkroom")]
    dir: PathBuf,
    /// Recipe to use in place of the built-in one, TOML or JSON
    #[arg(long, value_name = "FILE")]
    recipe: Option<String>,
    /// Seconds for which an upload URL is valid; few, to see what a page does when one has expired
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=3600))]
    url_expiry: u64,
    /// Leave the queue alone, for a worker of your own: `darkroom-worker` with QUEUE_URL
    #[arg(long)]
    no_worker: bool,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let meters = Meters::default();
    log_to_terminal(&meters);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(serve(args, meters))?;
    // Pixel work that nobody waits for any more must not hold up the end.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

async fn serve(args: Args, meters: Meters) -> anyhow::Result<()> {
    let recipe = recipe(args.recipe.as_deref())?;
    let dir = (!args.memory).then_some(args.dir);
    let (port, run_worker) = (args.port, !args.no_worker);
    let url_expiry = Duration::from_secs(args.url_expiry);
    let options =
        Options { dir: dir.clone(), port, recipe, run_worker, url_expiry, meters, ..Options::default() };
    let mut stop = stop_signal()?;
    let stack = Stack::start(options).await?;
    greet(&stack, dir);
    stop.wait_for(|stop| *stop).await?;
    println!("\nStopping; what is still queued is processed after the next start.");
    stack.shutdown().await;
    Ok(())
}

/// The recipe in a file, or the built-in one.
pub fn recipe(file: Option<&str>) -> anyhow::Result<Recipe> {
    file.map_or_else(|| Ok(Recipe::default()), |file| read_recipe(file).map_err(anyhow::Error::msg))
}

fn greet(stack: &Stack, dir: Option<PathBuf>) {
    let kept =
        dir.map_or_else(|| "in memory, gone at the end".to_owned(), |dir| format!("in {}", dir.display()));
    let Stack { api_url, s3_url, cdn_url, queue_url, .. } = stack;
    println!("Darkroom is running. Open {api_url} and drop photos on the page.\n");
    println!("  API   {api_url}   a token: curl {api_url}/dev/token");
    println!("  S3    {s3_url}   bucket {BUCKET}, region {REGION}, key {ACCESS_KEY}, secret {SECRET_KEY}");
    println!("  CDN   {cdn_url}   serves processed/ alone");
    println!("  SQS   {queue_url}   and {DEAD_LETTER_QUEUE_NAME} beside it; any credentials");
    println!("  State {kept}\n");
    for sentence in tools::missing() {
        println!("  Note: {sentence}\n");
    }
    println!("Ctrl-C ends it.");
}

/// One line an event; `RUST_LOG` says which. Metrics go to the page.
fn log_to_terminal(meters: &Meters) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,darkroom=info,worker=info"));
    let colours = std::io::stdout().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_ansi(colours).compact();
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(meters.listener()).init();
}
