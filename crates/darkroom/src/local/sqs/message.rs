//! A message as the wire has it, on its way in and out: limits, checksums, attributes.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::Error;
use super::{ACCOUNT, arn, or_default};
use crate::local::queue::{Draft, Message, Role};

/// Of one message and of all of a batch, attributes included, bytes.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub(super) const MAX_BYTES: usize = 1 << 20;
const MAX_DELAY_SECS: i64 = 900;
const MAX_ATTRIBUTES: usize = 10;
/// Of an attribute's name and of its type, characters.
const MAX_NAME_CHARS: usize = 256;
const TRACE_HEADER: &str = "AWSTraceHeader";

/// What `SendMessage` and each entry of a batch say.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Sent {
    message_body: Option<String>,
    delay_seconds: Option<i64>,
    #[serde(default, deserialize_with = "or_default")]
    message_attributes: Attributes,
    #[serde(default, deserialize_with = "or_default")]
    message_system_attributes: Attributes,
    message_deduplication_id: Option<String>,
}

type Attributes = BTreeMap<String, Attribute>;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Attribute {
    #[serde(default, deserialize_with = "or_default")]
    data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
    /// Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
}

/// What SQS says of a message that it took.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Receipt {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    pub(super) message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    body_md5: String,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    attributes_md5: Option<String>,
    #[serde(rename = "MD5OfMessageSystemAttributes", skip_serializing_if = "Option::is_none")]
    system_attributes_md5: Option<String>,
}

impl Sent {
    /// Body and attributes, as SQS counts them.
    pub(super) fn size_bytes(&self) -> usize {
        let attributes: usize = self.message_attributes.iter().map(|(name, it)| it.size_bytes(name)).sum();
        self.message_body.as_ref().map_or(0, String::len) + attributes
    }

    /// What to queue, and what to say of it but its message id.
    pub(super) fn check(self) -> Result<(Draft, Receipt), Error> {
        let size_bytes = self.size_bytes();
        let body = self.message_body.filter(|body| !body.is_empty());
        let body = body.ok_or_else(|| Error::missing("MessageBody"))?;
        if size_bytes > MAX_BYTES {
            let reason = format!("Message must be shorter than {MAX_BYTES} bytes.");
            return Err(Error::invalid(format!("One or more parameters are invalid. Reason: {reason}")));
        }
        check_characters(&body)?;
        if let Some(id) = self.message_deduplication_id {
            let reason = "The request include parameter that is not valid for this queue type.";
            return Err(Error::invalid_value("MessageDeduplicationId", id, reason));
        }
        check_attributes(&self.message_attributes)?;
        check_system_attributes(&self.message_system_attributes)?;
        let receipt = Receipt {
            id: None,
            message_id: String::new(),
            body_md5: md5(body.as_bytes()),
            attributes_md5: md5_of(&self.message_attributes)?,
            system_attributes_md5: md5_of(&self.message_system_attributes)?,
        };
        let delay_secs = in_range("DelaySeconds", self.delay_seconds, 0, MAX_DELAY_SECS)?.unwrap_or_default();
        let mut system_attributes = self.message_system_attributes;
        let trace_header = system_attributes.remove(TRACE_HEADER).and_then(|header| header.string_value);
        let draft = Draft {
            body,
            attributes: to_json(&self.message_attributes)?,
            trace_header,
            delay_ms: delay_secs * 1000,
        };
        Ok((draft, receipt))
    }
}

impl Attribute {
    fn size_bytes(&self, name: &str) -> usize {
        let binary = self.binary_value.as_ref().map_or(0, |value| value.len() / 4 * 3);
        name.len() + self.data_type.len() + self.string_value.as_ref().map_or(0, String::len) + binary
    }

    /// The type without its custom part.
    fn kind(&self) -> &str {
        self.data_type.split('.').next().unwrap_or_default()
    }

    /// How the checksum marks it, and its value as bytes.
    fn value(&self) -> Result<(u8, Vec<u8>), Error> {
        match (self.kind(), &self.string_value, &self.binary_value) {
            ("Binary", _, Some(base64)) => {
                let bytes = BASE64_STANDARD.decode(base64).map_err(|error| Error::invalid(&error))?;
                Ok((2, bytes))
            }
            (_, Some(text), _) => Ok((1, text.clone().into_bytes())),
            _ => Ok((1, Vec::new())),
        }
    }
}

/// A number that may be left out, within its limits.
pub(super) fn in_range(
    parameter: &str,
    value: Option<i64>,
    min: i64,
    max: i64,
) -> Result<Option<u64>, Error> {
    match value {
        Some(value) if (min..=max).contains(&value) => Ok(Some(value.unsigned_abs())),
        // SQS has two ways to say it.
        Some(value) if min == 1 => Err(Error::invalid_value(
            parameter,
            value,
            format!("Must be between {min} and {max}, if provided."),
        )),
        Some(value) => {
            let reason = format!("Must be >= {min} and <= {max}, if provided.");
            Err(Error::invalid_value(parameter, value, reason))
        }
        None => Ok(None),
    }
}

/// What XML could say, though none is left.
fn check_characters(text: &str) -> Result<(), Error> {
    let is_valid = |it: char| matches!(it, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if text.chars().all(is_valid) { Ok(()) } else { Err(Error::invalid_characters()) }
}

fn check_attributes(attributes: &Attributes) -> Result<(), Error> {
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(Error::invalid(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].",
            attributes.len()
        )));
    }
    attributes.iter().try_for_each(|(name, attribute)| check_attribute(name, attribute))
}

fn check_attribute(name: &str, attribute: &Attribute) -> Result<(), Error> {
    let says = |what: &str| Error::invalid(format!("Message (user) attribute '{name}' {what}"));
    let lower = name.to_ascii_lowercase();
    let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.');
    if name.is_empty()
        || name.len() > MAX_NAME_CHARS
        || !name.chars().all(is_plain)
        || name.starts_with('.')
        || name.ends_with('.')
        || name.contains("..")
        || lower.starts_with("aws.")
        || lower.starts_with("amazon.")
    {
        return Err(says("has an invalid name."));
    }
    let kind = attribute.kind();
    if !matches!(kind, "String" | "Number" | "Binary") || attribute.data_type.len() > MAX_NAME_CHARS {
        return Err(says(
            "has an invalid message attribute type, the set of supported type prefixes is \
                         Binary, Number, and String.",
        ));
    }
    let value = if kind == "Binary" { &attribute.binary_value } else { &attribute.string_value };
    match value.as_deref() {
        None | Some("") => Err(says(&format!("must contain a non-empty value of type '{kind}'."))),
        Some(text) => check_characters(text),
    }
}

fn check_system_attributes(attributes: &Attributes) -> Result<(), Error> {
    for (name, attribute) in attributes {
        if name != TRACE_HEADER || attribute.kind() != "String" || attribute.string_value.is_none() {
            return Err(Error::invalid(format!("Message system attribute name '{name}' is invalid.")));
        }
    }
    Ok(())
}

fn to_json(attributes: &Attributes) -> Result<Map<String, Value>, Error> {
    let json = |attribute| serde_json::to_value(attribute).map_err(|error| Error::internal(&error));
    attributes.iter().map(|(name, attribute)| Ok((name.clone(), json(attribute)?))).collect()
}

fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The checksum that SDKs compare: of name, type and value of each, by name, each after its length.
fn md5_of(attributes: &Attributes) -> Result<Option<String>, Error> {
    let mut bytes = Vec::new();
    for (name, attribute) in attributes {
        let (mark, value) = attribute.value()?;
        append(&mut bytes, name.as_bytes());
        append(&mut bytes, attribute.data_type.as_bytes());
        bytes.push(mark);
        append(&mut bytes, &value);
    }
    Ok((!bytes.is_empty()).then(|| md5(&bytes)))
}

fn append(bytes: &mut Vec<u8>, part: &[u8]) {
    // No part is longer than a request.
    bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(part);
}

/// Which of a message's attributes a receiver wants to see.
pub(super) struct Wanted {
    pub(super) system: Vec<String>,
    pub(super) own: Vec<String>,
}

/// A message as `ReceiveMessage` gives it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Received {
    message_id: String,
    receipt_handle: String,
    #[serde(rename = "MD5OfBody")]
    body_md5: String,
    body: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'static str, String>,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    attributes_md5: Option<String>,
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    message_attributes: Attributes,
}

impl Received {
    pub(super) fn new(message: Message, wanted: &Wanted) -> Result<Self, Error> {
        let attributes = system_attributes(&message).into_iter().filter(|(name, _)| wanted.is_system(name));
        let attributes = attributes.collect();
        let own = message.attributes.into_iter().filter(|(name, _)| wanted.is_own(name));
        let own = Value::Object(own.collect());
        let message_attributes: Attributes =
            serde_json::from_value(own).map_err(|error| Error::internal(&error))?;
        Ok(Self {
            message_id: message.message_id,
            receipt_handle: message.receipt_handle,
            body_md5: md5(message.body.as_bytes()),
            body: message.body,
            attributes,
            attributes_md5: md5_of(&message_attributes)?,
            message_attributes,
        })
    }
}

impl Wanted {
    fn is_system(&self, name: &str) -> bool {
        self.system.iter().any(|wanted| wanted == "All" || wanted == name)
    }

    fn is_own(&self, name: &str) -> bool {
        self.own.iter().any(|wanted| match wanted.strip_suffix(".*") {
            Some("") => true,
            Some(prefix) => name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.')),
            None => wanted == "All" || wanted == name,
        })
    }
}

fn system_attributes(message: &Message) -> BTreeMap<&'static str, String> {
    let mut attributes = BTreeMap::from([
        ("SenderId", ACCOUNT.to_owned()),
        ("SentTimestamp", message.sent_ms.to_string()),
        ("ApproximateReceiveCount", message.receive_count.to_string()),
        ("ApproximateFirstReceiveTimestamp", message.first_received_ms.to_string()),
    ]);
    if message.is_dead_letter {
        attributes.insert("DeadLetterQueueSourceArn", arn(Role::Source));
    }
    if let Some(header) = &message.trace_header {
        attributes.insert(TRACE_HEADER, header.clone());
    }
    attributes
}
