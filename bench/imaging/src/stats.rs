//! Few numbers out of many. Knows nothing of what they are.

/// `NAN` of nothing.
pub fn geometric_mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let logarithms: Vec<f64> = values.into_iter().map(f64::ln).collect();
    mean(&logarithms).exp()
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

/// The least and the most.
pub fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
        (least.min(*value), most.max(*value))
    })
}

/// `y` at `x` on straight lines between points, and beyond the outermost on the last such line.
pub fn interpolated(points: &[(f64, f64)], x: f64) -> f64 {
    let mut sorted = points.to_vec();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    sorted.dedup_by(|one, other| one.0 == other.0);
    let line = sorted.windows(2).find(|pair| x <= pair[1].0).or_else(|| sorted.windows(2).next_back());
    match line {
        Some([(x0, y0), (x1, y1)]) => y0 + (y1 - y0) * (x - x0) / (x1 - x0),
        _ => sorted.first().map_or(f64::NAN, |point| point.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_medians_are_what_they_are_called() {
        assert!((geometric_mean([1.0, 4.0, 16.0]) - 4.0).abs() < 1e-9);
        assert_eq!(median(&[5.0, 1.0, 3.0]), 3.0);
        assert_eq!(median(&[5.0, 1.0, 3.0, 4.0]), 3.5);
        assert_eq!(range(&[2.0, 1.0, 3.0]), (1.0, 3.0));
    }

    #[test]
    fn points_are_joined_by_lines_that_go_on_at_both_ends() {
        let points = [(20.0, 4.0), (10.0, 1.0), (30.0, 5.0)];
        for (x, y) in [(10.0, 1.0), (15.0, 2.5), (25.0, 4.5), (40.0, 6.0), (0.0, -2.0)] {
            assert!((interpolated(&points, x) - y).abs() < 1e-9, "{x}");
        }
    }
}
