//! What operators are told: the lines of metrics that CloudWatch counts, and that every line of the log says which message
//! and which trace it is of. Through the functions' real handlers, in their real format. Which metrics there are is in
//! `fixtures/metrics.json`, to which `tests/deploy` holds the dashboard and the alarms.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use aws_lambda_events::event::sqs::SqsEvent;
use darkroom::stack::meters::Meters;
use darkroom::stack::{BUCKET, Options, Stack, to_event};
use darkroom_tests::{Browser, event, fixture, idle_stack, put_source, root};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;

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
    /// What is written until the guard is dropped.
    fn listen() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let guard = tracing::subscriber::set_default(telemetry::subscriber("info", move || writer.clone()));
        (log, guard)
    }

    fn lines(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Every metric of every line, once for each set of dimensions: name, their values, its own.
    fn metrics(&self) -> Vec<(String, Value, f64)> {
        let of = |(line, names, metric): (Value, Value, Value)| {
            let name = metric["Name"].as_str().unwrap().to_owned();
            let names = names.as_array().unwrap().iter();
            let values = names.map(|name| line[name.as_str().unwrap()].clone()).collect();
            let value = line[&name].as_f64().unwrap();
            (name, Value::Array(values), value)
        };
        self.announced().into_iter().map(of).collect()
    }

    /// Every metric that a line announces: the line, the names of dimensions, and what is said of it.
    fn announced(&self) -> Vec<(Value, Value, Value)> {
        let mut found = Vec::new();
        for line in self.lines() {
            for directive in line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten() {
                assert_eq!(directive["Namespace"], "Darkroom");
                for metric in directive["Metrics"].as_array().unwrap() {
                    for names in directive["Dimensions"].as_array().unwrap() {
                        found.push((line.clone(), names.clone(), metric.clone()));
                    }
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
async fn logged(stack: &Stack, batch: SqsEvent, receive_count: u32) -> Log {
    let (log, _guard) = Log::listen();
    deliver(stack, batch, receive_count).await;
    log
}

async fn deliver(stack: &Stack, mut batch: SqsEvent, receive_count: u32) {
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
    stack.worker.handle(LambdaEvent::new(batch, context)).await.unwrap();
}

/// A message that nobody understands.
fn hopeless() -> SqsEvent {
    let mut batch = event("s3_put");
    batch.records.truncate(1);
    batch.records[0].body = Some("nobody understands this".to_owned());
    batch
}

/// One of each that there is to tell, by real requests and real events.
async fn everything_once(stack: &Stack) {
    let browser = Browser::sign_in(stack, "ann").await;
    let grant = browser.grant(&json!({"contentType": "image/jpeg"})).await;
    browser.ask(&json!({"contentType": "image/tiff"})).await;
    put_source(stack, grant.text("key"), "image/jpeg", fixture("images/orientation_1.jpg")).await;
    let messages = stack.local.queue.receive(10, 60_000).await.unwrap();
    deliver(stack, to_event(&messages), 1).await;
    deliver(stack, to_event(&messages), 2).await; // found done
    put_source(stack, KEY, "image/png", fixture("images/orientation_1.jpg")).await;
    deliver(stack, event("s3_put"), 1).await; // rejected
    stack.client.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    deliver(stack, event("s3_removed"), 1).await;
    deliver(stack, event("own_output"), 1).await; // skipped
    deliver(stack, hopeless(), 1).await;
    deliver(stack, hopeless(), 10).await;
}

#[tokio::test]
async fn every_metric_of_the_list_is_told_by_its_function_and_no_other_is() {
    let list: Value = serde_json::from_slice(&fixture("metrics.json")).unwrap();
    let mut expected = BTreeSet::new();
    for (service, metrics) in list.as_object().unwrap() {
        for (name, metric) in metrics.as_object().unwrap() {
            for dimensions in metric["dimensions"].as_array().unwrap() {
                expected.insert(format!("{service} {name} {} {dimensions}", metric["unit"]));
            }
        }
    }
    let stack = idle_stack().await;
    let (log, _guard) = Log::listen();
    everything_once(&stack).await;
    let told = log.announced().into_iter().map(|(line, names, metric)| {
        format!(
            "{} {} {} {names}",
            line["Service"].as_str().unwrap(),
            metric["Name"].as_str().unwrap(),
            metric["Unit"]
        )
    });
    assert_eq!(told.collect::<BTreeSet<_>>(), expected);
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for name in list.as_object().unwrap().values().flat_map(|metrics| metrics.as_object().unwrap().keys()) {
        assert!(readme.contains(&format!("`{name}`")), "README.md does not tell of {name}");
    }
    stack.shutdown().await;
}

#[tokio::test]
async fn the_stack_shows_what_cloudwatch_would_have_counted() {
    let meters = Meters::default();
    let options = Options { run_worker: false, meters: meters.clone(), ..Options::default() };
    let stack = Stack::start(options).await.unwrap();
    let log = Log::default();
    let writer = log.clone();
    let lines = telemetry::listener(move |line| writeln!(writer.clone(), "{line}").unwrap());
    let heard = tracing_subscriber::registry().with(lines).with(meters.listener());
    let guard = tracing::subscriber::set_default(heard);
    everything_once(&stack).await;
    drop(guard);
    let answer = reqwest::get(format!("{}/dev/metrics", stack.api_url)).await.unwrap();
    let shown: Value = answer.json().await.unwrap();
    let shown = shown["metrics"].as_array().unwrap();
    for meter in shown {
        let dimensions: BTreeSet<String> =
            meter["dimensions"].as_object().unwrap().values().map(Value::to_string).collect();
        let of_it = |(name, values, _): &(String, Value, f64)| {
            let values: BTreeSet<String> = values.as_array().unwrap().iter().map(Value::to_string).collect();
            meter["name"] == **name && values == dimensions
        };
        let values: Vec<f64> = log.metrics().into_iter().filter(of_it).map(|(_, _, value)| value).collect();
        assert_eq!(meter["count"], values.len(), "{meter}");
        let sum: f64 = values.iter().sum();
        assert!((meter["sum"].as_f64().unwrap() - sum).abs() < 1e-6, "{meter}");
        assert_eq!(meter["max"].as_f64().unwrap(), values.iter().copied().fold(f64::MIN, f64::max));
        assert_eq!(meter["histogram"].is_array(), meter["unit"] == "Milliseconds");
    }
    assert_eq!(
        shown.iter().map(|meter| meter["count"].as_u64().unwrap()).sum::<u64>(),
        log.metrics().len() as u64
    );

    // The page gets the same, as soon as it listens.
    let mut events = reqwest::get(format!("{}/dev/events", stack.api_url)).await.unwrap();
    let mut told = String::new();
    while !told.contains("event: metrics\n") || !told.ends_with("\n\n") {
        told += std::str::from_utf8(&events.chunk().await.unwrap().unwrap()).unwrap();
    }
    let data = told.split("event: metrics\ndata: ").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(serde_json::from_str::<Value>(data).unwrap()["metrics"], Value::from(shown.clone()));
    stack.shutdown().await;
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
    for name in ["Published", "PixelTime", "PublishTime", "BytesOut"] {
        assert!(!log.names().contains(&name.to_owned()), "{name}: nothing was made");
    }
    assert!(log.value("BytesIn") > 0.0);
    stack.shutdown().await;
}

#[tokio::test]
async fn what_goes_back_is_counted_by_its_code_and_what_is_given_up_apart() {
    let stack = idle_stack().await;
    for (receive_count, name) in [(1, "Retried"), (10, "GivenUp")] {
        let log = logged(&stack, hopeless(), receive_count).await;
        let counted: Vec<_> = log.metrics().into_iter().map(|(name, by, _)| (name, by)).collect();
        let expected =
            [(name.to_owned(), json!(["worker"])), (name.to_owned(), json!(["worker", "not_understood"]))];
        assert_eq!(counted, expected);
    }
    stack.shutdown().await;
}

#[tokio::test]
async fn what_goes_back_is_found_in_the_log_by_its_key() {
    let stack = idle_stack().await;
    let lines = logged(&stack, event("other_bucket"), 1).await.lines();
    let goes_back =
        |line: &&Value| line.get("Retried").is_some() || line["message"] == "goes back to the queue";
    let keys: Vec<_> = lines.iter().filter(goes_back).map(|line| line["key"].as_str()).collect();
    assert_eq!(keys, [Some("raw/a1/photo.jpg"); 2], "{lines:?}");
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
async fn a_message_that_brought_no_trace_is_of_its_invocations() {
    let stack = idle_stack().await;
    put_source(&stack, KEY, "image/jpeg", fixture("images/orientation_1.jpg")).await;
    let mut context = Context::default();
    context.xray_trace_id = Some(format!("Root={TRACE};Parent=53995c3f42cd8ad8;Sampled=0;Lineage=1:2:0"));
    let (log, _guard) = Log::listen();
    stack.worker.handle(LambdaEvent::new(event("s3_put"), context)).await.unwrap();
    let traces: Vec<_> = log.lines().iter().map(|line| line["xrayTraceId"].clone()).collect();
    assert!(traces.contains(&json!(TRACE)), "{traces:?}");
    stack.shutdown().await;
}

#[tokio::test]
async fn every_line_says_which_request_message_and_trace_it_is_of() {
    let stack = idle_stack().await;
    put_source(&stack, KEY, "image/jpeg", fixture("images/orientation_1.jpg")).await;
    let mut batch = event("s3_put");
    let mut hopeless = hopeless().records.remove(0);
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
