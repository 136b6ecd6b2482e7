//! How long an invocation may still take, and whether work of a known length is worth starting in what is
//! left. Pure; never reads anything but the clock.

use std::time::{Duration, Instant};

/// When an invocation's answer must be out.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    /// What the invocation had at its start.
    whole: Duration,
}

impl Deadline {
    /// `whole` from now on.
    pub fn after(whole: Duration) -> Self {
        Self { at: Instant::now() + whole, whole }
    }

    pub fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Whether work that ought to take this long should start. Not where it would be cut off and another
    /// invocation would have more time for it; one that is still fresh is as good as it gets.
    pub fn allows(self, work: Duration) -> bool {
        let left = self.left();
        work <= left || left >= self.whole / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_starts_where_it_fits_or_where_no_other_invocation_would_have_much_more_time() {
        let deadline = |left_ms: u64, whole_ms: u64| Deadline {
            at: Instant::now() + Duration::from_millis(left_ms),
            whole: Duration::from_millis(whole_ms),
        };
        let work = Duration::from_millis(10_000);
        assert!(deadline(20_000, 60_000).allows(work));
        assert!(!deadline(9_000, 60_000).allows(work));
        assert!(deadline(9_000, 9_500).allows(work), "longer than any invocation");
        assert!(!deadline(0, 60_000).allows(work));
        assert_eq!(deadline(0, 1).left(), Duration::ZERO);
    }
}
