//! `darkroom cost`: what uploads cost on AWS, from what they take here. Measures the functions themselves, and multiplies by a table
//! of prices that names its date and sources.

pub mod bill;
pub mod measure;
pub mod mix;
pub mod prices;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::dev::recipe;
use bill::{Bill, Measured, Sizing};
use measure::{Setup, measure};
use mix::Mix;
use prices::Prices;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Uploads a month
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    uploads: u64,
    /// What is uploaded, TOML; fixtures/mix.toml shows how
    #[arg(long, value_name = "FILE")]
    mix: PathBuf,
    /// Prices to use in place of the built-in ones, TOML
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Recipe to use in place of the built-in one, TOML or JSON
    #[arg(long, value_name = "FILE")]
    recipe: Option<String>,
    /// The worker's memory, MiB
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(128..=10_240))]
    memory: u32,
    /// The price of Lambda on ARM; times are this machine's all the same
    #[arg(long)]
    arm64: bool,
    /// Another worker to measure: a program that speaks Lambda's Runtime API and takes S3's notifications from SQS
    #[arg(long, value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true)]
    function: Vec<OsString>,
    /// Uploads of each file, after one that warms up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// One document of JSON on standard output
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mix = Mix::load(&args.mix)?;
    let prices = Prices::load(args.prices.as_deref())?;
    let setup = setup(args)?;
    if cfg!(debug_assertions) {
        eprintln!(
            "note: this build is not optimised, and takes more of a core than what is deployed: `cargo run --release` builds one that is"
        );
    }
    let worker = if args.function.is_empty() { own("worker")? } else { args.function.clone() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let measured = runtime.block_on(measure(&worker, &setup, &mix, args.runs))?;
    runtime.shutdown_background();
    let sizing = Sizing { memory_mib: f64::from(args.memory), arm64: args.arm64 };
    let bill = Bill::of(&measured, &mix, &prices, sizing, args.uploads as f64);
    let text = if args.json {
        format!(
            "{}\n",
            json!({"uploads": args.uploads, "measured": measured, "bill": bill, "mix": mix, "prices": prices})
        )
    } else {
        told(args, &measured, &bill, &prices)
    };
    // A reader that has gone away, as `head` does, is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(ExitCode::SUCCESS)
}

/// What a file says, by whoever understands it. Errors name the file.
fn read<T>(path: &Path, parse: impl FnOnce(&str) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

fn from_toml<T: DeserializeOwned>(text: &str) -> anyhow::Result<T> {
    toml::from_str(text).map_err(|error| anyhow::anyhow!("{}", error.to_string().trim().to_owned()))
}

fn setup(args: &Args) -> anyhow::Result<Setup> {
    let recipe = match &args.recipe {
        Some(file) => Some(serde_json::to_string(&recipe(Some(file))?)?),
        None => None,
    };
    Ok(Setup { presign: own("presign")?, memory_mib: args.memory, recipe })
}

/// One of the functions that are in this program, too.
fn own(function: &str) -> anyhow::Result<Vec<OsString>> {
    Ok(vec![std::env::current_exe()?.into_os_string(), "function".into(), function.into()])
}

fn told(args: &Args, measured: &Measured, bill: &Bill, prices: &Prices) -> String {
    let Measured { worker, source_bytes, made_bytes, .. } = measured;
    let memory =
        worker.peak_bytes.map_or_else(String::new, |bytes| format!(", at most {:.0} MB", bytes as f64 / 1e6));
    let mut text = format!(
        "{} uploads a month, of {}. Prices of {}, {}, in dollars, without free tiers.\n\
         Measured here, for each: {:.0} ms of one core{memory}; {:.0} kB in, {:.0} kB out; {:.1} writes and {:.1} reads of S3.\n\n",
        args.uploads,
        args.mix.display(),
        prices.region,
        prices.date,
        worker.cpu_ms,
        source_bytes / 1e3,
        made_bytes / 1e3,
        worker.s3_writes,
        worker.s3_reads,
    );
    text += &format!("{:<16} {:<54} {:>12} {:>12}\n", "", "", "$ a million", "$ a month");
    let uploads = args.uploads as f64;
    let mut row = |service: &str, what: &str, million: f64| {
        let month = million * uploads / 1e6;
        text += &format!("{service:<16} {what:<54} {million:>12.2} {month:>12.2}\n");
    };
    for line in &bill.lines {
        row(line.service, &line.what, bill.line_per_million(line));
    }
    row("in all", "", bill.per_million());
    text
}
