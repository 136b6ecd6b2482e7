//! Reducing pixels as light, in one pass over their rows. Owns how little of a picture is in memory as
//! light: the rows of the result that are under way, and no copy of anything. Never makes weights.
//!
//! Columns are reduced first: each row is added into the few rows of the result that it is part of, which
//! is the same work whatever the reduction. A finished row is then reduced along itself. No sum depends on
//! how wide a CPU's vectors are, so every machine makes the same bytes.

use std::collections::VecDeque;
use std::iter::zip;

use super::axis::{Axis, LANES};
use super::curve::{Curve, Sample};

/// Rows that are added at once: sums are then read and written once for several rows.
const ROWS: usize = 2;
/// Values of a row that are added at once, so that all of it stays in the nearest cache. Whole pixels of
/// 1, 2, 3 and 4 channels.
const BLOCK: usize = 768;
/// Values behind a row that are read, as pixels are by fours and channels too, and weigh nothing.
const PADDING: usize = 4 * LANES;

/// Pixels of `N` channels of which the last is alpha where `ALPHA` says so, in rows of `width`, reduced.
pub(super) fn reduced<S: Sample, const N: usize, const ALPHA: bool>(
    pixels: &[S],
    width: usize,
    (across, down): (&Axis, &Axis),
    curve: &Curve<S>,
) -> Vec<S> {
    let (pixels, _) = pixels.as_chunks::<N>();
    let (left, right) = across.reach();
    let (top, bottom) = down.reach();
    let row = |y: usize| &pixels[y.min(bottom - 1) * width..][left..right];
    let mut sums =
        Sums { down, values: (right - left) * N, next: 0, rows: VecDeque::new(), spare: Vec::new() };
    let mut means = vec![[0.0; 4]; across.windows().len()];
    let mut out = vec![S::default(); across.windows().len() * down.windows().len() * N];
    let mut out_rows = out.chunks_exact_mut(across.windows().len() * N);
    for y in (top..bottom).step_by(ROWS) {
        sums.start_until(y + ROWS);
        // Past the last row all weights are 0.
        sums.add::<S, N, ALPHA>(y, std::array::from_fn(|index| row(y + index)), curve);
        while let Some(sum) = sums.finished(y + ROWS) {
            let Some(out) = out_rows.next() else { break };
            mean_across::<N>(&sum, left, across, &mut means);
            encode::<S, N, ALPHA>(&mut means, curve, out.as_chunks_mut().0);
            sums.spare.push(sum);
        }
    }
    out
}

/// The rows of the result that are under way, as premultiplied light.
struct Sums<'a> {
    down: &'a Axis,
    /// In a row.
    values: usize,
    /// The first row of the result that has not begun.
    next: usize,
    rows: VecDeque<Vec<f32>>,
    spare: Vec<Vec<f32>>,
}

impl Sums<'_> {
    /// Begins every row whose window begins above `end`.
    fn start_until(&mut self, end: usize) {
        while self.down.start(self.next).is_some_and(|start| start < end) {
            let mut row = self.spare.pop().unwrap_or_default();
            row.clear();
            row.resize(self.values + PADDING, 0.0);
            self.rows.push_back(row);
            self.next += 1;
        }
    }

    /// Adds the rows from `y` on to all that are under way.
    fn add<S: Sample, const N: usize, const ALPHA: bool>(
        &mut self,
        y: usize,
        rows: [&[[S; N]]; ROWS],
        curve: &Curve<S>,
    ) {
        let first = self.next - self.rows.len();
        let mut light = [[0.0; BLOCK]; ROWS];
        for start in (0..self.values).step_by(BLOCK) {
            let end = self.values.min(start + BLOCK);
            for (light, row) in zip(&mut light, rows) {
                linearise::<S, N, ALPHA>(&row[start / N..end / N], &curve.lights, light);
            }
            for (index, sum) in self.rows.iter_mut().enumerate() {
                let weights = std::array::from_fn(|row| self.down.weight(first + index, y + row));
                add_weighted(&mut sum[start..end], &light, weights);
            }
        }
    }

    /// The topmost row, where nothing from `end` on is part of it.
    fn finished(&mut self, end: usize) -> Option<Vec<f32>> {
        let topmost = self.next - self.rows.len();
        let start = self.down.start(topmost)?;
        if start + self.down.taps <= end { self.rows.pop_front() } else { None }
    }
}

/// Premultiplied: the colour of what cannot be seen must not bleed into edges.
fn linearise<S: Sample, const N: usize, const ALPHA: bool>(
    row: &[[S; N]],
    lights: &S::Lights,
    light: &mut [f32; BLOCK],
) {
    if !ALPHA {
        zip(row.as_flattened(), light).for_each(|(sample, light)| *light = sample.light(lights));
        return;
    }
    for (pixel, light) in zip(row, light.as_chunks_mut::<N>().0) {
        let alpha = pixel[N - 1].into() / S::MAX;
        (0..N - 1).for_each(|channel| light[channel] = pixel[channel].light(lights) * alpha);
        light[N - 1] = alpha;
    }
}

fn add_weighted(sums: &mut [f32], light: &[[f32; BLOCK]; ROWS], weights: [f32; ROWS]) {
    let [above, below] = light;
    for ((sum, above), below) in zip(zip(sums, above), below) {
        *sum += above * weights[0] + below * weights[1];
    }
}

/// A row of sums, reduced along itself. Always four channels, which fill a vector: those beyond the last
/// mean nothing.
fn mean_across<const N: usize>(sums: &[f32], left: usize, axis: &Axis, means: &mut [[f32; 4]]) {
    for ((start, weights), mean) in zip(axis.windows(), means) {
        let row = &sums[(start - left) * N..];
        let mut lanes = [[0.0; 4]; LANES];
        for (index, weights) in weights.iter().enumerate() {
            let pixels = &row[index * LANES * N..][..(LANES - 1) * N + 4];
            for (lane, weight) in weights.iter().enumerate() {
                (0..4).for_each(|channel| lanes[lane][channel] += pixels[lane * N + channel] * weight);
            }
        }
        *mean = lanes.into_iter().fold([0.0; 4], |mut mean, lane| {
            zip(&mut mean, lane).for_each(|(mean, lane)| *mean += lane);
            mean
        });
    }
}

/// Light, and alpha, to samples.
fn encode<S: Sample, const N: usize, const ALPHA: bool>(
    means: &mut [[f32; 4]],
    curve: &Curve<S>,
    out: &mut [[S; N]],
) {
    if ALPHA {
        for (mean, pixel) in zip(&mut *means, &mut *out) {
            let alpha = mean[N - 1];
            pixel[N - 1] = S::rounded(alpha.clamp(0.0, 1.0) * S::MAX);
            let whole = if alpha > 0.0 { 1.0 / alpha } else { 0.0 };
            mean.iter_mut().for_each(|light| *light *= whole);
        }
    }
    means.as_flattened_mut().iter_mut().for_each(|light| *light = Curve::<S>::steps(*light));
    let colours = if ALPHA { N - 1 } else { N };
    for (steps, pixel) in zip(means, out) {
        (0..colours).for_each(|channel| pixel[channel] = curve.sample(steps[channel]));
    }
}
