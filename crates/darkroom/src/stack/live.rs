//! What is going on, for the page's live panel: how many messages wait, and what became of uploads since the
//! start, as server-sent events. Looks at queue and bucket as any operator could, never at the worker, which may run
//! elsewhere.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::routing::get;
use contract::manifest::Outcome;
use contract::{Manifest, ManifestKey};
use futures::{Stream, StreamExt};
use serde::Serialize;
use tokio::sync::{broadcast, watch};

use crate::local::{self, Local};

/// Messages come in and out of sight by time alone, too.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Between two looks: a burst of changes is told of as one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

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

/// `GET /dev/events`: the counts at once, and again whenever they have changed.
pub fn router(counts: watch::Sender<Counts>, stopped: watch::Receiver<bool>) -> Router {
    let events = async move || Sse::new(events(counts.subscribe(), stopped)).keep_alive(KeepAlive::default());
    Router::new().route("/dev/events", get(events))
}

/// Ends when the stack is told to stop, which waits for every answer to end.
fn events(
    mut counts: watch::Receiver<Counts>,
    mut stopped: watch::Receiver<bool>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    counts.mark_changed();
    let events = futures::stream::unfold(counts, async |mut counts| {
        counts.changed().await.ok()?;
        let now = *counts.borrow_and_update();
        // Numbers alone: there is nothing here that JSON cannot say.
        let event = Event::default().event("counts").json_data(now).ok()?;
        Some((Ok(event), counts))
    });
    events.take_until(async move { drop(stopped.wait_for(|stopped| *stopped).await) })
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
