//! Reducing opaque pixels of 8 bits as light, row by row as they come: what nearly every photo goes through.
//! Owns the fixed point that this is done in. Never holds more of a source than the rows that a row of the
//! result is made of, and never makes weights.
//!
//! Rows are weighed in pairs, which every vector unit multiplies and adds in one step; a finished row is then
//! reduced along itself, each channel apart. All sums are of integers, so every machine makes the same bytes.

use std::collections::VecDeque;

use wide::{i16x8, i32x4};

use super::axis::Axis;
use super::curve::Transfer;

/// Light of 1. Ringing leaves the range, and has as much room again.
const ONE: i32 = 1 << LIGHT_BITS;
const LIGHT_BITS: u32 = 14;
/// A weight of 1, which none is: [`i16::MAX`] stands for it.
const WEIGHT_BITS: u32 = 15;
const HALF: i32 = 1 << (WEIGHT_BITS - 1);
/// Values in one vector, and sums of pairs that come of it.
const LANES: usize = 8;
const PAIRS: usize = LANES / 2;
/// Sums that are made at once, so that they stay in registers.
const BLOCK: usize = 4 * PAIRS;

/// Light by sample, and back.
pub(super) struct Tables {
    lights: [i16; 256],
    samples: Box<[u8]>,
}

impl Tables {
    pub fn new(transfer: Transfer) -> Self {
        let light = |sample: usize| transfer.light(sample as f64 / 255.0) * f64::from(ONE);
        let sample = |light: i32| transfer.sample(f64::from(light) / f64::from(ONE)) * 255.0;
        Self {
            lights: std::array::from_fn(|sample| light(sample).round() as i16),
            samples: (0..=ONE).map(|light| sample(light).round() as u8).collect(),
        }
    }

    fn sample(&self, light: i32) -> u8 {
        self.samples[light.clamp(0, ONE) as usize]
    }
}

/// A part of a picture that is being reduced.
pub(super) struct Reduction<'a> {
    tables: &'a Tables,
    channels: usize,
    across: Across,
    down: Axis,
    /// Of the picture: the part's.
    columns: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
    /// Rows of the picture that have come.
    come: usize,
    /// Pairs of rows of the part, as light, each channel apart; the first of them is the pair `first`.
    pairs: VecDeque<Vec<i16>>,
    first: usize,
    spare: Vec<Vec<i16>>,
    /// A row of the result before it is reduced along itself.
    sums: Vec<i16>,
    reduced: Vec<u8>,
    made: usize,
}

impl<'a> Reduction<'a> {
    /// Of pixels of one or three channels.
    pub fn new(tables: &'a Tables, channels: usize, (across, down): (&Axis, Axis)) -> Self {
        let (left, right) = across.reach();
        let (top, bottom) = down.reach();
        let across = Across::new(across, left);
        let values = ((right - left) * channels).next_multiple_of(BLOCK);
        let size = across.starts.len() * down.windows().len() * channels;
        Self {
            tables,
            channels,
            // Windows are read in whole vectors.
            sums: vec![0; values + LANES],
            across,
            down,
            columns: left..right,
            rows: top..bottom,
            come: 0,
            pairs: VecDeque::new(),
            first: 0,
            spare: Vec::new(),
            reduced: Vec::with_capacity(size),
            made: 0,
        }
    }

    /// The next row of the whole picture.
    pub fn push(&mut self, row: &[u8]) {
        let y = self.come;
        self.come += 1;
        if !self.rows.contains(&y) {
            return;
        }
        self.take_in(row, y - self.rows.start);
        while self.down.start(self.made).is_some_and(|start| start + self.down.taps <= y + 1) {
            self.make_row();
        }
    }

    /// What it has become, once all rows have come.
    pub fn finish(self) -> Vec<u8> {
        self.reduced
    }

    /// `y` counts from the top of the part.
    fn take_in(&mut self, row: &[u8], y: usize) {
        if y.is_multiple_of(2) {
            // Zeroes once: what a single last row leaves beside it weighs nothing.
            self.pairs.push_back(self.spare.pop().unwrap_or_else(|| vec![0; 2 * self.sums.len()]));
        }
        let Some(pair) = self.pairs.back_mut() else { return };
        let row = &row[self.columns.start * self.channels..self.columns.end * self.channels];
        match self.channels {
            3 => linearise::<3>(row, &self.tables.lights, y % 2, pair),
            _ => linearise::<1>(row, &self.tables.lights, y % 2, pair),
        }
    }

    fn make_row(&mut self) {
        let Some(start) = self.down.start(self.made) else { return };
        let start = start - self.rows.start;
        while self.first < start / 2 {
            self.spare.extend(self.pairs.pop_front());
            self.first += 1;
        }
        let weight = |y: usize| fixed(self.down.weight(self.made, self.rows.start + y));
        let end = (start + self.down.taps).div_ceil(2);
        let weights: Vec<i16x8> = (start / 2..end)
            .map(|pair| [weight(2 * pair), weight(2 * pair + 1)])
            .map(|[even, odd]| i16x8::new([even, odd, even, odd, even, odd, even, odd]))
            .collect();
        add_weighted(&mut self.sums, self.pairs.make_contiguous(), &weights);
        let width = self.columns.len();
        let row_start = self.reduced.len();
        self.reduced.resize(row_start + self.across.starts.len() * self.channels, 0);
        for channel in 0..self.channels {
            let samples = self.reduced[row_start + channel..].iter_mut().step_by(self.channels);
            self.across.reduce(&self.sums[channel * width..], self.tables, samples);
        }
        self.made += 1;
    }
}

/// The rows of a pair take turns; channels lie one after the other.
fn linearise<const N: usize>(row: &[u8], lights: &[i16; 256], parity: usize, pair: &mut [i16]) {
    let (pixels, _) = row.as_chunks::<N>();
    let (slots, _) = pair.as_chunks_mut::<2>();
    let mut planes = slots.chunks_exact_mut(pixels.len());
    let planes: [&mut [[i16; 2]]; N] = std::array::from_fn(|_| planes.next().unwrap_or_default());
    for (channel, plane) in planes.into_iter().enumerate() {
        for (slot, pixel) in plane.iter_mut().zip(pixels) {
            slot[parity] = lights[usize::from(pixel[channel])];
        }
    }
}

fn add_weighted(sums: &mut [i16], pairs: &[Vec<i16>], weights: &[i16x8]) {
    for (index, sums) in sums.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
        let mut block = [i32x4::splat(HALF); BLOCK / PAIRS];
        for (pair, weights) in pairs.iter().zip(weights) {
            let values = &pair[index * 2 * BLOCK..][..2 * BLOCK];
            for (sum, values) in block.iter_mut().zip(values.as_chunks::<LANES>().0) {
                *sum += i16x8::new(*values).dot(*weights);
            }
        }
        for (sums, block) in sums.as_chunks_mut::<PAIRS>().0.iter_mut().zip(block) {
            *sums = block.to_array().map(|sum| (sum >> WEIGHT_BITS) as i16);
        }
    }
}

/// Windows along a row.
struct Across {
    starts: Vec<usize>,
    /// Vectors of weights in each window.
    vectors: usize,
    weights: Vec<i16x8>,
}

impl Across {
    /// Starts count from `left`.
    fn new(axis: &Axis, left: usize) -> Self {
        let vectors = axis.taps.div_ceil(LANES);
        let window = |(index, (start, _)): (usize, (usize, &[_]))| {
            let weight = move |tap: usize| fixed(axis.weight(index, start + tap));
            (0..vectors)
                .map(move |vector| i16x8::new(std::array::from_fn(|lane| weight(vector * LANES + lane))))
        };
        Self {
            starts: axis.windows().map(|(start, _)| start - left).collect(),
            vectors,
            weights: axis.windows().enumerate().flat_map(window).collect(),
        }
    }

    /// One channel of a row.
    fn reduce<'s>(&self, light: &[i16], tables: &Tables, samples: impl Iterator<Item = &'s mut u8>) {
        let windows = self.starts.iter().zip(self.weights.chunks_exact(self.vectors));
        for (sample, (start, weights)) in samples.zip(windows) {
            let values = &light[*start..][..weights.len() * LANES];
            let mut sum = i32x4::ZERO;
            for (values, weights) in values.as_chunks::<LANES>().0.iter().zip(weights) {
                sum += i16x8::new(*values).dot(*weights);
            }
            *sample = tables.sample((sum.reduce_add() + HALF) >> WEIGHT_BITS);
        }
    }
}

fn fixed(weight: f32) -> i16 {
    (weight * (1 << WEIGHT_BITS) as f32).round() as i16
}
