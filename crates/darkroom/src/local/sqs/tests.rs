//! The endpoint as clients see it: the AWS SDK over a socket, and requests that no SDK would send.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::receive_message::builders::ReceiveMessageFluentBuilder;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageAttributeValue,
    MessageSystemAttributeName, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
    QueueAttributeName, SendMessageBatchRequestEntry, SendMessageBatchResultEntry,
};
use contract::Layout;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::*;

const SOURCE_ARN: &str = "arn:aws:sqs:us-east-1:000000000000:darkroom";
const DEAD_LETTERS_ARN: &str = "arn:aws:sqs:us-east-1:000000000000:darkroom-dead-letters";
const MAX_RECEIVE_COUNT: u32 = 2;

struct Served {
    local: Local,
    client: Client,
    router: Router,
    stop: watch::Sender<bool>,
    clock: Arc<AtomicU64>,
    source: String,
    dead_letters: String,
}

impl Served {
    async fn start() -> Self {
        let clock = Arc::new(AtomicU64::new(1_763_791_685_042));
        let hand = clock.clone();
        let local = Local::open(&crate::local::Options {
            dir: None,
            bucket: "uploads".into(),
            layout: Layout::Flat,
            max_receive_count: MAX_RECEIVE_COUNT,
            clock: Clock::new(move || hand.load(Ordering::Relaxed)),
        })
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = watch::Sender::new(false);
        let options = Options {
            url: url.clone(),
            visibility_timeout: Duration::from_secs(360),
            stopped: stop.subscribe(),
        };
        let router = router(&local, options);
        let served = router.clone();
        tokio::spawn(async move { axum::serve(listener, served).await });
        let [source, dead_letters] = [Role::Source, Role::DeadLetters].map(|role| queue_url(&url, role));
        Self { local, client: client(&url), router, stop, clock, source, dead_letters }
    }

    fn pass(&self, secs: u64) {
        self.clock.fetch_add(secs * 1000, Ordering::Relaxed);
    }

    async fn send(&self, body: &str) {
        self.client.send_message().queue_url(&self.source).message_body(body).send().await.unwrap();
    }

    fn receive(&self) -> ReceiveMessageFluentBuilder {
        self.client.receive_message().queue_url(&self.source).max_number_of_messages(10)
    }

    async fn handles(&self) -> Vec<String> {
        let got = self.receive().send().await.unwrap();
        got.messages().iter().map(|message| message.receipt_handle().unwrap().to_owned()).collect()
    }

    async fn attributes(&self, queue: &str) -> std::collections::HashMap<QueueAttributeName, String> {
        let get = self.client.get_queue_attributes().queue_url(queue);
        get.attribute_names(QueueAttributeName::All).send().await.unwrap().attributes.unwrap()
    }

    /// Visible, in flight, delayed.
    async fn counts(&self, queue: &str) -> [u32; 3] {
        let attributes = self.attributes(queue).await;
        [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ]
        .map(|name| attributes[&name].parse().unwrap())
    }

    /// Sends one and receives it until the dead-letter queue has it.
    async fn send_dead(&self, body: &str) {
        self.send(body).await;
        for _ in 0..=MAX_RECEIVE_COUNT {
            self.receive().visibility_timeout(0).send().await.unwrap();
        }
    }

    /// Asks without a socket: status, headers and JSON.
    async fn ask(&self, operation: &str, body: String) -> (StatusCode, HeaderMap, Value) {
        self.ask_with(&[("x-amz-target", &format!("AmazonSQS.{operation}")), ("content-type", JSON)], body)
            .await
    }

    async fn ask_with(&self, headers: &[(&str, &str)], body: String) -> (StatusCode, HeaderMap, Value) {
        let mut request = Request::post("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (parts.status, parts.headers, serde_json::from_slice(&body).unwrap())
    }
}

fn client(url: &str) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        .credentials_provider(Credentials::new("whoever", "whatever", None, None, "tests"))
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

/// Status, code and sentence of a refusal.
#[track_caller]
fn refusal<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E>>,
) -> (u16, String, String) {
    let error = result.unwrap_err();
    let status = error.raw_response().unwrap().status().as_u16();
    (status, error.code().unwrap().to_owned(), error.message().unwrap().to_owned())
}

fn text(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
}

fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
}

#[tokio::test]
async fn a_message_comes_as_it_was_sent_and_goes_when_it_is_deleted() {
    let sqs = Served::start().await;
    let sent = sqs.client.send_message().queue_url(&sqs.source).message_body("message-1").send().await;
    let sent = sent.unwrap();
    assert_eq!(sent.md5_of_message_body(), Some("3d6b824fd8c1520e9a047d21fee6fb1f"));
    sqs.pass(5);
    let plain = sqs.receive().visibility_timeout(0).send().await.unwrap();
    assert_eq!(plain.messages()[0].attributes(), None, "only what was asked for");
    let got = sqs.receive().message_system_attribute_names(MessageSystemAttributeName::All);
    let got = got.send().await.unwrap();
    let [message] = got.messages() else { panic!("{got:?}") };
    assert_eq!(message.body(), Some("message-1"));
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(message.md5_of_body(), sent.md5_of_message_body());
    let attributes = message.attributes().unwrap();
    assert_eq!(attributes[&MessageSystemAttributeName::ApproximateReceiveCount], "2");
    assert_eq!(attributes[&MessageSystemAttributeName::SentTimestamp], "1763791685042");
    assert_eq!(attributes[&MessageSystemAttributeName::ApproximateFirstReceiveTimestamp], "1763791690042");
    assert!(!attributes.contains_key(&MessageSystemAttributeName::DeadLetterQueueSourceArn));

    let delete = sqs.client.delete_message().queue_url(&sqs.source);
    let delete = delete.receipt_handle(message.receipt_handle().unwrap());
    delete.clone().send().await.unwrap();
    delete.send().await.expect("twice is as well");
    assert_eq!(sqs.counts(&sqs.source).await, [0, 0, 0]);
}

#[tokio::test]
async fn one_message_is_given_where_no_number_is_asked_for_and_ten_at_most() {
    let sqs = Served::start().await;
    for n in 0..12 {
        sqs.send(&n.to_string()).await;
    }
    let one = sqs.client.receive_message().queue_url(&sqs.source).send().await.unwrap();
    assert_eq!(one.messages().len(), 1);
    assert_eq!(sqs.handles().await.len(), 10);
    assert_eq!(sqs.counts(&sqs.source).await, [1, 11, 0]);
}

#[tokio::test]
async fn a_received_message_is_hidden_as_long_as_the_queue_the_receiver_or_a_change_says() {
    let sqs = Served::start().await;
    sqs.send("a").await;
    let default = sqs.handles().await.remove(0);
    sqs.pass(359);
    assert_eq!(sqs.handles().await.len(), 0);
    let change = |handle: &str, secs| {
        let change = sqs.client.change_message_visibility().queue_url(&sqs.source);
        change.receipt_handle(handle).visibility_timeout(secs).send()
    };
    change(&default, 5).await.unwrap();
    sqs.pass(4);
    assert_eq!(sqs.counts(&sqs.source).await, [0, 1, 0]);
    sqs.pass(1);
    change(&default, 100).await.expect("too late is no error, and no change");
    let own = sqs.receive().visibility_timeout(7).send().await.unwrap();
    let own = own.messages()[0].receipt_handle().unwrap();
    sqs.pass(6);
    assert_eq!(sqs.counts(&sqs.source).await, [0, 1, 0]);
    let (status, code, message) = refusal(change(&default, 0).await);
    assert_eq!((status, &*code), (400, "InvalidParameterValue"));
    assert!(message.contains("Message does not exist or is not available"), "{message}");
    change(own, 0).await.unwrap();
    assert_eq!(sqs.counts(&sqs.source).await, [1, 0, 0]);
}

#[tokio::test]
async fn a_delayed_message_waits() {
    let sqs = Served::start().await;
    let send = sqs.client.send_message().queue_url(&sqs.source).message_body("a");
    send.delay_seconds(900).send().await.unwrap();
    assert_eq!(sqs.counts(&sqs.source).await, [0, 0, 1]);
    sqs.pass(900);
    assert_eq!(sqs.handles().await.len(), 1);
}

#[tokio::test]
async fn a_long_poll_ends_with_a_message_with_its_time_or_with_the_endpoint() {
    let sqs = Served::start().await;
    let none = sqs.receive().wait_time_seconds(1).send().await.unwrap();
    assert_eq!(none.messages().len(), 0);

    let poll = tokio::spawn(sqs.receive().wait_time_seconds(20).send());
    tokio::time::sleep(Duration::from_millis(50)).await;
    sqs.local.queue.send("a").await.unwrap();
    let got = tokio::time::timeout(Duration::from_secs(10), poll).await.unwrap().unwrap().unwrap();
    assert_eq!(got.messages()[0].body(), Some("a"));

    let poll = tokio::spawn(sqs.receive().wait_time_seconds(20).send());
    tokio::time::sleep(Duration::from_millis(50)).await;
    sqs.stop.send_replace(true);
    let got = tokio::time::timeout(Duration::from_secs(10), poll).await.unwrap().unwrap().unwrap();
    assert_eq!(got.messages().len(), 0);
}

#[tokio::test]
async fn a_message_received_too_often_is_received_from_the_dead_letter_queue() {
    let sqs = Served::start().await;
    sqs.send_dead("poison").await;
    assert_eq!(sqs.counts(&sqs.source).await, [0, 0, 0]);
    assert_eq!(sqs.counts(&sqs.dead_letters).await, [1, 0, 0]);
    let got = sqs.client.receive_message().queue_url(&sqs.dead_letters);
    let got = got.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
    let message = &got.messages()[0];
    let attributes = message.attributes().unwrap();
    assert_eq!(message.body(), Some("poison"));
    assert_eq!(attributes[&MessageSystemAttributeName::ApproximateReceiveCount], "3", "it counts on");
    assert_eq!(attributes[&MessageSystemAttributeName::DeadLetterQueueSourceArn], SOURCE_ARN);
    let delete = |queue: &str| {
        let delete = sqs.client.delete_message().queue_url(queue);
        delete.receipt_handle(message.receipt_handle().unwrap()).send()
    };
    let (status, code, _) = refusal(delete(&sqs.source).await);
    assert_eq!((status, &*code), (404, "ReceiptHandleIsInvalid"), "of another queue");
    delete(&sqs.dead_letters).await.unwrap();
    assert_eq!(sqs.counts(&sqs.dead_letters).await, [0, 0, 0]);
}

#[tokio::test]
async fn a_redrive_brings_the_dead_back_and_can_be_looked_up() {
    let sqs = Served::start().await;
    sqs.send_dead("poison").await;
    let start = |source: &str| sqs.client.start_message_move_task().source_arn(source);
    let list = || sqs.client.list_message_move_tasks().source_arn(DEAD_LETTERS_ARN);
    assert_eq!(list().send().await.unwrap().results().len(), 0);
    let started = start(DEAD_LETTERS_ARN).max_number_of_messages_per_second(5).send().await.unwrap();
    assert!(!started.task_handle().unwrap().is_empty());
    start(DEAD_LETTERS_ARN).destination_arn(SOURCE_ARN).send().await.unwrap();
    let newest = list().send().await.unwrap();
    assert_eq!(newest.results().len(), 1);
    assert_eq!(newest.results()[0].destination_arn(), Some(SOURCE_ARN));
    let both = list().max_results(10).send().await.unwrap();
    let [_, first] = both.results() else { panic!("{both:?}") };
    assert_eq!((first.status(), first.source_arn()), (Some("COMPLETED"), Some(DEAD_LETTERS_ARN)));
    assert_eq!(first.approximate_number_of_messages_moved(), 1);
    assert_eq!(first.approximate_number_of_messages_to_move(), Some(1));
    assert_eq!(
        (first.started_timestamp(), first.max_number_of_messages_per_second()),
        (1_763_791_685_042, Some(5))
    );
    assert_eq!(sqs.counts(&sqs.dead_letters).await, [0, 0, 0]);
    assert_eq!(sqs.counts(&sqs.source).await, [1, 0, 0]);

    for (refused, status, code) in [
        (start(SOURCE_ARN), 400, "InvalidParameterValue"),
        (start("arn:aws:sqs:us-east-1:000000000000:other"), 404, "ResourceNotFoundException"),
        (start(DEAD_LETTERS_ARN).destination_arn(DEAD_LETTERS_ARN), 400, "InvalidParameterValue"),
        (start(DEAD_LETTERS_ARN).destination_arn("other"), 404, "ResourceNotFoundException"),
        (start(DEAD_LETTERS_ARN).max_number_of_messages_per_second(501), 400, "InvalidParameterValue"),
    ] {
        let (found, found_code, message) = refusal(refused.send().await);
        assert_eq!((found, &*found_code), (status, code), "{message}");
    }
}

#[tokio::test]
async fn queues_are_found_by_name_and_tell_what_they_are() {
    let sqs = Served::start().await;
    let url = |name: &str| sqs.client.get_queue_url().queue_name(name).send();
    assert_eq!(url("darkroom").await.unwrap().queue_url(), Some(&*sqs.source));
    assert_eq!(url("darkroom-dead-letters").await.unwrap().queue_url(), Some(&*sqs.dead_letters));
    assert!(sqs.source.ends_with("/000000000000/darkroom"), "{}", sqs.source);
    let missing = url("other").await.unwrap_err();
    assert!(missing.into_service_error().is_queue_does_not_exist());

    let both = sqs.client.list_queues().send().await.unwrap();
    assert_eq!(both.queue_urls(), [sqs.source.clone(), sqs.dead_letters.clone()]);
    let some = sqs.client.list_queues().queue_name_prefix("darkroom-").send().await.unwrap();
    assert_eq!(some.queue_urls(), std::slice::from_ref(&sqs.dead_letters));
    let pages = sqs.client.list_queues().into_paginator().page_size(1).items().send();
    let pages: Vec<String> = pages.collect::<Result<_, _>>().await.unwrap();
    assert_eq!(pages, [sqs.source.clone(), sqs.dead_letters.clone()]);

    let sources = |queue: &str| sqs.client.list_dead_letter_source_queues().queue_url(queue).send();
    assert_eq!(sources(&sqs.dead_letters).await.unwrap().queue_urls(), std::slice::from_ref(&sqs.source));
    assert_eq!(sources(&sqs.source).await.unwrap().queue_urls().len(), 0);

    let attributes = sqs.attributes(&sqs.source).await;
    assert_eq!(attributes[&QueueAttributeName::QueueArn], SOURCE_ARN);
    assert_eq!(attributes[&QueueAttributeName::VisibilityTimeout], "360");
    let policy: Value = serde_json::from_str(&attributes[&QueueAttributeName::RedrivePolicy]).unwrap();
    assert_eq!(policy, json!({ "deadLetterTargetArn": DEAD_LETTERS_ARN, "maxReceiveCount": 2 }));
    let attributes = sqs.attributes(&sqs.dead_letters).await;
    assert_eq!(attributes[&QueueAttributeName::QueueArn], DEAD_LETTERS_ARN);
    assert!(!attributes.contains_key(&QueueAttributeName::RedrivePolicy));

    let get = || sqs.client.get_queue_attributes().queue_url(&sqs.source);
    assert_eq!(get().send().await.unwrap().attributes(), None, "none is asked for");
    let two = get().attribute_names(QueueAttributeName::QueueArn).attribute_names(QueueAttributeName::Policy);
    assert_eq!(two.send().await.unwrap().attributes().unwrap().len(), 1);
    let unknown = get().attribute_names("Colour".into()).send().await;
    assert_eq!(refusal(unknown), (400, "InvalidAttributeName".into(), "Unknown Attribute Colour.".into()));
}

#[tokio::test]
async fn a_queue_is_known_by_its_path_whatever_the_host_and_no_other_is() {
    let sqs = Served::start().await;
    let send = |url: &str| sqs.client.send_message().queue_url(url).message_body("a").send();
    send("http://host.docker.internal:1/000000000000/darkroom").await.unwrap();
    for url in
        ["", "darkroom", "http://127.0.0.1/000000000001/darkroom", "http://127.0.0.1/000000000000/other"]
    {
        let error = send(url).await.unwrap_err();
        assert_eq!(error.code(), Some("AWS.SimpleQueueService.NonExistentQueue"), "{url}");
        assert!(error.into_service_error().is_queue_does_not_exist());
    }
    assert_eq!(sqs.counts(&sqs.source).await, [1, 0, 0]);
}

#[tokio::test]
async fn batches_do_what_they_can_and_name_what_they_cannot() {
    let sqs = Served::start().await;
    let sent = sqs.client.send_message_batch().queue_url(&sqs.source);
    let late = SendMessageBatchRequestEntry::builder().id("late").message_body("c").delay_seconds(901);
    let sent = sent.entries(entry("a", "a")).entries(entry("bad", "\u{1}")).entries(late.build().unwrap());
    let sent = sent.entries(entry("b-_2", "b")).send().await.unwrap();
    let ids: Vec<_> = sent.successful().iter().map(SendMessageBatchResultEntry::id).collect();
    assert_eq!(ids, ["a", "b-_2"]);
    assert_eq!(sent.successful()[1].md5_of_message_body(), "92eb5ffee6ae2fec3ad71c777531578f");
    let failed: Vec<_> = sent.failed().iter().map(|it| (it.id(), it.code(), it.sender_fault())).collect();
    assert_eq!(failed, [("bad", "InvalidMessageContents", true), ("late", "InvalidParameterValue", true)]);

    let got = sqs.receive().send().await.unwrap();
    let mut found: Vec<_> =
        got.messages().iter().map(|it| (it.body().unwrap(), it.message_id().unwrap())).collect();
    found.sort_unstable();
    let expected: Vec<_> = sent.successful().iter().map(SendMessageBatchResultEntry::message_id).collect();
    assert_eq!(found, [("a", expected[0]), ("b", expected[1])]);
    let handles: Vec<_> = got.messages().iter().map(|it| it.receipt_handle().unwrap().to_owned()).collect();

    let change = |id: &str, handle: &str, secs| {
        let change = ChangeMessageVisibilityBatchRequestEntry::builder().id(id).receipt_handle(handle);
        change.visibility_timeout(secs).build().unwrap()
    };
    let delete = |id: &str, handle: &str| {
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().unwrap()
    };
    let changed = sqs.client.change_message_visibility_batch().queue_url(&sqs.source);
    let changed = changed.entries(change("1", &handles[0], 0)).entries(change("2", "garbage", 0));
    let changed = changed.entries(change("3", &handles[1], 43_201)).send().await.unwrap();
    assert_eq!(changed.successful().len(), 1);
    let failed: Vec<_> = changed.failed().iter().map(|it| (it.id(), it.code())).collect();
    assert_eq!(failed, [("2", "ReceiptHandleIsInvalid"), ("3", "InvalidParameterValue")]);
    assert_eq!(sqs.counts(&sqs.source).await, [1, 1, 0]);

    let deleted = sqs.client.delete_message_batch().queue_url(&sqs.source);
    let deleted = deleted.entries(delete("1", &handles[0])).entries(delete("2", "garbage"));
    let deleted = deleted.entries(delete("3", &handles[1])).send().await.unwrap();
    assert_eq!((deleted.successful().len(), deleted.failed()[0].id()), (2, "2"));
    assert_eq!(sqs.counts(&sqs.source).await, [0, 0, 0]);
}

#[tokio::test]
async fn a_batch_of_none_of_too_many_or_of_ids_that_are_none_is_refused() {
    let sqs = Served::start().await;
    let send = |entries: Vec<SendMessageBatchRequestEntry>| {
        sqs.client.send_message_batch().queue_url(&sqs.source).set_entries(Some(entries)).send()
    };
    let long = "x".repeat(81);
    let half = "x".repeat(MAX_HALF_BYTES);
    for (entries, code, says) in [
        (vec![], "EmptyBatchRequest", "at least one SendMessageBatchRequestEntry"),
        (
            (0..11).map(|n| entry(&n.to_string(), "a")).collect(),
            "TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10. You have sent 11.",
        ),
        (vec![entry("a", "a"), entry("a", "b")], "BatchEntryIdsNotDistinct", "Id a repeated."),
        (vec![entry("a.b", "a")], "InvalidBatchEntryId", "hyphens"),
        (vec![entry("", "a")], "InvalidBatchEntryId", "hyphens"),
        (vec![entry(&long, "a")], "InvalidBatchEntryId", "at most 80"),
        (
            vec![entry("a", &half), entry("b", &half), entry("c", "x")],
            "BatchRequestTooLong",
            "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.",
        ),
    ] {
        let (status, found, message) = refusal(send(entries).await);
        assert_eq!((status, found), (400, format!("AWS.SimpleQueueService.{code}")));
        assert!(message.contains(says), "{message}");
    }
    assert_eq!(sqs.counts(&sqs.source).await, [0, 0, 0]);
    send(vec![entry(&long[1..], &half), entry("b", &half)]).await.unwrap();
}

const MAX_HALF_BYTES: usize = 512 * 1024;

#[tokio::test]
async fn a_body_may_be_as_long_as_sqs_has_it_and_say_what_xml_can() {
    let sqs = Served::start().await;
    let send = |body: &str| sqs.client.send_message().queue_url(&sqs.source).message_body(body).send();
    let longest = "\u{e9}".repeat(MAX_HALF_BYTES);
    send(&longest).await.unwrap();
    let got = sqs.receive().send().await.unwrap();
    assert_eq!(got.messages()[0].body(), Some(&*longest));
    let (status, code, message) = refusal(send(&format!("{longest}x")).await);
    assert_eq!((status, &*code), (400, "InvalidParameterValue"));
    assert!(message.contains("Message must be shorter than 1048576 bytes."), "{message}");

    send("\t\n\r \u{d7ff}\u{e000}\u{fffd}\u{10000}\u{10ffff}").await.unwrap();
    for body in ["\0", "\u{8}", "\u{b}", "a\u{1f}b", "\u{fffe}", "\u{ffff}"] {
        assert_eq!(refusal(send(body).await).1, "InvalidMessageContents", "{body:?}");
    }
    let (_, code, message) = refusal(send("").await);
    assert_eq!(
        (&*code, &*message),
        ("MissingParameter", "The request must contain the parameter MessageBody.")
    );
}

#[tokio::test]
async fn numbers_out_of_range_are_named_with_their_limits() {
    let sqs = Served::start().await;
    for (receive, says) in [
        (
            sqs.receive().max_number_of_messages(11),
            "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.",
        ),
        (sqs.receive().max_number_of_messages(0), "Value 0 for parameter MaxNumberOfMessages"),
        (
            sqs.receive().wait_time_seconds(21),
            "Value 21 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.",
        ),
        (sqs.receive().wait_time_seconds(-1), "Value -1 for parameter WaitTimeSeconds"),
        (sqs.receive().visibility_timeout(43_201), "Value 43201 for parameter VisibilityTimeout"),
    ] {
        let (status, code, message) = refusal(receive.send().await);
        assert_eq!((status, &*code), (400, "InvalidParameterValue"));
        assert!(message.contains(says), "{message}");
    }
}

#[tokio::test]
async fn attributes_come_back_with_the_checksum_that_sdks_compare() {
    let sqs = Served::start().await;
    let send = || sqs.client.send_message().queue_url(&sqs.source).message_body("a");
    let trace = MessageSystemAttributeValue::builder().data_type("String").string_value("Root=1").build();
    let sent = send().message_attributes("MyAttribute", text("foobar"));
    let sent =
        sent.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace.unwrap());
    let sent = sent.send().await.unwrap();
    assert_eq!(sent.md5_of_message_attributes(), Some("adb59cd4678ea5a855436b949cd07ab6"));
    let value = "traceparent\u{1e}00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01";
    let binary = MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new(value));
    let sent = send().message_attributes("attr1", binary.build().unwrap());
    let sent = sent.message_attributes("a.b", text("c")).send().await.unwrap();
    assert!(sent.md5_of_message_attributes().is_some());

    let first = sqs.client.receive_message().queue_url(&sqs.source).message_attribute_names("All");
    let first = first.message_system_attribute_names(MessageSystemAttributeName::AwsTraceHeader);
    let first = first.send().await.unwrap();
    let first = &first.messages()[0];
    assert_eq!(first.message_attributes().unwrap()["MyAttribute"], text("foobar"));
    assert_eq!(first.md5_of_message_attributes(), Some("adb59cd4678ea5a855436b949cd07ab6"));
    assert_eq!(first.attributes().unwrap().len(), 1);
    assert_eq!(first.attributes().unwrap()[&MessageSystemAttributeName::AwsTraceHeader], "Root=1");
    for (wanted, expected) in
        [("attr1", vec!["attr1"]), ("a.*", vec!["a.b"]), (".*", vec!["a.b", "attr1"]), ("b", vec![])]
    {
        let got = sqs.receive().message_attribute_names(wanted).visibility_timeout(0).send().await.unwrap();
        let message = &got.messages()[0];
        let mut names: Vec<_> =
            message.message_attributes().into_iter().flatten().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        assert_eq!(names, expected, "{wanted}");
        if wanted == "attr1" {
            assert_eq!(message.md5_of_message_attributes(), Some("8cbe4db156db8a94db8b801b7addb984"));
            let found = message.message_attributes().unwrap()["attr1"].binary_value().unwrap();
            assert_eq!(found.as_ref(), value.as_bytes());
        }
        // Or the third receive would be the last.
        sqs.client.purge_queue().queue_url(&sqs.source).send().await.unwrap();
        let again = MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new(value));
        let again = send().message_attributes("attr1", again.build().unwrap());
        again.message_attributes("a.b", text("c")).send().await.unwrap();
    }
    let number = |kind: &str, value: &str| {
        MessageAttributeValue::builder().data_type(kind).string_value(value).build().unwrap()
    };
    send().message_attributes("a", number("Number.int", "1")).send().await.unwrap();
    for (name, value) in [
        ("aWs.a", text("a")),
        ("AMAZON.a", text("a")),
        (".a", text("a")),
        ("a.", text("a")),
        ("a b", text("a")),
        ("", text("a")),
        (&"a".repeat(257), text("a")),
        ("a", number("Invalid", "a")),
        ("a", number("Binary", "a")),
        ("a", text("")),
    ] {
        let refused = send().message_attributes(name, value).send().await;
        assert_eq!(refusal(refused).1, "InvalidParameterValue", "{name}");
    }
    let eleven = (0..11).fold(send(), |send, n| send.message_attributes(n.to_string(), text("a")));
    assert!(refusal(eleven.send().await).2.contains("[11] exceeds the allowed maximum [10]"));
    let dedup = send().message_deduplication_id("a").send().await;
    assert_eq!(refusal(dedup).1, "InvalidParameterValue");
}

#[tokio::test]
async fn a_purge_leaves_the_queue_empty() {
    let sqs = Served::start().await;
    for n in 0..3 {
        sqs.send(&n.to_string()).await;
    }
    sqs.receive().max_number_of_messages(1).send().await.unwrap();
    sqs.client.purge_queue().queue_url(&sqs.source).send().await.unwrap();
    assert_eq!(sqs.counts(&sqs.source).await, [0, 0, 0]);
}

#[tokio::test]
async fn an_error_is_told_to_clients_of_both_protocols() {
    let sqs = Served::start().await;
    let (status, headers, json) = sqs.ask("SendMessage", json!({"QueueUrl": "other"}).to_string()).await;
    assert_eq!(status, 400);
    assert_eq!(headers["content-type"], "application/x-amz-json-1.0");
    assert_eq!(headers["x-amzn-query-error"], "AWS.SimpleQueueService.NonExistentQueue;Sender");
    assert_eq!(json["__type"], "com.amazonaws.sqs#QueueDoesNotExist");
    assert_eq!(json["message"], "The specified queue does not exist.");
}

#[tokio::test]
async fn what_is_no_request_is_refused_whatever_it_says() {
    let sqs = Served::start().await;
    let url = json!(sqs.source);
    for (operation, body, status, kind) in [
        ("CreateQueue", "{}".to_owned(), 400, "UnknownOperationException"),
        ("", "{}".to_owned(), 400, "UnknownOperationException"),
        ("SendMessage", String::new(), 400, "SerializationException"),
        ("SendMessage", "[".repeat(100_000), 400, "SerializationException"),
        (
            "SendMessage",
            format!("{{\"QueueUrl\":{url},\"MessageBody\":\"\\ud800\"}}"),
            400,
            "SerializationException",
        ),
        ("SendMessage", format!("{{\"QueueUrl\":{url},\"MessageBody\":5}}"), 400, "SerializationException"),
        ("SendMessage", "{}".to_owned(), 400, "MissingRequiredParameterException"),
        ("SendMessageBatch", format!("{{\"QueueUrl\":{url},\"Entries\":null}}"), 400, "EmptyBatchRequest"),
        ("DeleteMessage", format!("{{\"QueueUrl\":{url}}}"), 400, "MissingRequiredParameterException"),
        (
            "ChangeMessageVisibility",
            format!("{{\"QueueUrl\":{url},\"ReceiptHandle\":\"\"}}"),
            404,
            "ReceiptHandleIsInvalid",
        ),
        ("GetQueueUrl", "{}".to_owned(), 400, "MissingRequiredParameterException"),
        ("StartMessageMoveTask", "{}".to_owned(), 400, "MissingRequiredParameterException"),
        ("ListQueues", "{\"NextToken\":\"x\"}".to_owned(), 400, "InvalidParameterValueException"),
        ("SendMessage", " ".repeat(MAX_REQUEST_BYTES + 1), 413, "RequestEntityTooLargeException"),
    ] {
        let (found, _, json) = sqs.ask(operation, body).await;
        assert_eq!(found.as_u16(), status, "{operation} {json}");
        assert!(json["__type"].as_str().unwrap().ends_with(&format!("#{kind}")), "{operation} {json}");
    }
    let (status, _, _) =
        sqs.ask("ReceiveMessage", format!("{{\"QueueUrl\":{url},\"AttributeNames\":null,\"New\":1}}")).await;
    assert_eq!(status, 200, "null is nothing, and what is not known is nothing either");
}

#[tokio::test]
async fn a_web_page_cannot_use_it() {
    let sqs = Served::start().await;
    let body = json!({"QueueUrl": sqs.source, "MessageBody": "a"}).to_string();
    let target = ("x-amz-target", "AmazonSQS.SendMessage");
    let refused = [
        (vec![target, ("content-type", JSON), ("origin", "http://127.0.0.1:8787")], 403),
        (vec![target, ("content-type", JSON), ("origin", "null")], 403),
        // All that a page may send without asking first.
        (vec![target, ("content-type", "text/plain")], 400),
        (vec![("content-type", JSON)], 400),
        (vec![], 400),
    ];
    for (headers, status) in refused {
        let (found, answered, _) = sqs.ask_with(&headers, body.clone()).await;
        assert_eq!(found.as_u16(), status, "{headers:?}");
        assert!(!answered.contains_key("access-control-allow-origin"));
    }
    let ask = Request::options("/").header("origin", "http://127.0.0.1:8787");
    let ask = ask.header("access-control-request-method", "POST");
    let ask = ask.header("access-control-request-headers", "content-type,x-amz-target");
    let answer = sqs.router.clone().oneshot(ask.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    assert_eq!(sqs.counts(&sqs.source).await, [0, 0, 0]);
}
