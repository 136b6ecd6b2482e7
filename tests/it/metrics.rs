//! What operators are told: the lines of metrics that CloudWatch counts, and that every line of the log says which message
//! and which trace it is of. Through the worker's real handler, in the functions' real format.

use std::io;
use std::sync::{Arc, Mutex};

use aws_lambda_events::event::sqs::SqsEvent;
use darkroom::stack::{Stack, to_event};
use darkroom_tests::{Browser, event, fixture, idle_stack, put_source};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};

const TRACE: &str = "1-5759e988-bd862e3fe1be46a994272793";
const KEY: &str = "raw/articles/a1/photo.jpg";

/// What was written, a line each.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Every metric of every line: name, dimensions, value.
    fn metrics(&self) -> Vec<(String, Value, f64)> {
        let mut found = Vec::new();
        for line in self.lines() {
            for directive in line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten() {
                assert_eq!(directive["Namespace"], "Darkroom");
                let names = directive["Dimensions"][0].as_array().unwrap();
                let dimensions = names.iter().map(|name| line[name.as_str().unwrap()].clone()).collect();
                let dimensions = Value::Array(dimensions);
                for metric in directive["Metrics"].as_array().unwrap() {
                    let name = metric["Name"].as_str().unwrap();
                    found.push((name.to_owned(), dimensions.clone(), line[name].as_f64().unwrap()));
                }
            }
        }
        found
    }

    fn names(&self) -> Vec<String> {
        self.metrics().into_iter().map(|(name, _, _)| name).collect()
    }

    fn value(&self, name: &str) -> f64 {
        let all = self.metrics();
        all.iter().find(|(found, _, _)| found == name).unwrap_or_else(|| panic!("no {name} in {all:?}")).2
    }
}

/// Handles an event as Lambda would, and gives what was written meanwhile.
async fn logged(stack: &Stack, mut batch: SqsEvent, receive_count: u32) -> Log {
    for record in &mut batch.records {
        record
            .attributes
            .insert("AWSTraceHeader".into(), format!("Root={TRACE};Parent=53995c3f42cd8ad8;Sampled=1"));
        record.attributes.insert("SentTimestamp".into(), "1000".into());
        record.attributes.insert("ApproximateFirstReceiveTimestamp".into(), "3500".into());
        record.attributes.insert("ApproximateReceiveCount".into(), receive_count.to_string());
    }
    let mut context = Context::default();
    context.request_id = "request-1".to_owned();
    let log = Log::default();
    let writer = log.clone();
    let _guard = tracing::subscriber::set_default(telemetry::subscriber("info", move || writer.clone()));
    stack.worker.handle(LambdaEvent::new(batch, context)).await.unwrap();
    log
}

#[tokio::test]
async fn an_upload_that_is_published_is_counted_once_with_the_time_of_every_stage_and_its_bytes() {
    let stack = idle_stack().await;
    let bytes = fixture("images/orientation_1.jpg");
    put_source(&stack, KEY, "image/jpeg", bytes.clone()).await;
    let log = logged(&stack, event("s3_put"), 1).await;
    for name in ["Published", "Puts"] {
        assert_eq!(log.value(name), 1.0);
    }
    assert_eq!(log.value("QueueAge"), 2500.0);
    assert_eq!(log.value("BytesIn"), bytes.len() as f64);
    let made = darkroom_tests::manifest(&stack, KEY).await.unwrap();
    let expected: u64 = made.renditions().iter().map(|rendition| rendition.bytes).sum();
    assert_eq!(log.value("BytesOut"), expected as f64);
    let stages: f64 =
        ["WaitTime", "ReadTime", "PixelTime", "PublishTime"].map(|name| log.value(name)).iter().sum();
    assert!(log.value("PixelTime") > 0.0 && log.value("ReadTime") > 0.0 && log.value("PublishTime") > 0.0);
    assert!(stages <= log.value("ProcessingTime"), "the stages are parts of the whole: {:?}", log.metrics());

    // Delivered again, it is found done: nothing was uploaded, and nothing made.
    let again = logged(&stack, event("s3_put"), 2).await;
    assert_eq!(again.names(), ["FoundDone", "ProcessingTime"]);
    stack.shutdown().await;
}

#[tokio::test]
async fn a_rejection_is_counted_in_all_and_by_its_code() {
    let stack = idle_stack().await;
    put_source(&stack, KEY, "image/png", fixture("images/orientation_1.jpg")).await;
    let log = logged(&stack, event("s3_put"), 1).await;
    let counted: Vec<_> =
        log.metrics().into_iter().filter(|(name, _, _)| name == "Rejected").map(|(_, by, _)| by).collect();
    assert_eq!(counted, [json!(["worker"]), json!(["worker", "type_mismatch"])]);
    assert!(!log.names().contains(&"Published".to_owned()));
    stack.shutdown().await;
}

#[tokio::test]
async fn what_goes_back_is_counted_by_its_code_and_what_is_given_up_apart() {
    let stack = idle_stack().await;
    let mut hopeless = event("s3_put");
    hopeless.records.truncate(1);
    hopeless.records[0].body = Some("nobody understands this".to_owned());
    for (receive_count, name) in [(1, "Retried"), (10, "GivenUp")] {
        let log = logged(&stack, hopeless.clone(), receive_count).await;
        let counted: Vec<_> = log.metrics().into_iter().map(|(name, by, _)| (name, by)).collect();
        let expected =
            [(name.to_owned(), json!(["worker"])), (name.to_owned(), json!(["worker", "not_understood"]))];
        assert_eq!(counted, expected);
    }
    stack.shutdown().await;
}

#[tokio::test]
async fn the_time_from_the_issue_of_a_url_to_the_stored_upload_is_told() {
    let stack = idle_stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    let grant = browser.grant(&json!({"contentType": "image/jpeg"})).await;
    let key = grant.text("key").to_owned();
    put_source(&stack, &key, "image/jpeg", fixture("images/orientation_1.jpg")).await;
    let messages = stack.local.queue.receive(10, 60_000).await.unwrap();
    let log = logged(&stack, to_event(&messages), 1).await;
    let lag_ms = log.value("UploadLag");
    assert!((0.0..60_000.0).contains(&lag_ms), "{lag_ms}");

    // Sources of other writers know no time of issue.
    put_source(&stack, "raw/other.jpg", "image/jpeg", fixture("images/orientation_1.jpg")).await;
    let messages = stack.local.queue.receive(10, 60_000).await.unwrap();
    let log = logged(&stack, to_event(&messages), 1).await;
    assert!(log.names().contains(&"Puts".to_owned()) && !log.names().contains(&"UploadLag".to_owned()));
    stack.shutdown().await;
}

#[tokio::test]
async fn every_line_says_which_request_message_and_trace_it_is_of() {
    let stack = idle_stack().await;
    put_source(&stack, KEY, "image/jpeg", fixture("images/orientation_1.jpg")).await;
    let mut batch = event("s3_put");
    let mut hopeless = batch.records[0].clone();
    hopeless.body = Some("nobody understands this".to_owned());
    hopeless.message_id = Some("hopeless".to_owned());
    batch.records.push(hopeless);
    let log = logged(&stack, batch, 1).await;
    let lines = log.lines();
    // One of the photo, two of the other: it goes back, and the queue knows no such receipt.
    assert_eq!(lines.iter().filter(|line| line.get("_aws").is_none()).count(), 3, "{lines:?}");
    for line in lines {
        let said = if line.get("_aws").is_some() { &line } else { &line["span"] };
        assert_eq!(said["requestId"], "request-1", "{line}");
        assert_eq!(said["xrayTraceId"], TRACE, "{line}");
        assert!(said["messageId"].is_string(), "{line}");
    }
    stack.shutdown().await;
}
