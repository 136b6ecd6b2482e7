//! In place of Lambda's event-source mapping: takes batches from the queue, invokes the worker's real
//! handler with a real deadline, and honours partial failures as `ReportBatchItemFailures` does. When a failed
//! message is due again is the worker's affair, or else the visibility timeout's.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use futures::FutureExt;
use lambda_runtime::{Context, LambdaEvent};
use tokio::sync::watch;
use tokio::task::JoinSet;
use worker::Worker;

use crate::local::queue::Message;
use crate::local::{self, Queue};

/// Lambda's default batch from a standard queue.
const BATCH: usize = 10;
/// Invocations side by side: a slow upload does not hold up the next.
const MAX_CONCURRENCY: usize = 2;
/// How long a wait for messages lasts before the stop signal is looked at again.
const POLL: Duration = Duration::from_secs(20);
#[derive(Clone)]
pub struct EventSource {
    pub queue: Queue,
    pub worker: Worker,
    pub timeout: Duration,
}

impl EventSource {
    /// Runs until told to stop, then until the batches in hand are done.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut invocations = JoinSet::new();
        loop {
            while invocations.len() >= MAX_CONCURRENCY {
                invocations.join_next().await;
            }
            let batch = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => break,
                batch = self.next_batch() => batch,
            };
            match batch {
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => drop(invocations.spawn(self.clone().invoke(messages))),
                Err(error) => {
                    tracing::error!(%error, "the queue could not be read");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
        while invocations.join_next().await.is_some() {}
    }

    async fn next_batch(&self) -> Result<Vec<Message>, local::Error> {
        self.queue.wait(POLL).await?;
        self.queue.receive(BATCH, ms(6 * self.timeout)).await
    }

    async fn invoke(self, messages: Vec<Message>) {
        let event = LambdaEvent::new(to_event(&messages), context(self.timeout));
        let handled = std::panic::AssertUnwindSafe(self.worker.handle(event)).catch_unwind().await;
        let all = || messages.iter().map(|message| message.message_id.clone()).collect();
        let failed: HashSet<String> = match handled {
            Ok(Ok(response)) => {
                response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the invocation failed; its whole batch goes back");
                all()
            }
            Err(_) => all(),
        };
        for message in &messages {
            if failed.contains(&message.message_id) {
                continue;
            }
            if let Err(error) = self.queue.delete(&message.receipt_handle).await {
                tracing::error!(%error, message.message_id, "the queue did not take an answer");
            }
        }
    }
}

/// The batch as Lambda hands it over.
pub fn to_event(messages: &[Message]) -> SqsEvent {
    let mut event = SqsEvent::default();
    event.records = messages.iter().map(to_record).collect();
    event
}

fn to_record(message: &Message) -> SqsMessage {
    let mut record = SqsMessage::default();
    record.message_id = Some(message.message_id.clone());
    record.receipt_handle = Some(message.receipt_handle.clone());
    record.body = Some(message.body.clone());
    record.event_source = Some("aws:sqs".to_owned());
    record.event_source_arn = Some(format!("arn:aws:sqs:{}:000000000000:darkroom", super::REGION));
    record.aws_region = Some(super::REGION.to_owned());
    record.attributes = [
        ("ApproximateReceiveCount", message.receive_count.to_string()),
        ("ApproximateFirstReceiveTimestamp", message.first_received_ms.to_string()),
        ("SentTimestamp", message.sent_ms.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if let Some(header) = &message.trace_header {
        record.attributes.insert("AWSTraceHeader".to_owned(), header.clone());
    }
    record
}

fn context(timeout: Duration) -> Context {
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + timeout;
    let mut context = Context::default();
    context.request_id = uuid::Uuid::now_v7().to_string();
    context.deadline = ms(deadline);
    context
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
