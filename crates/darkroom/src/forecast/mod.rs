//! `darkroom forecast`: how long the uploads of a burst wait, by a model of the queue and its workers. Owns what is asked and said;
//! docs/scale.md has how well the model does.

pub mod model;

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

use crate::cost::bill::MIB_PER_CORE;
use model::{Fleet, Forecast, Ramp, Summary, Work, simulate, uploads};

/// What template.yaml has.
const BATCH: usize = 10;
/// SQS gives a function no more at once.
const MOST_WORKERS: u32 = 1000;
/// Of the table: each has twice the workers of the one before.
const ROWS: usize = 6;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Uploads in the burst
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    uploads: u32,
    /// Seconds over which they come, evenly; 0 for all at once
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=86_400))]
    over: u32,
    /// Workers at once, as the template's WorkerConcurrency; the table goes on with twice as many
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_WORKERS)))]
    workers: u32,
    /// A worker's memory, MiB: 1769 are one core
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(128..=10_240))]
    memory: u32,
    /// What an upload takes of one core, ms; `darkroom cost` measures it
    #[arg(long, value_name = "MS", default_value_t = 430, value_parser = clap::value_parser!(u32).range(1..=900_000))]
    cpu_ms: u32,
    /// What it waits for S3, ms
    #[arg(long, value_name = "MS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(0..=900_000))]
    wait_ms: u32,
    /// What a worker takes to start, ms
    #[arg(long, value_name = "MS", default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=900_000))]
    start_ms: u32,
    /// One document of JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What so many workers make of the burst.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    workers: usize,
    queue_age: Ages,
    ready_age: Ages,
    drained_s: f64,
    most_waiting: usize,
    most_at_once: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Ages {
    p50_s: f64,
    p99_s: f64,
    max_s: f64,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let rows = args.rows()?;
    let text = if args.json { format!("{}\n", json!({ "forecast": rows })) } else { args.told(&rows) };
    // A reader that has gone away, as `head` does, is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn cores(&self) -> f64 {
        f64::from(self.memory) / MIB_PER_CORE
    }

    fn rows(&self) -> anyhow::Result<Vec<Row>> {
        let arrivals_s = uploads(self.uploads as usize, f64::from(self.over))?;
        let seconds = |ms: u32| f64::from(ms) / 1000.0;
        let work = Work { work_s: seconds(self.cpu_ms), wait_s: seconds(self.wait_ms) };
        let doubled = std::iter::successors(Some(self.workers), |workers| workers.checked_mul(2));
        let counts = doubled.take_while(|workers| *workers <= MOST_WORKERS).take(ROWS);
        counts
            .map(|workers| {
                let fleet = Fleet {
                    workers: workers as usize,
                    invocations_each: 1,
                    cores_each: self.cores(),
                    batch: BATCH,
                    ramp: Some(Ramp::SQS),
                    start_s: seconds(self.start_ms),
                };
                Ok(Row::of(workers as usize, &Forecast::of(&simulate(&arrivals_s, &fleet, work)?)))
            })
            .collect()
    }

    fn told(&self, rows: &[Row]) -> String {
        let Self { uploads, over, memory, cpu_ms, wait_ms, .. } = self;
        let when = if *over == 0 { "at once".to_owned() } else { format!("within {over} s") };
        let mut text = format!(
            "{uploads} uploads {when}; each takes {cpu_ms} ms of one core and waits {wait_ms} ms for S3. Workers of {memory} MiB, {:.2} cores.\n\n\
             {:>8} {:>28} {:>19} {:>10} {:>9}\n{:>8} {:>8} {:>9} {:>9} {:>9} {:>9} {:>10} {:>9}\n",
            self.cores(),
            "",
            "waiting in the queue",
            "ready after",
            "all",
            "most",
            "workers",
            "p50",
            "p99",
            "longest",
            "p50",
            "p99",
            "done after",
            "waiting",
        );
        for row in rows {
            let [p50, p99, longest] =
                [row.queue_age.p50_s, row.queue_age.p99_s, row.queue_age.max_s].map(seconds);
            let [ready, last, done] = [row.ready_age.p50_s, row.ready_age.p99_s, row.drained_s].map(seconds);
            text += &format!(
                "{:>8} {p50:>8} {p99:>9} {longest:>9} {ready:>9} {last:>9} {done:>10} {:>9}\n",
                row.workers, row.most_waiting
            );
        }
        text
    }
}

impl Row {
    fn of(workers: usize, forecast: &Forecast) -> Self {
        let ages = |Summary { p50_s, p99_s, max_s, .. }: Summary| Ages { p50_s, p99_s, max_s };
        let Forecast { queue_age, ready_age, drained_s, most_waiting, most_at_once } = *forecast;
        Self {
            workers,
            queue_age: ages(queue_age),
            ready_age: ages(ready_age),
            drained_s,
            most_waiting,
            most_at_once,
        }
    }
}

/// As precise as anybody needs.
fn seconds(value: f64) -> String {
    match value {
        ..9.95 => format!("{value:.1} s"),
        ..119.5 => format!("{value:.0} s"),
        _ => format!("{:.0} min", value / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn rows(args: &[&str]) -> Vec<Row> {
        Cli::parse_from([&["forecast"], args].concat()).args.rows().unwrap()
    }

    #[test]
    fn a_burst_is_done_when_all_cores_have_done_its_work_and_more_workers_shorten_the_wait() {
        let rows = rows(&[
            "--uploads",
            "2000",
            "--memory",
            "1769",
            "--cpu-ms",
            "100",
            "--wait-ms",
            "0",
            "--start-ms",
            "0",
        ]);
        assert_eq!(rows.iter().map(|row| row.workers).collect::<Vec<_>>(), [10, 20, 40, 80, 160, 320]);
        // 200 s of one core by ten, of which five are there at once and five a second later.
        assert!((20.0..22.5).contains(&rows[0].drained_s), "{:?}", rows[0]);
        assert!(rows.is_sorted_by(|fewer, more| more.queue_age.max_s <= fewer.queue_age.max_s));
        assert_eq!((rows[0].most_at_once, rows[0].most_waiting), (10, 1950), "five took ten each at once");
    }

    #[test]
    fn what_workers_keep_up_with_waits_for_nothing() {
        let rows = rows(&["--uploads", "600", "--over", "60", "--workers", "20", "--cpu-ms", "100"]);
        assert!(rows[0].queue_age.p99_s < 0.5, "{:?}", rows[0]);
    }
}
