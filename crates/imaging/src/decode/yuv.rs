//! Planes of AV1 to interleaved samples, in full precision (ITU-T H.273). Owns the upsampling of chroma and
//! the matrices; never decodes, nor looks at what primaries and transfer mean.

use bytemuck::Pod;

use crate::av1::{Frame, PlaneRows, SequenceHeader, Siting, Subsampling};
use crate::avif::Nclx;
use crate::error::Error;
use crate::geometry::Rect;
use crate::pixels::Channels;

/// An 8-bit sample, or one of 16 bits.
pub(super) trait Sample: Pod + Default + Into<u32> {
    const MAX: u32;

    /// `value` is at most `MAX`.
    fn from_u32(value: u32) -> Self;
}

impl Sample for u8 {
    const MAX: u32 = 255;

    fn from_u32(value: u32) -> Self {
        value as Self
    }
}

impl Sample for u16 {
    const MAX: u32 = 65_535;

    fn from_u32(value: u32) -> Self {
        value as Self
    }
}

/// Red, green and blue from luma and both chromas, with the factors of each, and an addend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Matrix([[f64; 4]; 3]);

impl Matrix {
    /// To values from 0 to 1 from samples as they are stored.
    pub fn of(nclx: Option<&Nclx>, header: &SequenceHeader) -> Result<Self, Error> {
        let (matrix, is_full) =
            nclx.map_or((header.matrix, header.is_full_range), |nclx| (nclx.matrix, nclx.is_full_range));
        let luma = luma_range(header.config.depth_bits, is_full);
        let chroma = chroma_range(header.config.depth_bits, is_full);
        let from_weights = |red: f64, blue: f64| {
            let (to_red, to_blue) = (2.0 - 2.0 * red, 2.0 - 2.0 * blue);
            let green = 1.0 - red - blue;
            let rows = [
                [1.0, 0.0, to_red],
                [1.0, -to_blue * blue / green, -to_red * red / green],
                [1.0, to_blue, 0.0],
            ];
            Self::new(rows, [luma, chroma, chroma])
        };
        let is_whole = header.config.subsampling == Subsampling::Yuv444;
        Ok(match matrix {
            // Green, blue and red as they are.
            0 if is_whole => Self::new([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [luma; 3]),
            _ if header.config.subsampling == Subsampling::Monochrome => {
                Self::new([[1.0, 0.0, 0.0]; 3], [luma; 3])
            }
            1 => from_weights(0.2126, 0.0722),
            4 => from_weights(0.30, 0.11),
            // Unspecified is what JPEG has, as other readers take it.
            2 | 5 | 6 => from_weights(0.299, 0.114),
            7 => from_weights(0.212, 0.087),
            8 => {
                let rows = [[1.0, -1.0, 1.0], [1.0, 1.0, 0.0], [1.0, -1.0, -1.0]];
                Self::new(rows, [luma, chroma, chroma])
            }
            9 => from_weights(0.2627, 0.0593),
            _ => return Err(Error::Unsupported { what: "an AVIF of a rare colour matrix" }),
        })
    }

    /// `rows` are for values; each range says how samples become such.
    fn new(rows: [[f64; 3]; 3], ranges: [Range; 3]) -> Self {
        Self(rows.map(|row| {
            let [luma, first, second]: [f64; 3] =
                std::array::from_fn(|plane| row[plane] / ranges[plane].span);
            let addend = (0..3).map(|plane| -row[plane] * ranges[plane].zero / ranges[plane].span).sum();
            [luma, first, second, addend]
        }))
    }

    /// The factors by which samples become those of `T`.
    fn to<T: Sample>(self) -> [[f32; 4]; 3] {
        self.0.map(|row| row.map(|factor| (factor * f64::from(T::MAX)) as f32))
    }
}

/// The stored value that means 0, and how many make 1.
#[derive(Debug, Clone, Copy)]
struct Range {
    zero: f64,
    span: f64,
}

fn luma_range(depth_bits: u8, is_full: bool) -> Range {
    let step = f64::from(1u32 << (depth_bits - 8));
    if is_full {
        Range { zero: 0.0, span: 256.0 * step - 1.0 }
    } else {
        Range { zero: 16.0 * step, span: 219.0 * step }
    }
}

/// Chroma is from -1/2 to 1/2.
fn chroma_range(depth_bits: u8, is_full: bool) -> Range {
    let step = f64::from(1u32 << (depth_bits - 8));
    let span = if is_full { 256.0 * step - 1.0 } else { 224.0 * step };
    Range { zero: 128.0 * step, span }
}

/// The part of a frame that is seen, and where it goes.
struct Window {
    /// Of the frame.
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    /// Of what is shown: the first sample of the first row, and samples from row to row.
    start: usize,
    stride: usize,
}

impl Window {
    /// None where nothing is seen. `area` is the frame's, and `crop` what is shown, both on all coded pixels.
    fn of(area: Rect, crop: Rect, channels: usize) -> Option<Self> {
        let overlap = |area_px: u32, area_length_px: u32, crop_px: u32, crop_length_px: u32| {
            let start = area_px.max(crop_px);
            let end = area_px.saturating_add(area_length_px).min(crop_px + crop_length_px);
            let length = end.checked_sub(start).filter(|length| *length > 0)?;
            Some(((start - area_px) as usize, (start - crop_px) as usize, length as usize))
        };
        let (area_size, crop_size) = (area.size, crop.size);
        let (left, to_left, width) =
            overlap(area.left_px, area_size.width_px, crop.left_px, crop_size.width_px)?;
        let (top, to_top, height) =
            overlap(area.top_px, area_size.height_px, crop.top_px, crop_size.height_px)?;
        let stride = crop_size.width_px as usize * channels;
        let start = to_top * stride + to_left * channels;
        Some(Self { left, top, width, height, start, stride })
    }

    /// Each row of the frame by its number, with the samples that it becomes.
    fn rows<'s, T>(
        &self,
        samples: &'s mut [T],
        channels: usize,
    ) -> impl Iterator<Item = (usize, &'s mut [T])> {
        let length = self.width * channels;
        let rows = samples[self.start..].chunks_mut(self.stride).map(move |row| &mut row[..length]);
        (self.top..self.top + self.height).zip(rows)
    }
}

/// Writes the colour of a frame, whose samples are as wide as `T`, into what is shown.
pub(super) fn paint_colour<T: Sample>(
    frame: &Frame,
    area: Rect,
    crop: Rect,
    matrix: &Matrix,
    channels: Channels,
    samples: &mut [T],
) {
    let Some(window) = Window::of(area, crop, channels.count()) else { return };
    let factors = matrix.to::<T>();
    let Some(chroma) = frame.chroma() else {
        return paint_plane::<T, T>(frame.luma(), &window, factors[0], channels, 0, samples);
    };
    let mut first = Upsampler::new(&chroma[0], frame);
    let mut second = Upsampler::new(&chroma[1], frame);
    let columns = window.left..window.left + window.width;
    for (y, row) in window.rows(samples, channels.count()) {
        let luma = &frame.luma().row::<T>(y)[columns.clone()];
        let chroma = (&first.row::<T>(y)[columns.clone()], &second.row::<T>(y)[columns.clone()]);
        if channels.has_alpha() {
            paint_row(row.as_chunks_mut::<4>().0, luma, chroma, &factors);
        } else {
            paint_row(row.as_chunks_mut::<3>().0, luma, chroma, &factors);
        }
    }
}

fn paint_row<T: Sample, const CHANNELS: usize>(
    row: &mut [[T; CHANNELS]],
    luma: &[T],
    (first, second): (&[f32], &[f32]),
    factors: &[[f32; 4]; 3],
) {
    for (((pixel, luma), first), second) in row.iter_mut().zip(luma).zip(first).zip(second) {
        let luma = as_f32(*luma);
        for (sample, [by_luma, by_first, by_second, addend]) in pixel.iter_mut().zip(factors) {
            *sample = rounded(luma * by_luma + first * by_first + second * by_second + addend);
        }
    }
}

/// Writes the alpha of a frame into what is shown. Its depth may be another.
pub(super) fn paint_alpha<T: Sample>(
    frame: &Frame,
    area: Rect,
    crop: Rect,
    channels: Channels,
    samples: &mut [T],
) {
    let Some(window) = Window::of(area, crop, channels.count()) else { return };
    let Range { zero, span } = luma_range(frame.header.config.depth_bits, frame.header.is_full_range);
    let max = f64::from(T::MAX);
    let factors = [(max / span) as f32, 0.0, 0.0, (-zero * max / span) as f32];
    let last = channels.count() - 1;
    if frame.header.config.sample_bytes() == 1 {
        paint_plane::<u8, T>(frame.luma(), &window, factors, channels, last, samples);
    } else {
        paint_plane::<u16, T>(frame.luma(), &window, factors, channels, last, samples);
    }
}

/// One plane into one channel.
fn paint_plane<S: Sample, T: Sample>(
    plane: &PlaneRows,
    window: &Window,
    [factor, _, _, addend]: [f32; 4],
    channels: Channels,
    channel: usize,
    samples: &mut [T],
) {
    for (y, row) in window.rows(samples, channels.count()) {
        let from = &plane.row::<S>(y)[window.left..window.left + window.width];
        let to = row.iter_mut().skip(channel).step_by(channels.count());
        for (to, from) in to.zip(from) {
            *to = rounded(as_f32(*from) * factor + addend);
        }
    }
}

/// Colour that was multiplied by alpha, as it was before. Where nothing is seen, it stays black.
pub(super) fn unmultiply<T: Sample>(samples: &mut [T], channels: Channels) {
    for pixel in samples.chunks_exact_mut(channels.count()) {
        let Some((alpha, colour)) = pixel.split_last_mut() else { continue };
        let alpha: u32 = (*alpha).into();
        for sample in colour {
            let multiplied: u32 = (*sample).into();
            let before = (multiplied * T::MAX + alpha / 2).checked_div(alpha);
            *sample = T::from_u32(before.unwrap_or(0).min(T::MAX));
        }
    }
}

/// One chroma plane at the size of luma, row by row.
struct Upsampler<'a> {
    plane: &'a PlaneRows,
    subsampling: Subsampling,
    siting: Siting,
    /// A row between two, still as short as they are.
    blended: Vec<f32>,
    row: Vec<f32>,
}

impl<'a> Upsampler<'a> {
    fn new(plane: &'a PlaneRows, frame: &Frame) -> Self {
        let blended = Vec::with_capacity(plane.width());
        let row = vec![0.0; frame.luma().width()];
        let (subsampling, siting) = (frame.header.config.subsampling, frame.header.siting);
        Self { plane, subsampling, siting, blended, row }
    }

    /// The row for that row of luma.
    fn row<T: Sample>(&mut self, y: usize) -> &[f32] {
        let is_low = self.subsampling == Subsampling::Yuv420;
        let (near, far, share) = if is_low { self.neighbours(y) } else { (y, y, 0.0) };
        let (near, far) = (self.plane.row::<T>(near), self.plane.row::<T>(far));
        let blend = |(near, far): (&T, &T)| as_f32(*near) * (1.0 - share) + as_f32(*far) * share;
        self.blended.clear();
        self.blended.extend(near.iter().zip(far).map(blend));
        if self.subsampling == Subsampling::Yuv444 {
            return &self.blended;
        }
        widen(&self.blended, self.siting, &mut self.row);
        &self.row
    }

    /// The chroma rows around a row of luma, and the share of the second.
    fn neighbours(&self, y: usize) -> (usize, usize, f32) {
        let (near, last) = (y / 2, self.plane.height() - 1);
        match (self.siting, y % 2) {
            (Siting::TopLeft, 0) => (near, near, 0.0),
            (Siting::TopLeft, _) => (near, (near + 1).min(last), 0.5),
            (_, 0) => (near, near.saturating_sub(1), 0.25),
            (_, _) => (near, (near + 1).min(last), 0.25),
        }
    }
}

/// Twice as many, each between its neighbours.
fn widen(from: &[f32], siting: Siting, to: &mut [f32]) {
    let (even_share, odd_share) = if siting == Siting::Centre { (0.25, 0.25) } else { (0.0, 0.5) };
    let mut before = from.first().copied().unwrap_or_default();
    let after = from.iter().skip(1).chain(from.last());
    for ((pair, here), after) in to.chunks_mut(2).zip(from).zip(after) {
        pair[0] = here + (before - here) * even_share;
        if let [_, odd] = pair {
            *odd = here + (after - here) * odd_share;
        }
        before = *here;
    }
}

fn as_f32<T: Sample>(sample: T) -> f32 {
    // Exact, and quick to convert: none has more than 16 bits.
    let sample: u32 = sample.into();
    sample as i32 as f32
}

/// To the nearest that there is. By adding 2^23 the nearest whole number comes to stand in the low bits:
/// unlike a cast, which must also say what becomes of the rest, that is done for many samples at once.
fn rounded<T: Sample>(value: f32) -> T {
    let value = value.clamp(0.0, T::MAX as f32) + 8_388_608.0;
    T::from_u32(value.to_bits() & 0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::av1::Config;
    use crate::geometry::Size;

    fn header(depth_bits: u8, matrix: u8, is_full_range: bool) -> SequenceHeader {
        let config = Config { depth_bits, subsampling: Subsampling::Yuv444 };
        let (primaries, transfer, siting) = (2, 2, Siting::Centre);
        SequenceHeader { size: Size::new(8, 8), config, primaries, transfer, matrix, is_full_range, siting }
    }

    fn painted<T: Sample>(header: &SequenceHeader, yuv: [u16; 3]) -> [u32; 3] {
        let factors = Matrix::of(None, header).unwrap().to::<T>();
        factors.map(|[luma, first, second, addend]| {
            let [y, u, v] = yuv.map(f32::from);
            rounded::<T>(y * luma + u * first + v * second + addend).into()
        })
    }

    #[test]
    fn black_white_and_grey_are_exact_in_every_depth_and_range() {
        for (depth_bits, shift) in [(8, 0), (10, 2), (12, 4)] {
            for matrix in [1, 2, 4, 5, 6, 7, 8, 9] {
                let (full, limited) = (header(depth_bits, matrix, true), header(depth_bits, matrix, false));
                let (max, middle) = ((256u16 << shift) - 1, 128 << shift);
                assert_eq!(painted::<u16>(&full, [0, middle, middle]), [0; 3]);
                assert_eq!(painted::<u16>(&full, [max, middle, middle]), [65_535; 3]);
                assert_eq!(painted::<u16>(&limited, [16 << shift, middle, middle]), [0; 3]);
                assert_eq!(painted::<u16>(&limited, [235 << shift, middle, middle]), [65_535; 3]);
                assert_eq!(painted::<u16>(&limited, [max, middle, middle]), [65_535; 3]);
            }
        }
        for grey in 0..=255 {
            assert_eq!(painted::<u8>(&header(8, 6, true), [grey, 128, 128]), [u32::from(grey); 3]);
        }
    }

    #[test]
    fn without_chroma_luma_is_what_is_shown_whatever_the_matrix() {
        for matrix in [0, 2, 9, 14] {
            for (is_full_range, black, white) in [(true, 0, 255), (false, 16, 235)] {
                let mut header = header(8, matrix, is_full_range);
                header.config.subsampling = Subsampling::Monochrome;
                assert_eq!(painted::<u8>(&header, [black, 0, 0]), [0; 3]);
                assert_eq!(painted::<u8>(&header, [white, 0, 0]), [255; 3]);
            }
        }
    }

    #[test]
    fn colours_are_those_of_the_standard() {
        // Full red of BT.601, BT.709 and BT.2020 in limited range, BT.601's in full range, and others.
        for (matrix, is_full, yuv, expected) in [
            (6, false, [81, 90, 240], [254, 0, 0]),
            (1, false, [63, 102, 240], [255, 1, 0]),
            (9, false, [74, 97, 240], [255, 0, 1]),
            (6, true, [76, 85, 255], [254, 0, 0]),
            (0, true, [10, 20, 30], [30, 10, 20]),
            (0, false, [16, 235, 16], [0, 0, 255]),
            (8, true, [100, 118, 138], [120, 90, 100]),
        ] {
            let found = painted::<u8>(&header(8, matrix, is_full), yuv);
            let off = found.iter().zip(expected).map(|(found, expected)| found.abs_diff(expected)).max();
            assert!(off <= Some(1), "{matrix} {yuv:?}: {found:?}");
        }
        assert!(Matrix::of(None, &header(8, 10, true)).is_err());
        let halved = Config { depth_bits: 8, subsampling: Subsampling::Yuv420 };
        assert!(Matrix::of(None, &SequenceHeader { config: halved, ..header(8, 0, true) }).is_err());
    }

    #[test]
    fn the_files_matrix_stands_above_that_of_its_pixels() {
        let nclx = Nclx { primaries: 1, transfer: 13, matrix: 1, is_full_range: true };
        assert_eq!(Matrix::of(Some(&nclx), &header(8, 6, false)), Matrix::of(None, &header(8, 1, true)));
    }

    #[test]
    fn chroma_is_blended_by_where_it_stands() {
        let wide = |siting, count| {
            let mut to = vec![0.0; count];
            widen(&[0.0, 8.0, 16.0], siting, &mut to);
            to
        };
        assert_eq!(wide(Siting::Centre, 6), [0.0, 2.0, 6.0, 10.0, 14.0, 16.0]);
        assert_eq!(wide(Siting::Left, 6), [0.0, 4.0, 8.0, 12.0, 16.0, 16.0]);
        assert_eq!(wide(Siting::TopLeft, 5), [0.0, 4.0, 8.0, 12.0, 16.0]);
    }

    #[test]
    fn premultiplied_colour_becomes_what_it_was() {
        let mut pixels = [100u8, 50, 0, 128, 9, 9, 9, 0, 200, 255, 1, 255, 200, 0, 0, 100];
        unmultiply(&mut pixels, Channels::Rgba);
        assert_eq!(pixels, [199, 100, 0, 128, 0, 0, 0, 0, 200, 255, 1, 255, 255, 0, 0, 100]);
        let mut pixels = [16_384u16, 32_768, 65_535, 65_535];
        unmultiply(&mut pixels, Channels::GreyAlpha);
        assert_eq!(pixels, [32_768, 32_768, 65_535, 65_535]);
    }

    #[test]
    fn samples_are_rounded_to_the_nearest_and_held_within_their_range() {
        for (value, expected) in [(-9.0, 0), (0.4, 0), (0.6, 1), (254.4, 254), (254.6, 255), (900.0, 255)] {
            assert_eq!(rounded::<u8>(value), expected, "{value}");
        }
        for (value, expected) in [(-9.0, 0), (65_534.4, 65_534), (65_534.6, 65_535), (1e9, 65_535)] {
            assert_eq!(rounded::<u16>(value), expected, "{value}");
        }
    }
}
