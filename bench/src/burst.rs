//! The model of `darkroom forecast` beside the dev stack: real photos in three bursts of different shapes, and how long their
//! messages waited in the queue, measured and forecast. The model is told when messages were sent, and what an average photo took of
//! a core and of S3, as the worker's own metrics have it; not how long anything waited. Prints a table in Markdown.
//!
//! `cargo xtask bench burst` builds this as it ships and runs it.

mod shared;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use contract::MediaType;
use darkroom::forecast::model::{Fleet, Forecast, Work, simulate};
use darkroom::stack::meters::Meters;
use darkroom::stack::{BUCKET, Options, Stack};
use futures::future::try_join_all;
use shared::{median, photos};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How far the model may be from what is measured.
const TOLERANCE: f64 = 0.2;
/// How often all bursts are run, in turns; medians count.
const ROUNDS: usize = 3;
/// Of the stack: invocations side by side, and messages in each.
const INVOCATIONS: usize = 2;
const BATCH: usize = 10;
/// More than any burst takes.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// When each of its photos is put, seconds.
struct Burst {
    name: &'static str,
    at_s: Vec<f64>,
}

/// Seconds, of one burst.
struct Waited {
    /// When the queue had each message.
    sent_s: Vec<f64>,
    mean_s: f64,
    p50_s: f64,
    max_s: f64,
    work: Work,
}

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).context("usage: bench-burst PHOTOS-FOLDER")?;
    let photos = read(Path::new(&folder))?;
    let meters = Meters::default();
    tracing_subscriber::registry().with(meters.listener()).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(compare(&photos, &meters))
}

fn read(folder: &Path) -> anyhow::Result<Vec<Bytes>> {
    let read = |path| Ok(fs::read(path).map(Bytes::from)?);
    photos(folder)?.into_iter().map(read).collect()
}

async fn compare(photos: &[Bytes], meters: &Meters) -> anyhow::Result<()> {
    let bursts = bursts();
    run(&bursts[0], photos, meters).await?; // warms up
    let mut pairs = bursts.each_ref().map(|_| Vec::new());
    for round in 1..=ROUNDS {
        for (burst, pairs) in bursts.iter().zip(&mut pairs) {
            eprintln!("round {round} of {ROUNDS}: {}", burst.name);
            let measured = run(burst, photos, meters).await?;
            pairs.push(Pair { forecast: forecast(&measured)?, measured });
        }
    }
    let works_s = || pairs.iter().flatten().map(|pair| pair.measured.work.work_s);
    let (least, most) = (works_s().fold(f64::MAX, f64::min), works_s().fold(0.0, f64::max));
    println!(
        "A photo took {:.0} to {:.0} ms of one core. Medians of {ROUNDS} rounds.\n",
        least * 1e3,
        most * 1e3
    );
    println!(
        "| burst | age in the queue, s | measured | forecast | forecast / measured |\n|---|---|---|---|---|"
    );
    let mut worst: f64 = 0.0;
    for (burst, pairs) in bursts.iter().zip(&pairs) {
        for (what, age) in AGES {
            let (mut measured, mut forecast): (Vec<_>, Vec<_>) = pairs.iter().map(age).unzip();
            let (measured, forecast) = (median(&mut measured), median(&mut forecast));
            let ratio = forecast / measured;
            worst = worst.max((ratio - 1.0).abs());
            println!("| {} | {what} | {measured:.2} | {forecast:.2} | {ratio:.2} |", burst.name);
        }
    }
    println!("\nThe furthest is {:.0} % off.", worst * 100.0);
    ensure!(worst <= TOLERANCE, "that is more than {:.0} %", TOLERANCE * 100.0);
    Ok(())
}

/// One burst, as it was and as it was to be.
struct Pair {
    measured: Waited,
    forecast: Forecast,
}

/// Of a pair: measured, forecast.
type Age = fn(&Pair) -> (f64, f64);

const AGES: [(&str, Age); 3] = [
    ("mean", |pair| (pair.measured.mean_s, pair.forecast.queue_age.mean_s)),
    ("median", |pair| (pair.measured.p50_s, pair.forecast.queue_age.p50_s)),
    ("longest", |pair| (pair.measured.max_s, pair.forecast.queue_age.max_s)),
];

fn bursts() -> [Burst; 3] {
    let waves = [vec![0.0; 30], vec![4.0; 30]].concat();
    [
        Burst { name: "60 at once", at_s: vec![0.0; 60] },
        Burst { name: "90 within 9 s", at_s: (0..90).map(|nth| f64::from(nth) / 10.0).collect() },
        Burst { name: "30 at once, and 30 more after 4 s", at_s: waves },
    ]
}

/// Puts the photos when the burst has them, and waits until all are published.
async fn run(burst: &Burst, photos: &[Bytes], meters: &Meters) -> anyhow::Result<Waited> {
    meters.clear();
    let stack = Stack::start(Options::default()).await?;
    let began = Instant::now();
    let puts = burst.at_s.iter().zip(photos.iter().cycle()).enumerate();
    let puts = puts.map(|(nth, (at_s, photo))| put(&stack, began, *at_s, nth, photo));
    let mut sent_s = try_join_all(puts).await?;
    sent_s.sort_by(f64::total_cmp);
    let published = || meters.of_service("Published").map_or(0, |published| published.count);
    while published() < sent_s.len() as u64 {
        ensure!(began.elapsed() < PATIENCE, "{} of {} photos are published", published(), sent_s.len());
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    stack.shutdown().await;
    let age = meters.of_service("QueueAge").context("no message was received")?;
    ensure!(
        age.count == sent_s.len() as u64,
        "{} of {} messages were received once",
        age.count,
        sent_s.len()
    );
    let mean_s =
        |name| meters.of_service(name).map_or(f64::NAN, |meter| meter.sum / meter.count as f64 / 1000.0);
    let work = Work { work_s: mean_s("PixelTime"), wait_s: mean_s("ReadTime") };
    Ok(Waited { mean_s: mean_s("QueueAge"), p50_s: age.p50 / 1000.0, max_s: age.max / 1000.0, sent_s, work })
}

/// When S3 has taken the photo, and told the queue.
async fn put(stack: &Stack, began: Instant, at_s: f64, nth: usize, photo: &Bytes) -> anyhow::Result<f64> {
    tokio::time::sleep(Duration::from_secs_f64(at_s).saturating_sub(began.elapsed())).await;
    let put = stack.client.put_object().bucket(BUCKET).key(format!("raw/{nth}.jpg"));
    put.content_type(MediaType::Jpeg.content_type()).body(photo.clone().into()).send().await?;
    Ok(began.elapsed().as_secs_f64())
}

/// What the model makes of messages that were sent then, and took what these took.
fn forecast(measured: &Waited) -> anyhow::Result<Forecast> {
    let cores_each = worker::config::cores().get() as f64;
    let fleet = Fleet {
        workers: 1,
        invocations_each: INVOCATIONS,
        cores_each,
        batch: BATCH,
        ramp: None,
        start_s: 0.0,
    };
    Ok(Forecast::of(&simulate(&measured.sent_s, &fleet, measured.work)?))
}
