//! The whole system in one process: S3, SQS, event-source mapping, gateway and CDN origin around the
//! two functions' real handlers. What `darkroom dev` runs and what the tests boot. Nothing here
//! decides what becomes of an upload: the handlers do.

pub mod tokens;

mod cdn;
mod cdn_function;
mod event_source;
pub(crate) mod gateway;
mod live;
pub mod meters;
mod page;

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use contract::{KeySecrets, Layout, Limits, MediaType, Recipe};
use presign::Presign;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use worker::{Clients, Worker};

use crate::local::queue::Role;
use crate::local::{self, Local, s3, sqs};
use event_source::EventSource;
pub use event_source::to_event;
use live::Live;
use meters::Meters;
use tokens::{Secrets, Tokens};

pub const BUCKET: &str = "darkroom";
/// Fixed, and worth nothing anywhere else: every port listens on the loopback interface alone.
pub const ACCESS_KEY: &str = "darkroom";
pub const SECRET_KEY: &str = "darkroom-local-only";
pub const REGION: &str = "us-east-1";

const FUNCTION_TIMEOUT: Duration = Duration::from_secs(60);
/// Six times the function's timeout, as SQS advises.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(6 * FUNCTION_TIMEOUT.as_secs());
/// How long work in hand may go on after a shutdown was asked for.
const SHUTDOWN_TIME: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct Options {
    /// Where the state is kept; `None` keeps it in memory.
    pub dir: Option<PathBuf>,
    /// API on this port, S3, CDN and SQS on the three after it; 0 takes any four free ones.
    pub port: u16,
    pub layout: Layout,
    pub recipe: Recipe,
    pub limits: Limits,
    pub url_expiry: Duration,
    pub max_receive_count: u32,
    /// Whether queued messages go to the worker; without, they wait.
    pub run_worker: bool,
    /// How long a failed message stays hidden, by its receive count; the last one counts for the rest.
    pub retry_delays: Vec<Duration>,
    /// By which S3 dates objects and the queue hides messages.
    pub clock: local::Clock,
    /// What the page shows of the functions' metrics; whoever starts the log has them heard.
    pub meters: Meters,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dir: None,
            port: 0,
            layout: Layout::Flat,
            recipe: Recipe::default(),
            limits: Limits::default(),
            url_expiry: Duration::from_secs(900),
            max_receive_count: 10,
            run_worker: true,
            retry_delays: worker::retry::DELAYS.to_vec(),
            clock: local::Clock::default(),
            meters: Meters::default(),
        }
    }
}

/// A running stack. Dropping it stops everything at once; `shutdown` lets work in hand finish.
pub struct Stack {
    pub api_url: String,
    pub s3_url: String,
    pub cdn_url: String,
    pub sqs_url: String,
    pub queue_url: String,
    pub dead_letter_queue_url: String,
    pub local: Local,
    /// What S3 was asked through its port, by whomever.
    pub s3_requests: s3::Requests,
    pub tokens: Arc<Tokens>,
    pub worker: Worker,
    /// A real client of the stack's own S3.
    pub client: aws_sdk_s3::Client,
    /// A real client of the stack's own SQS.
    pub sqs: aws_sdk_sqs::Client,
    event_source: Part,
    servers: Part,
}

/// Tasks that end when they are told to.
struct Part {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Stack {
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let [api, s3, cdn, sqs] = listen(options.port).await?;
        let (api_url, s3_url, cdn_url, sqs_url) = (url(&api)?, url(&s3)?, url(&cdn)?, url(&sqs)?);
        let local = open(&options).await?;
        let secrets = Secrets::open(options.dir.as_deref()).context("the stack's secrets")?;
        let tokens = Arc::new(Tokens::new(&secrets));
        let (client, sqs_client) = (client(&s3_url), sqs_client(&sqs_url));
        let queue_url = sqs::queue_url(&sqs_url, Role::Source);
        let clients = Clients { sqs: Some(sqs_client.clone()), ..client.clone().into() };
        let worker = Worker::new(worker_config(&options, &queue_url), clients);
        let presign = presign(&options, &secrets, client.clone())?;

        let (mut event_source, mut servers) = (Part::new(), Part::new());
        let site = page::Config {
            cdn: cdn_url.clone(),
            s3: s3_url.clone(),
            bucket: BUCKET,
            max_bytes: options.limits.max_source_bytes,
            accepted: MediaType::ALL.map(MediaType::content_type),
        };
        let credentials =
            s3::Credentials { access_key: ACCESS_KEY.to_owned(), secret_key: SECRET_KEY.to_owned() };
        let live = Live::new(local.clone());
        let dev = live::router(live.counts(), options.meters.clone(), servers.stop.subscribe());
        let dev = dev.merge(page::router(&site));
        servers.serve(api, gateway::router(presign, tokens.clone(), dev));
        servers.tasks.spawn(live.run(servers.stop.subscribe()));
        let s3_requests = s3::Requests::default();
        servers.serve(s3, s3_requests.of(s3::router(local.objects.clone(), &credentials)));
        servers.serve(cdn, cdn::router(local.objects.clone(), &options.recipe));
        let queues = sqs::Options {
            url: sqs_url.clone(),
            visibility_timeout: VISIBILITY_TIMEOUT,
            stopped: servers.stop.subscribe(),
        };
        servers.serve(sqs, sqs::router(&local, queues));
        if options.run_worker {
            let poller =
                EventSource { queue: local.queue.clone(), worker: worker.clone(), timeout: FUNCTION_TIMEOUT };
            event_source.tasks.spawn(poller.run(event_source.stop.subscribe()));
        }
        Ok(Self {
            s3_requests,
            queue_url,
            dead_letter_queue_url: sqs::queue_url(&sqs_url, Role::DeadLetters),
            sqs: sqs_client,
            api_url,
            s3_url,
            cdn_url,
            sqs_url,
            local,
            tokens,
            worker,
            client,
            event_source,
            servers,
        })
    }

    /// Takes nothing new and lets what is in hand finish. What is still queued stays queued.
    pub async fn shutdown(self) {
        let finish = async {
            // The servers last: what is in hand still reads and writes through them.
            self.event_source.end().await;
            self.servers.end().await;
        };
        if tokio::time::timeout(SHUTDOWN_TIME, finish).await.is_err() {
            tracing::warn!("work in hand was cut off; it is done again after the next start");
        }
        self.local.close().await;
    }
}

impl Part {
    fn new() -> Self {
        Self { stop: watch::Sender::new(false), tasks: JoinSet::new() }
    }

    fn serve(&mut self, listener: TcpListener, router: axum::Router) {
        let mut stopped = self.stop.subscribe();
        self.tasks.spawn(async move {
            let stop = async move {
                let _ = stopped.wait_for(|stopped| *stopped).await;
            };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop).await {
                tracing::error!(%error, "a server ended");
            }
        });
    }

    async fn end(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Opens the state, and frees what an earlier process held when it ended.
async fn open(options: &Options) -> anyhow::Result<Local> {
    let options = local::Options {
        dir: options.dir.clone(),
        bucket: BUCKET.to_owned(),
        layout: options.layout,
        max_receive_count: options.max_receive_count,
        clock: options.clock.clone(),
    };
    let local = tokio::task::spawn_blocking(move || Local::open(&options)).await??;
    let released = local.queue.release_all().await? + local.dead_letters.release_all().await?;
    if released > 0 {
        tracing::info!(released, "messages that the last run left in hand are due again");
    }
    Ok(local)
}

fn worker_config(options: &Options, queue_url: &str) -> worker::Config {
    worker::Config {
        bucket: BUCKET.to_owned(),
        recipe: options.recipe.clone(),
        limits: options.limits.clone(),
        max_receive_count: options.max_receive_count,
        retry_delays: options.retry_delays.clone(),
        queue_url: Some(queue_url.to_owned()),
        health_port: None,
        event_topic_arn: None,
        event_bus: None,
        distribution_id: None,
        cores: worker::config::cores(),
        is_lambda: true,
        service: "worker".to_owned(),
    }
}

fn presign(options: &Options, secrets: &Secrets, client: aws_sdk_s3::Client) -> anyhow::Result<Presign> {
    let key_secret = secrets.key_secret.clone();
    let config = presign::Config {
        bucket: BUCKET.to_owned(),
        key_secrets: KeySecrets::from_settings(&move |name| {
            (name == KeySecrets::CURRENT.name).then(|| key_secret.clone())
        })?,
        layout: options.layout,
        max_source_bytes: options.limits.max_source_bytes,
        url_expiry: options.url_expiry,
        // The gateway verifies tokens, answers preflights and knows nobody without a token.
        tokens: None,
        allow_anonymous: false,
        allowed_origins: None,
        service: "presign".to_owned(),
    };
    Ok(Presign::new(config, client, SharedCredentialsProvider::new(credentials())))
}

/// A client of the local S3, as the functions on AWS have one of the real S3.
pub fn client(s3_url: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(REGION))
        .endpoint_url(s3_url)
        .credentials_provider(credentials())
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// A client of the local SQS, as pollers and operators have one of the real SQS.
pub fn sqs_client(sqs_url: &str) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
        .region(Region::from_static(REGION))
        .endpoint_url(sqs_url)
        .credentials_provider(credentials())
        .build();
    aws_sdk_sqs::Client::from_conf(config)
}

fn credentials() -> Credentials {
    Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "darkroom dev")
}

async fn listen(port: u16) -> anyhow::Result<[TcpListener; 4]> {
    let at = |offset: u16| match port {
        0 => Ok(0),
        port => port.checked_add(offset).context("--port must leave room for the three ports after it"),
    };
    let [api, s3, cdn, sqs] = [at(0)?, at(1)?, at(2)?, at(3)?];
    Ok([
        bind(api, "the API").await?,
        bind(s3, "S3").await?,
        bind(cdn, "the CDN").await?,
        bind(sqs, "SQS").await?,
    ])
}

async fn bind(port: u16, what: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "port {port}, for {what}, is taken by another program (another `darkroom dev`?); \
             `--port N` moves all four ports to N, N+1, N+2 and N+3"
        ),
        _ => anyhow::anyhow!("cannot listen on port {port}, for {what}: {error}"),
    })
}

fn url(listener: &TcpListener) -> io::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}
