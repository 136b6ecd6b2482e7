//! Fewer pixels, by Lanczos 3: means of light, or of samples as they are stored where those are ink, or where
//! none can see the difference. Owns which of the two; never enlarges: geometry sees to that.

mod axis;
mod curve;
mod light;
mod opaque;
mod vectors;

use std::collections::VecDeque;
use std::sync::{LazyLock, OnceLock};

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8x3, U8x4};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions};

use crate::error::Error;
use crate::geometry::{Geometry, Size};
use crate::jobs::{Base, Job};
use crate::pixels::{Channels, Colour, Pixels, Samples, SamplesView, View};
use crate::probe::Probe;
use axis::Axis;
use curve::{Curve, Sample, Transfer};
use light::reduced;
use opaque::{Reduction, Tables};

/// A crop is snapped to this part of a pixel: a power of two, so that its edges add up exactly.
const CROP_STEPS: f64 = 256.0;
/// From this reduction on, means of samples look darker than what they stand for, and fine detail is lost.
/// Below, they take half the time; docs/resizing.md has the figures.
const SEEN_FROM: u32 = 2;

/// Of what is sRGB, or near enough to weigh it by, as nearly all is.
static SRGB: LazyLock<Tables> = LazyLock::new(|| Tables::new(Transfer::Srgb));

/// Of finished pictures: its tables are made once.
pub(crate) static PICTURES: LazyLock<Resizer> = LazyLock::new(|| Resizer::new(&Colour::Srgb));

/// Reduces pixels of one meaning.
pub(crate) struct Resizer {
    transfer: Transfer,
    eight: OnceLock<Curve<u8>>,
    sixteen: OnceLock<Curve<u16>>,
}

/// A part of a picture, in pixels.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Part {
    pub fn whole(size: Size) -> Self {
        Self { left: 0.0, top: 0.0, width: size.width_px.into(), height: size.height_px.into() }
    }

    /// What `geometry` shows of a `source`, on all of it at the size `base`.
    fn of(geometry: &Geometry, base: Size, source: Size) -> Self {
        let Geometry { crop, .. } = geometry;
        let (left, width) = part(crop.left_px, crop.size.width_px, base.width_px, source.width_px);
        let (top, height) = part(crop.top_px, crop.size.height_px, base.height_px, source.height_px);
        Self { left, top, width, height }
    }

    /// Of what is [plain](is_plain).
    fn reduction(self, channels: Channels, target: Size) -> Reduction<'static> {
        let (across, down) = self.axes(target);
        Reduction::new(&SRGB, channels.count(), (&across, down))
    }

    /// Across and down.
    fn axes(self, target: Size) -> (Axis, Axis) {
        let across = Axis::new(self.left, self.width, target.width_px);
        (across, Axis::new(self.top, self.height, target.height_px))
    }
}

impl Resizer {
    /// For samples of this meaning.
    pub fn new(colour: &Colour) -> Self {
        Self { transfer: Transfer::of(colour), eight: OnceLock::new(), sixteen: OnceLock::new() }
    }

    /// The part and size of `base` that `geometry` says. `base` is all of a picture stored at the size
    /// `source`, at its own or a smaller size.
    ///
    /// # Errors
    /// [`Error::Resize`], which is our fault.
    pub fn resize(&self, base: View<'_>, source: Size, geometry: &Geometry) -> Result<Pixels, Error> {
        let (part, target) = (Part::of(geometry, base.size, source), geometry.target);
        let samples = match (base.samples, base.channels) {
            (SamplesView::Eight(samples), Channels::InvertedCmyk) => {
                Samples::Eight(as_stored::<U8x4>(samples, base, part, target)?)
            }
            (SamplesView::Eight(samples), Channels::Rgb) if !is_seen(geometry) => {
                Samples::Eight(as_stored::<U8x3>(samples, base, part, target)?)
            }
            _ => self.as_light(base, part, target),
        };
        Ok(Pixels { size: target, channels: base.channels, samples })
    }

    pub fn as_light(&self, base: View<'_>, part: Part, target: Size) -> Samples {
        match base.samples {
            SamplesView::Eight(samples) if is_plain(self.transfer, base.channels) => {
                let mut reduction = part.reduction(base.channels, target);
                let row_len = base.size.width_px as usize * base.channels.count();
                samples.chunks_exact(row_len).for_each(|row| reduction.push(row));
                Samples::Eight(reduction.finish())
            }
            SamplesView::Eight(samples) => {
                let curve = self.eight.get_or_init(|| Curve::new(self.transfer));
                Samples::Eight(as_light(samples, base, part, target, curve))
            }
            SamplesView::Sixteen(samples) => {
                let curve = self.sixteen.get_or_init(|| Curve::new(self.transfer));
                Samples::Sixteen(as_light(samples, base, part, target, curve))
            }
        }
    }
}

/// What several jobs make of one source, whose rows come one after the other.
pub(crate) struct Reductions {
    row_len: usize,
    channels: Channels,
    each: Vec<(Size, Reduction<'static>)>,
}

impl Reductions {
    /// Of the jobs that are made of a decoder's pixels, which come at the size `decoded` and of which
    /// [`come_row_by_row`] must hold.
    pub fn new(probe: &Probe, decoded: Size, channels: Channels, jobs: &[Job]) -> Self {
        let reduction = |job: &Job| {
            let geometry = job.geometry.stored(probe.orientation, probe.displayed());
            let part = Part::of(&geometry, decoded, probe.stored());
            (geometry.target, part.reduction(channels, geometry.target))
        };
        let each = jobs.iter().filter(|job| job.base == Base::Decoded).map(reduction).collect();
        Self { row_len: decoded.width_px as usize * channels.count(), channels, each }
    }

    /// Some rows, whole.
    pub fn take(&mut self, rows: &[u8]) {
        for (_, reduction) in &mut self.each {
            rows.chunks_exact(self.row_len).for_each(|row| reduction.push(row));
        }
    }

    /// In the order of their jobs.
    pub fn finish(self) -> VecDeque<Pixels> {
        let channels = self.channels;
        let pixels = |(size, reduction): (Size, Reduction)| Pixels {
            size,
            channels,
            samples: Samples::Eight(reduction.finish()),
        };
        self.each.into_iter().map(pixels).collect()
    }
}

/// Whether all that is made of a decoder's pixels, which are sRGB or near enough, can be made of one row after the
/// other: where attention looks for a part, all of them must be there, and so for means of samples.
pub(crate) fn come_row_by_row(channels: Channels, jobs: &[Job]) -> bool {
    let mut of_decoded = jobs.iter().filter(|job| job.base == Base::Decoded).peekable();
    is_plain(Transfer::Srgb, channels)
        && of_decoded.peek().is_some()
        && of_decoded.all(|job| !job.is_attentive && is_seen(&job.geometry))
}

/// Whether pixels of 8 bits are reduced in integers. Other curves are steeper where it is dark, and what alpha
/// hides needs more room than those have.
fn is_plain(transfer: Transfer, channels: Channels) -> bool {
    transfer == Transfer::Srgb && matches!(channels, Channels::Grey | Channels::Rgb)
}

/// Whether it can be seen what the means are of, samples or light.
fn is_seen(geometry: &Geometry) -> bool {
    let (from, to) = (geometry.crop.size, geometry.target);
    from.width_px >= SEEN_FROM * to.width_px || from.height_px >= SEEN_FROM * to.height_px
}

fn as_light<S: Sample>(samples: &[S], base: View<'_>, part: Part, target: Size, curve: &Curve<S>) -> Vec<S> {
    let (across, down) = part.axes(target);
    let (width, axes) = (base.size.width_px as usize, (&across, &down));
    match base.channels {
        Channels::Grey => reduced::<S, 1, false>(samples, width, axes, curve),
        Channels::GreyAlpha => reduced::<S, 2, true>(samples, width, axes, curve),
        Channels::Rgb => reduced::<S, 3, false>(samples, width, axes, curve),
        Channels::Rgba => reduced::<S, 4, true>(samples, width, axes, curve),
        Channels::InvertedCmyk => reduced::<S, 4, false>(samples, width, axes, curve),
    }
}

/// Ink is no light, and what light it leaves only its profile knows.
fn as_stored<P: PixelTrait>(
    samples: &[u8],
    base: View<'_>,
    part: Part,
    target: Size,
) -> Result<Vec<u8>, Error> {
    let mut reduced = vec![0; target.pixels() as usize * base.channels.count()];
    let Size { width_px, height_px } = base.size;
    let from = TypedImageRef::<P>::from_buffer(width_px, height_px, samples).map_err(failed)?;
    let mut to =
        TypedImage::<P>::from_buffer(target.width_px, target.height_px, &mut reduced).map_err(failed)?;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .use_alpha(false)
        .crop(part.left, part.top, part.width, part.height);
    fast_image_resize::Resizer::new().resize_typed(&from, &mut to, &options).map_err(failed)?;
    Ok(reduced)
}

/// Start and length on the base of what starts at `start_px` and is `length_px` long on the source.
fn part(start_px: u32, length_px: u32, base_px: u32, source_px: u32) -> (f64, f64) {
    let on_base = |px: u32| f64::from(px) * f64::from(base_px) / f64::from(source_px);
    let snapped = |px: f64| (px * CROP_STEPS).floor() / CROP_STEPS;
    let start = snapped(on_base(start_px));
    (start, snapped(on_base(start_px + length_px)) - start)
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Resize { problem: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;
    use proptest::prelude::*;

    const LIGHT: [Channels; 4] = [Channels::Grey, Channels::GreyAlpha, Channels::Rgb, Channels::Rgba];

    fn pixels(size: Size, channels: Channels, samples: Samples) -> Pixels {
        Pixels { size, channels, samples }
    }

    /// All of the picture.
    fn resized(pixels: &Pixels, colour: &Colour, target: Size) -> Pixels {
        let geometry = Geometry { crop: Rect::whole(pixels.size), target };
        Resizer::new(colour).resize(pixels.view(), pixels.size, &geometry).unwrap()
    }

    fn eight(pixels: Pixels) -> Vec<u8> {
        let Samples::Eight(samples) = pixels.samples else { panic!("16 bits") };
        samples
    }

    fn sixteen(pixels: Pixels) -> Vec<u16> {
        let Samples::Sixteen(samples) = pixels.samples else { panic!("8 bits") };
        samples
    }

    #[test]
    fn the_edges_of_a_white_shape_on_transparency_stay_white() {
        let inside = |x: i32, y: i32| (x - 100).pow(2) + (y - 100).pow(2) < 80 * 80;
        let pixel = |index: i32| if inside(index % 200, index / 200) { [255; 4] } else { [0; 4] };
        let data = (0..200 * 200).flat_map(pixel).collect();
        let disc = pixels(Size::new(200, 200), Channels::Rgba, Samples::Eight(data));
        for side_px in [33, 67, 150] {
            let small = eight(resized(&disc, &Colour::Srgb, Size::new(side_px, side_px)));
            let seen = small.as_chunks::<4>().0.iter().filter(|pixel| pixel[3] > 0);
            assert!(seen.clone().filter(|pixel| pixel[3] < 248).count() > 20);
            assert!(seen.flat_map(|pixel| &pixel[..3]).all(|sample| *sample == 255), "{side_px}");
        }
    }

    #[test]
    fn a_fine_pattern_of_black_and_white_gives_half_the_light_and_not_half_the_value() {
        let board = |index: u32| (index % 160 + index / 160) as u8 % 2 * 255;
        let samples = Samples::Eight((0..160 * 160).map(board).collect());
        let board = pixels(Size::new(160, 160), Channels::Grey, samples);
        for (gamma, expected) in [(None, 188), (Some(1.0), 128), (Some(0.5), 180)] {
            let of = |gamma| Colour::Gamma { gamma, chromaticities: None };
            let small = eight(resized(&board, &gamma.map_or(Colour::Srgb, of), Size::new(20, 20)));
            // The edges of a window's reach see one column or row more.
            let within = small[20 * 4..20 * 16].chunks(20).flat_map(|row| &row[4..16]);
            assert!(within.clone().all(|sample| sample.abs_diff(expected) <= 1), "{gamma:?}: {within:?}");
        }
    }

    #[test]
    fn sixteen_bits_stay_so_and_a_gradient_stays_one() {
        let ramp = |index: u32| (index % 4000 * 16) as u16;
        let samples = Samples::Sixteen((0..4000 * 40).map(ramp).collect());
        let ramp = pixels(Size::new(4000, 40), Channels::Grey, samples);
        let small = sixteen(resized(&ramp, &Colour::Srgb, Size::new(1000, 10)));
        // The ends of a ramp ring.
        let row = &small[5010..5990];
        assert!(row.is_sorted_by(|one, other| one < other), "{row:?}");
    }

    #[test]
    fn ink_is_reduced_as_ink() {
        let board = |index: u32| [(index % 160 + index / 160) as u8 % 2 * 255, 255, 0, 77];
        let samples = Samples::Eight((0..160 * 160).flat_map(board).collect());
        let board = pixels(Size::new(160, 160), Channels::InvertedCmyk, samples);
        let small = eight(resized(&board, &Colour::Srgb, Size::new(20, 20)));
        let [cyan, rest @ ..] = small.as_chunks::<4>().0[20 * 10 + 10];
        assert!(cyan.abs_diff(128) <= 1 && rest == [255, 0, 77], "{cyan} {rest:?}");
    }

    #[test]
    fn photographs_are_reduced_as_stored_to_half_their_size_and_as_light_below() {
        let board = |index: u32| [(index % 160 + index / 160) as u8 % 2 * 255; 3];
        let samples = Samples::Eight((0..160 * 160).flat_map(board).collect());
        let board = pixels(Size::new(160, 160), Channels::Rgb, samples);
        for (side_px, expected) in [(100, 128), (81, 128), (80, 188), (40, 188)] {
            let small = eight(resized(&board, &Colour::Srgb, Size::new(side_px, side_px)));
            let mean = small.iter().map(|sample| u64::from(*sample)).sum::<u64>() / small.len() as u64;
            assert!(mean.abs_diff(expected) < 5, "{side_px}: {mean}");
        }
    }

    #[test]
    fn a_crop_sees_nothing_beyond_its_edges() {
        // White at the left and right of a black middle.
        let wide = |index: u32| if (100..200).contains(&(index % 300)) { 0 } else { 255 };
        let picture =
            pixels(Size::new(300, 30), Channels::Grey, Samples::Eight((0..9000).map(wide).collect()));
        let crop = Rect { left_px: 100, top_px: 0, size: Size::new(100, 30) };
        let geometry = Geometry { crop, target: Size::new(40, 12) };
        let small = Resizer::new(&Colour::Srgb).resize(picture.view(), picture.size, &geometry).unwrap();
        assert_eq!(eight(small), [0; 40 * 12]);
    }

    /// The mean of the light of grey samples.
    fn mean_light(samples: &[u8]) -> f64 {
        let light = |sample: &u8| ((f64::from(*sample) / 255.0 + 0.055) / 1.055).powf(2.4);
        samples.iter().map(light).sum::<f64>() / samples.len() as f64
    }

    proptest! {
        #[test]
        fn a_flat_colour_stays_exactly_that(
            colour in any::<[u8; 4]>(), wide in any::<bool>(), channels in 0usize..4,
            width in 1u32..90, height in 1u32..90, to_width in 1u32..90, to_height in 1u32..90,
        ) {
            let channels = LIGHT[channels];
            let mut pixel = colour[..channels.count()].to_vec();
            // What cannot be seen has no colour.
            if channels.has_alpha() && pixel.last() == Some(&0) {
                pixel.fill(0);
            }
            let size = Size::new(width, height);
            let target = Size::new(to_width.min(width), to_height.min(height));
            let flat = pixel.repeat(size.pixels() as usize);
            let expected = pixel.repeat(target.pixels() as usize);
            if wide {
                let deep = |samples: &[u8]| samples.iter().map(|s| u16::from(*s) * 257).collect::<Vec<_>>();
                let flat = pixels(size, channels, Samples::Sixteen(deep(&flat)));
                prop_assert_eq!(sixteen(resized(&flat, &Colour::Srgb, target)), deep(&expected));
            } else {
                let flat = pixels(size, channels, Samples::Eight(flat));
                prop_assert_eq!(eight(resized(&flat, &Colour::Srgb, target)), expected);
            }
        }

        #[test]
        fn light_is_neither_lost_nor_made(
            seed in any::<u32>(), side in 100u32..200, target in 20u32..60,
        ) {
            // Not so contrasting that ringing is cut off, and smooth at the borders, which windows cut.
            let noise = |index: u32| match (index / side).min(index % side) {
                0..20 => 120,
                _ if index / side > side - 20 || index % side > side - 20 => 120,
                _ => (index.wrapping_mul(2_654_435_761) ^ seed).wrapping_mul(747_796_405) >> 25,
            };
            let samples: Vec<u8> = (0..side * side).map(|index| (noise(index) + 60) as u8).collect();
            let before = mean_light(&samples);
            let picture = pixels(Size::new(side, side), Channels::Grey, Samples::Eight(samples));
            let after = mean_light(&eight(resized(&picture, &Colour::Srgb, Size::new(target, target))));
            prop_assert!((after / before - 1.0).abs() < 0.01, "{} {}", before, after);
        }

        #[test]
        fn a_crop_never_leaves_the_base(
            source in 1u32..20_000, start in 0u32..20_000, length in 1u32..20_000, base in 1u32..20_000,
        ) {
            let base = base.min(source);
            let start = start % source;
            let length = length.min(source - start);
            let (left, width) = part(start, length, base, source);
            prop_assert!(left >= 0.0 && width >= 0.0 && left + width <= f64::from(base));
            prop_assert_eq!(part(0, source, base, source), (0.0, f64::from(base)));
        }
    }
}
