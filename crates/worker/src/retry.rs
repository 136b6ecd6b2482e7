//! When a message that failed is due again. Pure: the spread comes from the message, not from a clock or
//! a random source.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// How long a failed message stays hidden, by its receive count; the last one counts for the rest. With
/// ten receives they span over an hour: an outage of that length loses nobody.
pub const DELAYS: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_secs(80),
    Duration::from_secs(320),
    Duration::from_secs(900),
];

/// Either way, percent: what failed together does not come back together.
const SPREAD_PERCENT: u32 = 10;

/// The time until the next receive of a message that has been received `receive_count` times.
pub fn delay(delays: &[Duration], receive_count: u32, message_id: &str) -> Duration {
    let at = (receive_count.saturating_sub(1) as usize).min(delays.len().saturating_sub(1));
    let delay = delays.get(at).copied().unwrap_or_default();
    let mut hash = DefaultHasher::new();
    (message_id, receive_count).hash(&mut hash);
    let spread = u32::try_from(hash.finish() % u64::from(2 * SPREAD_PERCENT + 1)).unwrap_or(0);
    delay * (100 - SPREAD_PERCENT + spread) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_within_their_spread_and_span_an_hour_in_ten_receives() {
        let mut least = Duration::ZERO;
        for count in 1..=9_u32 {
            let delays: Vec<_> = (0..200).map(|n| delay(&DELAYS, count, &format!("m{n}"))).collect();
            let expected = DELAYS[(count as usize - 1).min(4)];
            let (min, max) = (*delays.iter().min().unwrap(), *delays.iter().max().unwrap());
            assert!(min >= expected * 90 / 100 && max <= expected * 110 / 100, "{count}: {min:?} {max:?}");
            assert!(max > min, "no spread");
            least += min;
        }
        assert!(least > Duration::from_secs(3600), "{least:?}");
        assert_eq!(delay(&[], 3, "m"), Duration::ZERO);
    }
}
