//! SQS bodies to typed notifications: S3's own form, EventBridge's, and either inside an SNS envelope.
//! The only module that knows event shapes. Lenient in what it does not need (emulators leave fields
//! out), strict in what it does: a body that nobody understands is an error, never an empty list.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;

/// The major version of S3 events that this code understands; minors add fields only.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
const EVENT_MAJOR: &str = "2";

/// The event name by which an operator has a source looked at.
pub const BACKFILL: &str = "Darkroom:Backfill";
/// The event name by which an operator has it seen that what a manifest names is there.
pub const REPAIR: &str = "Darkroom:Repair";

/// What S3 leaves as it is in a key of an event; a space becomes `+`.
const KEY_ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/').remove(b' ');

/// What one SQS message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// S3 sends one when a notification is configured.
    TestEvent,
    Notifications(Vec<Notification>),
}

/// One object that something happened to. What happened is told for logs only: the worker always
/// looks at the source as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    pub bucket: String,
    /// Decoded.
    pub key: String,
    /// As the sender names it, `ObjectCreated:Put` or `Object Created`.
    pub event_name: String,
    pub size_bytes: Option<u64>,
    /// Comparable within one key only.
    pub sequencer: Option<String>,
    /// For metrics only: RFC 3339, where the sender tells it, and as the sender writes it.
    pub event_time: Option<String>,
}

impl Notification {
    /// Whether somebody has put something there, by S3's own word or EventBridge's.
    pub fn is_upload(&self) -> bool {
        self.event_name.starts_with("ObjectCreated:") || self.event_name == "Object Created"
    }
}

#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the message has no body")]
    Empty,
    #[error("the body is not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    #[error("the body is no S3 notification, EventBridge event or SNS envelope")]
    NotAnEvent,
    #[error("event version `{found}`: only major {EVENT_MAJOR} is understood")]
    Version { found: String },
    #[error("the key `{key}` does not decode to UTF-8")]
    Key { key: String },
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "Records")]
    records: Option<Vec<S3Record>>,
    #[serde(rename = "Event")]
    event: Option<String>,
    #[serde(rename = "Type")]
    sns_type: Option<String>,
    #[serde(rename = "Message")]
    sns_message: Option<String>,
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    detail: Option<Detail>,
    time: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct S3Record {
    event_version: Option<String>,
    event_name: String,
    event_time: Option<String>,
    s3: Detail,
}

/// The part that S3 records and EventBridge details share.
#[derive(Deserialize)]
struct Detail {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct Object {
    key: String,
    size: Option<u64>,
    sequencer: Option<String>,
}

/// The body of a message about one object, in S3's form: what operators put into the queue.
pub fn body(bucket: &str, key: &str, event_name: &str) -> String {
    let key = utf8_percent_encode(key, KEY_ENCODED).to_string().replace(' ', "+");
    serde_json::json!({"Records": [{
        "eventVersion": "2.5", "eventSource": "darkroom", "eventName": event_name,
        "s3": {"bucket": {"name": bucket}, "object": {"key": key}},
    }]})
    .to_string()
}

/// Reads the body of one SQS message.
pub fn parse(body: &str) -> Result<Body, BodyError> {
    if body.trim().is_empty() {
        return Err(BodyError::Empty);
    }
    let envelope: Envelope = serde_json::from_str(body).map_err(classify)?;
    match envelope.sns_message {
        // SNS wraps once; what is inside is never an envelope again.
        Some(message) if envelope.sns_type.as_deref() == Some("Notification") => {
            read(serde_json::from_str(&message).map_err(classify)?)
        }
        _ => read(envelope),
    }
}

fn read(envelope: Envelope) -> Result<Body, BodyError> {
    match envelope {
        Envelope { event: Some(event), .. } if event == "s3:TestEvent" => Ok(Body::TestEvent),
        Envelope { records: Some(records), .. } if !records.is_empty() => {
            records.into_iter().map(from_s3).collect::<Result<_, _>>().map(Body::Notifications)
        }
        Envelope { detail_type: Some(event_name), detail: Some(detail), time, .. } => {
            let key = detail.object.key.clone(); // EventBridge does not encode it.
            Ok(Body::Notifications(vec![notification(event_name, key, detail, time)]))
        }
        _ => Err(BodyError::NotAnEvent),
    }
}

fn from_s3(record: S3Record) -> Result<Notification, BodyError> {
    if let Some(version) = record.event_version
        && version.split('.').next() != Some(EVENT_MAJOR)
    {
        return Err(BodyError::Version { found: version });
    }
    let key = decode_key(&record.s3.object.key)
        .ok_or_else(|| BodyError::Key { key: record.s3.object.key.clone() })?;
    Ok(notification(record.event_name, key, record.s3, record.event_time))
}

fn notification(event_name: String, key: String, detail: Detail, time: Option<String>) -> Notification {
    Notification {
        bucket: detail.bucket.name,
        key,
        event_name,
        size_bytes: detail.object.size,
        sequencer: detail.object.sequencer,
        event_time: time,
    }
}

/// S3 writes keys as HTML forms do, in events and in listings that ask for it: `+` is a space, a plus is `%2B`.
/// `None` for what is not UTF-8 then.
pub fn decode_key(key: &str) -> Option<String> {
    let spaced = key.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned)
}

/// JSON of another shape is no event; text that is not JSON at all says so.
fn classify(error: serde_json::Error) -> BodyError {
    if error.is_data() { BodyError::NotAnEvent } else { BodyError::NotJson(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3_body(key: &str) -> String {
        format!(
            r#"{{"Records":[{{"eventVersion":"2.6","eventName":"ObjectCreated:Put",
               "s3":{{"bucket":{{"name":"b"}},"object":{{"key":"{key}","size":7,"sequencer":"0A"}}}}}}]}}"#
        )
    }

    fn only_key(body: &str) -> String {
        match parse(body).unwrap() {
            Body::Notifications(list) => list.into_iter().next().unwrap().key,
            Body::TestEvent => panic!("a test event"),
        }
    }

    #[test]
    fn s3_keys_are_decoded_once() {
        for (encoded, key) in [
            ("raw/a+b.jpg", "raw/a b.jpg"),
            ("raw/a%2Bb.jpg", "raw/a+b.jpg"),
            ("raw/%C3%A9t%C3%A9.jpg", "raw/été.jpg"),
            ("raw%2Fa.jpg", "raw/a.jpg"),
            ("raw/a%252Bb.jpg", "raw/a%2Bb.jpg"),
            ("raw/100%", "raw/100%"),
        ] {
            assert_eq!(only_key(&s3_body(encoded)), key);
        }
        assert!(matches!(parse(&s3_body("raw/%FF")), Err(BodyError::Key { .. })));
    }

    #[test]
    fn what_operators_send_says_what_they_meant() {
        for key in ["raw/a b+c%2B.jpg", "raw/été/\u{1F4F7}.png", "raw/a&b=c?d#e.gif"] {
            let Body::Notifications(list) = parse(&body("b", key, REPAIR)).unwrap() else { panic!("a test") };
            assert_eq!((&*list[0].bucket, &*list[0].key, &*list[0].event_name), ("b", key, REPAIR));
        }
    }

    #[test]
    fn eventbridge_keys_are_taken_as_they_are() {
        let body = r#"{"version":"0","detail-type":"Object Created","source":"aws.s3",
            "detail":{"bucket":{"name":"b"},"object":{"key":"a/raw/a+b%2B.jpg","size":7}}}"#;
        assert_eq!(only_key(body), "a/raw/a+b%2B.jpg");
    }

    #[test]
    fn sns_envelopes_are_opened_once() {
        let wrap = |message: &str| {
            serde_json::json!({"Type": "Notification", "TopicArn": "t", "Message": message}).to_string()
        };
        assert_eq!(only_key(&wrap(&s3_body("raw/a+b.jpg"))), "raw/a b.jpg");
        assert_eq!(parse(&wrap(r#"{"Event":"s3:TestEvent","Bucket":"b"}"#)).unwrap(), Body::TestEvent);
        assert!(matches!(parse(&wrap(&wrap(&s3_body("raw/a")))), Err(BodyError::NotAnEvent)));
        assert!(matches!(parse(&wrap("hello")), Err(BodyError::NotJson(_))));
    }

    #[test]
    fn other_major_versions_are_not_guessed_at() {
        let newer = s3_body("raw/a").replace("2.6", "3.0");
        assert!(matches!(parse(&newer), Err(BodyError::Version { .. })));
        let older = s3_body("raw/a").replace("2.6", "2.0");
        assert!(parse(&older).is_ok());
    }

    #[test]
    fn bodies_that_are_no_events_are_errors_not_panics() {
        let deep = "[".repeat(256 * 1024);
        for body in
            ["", " ", "hello", "null", "1", "[]", "{}", r#"{"Records":[]}"#, r#"{"Records":[{}]}"#, &deep]
        {
            assert!(parse(body).is_err());
        }
    }
}
