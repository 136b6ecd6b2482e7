//! One instance of the worker: the real code and real clients, behind the turnstile. As a Lambda function, it
//! is handed a batch at a time; as a poller, it takes messages itself.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use aws_smithy_async::time::TimeSource;
use darkroom::local::queue::{Message, Role};
use darkroom::local::sqs;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, spawn_local};
use tokio::time::Instant;
use worker::Worker;
use worker::deadline::Deadline;
use worker::poller::Poller;

use super::clients;
use super::files;
use super::turnstile::{Caller, Turnstile};
use super::world::{BUCKET, ENDPOINT};

/// The function's timeout.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The queue's visibility timeout, as SQS advises.
pub const VISIBILITY: Duration = Duration::from_secs(6 * 60);
/// What the handler keeps back of the timeout for its answer.
const MARGIN: Duration = Duration::from_secs(1);
/// Shorter than the worker's own: a poller asks for messages all the time that it waits, which is simulated too.
const RETRY_DELAYS_S: [u64; 4] = [1, 4, 16, 60];
/// The same on every machine, whose own it makes no difference how many there are.
const CORES: NonZeroUsize = NonZeroUsize::new(2).unwrap();
/// How long ECS and Kubernetes let a process end by itself.
const STOP_TIME: Duration = Duration::from_secs(30);

/// How the worker is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Function,
    Poller,
}

/// The clock that requests are signed by. It stands still, since s3s compares it with the real one; how wrong
/// it is can be set.
#[derive(Debug, Clone)]
pub struct SigningClock {
    started: SystemTime,
    wrong_by_s: Arc<AtomicI64>,
}

impl SigningClock {
    pub fn start() -> Self {
        Self { started: SystemTime::now(), wrong_by_s: Arc::default() }
    }

    pub fn be_wrong_by(&self, s: i64) {
        self.wrong_by_s.store(s, Ordering::Relaxed);
    }
}

impl TimeSource for SigningClock {
    fn now(&self) -> SystemTime {
        let wrong_by = self.wrong_by_s.load(Ordering::Relaxed);
        let by = Duration::from_secs(wrong_by.unsigned_abs());
        if wrong_by < 0 { self.started - by } else { self.started + by }
    }
}

/// Dropped, it is gone in the middle of whatever it did.
pub struct Instance {
    pub caller: Caller,
    state: State,
}

enum State {
    Idle(Worker),
    Running(Worker, Invocation),
    /// Once it was asked to stop, it has until `due`.
    Polling {
        stop: watch::Sender<bool>,
        task: JoinHandle<()>,
        due: Option<Instant>,
    },
}

struct Invocation {
    batch: Vec<Delivery>,
    task: JoinHandle<(Result<SqsBatchResponse, String>, Instant)>,
    due: Instant,
}

/// A message on its way to a function, by the name that the ledger has for it.
#[derive(Clone)]
pub struct Delivery {
    pub name: String,
    pub message: Message,
}

/// How an invocation ended.
pub struct Ended {
    pub batch: Vec<Delivery>,
    /// What the handler returned, or how it did not.
    pub result: Result<Result<SqsBatchResponse, String>, JoinError>,
    pub was_late: bool,
}

impl Instance {
    pub fn start(
        kind: Kind,
        caller: Caller,
        turnstile: &Turnstile,
        clock: SigningClock,
        max_receive_count: u32,
    ) -> Self {
        let config = worker::Config {
            bucket: BUCKET.to_owned(),
            recipe: files::recipe(),
            limits: files::limits(),
            max_receive_count,
            retry_delays: RETRY_DELAYS_S.map(Duration::from_secs).to_vec(),
            queue_url: Some(sqs::queue_url(ENDPOINT, Role::Source)),
            health_port: None,
            event_topic_arn: None,
            event_bus: None,
            distribution_id: None,
            cores: CORES,
            is_lambda: kind == Kind::Function,
            service: "worker".to_owned(),
        };
        let clients = clients::of_worker(turnstile.gate(caller), clock, &config);
        let worker = Worker::new(config, clients);
        let state = match (kind, Poller::new(worker.clone())) {
            (Kind::Poller, Some(poller)) => {
                let (stop, stopped) = watch::channel(false);
                State::Polling { stop, task: spawn_local(poller.run(stopped, None)), due: None }
            }
            _ => State::Idle(worker),
        };
        Self { caller, state }
    }

    /// Whether it would take a batch.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle(_))
    }

    /// Whether a batch is in its hands.
    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running(..))
    }

    /// Hands a batch to a function that is idle.
    pub fn invoke(&mut self, batch: Vec<Delivery>) {
        let State::Idle(worker) = &self.state else { return };
        let (worker, handler) = (worker.clone(), worker.clone());
        let mut event = SqsEvent::default();
        event.records = batch.iter().map(as_record).collect();
        // Not through `handle`, which reads the system's clock for what is left, and does no more than that.
        let deadline = Deadline::after(TIMEOUT - MARGIN);
        let task = tokio::spawn(async move {
            let result = handler.batch(event, deadline).await.map_err(|error| error.to_string());
            (result, Instant::now())
        });
        self.state = State::Running(worker, Invocation { batch, task, due: Instant::now() + TIMEOUT });
    }

    /// The invocation, where it has ended.
    pub async fn ended(&mut self) -> Option<Ended> {
        let State::Running(worker, Invocation { task, due, batch }) = &mut self.state else { return None };
        if !task.is_finished() {
            return None;
        }
        let (result, was_late) = match task.await {
            Ok((result, at)) => (Ok(result), at > *due),
            Err(error) => (Err(error), false),
        };
        let (batch, worker) = (std::mem::take(batch), worker.clone());
        self.state = State::Idle(worker);
        Some(Ended { batch, result, was_late })
    }

    /// As SIGTERM does to a poller.
    pub fn ask_to_stop(&mut self) {
        if let State::Polling { stop, due: due @ None, .. } = &mut self.state {
            stop.send_replace(true);
            *due = Some(Instant::now() + STOP_TIME);
        }
    }

    /// What became of a poller that was asked to stop: nothing yet, or how it ended.
    pub async fn stopped(&mut self) -> Option<Stopped> {
        let State::Polling { task, due: Some(due), .. } = &mut self.state else { return None };
        if task.is_finished() {
            return Some(task.await.map_or_else(Stopped::Panicked, |()| Stopped::ByItself));
        }
        (Instant::now() > *due).then_some(Stopped::NotInTime)
    }
}

/// How a poller ended that was asked to stop.
pub enum Stopped {
    ByItself,
    /// It is still at work, and would be killed now.
    NotInTime,
    Panicked(JoinError),
}

impl Drop for Instance {
    fn drop(&mut self) {
        match &self.state {
            State::Idle(_) => {}
            State::Running(_, invocation) => invocation.task.abort(),
            State::Polling { task, .. } => task.abort(),
        }
    }
}

fn as_record(delivery: &Delivery) -> SqsMessage {
    let Delivery { name, message } = delivery;
    let mut record = SqsMessage::default();
    // Not the queue's id, by which the worker would spread its retries differently in every run.
    record.message_id = Some(name.clone());
    record.receipt_handle = Some(message.receipt_handle.clone());
    record.body = Some(message.body.clone());
    record.attributes = [("ApproximateReceiveCount", message.receive_count.to_string())]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
    record
}
