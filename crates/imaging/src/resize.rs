//! Fewer pixels, by Lanczos 3. Owns alpha's premultiplication, without which the colour of what cannot be
//! seen would bleed into edges. Never enlarges: geometry sees to that.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::error::Error;
use crate::geometry::{Geometry, Size};
use crate::pixels::{Channels, Pixels, Samples};

/// A crop is snapped to this part of a pixel: a power of two, so that its edges add up exactly.
const CROP_STEPS: f64 = 256.0;

/// The part and size of `base` that `geometry` says. `base` is all of a picture stored at the size
/// `source`, at its own or a smaller size.
///
/// # Errors
/// [`Error::Resize`], which is our fault.
pub(crate) fn resize(base: &Pixels, source: Size, geometry: &Geometry) -> Result<Pixels, Error> {
    let Size { width_px, height_px } = geometry.target;
    let (bytes, kind) = match &base.samples {
        Samples::Eight(samples) => (samples.as_slice(), pixel_type_8(base.channels)),
        Samples::Sixteen(samples) => (bytemuck::cast_slice(samples), pixel_type_16(base.channels)),
    };
    let from = ImageRef::new(base.size.width_px, base.size.height_px, bytes, kind).map_err(failed)?;
    let mut to = Image::new(width_px, height_px, kind);
    let (left, width) =
        crop(geometry.crop.left_px, geometry.crop.size.width_px, base.size.width_px, source.width_px);
    let (top, height) =
        crop(geometry.crop.top_px, geometry.crop.size.height_px, base.size.height_px, source.height_px);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(fast_image_resize::FilterType::Lanczos3))
        .use_alpha(base.channels.has_alpha())
        .crop(left, top, width, height);
    Resizer::new().resize(&from, &mut to, &options).map_err(failed)?;
    let samples = match &base.samples {
        Samples::Eight(_) => Samples::Eight(to.into_vec()),
        Samples::Sixteen(_) => Samples::Sixteen(bytemuck::pod_collect_to_vec(to.buffer())),
    };
    Ok(Pixels { size: geometry.target, channels: base.channels, samples })
}

/// Start and length on the base of what starts at `start_px` and is `length_px` long on the source.
fn crop(start_px: u32, length_px: u32, base_px: u32, source_px: u32) -> (f64, f64) {
    let on_base = |px: u32| f64::from(px) * f64::from(base_px) / f64::from(source_px);
    let snapped = |px: f64| (px * CROP_STEPS).floor() / CROP_STEPS;
    let start = snapped(on_base(start_px));
    (start, snapped(on_base(start_px + length_px)) - start)
}

const fn pixel_type_8(channels: Channels) -> PixelType {
    match channels {
        Channels::Grey => PixelType::U8,
        Channels::GreyAlpha => PixelType::U8x2,
        Channels::Rgb => PixelType::U8x3,
        Channels::Rgba | Channels::InvertedCmyk => PixelType::U8x4,
    }
}

const fn pixel_type_16(channels: Channels) -> PixelType {
    match channels {
        Channels::Grey => PixelType::U16,
        Channels::GreyAlpha => PixelType::U16x2,
        Channels::Rgb => PixelType::U16x3,
        Channels::Rgba | Channels::InvertedCmyk => PixelType::U16x4,
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Resize { problem: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;
    use proptest::prelude::*;

    /// A white disc on transparent black.
    fn disc() -> Pixels {
        let inside = |x: i32, y: i32| (x - 100).pow(2) + (y - 100).pow(2) < 80 * 80;
        let pixel = |index: i32| if inside(index % 200, index / 200) { [255; 4] } else { [0; 4] };
        let data = (0..200 * 200).flat_map(pixel).collect();
        Pixels { size: Size::new(200, 200), channels: Channels::Rgba, samples: Samples::Eight(data) }
    }

    #[test]
    fn the_edges_of_a_white_shape_on_transparency_stay_white() {
        let pixels = disc();
        let whole = Geometry { crop: Rect::whole(pixels.size), target: Size::new(33, 33) };
        let Samples::Eight(small) = resize(&pixels, pixels.size, &whole).unwrap().samples else { panic!() };
        let edges = small.as_chunks::<4>().0.iter().filter(|pixel| (8..248).contains(&pixel[3]));
        let darkest = edges.clone().flat_map(|pixel| &pixel[..3]).min().unwrap();
        assert!(edges.count() > 20 && *darkest >= 250, "{darkest}");
    }

    proptest! {
        #[test]
        fn a_crop_never_leaves_the_base(
            source in 1u32..20_000, start in 0u32..20_000, length in 1u32..20_000, base in 1u32..20_000,
        ) {
            let base = base.min(source);
            let start = start % source;
            let length = length.min(source - start);
            let (left, width) = crop(start, length, base, source);
            prop_assert!(left >= 0.0 && width >= 0.0 && left + width <= f64::from(base));
            prop_assert_eq!(crop(0, source, base, source), (0.0, f64::from(base)));
        }
    }
}
