//! Every event file under `fixtures/events` through the worker's real handler: what goes back to the
//! queue, what the manifests say, and that a second delivery changes nothing.

use darkroom::stack::Stack;
use darkroom_tests::{bucket, event, fixture, idle_stack, invoke, manifest, put_source, root};

/// One event file: what lies in the bucket before, which messages come back, and what the manifests of
/// which sources say after.
struct Case {
    event: &'static str,
    /// Key, content type, file under `fixtures/`.
    sources: &'static [(&'static str, &'static str, &'static str)],
    failed: &'static [&'static str],
    /// Source key, and `ready`, `removed`, `none` or a rejection's code.
    told: &'static [(&'static str, &'static str)],
}

const JPEG: &str = "image/jpeg";
const PHOTO: &str = "images/orientation_6.jpg";

const fn one(
    event: &'static str,
    sources: &'static [(&str, &str, &str)],
    told: &'static [(&str, &str)],
) -> Case {
    Case { event, sources, failed: &[], told }
}

/// Acknowledged without a trace.
const fn skipped(event: &'static str) -> Case {
    Case {
        event,
        sources: &[("raw/a1/photo.jpg", JPEG, PHOTO)],
        failed: &[],
        told: &[("raw/a1/photo.jpg", "none")],
    }
}

/// Back to the queue, and nothing written.
const fn retried(event: &'static str, failed: &'static [&'static str]) -> Case {
    Case { failed, ..skipped(event) }
}

const CASES: &[Case] = &[
    one("s3_put", &[("raw/articles/a1/photo.jpg", JPEG, PHOTO)], &[("raw/articles/a1/photo.jpg", "ready")]),
    one("s3_post", &[("raw/articles/a1/photo.jpg", JPEG, PHOTO)], &[("raw/articles/a1/photo.jpg", "ready")]),
    one("s3_multipart", &[("raw/a1/photo.jpg", JPEG, PHOTO)], &[("raw/a1/photo.jpg", "ready")]),
    one("s3_newer_minor_version", &[("raw/a1/photo.jpg", JPEG, PHOTO)], &[("raw/a1/photo.jpg", "ready")]),
    one(
        "s3_nested_layout",
        &[("articles/a1/raw/photo.jpg", JPEG, PHOTO)],
        &[("articles/a1/raw/photo.jpg", "ready")],
    ),
    one("s3_removed", &[], &[("raw/a1/gone.jpg", "removed")]),
    skipped("s3_test_event"),
    skipped("sns_test_event"),
    one("sns_s3_put", &[("raw/a1/photo.jpg", JPEG, PHOTO)], &[("raw/a1/photo.jpg", "ready")]),
    one(
        "eventbridge_created",
        &[("articles/a1/raw/a b+c.jpg", JPEG, PHOTO)],
        &[("articles/a1/raw/a b+c.jpg", "ready")],
    ),
    one("eventbridge_deleted", &[], &[("raw/a1/gone.jpg", "removed")]),
    one("sns_eventbridge_created", &[("raw/a1/photo.jpg", JPEG, PHOTO)], &[("raw/a1/photo.jpg", "ready")]),
    one(
        "several_records",
        &[
            ("raw/a1/one.jpg", JPEG, PHOTO),
            ("raw/a1/two.png", "image/png", "images/white_disc.png"),
            ("raw/a1/three.webp", "image/webp", "images/quadrants.webp"),
        ],
        &[("raw/a1/one.jpg", "ready"), ("raw/a1/two.png", "ready"), ("raw/a1/three.webp", "ready")],
    ),
    one(
        "key_with_space",
        &[("raw/a1/my holiday photo.jpg", JPEG, PHOTO)],
        &[("raw/a1/my holiday photo.jpg", "ready")],
    ),
    one("key_with_plus", &[("raw/a1/one+two.jpg", JPEG, PHOTO)], &[("raw/a1/one+two.jpg", "ready")]),
    one("key_with_percent", &[("raw/a1/100%.jpg", JPEG, PHOTO)], &[("raw/a1/100%.jpg", "ready")]),
    one("key_non_ascii", &[("raw/a1/été 日本.jpg", JPEG, PHOTO)], &[("raw/a1/été 日本.jpg", "ready")]),
    one("key_encoded_slashes", &[("raw/a1/photo.jpg", JPEG, PHOTO)], &[("raw/a1/photo.jpg", "ready")]),
    skipped("own_output"),
    skipped("folder_marker"),
    skipped("not_a_source"),
    retried("other_bucket", &["message-1"]),
    retried("dot_segments", &["message-1"]),
    retried("unknown_major_version", &["message-1"]),
    retried("no_event", &["message-1", "message-2", "message-3", "message-4", "message-5"]),
    one(
        "hostile_batch",
        &[
            ("raw/a1/claims_65000_square.jpg", JPEG, "hostile/claims_65000_square.jpg"),
            ("raw/a1/claims_65000_square.png", "image/png", "hostile/claims_65000_square.png"),
            ("raw/a1/empty.jpg", JPEG, "hostile/empty.jpg"),
            ("raw/a1/not_an_image.jpg", JPEG, "hostile/not_an_image.jpg"),
            ("raw/a1/png_in_disguise.jpg", JPEG, "hostile/png_in_disguise.jpg"),
            ("raw/a1/truncated.jpg", JPEG, "hostile/truncated.jpg"),
        ],
        &[
            ("raw/a1/claims_65000_square.jpg", "too_many_pixels"),
            ("raw/a1/claims_65000_square.png", "too_many_pixels"),
            ("raw/a1/empty.jpg", "empty"),
            ("raw/a1/not_an_image.jpg", "unsupported_type"),
            ("raw/a1/png_in_disguise.jpg", "type_mismatch"),
            ("raw/a1/truncated.jpg", "corrupt"),
        ],
    ),
    Case {
        event: "mixed_batch",
        sources: &[
            ("raw/a1/one.jpg", JPEG, PHOTO),
            ("raw/a1/truncated.jpg", JPEG, "hostile/truncated.jpg"),
            ("raw/a1/two.png", "image/png", "images/white_disc.png"),
        ],
        failed: &["message-2"],
        told: &[
            ("raw/a1/one.jpg", "ready"),
            ("raw/a1/truncated.jpg", "corrupt"),
            ("raw/a1/two.png", "ready"),
        ],
    },
];

#[tokio::test]
async fn every_fixture_event_has_its_outcome_and_a_second_and_third_delivery_change_nothing() {
    for case in CASES {
        let stack = idle_stack().await;
        for (key, content_type, file) in case.sources {
            put_source(&stack, key, content_type, fixture(file)).await;
        }
        deliver(&stack, case).await;
        let after_the_first = bucket(&stack).await;
        for _ in 0..2 {
            deliver(&stack, case).await;
            assert_eq!(bucket(&stack).await, after_the_first, "{}: a redelivery wrote something", case.event);
        }
        let written =
            after_the_first.keys().filter(|key| !case.sources.iter().any(|(source, ..)| source == key));
        for key in written {
            assert!(key.split('/').any(|segment| segment == "processed"), "{}: wrote {key}", case.event);
        }
    }
}

async fn deliver(stack: &Stack, case: &Case) {
    let response = invoke(stack, event(case.event)).await;
    let failed: Vec<_> = response.batch_item_failures.iter().map(|f| f.item_identifier.as_str()).collect();
    assert_eq!(failed, case.failed, "{}", case.event);
    for (source, expected) in case.told {
        assert_eq!(told(stack, source).await, *expected, "{}: {source}", case.event);
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
    let mut cases: Vec<_> = CASES.iter().map(|case| format!("{}.json", case.event)).collect();
    files.sort();
    cases.sort();
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
