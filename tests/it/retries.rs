//! When a message comes back: for how long the worker hides it through SQS, what the last receive does, and what
//! the poller gives back when it is told to end.

use std::time::Duration;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use contract::{Status, manifest::Outcome};
use darkroom::stack::{BUCKET, Options, Stack, to_event};
use darkroom_tests::{bucket, fixture, idle_stack, manifest, put_source};
use tokio::sync::watch;
use worker::deadline::Deadline;
use worker::notification::{BACKFILL, body};
use worker::poller::Poller;
use worker::{Clients, Config, Worker};

const HIDDEN_MS: u64 = 360_000;

/// Receives all that is due and hands it over as one batch.
async fn deliver(stack: &Stack, time: Duration) -> SqsBatchResponse {
    let messages = stack.local.queue.receive(10, HIDDEN_MS).await.unwrap();
    assert!(!messages.is_empty());
    stack.worker.batch(to_event(&messages), Deadline::after(time)).await.unwrap()
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

/// Makes what is hidden due again, as time would.
async fn show(stack: &Stack) {
    stack.local.queue.release_all().await.unwrap();
}

/// 12 megapixels of noise: no machine is done with it within the deadlines below.
fn large_photo() -> Vec<u8> {
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    let pixels = noise.take(4000 * 3000 * 3).collect();
    let image = image::RgbImage::from_raw(4000, 3000, pixels).unwrap();
    let mut jpeg = std::io::Cursor::new(Vec::new());
    image.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    jpeg.into_inner()
}

#[tokio::test]
async fn a_failed_message_is_hidden_for_a_time_that_grows_with_its_receive_count() {
    let stack = idle_stack().await;
    stack.local.queue.send("no event").await.unwrap();
    for expected_s in [5, 20, 80, 320, 900, 900, 900, 900, 900, 900] {
        let before = now_ms();
        assert_eq!(deliver(&stack, Duration::from_secs(60)).await.batch_item_failures.len(), 1);
        let hidden_ms = stack.local.queue.peek().await.unwrap()[0].visible_at_ms - before;
        // SQS knows whole seconds; the rest is this test's own time.
        let allowed = expected_s * 900 - 500..expected_s * 1100 + 10_000;
        assert!(allowed.contains(&hidden_ms), "{hidden_ms} ms where {expected_s} s were expected");
        show(&stack).await;
    }
    assert!(stack.local.queue.receive(10, HIDDEN_MS).await.unwrap().is_empty());
    let dead = stack.local.dead_letters.peek().await.unwrap();
    assert_eq!((dead.len(), &*dead[0].body), (1, "no event"));
}

#[tokio::test]
async fn what_was_not_begun_for_want_of_time_is_shown_at_once_and_what_was_cut_off_is_not() {
    let stack = idle_stack().await;
    // Both wait for the same key's turn: the second cannot begin before the first is cut off.
    put_source(&stack, "raw/large.jpg", "image/jpeg", large_photo()).await;
    stack.local.queue.send(&body(BUCKET, "raw/large.jpg", BACKFILL)).await.unwrap();
    assert_eq!(deliver(&stack, Duration::from_millis(200)).await.batch_item_failures.len(), 2);
    let now = now_ms();
    let mut due = stack.local.queue.peek().await.unwrap().into_iter().map(|held| held.visible_at_ms);
    assert!(due.next().unwrap() <= now, "shown at once");
    assert!(due.next().unwrap() > now + 2000, "hidden");
}

#[tokio::test]
async fn the_last_receive_tells_which_kind_of_fault_it_was_and_a_redrive_replaces_it() {
    let stack = idle_stack().await;
    put_source(&stack, "raw/a.jpg", "image/jpeg", fixture("images/wide.jpg")).await;
    for _ in 1..=10 {
        assert!(manifest(&stack, "raw/a.jpg").await.is_none());
        deliver(&stack, Duration::ZERO).await;
        show(&stack).await;
    }
    let Outcome::Failed { failure } = manifest(&stack, "raw/a.jpg").await.unwrap().outcome else {
        panic!("no failure is told")
    };
    assert_eq!(failure.code, "out_of_time");
    assert!(stack.local.queue.receive(10, HIDDEN_MS).await.unwrap().is_empty(), "a dead letter by now");
    assert_eq!(stack.local.dead_letters.move_all_back().await.unwrap(), 1);
    assert!(deliver(&stack, Duration::from_secs(60)).await.batch_item_failures.is_empty());
    assert_eq!(manifest(&stack, "raw/a.jpg").await.unwrap().status(), Status::Ready);
}

/// A poller of a stack's queue, and what tells it to end.
fn poller(stack: &Stack) -> (tokio::task::JoinHandle<()>, watch::Sender<bool>) {
    let find = |name: &str| match name {
        "BUCKET" => Some(BUCKET.to_owned()),
        "QUEUE_URL" => Some(stack.queue_url.clone()),
        _ => None,
    };
    let config = Config::from_settings(&find).unwrap();
    let clients = Clients { sqs: Some(stack.sqs.clone()), ..stack.client.clone().into() };
    let poller = Poller::new(Worker::new(config, clients)).unwrap();
    let (stop, stopped) = watch::channel(false);
    (tokio::spawn(poller.run(stopped, None)), stop)
}

async fn until_drained(stack: &Stack) {
    for _ in 0..3000 {
        if stack.local.queue.counts().await.unwrap().total() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{:?}", stack.local.queue.counts().await.unwrap());
}

#[tokio::test]
async fn a_poller_works_a_queue_off_and_ends_while_it_waits() {
    let stack = idle_stack().await;
    for n in 0..25 {
        put_source(&stack, &format!("raw/{n}.png"), "image/png", fixture("images/white_disc.png")).await;
    }
    let (poller, stop) = poller(&stack);
    until_drained(&stack).await;
    assert_eq!(bucket(&stack).await.len(), 25 * 12);
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(15), poller).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_poller_that_is_told_to_end_finishes_what_is_under_way_and_gives_back_the_rest_at_once() {
    let stack = Stack::start(Options { run_worker: false, ..Options::default() }).await.unwrap();
    for n in 0..20 {
        put_source(&stack, &format!("raw/{n}.jpg"), "image/jpeg", fixture("images/wide.jpg")).await;
    }
    let (first, stop) = poller(&stack);
    while stack.local.queue.counts().await.unwrap().in_flight == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(60), first).await.unwrap().unwrap();
    let counts = stack.local.queue.counts().await.unwrap();
    assert_eq!(counts.in_flight, 0, "nothing is held back");
    assert!(counts.visible > 0, "it was told long before the end");
    let (_second, _stop) = poller(&stack);
    until_drained(&stack).await;
    assert_eq!(bucket(&stack).await.len(), 20 * 12);
}
