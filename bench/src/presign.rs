//! The presign function beside one in Python that does the same with boto3, both as processes under the same
//! Runtime API, in turns: how long from a process's start to its first answer, how long a warm answer takes,
//! and how many a core gives. Prints a table in Markdown; judges nothing.
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
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let ours = args.next().context("usage: bench-presign PRESIGN PYTHON HANDLER-FOLDER")?;
    let python = args.next().context("which Python?")?;
    let folder = args.next().context("where is handler.py?")?;
    let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let peer =
        |name, command| Peer { name, command, starts: vec![], put: Warm::default(), post: Warm::default() };
    let mut peers = [
        peer("presign", vec![ours]),
        peer("Python, boto3", [vec![python], words(&["-m", "awslambdaric", "handler.handle"])].concat()),
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
        check(&answer.context("the process has ended")?.result)
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
        let mut started = Instant::now();
        for number in 0..WARM_UP + REQUESTS {
            if number == WARM_UP {
                started = Instant::now();
            }
            let answer = function.invoke(event.clone()).await.context("the process has ended")?;
            check(&answer.result)?;
            warm.round_trips.push(ms(answer.took));
        }
        warm.per_second = REQUESTS as f64 / started.elapsed().as_secs_f64();
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

/// Nobody wins by doing less: every answer is a grant with a signature.
fn check(result: &Result<impl AsRef<[u8]>, impl AsRef<[u8]>>) -> anyhow::Result<()> {
    let Ok(answer) = result else { anyhow::bail!("the function failed") };
    let answer: Value = serde_json::from_slice(answer.as_ref())?;
    let grant: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default())?;
    let url = grant["uploadUrl"].as_str().unwrap_or_default();
    let signed = url.contains("X-Amz-Signature=") || grant["fields"]["x-amz-signature"].is_string();
    ensure!(answer["statusCode"] == 200 && signed && grant["statusUrl"].is_string(), "no grant: {answer}");
    Ok(())
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

fn print(peers: &mut [Peer; 2]) {
    let [ours, theirs] = peers;
    println!("| | {} | {} | ratio |\n|---|---|---|---|", ours.name, theirs.name);
    let row = |name: &str, one: f64, other: f64| {
        let ratio = if one < other { other / one } else { one / other };
        println!("| {name} | {one:.2} | {other:.2} | {ratio:.1} |");
    };
    for (name, part) in [("p50", 0.5), ("worst", 1.0)] {
        let of = |peer: &mut Peer| quantile(&mut peer.starts, part);
        row(&format!("process start to first answer, {name}, ms"), of(ours), of(theirs));
    }
    type Pick = fn(&mut Peer) -> &mut Warm;
    let kinds: [(&str, Pick); 2] = [("PUT", |peer| &mut peer.put), ("POST", |peer| &mut peer.post)];
    for (kind, pick) in kinds {
        for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
            let handler = |peer: &mut Peer| quantile(&mut pick(peer).handler, part);
            row(&format!("{kind}: in the handler, {name}, ms"), handler(ours), handler(theirs));
            let round_trip = |peer: &mut Peer| quantile(&mut pick(peer).round_trips, part);
            row(&format!("{kind}: event to answer, {name}, ms"), round_trip(ours), round_trip(theirs));
        }
        row(&format!("{kind}: answers a second on one core"), pick(ours).per_second, pick(theirs).per_second);
    }
}
