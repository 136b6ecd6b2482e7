//! Time that passes only when nothing else can happen.
//!
//! The runtime's clock stands still while any task can run or any blocking work is under way, and then jumps
//! to the next timer: hours cost nothing, and a sleep returns only once all that could happen has happened.
//! What S3 and SQS take for the time of day follows it, and may also jump, as their clocks do.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The time of day at the start of every run: 2100-01-04T08:00:00Z, ms since 1970. Far from the real time, which
/// some of what is written during a run still has in it.
const START_MS: u64 = 4_102_732_800_000;
/// The shortest sleep that the runtime's timers know.
const TICK: Duration = Duration::from_millis(1);

/// Cheap to clone; clones tell the same time.
#[derive(Debug, Clone)]
pub struct Time {
    start: Instant,
    /// How far the clocks of S3 and SQS have jumped.
    jumped_ms: Arc<AtomicI64>,
}

impl Time {
    /// Within a runtime whose time is paused.
    pub fn start() -> Self {
        Self { start: Instant::now(), jumped_ms: Arc::default() }
    }

    /// Since the start, jumps excepted.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// The time of day as S3 and SQS have it, ms since 1970.
    pub fn now_ms(&self) -> u64 {
        let elapsed_ms = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
        START_MS.saturating_add(elapsed_ms).saturating_add_signed(self.jumped_ms.load(Ordering::Relaxed))
    }

    /// The clocks of S3 and SQS jump.
    pub fn jump(&self, by_ms: i64) {
        self.jumped_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// Returns when every task waits for the simulator, or for a time that is still to come.
    pub async fn rest() {
        tokio::time::sleep(TICK).await;
    }

    pub async fn pass(time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// `+1:02:03.004`
pub fn shown(elapsed: Duration) -> String {
    let (s, ms) = (elapsed.as_secs(), elapsed.subsec_millis());
    format!("+{}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
}
