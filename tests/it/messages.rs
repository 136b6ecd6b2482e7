//! Messages that nobody should send, in one batch with one that is good.

use aws_lambda_events::event::sqs::SqsEvent;
use contract::Status;
use darkroom::stack::BUCKET;
use darkroom_tests::{bucket, event, fixture, idle_stack, invoke, manifest, put_source};
use serde_json::json;
use worker::notification::{BACKFILL, body};

const KEY: &str = "raw/articles/a1/photo.jpg";

fn batch(bodies: &[String]) -> SqsEvent {
    let mut batch = event("s3_put");
    let template = batch.records.remove(0);
    let message = |(n, body): (usize, &String)| {
        let mut message = template.clone();
        message.message_id = Some(n.to_string());
        message.body = Some(body.clone());
        message
    };
    batch.records = bodies.iter().enumerate().map(message).collect();
    batch
}

fn record(bucket: &str, key: &str, size: &serde_json::Value, version: &str) -> String {
    json!({"Records": [{"eventVersion": version, "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": size}}}]})
    .to_string()
}

#[tokio::test]
async fn no_message_panics_is_lost_or_reaches_another_bucket_and_none_harms_its_neighbour() {
    let stack = idle_stack().await;
    put_source(&stack, KEY, "image/jpeg", fixture("images/wide.jpg")).await;
    let before = bucket(&stack).await;
    let hostile = [
        String::new(),
        "not JSON".to_owned(),
        "{\"Records\":".to_owned(),
        json!({"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}).to_string(),
        json!([1, 2, 3]).to_string(),
        "[".repeat(256 * 1024),
        format!("{}1{}", "{\"a\":".repeat(40_000), "}".repeat(40_000)),
        record(BUCKET, "raw/../secret.jpg", &json!(1), "2.1"),
        record(BUCKET, "raw/a%2F..%2F..%2Fb.jpg", &json!(1), "2.1"),
        record(BUCKET, "raw/a%00b.jpg", &json!(1), "2.1"),
        record(BUCKET, "raw/a%0Ab.jpg", &json!(1), "2.1"),
        record(BUCKET, "raw/%FF.jpg", &json!(1), "2.1"),
        record(BUCKET, &format!("raw/{}", "k".repeat(1020)), &json!(1), "2.1"),
        record("another-bucket", KEY, &json!(1), "2.1"),
        record("darkroom.evil.example", KEY, &json!(1), "2.1"),
        record("", KEY, &json!(1), "2.1"),
        record(BUCKET, KEY, &json!(1), "3.0"),
        record(BUCKET, KEY, &json!(-1), "2.1"),
        record(BUCKET, KEY, &json!(1e300), "2.1"),
    ];
    let response = invoke(&stack, batch(&hostile)).await;
    let failed: Vec<_> = response.batch_item_failures.iter().map(|f| f.item_identifier.clone()).collect();
    let all: Vec<_> = (0..hostile.len()).map(|n| n.to_string()).collect();
    assert_eq!(failed, all, "each goes back, and so to the dead-letter queue");
    assert_eq!(bucket(&stack).await, before, "nothing was written");

    let with_a_good_one = [&hostile[..], &[body(BUCKET, KEY, BACKFILL)]].concat();
    assert_eq!(invoke(&stack, batch(&with_a_good_one)).await.batch_item_failures.len(), hostile.len());
    assert_eq!(manifest(&stack, KEY).await.unwrap().status(), Status::Ready);
}

#[tokio::test]
async fn a_size_that_lies_changes_nothing_in_either_direction() {
    for size in [json!(0), json!(1), json!(u64::MAX), json!(null)] {
        let stack = idle_stack().await;
        put_source(&stack, KEY, "image/jpeg", fixture("images/wide.jpg")).await;
        let told = batch(&[record(BUCKET, KEY, &size, "2.1")]);
        assert!(invoke(&stack, told).await.batch_item_failures.is_empty());
        let manifest = manifest(&stack, KEY).await.unwrap();
        assert_eq!((manifest.status(), manifest.source.size), (Status::Ready, 31_050), "{size}");
    }
}
