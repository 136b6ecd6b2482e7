//! A queue as the operators' commands see it: the only module here that names the SQS client. Sends,
//! counts, looks at what is in it and moves it; what messages say is not known here. Every request takes
//! a turn of the pace, and every message sent one more.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::Context;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, Message, QueueAttributeName, SendMessageBatchRequestEntry,
};
use serde::{Deserialize, Serialize};

use super::control::Stop;
use super::pace::{Pace, Rate};
use super::trouble::explain;

/// The most that one batch holds.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub const MAX_BATCH: usize = 10;
/// The longest that SQS keeps a message back.
pub const MAX_DELAY: Duration = Duration::from_secs(900);
/// The most that a move task may be told to move a second.
const MAX_MOVED_PER_SECOND: u32 = 500;
/// How often what a batch did not take is sent again, and the pause before.
const RESENDS: u32 = 4;
const RESEND_PAUSE: Duration = Duration::from_millis(500);
/// Asks all of a queue's servers, where a receive without it asks some.
const WAIT_S: i32 = 1;
/// Messages stay hidden for so long beyond the time of a look, which shows them again at its end: for a
/// look that is cut off.
const HIDDEN_BEYOND: Duration = Duration::from_secs(20);

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub body: String,
    /// How long nobody gets it; at most [`MAX_DELAY`].
    pub delay: Duration,
}

/// How many messages there are, about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub visible: u64,
    #[serde(rename = "inFlight")]
    pub in_flight: u64,
    pub delayed: u64,
}

impl Counts {
    pub fn all(self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// How far a look into a queue goes.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    pub messages: usize,
    pub time: Duration,
}

/// How a move task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// In SQS's words: `RUNNING`, `COMPLETED`, `CANCELLED`, `FAILED`.
    pub status: String,
    pub moved: u64,
    pub of: Option<u64>,
    pub failure: Option<String>,
}

/// A queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
    pace: Pace,
}

#[derive(Deserialize)]
struct RedrivePolicy {
    #[serde(rename = "deadLetterTargetArn")]
    target: String,
}

impl Queue {
    pub fn new(client: Client, url: impl Into<String>, pace: Pace) -> Self {
        Self { client, url: url.into(), pace }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends all of them, or fails having sent some.
    pub async fn send(&self, letters: &[Letter]) -> anyhow::Result<()> {
        for batch in letters.chunks(MAX_BATCH) {
            let mut left: Vec<&Letter> = batch.iter().collect();
            for round in 0.. {
                let refused = self.send_batch(&left).await?;
                let Some((_, why)) = refused.first() else { break };
                anyhow::ensure!(round < RESENDS, "could not send to {}: {why}", self.url);
                left = refused.iter().filter_map(|(index, _)| left.get(*index).copied()).collect();
                tokio::time::sleep(RESEND_PAUSE).await;
            }
        }
        Ok(())
    }

    /// Those that were not taken, by their place, and why; an error where another try would not help.
    async fn send_batch(&self, letters: &[&Letter]) -> anyhow::Result<Vec<(usize, String)>> {
        self.pace.take(letters.len()).await;
        let entry = |(index, letter): (usize, &&Letter)| {
            let delay_s = i32::try_from(letter.delay.min(MAX_DELAY).as_secs()).unwrap_or(0);
            SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(&letter.body)
                .set_delay_seconds((delay_s > 0).then_some(delay_s))
                .build()
        };
        let entries: Vec<_> = letters.iter().enumerate().map(entry).collect::<Result<_, _>>()?;
        let sent =
            self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await;
        let answer = sent.map_err(|error| explain(&error, &format!("send to {}", self.url)))?;
        let mut refused = Vec::new();
        for failed in answer.failed() {
            let why = format!("{}: {}", failed.code(), failed.message().unwrap_or_default());
            anyhow::ensure!(!failed.sender_fault(), "could not send to {}: {why}", self.url);
            refused.push((failed.id().parse()?, why));
        }
        Ok(refused)
    }

    pub async fn counts(&self) -> anyhow::Result<Counts> {
        use QueueAttributeName as Name;
        let names = [
            Name::ApproximateNumberOfMessages,
            Name::ApproximateNumberOfMessagesNotVisible,
            Name::ApproximateNumberOfMessagesDelayed,
        ];
        let [visible, in_flight, delayed] = self.attributes(names).await?;
        let count = |text: Option<String>| text.and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(Counts { visible: count(visible), in_flight: count(in_flight), delayed: count(delayed) })
    }

    pub async fn arn(&self) -> anyhow::Result<String> {
        let [arn] = self.attributes([QueueAttributeName::QueueArn]).await?;
        arn.with_context(|| format!("{} does not tell its ARN", self.url))
    }

    /// Where messages go that were received too often, as the queue itself says.
    pub async fn dead_letter_queue(&self) -> anyhow::Result<Option<Self>> {
        let [policy] = self.attributes([QueueAttributeName::RedrivePolicy]).await?;
        let Some(policy) = policy.filter(|policy| !policy.is_empty()) else { return Ok(None) };
        let policy: RedrivePolicy = serde_json::from_str(&policy)
            .with_context(|| format!("{} has a redrive policy that cannot be read", self.url))?;
        // arn:aws:sqs:region:account:name
        let (account, name) = policy.target.rsplit(':').nth(1).zip(policy.target.rsplit(':').next()).unzip();
        self.pace.take(1).await;
        let ask = self.client.get_queue_url().set_queue_name(name.map(str::to_owned));
        let sent = ask.set_queue_owner_aws_account_id(account.map(str::to_owned)).send().await;
        let answer = sent.map_err(|error| explain(&error, &format!("find the queue {}", policy.target)))?;
        Ok(answer.queue_url().map(|url| Self { url: url.to_owned(), ..self.clone() }))
    }

    async fn attributes<const N: usize>(
        &self,
        names: [QueueAttributeName; N],
    ) -> anyhow::Result<[Option<String>; N]> {
        self.pace.take(1).await;
        let ask = self.client.get_queue_attributes().queue_url(&self.url);
        let sent = ask.set_attribute_names(Some(names.to_vec())).send().await;
        let answer = sent.map_err(|error| explain(&error, &format!("look at queue {}", self.url)))?;
        Ok(names.map(|name| answer.attributes().and_then(|all| all.get(&name)).cloned()))
    }

    /// Reads what is in the queue, up to a bound, and shows it again at the end: whether that was all of
    /// it. Each message counts as received once more, and nobody else gets it meanwhile.
    pub async fn look(
        &self,
        bound: Bound,
        stop: &Stop,
        read: &mut (dyn FnMut(&str) + Send),
    ) -> anyhow::Result<bool> {
        let mut handles = Vec::new();
        let looked = self.receive(bound, stop, &mut handles, read).await;
        self.show(&handles).await?;
        looked
    }

    async fn receive(
        &self,
        bound: Bound,
        stop: &Stop,
        handles: &mut Vec<String>,
        read: &mut (dyn FnMut(&str) + Send),
    ) -> anyhow::Result<bool> {
        let (started, mut seen) = (Instant::now(), HashSet::new());
        while seen.len() < bound.messages && started.elapsed() < bound.time && !stop.is_asked() {
            let batch = self.receive_batch(bound.time + HIDDEN_BEYOND).await?;
            let before = seen.len();
            for message in batch {
                handles.extend(message.receipt_handle);
                if seen.insert(message.message_id) {
                    read(message.body.as_deref().unwrap_or_default());
                }
            }
            if seen.len() == before {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn receive_batch(&self, hidden: Duration) -> anyhow::Result<Vec<Message>> {
        self.pace.take(1).await;
        let ask = self.client.receive_message().queue_url(&self.url).wait_time_seconds(WAIT_S);
        let ask = ask.visibility_timeout(i32::try_from(hidden.as_secs())?).max_number_of_messages(10);
        let sent = ask.send().await;
        let answer = sent.map_err(|error| explain(&error, &format!("read queue {}", self.url)))?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// A handle that is stale by now is of a message that is visible already.
    async fn show(&self, handles: &[String]) -> anyhow::Result<()> {
        for batch in handles.chunks(MAX_BATCH) {
            self.pace.take(1).await;
            let entry = |(index, handle): (usize, &String)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(handle)
                    .visibility_timeout(0)
                    .build()
            };
            let entries: Vec<_> = batch.iter().enumerate().map(entry).collect::<Result<_, _>>()?;
            let change = self.client.change_message_visibility_batch().queue_url(&self.url);
            let sent = change.set_entries(Some(entries)).send().await;
            sent.map_err(|error| explain(&error, &format!("show again what is in {}", self.url)))?;
        }
        Ok(())
    }

    /// Has SQS move all that is in this dead-letter queue: to `destination`, or back to where it came from.
    pub async fn start_move(&self, destination: Option<&Self>, rate: Option<Rate>) -> anyhow::Result<()> {
        let source = self.arn().await?;
        let destination = match destination {
            Some(queue) => Some(queue.arn().await?),
            None => None,
        };
        self.pace.take(1).await;
        let per_second = rate.map(|rate| rate.per_second().min(MAX_MOVED_PER_SECOND).cast_signed());
        let start = self.client.start_message_move_task().source_arn(source);
        let start = start.set_destination_arn(destination).set_max_number_of_messages_per_second(per_second);
        let sent = start.send().await;
        sent.map(drop).map_err(|error| explain(&error, &format!("move what is in {}", self.url)))
    }

    /// How the newest move task stands.
    pub async fn moving(&self) -> anyhow::Result<Option<Move>> {
        let source = self.arn().await?;
        self.pace.take(1).await;
        let sent = self.client.list_message_move_tasks().source_arn(source).max_results(1).send().await;
        let answer =
            sent.map_err(|error| explain(&error, &format!("ask what is moved from {}", self.url)))?;
        let newest = answer.results().first();
        Ok(newest.map(|task| Move {
            status: task.status().unwrap_or_default().to_owned(),
            moved: task.approximate_number_of_messages_moved().unsigned_abs(),
            of: task.approximate_number_of_messages_to_move().map(i64::unsigned_abs),
            failure: task.failure_reason().map(str::to_owned),
        }))
    }
}
