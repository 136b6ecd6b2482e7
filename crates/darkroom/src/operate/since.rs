//! A moment or an age, as people write them in flags. Pure: whoever uses one brings the time.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// How far back an age may reach, s: a hundred years.
const MAX_AGE_S: i64 = 100 * 365 * 86_400;

/// How long ago: `90s`, `15m`, `6h`, `7d`, `2w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(pub SignedDuration);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 7 * 86_400)];
        let parsed = units.iter().find_map(|(unit, seconds)| {
            let number: u32 = text.strip_suffix(*unit)?.parse().ok()?;
            i64::from(number).checked_mul(*seconds).filter(|age| *age <= MAX_AGE_S)
        });
        parsed.map(|seconds| Self(SignedDuration::from_secs(seconds))).ok_or_else(|| {
            "an age is a whole number with a unit, as in `90s`, `15m`, `6h`, `7d` or `2w`".to_owned()
        })
    }
}

/// From when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    At(Timestamp),
    Ago(Age),
}

impl Since {
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            // Below the first moment that there is, all of them count.
            Self::Ago(Age(age)) => now.checked_sub(age).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    /// RFC 3339, a date (from its midnight in UTC on), or an age.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(age) = text.parse() {
            return Ok(Self::Ago(age));
        }
        if let Ok(moment) = text.parse() {
            return Ok(Self::At(moment));
        }
        let date = text.parse::<Date>().ok().and_then(|date| date.to_zoned(TimeZone::UTC).ok());
        date.map(|midnight| Self::At(midnight.timestamp())).ok_or_else(|| {
            "a time is written `2026-11-01`, `2026-11-01T08:30:00Z`, or as an age: `6h`, `7d`, `2w`"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_moment_a_date_or_an_age() {
        let now: Timestamp = "2026-11-08T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-11-01T08:30:00Z", "2026-11-01T08:30:00Z"),
            ("2026-11-01T08:30:00+02:00", "2026-11-01T06:30:00Z"),
            ("2026-11-01", "2026-11-01T00:00:00Z"),
            ("7d", "2026-11-01T12:00:00Z"),
            ("2w", "2026-10-25T12:00:00Z"),
            ("90s", "2026-11-08T11:58:30Z"),
        ] {
            let since: Since = text.parse().unwrap();
            assert_eq!(since.at(now).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_examples() {
        for wrong in ["", "7", "d", "-7d", "7 d", "yesterday", "2026-13-01", "4294967295w", "1e3s"] {
            let told = wrong.parse::<Since>().unwrap_err();
            assert!(told.contains("`2026-11-01`"), "{wrong}: {told}");
            assert!(wrong.parse::<Age>().unwrap_err().contains("`15m`"), "{wrong}");
        }
    }
}
