//! A queue with the semantics of SQS, on the disk: visibility, receive counts, a dead-letter queue.
//!
//! At least once, in no promised order, and nothing is lost with the process. What a message says is
//! not known here.

use std::sync::Arc;
use std::time::Duration;

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Error;
use super::database::{Change, Database};

/// Id -> [`Record`] as JSON.
const MESSAGES: TableDefinition<u64, &[u8]> = TableDefinition::new("messages");
/// (visible from, ms since 1970; id), one of each message: whom to give next, without a search.
const VISIBLE_AT: TableDefinition<(u64, u64), ()> = TableDefinition::new("visible_at");
/// Id -> [`Record`] as JSON.
const DEAD: TableDefinition<u64, &[u8]> = TableDefinition::new("dead");
const IDS: &str = "message";

/// The most that one receive gives, as in SQS.
pub const MAX_BATCH: usize = 10;

/// A queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue {
    database: Arc<Database>,
    max_receive_count: u32,
}

/// A message as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub message_id: String,
    /// Names this receive of the message; a later receive makes it stale.
    pub receipt_handle: String,
    pub body: String,
    /// This receive included.
    pub receive_count: u32,
    /// Ms since 1970, UTC.
    pub first_received_ms: u64,
    /// Ms since 1970, UTC.
    pub sent_ms: u64,
}

/// A message that was received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub message_id: String,
    pub body: String,
    pub receive_count: u32,
    /// Ms since 1970, UTC.
    pub sent_ms: u64,
}

/// How many messages there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub visible: u64,
    pub in_flight: u64,
    pub dead: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Record {
    message_id: Uuid,
    body: String,
    sent_ms: u64,
    visible_at_ms: u64,
    receive_count: u32,
    first_received_ms: Option<u64>,
    /// Of the newest receive.
    receipt: Option<Uuid>,
}

impl Queue {
    /// Makes the tables where they are missing. Blocks.
    pub(super) fn open(database: Arc<Database>, max_receive_count: u32) -> Result<Self, Error> {
        database.write_now(|change| {
            change.tx.open_table(MESSAGES)?;
            change.tx.open_table(VISIBLE_AT)?;
            change.tx.open_table(DEAD)?;
            Ok(())
        })?;
        Ok(Self { database, max_receive_count })
    }

    pub async fn send(&self, body: &str) -> Result<(), Error> {
        let body = body.to_owned();
        self.database.write(move |change| enqueue(change, &body, change.now_ms)).await
    }

    /// Up to `max` visible messages, at most ten, hidden from others for `visibility_ms`. Those that
    /// were received too often go to the dead-letter queue instead.
    ///
    /// The count is on the disk before a message is given: one that kills the process each time still
    /// ends in the dead-letter queue.
    pub async fn receive(&self, max: usize, visibility_ms: u64) -> Result<Vec<Message>, Error> {
        let now = self.database.clock.now_ms();
        if self.next_visible_ms().await?.is_none_or(|next| next > now) {
            return Ok(Vec::new());
        }
        let most = self.max_receive_count;
        self.database.write(move |change| receive(change, change.now_ms, max, visibility_ms, most)).await
    }

    /// Removes the message; whether it did. A stale handle does nothing, as in SQS.
    pub async fn delete(&self, receipt_handle: &str) -> Result<bool, Error> {
        let Some((id, receipt)) = parse_handle(receipt_handle) else { return Ok(false) };
        self.database.write(move |change| delete(change, id, receipt)).await
    }

    /// Hides a message that is in flight for `visibility_ms` from now, 0 to show it at once; whether it
    /// did. A stale handle does nothing.
    pub async fn change_visibility(&self, receipt_handle: &str, visibility_ms: u64) -> Result<bool, Error> {
        let Some((id, receipt)) = parse_handle(receipt_handle) else { return Ok(false) };
        let change =
            move |change: &Change| change_visibility(change, change.now_ms, id, receipt, visibility_ms);
        self.database.write(change).await
    }

    /// Makes all that is in flight visible, receive counts kept; how many. For a clean start, when
    /// whoever received them is known to be gone.
    pub async fn release_all(&self) -> Result<usize, Error> {
        self.database.write(move |change| release_all(change, change.now_ms)).await
    }

    pub async fn counts(&self) -> Result<Counts, Error> {
        let now = self.database.clock.now_ms();
        self.database.read(move |tx| counts(tx, now)).await
    }

    /// The dead-letter queue, oldest first.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Error> {
        let dead = |tx: &ReadTransaction| {
            let mut letters = Vec::new();
            for row in tx.open_table(DEAD)?.iter()? {
                letters.push(dead_letter(parse(row?.1.value())?));
            }
            Ok(letters)
        };
        self.database.read(dead).await
    }

    /// Returns when a message may be visible, or after `timeout`. Others may be faster: receive, and
    /// wait again when there was nothing.
    pub async fn wait(&self, timeout: Duration) -> Result<(), Error> {
        let mut woken = std::pin::pin!(self.database.wake.notified());
        // Listen before looking, or what is sent between the two is missed.
        woken.as_mut().enable();
        let next = self.next_visible_ms().await?;
        let now = self.database.clock.now_ms();
        let until_next = next.map(|next| Duration::from_millis(next.saturating_sub(now)));
        let _ = tokio::time::timeout(until_next.map_or(timeout, |next| next.min(timeout)), woken).await;
        Ok(())
    }

    async fn next_visible_ms(&self) -> Result<Option<u64>, Error> {
        let next = |tx: &ReadTransaction| Ok(tx.open_table(VISIBLE_AT)?.first()?.map(|(at, _)| at.value().0));
        self.database.read(next).await
    }
}

/// Adds a message within a change that may do more.
pub(super) fn enqueue(change: &Change, body: &str, now: u64) -> Result<(), Error> {
    let record = Record {
        message_id: Uuid::now_v7(),
        body: body.to_owned(),
        sent_ms: now,
        visible_at_ms: now,
        receive_count: 0,
        first_received_ms: None,
        receipt: None,
    };
    change.wake();
    insert(change, change.next(IDS)?, &record)
}

fn receive(
    change: &Change,
    now: u64,
    max: usize,
    visibility_ms: u64,
    max_receive_count: u32,
) -> Result<Vec<Message>, Error> {
    let mut received = Vec::new();
    for id in visible(change, now, max.min(MAX_BATCH))? {
        let Some(mut record) = take(change, id)? else { continue };
        if record.receive_count >= max_receive_count {
            change.tx.open_table(DEAD)?.insert(id, &*serde_json::to_vec(&record)?)?;
            continue;
        }
        record.receive_count += 1;
        record.visible_at_ms = now.saturating_add(visibility_ms);
        let first_received_ms = *record.first_received_ms.get_or_insert(now);
        let receipt = *record.receipt.insert(Uuid::now_v7());
        insert(change, id, &record)?;
        received.push(Message {
            message_id: record.message_id.to_string(),
            receipt_handle: format!("{id:x}.{receipt}"),
            body: record.body,
            receive_count: record.receive_count,
            first_received_ms,
            sent_ms: record.sent_ms,
        });
    }
    Ok(received)
}

fn delete(change: &Change, id: u64, receipt: Uuid) -> Result<bool, Error> {
    match take(change, id)? {
        Some(record) if record.receipt == Some(receipt) => Ok(true),
        Some(stale) => insert(change, id, &stale).map(|()| false),
        None => Ok(false),
    }
}

fn change_visibility(
    change: &Change,
    now: u64,
    id: u64,
    receipt: Uuid,
    visibility_ms: u64,
) -> Result<bool, Error> {
    let Some(mut record) = take(change, id)? else { return Ok(false) };
    let in_flight = record.receipt == Some(receipt) && record.visible_at_ms > now;
    if in_flight {
        record.visible_at_ms = now.saturating_add(visibility_ms);
        change.wake();
    }
    insert(change, id, &record)?;
    Ok(in_flight)
}

fn release_all(change: &Change, now: u64) -> Result<usize, Error> {
    let hidden = ids(change, (now.saturating_add(1), 0), (u64::MAX, u64::MAX), usize::MAX)?;
    for &id in &hidden {
        if let Some(mut record) = take(change, id)? {
            record.visible_at_ms = now;
            insert(change, id, &record)?;
        }
    }
    change.wake();
    Ok(hidden.len())
}

fn counts(tx: &ReadTransaction, now: u64) -> Result<Counts, Error> {
    let index = tx.open_table(VISIBLE_AT)?;
    let visible = index.range(..=(now, u64::MAX))?.count() as u64;
    Ok(Counts { visible, in_flight: index.len()? - visible, dead: tx.open_table(DEAD)?.len()? })
}

/// Those that have been visible longest, first.
fn visible(change: &Change, now: u64, max: usize) -> Result<Vec<u64>, Error> {
    ids(change, (0, 0), (now, u64::MAX), max)
}

fn ids(change: &Change, from: (u64, u64), to: (u64, u64), max: usize) -> Result<Vec<u64>, Error> {
    let index = change.tx.open_table(VISIBLE_AT)?;
    index.range(from..=to)?.take(max).map(|row| Ok(row?.0.value().1)).collect()
}

/// Takes a message out of the table and its index.
fn take(change: &Change, id: u64) -> Result<Option<Record>, Error> {
    let mut messages = change.tx.open_table(MESSAGES)?;
    let Some(json) = messages.remove(id)? else { return Ok(None) };
    let record = parse(json.value())?;
    change.tx.open_table(VISIBLE_AT)?.remove((record.visible_at_ms, id))?;
    Ok(Some(record))
}

fn insert(change: &Change, id: u64, record: &Record) -> Result<(), Error> {
    change.tx.open_table(MESSAGES)?.insert(id, &*serde_json::to_vec(record)?)?;
    change.tx.open_table(VISIBLE_AT)?.insert((record.visible_at_ms, id), ())?;
    Ok(())
}

fn parse(json: &[u8]) -> Result<Record, Error> {
    Ok(serde_json::from_slice(json)?)
}

fn parse_handle(handle: &str) -> Option<(u64, Uuid)> {
    let (id, receipt) = handle.split_once('.')?;
    Some((u64::from_str_radix(id, 16).ok()?, Uuid::try_parse(receipt).ok()?))
}

fn dead_letter(record: Record) -> DeadLetter {
    DeadLetter {
        message_id: record.message_id.to_string(),
        body: record.body,
        receive_count: record.receive_count,
        sent_ms: record.sent_ms,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::local::Clock;

    const MAX_RECEIVE_COUNT: u32 = 3;

    fn open(dir: Option<&Path>) -> Queue {
        Queue::open(Arc::new(Database::open(dir, Clock::default()).unwrap()), MAX_RECEIVE_COUNT).unwrap()
    }

    /// The queue's own functions with the clock in hand.
    impl Queue {
        fn at<T>(&self, work: impl FnOnce(&Change) -> Result<T, Error>) -> T {
            self.database.write_now(work).unwrap()
        }

        fn send_at(&self, now: u64, body: &str) {
            self.at(|change| enqueue(change, body, now));
        }

        fn receive_at(&self, now: u64, max: usize, visibility_ms: u64) -> Vec<Message> {
            self.at(|change| receive(change, now, max, visibility_ms, self.max_receive_count))
        }

        fn delete_at(&self, handle: &str) -> bool {
            let (id, receipt) = parse_handle(handle).unwrap();
            self.at(|change| delete(change, id, receipt))
        }

        fn change_at(&self, now: u64, handle: &str, visibility_ms: u64) -> bool {
            let (id, receipt) = parse_handle(handle).unwrap();
            self.at(|change| change_visibility(change, now, id, receipt, visibility_ms))
        }
    }

    fn bodies(messages: &[Message]) -> Vec<&str> {
        messages.iter().map(|message| &*message.body).collect()
    }

    #[test]
    fn a_received_message_is_hidden_until_its_time_is_up() {
        let queue = open(None);
        queue.send_at(100, "a");
        assert_eq!(queue.receive_at(99, 10, 50).len(), 0);
        let first = queue.receive_at(100, 10, 50).remove(0);
        assert_eq!(queue.receive_at(149, 10, 50).len(), 0);
        let second = queue.receive_at(150, 10, 50).remove(0);
        assert_eq!((first.receive_count, second.receive_count), (1, 2));
        assert_eq!((second.sent_ms, second.first_received_ms), (100, 100));
        assert_eq!(first.message_id, second.message_id);
    }

    #[test]
    fn only_the_newest_handle_works() {
        let queue = open(None);
        queue.send_at(0, "a");
        let old = queue.receive_at(0, 1, 10).remove(0).receipt_handle;
        let new = queue.receive_at(10, 1, 10).remove(0).receipt_handle;
        assert!(!queue.delete_at(&old));
        assert!(!queue.change_at(15, &old, 0));
        assert!(queue.change_at(15, &new, 100));
        assert_eq!(queue.receive_at(114, 1, 10).len(), 0);
        assert!(!queue.change_at(115, &new, 0), "it is no longer in flight");
        assert!(queue.delete_at(&new), "nobody received it since");
        assert!(!queue.delete_at(&new));
    }

    #[tokio::test]
    async fn nonsense_is_no_handle() {
        let queue = open(None);
        for handle in ["", ".", "1.", "zz.0198", "1.0198", "-1.00000000-0000-0000-0000-000000000000"] {
            assert!(!queue.delete(handle).await.unwrap());
            assert!(!queue.change_visibility(handle, 0).await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_message_received_too_often_becomes_a_dead_letter_with_its_body() {
        let queue = open(None);
        queue.send_at(0, "poison");
        for count in 1..=MAX_RECEIVE_COUNT {
            assert_eq!(queue.receive_at(0, 10, 0)[0].receive_count, count);
        }
        assert_eq!(queue.counts().await.unwrap(), Counts { visible: 1, in_flight: 0, dead: 0 });
        assert_eq!(queue.receive_at(0, 10, 0).len(), 0);
        assert_eq!(queue.counts().await.unwrap(), Counts { visible: 0, in_flight: 0, dead: 1 });
        let dead = queue.dead_letters().await.unwrap();
        assert_eq!((&*dead[0].body, dead[0].receive_count), ("poison", MAX_RECEIVE_COUNT));
    }

    #[test]
    fn what_was_visible_longest_comes_first() {
        let queue = open(None);
        queue.send_at(1, "a");
        queue.send_at(2, "b");
        let a = queue.receive_at(2, 1, 5).remove(0);
        queue.send_at(3, "c");
        queue.send_at(9, "d");
        assert_eq!(a.body, "a");
        assert_eq!(bodies(&queue.receive_at(10, 10, 5)), ["b", "c", "a", "d"]);
    }

    #[test]
    fn one_receive_gives_ten_at_most() {
        let queue = open(None);
        (0..25).for_each(|n| queue.send_at(0, &n.to_string()));
        let sizes: Vec<_> = (0..4).map(|_| queue.receive_at(0, 100, 5).len()).collect();
        assert_eq!(sizes, [10, 10, 5, 0]);
    }

    #[tokio::test]
    async fn a_restart_keeps_all_and_releases_on_request() {
        let dir = tempfile::tempdir().unwrap();
        let queue = open(Some(dir.path()));
        queue.send("a").await.unwrap();
        queue.send("b").await.unwrap();
        assert_eq!(queue.receive(1, 60_000).await.unwrap()[0].body, "a");
        drop(queue);
        let queue = open(Some(dir.path()));
        assert_eq!(queue.counts().await.unwrap(), Counts { visible: 1, in_flight: 1, dead: 0 });
        assert_eq!(queue.release_all().await.unwrap(), 1);
        let again = queue.receive(10, 60_000).await.unwrap();
        assert_eq!(bodies(&again), ["b", "a"]);
        assert_eq!(again[1].receive_count, 2);
    }

    #[tokio::test]
    async fn waiting_ends_with_a_message_with_a_timeout_or_with_patience() {
        let long = Duration::from_secs(3600);
        let within = async |queue: &Queue| {
            tokio::time::timeout(Duration::from_secs(20), queue.wait(long)).await.unwrap().unwrap();
        };
        let queue = open(None);
        queue.wait(Duration::from_millis(1)).await.unwrap();

        let sender = queue.clone();
        let sent = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            sender.send("a").await.unwrap();
        });
        within(&queue).await;
        sent.await.unwrap();
        within(&queue).await;

        let message = queue.receive(1, 30).await.unwrap().remove(0);
        within(&queue).await;
        assert_eq!(queue.receive(1, 3_600_000).await.unwrap()[0].message_id, message.message_id);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Send,
        Receive { max: usize, visibility_ms: u64 },
        Delete { handle: usize },
        Change { handle: usize, visibility_ms: u64 },
        Pass { ms: u64 },
        ReleaseAll,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::Send),
            (1..4_usize, 0..20_u64).prop_map(|(max, visibility_ms)| Step::Receive { max, visibility_ms }),
            (0..8_usize).prop_map(|handle| Step::Delete { handle }),
            (0..8_usize, 0..20_u64)
                .prop_map(|(handle, visibility_ms)| Step::Change { handle, visibility_ms }),
            (0..15_u64).prop_map(|ms| Step::Pass { ms }),
            Just(Step::ReleaseAll),
        ]
    }

    /// What SQS promises, as plainly as can be.
    #[derive(Default)]
    struct Model {
        now: u64,
        sent: u64,
        alive: BTreeMap<String, Held>,
        dead: usize,
        handles: Vec<(String, String)>,
    }

    #[derive(Clone, Default)]
    struct Held {
        visible_at: u64,
        receives: u32,
        newest: Option<String>,
    }

    impl Model {
        /// The message and the handle of some earlier receive, counted from the newest.
        fn handle(&self, back: usize) -> Option<(String, String)> {
            self.handles.iter().rev().nth(back).cloned()
        }

        fn owner(&mut self, body: &str, handle: &str) -> Option<&mut Held> {
            self.alive.get_mut(body).filter(|held| held.newest.as_deref() == Some(handle))
        }

        fn received(&mut self, messages: &[Message], max: usize, visibility_ms: u64) {
            let mut due: Vec<(&String, &Held)> =
                self.alive.iter().filter(|(_, held)| held.visible_at <= self.now).collect();
            due.sort_by_key(|(body, held)| (held.visible_at, body.parse::<u64>().unwrap()));
            due.truncate(max);
            let (buried, given): (Vec<_>, Vec<_>) =
                due.into_iter().partition(|(_, held)| held.receives >= MAX_RECEIVE_COUNT);
            assert_eq!(bodies(messages), given.iter().map(|(body, _)| *body).collect::<Vec<_>>());
            let buried: Vec<String> = buried.into_iter().map(|(body, _)| body.clone()).collect();
            self.dead += buried.len();
            self.alive.retain(|body, _| !buried.contains(body));
            for message in messages {
                let held = self.alive.get_mut(&message.body).unwrap();
                held.receives += 1;
                assert_eq!(message.receive_count, held.receives);
                held.visible_at = self.now + visibility_ms;
                held.newest = Some(message.receipt_handle.clone());
                self.handles.push((message.body.clone(), message.receipt_handle.clone()));
            }
        }

        fn apply(&mut self, queue: &Queue, step: &Step) {
            match *step {
                Step::Send => {
                    self.sent += 1;
                    let body = self.sent.to_string();
                    queue.send_at(self.now, &body);
                    self.alive.insert(body, Held { visible_at: self.now, ..Held::default() });
                }
                Step::Receive { max, visibility_ms } => {
                    let messages = queue.receive_at(self.now, max, visibility_ms);
                    self.received(&messages, max, visibility_ms);
                }
                Step::Delete { handle } => {
                    let Some((body, handle)) = self.handle(handle) else { return };
                    let expected = self.owner(&body, &handle).is_some();
                    assert_eq!(queue.delete_at(&handle), expected);
                    if expected {
                        self.alive.remove(&body);
                    }
                }
                Step::Change { handle, visibility_ms } => {
                    let Some((body, handle)) = self.handle(handle) else { return };
                    let now = self.now;
                    let held = self.owner(&body, &handle).filter(|held| held.visible_at > now);
                    assert_eq!(queue.change_at(now, &handle, visibility_ms), held.is_some());
                    if let Some(held) = held {
                        held.visible_at = now + visibility_ms;
                    }
                }
                Step::Pass { ms } => self.now += ms,
                Step::ReleaseAll => {
                    let now = self.now;
                    let hidden = self.alive.values_mut().filter(|held| held.visible_at > now);
                    let released = hidden.map(|held| held.visible_at = now).count();
                    assert_eq!(queue.at(|change| release_all(change, now)), released);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_happens_the_queue_does_as_the_model(steps in prop::collection::vec(step(), 1..80)) {
            let (queue, mut model) = (open(None), Model::default());
            for step in &steps {
                model.apply(&queue, step);
            }
            let now = model.now;
            let counts = queue.database.read_now(move |tx| counts(tx, now)).unwrap();
            let visible = model.alive.values().filter(|held| held.visible_at <= model.now).count();
            prop_assert_eq!(counts.visible, visible as u64);
            prop_assert_eq!(counts.visible + counts.in_flight, model.alive.len() as u64);
            prop_assert_eq!(counts.dead, model.dead as u64);
        }
    }
}
