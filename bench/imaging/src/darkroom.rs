//! Our own engine as a driver: a photo's file to all files of a recipe, or one of the stages by itself. Owns no
//! settings: what is done is the job's to say.

use std::fs;
use std::io::{BufRead, Write, stdin, stdout};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use bench_imaging::clock::cpu_ms;
use bench_imaging::picture::{from_png, limits, recipe};
use bench_imaging::protocol::{Answer, Done, File, Hello, Job, Setting, Stage};
use contract::Format;
use contract::recipe::Encoding;
use imaging::measure::{self, process};
use imaging::{probe, render};

fn main() -> anyhow::Result<()> {
    say(&Hello { version: format!("Darkroom {}", env!("CARGO_PKG_VERSION")) })?;
    for line in stdin().lock().lines() {
        let answer =
            match serde_json::from_str(&line?).map_err(anyhow::Error::from).and_then(|job| done(&job)) {
                Ok(done) => Answer::Done(done),
                Err(error) => Answer::Failed { error: format!("{error:#}") },
            };
        say(&answer)?;
    }
    Ok(())
}

fn done(job: &Job) -> anyhow::Result<Done> {
    let ((cpu_ms, wall_ms), files) = match job.stage {
        Stage::All => all(job),
        Stage::Decode => decode(job),
        Stage::Encode => encode(job),
    }?;
    let peak_bytes = process::most_bytes().context("only Linux tells how much memory there was")?;
    Ok(Done { cpu_ms, wall_ms, peak_bytes, files })
}

type Timed<T> = ((f64, f64), T);

fn all(job: &Job) -> anyhow::Result<Timed<Vec<File>>> {
    timed(|| {
        let bytes = fs::read(&job.photo)?;
        let recipe = recipe(&job.widths, job.formats.iter().map(encoding).collect());
        let probe = probe(&bytes, &limits(), &recipe)?;
        let (mut files, mut problem) = (Vec::new(), None);
        render(&bytes, &probe, &recipe, job.threads, &mut |encoded| {
            let width = encoded.name.trim_start_matches('w').parse().unwrap_or_default();
            match written(&job.out_dir, width, encoded.format, &encoded.bytes) {
                Ok(file) => files.push(file),
                Err(error) => problem = Some(error),
            }
            ControlFlow::Continue(())
        })?;
        problem.map_or(Ok(files), Err)
    })
}

fn written(folder: &Path, width: u32, format: Format, bytes: &[u8]) -> anyhow::Result<File> {
    let path = folder.join(format!("{width}.{}", format.extension()));
    fs::write(&path, bytes).with_context(|| path.display().to_string())?;
    Ok(File { width, format, path, bytes: bytes.len() as u64 })
}

fn decode(job: &Job) -> anyhow::Result<Timed<Vec<File>>> {
    let bytes = fs::read(&job.photo)?;
    let recipe = recipe(&job.widths, job.formats.iter().map(encoding).collect());
    let probe = probe(&bytes, &limits(), &recipe)?;
    timed(|| {
        measure::decoded(&bytes, &probe, &recipe)?;
        Ok(Vec::new())
    })
}

/// The encoders alone, of the very pixels that they get in the whole.
fn encode(job: &Job) -> anyhow::Result<Timed<Vec<File>>> {
    let mut tasks = Vec::new();
    for width in &job.widths {
        let picture = from_png(&fs::read(job.out_dir.join(format!("{width}.png")))?)?.into_rgb8();
        tasks.extend(job.formats.iter().map(|setting| (*width, encoding(setting), picture.clone())));
    }
    timed(move || {
        for (width, encoding, picture) in tasks {
            let (size, samples) = (picture.dimensions(), picture.into_raw());
            measure::encoded(size, 3, samples, &encoding).with_context(|| format!("w{width}"))?;
        }
        Ok(Vec::new())
    })
}

/// PNG has no settings.
fn encoding(setting: &Setting) -> Encoding {
    let Setting { format, quality, effort } = *setting;
    let quality = (format != Format::Png).then_some(quality);
    let method = (format == Format::Webp).then_some(effort);
    Encoding { quality, method, ..Encoding::new(format) }
}

fn timed<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<Timed<T>> {
    let (started, before) = (Instant::now(), cpu_ms());
    let made = work()?;
    Ok(((cpu_ms() - before, started.elapsed().as_secs_f64() * 1e3), made))
}

fn say(line: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut stdout = stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(line)?)?;
    Ok(stdout.flush()?)
}
