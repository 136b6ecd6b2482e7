//! A file of at most so many bytes: the highest quality that fits. Owns the search and its cost, a few
//! encodes; never looks at pixels.

/// Each is paid in full, so the search guesses well rather than halving.
pub(crate) const MAX_ENCODES: usize = 4;
/// What each step of quality is taken to be worth until two files tell: e^(1/40), between JPEG, where 40
/// steps make two, and AVIF, where 20 do.
const USUAL_GROWTH: f64 = 0.025;

/// The file of the highest quality up to `quality` found to have at most `max_bytes`, after at most four
/// calls of `encode`. Where not even quality 1 fits, that file.
///
/// # Errors
/// The first that `encode` gives.
pub(crate) fn within<F: AsRef<[u8]>, E>(
    max_bytes: u64,
    quality: u8,
    mut encode: impl FnMut(u8) -> Result<F, E>,
) -> Result<F, E> {
    let first = encode(quality)?;
    let mut above = Tried::new(quality, &first);
    if above.bytes <= max_bytes || quality <= 1 {
        return Ok(first);
    }
    let mut growth = USUAL_GROWTH;
    let mut best: Option<(Tried, F)> = None;
    for left in (0..MAX_ENCODES - 1).rev() {
        let below = best.as_ref().map(|(tried, _)| *tried);
        let next = match below {
            // The last chance.
            None if left == 0 => 1,
            _ => above.guess(below, max_bytes, growth),
        };
        if below.is_some_and(|below| next <= below.quality) {
            break;
        }
        let file = encode(next)?;
        let tried = Tried::new(next, &file);
        growth = tried.growth_to(above).unwrap_or(growth);
        if tried.bytes <= max_bytes || next == 1 {
            best = Some((tried, file));
        } else {
            above = tried;
        }
        if next == 1 {
            break;
        }
    }
    Ok(best.map_or(first, |(_, file)| file))
}

#[derive(Debug, Clone, Copy)]
struct Tried {
    quality: u8,
    bytes: u64,
}

impl Tried {
    fn new(quality: u8, file: &impl AsRef<[u8]>) -> Self {
        Self { quality, bytes: file.as_ref().len() as u64 }
    }

    /// By how much the logarithm of the size grows with each step from here to `above`.
    fn growth_to(self, above: Self) -> Option<f64> {
        let steps = f64::from(above.quality) - f64::from(self.quality);
        let growth = (above.bytes as f64 / self.bytes.max(1) as f64).ln() / steps;
        (growth.is_finite() && growth > 0.001).then_some(growth)
    }

    /// The quality below this one, and above `below`, at which the file ought to just fit.
    fn guess(self, below: Option<Self>, max_bytes: u64, growth: f64) -> u8 {
        let excess = (self.bytes as f64 / max_bytes.max(1) as f64).ln();
        let steps = (excess / growth).ceil().clamp(1.0, 100.0) as u8;
        let lowest = below.map_or(1, |below| below.quality + 1);
        self.quality.saturating_sub(steps).clamp(lowest.min(self.quality - 1), self.quality - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    /// What an encoder of this growth would give: the file found, its quality, and how many were made.
    fn found(max_bytes: u64, quality: u8, size_of: impl Fn(u8) -> usize) -> (u8, usize, usize) {
        let mut calls = 0;
        let file = within(max_bytes, quality, |quality| {
            calls += 1;
            let mut file = vec![0; size_of(quality).max(1)];
            file[0] = quality;
            Ok::<_, Infallible>(file)
        });
        let file = file.unwrap();
        (file[0], file.len(), calls)
    }

    fn exponential(growth: f64) -> impl Fn(u8) -> usize {
        move |quality| (1000.0 * (growth * f64::from(quality)).exp()) as usize
    }

    #[test]
    fn what_fits_is_encoded_once() {
        assert_eq!(found(10_000, 80, |_| 10_000), (80, 10_000, 1));
    }

    #[test]
    fn the_quality_found_is_within_three_of_the_highest_that_fits() {
        for growth in [0.012, 0.02, 0.03, 0.045] {
            let size_of = exponential(growth);
            for share in [0.95, 0.8, 0.6, 0.5] {
                let max_bytes = (size_of(80) as f64 * share) as u64;
                let highest = (1..=80).rev().find(|quality| size_of(*quality) as u64 <= max_bytes).unwrap();
                let (quality, bytes, calls) = found(max_bytes, 80, &size_of);
                assert!(bytes as u64 <= max_bytes && calls <= 4);
                assert!(highest - quality <= 3, "{growth} {share}: {quality} of {highest}");
            }
        }
    }

    #[test]
    fn where_nothing_fits_the_smallest_is_taken() {
        assert_eq!(found(10, 80, exponential(0.03)).0, 1);
        assert_eq!(found(1, 1, |_| 50), (1, 50, 1));
    }

    #[test]
    fn the_first_error_ends_the_search() {
        let mut calls = 0;
        let result = within(1, 80, |_| {
            calls += 1;
            if calls == 2 { Err("no") } else { Ok(vec![0; 100]) }
        });
        assert_eq!((result, calls), (Err("no"), 2));
    }

    proptest! {
        #[test]
        fn it_ends_within_four_encodes_and_fits_where_quality_1_fits(
            sizes in proptest::collection::vec(1usize..100_000, 101),
            max_bytes in 1u64..100_000,
            quality in 1u8..=100,
        ) {
            let (_, bytes, calls) = found(max_bytes, quality, |quality| sizes[usize::from(quality)]);
            prop_assert!(calls <= 4);
            if sizes[1] as u64 <= max_bytes {
                prop_assert!(bytes as u64 <= max_bytes);
            }
        }
    }
}
