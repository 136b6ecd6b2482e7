//! SQS's errors: a shape, the code that older clients know it by, a status and a sentence.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html>

use std::fmt::Display;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::respond;
use crate::local;

/// Whose words a shape is in: the service's own, or those that all of AWS shares.
const SQS: &str = "com.amazonaws.sqs";
const COMMON: &str = "com.amazon.coral.service";

#[derive(Debug)]
pub(super) struct Error {
    status: StatusCode,
    namespace: &'static str,
    shape: &'static str,
    /// Of the older protocol; SDKs still go by it.
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Error {
    fn of(namespace: &'static str, shape: &'static str, code: &'static str, message: impl Display) -> Self {
        Self { status: StatusCode::BAD_REQUEST, namespace, shape, code, message: message.to_string() }
    }

    fn with(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(super) fn is_senders_fault(&self) -> bool {
        self.status.is_client_error()
    }

    pub(super) fn into_response(self) -> Response {
        let fault = if self.is_senders_fault() { "Sender" } else { "Receiver" };
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::try_from(format!("{};{fault}", self.code)) {
            headers.insert("x-amzn-query-error", value);
        }
        let json = json!({ "__type": format!("{}#{}", self.namespace, self.shape), "message": self.message });
        respond(self.status, headers, json.to_string().into_bytes())
    }

    pub(super) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "the local SQS failed");
        let message = "The request processing has failed because of an unknown error.";
        Self::of(COMMON, "InternalFailure", "InternalFailure", message)
            .with(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(super) fn from_a_page() -> Self {
        let message = "Requests of web pages are not served.";
        Self::of(COMMON, "AccessDeniedException", "AccessDenied", message).with(StatusCode::FORBIDDEN)
    }

    pub(super) fn unknown_operation(operation: &str) -> Self {
        let message = format!("The operation `{operation}` is none of this endpoint's.");
        Self::of(COMMON, "UnknownOperationException", "InvalidAction", message)
    }

    pub(super) fn not_understood(error: &serde_json::Error) -> Self {
        Self::of(COMMON, "SerializationException", "MalformedInput", error)
    }

    pub(super) fn too_long(max_bytes: usize) -> Self {
        let message = format!("The request is longer than {max_bytes} bytes.");
        Self::of(COMMON, "RequestEntityTooLargeException", "RequestEntityTooLarge", message)
            .with(StatusCode::PAYLOAD_TOO_LARGE)
    }

    pub(super) fn missing(parameter: &str) -> Self {
        let message = format!("The request must contain the parameter {parameter}.");
        Self::of(COMMON, "MissingRequiredParameterException", "MissingParameter", message)
    }

    pub(super) fn invalid(message: impl Display) -> Self {
        Self::of(COMMON, "InvalidParameterValueException", "InvalidParameterValue", message)
    }

    pub(super) fn invalid_value(parameter: &str, value: impl Display, reason: impl Display) -> Self {
        Self::invalid(format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}"))
    }

    pub(super) fn unknown_attribute(name: &str) -> Self {
        let message = format!("Unknown Attribute {name}.");
        Self::of(SQS, "InvalidAttributeName", "InvalidAttributeName", message)
    }

    pub(super) fn no_such_queue() -> Self {
        let message = "The specified queue does not exist.";
        Self::of(SQS, "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", message)
    }

    pub(super) fn no_such_resource(parameter: &str) -> Self {
        let message = format!("The resource that you specified for the {parameter} parameter doesn't exist.");
        Self::of(SQS, "ResourceNotFoundException", "ResourceNotFoundException", message)
            .with(StatusCode::NOT_FOUND)
    }

    pub(super) fn no_handle(handle: &str) -> Self {
        let message = format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
        Self::of(SQS, "ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", message).with(StatusCode::NOT_FOUND)
    }

    pub(super) fn invalid_characters() -> Self {
        let message = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to \
                       #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.";
        Self::of(SQS, "InvalidMessageContents", "InvalidMessageContents", message)
    }

    pub(super) fn empty_batch(entry: &str) -> Self {
        let message = format!("There should be at least one {entry} in the request.");
        Self::of(SQS, "EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", message)
    }

    pub(super) fn too_many_entries(max: usize, sent: usize) -> Self {
        let message = format!("Maximum number of entries per request are {max}. You have sent {sent}.");
        let code = "AWS.SimpleQueueService.TooManyEntriesInBatchRequest";
        Self::of(SQS, "TooManyEntriesInBatchRequest", code, message)
    }

    pub(super) fn invalid_entry_id() -> Self {
        let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. \
                       It can be at most 80 letters long.";
        Self::of(SQS, "InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId", message)
    }

    pub(super) fn repeated_entry_id(id: &str) -> Self {
        let code = "AWS.SimpleQueueService.BatchEntryIdsNotDistinct";
        Self::of(SQS, "BatchEntryIdsNotDistinct", code, format!("Id {id} repeated."))
    }

    pub(super) fn batch_too_long(max_bytes: usize, sent_bytes: usize) -> Self {
        let message = format!(
            "Batch requests cannot be longer than {max_bytes} bytes. You have sent {sent_bytes} bytes."
        );
        Self::of(SQS, "BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong", message)
    }
}

impl From<local::Error> for Error {
    fn from(error: local::Error) -> Self {
        Self::internal(&error)
    }
}
