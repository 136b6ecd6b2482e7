//! How long an invocation may still take, and whether work of a known length is worth starting in what is
//! left. Reads nothing but the runtime's clock.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// When an invocation's answer must be out.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    /// What the invocation had at its start.
    whole: Duration,
    /// Whether there is no other invocation to leave work to.
    is_last: bool,
}

impl Deadline {
    /// `whole` from now on.
    pub fn after(whole: Duration) -> Self {
        Self { at: Instant::now() + whole, whole, is_last: false }
    }

    /// For a message that is not received again: its work starts in whatever is left.
    pub fn last_if(self, is_last: bool) -> Self {
        Self { is_last, ..self }
    }

    pub fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// For how long from now on work that ought to take `work` may still be started. Not where it would
    /// be cut off and another invocation would have more time for it; one that is still fresh is as good
    /// as it gets.
    pub fn patience(self, work: Duration) -> Duration {
        let kept_free = if self.is_last { Duration::ZERO } else { work.min(self.whole / 2) };
        self.left().saturating_sub(kept_free)
    }

    /// Waits for what work of that length needs, as long as it may still be started.
    pub async fn wait<T>(self, work: Duration, needed: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.patience(work), needed).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_starts_where_it_fits_or_where_no_other_invocation_would_have_much_more_time() {
        let patience_ms = |left_ms: u64, whole_ms: u64| {
            let at = Instant::now() + Duration::from_millis(left_ms);
            let deadline = Deadline { at, whole: Duration::from_millis(whole_ms), is_last: false };
            deadline.patience(Duration::from_millis(10_000)).as_millis()
        };
        assert_eq!(patience_ms(20_000, 60_000), 10_000);
        assert_eq!(patience_ms(9_000, 60_000), 0);
        assert_eq!(patience_ms(9_000, 9_500), 4_250, "longer than any invocation");
        assert_eq!(patience_ms(0, 60_000), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_when_the_work_could_no_longer_be_done() {
        let deadline = Deadline::after(Duration::from_secs(60));
        let work = Duration::from_secs(20);
        assert_eq!(deadline.wait(work, async { 1 }).await, Some(1));
        assert_eq!(deadline.wait(work, std::future::pending::<()>()).await, None);
        assert_eq!(deadline.left(), work);
        assert_eq!(deadline.last_if(true).wait(work, std::future::pending::<()>()).await, None);
        assert_eq!(deadline.left(), Duration::ZERO, "nothing is kept free on the last receive");
    }
}
