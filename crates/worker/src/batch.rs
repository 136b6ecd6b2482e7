//! Messages of the queue, one by one and in batches: every message on a task of its own, so that a panic, an
//! error or a slow record harms no neighbour. Owns what goes back to the queue and when it is due again, and
//! nothing about images or S3.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::LambdaEvent;
use tokio::time::Instant;
use tracing::Instrument;

use crate::clients::Clients;
use crate::config::Config;
use crate::deadline::Deadline;
use crate::error::{Error, FailureCode, Outcome, Retry};
use crate::notification::{self, Body, Notification};
use crate::plan::plan;
use crate::process::{Processor, ms};
use crate::queue::Queue;
use crate::report::{Invocation, Measured, Report};
use crate::retry;

/// Kept back from the deadline: the answer must be out before Lambda ends the invocation.
const MARGIN: Duration = Duration::from_millis(1000);
/// Of that margin, for telling the failure of a message that has used up all its time...
const GIVE_UP_TIME: Duration = Duration::from_millis(500);
/// ...and for telling the queue when it is due again.
const HIDE_TIME: Duration = Duration::from_millis(300);

/// A failure that no `batchItemFailures` entry can express: the whole batch comes back.
#[derive(Debug, thiserror::Error)]
#[error("a message without an id failed, so the whole batch goes back")]
pub struct NoMessageId;

/// What the queue is to be told of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Acknowledged: it is not to come back.
    Done,
    /// It is due again, and has been hidden until then where the queue could be told so.
    Again,
}

/// The worker function, less the Lambda runtime around it. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    processor: Processor,
    /// Where failed messages are hidden for a time of our own; without, the queue's visibility timeout counts.
    queue: Option<Queue>,
    max_receive_count: u32,
    retry_delays: Arc<[Duration]>,
    /// The name of this function in metrics.
    service: Arc<str>,
}

impl Worker {
    pub fn new(config: Config, clients: impl Into<Clients>) -> Self {
        let services = clients.into().services(&config);
        Self {
            processor: Processor::new(
                services.store,
                services.tell,
                services.cdn,
                config.recipe,
                config.limits,
                config.cores,
            ),
            queue: services.queue,
            max_receive_count: config.max_receive_count,
            retry_delays: config.retry_delays.into(),
            service: config.service.into(),
        }
    }

    /// Handles a batch; the ids in the answer go back to the queue, all others are done.
    pub async fn handle(&self, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, NoMessageId> {
        let LambdaEvent { payload, context } = event;
        self.invocation(payload, &Invocation::of(&context), Deadline::after(remaining(context.deadline)))
            .await
    }

    /// [`Self::handle`] with a deadline of the runtime's own clock.
    pub async fn batch(&self, event: SqsEvent, deadline: Deadline) -> Result<SqsBatchResponse, NoMessageId> {
        self.invocation(event, &Invocation::default(), deadline).await
    }

    async fn invocation(
        &self,
        event: SqsEvent,
        invocation: &Invocation,
        deadline: Deadline,
    ) -> Result<SqsBatchResponse, NoMessageId> {
        let settled = event.records.into_iter().map(async |message| {
            let message_id = message.message_id.clone();
            (message_id, self.settle_in(message, invocation, deadline).await)
        });
        let mut response = SqsBatchResponse::default();
        for (message_id, settled) in futures::future::join_all(settled).await {
            if settled == Settled::Again {
                let mut failure = BatchItemFailure::default();
                // An empty id would make SQS take the whole batch for failed, done messages too.
                failure.item_identifier = message_id.filter(|id| !id.is_empty()).ok_or(NoMessageId)?;
                response.batch_item_failures.push(failure);
            }
        }
        Ok(response)
    }

    /// One message to its end, whatever happens in it.
    pub async fn settle(&self, message: SqsMessage, deadline: Deadline) -> Settled {
        self.settle_in(message, &Invocation::default(), deadline).await
    }

    async fn settle_in(&self, message: SqsMessage, invocation: &Invocation, deadline: Deadline) -> Settled {
        let report = Report::new(&self.service, invocation, &message, receive_count(&message));
        let span = report.span();
        self.settle_one(message, report, deadline).instrument(span).await
    }

    async fn settle_one(&self, message: SqsMessage, report: Report, deadline: Deadline) -> Settled {
        let started = Instant::now();
        let receive_count = report.receive_count;
        let is_last = receive_count >= self.max_receive_count;
        let body = message.body.clone().unwrap_or_default();
        let job = self.clone().message(body.clone(), report.clone(), deadline.last_if(is_last));
        let mut task = tokio::spawn(job.in_current_span());
        let outcome = match tokio::time::timeout(deadline.left(), &mut task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => crate::process::panicked(error).outcome(),
            Err(_) => {
                task.abort();
                Error::NoTime { after_ms: ms(started.elapsed()) }.outcome()
            }
        };
        let Outcome::Retry(retry) = outcome else { return Settled::Done };
        let key = first_key(&body);
        report.goes_back(&retry, is_last, key.as_deref());
        let (message_id, code) = (message.message_id.as_deref(), retry.code.as_str());
        let (elapsed_ms, reason) = (ms(started.elapsed()), retry.reason.as_str());
        if is_last {
            tracing::error!(
                key,
                message_id,
                receive_count,
                elapsed_ms,
                code,
                reason,
                "given up: a dead letter"
            );
            self.give_up(&body, retry.code, deadline.left() + GIVE_UP_TIME).await;
        } else {
            tracing::warn!(
                key,
                message_id,
                receive_count,
                elapsed_ms,
                code,
                reason,
                "goes back to the queue"
            );
        }
        // On the last receive too: the queue takes it away when it would be given again.
        self.hide(&message, receive_count, &retry).await;
        Settled::Again
    }

    pub(crate) fn cores(&self) -> usize {
        self.processor.cores()
    }

    pub(crate) fn queue(&self) -> Option<&Queue> {
        self.queue.as_ref()
    }

    /// Begins nothing more; what is under way finishes, all else goes back to the queue.
    pub fn begin_nothing_more(&self) {
        self.processor.begin_nothing_more();
    }

    /// Hides a message until it is due again. Where that fails, the visibility timeout decides.
    async fn hide(&self, message: &SqsMessage, receive_count: u32, retry: &Retry) {
        let (Some(queue), Some(handle)) = (&self.queue, &message.receipt_handle) else { return };
        let message_id = message.message_id.as_deref().unwrap_or_default();
        let delay = match retry.at_once {
            true => Duration::ZERO,
            false => retry::delay(&self.retry_delays, receive_count, message_id),
        };
        match tokio::time::timeout(HIDE_TIME, queue.hide(handle, delay)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let error = telemetry::chain(&error);
                tracing::warn!(message_id, error, "comes back after the queue's visibility timeout");
            }
            Err(_) => tracing::warn!(message_id, "the queue does not answer"),
        }
    }

    /// Every record of one message; the message goes back when any of them must.
    async fn message(self, body: String, report: Report, deadline: Deadline) -> Outcome {
        let notifications = match notification::parse(&body) {
            Ok(Body::TestEvent) => return Outcome::Skipped("s3:TestEvent".to_owned()),
            Ok(Body::Notifications(list)) => list,
            Err(error) => return Error::from(error).outcome(),
        };
        let mut result = Outcome::Skipped("no records".to_owned());
        for notification in notifications {
            let outcome = self.notification(notification, &report, deadline).await;
            result = match (result, outcome) {
                (Outcome::Retry(one), Outcome::Retry(other)) => Outcome::Retry(one.and(other)),
                (Outcome::Retry(retry), _) => Outcome::Retry(retry),
                (_, outcome) => outcome,
            };
        }
        result
    }

    async fn notification(&self, notification: Notification, report: &Report, deadline: Deadline) -> Outcome {
        let (started, mut measured) = (Instant::now(), Measured::default());
        let result = match plan(notification.clone(), self.processor.bucket()) {
            Ok(plan) => self.processor.process(&plan, deadline, &mut measured).await,
            Err(error) => Err(error),
        };
        let outcome = result.unwrap_or_else(|error| error.outcome());
        report.settled(&notification, &outcome, &measured, started.elapsed());
        let Notification { key, event_name, .. } = notification;
        let detail = match &outcome {
            Outcome::Skipped(reason) => Some(reason.as_str()),
            Outcome::Rejected(rejection) => Some(rejection.code.as_str()),
            Outcome::Published | Outcome::Removed => None,
            // Logged once, with the message that goes back.
            Outcome::Retry(retry) => {
                let reason = format!("{key}: {}", retry.reason);
                return Outcome::Retry(Retry { reason, ..retry.clone() });
            }
        };
        let elapsed_ms = ms(started.elapsed());
        tracing::info!(key, event_name, detail, elapsed_ms, "{}", outcome.name());
        outcome
    }

    /// The last receive: the uploader is told, as far as the message can be understood at all.
    async fn give_up(&self, body: &str, code: FailureCode, time: Duration) {
        let Ok(Body::Notifications(notifications)) = notification::parse(body) else { return };
        let plans = notifications.into_iter().filter_map(|one| plan(one, self.processor.bucket()).ok());
        let told = futures::future::join_all(plans.map(async |plan| {
            if let Err(error) = self.processor.give_up(&plan, code).await {
                let error = telemetry::chain(&error);
                tracing::error!(key = %plan.source, error, "the failure could not be told in the manifest");
            }
        }));
        if tokio::time::timeout(time, told).await.is_err() {
            tracing::error!("no time to tell the failure in the manifest");
        }
    }
}

/// Of which source a message tells, or tells first: what operators search for.
fn first_key(body: &str) -> Option<String> {
    match notification::parse(body) {
        Ok(Body::Notifications(notifications)) => notifications.into_iter().next().map(|first| first.key),
        Ok(Body::TestEvent) | Err(_) => None,
    }
}

/// How often SQS has handed this message out, this time included.
fn receive_count(message: &SqsMessage) -> u32 {
    message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1)
}

/// What is left until the deadline (ms of the Unix epoch), less the margin. A deadline already past
/// when the invocation starts is an emulator's constant, and bounds nothing.
fn remaining(deadline_ms: u64) -> Duration {
    const UNBOUNDED: Duration = Duration::from_secs(15 * 60); // Lambda's longest timeout
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    match Duration::from_millis(deadline_ms).checked_sub(now) {
        Some(left) => left.saturating_sub(MARGIN),
        None => UNBOUNDED,
    }
}
