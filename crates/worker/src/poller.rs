//! The worker outside Lambda: polls the queue itself, in a container on ECS or Kubernetes. Takes no more
//! messages than it can work on soon, keeps them hidden while it works, and lets go of them when it is told
//! to stop. Scales by starting more of it. Never decides what becomes of an upload.

mod health;

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsMessage;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::batch::{Settled, Worker};
use crate::deadline::Deadline;
use crate::queue::{MAX_BATCH, Queue, QueueError};
use health::Health;

/// The longest that SQS waits for a message.
const LONG_POLL: Duration = Duration::from_secs(20);
/// For how long messages in hand are hidden at a time: a process that dies gives them back after this.
const HIDDEN: Duration = Duration::from_secs(120);
/// How often that is renewed: twice may fail.
const RENEWAL: Duration = Duration::from_secs(40);
/// The longest that one message may take, as under Lambda.
const MESSAGE_TIME: Duration = Duration::from_secs(15 * 60);
/// How long work that is under way may go on after a stop; ECS and Kubernetes kill after 30 s.
const STOP_TIME: Duration = Duration::from_secs(22);
/// How long a receive that is under way may go on after a stop: where there are messages, it is answered.
const LAST_ANSWER: Duration = Duration::from_secs(2);
/// Pauses after receives that failed.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Messages with their places.
type Received = Vec<(SqsMessage, OwnedSemaphorePermit)>;

#[derive(Clone)]
pub struct Poller {
    worker: Worker,
    queue: Queue,
    /// One permit for each message that may be in hand.
    places: Arc<Semaphore>,
    health: Health,
}

impl Poller {
    /// `None` where the worker was given no queue.
    pub fn new(worker: Worker) -> Option<Self> {
        // Each core has one in work; about as many again are fetched or written meanwhile.
        let places = 2 * worker.cores() + 2;
        let queue = worker.queue()?.clone();
        Some(Self { worker, queue, places: Arc::new(Semaphore::new(places)), health: Health::new() })
    }

    /// Polls until it is told to stop, then lets what is under way finish and gives back the rest.
    pub async fn run(self, mut stop: watch::Receiver<bool>, health_port: Option<u16>) {
        if let Some(port) = health_port {
            tokio::spawn(health::serve(self.health.clone(), port));
        }
        let mut in_hand = JoinSet::new();
        let mut pause = FIRST_PAUSE;
        loop {
            let mut receive = std::pin::pin!(self.receive());
            let received = tokio::select! {
                biased;
                () = told(&mut stop) => {
                    self.give_back(tokio::time::timeout(LAST_ANSWER, receive).await).await;
                    break;
                }
                received = &mut receive => received,
            };
            match received {
                Ok(messages) => {
                    pause = FIRST_PAUSE;
                    for (message, place) in messages {
                        in_hand.spawn(self.clone().work(message, place, stop.clone()));
                    }
                }
                Err(error) => {
                    tracing::error!(error = telemetry::chain(&error), "the queue could not be read");
                    let _ = tokio::time::timeout(pause, told(&mut stop)).await;
                    pause = (2 * pause).min(LONGEST_PAUSE);
                }
            }
            while in_hand.try_join_next().is_some() {}
        }
        tracing::info!(in_hand = in_hand.len(), "stops: what is under way finishes, the rest is given back");
        self.worker.begin_nothing_more();
        while in_hand.join_next().await.is_some() {}
    }

    /// What the queue gave while the stop came: otherwise it would be hidden, and in nobody's hands.
    async fn give_back(&self, last: Result<Result<Received, QueueError>, tokio::time::error::Elapsed>) {
        let Ok(Ok(messages)) = last else { return };
        for handle in messages.iter().filter_map(|(message, _)| message.receipt_handle.as_deref()) {
            if let Err(error) = self.queue.hide(handle, Duration::ZERO).await {
                tracing::warn!(error = telemetry::chain(&error), "a message is not given back at once");
            }
        }
    }

    /// As many messages as there are free places, each with its own.
    async fn receive(&self) -> Result<Received, QueueError> {
        let Ok(place) = self.places.clone().acquire_owned().await else { return Ok(Vec::new()) };
        let mut places = vec![place];
        while places.len() < MAX_BATCH
            && let Ok(more) = self.places.clone().try_acquire_owned()
        {
            places.push(more);
        }
        self.health.polls();
        let messages = self.queue.receive(places.len(), LONG_POLL, HIDDEN).await?;
        self.health.polled();
        Ok(messages.into_iter().zip(places).collect())
    }

    /// One message to its end: acknowledged, due again, or given back when there is no more time.
    async fn work(self, message: SqsMessage, _place: OwnedSemaphorePermit, stop: watch::Receiver<bool>) {
        let Some(handle) = message.receipt_handle.clone() else { return };
        let message_id = message.message_id.clone().unwrap_or_default();
        let settled = tokio::select! {
            biased; // so that a simulated run is the same every time
            settled = self.worker.settle(message, Deadline::after(MESSAGE_TIME)) => Some(settled),
            () = self.keep_hidden(&handle, &message_id) => None,
            () = out_of_time(stop) => None,
        };
        let told = match settled {
            Some(Settled::Done) => self.queue.delete(&handle).await,
            // It has been hidden until it is due.
            Some(Settled::Again) => Ok(()),
            None => {
                tracing::warn!(message_id, "cut off by the stop: given back");
                self.queue.hide(&handle, Duration::ZERO).await
            }
        };
        if let Err(error) = told {
            // It is done again, and found done.
            tracing::warn!(message_id, error = telemetry::chain(&error), "the queue did not take an answer");
        }
    }

    /// Never ends: a renewal that fails may be made up for by the next.
    async fn keep_hidden(&self, handle: &str, message_id: &str) {
        loop {
            tokio::time::sleep(RENEWAL).await;
            if let Err(error) = self.queue.hide(handle, HIDDEN).await {
                let error = telemetry::chain(&error);
                tracing::warn!(message_id, error, "the message may be given to another worker too");
            }
        }
    }
}

/// Ends when a stop was asked for and its time is up.
async fn out_of_time(mut stop: watch::Receiver<bool>) {
    told(&mut stop).await;
    tokio::time::sleep(STOP_TIME).await;
}

/// Ends when a stop was asked for, or nobody is left who could ask.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Told when the process is asked to end: by SIGTERM, as containers are, or by Ctrl-C.
pub fn stop_signal() -> std::io::Result<watch::Receiver<bool>> {
    let (stop, stopped) = watch::channel(false);
    #[cfg(unix)]
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
        let _ = stop.send(true);
        // The last receiver is gone when there is nothing left to stop.
        stop.closed().await;
    });
    Ok(stopped)
}
