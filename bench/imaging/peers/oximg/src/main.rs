//! oximg's library: each rendition from the file's bytes, as its one call has it. The protocol is that of
//! `src/protocol.rs` in the benchmark's own package: a job a line on standard input, an answer a line on standard
//! output.

use std::io::{BufRead, Write, stdin, stdout};
use std::time::Instant;

use anyhow::{Context, bail};
use oximg::pipeline::{Encoder, ImageFormat, Params, process};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

fn main() -> anyhow::Result<()> {
    say(&json!({"version": "oximg 0.18.1"}))?;
    for line in stdin().lock().lines() {
        let answer = answer(&line?).unwrap_or_else(|error| json!({"error": format!("{error:#}")}));
        say(&answer)?;
    }
    Ok(())
}

fn answer(line: &str) -> anyhow::Result<Value> {
    let (started, before) = (Instant::now(), cpu_ms());
    let job: Value = serde_json::from_str(line)?;
    let files = files(&job)?;
    let (cpu, wall) = (cpu_ms() - before, started.elapsed().as_secs_f64() * 1e3);
    Ok(json!({"cpu_ms": cpu, "wall_ms": wall, "peak_bytes": peak_bytes()?, "files": files}))
}

fn files(job: &Value) -> anyhow::Result<Vec<Value>> {
    let text = |name: &str| job[name].as_str().with_context(|| name.to_owned());
    let list = |name: &str| job[name].as_array().with_context(|| name.to_owned());
    let source = std::fs::read(text("photo")?)?;
    let mut files = Vec::new();
    for width in list("widths")? {
        for encoding in list("formats")? {
            let format = encoding["format"].as_str().context("format")?;
            let path = format!("{}/{width}.{format}", text("out_dir")?);
            let bytes = rendition(&source, width.as_u64().context("width")? as u32, format, encoding)?;
            std::fs::write(&path, &bytes)?;
            files.push(json!({"width": width, "format": format, "path": path, "bytes": bytes.len()}));
        }
    }
    Ok(files)
}

fn rendition(source: &[u8], side_px: u32, format: &str, encoding: &Value) -> anyhow::Result<Vec<u8>> {
    let output = match format {
        "jpeg" => ImageFormat::Jpeg,
        "webp" => ImageFormat::Webp,
        other => bail!("no {other} here"),
    };
    let quality = encoding["quality"].as_f64().context("quality")? as f32;
    let params = Params {
        max_width: side_px,
        max_height: side_px,
        quality,
        webp_quality: Some(quality),
        output: Some(output),
        // The settings of all others here: its own default, jpegli, takes longer and is smaller.
        encoder: Encoder::MozFast,
        ..Params::default()
    };
    Ok(process(source, &params)?.0)
}

fn cpu_ms() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn peak_bytes() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    Ok(line.split_whitespace().next().context("VmHWM")?.parse::<u64>()? * 1024)
}

fn say(value: &Value) -> anyhow::Result<()> {
    writeln!(stdout(), "{value}")?;
    Ok(stdout().flush()?)
}
