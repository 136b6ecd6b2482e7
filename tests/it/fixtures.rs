//! Every event file under `fixtures/events` through the worker's real handler: what goes back to the
//! queue, what the manifests say, and that a second delivery changes nothing. What must become of each is
//! in `fixtures/outcomes.json`, which `tests/interop` reads too.

use std::collections::BTreeMap;

use darkroom::stack::Stack;
use darkroom_tests::{bucket, event, fixture, idle_stack, invoke, manifest, put_source, root};
use serde::Deserialize;

/// What must become of one event file.
#[derive(Deserialize)]
struct Case {
    /// What lies in the bucket before.
    sources: Vec<Source>,
    /// Ids of the messages that go back to the queue.
    failed: Vec<String>,
    /// What the manifests of which sources say after: `ready`, `removed`, `none` or a rejection's code.
    manifests: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    key: String,
    content_type: String,
    /// Under `fixtures/`.
    file: String,
}

/// By the event file's name, without its extension.
fn cases() -> BTreeMap<String, Case> {
    serde_json::from_slice(&fixture("outcomes.json")).unwrap()
}

#[tokio::test]
async fn every_fixture_event_has_its_outcome_and_a_second_and_third_delivery_change_nothing() {
    for (name, case) in &cases() {
        let stack = idle_stack().await;
        for source in &case.sources {
            put_source(&stack, &source.key, &source.content_type, fixture(&source.file)).await;
        }
        deliver(&stack, name, case).await;
        let after_the_first = bucket(&stack).await;
        for _ in 0..2 {
            deliver(&stack, name, case).await;
            assert_eq!(bucket(&stack).await, after_the_first, "{name}: a redelivery wrote something");
        }
        let written =
            after_the_first.keys().filter(|key| !case.sources.iter().any(|source| source.key == **key));
        for key in written {
            assert!(key.split('/').any(|segment| segment == "processed"), "{name}: wrote {key}");
        }
    }
}

async fn deliver(stack: &Stack, name: &str, case: &Case) {
    let response = invoke(stack, event(name)).await;
    let failed: Vec<_> = response.batch_item_failures.iter().map(|f| f.item_identifier.as_str()).collect();
    assert_eq!(failed, case.failed, "{name}");
    for (source, expected) in &case.manifests {
        assert_eq!(told(stack, source).await, *expected, "{name}: {source}");
    }
}

async fn told(stack: &Stack, source: &str) -> String {
    let Some(manifest) = manifest(stack, source).await else { return "none".to_owned() };
    match manifest.outcome {
        contract::manifest::Outcome::Ready { .. } => "ready".to_owned(),
        contract::manifest::Outcome::Rejected { rejection } => rejection.code.as_str().to_owned(),
        contract::manifest::Outcome::Failed { .. } => "failed".to_owned(),
        contract::manifest::Outcome::Removed => "removed".to_owned(),
    }
}

#[test]
fn every_event_file_is_pinned_by_a_case() {
    let files = std::fs::read_dir(root().join("fixtures/events")).unwrap();
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let cases: Vec<_> = cases().into_keys().map(|name| format!("{name}.json")).collect();
    files.sort();
    assert_eq!(files, cases);
}

#[tokio::test]
async fn a_failed_message_without_an_id_fails_the_whole_invocation() {
    let stack = idle_stack().await;
    for id in [None, Some(String::new())] {
        let mut batch = event("no_event");
        batch.records[0].message_id = id;
        let event = lambda_runtime::LambdaEvent::new(batch, lambda_runtime::Context::default());
        assert!(stack.worker.handle(event).await.is_err());
    }
}
