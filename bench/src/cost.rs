//! What an upload costs, beside a worker of Node.js and sharp and beside resizing on request: all measured in one run, in turns, as
//! processes under Lambda's Runtime API by the code of `darkroom cost`, and priced by its table. Writes docs/cost.md.
//!
//! `cargo xtask bench cost` builds and installs everyone and runs this.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Context;
use darkroom::cost::bill::{Bill, Measured, Sizing};
use darkroom::cost::measure::{Contestant, Setup};
use darkroom::cost::mix::Mix;
use darkroom::cost::prices::Prices;
use worker::config::read_recipe;

const RUNS: u32 = 2;
/// One core: what nobody can say is too little or too much of.
const MEMORY_MIB: u32 = 1769;
/// Files of the recipe: five renditions in two formats.
const FILES: f64 = 10.0;
const HOURS_A_MONTH: f64 = 730.0;

struct Places {
    worker: OsString,
    presign: OsString,
    node_folder: PathBuf,
    docs: PathBuf,
}

/// Who is measured.
struct Peer {
    name: &'static str,
    command: Vec<OsString>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let mut next = |what: &str| {
        args.next().with_context(|| format!("usage: bench-cost WORKER PRESIGN NODE-FOLDER DOCS; {what}?"))
    };
    let places = Places {
        worker: next("which worker")?,
        presign: next("which presign function")?,
        node_folder: next("where is the peer")?.into(),
        docs: next("where do the documents go")?.into(),
    };
    let mix = Mix::load(&places.node_folder.join("mix.toml"))?;
    let prices = Prices::load(None)?;
    let peers = peers(&places);
    let measured = all(&peers, &places, &mix).await?;
    let page = Page { mix: &mix, prices: &prices, measured: &measured };
    let path = places.docs.join("cost.md");
    std::fs::write(&path, page.text()?).with_context(|| path.display().to_string())?;
    println!("{}", path.display());
    Ok(())
}

fn peers(places: &Places) -> [Peer; 4] {
    let node = |style: &str, handler: &str| {
        let runtime = places.node_folder.join("runtime.mjs").into_os_string();
        vec![
            "env".into(),
            "NODE_NO_WARNINGS=1".into(),
            format!("STYLE={style}").into(),
            "node".into(),
            runtime,
            handler.into(),
        ]
    };
    [
        Peer { name: "Darkroom", command: vec![places.worker.clone()] },
        Peer { name: "Node.js and sharp, as usual", command: node("usual", "worker") },
        Peer { name: "Node.js and sharp, tuned", command: node("tuned", "worker") },
        Peer { name: "resizing on request", command: node("tuned", "on_request") },
    ]
}

/// Everyone takes turns.
async fn all(peers: &[Peer; 4], places: &Places, mix: &Mix) -> anyhow::Result<[Measured; 4]> {
    let recipe = places.node_folder.join("recipe.toml");
    let recipe = read_recipe(&recipe.to_string_lossy()).map_err(anyhow::Error::msg)?;
    let presign = vec![places.presign.clone()];
    let setup = Setup { presign, memory_mib: MEMORY_MIB, recipe: Some(serde_json::to_string(&recipe)?) };
    let mut contestants = Vec::new();
    for peer in peers {
        contestants.push(Contestant::start(&peer.command, &setup, mix).await.context(peer.name)?);
    }
    for run in 0..=RUNS {
        println!("run {run} of {RUNS}");
        for (contestant, peer) in contestants.iter_mut().zip(peers) {
            contestant.run(mix, run > 0).await.context(peer.name)?;
        }
    }
    let mut measured = Vec::new();
    for contestant in contestants {
        measured.push(contestant.finish(mix).await?);
    }
    let metrics = measured[0].metrics;
    // What the functions tell is no affair of pixels: all are taken to tell the same.
    measured.iter_mut().for_each(|measured| measured.metrics = metrics);
    measured.try_into().map_err(|_| anyhow::anyhow!("not everyone has finished"))
}

/// What is written.
struct Page<'a> {
    mix: &'a Mix,
    prices: &'a Prices,
    measured: &'a [Measured; 4],
}

const INTRODUCTION: &str = "\
# What it costs

What uploads cost on AWS, from what they take here, and beside two other ways. All of this was written by one command, which measures everyone in
one run, in turns:

```sh
cargo xtask bench cost
```

For photos and habits of your own there is `darkroom cost` (README.md), which measures and multiplies in the same way.
";

impl Page<'_> {
    fn text(&self) -> anyhow::Result<String> {
        let mut text = INTRODUCTION.to_owned();
        self.setting(&mut text)?;
        self.bill(&mut text)?;
        self.scale(&mut text)?;
        self.workers(&mut text)?;
        self.on_request(&mut text)?;
        Ok(text + CAVEATS)
    }

    /// Of a month with so many uploads.
    fn bill_of(&self, measured: &Measured, uploads: f64) -> Bill {
        let sizing = Sizing { memory_mib: f64::from(MEMORY_MIB), arm64: false };
        Bill::of(measured, self.mix, self.prices, sizing, uploads)
    }

    fn million(&self, measured: &Measured) -> Bill {
        self.bill_of(measured, 1e6)
    }

    fn setting(&self, text: &mut String) -> anyhow::Result<()> {
        let Prices { date, region, .. } = self.prices;
        let Mix { status_requests, months_kept, views, viewed, s3_round_trip_ms, .. } = self.mix;
        let machine = machine().unwrap_or_else(|| "an unknown processor".to_owned());
        writeln!(
            text,
            "\nMeasured on {}, {machine}. Prices: {region}, {date}, without free tiers and discounts; `crates/darkroom/prices.toml` has",
            today()
        )?;
        writeln!(
            text,
            "each with its source. Uploads: three photos of 12, 13 and 20 MP, equally often, {RUNS} runs after one that warms up. A page asks"
        )?;
        writeln!(
            text,
            "{status_requests} times how its upload stands; an upload is kept for {months_kept} months, of which the whole price is counted; {views} times one of its pictures"
        )?;
        writeln!(
            text,
            "(`{viewed}`, the smaller format) is looked at through CloudFront. A round trip to S3 is taken for {s3_round_trip_ms} ms, for which the local one is too"
        )?;
        writeln!(
            text,
            "near: a worker makes four, one after another. Workers have {MEMORY_MIB} MiB, which is one core (the template's default is 2048); a core of Lambda is taken for one of this machine. `bench/cost` has mix, recipe and peers."
        )?;
        Ok(())
    }

    fn bill(&self, text: &mut String) -> anyhow::Result<()> {
        let [ours, ..] = self.measured;
        let bill = self.million(ours);
        writeln!(
            text,
            "\n## A million uploads in a month\n\n| service | what each takes | dollars a million |\n|---|---|---|"
        )?;
        for line in &bill.lines {
            writeln!(text, "| {} | {} | {:.2} |", line.service, line.what, bill.line_per_million(line))?;
        }
        writeln!(text, "| **in all** | | **{:.2}** |", bill.per_million())?;
        writeln!(
            text,
            "\n## A month\n\nWhat is the same each month (metrics, alarms, dashboard, secret, idle pollers) is borne by the month's uploads. Storage is that of all {} months:\nsuch a month's bill comes once uploads have come for so long, and the first is lower.\n",
            self.mix.months_kept
        )?;
        Ok(())
    }

    fn scale(&self, text: &mut String) -> anyhow::Result<()> {
        let [ours, ..] = self.measured;
        writeln!(text, "| uploads a month | dollars a month | dollars a thousand |\n|---|---|---|")?;
        for uploads in [1e3, 1e4, 1e5, 1e6, 1e7] {
            let million = self.bill_of(ours, uploads).per_million();
            writeln!(text, "| {uploads:.0} | {:.2} | {:.3} |", million * uploads / 1e6, million / 1e3)?;
        }
        Ok(())
    }

    /// The workers side by side: what they take, and what that does to the bill.
    fn workers(&self, text: &mut String) -> anyhow::Result<()> {
        let [ours, usual, tuned, _] = self.measured;
        writeln!(text, "\n## Beside a worker of Node.js and sharp\n\n{WORKERS}\n")?;
        writeln!(text, "| an upload | Darkroom | Node.js and sharp, as usual | tuned |\n|---|---|---|---|")?;
        let all = [ours, usual, tuned];
        let mut row = |what: &str, value: &dyn Fn(&Measured) -> f64, digits: usize, is_ratio: bool| {
            let values = all.map(value);
            let shown = values.map(|one| match is_ratio && one != values[0] {
                true => format!("{one:.digits$} ({:.2}x)", one / values[0]),
                false => format!("{one:.digits$}"),
            });
            writeln!(text, "| {what} | {} |", shown.join(" | "))
        };
        row("CPU, ms", &|one| one.worker.cpu_ms, 0, true)?;
        row("most memory, MB", &|one| one.worker.peak_bytes.unwrap_or(0) as f64 / 1e6, 0, true)?;
        row("billed, ms", &|one| self.million(one).billed_ms, 0, true)?;
        row("renditions, kB", &|one| one.made_bytes / 1e3, 0, true)?;
        row("S3 writes, reads", &|one| one.worker.s3_writes + one.worker.s3_reads, 0, false)?;
        row("log, kB", &|one| one.worker.log_bytes / 1e3, 1, false)?;
        row("dollars a million: the worker on Lambda", &|one| worker_dollars(&self.million(one)), 2, true)?;
        row(
            "dollars a million: all of it, at a million a month",
            &|one| self.million(one).per_million(),
            2,
            true,
        )?;
        Ok(())
    }

    fn on_request(&self, text: &mut String) -> anyhow::Result<()> {
        let [ours, .., request] = self.measured;
        let prices = self.prices;
        let cpu_ms = request.worker.cpu_ms / FILES;
        let compute = f64::from(MEMORY_MIB) / 1024.0 * prices.lambda.gb_second_x86_64 / 1000.0;
        let fill = (cpu_ms + self.mix.s3_round_trip_ms) * compute
            + prices.lambda.request
            + prices.api.request
            + prices.s3.read;
        let made = self.million(ours);
        let kept = made.lines.iter().find(|line| line.what.starts_with("renditions"));
        let once = worker_dollars(&made) / 1e6
            + 3.0 * prices.sqs.request
            + ours.worker.s3_writes * prices.s3.write
            + ours.worker.s3_reads * prices.s3.read
            + kept.context("renditions cost nothing")?.each;
        writeln!(text, "\n## Beside resizing on request\n\n{ON_REQUEST}\n")?;
        writeln!(
            text,
            "One file made on request, AVIF and JPEG on the average, takes {cpu_ms:.0} ms of a core, and costs {:.2} dollars a million: Lambda, an HTTP API's request,",
            fill * 1e6
        )?;
        writeln!(
            text,
            "one read. Making all ten once, as Darkroom does, and keeping them for {} months costs {:.2} dollars a million uploads.\n",
            self.mix.months_kept,
            once * 1e6
        )?;
        writeln!(
            text,
            "| dollars a million uploads, where each file is made so often | 1 | 3 | 10 |\n|---|---|---|---|"
        )?;
        for files in [2.0, 5.0, 10.0] {
            let cells = [1.0, 3.0, 10.0].map(|fills| format!("{:.2}", fill * files * fills * 1e6));
            writeln!(text, "| {files} of the ten are ever asked for | {} |", cells.join(" | "))?;
        }
        writeln!(text, "| all ten made at the upload | {0:.2} | {0:.2} | {0:.2} |", once * 1e6)?;
        let task = 2.0 * prices.fargate.vcpu_hour + 4.0 * prices.fargate.gb_hour;
        let servers = (2.0 * task + prices.load_balancer.hour) * HOURS_A_MONTH;
        writeln!(
            text,
            "\nA server that resizes on request, as imgproxy, is there all the time: two Fargate tasks of 2 vCPU and 4 GB, so that one may fail, and a load balancer are"
        )?;
        writeln!(
            text,
            "{servers:.2} dollars a month before the first picture. For that Darkroom makes and keeps the pictures of {:.0} uploads a month.",
            servers / once
        )?;
        Ok(())
    }
}

const WORKERS: &str = "\
The same files: five renditions as AVIF and JPEG. *As usual* is a pipeline from the source for each file, as sharp's documentation writes it, with its
default effort for AVIF; *tuned* is one decode and effort 0. Our AVIF has the quality at which it looks like theirs (docs/benchmarks.md, which judges every file); at
sharp's usual effort its AVIF is smaller. Neither peer judges a file, writes a manifest, or minds duplicates and removals; the rest of the bill is taken to be the same. Most of a
bill is storage, which a worker changes only by the bytes that it makes.";

const ON_REQUEST: &str = "\
A service that makes a file when the CDN first misses it, as AWS's Dynamic Image Transformation does: nothing for what nobody looks at, and all of it again in each
cache that misses, and whenever a cache forgets. The peer is a function of Node.js and sharp that reads the source, decodes, resizes and encodes one file, with the least effort.";

const CAVEATS: &str = "
## What is not in it

- The first requests of a new function's instance: some 15 ms to start ours, 300 ms to start Node.js with sharp (docs/benchmarks.md).
- Data from S3 to Lambda and to CloudFront, which is free within a region; what browsers send to S3, which is free.
- Metrics by further codes, routes and types, 0.30 dollars a month each where there is any: at most some 70 in all.
- Preflights, and what CloudFront reads of S3 when it misses.
- Cognito, which asks by active users; a domain; what an account pays for support.
- Invocations that do nothing but find a repeated delivery done, and retries.
- Old versions of sources, which the template keeps for 30 days.
";

/// Of a million uploads.
fn worker_dollars(bill: &Bill) -> f64 {
    bill.lines.first().map_or(f64::NAN, |line| line.each * 1e6)
}

fn today() -> jiff::civil::Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn machine() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "))?.1.to_owned();
    let cores = std::thread::available_parallelism().ok()?;
    Some(format!("{model}, {cores} cores"))
}
