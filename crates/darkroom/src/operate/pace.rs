//! How fast a command may go, so that it leaves room for those whose bucket and queue it works on. Owns
//! the flag's syntax and the turns. One turn is one request, one message sent or one object deleted.

use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The most that a flag can ask for, a second: S3 itself takes some 5 500 reads a second of one prefix.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html>
const MAX_PER_SECOND: u32 = 10_000;
/// Turns that were not taken are kept for so long, and no longer.
const SAVED: Duration = Duration::from_millis(100);

/// Turns a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(u32);

impl Rate {
    pub const DEFAULT: Self = Self(100);

    pub const fn per_second(self) -> u32 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = String;

    /// `50/s`, or plainly `50`.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix("/s").unwrap_or(text);
        match number.parse() {
            Ok(turns) if (1..=MAX_PER_SECOND).contains(&turns) => Ok(Self(turns)),
            _ => Err(format!("a rate is a whole number from 1 to {MAX_PER_SECOND}, as in `50/s`")),
        }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

/// Hands out turns. Clones share them.
#[derive(Debug, Clone)]
pub struct Pace(Option<Arc<Mutex<Turns>>>);

#[derive(Debug)]
struct Turns {
    every: Duration,
    next: Instant,
}

impl Pace {
    /// As fast as it goes.
    pub const FREE: Self = Self(None);

    pub fn of(rate: Rate) -> Self {
        let every = Duration::from_secs(1) / rate.0;
        Self(Some(Arc::new(Mutex::new(Turns { every, next: Instant::now() }))))
    }

    /// Waits for as many turns.
    pub async fn take(&self, turns: usize) {
        let Some(shared) = &self.0 else { return };
        let at = shared.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now(), turns);
        tokio::time::sleep_until(at).await;
    }
}

impl Turns {
    /// When the first of these turns comes; all of them are gone.
    fn take(&mut self, now: Instant, turns: usize) -> Instant {
        let first = self.next.max(now.checked_sub(SAVED).unwrap_or(now));
        self.next = first + self.every.saturating_mul(u32::try_from(turns).unwrap_or(u32::MAX));
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_with_or_without_its_unit() {
        assert_eq!("50/s".parse(), Ok(Rate(50)));
        assert_eq!("1".parse(), Ok(Rate(1)));
        assert_eq!(Rate::DEFAULT.to_string().parse(), Ok(Rate::DEFAULT));
        for wrong in ["", "0", "0/s", "-1", "1.5", "50/m", "fast", "/s", "10001", "99999999999"] {
            let told = wrong.parse::<Rate>().unwrap_err();
            assert!(told.contains("from 1 to 10000, as in `50/s`"), "{wrong}: {told}");
        }
    }

    #[test]
    fn turns_come_no_faster_than_the_rate_and_idle_time_is_not_saved_up() {
        let start = Instant::now();
        let mut turns = Turns { every: Duration::from_millis(10), next: start };
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(
            [turns.take(start, 1), turns.take(start, 5), turns.take(start, 1)],
            [at(0), at(10), at(60)]
        );
        // A minute later there are ten turns at once, not six thousand.
        let later = at(60_000);
        assert_eq!(turns.take(later, 10), at(59_900));
        assert_eq!(turns.take(later, 1), later);
    }

    #[tokio::test]
    async fn without_a_rate_nothing_waits() {
        let start = Instant::now();
        Pace::FREE.take(1_000_000).await;
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}
