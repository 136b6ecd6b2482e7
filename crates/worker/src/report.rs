//! What operators are told of every notification that is settled and of every message that goes back: one line of
//! metrics each, in CloudWatch's embedded format. Owns their names, which the dashboard and the alarms use. Never decides
//! anything, and never names an owner; keys are properties, by which nothing is counted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lambda_events::event::sqs::SqsMessage;
use contract::UploadKey;
use jiff::Timestamp;
use lambda_runtime::Context;
use telemetry::{Metrics, Unit, trace_id};

use crate::error::{Outcome, Retry};
use crate::notification::Notification;
use crate::process::ms;

/// The numbers of one source's processing, as far as it came: over all rounds, where it had to start again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    /// For another delivery of the same source, for memory and for a core.
    pub waiting: Duration,
    /// The source, from S3.
    pub reading: Duration,
    /// Decoding, resizing and encoding, while renditions are written.
    pub pixels: Duration,
    /// The last renditions, the manifest, and whoever else is told.
    pub publishing: Duration,
    pub bytes_in: u64,
    /// Of all renditions.
    pub bytes_out: u64,
    /// Whether anything was to be done: a repeated delivery is found done.
    pub is_new: bool,
}

/// In which of Lambda's invocations a message came; in none, where this process polls.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    request_id: Option<String>,
    trace_id: Option<String>,
}

impl Invocation {
    pub fn of(context: &Context) -> Self {
        Self {
            request_id: Some(context.request_id.clone()).filter(|id| !id.is_empty()),
            trace_id: context.xray_trace_id.as_deref().and_then(trace_id),
        }
    }
}

/// Of one message: who handles it, and how it came.
#[derive(Debug, Clone)]
pub struct Report {
    service: String,
    request_id: Option<String>,
    message_id: Option<String>,
    /// The uploader's, where the message has brought it along; else that of the invocation.
    trace_id: Option<String>,
    pub(crate) receive_count: u32,
    /// How long the message had waited when it was received for the first time.
    queue_age: Option<Duration>,
}

impl Report {
    pub fn new(service: &str, invocation: &Invocation, message: &SqsMessage, receive_count: u32) -> Self {
        let attribute = |name: &str| message.attributes.get(name);
        let time_ms = |name: &str| attribute(name).and_then(|value| value.parse::<u64>().ok());
        let queue_age = time_ms("SentTimestamp")
            .and_then(|sent| Some(time_ms("ApproximateFirstReceiveTimestamp")?.saturating_sub(sent)))
            .map(Duration::from_millis);
        Self {
            service: service.to_owned(),
            request_id: invocation.request_id.clone(),
            message_id: message.message_id.clone(),
            trace_id: attribute("AWSTraceHeader")
                .and_then(|header| trace_id(header))
                .or_else(|| invocation.trace_id.clone()),
            receive_count,
            queue_age,
        }
    }

    /// Around all that is done for the message: every line of the log says which, and of which trace.
    pub fn span(&self) -> tracing::Span {
        let Self { request_id, message_id, trace_id, .. } = self;
        tracing::info_span!("message", requestId = request_id, messageId = message_id, xrayTraceId = trace_id)
    }

    /// A notification is settled. Why one goes back is told of with its message.
    pub fn settled(
        &self,
        notification: &Notification,
        outcome: &Outcome,
        measured: &Measured,
        elapsed: Duration,
    ) {
        let mut line = self.line().property("key", notification.key.as_str());
        let is_first = self.receive_count == 1 && notification.is_upload();
        if is_first {
            line = self.upload(line, notification);
        }
        let line = match outcome {
            Outcome::Retry(_) if is_first => return line.emit(),
            Outcome::Retry(_) => return,
            Outcome::Published | Outcome::Rejected(_) if !measured.is_new => self.count(line, "FoundDone"),
            Outcome::Published => self.count(line, "Published"),
            Outcome::Rejected(rejection) => self.by_code(line, "Rejected", rejection.code.as_str()),
            Outcome::Removed => self.count(line, "Removed"),
            Outcome::Skipped(_) => self.count(line, "Skipped"),
        };
        let line = self.milliseconds(line, "ProcessingTime", elapsed);
        let line = if measured.is_new { self.read(line, measured) } else { line };
        let is_made = measured.is_new && matches!(outcome, Outcome::Published);
        if is_made { self.made(line, measured) } else { line }.emit();
    }

    /// A message goes back to the queue, or on to the dead letters.
    pub fn goes_back(&self, retry: &Retry, is_last: bool, key: Option<&str>) {
        let name = if is_last { "GivenUp" } else { "Retried" };
        self.by_code(self.line().property("key", key), name, retry.code.as_str()).emit();
    }

    fn line(&self) -> Metrics {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Metrics::new(ms(now))
            .property("requestId", self.request_id.as_deref())
            .property("messageId", self.message_id.as_deref())
            .property("xrayTraceId", self.trace_id.as_deref())
            .property("receiveCount", self.receive_count)
    }

    /// Something was put under `raw/`: counted once, however often the message comes.
    fn upload(&self, line: Metrics, notification: &Notification) -> Metrics {
        let mut line = self.count(line, "Puts");
        if let Some(age) = self.queue_age {
            line = self.milliseconds(line, "QueueAge", age);
        }
        match upload_lag(notification) {
            Some(lag) => self.milliseconds(line, "UploadLag", lag),
            None => line,
        }
    }

    /// What every new source takes.
    fn read(&self, line: Metrics, measured: &Measured) -> Metrics {
        let line = self.milliseconds(line, "WaitTime", measured.waiting);
        let line = self.milliseconds(line, "ReadTime", measured.reading);
        self.bytes(line, "BytesIn", measured.bytes_in)
    }

    /// What its renditions take: of a file that is refused, next to nothing, which would make all others look quick.
    fn made(&self, line: Metrics, measured: &Measured) -> Metrics {
        let line = self.milliseconds(line, "PixelTime", measured.pixels);
        let line = self.milliseconds(line, "PublishTime", measured.publishing);
        self.bytes(line, "BytesOut", measured.bytes_out)
    }

    fn bytes(&self, line: Metrics, name: &str, bytes: u64) -> Metrics {
        line.metric(&[("Service", &self.service)], name, Unit::Bytes, bytes)
    }

    fn count(&self, line: Metrics, name: &str) -> Metrics {
        line.metric(&[("Service", &self.service)], name, Unit::Count, 1)
    }

    fn by_code(&self, line: Metrics, name: &str, code: &str) -> Metrics {
        line.metric_apart(&[("Service", &self.service)], &[("Code", code)], name, Unit::Count, 1)
    }

    fn milliseconds(&self, line: Metrics, name: &str, time: Duration) -> Metrics {
        let value = time.as_secs_f64() * 1000.0;
        line.metric(&[("Service", &self.service)], name, Unit::Milliseconds, value)
    }
}

/// From the issue of the URL, which the key knows, to the event: what the uploader has waited for the upload itself.
fn upload_lag(notification: &Notification) -> Option<Duration> {
    let issued_at = UploadKey::parse(&notification.key)?.issued_at();
    let event_time: Timestamp = notification.event_time.as_deref()?.parse().ok()?;
    Duration::try_from(event_time.duration_since(issued_at)).ok()
}
