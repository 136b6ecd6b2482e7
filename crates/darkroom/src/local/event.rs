//! What the bucket says of a change: an S3 notification, or an EventBridge event.
//!
//! Pure text from facts. Whether a change is announced, and in which envelope, follows from the
//! layout: flat is an S3 notification with a prefix rule, nested an EventBridge rule, as when deployed.

use contract::Layout;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) const REGION: &str = "us-east-1";
pub(super) const ACCOUNT: &str = "000000000000";
const PREFIX: &str = "raw/";

/// What S3 leaves as it is in a key; a space becomes `+`.
const KEY_ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/').remove(b' ');

/// What changed an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cause {
    #[default]
    Put,
    Post,
    Copy,
    Delete,
}

/// One change of one object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event<'a> {
    pub(super) key: &'a str,
    pub(super) cause: Cause,
    pub(super) time_ms: u64,
    pub(super) sequencer: u64,
    /// Size in bytes and ETag with its quotes; `None` for a deletion.
    pub(super) content: Option<(u64, &'a str)>,
}

#[derive(Debug)]
pub(super) struct Announcer {
    pub(super) bucket: String,
    layout: Layout,
}

impl Announcer {
    pub(super) fn new(bucket: &str, layout: Layout) -> Self {
        Self { bucket: bucket.to_owned(), layout }
    }

    /// The message for the queue; `None` where no rule matches the key.
    pub(super) fn message(&self, event: &Event) -> Option<String> {
        match self.layout {
            Layout::Flat if event.key.starts_with(PREFIX) => Some(self.notification(event).to_string()),
            Layout::Nested if is_nested_source(event.key) => Some(self.event_bridge(event).to_string()),
            Layout::Flat | Layout::Nested => None,
        }
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
    fn notification(&self, event: &Event) -> Value {
        let mut object = json!({ "key": url_encoded(event.key), "sequencer": sequencer(event) });
        if let Some((size, etag)) = event.content {
            object["size"] = size.into();
            object["eTag"] = etag.trim_matches('"').into();
        }
        json!({ "Records": [{
            "eventVersion": "2.5",
            "eventSource": "aws:s3",
            "awsRegion": REGION,
            "eventTime": time(event),
            "eventName": event_name(event.cause),
            "userIdentity": { "principalId": "AWS:LOCAL" },
            "requestParameters": { "sourceIPAddress": "127.0.0.1" },
            "responseElements": { "x-amz-request-id": request_id(event), "x-amz-id-2": "local" },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "darkroom",
                "bucket": {
                    "name": self.bucket,
                    "ownerIdentity": { "principalId": "LOCAL" },
                    "arn": format!("arn:aws:s3:::{}", self.bucket),
                },
                "object": object,
            },
        }] })
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>
    fn event_bridge(&self, event: &Event) -> Value {
        let mut object = json!({ "key": event.key, "sequencer": sequencer(event) });
        if let Some((size, etag)) = event.content {
            object["size"] = size.into();
            object["etag"] = etag.trim_matches('"').into();
        }
        let mut detail = json!({
            "version": "0",
            "bucket": { "name": self.bucket },
            "object": object,
            "request-id": request_id(event),
            "requester": ACCOUNT,
            "source-ip-address": "127.0.0.1",
            "reason": reason(event.cause),
        });
        if event.cause == Cause::Delete {
            detail["deletion-type"] = "Permanently Deleted".into();
        }
        json!({
            "version": "0",
            "id": Uuid::now_v7(),
            "detail-type": if event.cause == Cause::Delete { "Object Deleted" } else { "Object Created" },
            "source": "aws.s3",
            "account": ACCOUNT,
            "time": time(event),
            "region": REGION,
            "resources": [format!("arn:aws:s3:::{}", self.bucket)],
            "detail": detail,
        })
    }
}

/// Whether a folder `raw` comes before any folder `processed`.
fn is_nested_source(key: &str) -> bool {
    let folders = key.rsplit_once('/').map_or("", |(folders, _)| folders);
    folders.split('/').find(|folder| matches!(*folder, "raw" | "processed")) == Some("raw")
}

/// As S3 writes keys in notifications and in listings with `encoding-type=url`.
pub(super) fn url_encoded(key: &str) -> String {
    utf8_percent_encode(key, KEY_ENCODED).to_string().replace(' ', "+")
}

fn event_name(cause: Cause) -> &'static str {
    match cause {
        Cause::Put => "ObjectCreated:Put",
        Cause::Post => "ObjectCreated:Post",
        Cause::Copy => "ObjectCreated:Copy",
        Cause::Delete => "ObjectRemoved:Delete",
    }
}

fn reason(cause: Cause) -> &'static str {
    match cause {
        Cause::Put => "PutObject",
        Cause::Post => "POST Object",
        Cause::Copy => "CopyObject",
        Cause::Delete => "DeleteObject",
    }
}

/// Eighteen digits, as S3's own: of one length, so that as text they order as numbers do.
fn sequencer(event: &Event) -> String {
    format!("{:018X}", event.sequencer)
}

fn request_id(event: &Event) -> String {
    format!("{:016X}", event.sequencer)
}

fn time(event: &Event) -> String {
    // A time that jiff cannot write is far outside any clock's range.
    let time = Timestamp::from_millisecond(event.time_ms.cast_signed()).unwrap_or_default();
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(key: &str) -> Event<'_> {
        Event {
            key,
            cause: Cause::Put,
            time_ms: 1_763_791_685_042,
            sequencer: 0x2a,
            content: Some((5, "\"5d41402abc4b2a76b9719d911017c592\"")),
        }
    }

    fn announced(layout: Layout, event: &Event) -> Value {
        serde_json::from_str(&Announcer::new("uploads", layout).message(event).unwrap()).unwrap()
    }

    #[test]
    fn a_notification_is_as_s3_writes_it() {
        let message = announced(Layout::Flat, &created("raw/articles/a1/a b+é(1).jpg"));
        assert_eq!(
            message,
            json!({ "Records": [{
                "eventVersion": "2.5",
                "eventSource": "aws:s3",
                "awsRegion": "us-east-1",
                "eventTime": "2025-11-22T06:08:05.042Z",
                "eventName": "ObjectCreated:Put",
                "userIdentity": { "principalId": "AWS:LOCAL" },
                "requestParameters": { "sourceIPAddress": "127.0.0.1" },
                "responseElements": { "x-amz-request-id": "000000000000002A", "x-amz-id-2": "local" },
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "darkroom",
                    "bucket": {
                        "name": "uploads",
                        "ownerIdentity": { "principalId": "LOCAL" },
                        "arn": "arn:aws:s3:::uploads",
                    },
                    "object": {
                        "key": "raw/articles/a1/a+b%2B%C3%A9%281%29.jpg",
                        "size": 5,
                        "eTag": "5d41402abc4b2a76b9719d911017c592",
                        "sequencer": "00000000000000002A",
                    },
                },
            }] })
        );
    }

    #[test]
    fn an_event_bridge_event_has_the_key_as_it_is() {
        let message = announced(Layout::Nested, &created("articles/a1/raw/a b+é.jpg"));
        assert_eq!(message["detail-type"], "Object Created");
        assert_eq!(message["time"], "2025-11-22T06:08:05.042Z");
        assert_eq!(message["detail"]["bucket"]["name"], "uploads");
        assert_eq!(message["detail"]["reason"], "PutObject");
        assert_eq!(
            message["detail"]["object"],
            json!({
                "key": "articles/a1/raw/a b+é.jpg",
                "size": 5,
                "etag": "5d41402abc4b2a76b9719d911017c592",
                "sequencer": "00000000000000002A",
            })
        );
    }

    #[test]
    fn a_deletion_has_no_size_and_no_etag() {
        let gone = |key| Event { cause: Cause::Delete, content: None, ..created(key) };
        let record = &announced(Layout::Flat, &gone("raw/a"))["Records"][0];
        assert_eq!(record["eventName"], "ObjectRemoved:Delete");
        assert_eq!(record["s3"]["object"], json!({ "key": "raw/a", "sequencer": "00000000000000002A" }));
        let event = announced(Layout::Nested, &gone("a/raw/b"));
        assert_eq!(event["detail-type"], "Object Deleted");
        assert_eq!(event["detail"]["reason"], "DeleteObject");
    }

    #[test]
    fn only_sources_are_announced() {
        for (layout, key, expected) in [
            (Layout::Flat, "raw/a", true),
            (Layout::Flat, "raw/", true),
            (Layout::Flat, "rawest/a", false),
            (Layout::Flat, "articles/a/raw/b", false),
            (Layout::Flat, "processed/raw/a", false),
            (Layout::Nested, "articles/a/raw/b", true),
            (Layout::Nested, "raw/b", true),
            (Layout::Nested, "articles/a/processed/raw/b", false),
            (Layout::Nested, "articles/raw", false),
        ] {
            let message = Announcer::new("b", layout).message(&created(key));
            assert_eq!(message.is_some(), expected, "{layout:?} {key}");
        }
    }
}
