//! `cargo xtask simulate`: runs seeds of the simulator on all cores, tells those that fail and how to run them
//! again, and ends with the figures of all. With one seed, its whole story.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use darkroom_tests::sim::{Run, Tally, run_many};

const USAGE: &str = "usage: simulate [--first-seed S] [--seeds N]";
const SEEDS: u64 = 1000;
/// A line of progress each so many runs, where there is no terminal.
const TOLD_EVERY: u64 = 500;

fn main() -> ExitCode {
    match arguments(std::env::args().skip(1)) {
        Ok((first, count)) => run(first, count),
        Err(problem) => {
            eprintln!("simulate: {problem}\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut args: impl Iterator<Item = String>) -> Result<(u64, u64), String> {
    let (mut first, mut count) = (0, SEEDS);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} is without a number"))?;
        let number = value.parse().map_err(|_| format!("{name}: `{value}` is not a whole number"))?;
        match name.as_str() {
            "--first-seed" => first = number,
            "--seeds" => count = number,
            _ => return Err(format!("there is no {name}")),
        }
    }
    Ok((first, count))
}

fn run(first: u64, count: u64) -> ExitCode {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (started, mut tally, mut failed) = (Instant::now(), Tally::default(), Vec::new());
    run_many(first..first.saturating_add(count), threads, |run| {
        tally.add(&run.tally);
        if run.verdict.is_err() || count == 1 {
            println!("{run}\n");
        }
        if run.verdict.is_err() {
            failed.push(run.seed);
        }
        progress(tally.runs, count, &failed, &run);
    });
    println!("{tally}{:.0} s on {threads} threads", started.elapsed().as_secs_f64());
    match failed[..] {
        [] => {
            println!("all of them hold");
            ExitCode::SUCCESS
        }
        _ => {
            println!("{} of them do not hold: {failed:?}", failed.len());
            ExitCode::FAILURE
        }
    }
}

fn progress(done: u64, count: u64, failed: &[u64], last: &Run) {
    let line = format!("{done} of {count}, {} failed, last seed {}", failed.len(), last.seed);
    if std::io::stderr().is_terminal() {
        eprint!("\r{line} ");
        let _ = std::io::stderr().flush();
    } else if done.is_multiple_of(TOLD_EVERY) {
        eprintln!("{line}");
    }
}
