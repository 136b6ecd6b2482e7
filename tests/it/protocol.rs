//! What the worker asks of S3, what it publishes and what it takes away, request by request: that nothing is
//! asked for twice, and that no order of events leaves a manifest that names what is not there.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use aws_lambda_events::event::sqs::SqsEvent;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use contract::{RejectionCode, Status};
use darkroom::local::objects::Put;
use darkroom::stack::{BUCKET, Stack};
use darkroom_tests::{bucket, event, fixture, idle_stack, invoke, manifest, put_source};
use lambda_runtime::{Context, LambdaEvent};
use worker::notification::{BACKFILL, REPAIR, body};
use worker::{Config, Worker};

const KEY: &str = "raw/articles/a1/photo.jpg";

/// Notes every request that a client sends, as `GET /bucket/key`.
#[derive(Debug, Clone, Default)]
struct Requests(Arc<Mutex<Vec<String>>>);

impl Intercept for Requests {
    fn name(&self) -> &'static str {
        "Requests"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        let path = request.uri().parse::<lambda_http::http::Uri>()?.path().to_owned();
        self.0.lock().unwrap().push(format!("{} {path}", request.method()));
        Ok(())
    }
}

impl Requests {
    /// A worker whose requests are noted here.
    fn worker(&self, stack: &Stack) -> Worker {
        let client = stack.client.config().to_builder().interceptor(self.clone()).build();
        let config = Config::from_settings(&|name| (name == "BUCKET").then(|| BUCKET.to_owned())).unwrap();
        Worker::new(config, aws_sdk_s3::Client::from_conf(client))
    }

    /// What was asked since the last call, sorted, renditions as `PUT rendition`.
    fn take(&self) -> Vec<String> {
        let mut all = std::mem::take(&mut *self.0.lock().unwrap());
        for request in &mut all {
            let is_rendition = request.starts_with("PUT ") && !request.ends_with("/manifest.json");
            if is_rendition {
                "PUT rendition".clone_into(request);
            }
        }
        all.sort();
        all
    }
}

async fn run(worker: &Worker, event: SqsEvent) {
    let response = worker.handle(LambdaEvent::new(event, Context::default())).await.unwrap();
    assert!(response.batch_item_failures.is_empty());
}

/// One message about one key for each event name.
fn messages(event_names: &[&str], key: &str) -> SqsEvent {
    let mut batch = event("s3_put");
    let template = batch.records.remove(0);
    batch.records = event_names
        .iter()
        .enumerate()
        .map(|(n, event_name)| {
            let mut message = template.clone();
            message.message_id = Some(format!("m{n}"));
            message.body = Some(body(BUCKET, key, event_name));
            message
        })
        .collect();
    batch
}

fn expected(reads: &[&str], renditions: usize) -> Vec<String> {
    let mut all: Vec<String> = reads.iter().map(|&read| read.to_owned()).collect();
    all.extend(std::iter::repeat_n("PUT rendition".to_owned(), renditions));
    all.sort();
    all
}

const READ_MANIFEST: &str = "GET /darkroom/processed/articles/a1/photo.jpg/manifest.json";
const WRITE_MANIFEST: &str = "PUT /darkroom/processed/articles/a1/photo.jpg/manifest.json";
const READ_SOURCE: &str = "GET /darkroom/raw/articles/a1/photo.jpg";
const LOOK_AT_SOURCE: &str = "HEAD /darkroom/raw/articles/a1/photo.jpg";

#[tokio::test]
async fn an_upload_costs_a_read_of_each_its_renditions_and_one_manifest_and_a_repetition_two_reads() {
    let stack = idle_stack().await;
    let requests = Requests::default();
    let worker = requests.worker(&stack);
    put_source(&stack, KEY, "image/jpeg", fixture("images/wide.jpg")).await;
    run(&worker, event("s3_put")).await;
    assert_eq!(requests.take(), expected(&[READ_MANIFEST, READ_SOURCE, WRITE_MANIFEST], 10));
    run(&worker, event("s3_put")).await;
    assert_eq!(requests.take(), expected(&[READ_MANIFEST, LOOK_AT_SOURCE], 0));
}

#[tokio::test]
async fn messages_of_one_key_in_one_batch_are_worked_on_once() {
    let stack = idle_stack().await;
    let requests = Requests::default();
    let worker = requests.worker(&stack);
    put_source(&stack, KEY, "image/jpeg", fixture("images/wide.jpg")).await;
    run(&worker, messages(&[BACKFILL; 3], KEY)).await;
    let once = [READ_MANIFEST, READ_SOURCE, WRITE_MANIFEST];
    let again = [READ_MANIFEST, LOOK_AT_SOURCE];
    assert_eq!(requests.take(), expected(&[&once[..], &again, &again].concat(), 10));
}

#[tokio::test]
async fn a_removal_costs_a_look_a_list_a_tombstone_and_one_deletion_and_a_repetition_writes_nothing() {
    let stack = idle_stack().await;
    let requests = Requests::default();
    let worker = requests.worker(&stack);
    put_source(&stack, KEY, "image/jpeg", fixture("images/wide.jpg")).await;
    run(&worker, event("s3_put")).await;
    stack.client.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    requests.take();
    run(&worker, event("s3_put")).await;
    let look = [READ_MANIFEST, LOOK_AT_SOURCE, "GET /darkroom/"];
    let removal = [&look[..], &[WRITE_MANIFEST, "POST /darkroom/"]].concat();
    assert_eq!(requests.take(), expected(&removal, 0));
    assert_eq!(bucket(&stack).await.len(), 1, "only the tombstone");
    run(&worker, event("s3_put")).await;
    assert_eq!(requests.take(), expected(&look, 0));
}

#[tokio::test]
async fn what_comes_back_within_the_second_is_made_under_keys_that_were_never_written() {
    let stack = idle_stack().await;
    let bytes = fixture("images/wide.jpg");
    let mut seen = HashSet::new();
    for generation in 0..3 {
        put_source(&stack, KEY, "image/jpeg", bytes.clone()).await;
        invoke(&stack, event("s3_put")).await;
        let published = manifest(&stack, KEY).await.unwrap();
        assert_eq!((published.status(), published.generation), (Status::Ready, generation));
        for rendition in published.renditions() {
            assert!(seen.insert(rendition.key.to_string()), "{} was written before", rendition.key);
        }
        stack.client.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
        invoke(&stack, event("s3_put")).await;
        let tombstone = manifest(&stack, KEY).await.unwrap();
        assert_eq!((tombstone.status(), tombstone.generation), (Status::Removed, generation + 1));
        assert_eq!(bucket(&stack).await.len(), 1, "only the tombstone");
    }
}

#[tokio::test]
async fn a_removal_takes_every_revision_of_its_source_and_none_of_a_source_below_it() {
    let stack = idle_stack().await;
    let below = format!("{KEY}/below.jpg");
    for key in [KEY, &below] {
        put_source(&stack, key, "image/jpeg", fixture("images/wide.jpg")).await;
        invoke(&stack, messages(&[BACKFILL], key)).await;
    }
    put_source(&stack, KEY, "image/jpeg", fixture("images/orientation_1.jpg")).await;
    invoke(&stack, event("s3_put")).await;
    assert_eq!(bucket(&stack).await.len(), 2 + 2 + 3 * 10, "two revisions of the one, one of the other");
    stack.client.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    invoke(&stack, event("s3_put")).await;
    let whole = manifest(&stack, &below).await.unwrap();
    let left = bucket(&stack).await;
    assert_eq!(left.len(), 1 + 2 + 10);
    assert!(whole.renditions().iter().all(|rendition| left.contains_key(rendition.key.as_str())));
}

#[tokio::test]
async fn a_neighbour_with_a_key_that_xml_cannot_say_is_no_hindrance_to_a_removal() {
    let stack = idle_stack().await;
    put_source(&stack, KEY, "image/jpeg", fixture("images/wide.jpg")).await;
    invoke(&stack, event("s3_put")).await;
    let strange = "processed/articles/a1/photo.jpg/\u{1}a b+c";
    stack.local.objects.put(strange, b"", Put::default()).await.unwrap();
    stack.client.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    assert!(invoke(&stack, event("s3_put")).await.batch_item_failures.is_empty());
    let left = stack.local.objects.list("processed/", "", 100).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|(key, _)| key).collect();
    assert_eq!(left, [strange, "processed/articles/a1/photo.jpg/manifest.json"]);
}

#[tokio::test]
async fn the_same_bytes_under_another_type_are_judged_anew() {
    let stack = idle_stack().await;
    for (content_type, expected) in [("image/jpeg", Status::Ready), ("image/png", Status::Rejected)] {
        put_source(&stack, KEY, content_type, fixture("images/wide.jpg")).await;
        invoke(&stack, event("s3_put")).await;
        let manifest = manifest(&stack, KEY).await.unwrap();
        assert_eq!(manifest.status(), expected);
        if let contract::manifest::Outcome::Rejected { rejection } = manifest.outcome {
            assert_eq!(rejection.code, RejectionCode::TypeMismatch);
        }
    }
}

#[tokio::test]
async fn a_repair_makes_again_what_is_missing_and_an_ordinary_look_trusts_the_manifest() {
    let stack = idle_stack().await;
    put_source(&stack, KEY, "image/jpeg", fixture("images/wide.jpg")).await;
    invoke(&stack, event("s3_put")).await;
    let whole = bucket(&stack).await;
    let requests = Requests::default();
    let worker = requests.worker(&stack);
    run(&worker, messages(&[REPAIR], KEY)).await;
    assert_eq!(requests.take(), expected(&[READ_MANIFEST, LOOK_AT_SOURCE, "GET /darkroom/"], 0));

    let lost = manifest(&stack, KEY).await.unwrap().renditions()[3].key.to_string();
    stack.client.delete_object().bucket(BUCKET).key(&lost).send().await.unwrap();
    run(&worker, messages(&[BACKFILL], KEY)).await;
    assert!(!bucket(&stack).await.contains_key(&lost));
    run(&worker, messages(&[REPAIR], KEY)).await;
    let mended = bucket(&stack).await;
    assert_eq!(mended[&lost].0, whole[&lost].0, "the same bytes");
    assert!(mended.keys().eq(whole.keys()));
}

#[tokio::test]
async fn a_manifest_of_another_schema_is_replaced_and_its_generation_kept() {
    let stack = idle_stack().await;
    put_source(&stack, KEY, "image/jpeg", fixture("images/wide.jpg")).await;
    let key = contract::SourceKey::parse(KEY).unwrap().manifest();
    let newer = br#"{"schema":2,"generation":7,"status":"folded"}"#.to_vec();
    put_source(&stack, key.as_str(), "application/json", newer).await;
    invoke(&stack, event("s3_put")).await;
    let published = manifest(&stack, KEY).await.unwrap();
    assert_eq!((published.status(), published.generation), (Status::Ready, 7));
}
