//! The worker's handler where time, retries and shutdown matter.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lambda_events::event::sqs::SqsEvent;
use contract::Status;
use darkroom::stack::{BUCKET, Options, Stack};
use darkroom_tests::{Browser, bucket, event, fixture, idle_stack, invoke, manifest, put_source};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::json;

const KEY: &str = "raw/articles/a1/photo.jpg";

fn received(count: u32) -> SqsEvent {
    let mut batch = event("s3_put");
    batch.records[0].attributes.insert("ApproximateReceiveCount".to_owned(), count.to_string());
    batch
}

/// A deadline, ms of the Unix epoch, within a hair of the handler's margin.
fn soon() -> u64 {
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_millis(1001);
    u64::try_from(deadline.as_millis()).unwrap()
}

/// With so little time that no work can be done: one second is the handler's own margin.
async fn invoke_without_time(stack: &Stack, event: SqsEvent) -> usize {
    let mut context = Context::default();
    context.deadline = soon();
    stack.worker.handle(LambdaEvent::new(event, context)).await.unwrap().batch_item_failures.len()
}

#[tokio::test]
async fn without_time_a_message_goes_back_and_only_the_last_receive_tells_of_a_failure() {
    let stack = idle_stack().await;
    put_source(&stack, KEY, "image/jpeg", fixture("images/wide.jpg")).await;
    assert_eq!(invoke_without_time(&stack, received(9)).await, 1);
    assert!(manifest(&stack, KEY).await.is_none());
    assert_eq!(invoke_without_time(&stack, received(10)).await, 1);
    assert_eq!(manifest(&stack, KEY).await.unwrap().status(), Status::Failed);
}

#[tokio::test]
async fn a_redrive_replaces_a_failure_and_a_late_failure_never_replaces_what_is_published() {
    let stack = idle_stack().await;
    put_source(&stack, KEY, "image/jpeg", fixture("images/wide.jpg")).await;
    invoke_without_time(&stack, received(10)).await;
    assert!(invoke(&stack, received(1)).await.batch_item_failures.is_empty());
    assert_eq!(manifest(&stack, KEY).await.unwrap().status(), Status::Ready);
    invoke_without_time(&stack, received(10)).await;
    assert_eq!(manifest(&stack, KEY).await.unwrap().status(), Status::Ready);
}

#[tokio::test]
async fn two_workers_at_once_publish_one_set() {
    let stack = idle_stack().await;
    put_source(&stack, KEY, "image/jpeg", fixture("images/wide.jpg")).await;
    let (one, other) = tokio::join!(invoke(&stack, received(1)), invoke(&stack, received(1)));
    assert!(one.batch_item_failures.is_empty() && other.batch_item_failures.is_empty());
    let published = manifest(&stack, KEY).await.unwrap();
    let mut expected: Vec<_> = published.renditions().iter().map(|r| r.key.as_str().to_owned()).collect();
    expected.extend([KEY.to_owned(), published.source.key.manifest().as_str().to_owned()]);
    expected.sort();
    let found: Vec<_> = bucket(&stack).await.into_keys().collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_removal_that_was_cut_off_is_finished_by_the_next_delivery() {
    let stack = idle_stack().await;
    put_source(&stack, KEY, "image/jpeg", fixture("images/wide.jpg")).await;
    invoke(&stack, received(1)).await;
    let left_over = manifest(&stack, KEY).await.unwrap().renditions()[0].key.clone();
    stack.client.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    invoke(&stack, received(1)).await;
    // As after a crash between the tombstone and the last deletion.
    put_source(&stack, left_over.as_str(), "image/webp", b"left over".to_vec()).await;
    assert!(invoke(&stack, received(2)).await.batch_item_failures.is_empty());
    assert_eq!(manifest(&stack, KEY).await.unwrap().status(), Status::Removed);
    assert_eq!(bucket(&stack).await.len(), 1, "only the tombstone");
}

#[tokio::test]
async fn giving_up_never_takes_published_pictures_away() {
    let stack = idle_stack().await;
    put_source(&stack, KEY, "image/jpeg", fixture("images/wide.jpg")).await;
    invoke(&stack, received(1)).await;
    // The same bucket with another recipe: its revision is another, its source the same.
    let recipe = contract::Recipe::parse("[[rendition]]\nname = \"a\"\nwidth = 10").unwrap();
    let config =
        worker::Config::from_settings(&|name| (name == "BUCKET").then(|| BUCKET.to_owned())).unwrap();
    let other = worker::Worker::new(worker::Config { recipe, ..config }, stack.client.clone());
    let mut context = Context::default();
    context.deadline = soon();
    other.handle(LambdaEvent::new(received(10), context)).await.unwrap();
    assert_eq!(manifest(&stack, KEY).await.unwrap().status(), Status::Ready);
}

#[tokio::test]
async fn what_the_uploader_wrote_beside_the_content_type_is_not_published() {
    let stack = idle_stack().await;
    for content_type in ["image/jpeg; name=\"passport-anna.jpg\"", "image/x; name=\"passport-anna.jpg\""] {
        put_source(&stack, KEY, content_type, fixture("images/wide.jpg")).await;
        invoke(&stack, received(1)).await;
        let json = String::from_utf8(manifest(&stack, KEY).await.unwrap().to_json()).unwrap();
        assert!(!json.contains("anna"), "{json}");
    }
}

#[tokio::test]
async fn a_shutdown_lets_the_work_in_hand_finish() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { dir: Some(dir.path().to_owned()), ..Options::default() };
    let stack = Stack::start(options.clone()).await.unwrap();
    let browser = Browser::sign_in(&stack, "ann").await;
    let grant = browser.grant(&json!({"contentType": "image/jpeg"})).await;
    browser.put(&grant, fixture("images/wide.jpg")).await;
    for _ in 0..30_000 {
        if stack.local.queue.counts().await.unwrap().visible == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(stack.local.queue.counts().await.unwrap().visible, 0);
    stack.shutdown().await;

    let after = Stack::start(Options { run_worker: false, ..options }).await.unwrap();
    assert_eq!(manifest(&after, grant.text("key")).await.unwrap().status(), Status::Ready);
    assert_eq!(after.local.queue.counts().await.unwrap().total(), 0);
    assert_eq!(after.local.dead_letters.counts().await.unwrap().total(), 0);
}
