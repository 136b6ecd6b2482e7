//! One SQS batch: every message on a task of its own, so that a panic, an error or a slow record harms
//! no neighbour. Owns what goes back to the queue, and nothing about images or S3.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::LambdaEvent;

use crate::config::Config;
use crate::deadline::Deadline;
use crate::error::{Error, Outcome};
use crate::notification::{self, Body, Notification};
use crate::plan::plan;
use crate::process::Processor;
use crate::store::Store;

/// Kept back from the deadline: the answer must be out before Lambda ends the invocation.
const MARGIN: Duration = Duration::from_millis(1000);
/// Of that margin, for telling the failure of a message that has used up all its time.
const GIVE_UP_TIME: Duration = Duration::from_millis(800);

/// A failure that no `batchItemFailures` entry can express: the whole batch comes back.
#[derive(Debug, thiserror::Error)]
#[error("a message without an id failed, so the whole batch goes back")]
pub struct NoMessageId;

/// The worker function, less the Lambda runtime around it. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    processor: Processor,
    max_receive_count: u32,
}

impl Worker {
    pub fn new(config: Config, client: aws_sdk_s3::Client) -> Self {
        let store = Store::new(client, config.bucket);
        Self {
            processor: Processor::new(store, config.recipe, config.limits),
            max_receive_count: config.max_receive_count,
        }
    }

    /// Handles a batch; the ids in the answer go back to the queue, all others are done.
    pub async fn handle(&self, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, NoMessageId> {
        let deadline = Deadline::after(remaining(event.context.deadline));
        let settled = event.payload.records.into_iter().map(|message| self.settle(message, deadline));
        let mut response = SqsBatchResponse::default();
        for (message_id, outcome) in futures::future::join_all(settled).await {
            if matches!(outcome, Outcome::Retry(_)) {
                let mut failure = BatchItemFailure::default();
                // An empty id would make SQS take the whole batch for failed, done messages too.
                failure.item_identifier = message_id.filter(|id| !id.is_empty()).ok_or(NoMessageId)?;
                response.batch_item_failures.push(failure);
            }
        }
        Ok(response)
    }

    /// One message to its end, whatever happens in it.
    async fn settle(&self, message: SqsMessage, deadline: Deadline) -> (Option<String>, Outcome) {
        let started = Instant::now();
        let body = message.body.clone().unwrap_or_default();
        let mut task = tokio::spawn(self.clone().message(body.clone(), deadline));
        let outcome = match tokio::time::timeout(deadline.left(), &mut task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => crate::process::panicked(error).outcome(),
            Err(_) => {
                task.abort();
                Error::NoTime { after_ms: ms(started.elapsed()) }.outcome()
            }
        };
        let receive_count = receive_count(&message);
        if let Outcome::Retry(reason) = &outcome {
            tracing::warn!(
                message_id = message.message_id,
                receive_count,
                elapsed_ms = ms(started.elapsed()),
                reason,
                "goes back to the queue"
            );
            if receive_count >= self.max_receive_count {
                self.give_up(&body, deadline.left() + GIVE_UP_TIME).await;
            }
        }
        (message.message_id, outcome)
    }

    /// Every record of one message; the message goes back when any of them must.
    async fn message(self, body: String, deadline: Deadline) -> Outcome {
        let notifications = match notification::parse(&body) {
            Ok(Body::TestEvent) => return Outcome::Skipped("s3:TestEvent".to_owned()),
            Ok(Body::Notifications(list)) => list,
            Err(error) => return Error::from(error).outcome(),
        };
        let mut result = Outcome::Skipped("no records".to_owned());
        for notification in notifications {
            let outcome = self.notification(notification, deadline).await;
            result = match (result, outcome) {
                (Outcome::Retry(one), Outcome::Retry(other)) => Outcome::Retry(format!("{one}; {other}")),
                (Outcome::Retry(reason), _) => Outcome::Retry(reason),
                (_, outcome) => outcome,
            };
        }
        result
    }

    async fn notification(&self, notification: Notification, deadline: Deadline) -> Outcome {
        let started = Instant::now();
        let (key, event_name) = (notification.key.clone(), notification.event_name.clone());
        let result = match plan(notification, self.processor.bucket()) {
            Ok(plan) => self.processor.process(&plan, deadline).await,
            Err(error) => Err(error),
        };
        let outcome = result.unwrap_or_else(|error| error.outcome());
        let detail = match &outcome {
            Outcome::Skipped(reason) => Some(reason.as_str()),
            Outcome::Rejected(rejection) => Some(rejection.code.as_str()),
            Outcome::Published | Outcome::Removed => None,
            // Logged once, with the message that goes back.
            Outcome::Retry(reason) => return Outcome::Retry(format!("{key}: {reason}")),
        };
        let elapsed_ms = ms(started.elapsed());
        tracing::info!(key, event_name, detail, elapsed_ms, "{}", outcome.name());
        outcome
    }

    /// The last receive: the uploader is told, as far as the message can be understood at all.
    async fn give_up(&self, body: &str, time: Duration) {
        let Ok(Body::Notifications(notifications)) = notification::parse(body) else { return };
        let plans = notifications.into_iter().filter_map(|one| plan(one, self.processor.bucket()).ok());
        let told = futures::future::join_all(plans.map(async |plan| {
            if let Err(error) = self.processor.give_up(&plan).await {
                tracing::error!(key = %plan.source, %error, "the failure could not be told in the manifest");
            }
        }));
        if tokio::time::timeout(time, told).await.is_err() {
            tracing::error!("no time to tell the failure in the manifest");
        }
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

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
