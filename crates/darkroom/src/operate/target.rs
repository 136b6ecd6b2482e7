//! What an operator's command works on: the flags and variables that name it, and the clients they make.
//! The only module of the commands that reads the environment.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use contract::setting::{self, BUCKET};
use contract::{Fingerprint, Limits, Recipe};
use tokio::net::TcpStream;
use worker::Config;
use worker::config::read_recipe;

use super::bucket::Bucket;
use super::pace::{Pace, Rate};
use super::queue::Queue;
use crate::local::queue::Role;
use crate::local::sqs::queue_url;
use crate::stack;

const QUEUE_URL: &str = "QUEUE_URL";
const DEAD_LETTER_QUEUE_URL: &str = "DEAD_LETTER_QUEUE_URL";

/// Operators' runs are long, and nobody waits on a single request.
const MAX_ATTEMPTS: u32 = 8;
const ATTEMPT_TIME: Duration = Duration::from_secs(30);

#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Where")]
pub struct Target {
    /// Bucket of sources and renditions [variable: BUCKET]
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,
    /// Queue that the worker reads [variable: QUEUE_URL]
    #[arg(long, value_name = "URL")]
    queue_url: Option<String>,
    /// Its dead-letter queue [variable: DEAD_LETTER_QUEUE_URL; else the queue itself tells]
    #[arg(long, value_name = "URL")]
    dead_letter_queue_url: Option<String>,
    /// In place of AWS, what `darkroom dev` runs on this machine: its port, 8787 when none is said
    #[arg(
        long,
        value_name = "PORT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "8787",
        conflicts_with_all = ["bucket", "queue_url", "dead_letter_queue_url"]
    )]
    local: Option<u16>,
}

/// A bucket, and the queues that go with it as far as they are known.
#[derive(Clone)]
pub struct Place {
    /// As people call it.
    pub name: String,
    pub bucket: Bucket,
    pub queue: Option<Queue>,
    pub dead_letters: Option<Queue>,
}

/// How sources are made now: what backfill compares manifests with.
#[derive(Debug, Clone)]
pub struct Making {
    pub recipe: Recipe,
    pub fingerprint: Fingerprint,
}

impl Target {
    /// Finds everything; asks nothing of AWS yet. `bucket` is one that the command was told of
    /// in another way.
    pub async fn open(&self, bucket: Option<&str>, rate: Rate) -> anyhow::Result<Place> {
        let pace = Pace::of(rate);
        match self.local {
            Some(port) => local(port, &pace).await,
            None => self.on_aws(bucket, &pace).await,
        }
    }

    async fn on_aws(&self, bucket: Option<&str>, pace: &Pace) -> anyhow::Result<Place> {
        let given = |flag: &Option<String>, name| flag.clone().or_else(|| setting::text(&environment, name));
        let bucket = bucket.map(str::to_owned).or_else(|| given(&self.bucket, BUCKET.name));
        let bucket =
            bucket.context("no bucket: say --bucket NAME, set BUCKET, or say --local for the dev stack")?;
        let queue_url = given(&self.queue_url, QUEUE_URL);
        let dead_letters_url = given(&self.dead_letter_queue_url, DEAD_LETTER_QUEUE_URL);
        let config = aws_settings().await;
        anyhow::ensure!(
            config.region().is_some_and(|region| !region.as_ref().is_empty()),
            "no region: set AWS_REGION, or AWS_PROFILE to one that has it; --local needs neither"
        );
        let s3 = aws_sdk_s3::config::Builder::from(&config);
        // Who speaks for S3 at an address of its own seldom has one for every bucket.
        let s3 = s3.force_path_style(config.endpoint_url().is_some()).build();
        let sqs = aws_sdk_sqs::Client::new(&config);
        let queue = |url: String| Queue::new(sqs.clone(), url, pace.clone());
        Ok(Place {
            name: format!("bucket `{bucket}`"),
            bucket: Bucket::new(aws_sdk_s3::Client::from_conf(s3), &bucket, pace.clone()),
            queue: queue_url.map(queue),
            dead_letters: dead_letters_url.map(queue),
        })
    }

    /// The worker's own settings, read as the worker reads them; the dev stack has no other limits than
    /// the built-in ones.
    pub fn making(&self, recipe_file: Option<&str>) -> anyhow::Result<Making> {
        let from_file = recipe_file.map(read_recipe).transpose().map_err(anyhow::Error::msg)?;
        let (recipe, limits) = match self.local {
            Some(_) => (from_file.unwrap_or_default(), Limits::default()),
            None => {
                let hidden = [Config::RECIPE.name, Config::RECIPE_FILE.name];
                let config = Config::from_settings(&|name| match name {
                    name if name == BUCKET.name => Some("any".to_owned()),
                    name if from_file.is_some() && hidden.contains(&name) => None,
                    name => environment(name),
                })?;
                (from_file.unwrap_or(config.recipe), config.limits)
            }
        };
        let fingerprint = Fingerprint::of(&recipe, &limits, imaging::ENCODERS);
        Ok(Making { recipe, fingerprint })
    }
}

impl Place {
    /// The queue, where a command cannot do without.
    pub fn queue(&self) -> anyhow::Result<&Queue> {
        self.queue.as_ref().context("no queue: say --queue-url URL, or set QUEUE_URL")
    }

    /// The dead-letter queue, as told or as the queue itself tells.
    pub async fn dead_letters(&self) -> anyhow::Result<Option<Queue>> {
        match (&self.dead_letters, &self.queue) {
            (Some(told), _) => Ok(Some(told.clone())),
            (None, Some(queue)) => queue.dead_letter_queue().await,
            (None, None) => Ok(None),
        }
    }
}

/// The dev stack, whose ports lie side by side.
async fn local(port: u16, pace: &Pace) -> anyhow::Result<Place> {
    let [s3, sqs] = [endpoint(port, 1, "S3").await?, endpoint(port, 3, "SQS").await?];
    let client = stack::sqs_client(&sqs);
    let queue = |role| Some(Queue::new(client.clone(), queue_url(&sqs, role), pace.clone()));
    Ok(Place {
        name: format!("the dev stack on port {port}"),
        bucket: Bucket::new(stack::client(&s3), stack::BUCKET, pace.clone()),
        queue: queue(Role::Source),
        dead_letters: queue(Role::DeadLetters),
    })
}

/// A URL at which something answers.
async fn endpoint(port: u16, offset: u16, what: &str) -> anyhow::Result<String> {
    let at = port
        .checked_add(offset)
        .with_context(|| format!("--local={port}: there is no port {offset} above"))?;
    TcpStream::connect((Ipv4Addr::LOCALHOST, at)).await.map_err(|_| {
        anyhow::anyhow!("nothing answers for {what} on port {at}: does `darkroom dev --port {port}` run?")
    })?;
    Ok(format!("http://127.0.0.1:{at}"))
}

async fn aws_settings() -> SdkConfig {
    patient(&aws_config::defaults(BehaviorVersion::latest()).load().await)
}

/// As these commands' clients are: they try more often than a worker, and give up on an answer that does not
/// come.
pub fn patient(aws: &SdkConfig) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIME).build();
    let retries = RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS);
    aws.to_builder().retry_config(retries).timeout_config(timeouts).build()
}

#[expect(clippy::disallowed_methods, reason = "the one place of these commands that reads the environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
