//! How long the worker takes from its process's start to its first request for work, beside Node.js until it has
//! imported sharp. Stands in for Lambda's Runtime API for that one request.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};

use crate::bench::Bench;
use crate::peer::CORE;
use crate::places::Places;
use crate::results::Start;

const STARTS: usize = 20;
const FIRST_POLL: &str = "GET /2018-06-01/runtime/invocation/next";
const IMPORT: &str = "await import('sharp'); console.log('ready')";

pub fn run(bench: &Bench) -> anyhow::Result<Start> {
    // One of each first, which brings them into memory.
    let _ = (worker(&bench.places)?, sharp(&bench.places)?);
    let mut start = Start { worker_ms: Vec::new(), sharp_ms: Vec::new() };
    for _ in 0..STARTS {
        start.worker_ms.push(worker(&bench.places)?);
        start.sharp_ms.push(sharp(&bench.places)?);
    }
    Ok(start)
}

fn worker(places: &Places) -> anyhow::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut command = pinned();
    command.arg(&places.worker).stdout(Stdio::null()).envs([
        ("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string().as_str()),
        ("AWS_LAMBDA_FUNCTION_NAME", "worker"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "2048"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "token"),
        ("BUCKET", "photos"),
    ]);
    let started = Instant::now();
    let _process = Ending(command.spawn().context("the worker")?);
    let mut line = String::new();
    BufReader::new(listener.accept()?.0).read_line(&mut line)?;
    ensure!(line.starts_with(FIRST_POLL), "the worker asked for `{}` first", line.trim_end());
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn sharp(places: &Places) -> anyhow::Result<f64> {
    let mut command = pinned();
    command.args(["node", "--input-type=module", "--eval", IMPORT]).current_dir(&places.peers);
    let started = Instant::now();
    let mut process = Ending(command.stdout(Stdio::piped()).spawn().context("Node.js")?);
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().context("no standard output")?).read_line(&mut line)?;
    ensure!(line.trim_end() == "ready", "sharp could not be imported");
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn pinned() -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", CORE]);
    command
}

struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
