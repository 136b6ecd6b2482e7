//! Pixels of any file, by the decoders of our own engine, for every peer alike: through its lossless recipe, which
//! applies orientation and profile. Never resizes.

use std::io::Cursor;
use std::ops::ControlFlow;

use anyhow::Context;
use contract::recipe::{Encoding, Fit, Gravity, RenditionSpec};
use contract::{Format, Limits, Recipe};
use image::codecs::png::PngDecoder;
use image::{DynamicImage, RgbImage};
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

/// All of the file's pixels, upright and in sRGB.
pub fn shown(bytes: &[u8]) -> anyhow::Result<RgbImage> {
    let recipe = recipe(&[WIDEST_PX], vec![Encoding::new(Format::Png)]);
    let probe = probe(bytes, &limits(), &recipe)?;
    let mut png = None;
    render(bytes, &probe, &recipe, 1, &mut |encoded| {
        png = Some(encoded.bytes);
        ControlFlow::Break(())
    })?;
    from_png(&png.context("nothing was rendered")?)
}

pub fn from_png(bytes: &[u8]) -> anyhow::Result<RgbImage> {
    Ok(DynamicImage::from_decoder(PngDecoder::new(Cursor::new(bytes))?)?.into_rgb8())
}
