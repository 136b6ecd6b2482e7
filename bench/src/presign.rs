//! The presign function beside one in Python that does the same with boto3, both as processes under the same
//! Runtime API, in turns: how long from a process's start to its first answer, how long a warm answer takes,
//! and how many a core gives. Beside them a function that does nothing, for what the Runtime API takes by
//! itself. Prints a table in Markdown; judges nothing.
//!
//! `cargo xtask bench presign` builds and installs both and runs this.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use runtime_api::Function;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const STARTS: usize = 15;
const WARM_UP: usize = 200;
const REQUESTS: usize = 3000;
/// The functions have this core for themselves.
const CORE: &str = "1";

/// A function under test.
struct Peer {
    name: &'static str,
    command: Vec<OsString>,
    /// Whether its answers are grants.
    grants: bool,
    /// ms, one for each process.
    starts: Vec<f64>,
    put: Warm,
    post: Warm,
}

/// What warm requests of one kind took.
#[derive(Default)]
struct Warm {
    /// From the event to the answer as the Runtime API sees it, ms.
    round_trips: Vec<f64>,
    /// As the function's own log has it, ms.
    handler: Vec<f64>,
    per_second: f64,
    /// The process's own time for each, ms.
    cpu_ms: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let ours = args.next().context("usage: bench-presign PRESIGN NOTHING PYTHON HANDLER-FOLDER")?;
    let nothing = args.next().context("which function does nothing?")?;
    let python = args.next().context("which Python?")?;
    let folder = args.next().context("where is handler.py?")?;
    let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let peer = |name, command, grants| {
        let (put, post) = (Warm::default(), Warm::default());
        Peer { name, command, grants, starts: Vec::new(), put, post }
    };
    let python = [vec![python], words(&["-m", "awslambdaric", "handler.handle"])].concat();
    let mut peers = [
        peer("presign", vec![ours], true),
        peer("nothing", vec![nothing], false),
        peer("Python, boto3", python, true),
    ];
    std::env::set_current_dir(&folder).with_context(|| folder.display().to_string())?;
    for _ in 0..STARTS {
        for peer in &mut peers {
            peer.start_once().await?;
        }
    }
    for peer in &mut peers {
        let put = json!({"contentType": "image/jpeg", "contentLength": 3_779_026, "articleId": "a-1"});
        peer.put = peer.warm(&put).await?;
        peer.post = peer.warm(&json!({"contentType": "image/jpeg", "method": "POST"})).await?;
    }
    print(&mut peers);
    Ok(())
}

impl Peer {
    async fn function(&self) -> anyhow::Result<Function> {
        let mut command = Command::new("taskset");
        command.args(["-c", CORE]).args(&self.command).stderr(Stdio::null());
        command.envs([
            ("BUCKET", "photos"),
            ("KEY_SECRET", "0123456789abcdef0123456789abcdef"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "token"),
        ]);
        Ok(Function::start(command, Duration::from_secs(30)).await?)
    }

    async fn start_once(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut function = self.function().await?;
        let answer = function.invoke(event(&json!({"contentType": "image/jpeg"}))).await;
        self.starts.push(ms(started.elapsed()));
        self.check(&answer.context("the process has ended")?.result)
    }

    /// Nobody wins by doing less: every answer is a grant with a signature.
    fn check(&self, result: &Result<impl AsRef<[u8]>, impl AsRef<[u8]>>) -> anyhow::Result<()> {
        let Ok(answer) = result else { anyhow::bail!("{} failed", self.name) };
        if !self.grants {
            return Ok(());
        }
        let answer: Value = serde_json::from_slice(answer.as_ref())?;
        let grant: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default())?;
        let url = grant["uploadUrl"].as_str().unwrap_or_default();
        let signed = url.contains("X-Amz-Signature=") || grant["fields"]["x-amz-signature"].is_string();
        ensure!(
            answer["statusCode"] == 200 && signed && grant["statusUrl"].is_string(),
            "no grant: {answer}"
        );
        Ok(())
    }

    async fn warm(&self, wish: &Value) -> anyhow::Result<Warm> {
        let mut function = self.function().await?;
        let log = function.process.stdout.take().context("no standard output")?;
        let log = tokio::spawn(async move {
            let (mut lines, mut times) = (BufReader::new(log).lines(), Vec::new());
            while let Ok(Some(line)) = lines.next_line().await {
                let told: Value = serde_json::from_str(&line).unwrap_or_default();
                times.extend(told["HandlerTime"].as_f64());
            }
            times
        });
        let event = event(wish);
        let mut warm = Warm::default();
        let (mut started, mut cpu_before) = (Instant::now(), Duration::ZERO);
        for number in 0..WARM_UP + REQUESTS {
            if number == WARM_UP {
                (started, cpu_before) = (Instant::now(), cpu(&function)?);
            }
            let answer = function.invoke(event.clone()).await.context("the process has ended")?;
            self.check(&answer.result)?;
            warm.round_trips.push(ms(answer.took));
        }
        warm.per_second = REQUESTS as f64 / started.elapsed().as_secs_f64();
        warm.cpu_ms = ms(cpu(&function)?.saturating_sub(cpu_before)) / REQUESTS as f64;
        function.process.start_kill()?;
        warm.handler = log.await?;
        warm.round_trips.drain(..WARM_UP);
        warm.handler.drain(..WARM_UP.min(warm.handler.len()));
        Ok(warm)
    }
}

fn event(wish: &Value) -> Vec<u8> {
    let event = json!({"version": "2.0", "routeKey": "POST /upload-url", "rawPath": "/upload-url",
        "rawQueryString": "", "headers": {"host": "api.example", "content-type": "application/json"},
        "isBase64Encoded": false, "body": wish.to_string(),
        "requestContext": {"accountId": "1", "apiId": "a", "domainName": "api.example", "domainPrefix": "api",
            "http": {"method": "POST", "path": "/upload-url", "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1", "userAgent": "bench"},
            "requestId": "r", "routeKey": "POST /upload-url", "stage": "$default",
            "time": "22/Nov/2026:05:00:00 +0000", "timeEpoch": 1_795_323_600_000_u64,
            "authorizer": {"jwt": {"claims": {"sub": "ann"}, "scopes": null}}}});
    event.to_string().into_bytes()
}

fn cpu(function: &Function) -> anyhow::Result<Duration> {
    function.cpu().context("the process has ended")
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The value below which this part of all lies.
fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
}

fn print(peers: &mut [Peer; 3]) {
    let [ours, nothing, theirs] = peers.each_ref().map(|peer| peer.name);
    println!("| | {ours} | {nothing} | {theirs} | ratio |\n|---|---|---|---|---|");
    for (name, part) in [("p50", 0.5), ("worst", 1.0)] {
        let values = peers.each_mut().map(|peer| quantile(&mut peer.starts, part));
        row(&format!("process start to first answer, {name}, ms"), values);
    }
    type Pick = fn(&mut Peer) -> &mut Warm;
    let kinds: [(&str, Pick); 2] = [("PUT", |peer| &mut peer.put), ("POST", |peer| &mut peer.post)];
    for (kind, pick) in kinds {
        let mut of = |name: &str, value: &dyn Fn(&mut Warm) -> f64| {
            row(&format!("{kind}: {name}"), peers.each_mut().map(|peer| value(pick(peer))));
        };
        for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
            of(&format!("in the handler, {name}, ms"), &|warm| quantile(&mut warm.handler, part));
            of(&format!("event to answer, {name}, ms"), &|warm| quantile(&mut warm.round_trips, part));
        }
        of("CPU of the process for each, ms", &|warm| warm.cpu_ms);
        of("answers a second", &|warm| warm.per_second);
    }
}

/// With how many times the first is better than the last.
fn row(name: &str, values: [f64; 3]) {
    let shown = values.map(|value| if value.is_nan() { "-".to_owned() } else { format!("{value:.2}") });
    let [ours, _, theirs] = values;
    let ratio = (theirs / ours).max(ours / theirs);
    println!("| {name} | {} | {ratio:.1} |", shown.join(" | "));
}
