//! Tells others how an upload ended: one event to an SNS topic or an EventBridge bus, or to both, at least
//! once and with the same id each time. The only module that names their clients. Never tells what the
//! manifest, which is public, does not say.

use contract::{Manifest, Status};
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::store::ErrorBox;

/// Who EventBridge's rules see as the sender.
const SOURCE: &str = "darkroom";
/// Hex digits of an event's id.
const ID_DIGITS: usize = 32;

#[derive(Debug, thiserror::Error)]
#[error("the manifest is written, but {what} was not told of it")]
pub struct TellError {
    what: &'static str,
    source: ErrorBox,
}

/// Who is to be told. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tell {
    pub bucket: String,
    /// With the topic's ARN.
    pub topic: Option<(aws_sdk_sns::Client, String)>,
    /// With the bus's name or ARN.
    pub bus: Option<(aws_sdk_eventbridge::Client, String)>,
}

/// What is told: of the manifest as it was committed.
#[derive(Serialize)]
struct Event<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    time: Timestamp,
    bucket: &'a str,
    /// Of the source.
    key: &'a str,
    manifest: &'a Manifest,
}

impl Tell {
    /// Tells of a manifest that is in the bucket. Does nothing for an outcome that is not final.
    pub async fn tell(&self, manifest: &Manifest) -> Result<(), TellError> {
        let Some(kind) = kind(manifest.status()) else { return Ok(()) };
        if self.topic.is_none() && self.bus.is_none() {
            return Ok(());
        }
        let event = Event {
            id: id(manifest),
            kind,
            time: manifest.processed_at,
            bucket: &self.bucket,
            key: manifest.source.key.as_str(),
            manifest,
        };
        // Plain structs always have a JSON form.
        let json = serde_json::to_string(&event).unwrap_or_default();
        let (topic, bus) = tokio::join!(self.publish(kind, &json), self.put(&event, &json));
        topic.and(bus)
    }

    async fn publish(&self, kind: &str, json: &str) -> Result<(), TellError> {
        let Some((client, topic)) = &self.topic else { return Ok(()) };
        let failed = |error: ErrorBox| TellError { what: "the topic", source: error };
        // For subscriptions that filter by it.
        let kind =
            aws_sdk_sns::types::MessageAttributeValue::builder().data_type("String").string_value(kind);
        let kind = kind.build().map_err(|error| failed(error.into()))?;
        let sent = client.publish().topic_arn(topic).message(json).message_attributes("type", kind).send();
        sent.await.map(drop).map_err(|error| failed(error.into()))
    }

    async fn put(&self, event: &Event<'_>, json: &str) -> Result<(), TellError> {
        let Some((client, bus)) = &self.bus else { return Ok(()) };
        let failed = |error: ErrorBox| TellError { what: "the event bus", source: error };
        let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder()
            .event_bus_name(bus)
            .source(SOURCE)
            .detail_type(event.kind)
            .resources(format!("arn:aws:s3:::{}/{}", event.bucket, event.key))
            .detail(json);
        let sent = client.put_events().entries(entry.build()).send().await;
        let answer = sent.map_err(|error| failed(error.into()))?;
        // A success may hold a failure.
        match answer.entries().iter().find_map(|entry| entry.error_message()) {
            Some(said) if answer.failed_entry_count() > 0 => Err(failed(said.to_owned().into())),
            _ if answer.failed_entry_count() > 0 => Err(failed("the entry was refused".into())),
            _ => Ok(()),
        }
    }
}

fn kind(status: Status) -> Option<&'static str> {
    match status {
        Status::Ready => Some("image.ready"),
        Status::Rejected => Some("image.rejected"),
        Status::Removed => Some("image.removed"),
        // Due again once it has been redriven.
        Status::Failed => None,
    }
}

/// The same for every reader of one manifest, and another for the next one.
pub fn id(manifest: &Manifest) -> String {
    let Manifest { revision, processed_at, source, .. } = manifest;
    let status = kind(manifest.status()).unwrap_or_default();
    let text = format!("{revision}\n{processed_at}\n{status}\n{}", source.key);
    let hex: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    hex[..ID_DIGITS].to_owned()
}
