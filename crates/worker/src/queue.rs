//! The queue as the worker sees it. The only module that names the SQS client. Never decides what becomes
//! of a message.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsMessage;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};

use crate::store::ErrorBox;

/// The longest that SQS keeps a message hidden.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
const MAX_HIDDEN: Duration = Duration::from_secs(12 * 3600);
/// The most that one receive gives.
pub const MAX_BATCH: usize = 10;

#[derive(Debug, thiserror::Error)]
#[error("could not {what}")]
pub struct QueueError {
    what: &'static str,
    source: ErrorBox,
}

#[derive(Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }

    /// Up to `max` messages (at most ten), hidden from others for `hidden`, waiting up to `patience` for the
    /// first. As Lambda's event-source mapping hands them over.
    pub async fn receive(
        &self,
        max: usize,
        patience: Duration,
        hidden: Duration,
    ) -> Result<Vec<SqsMessage>, QueueError> {
        let receive = self.client.receive_message().queue_url(&self.url);
        let receive = receive
            .max_number_of_messages(i32::try_from(max.clamp(1, MAX_BATCH)).unwrap_or(1))
            .wait_time_seconds(seconds(patience))
            .visibility_timeout(seconds(hidden))
            .message_system_attribute_names(MessageSystemAttributeName::All);
        let received = receive.send().await.map_err(|error| failed("receive messages", error))?;
        Ok(received.messages.unwrap_or_default().into_iter().map(as_delivered).collect())
    }

    /// Hides a message that is in hand for `time` from now on; zero shows it at once.
    pub async fn hide(&self, receipt_handle: &str, time: Duration) -> Result<(), QueueError> {
        let change = self.client.change_message_visibility().queue_url(&self.url);
        let change = change.receipt_handle(receipt_handle).visibility_timeout(seconds(time.min(MAX_HIDDEN)));
        let sent = change.send().await;
        sent.map(drop).map_err(|error| failed("change the visibility of a message", error))
    }

    /// Acknowledges a message.
    pub async fn delete(&self, receipt_handle: &str) -> Result<(), QueueError> {
        let delete = self.client.delete_message().queue_url(&self.url).receipt_handle(receipt_handle);
        delete.send().await.map(drop).map_err(|error| failed("delete a message", error))
    }
}

fn as_delivered(message: Message) -> SqsMessage {
    let mut delivered = SqsMessage::default();
    delivered.message_id = message.message_id;
    delivered.receipt_handle = message.receipt_handle;
    delivered.body = message.body;
    let attributes = message.attributes.unwrap_or_default();
    delivered.attributes =
        attributes.into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect();
    delivered
}

/// Rounded to the nearest: SQS knows whole seconds only.
fn seconds(time: Duration) -> i32 {
    i32::try_from((time.as_millis() + 500) / 1000).unwrap_or(i32::MAX)
}

fn failed<E>(what: &'static str, error: SdkError<E>) -> QueueError
where
    E: std::error::Error + Send + Sync + 'static,
{
    QueueError { what, source: error.into() }
}
