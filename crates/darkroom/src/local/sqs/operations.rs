//! SQS's operations on the two queues: the wire's words on one side, [`Queue`] on the other.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::error::Error;
use super::message::{MAX_BYTES, Receipt, Received, Sent, Wanted, in_range};
use super::{Endpoint, arn, name, or_default};
use crate::local::Queue;
use crate::local::queue::{MAX_BATCH, Message, Role, Visibility};

const MAX_WAIT_SECS: i64 = 20;
const MAX_VISIBILITY_SECS: i64 = 12 * 3600;
const MAX_ENTRY_ID_CHARS: usize = 80;
const MAX_LISTED_QUEUES: i64 = 1000;
/// As many tasks as SQS remembers.
const MAX_MOVES: usize = 10;
const MAX_MOVE_RATE: i64 = 500;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfQueue {
    queue_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Send {
    queue_url: Option<String>,
    #[serde(flatten)]
    message: Sent,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Receive {
    queue_url: Option<String>,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    #[serde(default, deserialize_with = "or_default")]
    attribute_names: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    message_system_attribute_names: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    message_attribute_names: Vec<String>,
}

/// One receive of a message, and how long to hide it where that is asked for.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfMessage {
    queue_url: Option<String>,
    receipt_handle: Option<String>,
    visibility_timeout: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<T> {
    queue_url: Option<String>,
    entries: Option<Vec<Entry<T>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<T> {
    #[serde(default, deserialize_with = "or_default")]
    id: String,
    #[serde(flatten)]
    of: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfName {
    queue_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AttributesOf {
    queue_url: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListQueues {
    #[serde(default, deserialize_with = "or_default")]
    queue_name_prefix: String,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StartMove {
    source_arn: Option<String>,
    destination_arn: Option<String>,
    max_number_of_messages_per_second: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListMoves {
    source_arn: Option<String>,
    max_results: Option<i64>,
}

#[derive(Serialize)]
pub(super) struct Nothing {}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Messages {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Received>,
}

/// What became of each entry of a batch.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Done<T> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    successful: Vec<T>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<Failure>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Success {
    id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    id: String,
    sender_fault: bool,
    code: &'static str,
    message: String,
}

/// A redrive; over when it is first heard of.
#[derive(Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MoveTask {
    status: &'static str,
    source_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_number_of_messages_per_second: Option<u64>,
    approximate_number_of_messages_moved: usize,
    approximate_number_of_messages_to_move: usize,
    /// Ms since 1970, UTC.
    started_timestamp: u64,
}

impl Endpoint {
    pub(super) async fn send_message(&self, input: Send) -> Result<Receipt, Error> {
        let queue = self.queue(input.queue_url.as_deref())?;
        let (draft, mut receipt) = input.message.check()?;
        for id in queue.send_all(vec![draft]).await? {
            receipt.message_id = id.to_string();
        }
        Ok(receipt)
    }

    pub(super) async fn send_message_batch(&self, input: Batch<Sent>) -> Result<Done<Receipt>, Error> {
        let queue = self.queue(input.queue_url.as_deref())?;
        let entries = entries(input.entries, "SendMessageBatchRequestEntry")?;
        let size_bytes = entries.iter().map(|entry| entry.of.size_bytes()).sum();
        if size_bytes > MAX_BYTES {
            return Err(Error::batch_too_long(MAX_BYTES, size_bytes));
        }
        let (mut drafts, mut done) = (Vec::new(), Done::default());
        for entry in entries {
            match entry.of.check() {
                Ok((draft, mut receipt)) => {
                    receipt.id = Some(entry.id);
                    drafts.push(draft);
                    done.successful.push(receipt);
                }
                Err(error) => done.fail(entry.id, error),
            }
        }
        for (receipt, id) in done.successful.iter_mut().zip(queue.send_all(drafts).await?) {
            receipt.message_id = id.to_string();
        }
        Ok(done)
    }

    pub(super) async fn receive_message(&self, input: Receive) -> Result<Messages, Error> {
        let queue = self.queue(input.queue_url.as_deref())?;
        let most = i64::try_from(MAX_BATCH).unwrap_or(i64::MAX);
        let max = in_range("MaxNumberOfMessages", input.max_number_of_messages, 1, most)?.unwrap_or(1);
        let max = usize::try_from(max).unwrap_or(MAX_BATCH);
        let wait = in_range("WaitTimeSeconds", input.wait_time_seconds, 0, MAX_WAIT_SECS)?;
        let visibility_ms = match visibility_secs(input.visibility_timeout)? {
            Some(secs) => secs * 1000,
            None => self.options.visibility_timeout.as_secs() * 1000,
        };
        let wait = Duration::from_secs(wait.unwrap_or_default());
        let messages = self.poll(queue, max, visibility_ms, wait).await?;
        let wanted = Wanted {
            system: [input.attribute_names, input.message_system_attribute_names].concat(),
            own: input.message_attribute_names,
        };
        let messages = messages.into_iter().map(|message| Received::new(message, &wanted));
        Ok(Messages { messages: messages.collect::<Result<_, _>>()? })
    }

    /// The first messages within `wait`; none once the endpoint is told to stop.
    async fn poll(
        &self,
        queue: &Queue,
        max: usize,
        visibility_ms: u64,
        wait: Duration,
    ) -> Result<Vec<Message>, Error> {
        let until = Instant::now() + wait;
        let mut stopped = self.options.stopped.clone();
        loop {
            let messages = queue.receive(max, visibility_ms).await?;
            let left = until.saturating_duration_since(Instant::now());
            if !messages.is_empty() || left.is_zero() || *stopped.borrow() {
                return Ok(messages);
            }
            tokio::select! {
                waited = queue.wait(left) => waited?,
                Ok(_) = stopped.wait_for(|stopped| *stopped) => {}
            }
        }
    }

    pub(super) async fn delete_message(&self, input: OfMessage) -> Result<Nothing, Error> {
        let queue = self.queue(input.queue_url.as_deref())?;
        queue.delete(&handle(queue, input.receipt_handle)?).await?;
        Ok(Nothing {})
    }

    pub(super) async fn delete_message_batch(&self, input: Batch<OfMessage>) -> Result<Done<Success>, Error> {
        let queue = self.queue(input.queue_url.as_deref())?;
        let entries = entries(input.entries, "DeleteMessageBatchRequestEntry")?;
        let (mut handles, mut done) = (Vec::new(), Done::default());
        for entry in entries {
            match handle(queue, entry.of.receipt_handle) {
                Ok(handle) => {
                    handles.push(handle);
                    done.successful.push(Success { id: entry.id });
                }
                Err(error) => done.fail(entry.id, error),
            }
        }
        queue.delete_all(&handles).await?;
        Ok(done)
    }

    pub(super) async fn change_visibility(&self, input: OfMessage) -> Result<Nothing, Error> {
        let queue = self.queue(input.queue_url.as_deref())?;
        let change = visibility_change(queue, input)?;
        for outcome in queue.change_visibility_all(std::slice::from_ref(&change)).await? {
            check_change(&change.0, outcome)?;
        }
        Ok(Nothing {})
    }

    pub(super) async fn change_visibility_batch(
        &self,
        input: Batch<OfMessage>,
    ) -> Result<Done<Success>, Error> {
        let queue = self.queue(input.queue_url.as_deref())?;
        let entries = entries(input.entries, "ChangeMessageVisibilityBatchRequestEntry")?;
        let (mut ids, mut changes, mut done) = (Vec::new(), Vec::new(), Done::default());
        for entry in entries {
            match visibility_change(queue, entry.of) {
                Ok(change) => {
                    changes.push(change);
                    ids.push(entry.id);
                }
                Err(error) => done.fail(entry.id, error),
            }
        }
        let outcomes = queue.change_visibility_all(&changes).await?;
        for ((id, (handle, _)), outcome) in ids.into_iter().zip(changes).zip(outcomes) {
            match check_change(&handle, outcome) {
                Ok(()) => done.successful.push(Success { id }),
                Err(error) => done.fail(id, error),
            }
        }
        Ok(done)
    }

    pub(super) async fn purge_queue(&self, input: OfQueue) -> Result<Nothing, Error> {
        self.queue(input.queue_url.as_deref())?.purge().await?;
        Ok(Nothing {})
    }

    pub(super) fn get_queue_url(&self, input: &OfName) -> Result<Value, Error> {
        let name = input.queue_name.as_deref().ok_or_else(|| Error::missing("QueueName"))?;
        let queue = self.queue_named(name).ok_or_else(Error::no_such_queue)?;
        Ok(json!({ "QueueUrl": self.url(queue.role()) }))
    }

    pub(super) async fn get_queue_attributes(&self, input: AttributesOf) -> Result<Value, Error> {
        let queue = self.queue(input.queue_url.as_deref())?;
        let all = self.attributes(queue).await?;
        let mut asked = Map::new();
        for name in input.attribute_names {
            match all.get(&name) {
                _ if name == "All" => asked.extend(all.clone()),
                Some(value) => drop(asked.insert(name, value.clone())),
                // There could be such, but there is none here.
                None if is_attribute(&name) => {}
                None => return Err(Error::unknown_attribute(&name)),
            }
        }
        Ok(if asked.is_empty() { json!({}) } else { json!({ "Attributes": asked }) })
    }

    async fn attributes(&self, queue: &Queue) -> Result<Map<String, Value>, Error> {
        let counts = queue.counts().await?;
        let opened_secs = self.opened_ms / 1000;
        let mut attributes = Map::new();
        for (name, value) in [
            ("ApproximateNumberOfMessages", counts.visible),
            ("ApproximateNumberOfMessagesNotVisible", counts.in_flight),
            ("ApproximateNumberOfMessagesDelayed", counts.delayed),
            ("VisibilityTimeout", self.options.visibility_timeout.as_secs()),
            ("CreatedTimestamp", opened_secs),
            ("LastModifiedTimestamp", opened_secs),
            ("DelaySeconds", 0),
            ("ReceiveMessageWaitTimeSeconds", 0),
            ("MaximumMessageSize", MAX_BYTES as u64),
            // The longest there is: nothing is forgotten here.
            ("MessageRetentionPeriod", 14 * 24 * 3600),
        ] {
            attributes.insert(name.to_owned(), value.to_string().into());
        }
        attributes.insert("QueueArn".to_owned(), arn(queue.role()).into());
        attributes.insert("SqsManagedSseEnabled".to_owned(), "false".into());
        if queue.role() == Role::Source {
            let target = arn(Role::DeadLetters);
            let policy =
                json!({ "deadLetterTargetArn": target, "maxReceiveCount": queue.max_receive_count() });
            attributes.insert("RedrivePolicy".to_owned(), policy.to_string().into());
        }
        Ok(attributes)
    }

    pub(super) fn list_queues(&self, input: &ListQueues) -> Result<Value, Error> {
        let max = in_range("MaxResults", input.max_results, 1, MAX_LISTED_QUEUES)?;
        let skipped = input.next_token.as_deref().map(str::parse::<usize>).transpose();
        let skipped = skipped.map_err(|_| Error::invalid("Invalid or expired next token."))?.unwrap_or(0);
        let matching = [Role::Source, Role::DeadLetters].into_iter();
        let matching: Vec<_> =
            matching.filter(|role| name(*role).starts_with(&input.queue_name_prefix)).collect();
        let max = max.and_then(|max| usize::try_from(max).ok()).unwrap_or(matching.len());
        let page: Vec<_> = matching.iter().skip(skipped).take(max).map(|role| self.url(*role)).collect();
        let next = skipped.saturating_add(page.len());
        // Without a limit there is no token, as in SQS.
        let more = input.max_results.is_some() && next < matching.len();
        let mut answer = Map::new();
        if !page.is_empty() {
            answer.insert("QueueUrls".to_owned(), page.into());
        }
        if more {
            answer.insert("NextToken".to_owned(), next.to_string().into());
        }
        Ok(answer.into())
    }

    pub(super) fn list_dead_letter_source_queues(&self, input: OfQueue) -> Result<Value, Error> {
        let sources: Vec<_> = match self.queue(input.queue_url.as_deref())?.role() {
            Role::Source => Vec::new(),
            Role::DeadLetters => vec![self.url(Role::Source)],
        };
        // A small q: so it is in SQS.
        Ok(json!({ "queueUrls": sources }))
    }

    /// Moves at once whatever there is, at whatever rate is asked for.
    pub(super) async fn start_message_move_task(&self, input: StartMove) -> Result<Value, Error> {
        let source_arn = dead_letter_queue(input.source_arn)?;
        if let Some(destination) = &input.destination_arn {
            match role_of(destination) {
                Some(Role::Source) => {}
                Some(Role::DeadLetters) => {
                    return Err(Error::invalid("Source and destination queues must be different."));
                }
                None => return Err(Error::no_such_resource("DestinationArn")),
            }
        }
        let rate = input.max_number_of_messages_per_second;
        let rate = in_range("MaxNumberOfMessagesPerSecond", rate, 1, MAX_MOVE_RATE)?;
        let started_timestamp = self.clock.now_ms();
        let moved = self.dead_letters.move_all_back().await?;
        let handle = json!({ "taskId": Uuid::now_v7(), "sourceArn": source_arn }).to_string();
        let mut moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        if moves.len() == MAX_MOVES {
            moves.remove(0);
        }
        moves.push(MoveTask {
            status: "COMPLETED",
            source_arn,
            destination_arn: input.destination_arn,
            max_number_of_messages_per_second: rate,
            approximate_number_of_messages_moved: moved,
            approximate_number_of_messages_to_move: moved,
            started_timestamp,
        });
        Ok(json!({ "TaskHandle": BASE64_STANDARD.encode(handle) }))
    }

    pub(super) fn list_message_move_tasks(&self, input: &ListMoves) -> Result<Value, Error> {
        dead_letter_queue(input.source_arn.clone())?;
        let max = in_range("MaxResults", input.max_results, 1, 10)?.unwrap_or(1);
        let max = usize::try_from(max).unwrap_or(MAX_MOVES);
        let moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        let newest: Vec<_> = moves.iter().rev().take(max).collect();
        Ok(json!({ "Results": newest }))
    }
}

impl<T> Default for Done<T> {
    fn default() -> Self {
        Self { successful: Vec::new(), failed: Vec::new() }
    }
}

impl<T> Done<T> {
    fn fail(&mut self, id: String, error: Error) {
        let sender_fault = error.is_senders_fault();
        self.failed.push(Failure { id, sender_fault, code: error.code, message: error.message });
    }
}

/// The entries of a batch, if they are as few and as distinct as they must be.
fn entries<T>(entries: Option<Vec<Entry<T>>>, kind: &str) -> Result<Vec<Entry<T>>, Error> {
    let entries = entries.unwrap_or_default();
    if entries.is_empty() {
        return Err(Error::empty_batch(kind));
    }
    if entries.len() > MAX_BATCH {
        return Err(Error::too_many_entries(MAX_BATCH, entries.len()));
    }
    let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-');
    let mut seen = HashSet::new();
    for Entry { id, .. } in &entries {
        if id.is_empty() || id.len() > MAX_ENTRY_ID_CHARS || !id.chars().all(is_plain) {
            return Err(Error::invalid_entry_id());
        }
        if !seen.insert(id) {
            return Err(Error::repeated_entry_id(id));
        }
    }
    Ok(entries)
}

fn handle(queue: &Queue, handle: Option<String>) -> Result<String, Error> {
    let handle = handle.ok_or_else(|| Error::missing("ReceiptHandle"))?;
    if queue.is_handle(&handle) { Ok(handle) } else { Err(Error::no_handle(&handle)) }
}

fn visibility_secs(secs: Option<i64>) -> Result<Option<u64>, Error> {
    in_range("VisibilityTimeout", secs, 0, MAX_VISIBILITY_SECS)
}

/// The handle, and how long to hide its message, ms.
fn visibility_change(queue: &Queue, input: OfMessage) -> Result<(String, u64), Error> {
    let handle = handle(queue, input.receipt_handle)?;
    let secs = visibility_secs(input.visibility_timeout)?;
    Ok((handle, secs.ok_or_else(|| Error::missing("VisibilityTimeout"))? * 1000))
}

fn check_change(handle: &str, outcome: Visibility) -> Result<(), Error> {
    match outcome {
        // SQS has an error for what is visible again, and does not use it.
        Visibility::Changed | Visibility::Visible => Ok(()),
        Visibility::Gone => {
            let reason = "Message does not exist or is not available for visibility timeout change.";
            Err(Error::invalid_value("ReceiptHandle", handle, reason))
        }
    }
}

fn role_of(queue_arn: &str) -> Option<Role> {
    [Role::Source, Role::DeadLetters].into_iter().find(|role| arn(*role) == queue_arn)
}

fn dead_letter_queue(queue_arn: Option<String>) -> Result<String, Error> {
    let queue_arn = queue_arn.ok_or_else(|| Error::missing("SourceArn"))?;
    match role_of(&queue_arn) {
        Some(Role::DeadLetters) => Ok(queue_arn),
        Some(Role::Source) => Err(Error::invalid("Source queue must be configured as a Dead Letter Queue.")),
        None => Err(Error::no_such_resource("SourceArn")),
    }
}

fn is_attribute(name: &str) -> bool {
    matches!(
        name,
        "Policy" | "RedrivePolicy" | "RedriveAllowPolicy" | "KmsMasterKeyId" | "KmsDataKeyReusePeriodSeconds"
    )
}
