//! The objects of one bucket: bytes, metadata, preconditions, and the notification of every change.
//!
//! An object is there whole or not at all, and so is its notification. Without versions: the last
//! write wins, unless a precondition says otherwise. Never speaks HTTP.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::ops::{Bound, Range};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use contract::key::MAX_KEY_BYTES;
use futures::{Stream, TryStreamExt};
use md5::{Digest, Md5};
use redb::{ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

use super::blobs::{Blobs, Body, Writer};
use super::database::{Change, Database};
use super::event::{Announcer, Event};
use super::{Error, queue};

pub use super::event::Cause;

/// Key -> [`Record`] as JSON. Ordered by the key's bytes, as S3 lists.
const OBJECTS: TableDefinition<&str, &[u8]> = TableDefinition::new("objects");
/// How many writes may go by before a slow listener misses one.
const WRITES_KEPT: usize = 4096;
const SEQUENCER: &str = "sequencer";

/// What S3 calls bytes whose type nobody told.
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// A bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Objects {
    database: Arc<Database>,
    blobs: Arc<Blobs>,
    announcer: Arc<Announcer>,
    writes: broadcast::Sender<String>,
}

/// The headers that an object is served with, as its writer gave them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headers {
    pub content_type: String,
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    /// `x-amz-meta-*`, without that prefix.
    pub user_metadata: BTreeMap<String, String>,
}

impl Default for Headers {
    fn default() -> Self {
        Self {
            content_type: DEFAULT_CONTENT_TYPE.to_owned(),
            cache_control: None,
            content_disposition: None,
            content_encoding: None,
            content_language: None,
            user_metadata: BTreeMap::new(),
        }
    }
}

/// All that is known of an object but its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectMeta {
    /// Bytes.
    pub size: u64,
    /// MD5 of the bytes in hex, within quotes.
    pub etag: String,
    /// Ms since 1970, UTC.
    pub last_modified_ms: u64,
    pub headers: Headers,
    /// As S3 keeps one, of all bytes; none where nobody computed it.
    #[serde(default)]
    pub checksum: Option<Checksum>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    pub algorithm: Algorithm,
    /// Base64.
    pub value: String,
}

/// How a checksum is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl ObjectMeta {
    /// In whole seconds, which is all that HTTP can say.
    pub fn last_modified(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.last_modified_ms / 1000)
    }
}

/// What must hold for a write or a deletion to happen. Judged in the transaction that does it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Condition {
    #[default]
    Always,
    /// `If-None-Match: *`
    Absent,
    /// `If-Match: *`
    Present,
    /// `If-Match: "..."`; with or without the quotes.
    Match(String),
}

impl Condition {
    fn check(&self, current: Option<&ObjectMeta>) -> Result<(), Error> {
        match (self, current) {
            (Self::Always, _) | (Self::Absent, None) | (Self::Present, Some(_)) => Ok(()),
            (Self::Match(etag), Some(meta)) if unquoted(etag) == unquoted(&meta.etag) => Ok(()),
            (Self::Present | Self::Match(_), None) => Err(Error::NoSuchKey),
            (Self::Absent | Self::Match(_), Some(_)) => Err(Error::PreconditionFailed),
        }
    }
}

fn unquoted(etag: &str) -> &str {
    etag.trim_matches('"')
}

/// How to store an object.
#[derive(Debug, Clone, Default)]
pub struct Put {
    pub headers: Headers,
    pub condition: Condition,
    pub cause: Cause,
    pub checksum: Option<Checksum>,
}

/// An object, open for reading: it reads to its end even when it is replaced or deleted meanwhile.
#[derive(Debug)]
pub struct Object {
    pub meta: ObjectMeta,
    body: Body,
}

impl Object {
    /// All bytes, as a stream.
    pub fn stream(self) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static> {
        let all = 0..self.meta.size;
        self.stream_range(all)
    }

    /// The bytes of `range`, which must lie within the object.
    pub fn stream_range(
        self,
        range: Range<u64>,
    ) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static> {
        self.body.stream(range)
    }

    /// All bytes at once.
    pub async fn bytes(self) -> io::Result<Bytes> {
        let mut all = BytesMut::new();
        let mut chunks = std::pin::pin!(self.stream()?);
        while let Some(chunk) = chunks.try_next().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

/// An object's bytes on their way in. Dropped before it is committed, it leaves nothing.
pub struct Upload {
    writer: Writer,
    md5: Md5,
    size: u64,
}

impl Upload {
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), Error> {
        self.md5.update(chunk);
        self.size += chunk.len() as u64;
        Ok(self.writer.write(chunk).await?)
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// MD5 of the bytes so far.
    pub fn md5(&self) -> [u8; 16] {
        self.md5.clone().finalize().into()
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    blob: Uuid,
    meta: ObjectMeta,
}

impl Objects {
    pub(super) fn open(
        database: Arc<Database>,
        blobs: Arc<Blobs>,
        announcer: Arc<Announcer>,
    ) -> Result<Self, Error> {
        let referred = database.write_now(|change| {
            let table = change.tx.open_table(OBJECTS)?;
            let mut referred = HashSet::new();
            for row in table.iter()? {
                referred.insert(parse(row?.1.value())?.blob);
            }
            Ok(referred)
        })?;
        blobs.sweep(&referred)?;
        Ok(Self { database, blobs, announcer, writes: broadcast::Sender::new(WRITES_KEPT) })
    }

    pub fn bucket(&self) -> &str {
        &self.announcer.bucket
    }

    /// Is told of every change to what is stored or queued, once it can be read; of several in a row perhaps once.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.database.changes()
    }

    /// The key of every object from now on, once it is stored.
    pub fn writes(&self) -> broadcast::Receiver<String> {
        self.writes.subscribe()
    }

    /// Stores bytes that are at hand.
    pub async fn put(&self, key: &str, body: &[u8], put: Put) -> Result<ObjectMeta, Error> {
        let mut upload = self.upload().await?;
        upload.write(body).await?;
        self.commit(key, upload, put).await
    }

    /// Starts an object whose bytes come in pieces; [`Self::commit`] ends it.
    pub async fn upload(&self) -> Result<Upload, Error> {
        Ok(Upload { writer: self.blobs.create().await?, md5: Md5::new(), size: 0 })
    }

    /// Makes an upload the object of its key, and announces it, in one transaction.
    ///
    /// # Errors
    /// `PreconditionFailed`; `NoSuchKey` where `If-Match` finds nothing; `KeyTooLong`, `KeyEmpty`.
    pub async fn commit(&self, key: &str, upload: Upload, put: Put) -> Result<ObjectMeta, Error> {
        check_key(key)?;
        let (key, this) = (key.to_owned(), self.clone());
        let (etag, size) = (format!("\"{}\"", hex(upload.md5())), upload.size);
        let blob = upload.writer.finish().await?;
        let commit = move |change: &Change| {
            let old = record(change, &key)?;
            put.condition.check(old.as_ref().map(|old| &old.meta))?;
            let Put { headers, checksum, cause, .. } = put;
            let meta = ObjectMeta { size, etag, last_modified_ms: change.now_ms, headers, checksum };
            let new = Record { blob: blob.keep(), meta };
            change.tx.open_table(OBJECTS)?.insert(&*key, &*serde_json::to_vec(&new)?)?;
            this.discard(change, old);
            this.announce(change, &key, cause, Some(&new.meta))?;
            // Without a listener nobody is told.
            change.after_commit(move || drop(this.writes.send(key)));
            Ok(new.meta)
        };
        self.database.write(commit).await
    }

    pub async fn get(&self, key: &str) -> Result<Option<Object>, Error> {
        let mut missing = None;
        loop {
            let Some(found) = self.find(key).await? else { return Ok(None) };
            if let Some(body) = self.blobs.read(found.blob).await? {
                return Ok(Some(Object { meta: found.meta, body }));
            }
            // Replaced between the two reads: look again. Unless it is the same: then the file is gone.
            if missing.replace(found.blob) == Some(found.blob) {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the bytes of an object are gone").into());
            }
        }
    }

    pub async fn head(&self, key: &str) -> Result<Option<ObjectMeta>, Error> {
        Ok(self.find(key).await?.map(|found| found.meta))
    }

    /// Deletes what is there, and announces it; whether there was anything.
    ///
    /// # Errors
    /// `PreconditionFailed`; `NoSuchKey` where `If-Match` finds nothing.
    pub async fn delete(&self, key: &str, condition: Condition) -> Result<bool, Error> {
        let (key, this) = (key.to_owned(), self.clone());
        let delete = move |change: &Change| {
            let old = record(change, &key)?;
            condition.check(old.as_ref().map(|old| &old.meta))?;
            if old.is_none() {
                return Ok(false);
            }
            change.tx.open_table(OBJECTS)?.remove(&*key)?;
            this.discard(change, old);
            this.announce(change, &key, Cause::Delete, None)?;
            Ok(true)
        };
        self.database.write(delete).await
    }

    /// The first `max` objects whose keys start with `prefix` and come after `start_after`, in the
    /// order of the keys' bytes.
    pub async fn list(
        &self,
        prefix: &str,
        start_after: &str,
        max: usize,
    ) -> Result<Vec<(String, ObjectMeta)>, Error> {
        let (prefix, start_after) = (prefix.to_owned(), start_after.to_owned());
        let list = move |tx: &redb::ReadTransaction| {
            let from = if *start_after < *prefix {
                Bound::Included(&*prefix)
            } else {
                Bound::Excluded(&*start_after)
            };
            let mut found = Vec::new();
            for row in tx.open_table(OBJECTS)?.range::<&str>((from, Bound::Unbounded))?.take(max) {
                let (key, value) = row?;
                if !key.value().starts_with(&prefix) {
                    break;
                }
                found.push((key.value().to_owned(), parse(value.value())?.meta));
            }
            Ok(found)
        };
        self.database.read(list).await
    }

    async fn find(&self, key: &str) -> Result<Option<Record>, Error> {
        let key = key.to_owned();
        let find = move |tx: &redb::ReadTransaction| {
            tx.open_table(OBJECTS)?.get(&*key)?.map(|value| parse(value.value())).transpose()
        };
        self.database.read(find).await
    }

    /// The bytes go once the change is on the disk: until then the old object may yet stand.
    fn discard(&self, change: &Change, old: Option<Record>) {
        if let Some(old) = old {
            let blobs = self.blobs.clone();
            change.after_commit(move || blobs.remove(old.blob));
        }
    }

    fn announce(
        &self,
        change: &Change,
        key: &str,
        cause: Cause,
        meta: Option<&ObjectMeta>,
    ) -> Result<(), Error> {
        let event = Event {
            key,
            cause,
            time_ms: change.now_ms,
            sequencer: change.next(SEQUENCER)?,
            content: meta.map(|meta| (meta.size, &*meta.etag)),
        };
        match self.announcer.message(&event) {
            Some(message) => queue::enqueue(change, &message),
            None => Ok(()),
        }
    }
}

fn record(change: &Change, key: &str) -> Result<Option<Record>, Error> {
    change.tx.open_table(OBJECTS)?.get(key)?.map(|value| parse(value.value())).transpose()
}

fn parse(json: &[u8]) -> Result<Record, Error> {
    Ok(serde_json::from_slice(json)?)
}

fn check_key(key: &str) -> Result<(), Error> {
    match key.len() {
        0 => Err(Error::KeyEmpty),
        1..=MAX_KEY_BYTES => Ok(()),
        _ => Err(Error::KeyTooLong),
    }
}

fn hex(bytes: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use contract::Layout;

    use super::*;
    use crate::local::{Clock, Local, Options};

    fn options(dir: Option<&Path>) -> Options {
        Options {
            dir: dir.map(Path::to_owned),
            bucket: "uploads".into(),
            layout: Layout::Flat,
            max_receive_count: 5,
            clock: Clock::default(),
        }
    }

    fn open(dir: Option<&Path>) -> Local {
        Local::open(&options(dir)).unwrap()
    }

    fn blobs(dir: &Path) -> usize {
        std::fs::read_dir(dir.join("blobs")).unwrap().count()
    }

    async fn put(objects: &Objects, key: &str, body: &str) -> ObjectMeta {
        objects.put(key, body.as_bytes(), Put::default()).await.unwrap()
    }

    async fn body(objects: &Objects, key: &str) -> Bytes {
        objects.get(key).await.unwrap().unwrap().bytes().await.unwrap()
    }

    #[tokio::test]
    async fn a_key_may_be_a_file_and_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        for local in [open(None), open(Some(dir.path()))] {
            put(&local.objects, "a", "file").await;
            put(&local.objects, "a/b", "below").await;
            assert_eq!(body(&local.objects, "a").await, "file");
            assert_eq!(body(&local.objects, "a/b").await, "below");
        }
    }

    #[tokio::test]
    async fn a_folder_survives_a_reopen_with_objects_and_messages() {
        let dir = tempfile::tempdir().unwrap();
        let written = put(&open(Some(dir.path())).objects, "raw/a", "hello").await;
        std::fs::write(dir.path().join("blobs/left.part"), "by a crash").unwrap();
        let local = open(Some(dir.path()));
        assert_eq!(local.objects.head("raw/a").await.unwrap().unwrap(), written);
        assert_eq!(body(&local.objects, "raw/a").await, "hello");
        assert_eq!(local.queue.receive(10, 1000).await.unwrap().len(), 1);
        assert_eq!(blobs(dir.path()), 1, "what nothing refers to is swept");
    }

    #[tokio::test]
    async fn objects_messages_and_events_take_their_time_from_the_clock_in_hand() {
        let now = Arc::new(std::sync::atomic::AtomicU64::new(1_763_791_685_042));
        let hand = now.clone();
        let clock = Clock::new(move || hand.load(std::sync::atomic::Ordering::Relaxed));
        let local = Local::open(&Options { clock, ..options(None) }).unwrap();
        assert_eq!(put(&local.objects, "raw/a", "x").await.last_modified_ms, 1_763_791_685_042);
        let message = local.queue.receive(1, 3_600_000).await.unwrap().remove(0);
        assert_eq!((message.sent_ms, message.first_received_ms), (1_763_791_685_042, 1_763_791_685_042));
        assert!(message.body.contains("\"eventTime\":\"2025-11-22T06:08:05.042Z\""), "{}", message.body);
        assert_eq!(local.queue.receive(1, 0).await.unwrap().len(), 0);
        now.fetch_add(3_600_000, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(local.queue.receive(1, 0).await.unwrap().len(), 1, "an hour passed in no time");
    }

    #[test]
    fn a_record_of_before_there_were_checksums_can_be_read() {
        let json = r#"{"blob":"01936fd1-3a4e-7000-8000-000000000001","meta":{"size":5,"etag":"\"e\"",
            "last_modified_ms":7,"headers":{"content_type":"image/png","cache_control":null,
            "content_disposition":null,"content_encoding":null,"content_language":null,"user_metadata":{}}}}"#;
        assert_eq!(parse(json.as_bytes()).unwrap().meta.checksum, None);
    }

    #[tokio::test]
    async fn bytes_of_a_replaced_or_deleted_object_go_but_open_readers_read_on() {
        let dir = tempfile::tempdir().unwrap();
        let objects = open(Some(dir.path())).objects;
        put(&objects, "a", "first").await;
        let reader = objects.get("a").await.unwrap().unwrap();
        put(&objects, "a", "second").await;
        assert_eq!(blobs(dir.path()), 1);
        assert!(objects.delete("a", Condition::Always).await.unwrap());
        assert_eq!(blobs(dir.path()), 0);
        assert_eq!(reader.bytes().await.unwrap(), "first");
        assert!(!objects.delete("a", Condition::Always).await.unwrap());
    }

    #[tokio::test]
    async fn a_range_is_those_bytes_from_memory_and_from_disk() {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        for local in [open(None), open(Some(dir.path()))] {
            local.objects.put("a", &bytes, Put::default()).await.unwrap();
            let object = local.objects.get("a").await.unwrap().unwrap();
            let part: Vec<Bytes> = object.stream_range(7..999_999).unwrap().try_collect().await.unwrap();
            assert_eq!(part.concat(), bytes[7..999_999]);
        }
    }

    #[tokio::test]
    async fn a_refused_write_leaves_no_bytes_and_no_message() {
        let dir = tempfile::tempdir().unwrap();
        let local = open(Some(dir.path()));
        let refused = |condition| Put { condition, ..Put::default() };
        put(&local.objects, "raw/a", "first").await;
        for (key, condition, absent) in [
            ("raw/a", Condition::Absent, false),
            ("raw/a", Condition::Match("\"other\"".into()), false),
            ("raw/b", Condition::Match("\"other\"".into()), true),
            ("raw/b", Condition::Present, true),
        ] {
            let error = local.objects.put(key, b"second", refused(condition)).await.unwrap_err();
            assert_eq!(matches!(error, Error::NoSuchKey), absent, "{error}");
        }
        let long = "k".repeat(MAX_KEY_BYTES + 1);
        assert!(matches!(
            local.objects.put(&long, b"", Put::default()).await.unwrap_err(),
            Error::KeyTooLong
        ));
        assert_eq!(body(&local.objects, "raw/a").await, "first");
        assert_eq!(blobs(dir.path()), 1);
        assert_eq!(local.queue.counts().await.unwrap().visible, 1);
    }

    #[tokio::test]
    async fn an_upload_that_is_dropped_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let objects = open(Some(dir.path())).objects;
        let mut upload = objects.upload().await.unwrap();
        upload.write(b"half of").await.unwrap();
        assert_eq!(blobs(dir.path()), 1);
        drop(upload);
        assert_eq!(blobs(dir.path()), 0);
    }

    #[tokio::test]
    async fn lists_are_in_byte_order_and_resume() {
        let objects = open(None).objects;
        for key in ["b/2", "a", "b/1", "b0", "é", "b/3"] {
            put(&objects, key, "").await;
        }
        let keys = async |prefix, after, max| {
            let page = objects.list(prefix, after, max).await.unwrap();
            page.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        assert_eq!(keys("", "", 10).await, ["a", "b/1", "b/2", "b/3", "b0", "é"]);
        assert_eq!(keys("b/", "", 2).await, ["b/1", "b/2"]);
        assert_eq!(keys("b/", "b/2", 2).await, ["b/3"]);
        assert_eq!(keys("b/", "c", 2).await, [""; 0]);
        assert_eq!(keys("b/", "a", 1).await, ["b/1"]);
    }

    #[tokio::test]
    async fn sequencers_grow_through_a_reopen() {
        let dir = tempfile::tempdir().unwrap();
        let mut sequencers = Vec::new();
        for _ in 0..3 {
            let local = open(Some(dir.path()));
            put(&local.objects, "raw/a", "x").await;
            local.objects.delete("raw/a", Condition::Always).await.unwrap();
            for message in local.queue.receive(10, 60_000).await.unwrap() {
                let event: serde_json::Value = serde_json::from_str(&message.body).unwrap();
                sequencers
                    .push(event["Records"][0]["s3"]["object"]["sequencer"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!(sequencers.len(), 6);
        assert!(sequencers.is_sorted_by(|a, b| a < b), "{sequencers:?}");
    }
}
