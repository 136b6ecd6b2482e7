//! A queue with the semantics of SQS, on the disk, and its dead-letter queue, which is a queue like it:
//! visibility, receive counts, moves between the two.
//!
//! At least once, in no promised order, and nothing is lost with the process. What a message says is
//! not known here, nor how it is asked for.

use std::sync::{Arc, Weak};
use std::time::Duration;

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Error;
use super::database::{Change, Database};

/// Id -> [`Record`] as JSON.
type Messages = TableDefinition<'static, u64, &'static [u8]>;
/// (visible from, ms since 1970; id), one of each message: whom to give next, without a search.
type VisibleAt = TableDefinition<'static, (u64, u64), ()>;

/// Of both queues, so that a message keeps its id when it moves.
const IDS: &str = "message";
/// Where dead letters lay when nothing could be received from them; records as today's.
const FORMER_DEAD_LETTERS: Messages = TableDefinition::new("dead");

/// The most that one receive gives, as in SQS.
pub const MAX_BATCH: usize = 10;

/// A queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue {
    database: Arc<Database>,
    role: Role,
    max_receive_count: u32,
}

/// Which of the two queues one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Source,
    /// Takes what was received too often from the source; gives it without end.
    DeadLetters,
}

impl Role {
    fn messages(self) -> Messages {
        TableDefinition::new(match self {
            Self::Source => "messages",
            Self::DeadLetters => "dead_messages",
        })
    }

    fn visible_at(self) -> VisibleAt {
        TableDefinition::new(match self {
            Self::Source => "visible_at",
            Self::DeadLetters => "dead_visible_at",
        })
    }

    /// What its receipt handles start with: one of another queue is none.
    fn mark(self) -> char {
        match self {
            Self::Source => 's',
            Self::DeadLetters => 'd',
        }
    }
}

/// A message to be sent.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    pub body: String,
    /// Handed on as they are.
    pub attributes: Map<String, Value>,
    pub trace_header: Option<String>,
    /// How long it is hidden at first.
    pub delay_ms: u64,
}

impl From<&str> for Draft {
    fn from(body: &str) -> Self {
        Self { body: body.to_owned(), ..Self::default() }
    }
}

/// A message as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub message_id: String,
    /// Names this receive of the message; a later receive makes it stale.
    pub receipt_handle: String,
    pub body: String,
    pub attributes: Map<String, Value>,
    pub trace_header: Option<String>,
    /// This receive included, and those from the source queue for a dead letter.
    pub receive_count: u32,
    /// Ms since 1970, UTC.
    pub first_received_ms: u64,
    /// Ms since 1970, UTC.
    pub sent_ms: u64,
    /// Whether it came to the dead-letter queue from the source.
    pub is_dead_letter: bool,
}

/// A message as it lies in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub message_id: String,
    pub body: String,
    pub receive_count: u32,
    /// Ms since 1970, UTC.
    pub sent_ms: u64,
    /// Ms since 1970, UTC.
    pub visible_at_ms: u64,
}

/// How many messages there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub visible: u64,
    /// Received and hidden.
    pub in_flight: u64,
    /// Hidden since they were sent.
    pub delayed: u64,
}

impl Counts {
    pub fn total(self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// What became of a wish to change how long a message is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    Changed,
    /// Nothing: its time was up, and it is there for everyone again.
    Visible,
    /// Nothing: the message is gone, or was received anew.
    Gone,
}

#[derive(Clone, Serialize, Deserialize)]
struct Record {
    message_id: Uuid,
    body: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    attributes: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_header: Option<String>,
    sent_ms: u64,
    visible_at_ms: u64,
    receive_count: u32,
    first_received_ms: Option<u64>,
    /// Of the newest receive.
    receipt: Option<Uuid>,
    #[serde(default)]
    is_dead_letter: bool,
}

impl Queue {
    /// The queue and its dead-letter queue. Makes the tables where they are missing. Blocks.
    pub(super) fn open(database: Arc<Database>, max_receive_count: u32) -> Result<(Self, Self), Error> {
        database.write_now(|change| {
            for role in [Role::Source, Role::DeadLetters] {
                change.tx.open_table(role.messages())?;
                change.tx.open_table(role.visible_at())?;
            }
            adopt_former_dead_letters(change)
        })?;
        let queue = |role| Self { database: database.clone(), role, max_receive_count };
        Ok((queue(Role::Source), queue(Role::DeadLetters)))
    }

    /// To see when the state is no longer in use.
    pub(super) fn downgrade(&self) -> Weak<Database> {
        Arc::downgrade(&self.database)
    }

    pub fn role(&self) -> Role {
        self.role
    }

    /// How often a message of the source is received before it goes to the dead-letter queue instead.
    pub fn max_receive_count(&self) -> u32 {
        self.max_receive_count
    }

    pub async fn send(&self, body: &str) -> Result<(), Error> {
        self.send_all(vec![body.into()]).await.map(drop)
    }

    /// All of them or none; their message ids.
    pub async fn send_all(&self, drafts: Vec<Draft>) -> Result<Vec<Uuid>, Error> {
        self.write(move |shelf| drafts.into_iter().map(|draft| shelf.send(draft)).collect()).await
    }

    /// Up to `max` visible messages, at most ten, hidden from others for `visibility_ms`. Those that
    /// were received from the source too often go to the dead-letter queue instead.
    ///
    /// The count is on the disk before a message is given: one that kills the process each time still
    /// ends in the dead-letter queue.
    pub async fn receive(&self, max: usize, visibility_ms: u64) -> Result<Vec<Message>, Error> {
        let now = self.database.clock.now_ms();
        if self.next_visible_ms().await?.is_none_or(|next| next > now) {
            return Ok(Vec::new());
        }
        let most = self.max_receive_count;
        self.write(move |shelf| shelf.receive(max, visibility_ms, most)).await
    }

    /// Whether this could name a receive of this queue.
    pub fn is_handle(&self, receipt_handle: &str) -> bool {
        self.parse_handle(receipt_handle).is_some()
    }

    /// Removes the message; whether it did. A stale handle does nothing, as in SQS.
    pub async fn delete(&self, receipt_handle: &str) -> Result<bool, Error> {
        let handles = [receipt_handle.to_owned()];
        Ok(self.delete_all(&handles).await?.into_iter().any(|deleted| deleted))
    }

    /// [`Self::delete`] of several in one change.
    pub async fn delete_all(&self, receipt_handles: &[String]) -> Result<Vec<bool>, Error> {
        let handles: Vec<_> = receipt_handles.iter().map(|handle| self.parse_handle(handle)).collect();
        let delete = move |shelf: Shelf| handles.into_iter().map(|handle| shelf.delete(handle)).collect();
        self.write(delete).await
    }

    /// Hides a message that is in flight for `visibility_ms` from now, 0 to show it at once; whether it
    /// did. A stale handle does nothing.
    pub async fn change_visibility(&self, receipt_handle: &str, visibility_ms: u64) -> Result<bool, Error> {
        let change = [(receipt_handle.to_owned(), visibility_ms)];
        let done = self.change_visibility_all(&change).await?;
        Ok(done.contains(&Visibility::Changed))
    }

    /// [`Self::change_visibility`] of several in one change.
    pub async fn change_visibility_all(&self, changes: &[(String, u64)]) -> Result<Vec<Visibility>, Error> {
        let changes: Vec<_> = changes
            .iter()
            .map(|(handle, visibility_ms)| (self.parse_handle(handle), *visibility_ms))
            .collect();
        let change = move |shelf: Shelf| {
            changes.into_iter().map(|(handle, ms)| shelf.change_visibility(handle, ms)).collect()
        };
        self.write(change).await
    }

    /// Makes all that is in flight visible, receive counts kept; how many. For a clean start, when
    /// whoever received them is known to be gone.
    pub async fn release_all(&self) -> Result<usize, Error> {
        self.write(|shelf| shelf.release_all()).await
    }

    /// Moves what is visible in the dead-letter queue to the source as new messages, which are received
    /// as often as any; how many. None from the source itself.
    pub async fn move_all_back(&self) -> Result<usize, Error> {
        match self.role {
            Role::Source => Ok(0),
            Role::DeadLetters => self.write(|shelf| shelf.move_all_back()).await,
        }
    }

    /// Removes every message, in flight or not; how many.
    pub async fn purge(&self) -> Result<u64, Error> {
        self.write(|shelf| shelf.purge()).await
    }

    pub async fn counts(&self) -> Result<Counts, Error> {
        let (role, now) = (self.role, self.database.clock.now_ms());
        self.database.read(move |tx| counts(tx, role, now)).await
    }

    /// All messages, in the order in which they become visible. Looking is not receiving.
    pub async fn peek(&self) -> Result<Vec<Held>, Error> {
        let role = self.role;
        let peek = move |tx: &ReadTransaction| {
            let messages = tx.open_table(role.messages())?;
            let mut held = Vec::new();
            for row in tx.open_table(role.visible_at())?.iter()? {
                let Some(json) = messages.get(row?.0.value().1)? else { continue };
                held.push(self::held(parse(json.value())?));
            }
            Ok(held)
        };
        self.database.read(peek).await
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
        let role = self.role;
        let next = move |tx: &ReadTransaction| {
            Ok(tx.open_table(role.visible_at())?.first()?.map(|(at, _)| at.value().0))
        };
        self.database.read(next).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(Shelf) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let role = self.role;
        self.database.write(move |change| work(Shelf { change, role })).await
    }

    fn parse_handle(&self, handle: &str) -> Option<Handle> {
        let (id, receipt) = handle.strip_prefix(self.role.mark())?.split_once('.')?;
        Some(Handle { id: u64::from_str_radix(id, 16).ok()?, receipt: Uuid::try_parse(receipt).ok()? })
    }
}

/// A receipt handle, taken apart.
#[derive(Clone, Copy)]
struct Handle {
    id: u64,
    receipt: Uuid,
}

/// Sends to the source within a change that may do more.
pub(super) fn enqueue(change: &Change, body: &str) -> Result<(), Error> {
    Shelf { change, role: Role::Source }.send(body.into()).map(drop)
}

/// One queue's messages within a change.
struct Shelf<'a> {
    change: &'a Change,
    role: Role,
}

impl Shelf<'_> {
    fn send(&self, draft: Draft) -> Result<Uuid, Error> {
        let now = self.change.now_ms;
        let record = Record {
            message_id: Uuid::now_v7(),
            body: draft.body,
            attributes: draft.attributes,
            trace_header: draft.trace_header,
            sent_ms: now,
            visible_at_ms: now.saturating_add(draft.delay_ms),
            receive_count: 0,
            first_received_ms: None,
            receipt: None,
            is_dead_letter: false,
        };
        self.change.wake();
        self.insert(self.change.next(IDS)?, &record)?;
        Ok(record.message_id)
    }

    fn receive(&self, max: usize, visibility_ms: u64, most: u32) -> Result<Vec<Message>, Error> {
        let now = self.change.now_ms;
        let mut received = Vec::new();
        for id in self.visible(max.min(MAX_BATCH))? {
            let Some(mut record) = self.take(id)? else { continue };
            if self.role == Role::Source && record.receive_count >= most {
                self.bury(id, record)?;
                continue;
            }
            record.receive_count += 1;
            record.visible_at_ms = now.saturating_add(visibility_ms);
            let first_received_ms = *record.first_received_ms.get_or_insert(now);
            let receipt = *record.receipt.insert(Uuid::now_v7());
            self.insert(id, &record)?;
            received.push(Message {
                message_id: record.message_id.to_string(),
                receipt_handle: format!("{}{id:x}.{receipt}", self.role.mark()),
                body: record.body,
                attributes: record.attributes,
                trace_header: record.trace_header,
                receive_count: record.receive_count,
                first_received_ms,
                sent_ms: record.sent_ms,
                is_dead_letter: record.is_dead_letter,
            });
        }
        Ok(received)
    }

    /// To the dead-letter queue: as it is, its receive count too, as SQS does.
    fn bury(&self, id: u64, record: Record) -> Result<(), Error> {
        let visible_at_ms = self.change.now_ms;
        let record = Record { visible_at_ms, receipt: None, is_dead_letter: true, ..record };
        self.change.wake();
        Shelf { change: self.change, role: Role::DeadLetters }.insert(id, &record)
    }

    fn delete(&self, handle: Option<Handle>) -> Result<bool, Error> {
        let Some(Handle { id, receipt }) = handle else { return Ok(false) };
        match self.take(id)? {
            Some(record) if record.receipt == Some(receipt) => Ok(true),
            Some(stale) => self.insert(id, &stale).map(|()| false),
            None => Ok(false),
        }
    }

    fn change_visibility(&self, handle: Option<Handle>, visibility_ms: u64) -> Result<Visibility, Error> {
        let Some(Handle { id, receipt }) = handle else { return Ok(Visibility::Gone) };
        let Some(mut record) = self.take(id)? else { return Ok(Visibility::Gone) };
        let now = self.change.now_ms;
        let outcome = match record.visible_at_ms > now {
            _ if record.receipt != Some(receipt) => Visibility::Gone,
            false => Visibility::Visible,
            true => Visibility::Changed,
        };
        if outcome == Visibility::Changed {
            record.visible_at_ms = now.saturating_add(visibility_ms);
            self.change.wake();
        }
        self.insert(id, &record)?;
        Ok(outcome)
    }

    fn release_all(&self) -> Result<usize, Error> {
        let now = self.change.now_ms;
        let mut released = 0;
        for id in self.ids((now.saturating_add(1), 0), (u64::MAX, u64::MAX), usize::MAX)? {
            let Some(mut record) = self.take(id)? else { continue };
            if record.receipt.is_some() {
                record.visible_at_ms = now;
                released += 1;
            }
            self.insert(id, &record)?;
        }
        self.change.wake();
        Ok(released)
    }

    fn move_all_back(&self) -> Result<usize, Error> {
        let source = Shelf { change: self.change, role: Role::Source };
        let mut moved = 0;
        for id in self.visible(usize::MAX)? {
            let Some(record) = self.take(id)? else { continue };
            let Record { body, attributes, trace_header, .. } = record;
            source.send(Draft { body, attributes, trace_header, delay_ms: 0 })?;
            moved += 1;
        }
        Ok(moved)
    }

    fn purge(&self) -> Result<u64, Error> {
        let mut messages = self.change.tx.open_table(self.role.messages())?;
        let count = messages.len()?;
        messages.retain(|_, _| false)?;
        self.change.tx.open_table(self.role.visible_at())?.retain(|_, ()| false)?;
        Ok(count)
    }

    /// Those that have been visible longest, first.
    fn visible(&self, max: usize) -> Result<Vec<u64>, Error> {
        self.ids((0, 0), (self.change.now_ms, u64::MAX), max)
    }

    fn ids(&self, from: (u64, u64), to: (u64, u64), max: usize) -> Result<Vec<u64>, Error> {
        let index = self.change.tx.open_table(self.role.visible_at())?;
        index.range(from..=to)?.take(max).map(|row| Ok(row?.0.value().1)).collect()
    }

    /// Takes a message out of the table and its index.
    fn take(&self, id: u64) -> Result<Option<Record>, Error> {
        let mut messages = self.change.tx.open_table(self.role.messages())?;
        let Some(json) = messages.remove(id)? else { return Ok(None) };
        let record = parse(json.value())?;
        self.change.tx.open_table(self.role.visible_at())?.remove((record.visible_at_ms, id))?;
        Ok(Some(record))
    }

    fn insert(&self, id: u64, record: &Record) -> Result<(), Error> {
        let json = serde_json::to_vec(record)?;
        self.change.tx.open_table(self.role.messages())?.insert(id, &*json)?;
        self.change.tx.open_table(self.role.visible_at())?.insert((record.visible_at_ms, id), ())?;
        Ok(())
    }
}

/// A folder of before is as good as a new one.
fn adopt_former_dead_letters(change: &Change) -> Result<(), Error> {
    let shelf = Shelf { change, role: Role::Source };
    let former = change.tx.open_table(FORMER_DEAD_LETTERS)?;
    for row in former.iter()? {
        let (id, json) = row?;
        shelf.bury(id.value(), parse(json.value())?)?;
    }
    change.tx.delete_table(former)?;
    Ok(())
}

fn counts(tx: &ReadTransaction, role: Role, now: u64) -> Result<Counts, Error> {
    let (index, messages) = (tx.open_table(role.visible_at())?, tx.open_table(role.messages())?);
    let mut counts = Counts { visible: index.range(..=(now, u64::MAX))?.count() as u64, ..Counts::default() };
    for row in index.range((now.saturating_add(1), 0)..)? {
        let Some(json) = messages.get(row?.0.value().1)? else { continue };
        match parse(json.value())?.receipt {
            Some(_) => counts.in_flight += 1,
            None => counts.delayed += 1,
        }
    }
    Ok(counts)
}

fn parse(json: &[u8]) -> Result<Record, Error> {
    Ok(serde_json::from_slice(json)?)
}

fn held(record: Record) -> Held {
    Held {
        message_id: record.message_id.to_string(),
        body: record.body,
        receive_count: record.receive_count,
        sent_ms: record.sent_ms,
        visible_at_ms: record.visible_at_ms,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};

    use proptest::prelude::*;

    use super::*;
    use crate::local::Clock;

    const MAX_RECEIVE_COUNT: u32 = 3;

    fn open(dir: Option<&Path>) -> (Queue, Queue) {
        let database = Database::open(dir, Clock::default()).unwrap();
        Queue::open(Arc::new(database), MAX_RECEIVE_COUNT).unwrap()
    }

    /// Both queues, and the clock in hand.
    struct Timed {
        source: Queue,
        dead_letters: Queue,
        clock: Arc<AtomicU64>,
    }

    impl Timed {
        fn new() -> Self {
            let clock = Arc::new(AtomicU64::new(0));
            let hand = clock.clone();
            let database = Database::open(None, Clock::new(move || hand.load(Ordering::Relaxed))).unwrap();
            let (source, dead_letters) = Queue::open(Arc::new(database), MAX_RECEIVE_COUNT).unwrap();
            Self { source, dead_letters, clock }
        }

        fn at(&self, now: u64) -> &Self {
            self.clock.store(now, Ordering::Relaxed);
            self
        }

        fn queue(&self, role: Role) -> &Queue {
            if role == Role::Source { &self.source } else { &self.dead_letters }
        }

        fn work<T>(&self, role: Role, work: impl FnOnce(Shelf) -> Result<T, Error>) -> T {
            self.source.database.write_now(|change| work(Shelf { change, role })).unwrap()
        }

        fn send(&self, body: &str) {
            self.work(Role::Source, |shelf| shelf.send(body.into()));
        }

        fn receive(&self, max: usize, visibility_ms: u64) -> Vec<Message> {
            self.receive_from(Role::Source, max, visibility_ms)
        }

        fn receive_from(&self, role: Role, max: usize, visibility_ms: u64) -> Vec<Message> {
            self.work(role, |shelf| shelf.receive(max, visibility_ms, MAX_RECEIVE_COUNT))
        }

        fn delete(&self, role: Role, handle: &str) -> bool {
            let handle = self.queue(role).parse_handle(handle);
            self.work(role, |shelf| shelf.delete(handle))
        }

        fn change(&self, role: Role, handle: &str, visibility_ms: u64) -> Visibility {
            let handle = self.queue(role).parse_handle(handle);
            self.work(role, |shelf| shelf.change_visibility(handle, visibility_ms))
        }

        fn counts(&self, role: Role) -> Counts {
            let now = self.clock.load(Ordering::Relaxed);
            self.source.database.read_now(move |tx| counts(tx, role, now)).unwrap()
        }

        /// Sends a message and receives it until it is in the dead-letter queue.
        fn send_dead(&self, body: &str) {
            self.send(body);
            (0..MAX_RECEIVE_COUNT).for_each(|_| assert_eq!(self.receive(1, 0).len(), 1));
            assert_eq!(self.receive(1, 0).len(), 0);
        }
    }

    fn bodies(messages: &[Message]) -> Vec<&str> {
        messages.iter().map(|message| &*message.body).collect()
    }

    #[test]
    fn a_received_message_is_hidden_until_its_time_is_up() {
        let queue = Timed::new();
        queue.at(100).send("a");
        assert_eq!(queue.at(99).receive(10, 50).len(), 0);
        let first = queue.at(100).receive(10, 50).remove(0);
        assert_eq!(queue.at(149).receive(10, 50).len(), 0);
        let second = queue.at(150).receive(10, 50).remove(0);
        assert_eq!((first.receive_count, second.receive_count), (1, 2));
        assert_eq!((second.sent_ms, second.first_received_ms), (100, 100));
        assert_eq!(first.message_id, second.message_id);
    }

    #[test]
    fn a_delayed_message_is_neither_visible_nor_in_flight_before_its_time() {
        let queue = Timed::new();
        queue.work(Role::Source, |shelf| shelf.send(Draft { delay_ms: 50, .."a".into() }));
        assert_eq!(queue.counts(Role::Source), Counts { delayed: 1, ..Counts::default() });
        assert_eq!(queue.work(Role::Source, |shelf| shelf.release_all()), 0);
        assert_eq!(queue.at(49).receive(1, 0).len(), 0);
        assert_eq!(queue.at(50).counts(Role::Source), Counts { visible: 1, ..Counts::default() });
        assert_eq!(queue.receive(1, 10).len(), 1);
        assert_eq!(queue.counts(Role::Source), Counts { in_flight: 1, ..Counts::default() });
    }

    #[test]
    fn only_the_newest_handle_works() {
        let queue = Timed::new();
        queue.send("a");
        let old = queue.receive(1, 10).remove(0).receipt_handle;
        let new = queue.at(10).receive(1, 10).remove(0).receipt_handle;
        queue.at(15);
        assert!(!queue.delete(Role::Source, &old));
        assert_eq!(queue.change(Role::Source, &old, 0), Visibility::Gone);
        assert_eq!(queue.change(Role::Source, &new, 100), Visibility::Changed);
        assert_eq!(queue.at(114).receive(1, 10).len(), 0);
        queue.at(115);
        assert_eq!(queue.change(Role::Source, &new, 0), Visibility::Visible, "it is no longer in flight");
        assert!(queue.delete(Role::Source, &new), "nobody received it since");
        assert!(!queue.delete(Role::Source, &new));
        assert_eq!(queue.change(Role::Source, &new, 0), Visibility::Gone);
    }

    #[tokio::test]
    async fn nonsense_and_another_queues_handle_are_no_handles() {
        let queue = Timed::new();
        queue.send("a");
        let message = queue.receive(1, 10).remove(0);
        let foreign = message.receipt_handle.replacen('s', "d", 1);
        for handle in
            ["", ".", "s", "s1.", "szz.0198", "1.0198", "s-1.00000000-0000-0000-0000-000000000000", &*foreign]
        {
            assert!(!queue.source.is_handle(handle), "{handle}");
            assert!(!queue.source.delete(handle).await.unwrap());
            assert!(!queue.source.change_visibility(handle, 0).await.unwrap());
        }
        assert!(queue.source.is_handle(&message.receipt_handle));
        assert!(!queue.dead_letters.is_handle(&message.receipt_handle));
    }

    #[tokio::test]
    async fn a_message_received_too_often_becomes_a_dead_letter_and_stays_what_it_was() {
        let queue = Timed::new();
        queue.at(7).send("poison");
        let mut last = None;
        for count in 1..=MAX_RECEIVE_COUNT {
            let message = queue.at(8).receive(10, 0).remove(0);
            assert_eq!((message.receive_count, message.is_dead_letter), (count, false));
            last = Some(message);
        }
        assert_eq!(queue.counts(Role::Source), Counts { visible: 1, ..Counts::default() });
        assert_eq!(queue.counts(Role::DeadLetters), Counts::default());
        assert_eq!(queue.at(9).receive(10, 0).len(), 0);
        assert_eq!(queue.counts(Role::Source), Counts::default());
        let last = last.unwrap();
        assert!(!queue.delete(Role::Source, &last.receipt_handle), "it is gone from there");
        let held = queue.dead_letters.peek().await.unwrap().remove(0);
        assert_eq!((held.receive_count, held.sent_ms, held.visible_at_ms), (MAX_RECEIVE_COUNT, 7, 9));
        for count in 1..5 {
            let dead = queue.receive_from(Role::DeadLetters, 10, 0).remove(0);
            assert_eq!(dead.receive_count, MAX_RECEIVE_COUNT + count, "it counts on, without end");
            assert!(dead.is_dead_letter);
            assert_eq!(dead.message_id, last.message_id);
            assert_eq!((&*dead.body, dead.sent_ms, dead.first_received_ms), ("poison", 7, 8));
        }
    }

    #[tokio::test]
    async fn dead_letters_that_are_visible_go_back_as_new_messages() {
        let queue = Timed::new();
        queue.work(Role::Source, |shelf| {
            let attributes = Map::from_iter([("a".to_owned(), Value::from("b"))]);
            shelf.send(Draft { attributes, trace_header: Some("trace".to_owned()), .."first".into() })
        });
        (0..=MAX_RECEIVE_COUNT).for_each(|_| drop(queue.receive(1, 0)));
        queue.send_dead("second");
        let held = queue.receive_from(Role::DeadLetters, 1, 100).remove(0);
        assert_eq!(held.body, "first");
        assert_eq!(queue.source.move_all_back().await.unwrap(), 0);
        assert_eq!(queue.at(50).dead_letters.move_all_back().await.unwrap(), 1);
        let second = queue.receive(10, 1000).remove(0);
        assert_eq!((&*second.body, second.receive_count), ("second", 1));
        assert_eq!((second.sent_ms, second.first_received_ms, second.is_dead_letter), (50, 50, false));
        assert_eq!(queue.at(100).dead_letters.move_all_back().await.unwrap(), 1);
        let first = queue.receive(10, 1000).remove(0);
        assert_eq!((&*first.body, first.receive_count), ("first", 1));
        assert_eq!((&first.attributes["a"], first.trace_header.as_deref()), (&"b".into(), Some("trace")));
        assert_ne!(first.message_id, held.message_id);
        assert!(!queue.delete(Role::DeadLetters, &held.receipt_handle));
        assert_eq!(queue.counts(Role::DeadLetters), Counts::default());
    }

    #[tokio::test]
    async fn a_folder_with_dead_letters_of_before_opens_with_them() {
        let dir = tempfile::tempdir().unwrap();
        let json = r#"{"message_id":"01936fd1-3a4e-7000-8000-000000000001","body":"poison","sent_ms":5,
            "visible_at_ms":6,"receive_count":3,"first_received_ms":6,
            "receipt":"01936fd1-3a4e-7000-8000-000000000002"}"#;
        let database = Database::open(Some(dir.path()), Clock::default()).unwrap();
        let former = |change: &Change| {
            change.tx.open_table(FORMER_DEAD_LETTERS)?.insert(1, json.as_bytes())?;
            change.next(IDS)
        };
        database.write_now(former).unwrap();
        drop(database);
        for _ in 0..2 {
            let (_, dead_letters) = open(Some(dir.path()));
            let dead = dead_letters.receive(10, 0).await.unwrap();
            assert_eq!(bodies(&dead), ["poison"]);
            assert_eq!((dead[0].sent_ms, dead[0].is_dead_letter), (5, true));
        }
    }

    #[test]
    fn a_purge_leaves_nothing_in_its_queue_and_all_in_the_other() {
        let queue = Timed::new();
        queue.send_dead("dead");
        (0..3).for_each(|n| queue.send(&n.to_string()));
        queue.receive(1, 1000);
        assert_eq!(queue.work(Role::Source, |shelf| shelf.purge()), 3);
        assert_eq!((queue.counts(Role::Source).total(), queue.counts(Role::DeadLetters).total()), (0, 1));
        queue.send("after");
        assert_eq!(bodies(&queue.receive(1, 0)), ["after"]);
    }

    #[test]
    fn what_was_visible_longest_comes_first() {
        let queue = Timed::new();
        queue.at(1).send("a");
        queue.at(2).send("b");
        let a = queue.receive(1, 5).remove(0);
        queue.at(3).send("c");
        queue.at(9).send("d");
        assert_eq!(a.body, "a");
        assert_eq!(bodies(&queue.at(10).receive(10, 5)), ["b", "c", "a", "d"]);
    }

    #[test]
    fn one_receive_gives_ten_at_most() {
        let queue = Timed::new();
        (0..25).for_each(|n| queue.send(&n.to_string()));
        let sizes: Vec<_> = (0..4).map(|_| queue.receive(100, 5).len()).collect();
        assert_eq!(sizes, [10, 10, 5, 0]);
    }

    #[tokio::test]
    async fn a_restart_keeps_all_and_releases_on_request() {
        let dir = tempfile::tempdir().unwrap();
        let (queue, dead_letters) = open(Some(dir.path()));
        queue.send("a").await.unwrap();
        queue.send("b").await.unwrap();
        assert_eq!(queue.receive(1, 60_000).await.unwrap()[0].body, "a");
        drop((queue, dead_letters));
        let (queue, _) = open(Some(dir.path()));
        assert_eq!(queue.counts().await.unwrap(), Counts { visible: 1, in_flight: 1, delayed: 0 });
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
        let (queue, _) = open(None);
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
        Send { delay_ms: u64 },
        Receive { role: Role, max: usize, visibility_ms: u64 },
        Delete { handle: usize },
        Change { handle: usize, visibility_ms: u64 },
        Pass { ms: u64 },
        ReleaseAll { role: Role },
        MoveAllBack,
    }

    fn role() -> impl Strategy<Value = Role> {
        prop_oneof![4 => Just(Role::Source), 1 => Just(Role::DeadLetters)]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => prop_oneof![3 => Just(0), 1 => 0..20_u64].prop_map(|delay_ms| Step::Send { delay_ms }),
            6 => (role(), 1..4_usize, 0..20_u64)
                .prop_map(|(role, max, visibility_ms)| Step::Receive { role, max, visibility_ms }),
            2 => (0..8_usize).prop_map(|handle| Step::Delete { handle }),
            4 => (0..8_usize, 0..20_u64)
                .prop_map(|(handle, visibility_ms)| Step::Change { handle, visibility_ms }),
            4 => (0..15_u64).prop_map(|ms| Step::Pass { ms }),
            1 => role().prop_map(|role| Step::ReleaseAll { role }),
            1 => Just(Step::MoveAllBack),
        ]
    }

    /// What SQS promises, as plainly as can be.
    #[derive(Default)]
    struct Model {
        now: u64,
        /// Sent or moved back so far; orders what is visible from the same moment on.
        sent: u64,
        alive: BTreeMap<String, Kept>,
        /// Where it was received, its body and the handle.
        handles: Vec<(Role, String, String)>,
    }

    #[derive(Clone)]
    struct Kept {
        role: Role,
        number: u64,
        visible_at: u64,
        receives: u32,
        newest: Option<String>,
    }

    impl Model {
        /// Some earlier receive, counted from the newest.
        fn handle(&self, back: usize) -> Option<(Role, String, String)> {
            self.handles.iter().rev().nth(back).cloned()
        }

        fn owner(&mut self, body: &str, handle: &str) -> Option<&mut Kept> {
            self.alive.get_mut(body).filter(|kept| kept.newest.as_deref() == Some(handle))
        }

        fn fresh(&mut self, body: String, visible_at: u64) {
            self.sent += 1;
            let kept = Kept { role: Role::Source, number: self.sent, visible_at, receives: 0, newest: None };
            self.alive.insert(body, kept);
        }

        /// Those that are visible, in order.
        fn due(&self, role: Role) -> Vec<String> {
            let visible = |kept: &Kept| kept.role == role && kept.visible_at <= self.now;
            let mut due: Vec<_> = self.alive.iter().filter(|(_, kept)| visible(kept)).collect();
            due.sort_by_key(|(_, kept)| (kept.visible_at, kept.number));
            due.into_iter().map(|(body, _)| body.clone()).collect()
        }

        fn received(&mut self, role: Role, messages: &[Message], max: usize, visibility_ms: u64) {
            let mut given = Vec::new();
            for body in self.due(role).into_iter().take(max) {
                let kept = self.alive.get_mut(&body).unwrap();
                if role == Role::Source && kept.receives >= MAX_RECEIVE_COUNT {
                    kept.role = Role::DeadLetters;
                    kept.visible_at = self.now;
                    kept.newest = None;
                } else {
                    given.push(body);
                }
            }
            assert_eq!(bodies(messages), given);
            for message in messages {
                let kept = self.alive.get_mut(&message.body).unwrap();
                kept.receives += 1;
                assert_eq!(message.receive_count, kept.receives);
                kept.visible_at = self.now + visibility_ms;
                kept.newest = Some(message.receipt_handle.clone());
                self.handles.push((role, message.body.clone(), message.receipt_handle.clone()));
            }
        }

        fn apply(&mut self, queue: &Timed, step: &Step) {
            queue.at(self.now);
            match *step {
                Step::Send { delay_ms } => {
                    let body = (self.sent + 1).to_string();
                    queue.work(Role::Source, |shelf| shelf.send(Draft { delay_ms, ..(&*body).into() }));
                    self.fresh(body, self.now + delay_ms);
                }
                Step::Receive { role, max, visibility_ms } => {
                    let messages = queue.receive_from(role, max, visibility_ms);
                    self.received(role, &messages, max, visibility_ms);
                }
                Step::Delete { handle } => {
                    let Some((role, body, handle)) = self.handle(handle) else { return };
                    let expected = self.owner(&body, &handle).is_some();
                    assert_eq!(queue.delete(role, &handle), expected);
                    if expected {
                        self.alive.remove(&body);
                    }
                }
                Step::Change { handle, visibility_ms } => {
                    let Some((role, body, handle)) = self.handle(handle) else { return };
                    let now = self.now;
                    let expected = match self.owner(&body, &handle) {
                        None => Visibility::Gone,
                        Some(kept) if kept.visible_at <= now => Visibility::Visible,
                        Some(kept) => {
                            kept.visible_at = now + visibility_ms;
                            Visibility::Changed
                        }
                    };
                    assert_eq!(queue.change(role, &handle, visibility_ms), expected);
                }
                Step::Pass { ms } => self.now += ms,
                Step::ReleaseAll { role } => {
                    let now = self.now;
                    let in_flight = |kept: &&mut Kept| {
                        kept.role == role && kept.visible_at > now && kept.newest.is_some()
                    };
                    let hidden = self.alive.values_mut().filter(in_flight);
                    let released = hidden.map(|kept| kept.visible_at = now).count();
                    assert_eq!(queue.work(role, |shelf| shelf.release_all()), released);
                }
                Step::MoveAllBack => {
                    let due = self.due(Role::DeadLetters);
                    assert_eq!(queue.work(Role::DeadLetters, |shelf| shelf.move_all_back()), due.len());
                    due.into_iter().for_each(|body| self.fresh(body, self.now));
                }
            }
        }

        fn counts(&self, role: Role) -> Counts {
            let mut counts = Counts::default();
            for kept in self.alive.values().filter(|kept| kept.role == role) {
                match kept.newest {
                    _ if kept.visible_at <= self.now => counts.visible += 1,
                    Some(_) => counts.in_flight += 1,
                    None => counts.delayed += 1,
                }
            }
            counts
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_happens_the_queues_do_as_the_model(steps in prop::collection::vec(step(), 1..100)) {
            let (queue, mut model) = (Timed::new(), Model::default());
            for step in &steps {
                model.apply(&queue, step);
            }
            queue.at(model.now);
            for role in [Role::Source, Role::DeadLetters] {
                prop_assert_eq!(queue.counts(role), model.counts(role));
            }
        }
    }
}
