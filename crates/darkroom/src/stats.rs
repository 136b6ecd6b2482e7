//! What many numbers come to.

/// The least value that so many of a hundred do not exceed; 0 of nothing.
pub fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn a_percentile_is_a_value_that_is_there_of_the_nearest_rank() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!([1, 50, 99, 100].map(|percent| percentile(&values, percent)), [2.0, 100.0, 198.0, 200.0]);
        assert_eq!([50, 99].map(|percent| percentile(&[7.0], percent)), [7.0, 7.0]);
        assert_eq!(percentile(&[], 50), 0.0);
    }
}
