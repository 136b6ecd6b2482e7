//! Pixels of any file, by the decoders of our own engine, for every peer alike: through its lossless recipe, which
//! applies orientation and profile. Never resizes.

use std::io::Cursor;
use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::Context;
use contract::recipe::{Encoding, Fit, Gravity, RenditionSpec};
use contract::{Format, Limits, Recipe};
use fast_ssim2::{PixelDescriptor, PixelSlice};
use image::codecs::png::PngDecoder;
use image::{DynamicImage, RgbImage, RgbaImage};
use imaging::{Probe, probe, render};

/// The widest that a rendition may be, px.
const WIDEST_PX: u32 = 16_383;

/// The photos are known: nothing is refused.
pub fn limits() -> Limits {
    Limits {
        max_source_bytes: u64::MAX,
        max_pixels: u64::MAX,
        max_side_px: u32::MAX,
        max_job_bytes: u64::MAX,
        ..Limits::default()
    }
}

/// A rendition for each of `widths`, in a box of that side, in each of these encodings.
pub fn recipe(widths: &[u32], formats: Vec<Encoding>) -> Recipe {
    let rendition = |width: &u32| RenditionSpec {
        name: format!("w{width}"),
        width: Some(*width),
        height: Some(*width),
        fit: Fit::Inside,
        gravity: Gravity::Centre,
        formats: None,
        max_bytes: None,
    };
    Recipe { formats, renditions: widths.iter().map(rendition).collect(), ..Recipe::default() }
}

/// What the file's header says; its size is the one that is shown.
pub fn header(bytes: &[u8]) -> anyhow::Result<Probe> {
    Ok(probe(bytes, &limits(), &recipe(&[WIDEST_PX], vec![Encoding::new(Format::Png)]))?)
}

/// The one file of a recipe that has but one.
pub fn made(bytes: &[u8], recipe: &Recipe) -> anyhow::Result<Arc<[u8]>> {
    let probe = probe(bytes, &limits(), recipe)?;
    let mut file = None;
    render(bytes, &probe, recipe, 1, &mut |encoded| {
        file = Some(encoded.bytes);
        ControlFlow::Break(())
    })?;
    file.context("nothing was rendered")
}

/// All of the file's pixels, upright, in sRGB and on white.
pub fn shown(bytes: &[u8]) -> anyhow::Result<RgbImage> {
    let png = made(bytes, &recipe(&[WIDEST_PX], vec![Encoding::new(Format::Png)]))?;
    let picture = from_png(&png)?;
    Ok(if picture.color().has_alpha() { on_white(&picture.into_rgba8()) } else { picture.into_rgb8() })
}

pub fn from_png(bytes: &[u8]) -> anyhow::Result<DynamicImage> {
    Ok(DynamicImage::from_decoder(PngDecoder::new(Cursor::new(bytes))?)?)
}

fn on_white(picture: &RgbaImage) -> RgbImage {
    let blended = |sample: u8, alpha: u8| 255 - (u32::from(255 - sample) * u32::from(alpha) / 255) as u8;
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0;
        image::Rgb([red, green, blue].map(|sample| blended(sample, alpha)))
    })
}

/// As SSIMULACRA2 takes it.
pub fn scorable(picture: &RgbImage) -> anyhow::Result<PixelSlice<'_>> {
    let (width_px, height_px) = picture.dimensions();
    let stride_bytes = width_px as usize * 3;
    let descriptor = PixelDescriptor::RGB8_SRGB;
    Ok(PixelSlice::new(picture.as_raw(), width_px, height_px, stride_bytes, descriptor)?)
}
