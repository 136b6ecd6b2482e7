//! Reducing opaque pixels of 8 bits as light, row by row as they come: what nearly every photo goes through.
//! Owns the fixed point that this is done in. Never holds more of a source than the rows that a row of the
//! result is made of, and never makes weights.
//!
//! Rows are weighed in pairs, which every vector unit multiplies and adds in one step; a finished row is then
//! reduced along itself, each channel apart. All sums are of integers, so every machine makes the same bytes.

use std::collections::VecDeque;
use std::iter::zip;

use super::axis::Axis;
use super::curve::Transfer;
use super::vectors::{Vectors, WIDEST, Work, by_the_widest};

/// Light of 1. Ringing leaves the range, and has as much room again.
const ONE: i32 = 1 << LIGHT_BITS;
const LIGHT_BITS: u32 = 14;
/// A weight of 1, which none is: [`i16::MAX`] stands for it.
const WEIGHT_BITS: u32 = 15;
const HALF: i32 = 1 << (WEIGHT_BITS - 1);
/// Vectors of sums that are made at once, so that they stay in registers.
const SUMS: usize = 4;
/// Sums in those, where vectors are widest.
const BLOCK: usize = SUMS * WIDEST / 2;

/// Light by sample, and back.
pub(super) struct Tables {
    lights: [i16; 256],
    /// By the 16 bits of light that may be less than none or more than all: so that none needs a check.
    samples: Box<[u8; 1 << 16]>,
}

impl Tables {
    pub fn new(transfer: Transfer) -> Self {
        let light = |sample: usize| transfer.light(sample as f64 / 255.0) * f64::from(ONE);
        let sample = |light: f64| transfer.sample(light.clamp(0.0, 1.0)) * 255.0;
        let mut samples = Box::new([0; 1 << 16]);
        for light in i16::MIN..=i16::MAX {
            samples[usize::from(light as u16)] = sample(f64::from(light) / f64::from(ONE)).round() as u8;
        }
        Self { lights: std::array::from_fn(|sample| light(sample).round() as i16), samples }
    }

    fn sample(&self, light: i32) -> u8 {
        self.samples[usize::from(light as u16)]
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
            sums: vec![0; values + WIDEST],
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
        let pair = |pair: usize| [weight(2 * pair), weight(2 * pair + 1)];
        let weights: Vec<[i16; WIDEST]> =
            (start / 2..end).map(pair).map(|pair| std::array::from_fn(|lane| pair[lane % 2])).collect();
        let row_start = self.reduced.len();
        self.reduced.resize(row_start + self.across.starts.len() * self.channels, 0);
        by_the_widest(Row {
            pairs: self.pairs.make_contiguous(),
            weights: &weights,
            sums: &mut self.sums,
            width: self.columns.len(),
            channels: self.channels,
            across: &self.across,
            tables: self.tables,
            out: &mut self.reduced[row_start..],
        });
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

/// A row of the result.
struct Row<'a> {
    pairs: &'a [Vec<i16>],
    /// Of the rows of each pair, as often as a vector has room for them.
    weights: &'a [[i16; WIDEST]],
    sums: &'a mut [i16],
    /// Of what is summed.
    width: usize,
    channels: usize,
    across: &'a Across,
    tables: &'a Tables,
    out: &'a mut [u8],
}

impl Work for Row<'_> {
    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        add_weighted(vectors, self.pairs, self.weights, self.sums);
        match self.channels {
            3 => self.across.reduce::<V, 3>(vectors, self.sums, self.width, self.tables, self.out),
            _ => self.across.reduce::<V, 1>(vectors, self.sums, self.width, self.tables, self.out),
        }
    }
}

#[inline(always)]
fn add_weighted<V: Vectors>(vectors: V, pairs: &[Vec<i16>], weights: &[[i16; WIDEST]], sums: &mut [i16]) {
    let block = SUMS * V::LANES / 2;
    for (index, out) in sums.chunks_exact_mut(block).enumerate() {
        let mut sums = [vectors.all(HALF); SUMS];
        for (pair, weights) in zip(pairs, weights) {
            let values = &pair[index * 2 * block..][..2 * block];
            for (sums, values) in zip(&mut sums, values.chunks_exact(V::LANES)) {
                *sums = vectors.dot(values, weights, *sums);
            }
        }
        for (sums, out) in zip(sums, out.chunks_exact_mut(V::LANES / 2)) {
            vectors.shift_into::<WEIGHT_BITS>(sums, out);
        }
    }
}

/// Windows along a row.
struct Across {
    starts: Vec<usize>,
    /// In whole vectors.
    padded_taps: usize,
    weights: Vec<i16>,
}

impl Across {
    /// Starts count from `left`.
    fn new(axis: &Axis, left: usize) -> Self {
        let padded_taps = axis.taps.next_multiple_of(WIDEST);
        let window = |(index, (start, _)): (usize, (usize, &[_]))| {
            (0..padded_taps).map(move |tap| fixed(axis.weight(index, start + tap)))
        };
        Self {
            starts: axis.windows().map(|(start, _)| start - left).collect(),
            padded_taps,
            weights: axis.windows().enumerate().flat_map(window).collect(),
        }
    }

    /// Of `N` channels, each `width` values after the one before.
    #[inline(always)]
    fn reduce<V: Vectors, const N: usize>(
        &self,
        vectors: V,
        light: &[i16],
        width: usize,
        tables: &Tables,
        out: &mut [u8],
    ) {
        let windows = zip(&self.starts, self.weights.chunks_exact(self.padded_taps));
        for (pixel, (start, weights)) in zip(out.as_chunks_mut::<N>().0, windows) {
            // Of four channels, however few there are: vectors add up as many at once.
            let mut sums = [vectors.all(0); 4];
            for (channel, sums) in sums.iter_mut().take(N).enumerate() {
                let values = &light[channel * width + start..][..weights.len()];
                for (values, weights) in zip(values.chunks_exact(V::LANES), weights.chunks_exact(V::LANES)) {
                    *sums = vectors.dot(values, weights, *sums);
                }
            }
            for (sample, total) in zip(pixel, vectors.totals(sums)) {
                *sample = tables.sample((total + HALF) >> WEIGHT_BITS);
            }
        }
    }
}

fn fixed(weight: f32) -> i16 {
    (weight * (1 << WEIGHT_BITS) as f32).round() as i16
}
