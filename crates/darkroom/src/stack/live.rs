//! What is going on, for the page: how many messages wait, what became of uploads since the start, and the functions'
//! metrics, as server-sent events. The counts look at queue and bucket as any operator could, never at the worker, which may
//! run elsewhere; metrics are those of this process.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::header::CACHE_CONTROL;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::routing::get;
use axum::{Json, Router};
use contract::manifest::Outcome;
use contract::{Manifest, ManifestKey};
use futures::{Stream, StreamExt};
use serde::Serialize;
use tokio::sync::{broadcast, watch};

use crate::local::{self, Local};
use crate::stack::meters::{Meter, Meters};

/// Messages come in and out of sight by time alone, too.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Between two looks: a burst of changes is told of as one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// Between two tellings of all metrics, which are more than a few numbers.
const METRICS_PAUSE: Duration = Duration::from_millis(500);

/// Messages in the queues now; manifests written since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    waiting: u64,
    in_flight: u64,
    /// Hidden since they were sent.
    delayed: u64,
    dead_letters: u64,
    ready: u64,
    rejected: u64,
    failed: u64,
}

/// Keeps the counts.
pub struct Live {
    local: Local,
    writes: broadcast::Receiver<String>,
    counts: watch::Sender<Counts>,
}

/// `GET /dev/events`: counts and metrics at once, and again whenever they have changed. `GET /dev/metrics`: the metrics now.
pub fn router(counts: watch::Sender<Counts>, meters: Meters, stopped: watch::Receiver<bool>) -> Router {
    let metrics = meters.clone();
    let events = async move || {
        let events = futures::stream::select(count_events(counts.subscribe()), metric_events(meters));
        Sse::new(until(events, stopped)).keep_alive(KeepAlive::default())
    };
    let metrics = async move || ([(CACHE_CONTROL, "no-store")], Json(AllMetrics { metrics: metrics.all() }));
    Router::new().route("/dev/events", get(events)).route("/dev/metrics", get(metrics))
}

#[derive(Serialize)]
struct AllMetrics {
    metrics: Vec<Meter>,
}

/// Ends when the stack is told to stop, which waits for every answer to end.
fn until<T>(events: impl Stream<Item = T>, mut stopped: watch::Receiver<bool>) -> impl Stream<Item = T> {
    events.take_until(async move { drop(stopped.wait_for(|stopped| *stopped).await) })
}

fn count_events(mut counts: watch::Receiver<Counts>) -> impl Stream<Item = Result<Event, Infallible>> {
    counts.mark_changed();
    futures::stream::unfold(counts, async |mut counts| {
        counts.changed().await.ok()?;
        let now = *counts.borrow_and_update();
        Some((event("counts", &now)?, counts))
    })
}

fn metric_events(meters: Meters) -> impl Stream<Item = Result<Event, Infallible>> {
    let mut changes = meters.changes();
    changes.mark_changed();
    let start = (meters, changes, Duration::ZERO);
    futures::stream::unfold(start, async |(meters, mut changes, pause)| {
        tokio::time::sleep(pause).await;
        changes.changed().await.ok()?;
        let metrics = AllMetrics { metrics: meters.all() };
        Some((event("metrics", &metrics)?, (meters, changes, METRICS_PAUSE)))
    })
}

/// Numbers and names: there is nothing in them that JSON cannot say.
fn event(name: &str, data: &impl Serialize) -> Option<Result<Event, Infallible>> {
    Event::default().event(name).json_data(data).ok().map(Ok)
}

impl Live {
    pub fn new(local: Local) -> Self {
        Self { writes: local.objects.writes(), local, counts: watch::Sender::default() }
    }

    /// Where the counts can be listened to.
    pub fn counts(&self) -> watch::Sender<Counts> {
        self.counts.clone()
    }

    /// Runs until told to stop.
    pub async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut changes = self.local.objects.changes();
        loop {
            if let Err(error) = self.look().await {
                tracing::error!(%error, "the state could not be counted");
            }
            let change = async {
                tokio::time::sleep(SHORTEST_PAUSE).await;
                let _ = tokio::time::timeout(LOOK_AGAIN, changes.changed()).await;
            };
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => break,
                () = change => {}
            }
        }
    }

    async fn look(&mut self) -> Result<(), local::Error> {
        let mut now = *self.counts.borrow();
        loop {
            match self.writes.try_recv() {
                Ok(key) => self.count_manifest(&key, &mut now).await?,
                // What was missed is missing from the panel, and nowhere else.
                Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(_) => break,
            }
        }
        // Counting a queue reads all of it: not while nobody listens.
        if self.counts.receiver_count() > 0 {
            let (queue, dead_letters) =
                tokio::try_join!(self.local.queue.counts(), self.local.dead_letters.counts())?;
            (now.waiting, now.in_flight, now.delayed) = (queue.visible, queue.in_flight, queue.delayed);
            now.dead_letters = dead_letters.total();
        }
        self.counts.send_if_modified(|counts| std::mem::replace(counts, now) != now);
        Ok(())
    }

    async fn count_manifest(&self, key: &str, counts: &mut Counts) -> Result<(), local::Error> {
        if ManifestKey::parse(key).is_err() {
            return Ok(());
        }
        let Some(object) = self.local.objects.get(key).await? else { return Ok(()) };
        let Ok(manifest) = Manifest::parse(&object.bytes().await?) else { return Ok(()) };
        match manifest.outcome {
            Outcome::Ready { .. } => counts.ready += 1,
            Outcome::Rejected { .. } => counts.rejected += 1,
            Outcome::Failed { .. } => counts.failed += 1,
            Outcome::Removed => {}
        }
        Ok(())
    }
}
