//! What an upload takes: real uploads through the real functions as processes of their own, by Lambda's Runtime API and against the
//! local stack, one at a time. Counts, and judges nothing but that every upload was worked off. Any function that takes S3's
//! notifications from SQS can stand in for the worker.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::http::{Method, Request};
use contract::{MediaType, SourceKey};
use runtime_api::{Answer, Function};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::bill::{Measured, Presign, TIERED_FROM_BYTES, Worker};
use super::mix::Mix;
use crate::local::s3::Requested;
use crate::stack::meters::Meters;
use crate::stack::{ACCESS_KEY, BUCKET, Options, REGION, SECRET_KEY, Stack, gateway, to_event};

const TIMEOUT: Duration = Duration::from_secs(120);
/// Of the API's time: each is short, and the clock of processes is coarse.
const STATUS_REQUESTS: u32 = 300;
/// What an operator's terminal may have set, and would lead elsewhere than to the local stack and to what was asked for.
const ELSEWHERE: [&str; 16] = [
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "DISTRIBUTION_ID",
    "EVENT_BUS",
    "EVENT_TOPIC_ARN",
    "JWKS_URL",
    "KEY_LAYOUT",
    "KEY_SECRET_ARN",
    "KEY_SECRET_PREVIOUS",
    "MAX_FRAMES",
    "MAX_PIXELS",
    "MAX_SIDE_PX",
    "MAX_SOURCE_BYTES",
    "QUEUE_URL",
    "RECIPE",
    "RECIPE_FILE",
];
/// Whose uploads these are.
const SUB: &str = "cost";

/// What stands in for Lambda.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The presign function, program and arguments.
    pub presign: Vec<OsString>,
    pub memory_mib: u32,
    /// As `RECIPE` has it; without, the built-in one.
    pub recipe: Option<String>,
}

/// A worker to be measured, and what it has come to so far. Has a stack to itself.
pub struct Contestant {
    stack: Stack,
    worker: Process,
    presign: Process,
    meters: Meters,
    /// That count.
    runs: u32,
    /// What every file has taken, by its place in the mix.
    taken: Vec<Taken>,
    last: Option<SourceKey>,
}

/// Of one file, over all runs.
#[derive(Debug, Clone, Default)]
struct Taken {
    used: Used,
    wall: Duration,
    source_bytes: u64,
    /// Where it is large enough for Intelligent-Tiering, and how many were.
    tiered_bytes: u64,
    tiered: u32,
    made_bytes: u64,
    viewed_bytes: u64,
}

/// What a function has used so far, or meanwhile.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    /// Where the system tells.
    cpu: Option<Duration>,
    requested: Requested,
    log_bytes: u64,
}

/// A function at work, and how much it has written.
struct Process {
    function: Function,
    log_bytes: Arc<AtomicU64>,
}

/// Measures a worker over a mix: `runs` uploads of each file, after one that warms up.
///
/// # Errors
/// Where a file cannot be read, or a function does not start or does not do its part.
pub async fn measure(worker: &[OsString], setup: &Setup, mix: &Mix, runs: u32) -> anyhow::Result<Measured> {
    let mut contestant = Contestant::start(worker, setup, mix).await?;
    for run in 0..=runs {
        contestant.run(mix, run > 0).await?;
    }
    contestant.finish(mix).await
}

impl Contestant {
    pub async fn start(worker: &[OsString], setup: &Setup, mix: &Mix) -> anyhow::Result<Self> {
        let meters = Meters::default();
        let stack = Stack::start(Options { run_worker: false, ..Options::default() }).await?;
        let worker = Process::start(worker, &stack, setup, &meters).await?;
        let presign = Process::start(&setup.presign, &stack, setup, &meters).await?;
        let taken = vec![Taken::default(); mix.upload.len()];
        Ok(Self { stack, worker, presign, meters, runs: 0, taken, last: None })
    }

    /// Uploads every file once.
    pub async fn run(&mut self, mix: &Mix, counts: bool) -> anyhow::Result<()> {
        for (at, (file, _)) in mix.parts().enumerate() {
            let taken = self.upload(file, &mix.viewed).await.with_context(|| file.display().to_string())?;
            if counts {
                self.taken[at].add(&taken);
            }
        }
        self.runs += u32::from(counts);
        Ok(())
    }

    async fn upload(&mut self, file: &Path, viewed: &str) -> anyhow::Result<Taken> {
        let bytes = std::fs::read(file).context("cannot be read")?;
        let declared =
            MediaType::from_file_name(&file.to_string_lossy()).context("has no image's extension")?;
        let wish = json!({"contentType": declared.content_type()}).to_string();
        let grant = self.presign.call(Method::POST, "/upload-url", &wish).await?;
        let key = SourceKey::parse(grant["key"].as_str().context("the presign function granted nothing")?)?;
        let put = self
            .stack
            .client
            .put_object()
            .bucket(BUCKET)
            .key(key.as_str())
            .content_type(declared.content_type());
        let source_bytes = bytes.len() as u64;
        put.body(bytes.into()).send().await?;
        let mut taken = self.work_off().await?;
        taken.source_bytes = source_bytes;
        if source_bytes >= TIERED_FROM_BYTES {
            (taken.tiered_bytes, taken.tiered) = (source_bytes, 1);
        }
        (taken.made_bytes, taken.viewed_bytes) = self.made(&key, viewed).await?;
        self.last = Some(key);
        Ok(taken)
    }

    /// Hands the worker what is queued.
    async fn work_off(&mut self) -> anyhow::Result<Taken> {
        let queue = &self.stack.local.queue;
        let messages = queue.receive(1, 2 * TIMEOUT.as_millis() as u64).await?;
        ensure!(messages.len() == 1, "S3 has told the queue of {} uploads in place of one", messages.len());
        let before = self.used(&self.worker);
        let event = serde_json::to_vec(&to_event(&messages))?;
        let answer = in_time(self.worker.function.invoke(event), "the worker").await?;
        let said =
            answer.result.as_ref().map_err(|said| anyhow::anyhow!("the worker failed: {}", text(said)))?;
        let response: Value = serde_json::from_slice(said).unwrap_or_default();
        let failed = response["batchItemFailures"].as_array().is_some_and(|failures| !failures.is_empty());
        ensure!(!failed, "the worker sent it back to the queue");
        for message in &messages {
            queue.delete(&message.receipt_handle).await?;
        }
        Ok(Taken { used: self.used(&self.worker).since(&before), wall: answer.took, ..Taken::default() })
    }

    fn used(&self, process: &Process) -> Used {
        Used {
            cpu: process.function.cpu(),
            requested: self.stack.s3_requests.so_far(),
            log_bytes: process.log_bytes.load(Ordering::Relaxed),
        }
    }

    /// Bytes of all that was made of a source, and of the rendition that is looked at.
    async fn made(&self, key: &SourceKey, viewed: &str) -> anyhow::Result<(u64, u64)> {
        let list = self.stack.client.list_objects_v2().bucket(BUCKET).prefix(key.made_prefix());
        let listed = list.send().await?;
        let sizes = || {
            listed
                .contents()
                .iter()
                .map(|object| (object.key().unwrap_or_default(), object.size().unwrap_or(0)))
        };
        let name = format!("/{viewed}.");
        let viewed = sizes().filter(|(key, _)| key.contains(&name)).map(|(_, size)| size).min().unwrap_or(0);
        let all: i64 = sizes().map(|(_, size)| size).sum();
        Ok((u64::try_from(all)?, u64::try_from(viewed)?))
    }

    /// The average upload of the mix. The functions end.
    pub async fn finish(mut self, mix: &Mix) -> anyhow::Result<Measured> {
        let presign = self.presign().await?;
        let mut measured =
            Measured { presign, metrics: self.meters.all().len() as f64, ..Measured::default() };
        measured.worker.peak_bytes = self.worker.function.peak_bytes();
        for (taken, (_, share)) in self.taken.iter().zip(mix.parts()) {
            measured.add(taken, share / f64::from(self.runs.max(1)));
        }
        self.stack.shutdown().await;
        Ok(measured)
    }

    /// One request to the API: how an upload stands that is done.
    async fn presign(&mut self) -> anyhow::Result<Presign> {
        let path = format!("/uploads/{}", self.last.as_ref().context("nothing was uploaded")?);
        let before = self.used(&self.presign);
        for _ in 0..STATUS_REQUESTS {
            self.presign.call(Method::GET, &path, "").await?;
        }
        let used = self.used(&self.presign).since(&before);
        let each = |all: f64| all / f64::from(STATUS_REQUESTS);
        Ok(Presign {
            cpu_ms: each(ms(used.cpu.unwrap_or_default())),
            s3_reads: each(used.requested.reads as f64),
            log_bytes: each(used.log_bytes as f64),
        })
    }
}

impl Used {
    fn since(&self, earlier: &Self) -> Self {
        Self {
            cpu: self.cpu.zip(earlier.cpu).map(|(now, earlier)| now - earlier),
            requested: self.requested - earlier.requested,
            log_bytes: self.log_bytes - earlier.log_bytes,
        }
    }
}

impl Taken {
    fn add(&mut self, run: &Self) {
        let (all, used) = (&mut self.used, &run.used);
        all.cpu = used.cpu.map(|cpu| all.cpu.unwrap_or_default() + cpu);
        all.requested.reads += used.requested.reads;
        all.requested.writes += used.requested.writes;
        all.log_bytes += used.log_bytes;
        self.wall += run.wall;
        self.source_bytes += run.source_bytes;
        self.tiered_bytes += run.tiered_bytes;
        self.tiered += run.tiered;
        self.made_bytes += run.made_bytes;
        self.viewed_bytes += run.viewed_bytes;
    }
}

impl Measured {
    fn add(&mut self, taken: &Taken, part: f64) {
        let Worker { cpu_ms, wall_ms, s3_writes, s3_reads, log_bytes, .. } = &mut self.worker;
        // Where the system does not tell: as if one core had been busy all the time.
        *cpu_ms += part * ms(taken.used.cpu.unwrap_or(taken.wall));
        *wall_ms += part * ms(taken.wall);
        *s3_writes += part * taken.used.requested.writes as f64;
        *s3_reads += part * taken.used.requested.reads as f64;
        *log_bytes += part * taken.used.log_bytes as f64;
        self.source_bytes += part * taken.source_bytes as f64;
        self.tiered_bytes += part * taken.tiered_bytes as f64;
        self.tiered += part * f64::from(taken.tiered);
        self.made_bytes += part * taken.made_bytes as f64;
        self.viewed_bytes += part * taken.viewed_bytes as f64;
    }
}

impl Process {
    async fn start(
        words: &[OsString],
        stack: &Stack,
        setup: &Setup,
        meters: &Meters,
    ) -> anyhow::Result<Self> {
        let (program, args) = words.split_first().context("no program is named")?;
        let mut command = Command::new(program);
        command.args(args).envs([
            ("BUCKET", BUCKET),
            ("KEY_SECRET", "only-for-measuring-what-uploads-cost"),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_ENDPOINT_URL_S3", &stack.s3_url),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &setup.memory_mib.to_string()),
        ]);
        for name in ELSEWHERE {
            command.env_remove(name);
        }
        if let Some(recipe) = &setup.recipe {
            command.env("RECIPE", recipe);
        }
        let started = Function::start(command, TIMEOUT).await;
        let mut function = started.with_context(|| format!("{} could not be started", program.display()))?;
        let log = function.process.stdout.take().context("no standard output")?;
        let log_bytes = Arc::<AtomicU64>::default();
        let (counter, meters) = (log_bytes.clone(), meters.clone());
        tokio::spawn(async move {
            let (mut log, mut line) = (BufReader::new(log), Vec::new());
            while log.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
                counter.fetch_add(line.len() as u64, Ordering::Relaxed);
                meters.read(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Ok(Self { function, log_bytes })
    }

    /// Asks the presign function, as the gateway does for a user.
    async fn call(&mut self, method: Method, path: &str, body: &str) -> anyhow::Result<Value> {
        let (parts, ()) =
            Request::builder().method(method).uri(path).header("host", "127.0.0.1").body(())?.into_parts();
        let claims = json!({"sub": SUB}).as_object().cloned();
        let event = gateway::event(&parts, body.as_bytes(), claims).to_string();
        let answer = in_time(self.function.invoke(event.into_bytes()), "the presign function").await?;
        let said =
            answer.result.map_err(|said| anyhow::anyhow!("the presign function failed: {}", text(&said)))?;
        let answer: Value = serde_json::from_slice(&said)?;
        ensure!(answer["statusCode"] == 200, "the presign function refuses: {answer}");
        Ok(serde_json::from_str(answer["body"].as_str().unwrap_or_default())?)
    }
}

async fn in_time(answer: impl Future<Output = Option<Answer>>, who: &str) -> anyhow::Result<Answer> {
    match tokio::time::timeout(TIMEOUT, answer).await {
        Ok(answer) => answer.with_context(|| format!("{who} has ended")),
        Err(_) => anyhow::bail!("{who} did not answer within {} s", TIMEOUT.as_secs()),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
