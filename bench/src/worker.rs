//! The worker as a poller on the dev stack, beside `darkroom process` over the same photos on the same cores: how
//! much of what the pixels allow comes through S3 and the queue, how long a single upload takes from its PUT to
//! `ready`, and what memory it takes over many. Checks that every upload has become ready; judges nothing else.
//!
//! `cargo xtask bench worker` builds both as they ship and runs this.

mod shared;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use contract::{Manifest, MediaType, SourceKey, Status};
use darkroom::stack::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY, client};
use shared::{median, photos};
use tokio::process::{Child, Command};

/// Copies of each photo in one run of throughput.
const COPIES: usize = 12;
/// Runs of each kind, in turns.
const RUNS: usize = 5;
const SINGLES: usize = 7;
/// Uploads in the run that watches the memory, and how often it is noted.
const MANY: usize = 2000;
const NOTED: usize = 250;
/// How often a manifest is looked for, where its very time counts and where it does not.
const SOON: Duration = Duration::from_millis(5);
const SELDOM: Duration = Duration::from_millis(50);
/// The stack's four ports.
const PORT: u16 = 18_900;

struct Bench {
    darkroom: OsString,
    worker: OsString,
    photos: Vec<PathBuf>,
    scratch: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let mut next = |what: &str| args.next().with_context(|| format!("usage: bench-worker {what}"));
    let darkroom = next("DARKROOM WORKER PHOTOS-FOLDER SCRATCH-FOLDER")?;
    let worker = next("... WORKER")?;
    let folder = PathBuf::from(next("... PHOTOS-FOLDER")?);
    let scratch = PathBuf::from(next("... SCRATCH-FOLDER")?);
    let photos = photos(&folder)?;
    let bench = Bench { darkroom, worker, photos, scratch };
    bench.throughput().await?;
    bench.latency().await?;
    bench.memory().await
}

impl Bench {
    /// Photos a second, of both kinds in turns.
    async fn throughput(&self) -> anyhow::Result<()> {
        let (mut process, mut poller) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            process.push(self.process(&self.copies(COPIES)?)?);
            poller.push(self.poll(COPIES).await?);
        }
        let photos = COPIES * self.photos.len();
        let each = |seconds: &mut Vec<f64>| median(seconds) / to_f64(photos) * 1000.0;
        let (process, poller) = (each(&mut process), each(&mut poller));
        println!("| {photos} photos, ms each, median of {RUNS} runs in turns | |\n|---|---|");
        println!("| `darkroom process` | {process:.0} |");
        println!("| poller on the dev stack | {poller:.0} |");
        println!("| throughput of the poller | {:.1} % |\n", process / poller * 100.0);
        Ok(())
    }

    /// From the start of a PUT to a manifest that says ready, with an empty queue and a warm poller.
    async fn latency(&self) -> anyhow::Result<()> {
        let stack = Stack::start(&self.darkroom).await?;
        let mut worker = self.start_worker(&stack)?;
        let photo = &self.photos[..1];
        let (mut waited, mut pixels) = (Vec::new(), Vec::new());
        for n in 0..=SINGLES {
            let started = Instant::now();
            let key = stack.put(&photo[0], n).await?;
            stack.ready(&key, SOON).await?;
            let wait = started.elapsed().as_secs_f64() * 1000.0;
            let pixel = self.process(photo)? * 1000.0;
            // The first has connections to make.
            if n > 0 {
                waited.push(wait);
                pixels.push(pixel);
            }
        }
        worker.kill().await?;
        stack.end().await?;
        let (waited, pixels) = (median(&mut waited), median(&mut pixels));
        println!("| {}, ms, median of {SINGLES} in turns | |\n|---|---|", name(&photo[0]));
        println!("| PUT to `ready` | {waited:.0} |");
        println!("| `darkroom process`, with its start | {pixels:.0} |");
        println!("| difference | {:.0} |\n", waited - pixels);
        Ok(())
    }

    /// The poller's resident memory over many uploads.
    async fn memory(&self) -> anyhow::Result<()> {
        let stack = Stack::start(&self.darkroom).await?;
        let mut worker = self.start_worker(&stack)?;
        println!("| uploads done | resident, MB | most so far, MB |\n|---|---|---|");
        let mut n = 0;
        while n < MANY {
            let mut keys = Vec::new();
            for _ in 0..NOTED {
                keys.push(stack.put(&self.photos[n % self.photos.len()], n).await?);
                n += 1;
            }
            for key in keys {
                stack.ready(&key, SELDOM).await?;
                stack.forget(&key).await?;
            }
            let pid = worker.id().context("the worker has ended")?;
            println!("| {n} | {:.0} | {:.0} |", status_mb(pid, "VmRSS:")?, status_mb(pid, "VmHWM:")?);
        }
        worker.kill().await?;
        stack.end().await
    }

    /// The photos under names of their own.
    fn copies(&self, copies: usize) -> anyhow::Result<Vec<PathBuf>> {
        let folder = self.scratch.join("in");
        fs::create_dir_all(&folder)?;
        let mut all = Vec::new();
        for copy in 0..copies {
            for photo in &self.photos {
                let to = folder.join(format!("{copy}-{}", name(photo)));
                if !to.exists() {
                    fs::copy(photo, &to)?;
                }
                all.push(to);
            }
        }
        Ok(all)
    }

    /// Seconds that `darkroom process` takes for these.
    fn process(&self, files: &[PathBuf]) -> anyhow::Result<f64> {
        let mut process = std::process::Command::new(&self.darkroom);
        process.arg("process").args(files).arg("--out").arg(self.scratch.join("out")).stdout(Stdio::null());
        let started = Instant::now();
        ensure!(process.status()?.success(), "darkroom process failed");
        Ok(started.elapsed().as_secs_f64())
    }

    /// Seconds that a poller takes from its start until all photos are ready, which were queued before.
    async fn poll(&self, copies: usize) -> anyhow::Result<f64> {
        let stack = Stack::start(&self.darkroom).await?;
        let mut keys = Vec::new();
        for n in 0..copies {
            for photo in &self.photos {
                keys.push(stack.put(photo, n).await?);
            }
        }
        let started = Instant::now();
        let mut worker = self.start_worker(&stack)?;
        for key in keys {
            stack.ready(&key, SELDOM).await?;
        }
        let took = started.elapsed().as_secs_f64();
        worker.kill().await?;
        stack.end().await?;
        Ok(took)
    }

    fn start_worker(&self, stack: &Stack) -> anyhow::Result<Child> {
        let mut worker = Command::new(&self.worker);
        worker
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_REGION", REGION)
            .env("AWS_ENDPOINT_URL_S3", format!("http://127.0.0.1:{}", PORT + 1))
            .env("AWS_ENDPOINT_URL_SQS", format!("http://127.0.0.1:{}", PORT + 3))
            .env("BUCKET", BUCKET)
            .env("QUEUE_URL", &stack.queue_url)
            .env("HEALTH_PORT", "0")
            .env("RUST_LOG", "warn");
        worker.kill_on_drop(true).spawn().with_context(|| self.worker.display().to_string())
    }
}

/// A dev stack in memory, whose queue is left to the worker under test.
struct Stack {
    process: Child,
    s3: aws_sdk_s3::Client,
    queue_url: String,
}

impl Stack {
    async fn start(darkroom: &OsString) -> anyhow::Result<Self> {
        let mut dev = Command::new(darkroom);
        dev.args(["dev", "--memory", "--no-worker", "--port", &PORT.to_string()]);
        let process = dev.env("RUST_LOG", "warn").stdout(Stdio::null()).kill_on_drop(true).spawn()?;
        let s3 = client(&format!("http://127.0.0.1:{}", PORT + 1));
        let queue_url = format!("http://127.0.0.1:{}/000000000000/darkroom", PORT + 3);
        let stack = Self { process, s3, queue_url };
        for _ in 0..200 {
            if stack.s3.head_bucket().bucket(BUCKET).send().await.is_ok() {
                return Ok(stack);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("the dev stack does not start")
    }

    /// Gone, and its ports free, when this returns.
    async fn end(mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }

    async fn put(&self, photo: &Path, n: usize) -> anyhow::Result<SourceKey> {
        let key = format!("raw/{n}-{}", name(photo));
        let put = self.s3.put_object().bucket(BUCKET).key(&key).content_type(MediaType::Jpeg.content_type());
        put.body(fs::read(photo)?.into()).send().await?;
        Ok(SourceKey::parse(key)?)
    }

    /// Waits until the manifest is there, and says so.
    /// Looks every `pause`: each look takes time of the cores that are measured.
    async fn ready(&self, source: &SourceKey, pause: Duration) -> anyhow::Result<()> {
        let key = source.manifest();
        loop {
            let sent = self.s3.get_object().bucket(BUCKET).key(key.as_str()).send().await;
            if let Ok(found) = sent {
                let manifest = Manifest::parse(&found.body.collect().await?.into_bytes())?;
                ensure!(manifest.status() == Status::Ready, "{source}: {:?}", manifest.outcome);
                return Ok(());
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// So that the stack's own memory does not grow beyond the machine's.
    async fn forget(&self, source: &SourceKey) -> anyhow::Result<()> {
        self.s3.delete_object().bucket(BUCKET).key(source.as_str()).send().await?;
        Ok(())
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn to_f64(count: usize) -> f64 {
    count as f64
}

/// A line of `/proc/PID/status`, in MB.
fn status_mb(pid: u32, field: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0 / 1e6)
}
