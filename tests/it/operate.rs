//! What operators do with a running system: the commands' library against the stack's own S3 and SQS, with
//! the worker's real handler for what they ask of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use contract::manifest::Status;
use contract::{Fingerprint, Layout, Limits, Manifest, Recipe, SourceKey};
use darkroom::local::Clock;
use darkroom::operate::backfill::{self, Reason, backfill};
use darkroom::operate::reconcile::{self, Category, reconcile};
use darkroom::operate::status::{Verdict, status};
use darkroom::operate::{Bucket, Control, Cursor, Pace, Place, Queue, Rate, Stop, redrive};
use darkroom::stack::{BUCKET, Options, Stack};
use darkroom_tests::{bucket, fixture, idle_stack, invoke, manifest, put_source};
use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{Context, LambdaEvent};

fn place(stack: &Stack) -> Place {
    at_pace(stack, &Pace::FREE)
}

fn at_pace(stack: &Stack, pace: &Pace) -> Place {
    let queue = |url: &str| Some(Queue::new(stack.sqs.clone(), url, pace.clone()));
    Place {
        name: "the test's".to_owned(),
        bucket: Bucket::new(stack.client.clone(), BUCKET, pace.clone()),
        queue: queue(&stack.queue_url),
        dead_letters: queue(&stack.dead_letter_queue_url),
    }
}

fn fingerprint() -> Fingerprint {
    Fingerprint::of(&Recipe::default(), &Limits::default(), imaging::ENCODERS)
}

/// Takes everything that is visible out of the queue; the bodies.
async fn take_all(stack: &Stack) -> Vec<String> {
    let mut bodies = Vec::new();
    loop {
        let batch = stack.local.queue.receive(10, 60_000).await.unwrap();
        if batch.is_empty() {
            return bodies;
        }
        for message in batch {
            stack.local.queue.delete(&message.receipt_handle).await.unwrap();
            bodies.push(message.body);
        }
    }
}

/// Has the worker do everything that is visible in the queue; nothing may fail.
async fn work(stack: &Stack) {
    for body in take_all(stack).await {
        let mut message = SqsMessage::default();
        (message.message_id, message.body) = (Some("m".to_owned()), Some(body));
        let mut event = SqsEvent::default();
        event.records = vec![message];
        assert!(invoke(stack, event).await.batch_item_failures.is_empty());
    }
}

/// A source that is done, with nothing left in the queue.
async fn done(stack: &Stack, key: &str, file: &str) -> Option<Manifest> {
    put_source(stack, key, "image/jpeg", fixture(file)).await;
    work(stack).await;
    manifest(stack, key).await
}

/// A source whose event is lost.
async fn unnoticed(stack: &Stack, key: &str) {
    put_source(stack, key, "image/jpeg", fixture("hostile/not_an_image.jpg")).await;
    take_all(stack).await;
}

/// The worker's last receive, without time for anything.
async fn fail(stack: &Stack, key: &str) {
    let mut message = SqsMessage::default();
    message.message_id = Some("m".to_owned());
    message.body = Some(worker::notification::body(BUCKET, key, "ObjectCreated:Put"));
    message.attributes.insert("ApproximateReceiveCount".to_owned(), "10".to_owned());
    let mut event = SqsEvent::default();
    event.records = vec![message];
    let mut context = Context::default();
    context.deadline = Timestamp::now().as_millisecond().unsigned_abs() + 1;
    assert_eq!(
        stack.worker.handle(LambdaEvent::new(event, context)).await.unwrap().batch_item_failures.len(),
        1
    );
    assert_eq!(manifest(stack, key).await.unwrap().status(), Status::Failed);
}

async fn remove(stack: &Stack, key: &str) {
    stack.client.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
}

fn all_sources() -> backfill::Options {
    backfill::Options {
        prefix: "raw/".to_owned(),
        since: None,
        only: None,
        fingerprint: fingerprint(),
        dry_run: false,
    }
}

async fn due(stack: &Stack, options: &backfill::Options) -> BTreeMap<String, Reason> {
    let mut due = BTreeMap::new();
    let mut tell = |told: backfill::Told| match told {
        backfill::Told::Due(source, reason) => assert!(due.insert(source.to_string(), reason).is_none()),
        backfill::Told::Trouble(source, error) => panic!("{source}: {error}"),
    };
    let (mut cursor, control) = (Cursor::default(), Control::default());
    backfill(&place(stack), options, &mut cursor, &control, &mut tell).await.unwrap();
    due
}

#[tokio::test]
async fn a_backfill_enqueues_what_todays_recipe_would_make_anew_and_nothing_else() {
    let stack = idle_stack().await;
    done(&stack, "raw/a/ready.jpg", "images/orientation_1.jpg").await;
    done(&stack, "raw/a/rejected.jpg", "hostile/truncated.jpg").await;
    unnoticed(&stack, "raw/b/é +unseen.jpg").await;
    put_source(&stack, "raw/b/failed.jpg", "image/jpeg", fixture("images/wide.jpg")).await;
    take_all(&stack).await;
    fail(&stack, "raw/b/failed.jpg").await;
    done(&stack, "raw/b/overwritten.jpg", "images/orientation_1.jpg").await;
    unnoticed(&stack, "raw/b/overwritten.jpg").await;
    done(&stack, "raw/b/returned.jpg", "images/orientation_1.jpg").await;
    remove(&stack, "raw/b/returned.jpg").await;
    work(&stack).await;
    unnoticed(&stack, "raw/b/returned.jpg").await;
    done(&stack, "raw/b/unreadable.jpg", "images/orientation_1.jpg").await;
    let broken = SourceKey::parse("raw/b/unreadable.jpg").unwrap().manifest();
    put_source(&stack, broken.as_str(), "application/json", b"{".to_vec()).await;
    for none_of_ours in ["raw/folder/", "raw/a\u{1}b.jpg", "raw/../c.jpg", "logs/raw.txt"] {
        unnoticed(&stack, none_of_ours).await;
    }

    let expected = BTreeMap::from([
        ("raw/b/failed.jpg".to_owned(), Reason::Failed),
        ("raw/b/overwritten.jpg".to_owned(), Reason::OtherSource),
        ("raw/b/returned.jpg".to_owned(), Reason::Returned),
        ("raw/b/unreadable.jpg".to_owned(), Reason::UnreadableManifest),
        ("raw/b/é +unseen.jpg".to_owned(), Reason::NoManifest),
    ]);
    take_all(&stack).await;
    assert_eq!(due(&stack, &all_sources()).await, expected);
    let counts = stack.local.queue.counts().await.unwrap();
    assert_eq!(counts.visible, 5);
    work(&stack).await;
    assert_eq!(due(&stack, &all_sources()).await, BTreeMap::new());

    let recipe = Recipe::parse("[[rendition]]\nname = \"a\"\nwidth = 10").unwrap();
    let fingerprint = Fingerprint::of(&recipe, &Limits::default(), imaging::ENCODERS);
    let anew = due(&stack, &backfill::Options { fingerprint, ..all_sources() }).await;
    assert_eq!((anew.len(), anew.values().all(|why| *why == Reason::OtherRecipe)), (7, true), "{anew:?}");
}

#[tokio::test]
async fn a_backfill_can_be_narrowed_by_prefix_time_and_lacking_rendition() {
    let stack = idle_stack().await;
    done(&stack, "raw/a/ready.jpg", "images/orientation_1.jpg").await;
    unnoticed(&stack, "raw/a/unseen.jpg").await;
    unnoticed(&stack, "raw/b/unseen.jpg").await;
    let recipe = Recipe::parse("[[rendition]]\nname = \"w640\"\nwidth = 10").unwrap();
    let fingerprint = Fingerprint::of(&recipe, &Limits::default(), imaging::ENCODERS);
    let other = || backfill::Options { fingerprint: fingerprint.clone(), ..all_sources() };
    let keys = async |options: backfill::Options| due(&stack, &options).await.into_keys().collect::<Vec<_>>();

    assert_eq!(keys(other()).await, ["raw/a/ready.jpg", "raw/a/unseen.jpg", "raw/b/unseen.jpg"]);
    let only = |name: &str| backfill::Options { only: Some(name.to_owned()), ..other() };
    assert_eq!(keys(only("w640")).await, ["raw/a/unseen.jpg", "raw/b/unseen.jpg"]);
    assert_eq!(keys(only("w2560")).await, ["raw/a/ready.jpg", "raw/a/unseen.jpg", "raw/b/unseen.jpg"]);
    let prefix = backfill::Options { prefix: "raw/b/".to_owned(), ..other() };
    assert_eq!(keys(prefix).await, ["raw/b/unseen.jpg"]);
    let later = Timestamp::now() + SignedDuration::from_secs(60);
    assert!(keys(backfill::Options { since: Some(later), ..other() }).await.is_empty());
    let earlier = Timestamp::now() - SignedDuration::from_secs(600);
    assert_eq!(keys(backfill::Options { since: Some(earlier), ..other() }).await.len(), 3);
}

#[tokio::test]
async fn a_backfill_cut_off_goes_on_where_it_stopped() {
    let stack = idle_stack().await;
    let expected: BTreeSet<String> = (0..37).map(|n| format!("raw/{n:02}.jpg")).collect();
    for key in &expected {
        unnoticed(&stack, key).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("state.json");
    let open = || Cursor::open(Some(file.clone()), "run".to_owned(), None, false).unwrap();
    let (ask, stop) = Stop::new();
    let control = Control { stop, ..Control::default() };
    let (mut cursor, mut told) = (open(), 0);
    let mut tell = |_: backfill::Told| {
        told += 1;
        ask.send_replace(told == 20);
    };
    let first = backfill(&place(&stack), &all_sources(), &mut cursor, &control, &mut tell).await.unwrap();
    assert_eq!((first.due, first.stopped), (20, true));
    drop(cursor);

    let mut cursor = open();
    assert_eq!(cursor.after(), Some("raw/19.jpg"));
    let control = Control::default();
    let second = backfill(&place(&stack), &all_sources(), &mut cursor, &control, &mut |_| {}).await.unwrap();
    assert_eq!((second.examined, second.due, second.stopped), (17, 17, false));
    cursor.end().unwrap();
    assert!(!file.exists());
    let bodies = take_all(&stack).await;
    let keys: BTreeSet<String> = bodies.iter().map(|body| key_of(body)).collect();
    assert_eq!((bodies.len(), keys), (37, expected), "each of them once");
}

fn key_of(body: &str) -> String {
    match worker::notification::parse(body).unwrap() {
        worker::notification::Body::Notifications(list) => list[0].key.clone(),
        worker::notification::Body::TestEvent => panic!("a test event"),
    }
}

/// Fails every request whose address has this text in it.
#[derive(Debug, Clone)]
struct Refusing(&'static str);

impl Intercept for Refusing {
    fn name(&self) -> &'static str {
        "Refusing"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.request().uri().contains(self.0) { Err("refused".into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn trouble_with_one_source_ends_no_run_and_one_for_which_nothing_works_is_given_up() {
    let stack = idle_stack().await;
    for n in 0..30 {
        unnoticed(&stack, &format!("raw/{n:02}.jpg")).await;
    }
    let refusing = |text| {
        let client = stack.client.config().to_builder().interceptor(Refusing(text)).build();
        let bucket = Bucket::new(aws_sdk_s3::Client::from_conf(client), BUCKET, Pace::FREE);
        Place { bucket, ..place(&stack) }
    };
    let (options, control, mut troubled) = (all_sources(), Control::default(), Vec::new());
    let mut tell = |told: backfill::Told| {
        if let backfill::Told::Trouble(source, error) = told {
            troubled.push(format!("{source}: {error:#}"));
        }
    };
    let mut cursor = Cursor::default();
    let summary = backfill(&refusing("07.jpg/"), &options, &mut cursor, &control, &mut tell).await.unwrap();
    assert_eq!((summary.due, summary.errors, troubled.len()), (29, 1, 1));
    assert!(
        troubled[0].starts_with("raw/07.jpg: could not read processed/07.jpg/manifest.json"),
        "{troubled:?}"
    );

    let mut cursor = Cursor::default();
    let given_up = backfill(&refusing("manifest.json"), &options, &mut cursor, &control, &mut |_| {}).await;
    let told = format!("{:#}", given_up.unwrap_err());
    assert!(
        told.starts_with("given up after 20 failures in a row: could not read processed/19.jpg/"),
        "{told}"
    );
    assert_eq!(cursor.after(), None, "the next run begins where this one did");
    let mend = look(TWO_DAYS);
    let summary = reconcile(&refusing("07.jpg/"), &mend, &Control::default(), &mut |_| {}).await.unwrap();
    assert_eq!((summary.found[&Category::SourceWithoutManifest], summary.errors), (29, 1));
}

#[tokio::test]
async fn a_pace_is_kept() {
    let stack = idle_stack().await;
    for n in 0..20 {
        unnoticed(&stack, &format!("raw/{n}.jpg")).await;
    }
    let place = at_pace(&stack, &Pace::of("50/s".parse::<Rate>().unwrap()));
    let started = std::time::Instant::now();
    let (mut cursor, control) = (Cursor::default(), Control::default());
    backfill(&place, &all_sources(), &mut cursor, &control, &mut |_| {}).await.unwrap();
    // A listing, twenty manifests, twenty messages; the first tenth of a second is free, and so is the last batch.
    assert!(started.elapsed() >= std::time::Duration::from_millis(41 * 20 - 100 - 200));
}

/// As seen `later` than now.
fn look(later: SignedDuration) -> reconcile::Options {
    let now = Timestamp::now() + later;
    reconcile::Options {
        prefix: String::new(),
        fix: false,
        dry_run: false,
        grace: SignedDuration::from_mins(15),
        now,
    }
}

const TWO_DAYS: SignedDuration = SignedDuration::from_hours(48);

type Found = BTreeSet<(Category, String)>;

async fn found(stack: &Stack, options: &reconcile::Options) -> (Found, reconcile::Summary) {
    let mut found = Found::new();
    let mut tell = |told: reconcile::Told| match told {
        reconcile::Told::Found(finding) => {
            assert_eq!(finding.fixed, options.fix && !options.dry_run);
            assert!(found.insert((finding.category, finding.key.to_string())), "{finding:?} twice");
        }
        reconcile::Told::Trouble(source, error) => panic!("{source}: {error}"),
    };
    let summary = reconcile(&place(stack), options, &Control::default(), &mut tell).await.unwrap();
    assert_eq!(summary.found.values().sum::<u64>(), found.len() as u64);
    (found, summary)
}

/// One of each kind of what can be wrong, and what is right beside it.
async fn a_mess(stack: &Stack) -> Found {
    let mut found = Found::new();
    let mut wrong = |category, key: &str| assert!(found.insert((category, key.to_owned())));
    done(stack, "raw/right/ready.jpg", "images/orientation_1.jpg").await;
    done(stack, "raw/right/rejected.jpg", "hostile/truncated.jpg").await;
    done(stack, "raw/right/removed.jpg", "images/orientation_1.jpg").await;
    remove(stack, "raw/right/removed.jpg").await;
    work(stack).await;

    unnoticed(stack, "raw/wrong/unseen.jpg").await;
    wrong(Category::SourceWithoutManifest, "raw/wrong/unseen.jpg");
    done(stack, "raw/wrong/overwritten.jpg", "images/orientation_1.jpg").await;
    unnoticed(stack, "raw/wrong/overwritten.jpg").await;
    wrong(Category::SourceWithoutManifest, "raw/wrong/overwritten.jpg");
    done(stack, "raw/wrong/returned.jpg", "images/orientation_1.jpg").await;
    remove(stack, "raw/wrong/returned.jpg").await;
    work(stack).await;
    unnoticed(stack, "raw/wrong/returned.jpg").await;
    wrong(Category::SourceWithoutManifest, "raw/wrong/returned.jpg");

    done(stack, "raw/wrong/gone.jpg", "images/orientation_1.jpg").await;
    remove(stack, "raw/wrong/gone.jpg").await;
    take_all(stack).await;
    wrong(Category::RenditionWithoutSource, "raw/wrong/gone.jpg");

    let torn = done(stack, "raw/wrong/torn.jpg", "images/orientation_1.jpg").await.unwrap();
    remove(stack, torn.renditions()[3].key.as_str()).await;
    wrong(Category::RenditionMissing, "raw/wrong/torn.jpg");

    done(stack, "raw/wrong/replaced.jpg", "images/orientation_1.jpg").await;
    done(stack, "raw/wrong/replaced.jpg", "images/wide.jpg").await;
    wrong(Category::Leftover, "raw/wrong/replaced.jpg");
    // A worker that was cut off before it could write the manifest.
    let half = "processed/wrong/half.jpg/0123456789ab/w320.jpg";
    put_source(stack, half, "image/jpeg", fixture("images/wide.jpg")).await;
    done(stack, "raw/wrong/half.jpg", "images/orientation_1.jpg").await;
    wrong(Category::Leftover, "raw/wrong/half.jpg");
    found
}

#[tokio::test]
async fn reconcile_finds_what_does_not_fit_together_and_mends_it() {
    let stack = idle_stack().await;
    let mess = a_mess(&stack).await;
    let before = bucket(&stack).await;
    let (first, summary) = found(&stack, &look(TWO_DAYS)).await;
    assert_eq!(first, mess);
    assert_eq!((summary.left, summary.asked, summary.deleted_objects), (7, 0, 0));
    assert_eq!(bucket(&stack).await, before, "nothing was asked to be mended");

    let (_, summary) = found(&stack, &reconcile::Options { fix: true, ..look(TWO_DAYS) }).await;
    assert_eq!((summary.left, summary.deleted_objects), (0, 11), "ten renditions, and half a revision's one");
    // For the two whose leftovers are deleted the worker looks later, when nobody can be writing them any more.
    let counts = stack.local.queue.counts().await.unwrap();
    assert_eq!((counts.visible, summary.asked), (5, 7));
    work(&stack).await;
    let (left, summary) = found(&stack, &look(2 * TWO_DAYS)).await;
    // What the overwritten one had before is replaced since a moment ago only.
    let replaced = (Category::Leftover, "raw/wrong/overwritten.jpg".to_owned());
    assert_eq!((left, summary.kept_for_now), (BTreeSet::from([replaced]), 0));
    for key in ["unseen", "overwritten", "returned", "gone", "torn", "replaced", "half"] {
        assert!(manifest(&stack, &format!("raw/wrong/{key}.jpg")).await.is_some(), "{key}");
    }
    assert_all_named_are_there(&stack).await;
}

/// Every manifest in the bucket is whole.
async fn assert_all_named_are_there(stack: &Stack) {
    let all = bucket(stack).await;
    for key in all.keys().filter(|key| key.ends_with("/manifest.json")) {
        let source = contract::ManifestKey::parse(key).unwrap().source().unwrap();
        for rendition in manifest(stack, source.as_str()).await.unwrap().renditions() {
            assert!(all.contains_key(rendition.key.as_str()), "{} is gone", rendition.key);
        }
    }
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let stack = idle_stack().await;
    let mess = a_mess(&stack).await;
    let before = (bucket(&stack).await, stack.local.queue.counts().await.unwrap());
    let dry = reconcile::Options { fix: true, dry_run: true, ..look(TWO_DAYS) };
    let (would, summary) = found(&stack, &dry).await;
    assert_eq!((would, summary.left, summary.asked), (mess, 7, 0));
    let would = due(&stack, &backfill::Options { dry_run: true, ..all_sources() }).await;
    assert_eq!(would.len(), 3);
    assert_eq!((bucket(&stack).await, stack.local.queue.counts().await.unwrap()), before);
}

#[tokio::test]
async fn what_is_young_is_neither_found_fault_with_nor_deleted() {
    let stack = idle_stack().await;
    done(&stack, "raw/replaced.jpg", "images/orientation_1.jpg").await;
    done(&stack, "raw/replaced.jpg", "images/wide.jpg").await;
    unnoticed(&stack, "raw/unseen.jpg").await;
    let mend = |later| reconcile::Options { fix: true, ..look(later) };
    let (young, summary) = found(&stack, &mend(SignedDuration::from_mins(14))).await;
    assert_eq!((young.len(), summary.on_their_way, summary.kept_for_now), (0, 1, 10));
    let (late, _) = found(&stack, &mend(SignedDuration::from_mins(16))).await;
    assert_eq!(late.len(), 1);
    let almost_a_day = SignedDuration::from_hours(24) - SignedDuration::from_mins(1);
    let (_, summary) = found(&stack, &mend(almost_a_day)).await;
    assert_eq!((summary.kept_for_now, summary.deleted_objects), (10, 0));
    let (_, summary) = found(&stack, &mend(SignedDuration::from_hours(25))).await;
    assert_eq!((summary.kept_for_now, summary.deleted_objects), (0, 10));
}

#[tokio::test]
async fn an_older_revision_stays_for_a_day_after_it_was_replaced() {
    let ahead_ms = Arc::new(AtomicU64::new(0));
    let jumped = ahead_ms.clone();
    let now_ms = move || Timestamp::now().as_millisecond().unsigned_abs() + jumped.load(Ordering::Relaxed);
    let options = Options { run_worker: false, clock: Clock::new(now_ms), ..Options::default() };
    let stack = Stack::start(options).await.unwrap();
    done(&stack, "raw/a.jpg", "images/orientation_1.jpg").await;
    ahead_ms.store(TWO_DAYS.as_millis().try_into().unwrap(), Ordering::Relaxed);
    done(&stack, "raw/a.jpg", "images/wide.jpg").await;
    let (left, summary) = found(&stack, &reconcile::Options { fix: true, ..look(TWO_DAYS) }).await;
    assert_eq!((left.len(), summary.kept_for_now), (0, 10));
}

#[tokio::test]
async fn reconcile_never_deletes_what_a_manifest_names() {
    let stack = idle_stack().await;
    // A worker was cut off two days ago before the manifest; another begins again while reconcile deletes.
    for round in 0..8 {
        let key = format!("raw/{round}.jpg");
        done(&stack, &key, "images/orientation_1.jpg").await;
        let manifest = SourceKey::parse(key.as_str()).unwrap().manifest();
        remove(&stack, manifest.as_str()).await;
        let ask = worker::notification::body(BUCKET, &key, worker::notification::BACKFILL);
        stack.local.queue.send(&ask).await.unwrap();
    }
    let mend = reconcile::Options { fix: true, ..look(TWO_DAYS) };
    let (_, (seen, summary)) = tokio::join!(work(&stack), found(&stack, &mend));
    work(&stack).await;
    // Who was overtaken is mended by the look that comes a quarter of an hour later: here it comes at once.
    let deleted: Vec<_> = seen.iter().filter(|(category, _)| *category == Category::Leftover).collect();
    assert!(summary.asked >= deleted.len() as u64);
    for (_, key) in deleted {
        let ask = worker::notification::body(BUCKET, key, worker::notification::REPAIR);
        stack.local.queue.send(&ask).await.unwrap();
    }
    work(&stack).await;
    assert_all_named_are_there(&stack).await;
    assert_eq!(found(&stack, &look(TWO_DAYS)).await.0, Found::new());
}

/// Publishes a manifest while a deletion is on its way.
#[derive(Debug, Clone)]
struct Overtaking {
    client: aws_sdk_s3::Client,
    key: String,
    manifest: Vec<u8>,
}

impl Intercept for Overtaking {
    fn name(&self) -> &'static str {
        "Overtaking"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.request().method() != "POST" {
            return Ok(());
        }
        let Self { client, key, manifest } = self.clone();
        let put = async move {
            client.put_object().bucket(BUCKET).key(key).body(manifest.into()).send().await.unwrap();
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || runtime.block_on(put)).join().unwrap();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_published_while_it_is_deleted_is_made_again_at_once() {
    let stack = idle_stack().await;
    let whole = done(&stack, "raw/a.jpg", "images/orientation_1.jpg").await.unwrap();
    let key = SourceKey::parse("raw/a.jpg").unwrap().manifest().to_string();
    remove(&stack, &key).await;
    let overtaking = Overtaking { client: stack.client.clone(), key, manifest: whole.to_json() };
    let client = stack.client.config().to_builder().interceptor(overtaking).build();
    let bucket = Bucket::new(aws_sdk_s3::Client::from_conf(client), BUCKET, Pace::FREE);
    let place = Place { bucket, ..place(&stack) };
    let mend = reconcile::Options { fix: true, ..look(TWO_DAYS) };
    let summary = reconcile(&place, &mend, &Control::default(), &mut |_| {}).await.unwrap();
    assert_eq!(summary.deleted_objects, 10);
    let visible = stack.local.queue.counts().await.unwrap().visible;
    assert_eq!(visible, summary.asked - 1, "one of them comes later, as after every deletion");
    work(&stack).await;
    assert_all_named_are_there(&stack).await;
    assert_eq!(manifest(&stack, "raw/a.jpg").await.unwrap().revision, whole.revision);
}

#[tokio::test]
async fn what_darkroom_never_wrote_is_counted_and_left_alone() {
    let stack = idle_stack().await;
    done(&stack, "raw/a.jpg", "images/orientation_1.jpg").await;
    for key in ["processed/index.html", "processed/a.jpg/notes.txt", "processed/a.jpg/0123456789ab/w1.exe"] {
        put_source(&stack, key, "text/plain", b"mine".to_vec()).await;
    }
    for key in ["logs/a", "raw/", "processed/", "raw/a\u{1b}[2J.jpg", "raw/..", "raw/x//y"] {
        unnoticed(&stack, key).await;
    }
    let before = keys(&stack).await;
    let (left, summary) = found(&stack, &reconcile::Options { fix: true, ..look(TWO_DAYS) }).await;
    assert_eq!(left, Found::new());
    assert_eq!((summary.unknown, summary.unusable, summary.sources, summary.objects), (3, 3, 1, 11));
    assert_eq!(keys(&stack).await, before);
}

/// Of whatever characters.
async fn keys(stack: &Stack) -> Vec<String> {
    let place = place(stack);
    place.bucket.list("", None).map_ok(|listed| listed.key).try_collect().await.unwrap()
}

#[tokio::test]
async fn sources_below_one_another_are_told_apart() {
    let stack = idle_stack().await;
    for key in ["raw/a.jpg", "raw/a.jpg/b.jpg", "raw/a.jpg/0123456789ab/c.jpg", "raw/a.jpg/0123456789ab"] {
        done(&stack, key, "images/orientation_1.jpg").await;
    }
    assert_eq!(found(&stack, &look(TWO_DAYS)).await.0, Found::new());
    let revision = manifest(&stack, "raw/a.jpg").await.unwrap().revision;
    // Of another source, below a revision of this one.
    done(&stack, &format!("raw/a.jpg/{revision}/d.jpg"), "images/orientation_1.jpg").await;
    done(&stack, "raw/a.jpg", "images/wide.jpg").await;
    let (left, summary) = found(&stack, &reconcile::Options { fix: true, ..look(TWO_DAYS) }).await;
    assert_eq!(left, BTreeSet::from([(Category::Leftover, "raw/a.jpg".to_owned())]));
    assert_eq!(summary.deleted_objects, 10);
    assert_all_named_are_there(&stack).await;
}

#[tokio::test]
async fn both_layouts_are_reconciled_and_a_prefix_covers_what_was_made() {
    let options = Options { run_worker: false, layout: Layout::Nested, ..Options::default() };
    let stack = Stack::start(options).await.unwrap();
    for key in ["articles/1/raw/a.jpg", "articles/2/raw/a.jpg"] {
        let torn = done(&stack, key, "images/orientation_1.jpg").await.unwrap();
        remove(&stack, torn.renditions()[0].key.as_str()).await;
    }
    unnoticed(&stack, "articles/2/raw/b.jpg").await;
    assert_eq!(found(&stack, &look(TWO_DAYS)).await.0.len(), 3);
    for prefix in ["articles/1/", "articles/1/raw/"] {
        let (left, _) =
            found(&stack, &reconcile::Options { prefix: prefix.to_owned(), ..look(TWO_DAYS) }).await;
        let torn = (Category::RenditionMissing, "articles/1/raw/a.jpg".to_owned());
        assert_eq!(left, BTreeSet::from([torn]), "{prefix}");
    }
    found(&stack, &reconcile::Options { fix: true, ..look(TWO_DAYS) }).await;
    work(&stack).await;
    assert_eq!(found(&stack, &look(TWO_DAYS)).await.0, Found::new());
}

/// Puts a message where those end that were received too often.
async fn bury(stack: &Stack, body: &str) {
    stack.sqs.send_message().queue_url(&stack.dead_letter_queue_url).message_body(body).send().await.unwrap();
}

#[tokio::test]
async fn redrive_tells_why_messages_are_there_and_sends_them_back() {
    let stack = idle_stack().await;
    done(&stack, "raw/done.jpg", "images/orientation_1.jpg").await;
    put_source(&stack, "raw/failed.jpg", "image/jpeg", fixture("images/wide.jpg")).await;
    fail(&stack, "raw/failed.jpg").await;
    take_all(&stack).await;
    let of = |bucket: &str, key: &str| worker::notification::body(bucket, key, "ObjectCreated:Put");
    for _ in 0..12 {
        bury(&stack, &of(BUCKET, "raw/failed.jpg")).await;
    }
    for body in [
        of(BUCKET, "raw/done.jpg"),
        of(BUCKET, "raw/gone.jpg"),
        of("other", "raw/a.jpg"),
        of(BUCKET, "raw/../a.jpg"),
        "no event".to_owned(),
        "[".repeat(200_000),
    ] {
        bury(&stack, &body).await;
    }
    let place = place(&stack);
    let dead_letters = place.dead_letters().await.unwrap().unwrap();
    let contents = redrive::look(&place, &dead_letters, &Control::default()).await.unwrap();
    let told: BTreeMap<_, _> = contents
        .groups
        .iter()
        .map(|group| ((group.reason, group.failure.as_deref()), group.messages))
        .collect();
    let expected = BTreeMap::from([
        (("failed", Some("out_of_time")), 12),
        (("settled_meanwhile", None), 1),
        (("no_manifest", None), 1),
        (("other_bucket", None), 1),
        (("unusable_key", None), 1),
        (("not_json", None), 1),
        (("not_an_event", None), 1),
    ]);
    assert_eq!((told, contents.messages, contents.complete), (expected, 18, true));
    assert_eq!(contents.groups[0].example.as_deref(), Some("raw/failed.jpg"));
    let counts = dead_letters.counts().await.unwrap();
    assert_eq!((counts.visible, counts.in_flight), (18, 0), "a look hides nothing for long");

    let task = redrive::redrive(&place, &dead_letters, None, &Control::default()).await.unwrap().unwrap();
    assert_eq!((&*task.status, task.moved), ("COMPLETED", 18));
    assert_eq!(dead_letters.counts().await.unwrap().all(), 0);
    assert_eq!(stack.local.queue.counts().await.unwrap().visible, 18);
}

#[tokio::test]
async fn the_queue_itself_tells_its_dead_letter_queue() {
    let stack = idle_stack().await;
    let place = Place { dead_letters: None, ..place(&stack) };
    assert_eq!(place.dead_letters().await.unwrap().unwrap().url(), stack.dead_letter_queue_url);
    assert!(Place { queue: None, ..place }.dead_letters().await.unwrap().is_none());
}

#[tokio::test]
async fn status_tells_where_an_upload_stands_at_every_step() {
    let stack = idle_stack().await;
    let key = SourceKey::parse("raw/a.jpg").unwrap();
    let stands = async || status(&place(&stack), &key, &fingerprint(), true).await.unwrap();
    assert_eq!(stands().await.verdict, Verdict::Absent);
    put_source(&stack, key.as_str(), "image/jpeg", fixture("images/orientation_1.jpg")).await;
    let waiting = stands().await;
    assert_eq!((waiting.verdict, waiting.queue.queue.unwrap().visible), (Verdict::Waiting, 1));
    fail(&stack, key.as_str()).await;
    bury(&stack, &worker::notification::body(BUCKET, key.as_str(), "ObjectCreated:Put")).await;
    bury(&stack, "another").await;
    let failed = stands().await;
    assert_eq!(failed.verdict, Verdict::Failed);
    assert_eq!((failed.queue.dead_letters_of_this, failed.queue.looked_at_all), (Some(1), Some(true)));
    assert_eq!(failed.queue.dead_letters.unwrap().visible, 2);
    work(&stack).await;
    let ready = stands().await;
    assert_eq!((ready.verdict, ready.settled, ready.renditions.len()), (Verdict::Ready, true, 10));
    let told = ready.manifest.unwrap();
    assert!(told.of_this_source && told.of_this_recipe);
    remove(&stack, ready.renditions[4].key.as_str()).await;
    assert_eq!(stands().await.verdict, Verdict::Incomplete);
    put_source(&stack, key.as_str(), "image/jpeg", fixture("hostile/truncated.jpg")).await;
    assert_eq!(stands().await.verdict, Verdict::Stale);
    work(&stack).await;
    let rejected = stands().await;
    assert_eq!((rejected.verdict, rejected.unnamed_objects), (Verdict::Rejected, 9));
    remove(&stack, key.as_str()).await;
    assert_eq!(stands().await.verdict, Verdict::NotRemoved);
    work(&stack).await;
    let removed = stands().await;
    assert_eq!((removed.verdict, removed.settled, removed.unnamed_objects), (Verdict::Removed, true, 0));
    put_source(&stack, key.manifest().as_str(), "application/json", b"[]".to_vec()).await;
    put_source(&stack, key.as_str(), "image/jpeg", fixture("images/wide.jpg")).await;
    assert_eq!(stands().await.verdict, Verdict::Unreadable);
}
