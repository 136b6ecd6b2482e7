//! What others are told: the requests that SNS, EventBridge and CloudFront get, when, and what follows where
//! they refuse.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_lambda_events::event::sqs::SqsEvent;
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use contract::Status;
use darkroom::stack::{BUCKET, Stack};
use darkroom_tests::{event, fixture, idle_stack, manifest, put_source};
use lambda_runtime::{Context, LambdaEvent};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use worker::{Clients, Config, Worker};

const KEY: &str = "raw/articles/a1/photo.jpg";
const PUBLISHED: &str = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
    <MessageId>1</MessageId></PublishResult></PublishResponse>";
const INVALIDATED: &str = "<Invalidation><Id>I</Id><Status>InProgress</Status>\
    <CreateTime>2026-11-25T00:00:00Z</CreateTime><InvalidationBatch><Paths><Quantity>1</Quantity></Paths>\
    <CallerReference>c</CallerReference></InvalidationBatch></Invalidation>";

/// Stands where SNS, EventBridge and CloudFront would: notes what they get, and answers as they do, or refuses.
#[derive(Clone, Default)]
struct Others {
    got: Arc<Mutex<Vec<(String, String)>>>,
    refuse: Arc<AtomicBool>,
}

impl Others {
    async fn listen(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        url
    }

    /// Path and body of each request since the last call.
    fn take(&self) -> Vec<(String, String)> {
        let mut got = std::mem::take(&mut *self.got.lock().unwrap());
        got.sort();
        got
    }
}

async fn answer(State(others): State<Others>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let is_bus = request.headers().get("x-amz-target").is_some_and(|it| it == "AWSEvents.PutEvents");
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let answer = match &*path {
        "/" if is_bus => r#"{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}"#,
        "/" => PUBLISHED,
        _ => INVALIDATED,
    };
    others.got.lock().unwrap().push((path, body));
    if others.refuse.load(Ordering::Relaxed) {
        return StatusCode::FORBIDDEN.into_response();
    }
    answer.into_response()
}

async fn worker(stack: &Stack, others: &Others) -> Worker {
    let find = |name: &str| match name {
        "BUCKET" => Some(BUCKET.to_owned()),
        "EVENT_TOPIC_ARN" => Some("arn:aws:sns:us-east-1:000000000000:topic".to_owned()),
        "EVENT_BUS" => Some("bus".to_owned()),
        "DISTRIBUTION_ID" => Some("E123".to_owned()),
        _ => None,
    };
    let config = Config::from_settings(&find).unwrap();
    let aws = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(others.listen().await)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .build();
    let clients = Clients { s3: stack.client.clone(), ..Clients::new(&aws, &config) };
    Worker::new(config, clients)
}

async fn failed(worker: &Worker, event: SqsEvent) -> usize {
    worker.handle(LambdaEvent::new(event, Context::default())).await.unwrap().batch_item_failures.len()
}

/// The event in a request to the topic, and the one in a request to the bus.
fn told(got: &[(String, String)]) -> (Value, Value) {
    let bus = got.iter().find_map(|(_, body)| serde_json::from_str::<Value>(body).ok()).unwrap();
    let entry = &bus["Entries"][0];
    assert_eq!((&entry["Source"], &entry["EventBusName"]), (&"darkroom".into(), &"bus".into()));
    let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(entry["DetailType"], detail["type"]);
    let form = got.iter().find_map(|(_, body)| body.split("Message=").nth(1)).unwrap();
    let message = form.split('&').next().unwrap();
    let message = percent_decode_str(message).decode_utf8().unwrap();
    (serde_json::from_str(&message).unwrap(), detail)
}

#[tokio::test]
async fn topic_and_bus_are_told_of_each_outcome_with_its_manifest_and_the_same_id_on_repetition() {
    let (stack, others) = (idle_stack().await, Others::default());
    let worker = worker(&stack, &others).await;
    for (file, kind) in [("images/wide.jpg", "image.ready"), ("hostile/truncated.jpg", "image.rejected")] {
        put_source(&stack, KEY, "image/jpeg", fixture(file)).await;
        assert_eq!(failed(&worker, event("s3_put")).await, 0);
        let got = others.take();
        assert_eq!(got.len(), 2, "one each: {got:?}");
        let (on_topic, on_bus) = told(&got);
        assert_eq!(on_topic, on_bus);
        assert_eq!(
            (&on_bus["type"], &on_bus["key"], &on_bus["bucket"]),
            (&kind.into(), &KEY.into(), &BUCKET.into())
        );
        let manifest = manifest(&stack, KEY).await.unwrap();
        assert_eq!(on_bus["manifest"], serde_json::to_value(&manifest).unwrap());
        assert_eq!(on_bus["time"], on_bus["manifest"]["processedAt"]);
        assert_eq!(failed(&worker, event("s3_put")).await, 0);
        assert_eq!(told(&others.take()), (on_topic, on_bus), "a repetition");
    }
}

#[tokio::test]
async fn a_removal_is_told_once_the_cdn_has_been_told_to_forget_the_folder() {
    let (stack, others) = (idle_stack().await, Others::default());
    let worker = worker(&stack, &others).await;
    put_source(&stack, KEY, "image/jpeg", fixture("images/wide.jpg")).await;
    failed(&worker, event("s3_put")).await;
    stack.client.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    others.take();
    assert_eq!(failed(&worker, event("s3_put")).await, 0);
    let got = others.take();
    let (event_told, _) = told(&got);
    assert_eq!(event_told["type"], "image.removed");
    let (path, invalidation) = &got[2];
    assert_eq!(path, "/2020-05-31/distribution/E123/invalidation");
    assert!(invalidation.contains("<Path>/processed/articles/a1/photo.jpg/*</Path>"), "{invalidation}");
    let reference = format!("<CallerReference>{}</CallerReference>", event_told["id"].as_str().unwrap());
    assert!(invalidation.contains(&reference), "{invalidation}");
    assert_eq!(failed(&worker, event("s3_put")).await, 0);
    assert_eq!(others.take(), got, "a repetition is the same, invalidation and all");
}

#[tokio::test]
async fn who_cannot_be_told_keeps_the_message_but_not_the_pictures_back() {
    let (stack, others) = (idle_stack().await, Others::default());
    let worker = worker(&stack, &others).await;
    others.refuse.store(true, Ordering::Relaxed);
    put_source(&stack, KEY, "image/jpeg", fixture("images/wide.jpg")).await;
    assert_eq!(failed(&worker, event("s3_put")).await, 1);
    assert_eq!(manifest(&stack, KEY).await.unwrap().status(), Status::Ready);
    others.refuse.store(false, Ordering::Relaxed);
    others.take();
    assert_eq!(failed(&worker, event("s3_put")).await, 0);
    assert_eq!(told(&others.take()).0["type"], "image.ready");
}
