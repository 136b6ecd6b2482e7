//! Lanczos 3 along one axis: which pixels each pixel of the result is a mean of, and with what weights.
//! Owns the filter; never touches a pixel.

use std::f64::consts::PI;

/// Zero crossings of the filter on either side, in pixels of the result.
const LOBES: f64 = 3.0;

/// Weights of a window come in as many as are summed at once.
pub(super) const LANES: usize = 2;

/// The weights of one axis.
pub(super) struct Axis {
    /// Pixels in each window; every one is equally long.
    pub taps: usize,
    /// Where each window starts; never falls.
    starts: Vec<usize>,
    /// Window by window; weights of 0 fill up the last lanes.
    weights: Vec<[f32; LANES]>,
}

impl Axis {
    /// From the part of an axis that starts at `start_px` and is `length_px` long, and is not empty, to
    /// `target_px` pixels. No pixel outside that part weighs anything.
    pub fn new(start_px: f64, length_px: f64, target_px: u32) -> Self {
        let ratio = length_px / f64::from(target_px);
        // An enlargement, by less than a pixel, where a base was rounded to whole ones.
        let stretch = ratio.max(1.0);
        let reach = LOBES * stretch;
        let (first, end) = (start_px.floor() as usize, (start_px + length_px).ceil() as usize);
        let taps = ((2.0 * reach) as usize + 1).min(end - first);
        let mut axis = Self { taps, starts: Vec::new(), weights: Vec::new() };
        for index in 0..target_px {
            let centre = start_px + (f64::from(index) + 0.5) * ratio - 0.5;
            let start = ((centre - reach).ceil().max(0.0) as usize).clamp(first, end - taps);
            let weight = |tap: usize| lanczos(((start + tap) as f64 - centre) / stretch);
            let sum: f64 = (0..taps).map(weight).sum();
            axis.starts.push(start);
            let weight = |tap| if tap < taps { (weight(tap) / sum) as f32 } else { 0.0 };
            let lanes = |lane| std::array::from_fn(|index| weight(lane * LANES + index));
            axis.weights.extend((0..taps.div_ceil(LANES)).map(lanes));
        }
        axis
    }

    /// The first pixel of any window, and the end of the last.
    pub fn reach(&self) -> (usize, usize) {
        let first = self.starts.first().copied().unwrap_or(0);
        (first, self.starts.last().map_or(first, |start| start + self.taps))
    }

    pub fn start(&self, index: usize) -> Option<usize> {
        self.starts.get(index).copied()
    }

    /// Each window's start and weights.
    pub fn windows(&self) -> impl ExactSizeIterator<Item = (usize, &[[f32; LANES]])> {
        self.starts.iter().copied().zip(self.weights.chunks_exact(self.taps.div_ceil(LANES)))
    }

    /// What the pixel at `position` weighs in a window.
    pub fn weight(&self, index: usize, position: usize) -> f32 {
        let tap = position.checked_sub(self.starts[index]).filter(|tap| *tap < self.taps);
        let lanes = self.taps.div_ceil(LANES);
        tap.map_or(0.0, |tap| self.weights[index * lanes + tap / LANES][tap % LANES])
    }
}

fn lanczos(x: f64) -> f64 {
    if x.abs() >= LOBES {
        return 0.0;
    }
    sinc(x) * sinc(x / LOBES)
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn weights_add_up_to_one_and_no_window_leaves_its_part(
            start in 0.0..500.0f64, target in 1u32..400, more in 0.0..3000.0f64,
        ) {
            let length = f64::from(target) + more;
            let axis = Axis::new(start, length, target);
            let (first, end) = axis.reach();
            prop_assert!(first >= start.floor() as usize && end <= (start + length).ceil() as usize);
            prop_assert_eq!(axis.windows().len(), target as usize);
            for (_, weights) in axis.windows() {
                let sum: f64 = weights.as_flattened().iter().copied().map(f64::from).sum();
                prop_assert!((sum - 1.0).abs() < 1e-5, "{}", sum);
            }
        }
    }
}
