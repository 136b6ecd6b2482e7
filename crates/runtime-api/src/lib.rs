//! Lambda's Runtime API for one function process: what a test or a benchmark stands on that runs the real
//! binary, in whatever language it is written. Owns the protocol; knows nothing of any function.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

mod proc;

use std::collections::HashMap;
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};

const TRACE_ID: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

/// One function process at work.
pub struct Function {
    pub process: Child,
    invocations: mpsc::Sender<Invocation>,
}

/// What the function answered, and how long after it had been given the event.
#[derive(Debug)]
pub struct Answer {
    pub result: Result<Bytes, Bytes>,
    pub took: Duration,
}

struct Invocation {
    event: Vec<u8>,
    done: oneshot::Sender<Answer>,
}

struct Server {
    invocations: AsyncMutex<mpsc::Receiver<Invocation>>,
    /// Since when, and who waits for it.
    under_way: Mutex<HashMap<String, (Instant, oneshot::Sender<Answer>)>>,
    timeout: Duration,
}

impl Function {
    /// Starts `command` as Lambda would, with a `timeout` for each of its invocations; standard output is
    /// captured. What Lambda sets and `command` sets itself is as `command` has it.
    ///
    /// # Errors
    /// Where there is no free port, or no such program.
    pub async fn start(mut command: Command, timeout: Duration) -> io::Result<Self> {
        let (invocations, receiver) = mpsc::channel(1);
        let server =
            Arc::new(Server { invocations: AsyncMutex::new(receiver), under_way: Mutex::default(), timeout });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(StatusCode::ACCEPTED))
            .with_state(server);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(axum::serve(listener, router).into_future());
        let environment = [
            ("AWS_LAMBDA_RUNTIME_API", address.to_string().as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "function"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        let given: Vec<_> = command.as_std().get_envs().map(|(name, _)| name.to_owned()).collect();
        let rest = environment.into_iter().filter(|(name, _)| !given.iter().any(|given| given == name));
        let process = command.envs(rest).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        Ok(Self { process, invocations })
    }

    /// Hands the function an event and waits for its answer; `None` once the process is gone.
    pub async fn invoke(&mut self, event: Vec<u8>) -> Option<Answer> {
        let (done, answer) = oneshot::channel();
        self.invocations.send(Invocation { event, done }).await.ok()?;
        tokio::select! {
            answer = answer => answer.ok(),
            _ = self.process.wait() => None,
        }
    }

    /// Time of all cores that the process and those that it has started have taken so far, in steps of 10 ms. Linux alone tells.
    pub fn cpu(&self) -> Option<Duration> {
        let ticks: u64 = proc::tree(self.process.id()?)?.iter().map(|process| process.ticks).sum();
        Some(Duration::from_millis(10 * ticks))
    }

    /// The most memory that one of these processes has had at once, bytes. Linux alone tells.
    pub fn peak_bytes(&self) -> Option<u64> {
        proc::tree(self.process.id()?)?.iter().filter_map(|process| proc::peak_bytes(process.pid)).max()
    }
}

async fn next(State(server): State<Arc<Server>>) -> Response {
    let Some(Invocation { event, done }) = server.invocations.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let id = uuid::Uuid::now_v7().to_string();
    let deadline = SystemTime::now() + server.timeout;
    let deadline_ms = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("lambda-runtime-aws-request-id", id.as_str()),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string().as_str()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:function"),
        ("lambda-runtime-trace-id", TRACE_ID),
        ("content-type", "application/json"),
    ] {
        headers.extend(HeaderValue::from_str(value).ok().map(|value| (name.parse().ok(), value)));
    }
    if let Ok(mut under_way) = server.under_way.lock() {
        under_way.insert(id, (Instant::now(), done));
    }
    (headers, event).into_response()
}

async fn response(State(server): State<Arc<Server>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    server.finish(&id, Ok(body))
}

async fn error(State(server): State<Arc<Server>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    server.finish(&id, Err(body))
}

impl Server {
    fn finish(&self, id: &str, result: Result<Bytes, Bytes>) -> StatusCode {
        let waiting = self.under_way.lock().ok().and_then(|mut under_way| under_way.remove(id));
        let Some((since, done)) = waiting else { return StatusCode::NOT_FOUND };
        let _ = done.send(Answer { result, took: since.elapsed() });
        StatusCode::ACCEPTED
    }
}
