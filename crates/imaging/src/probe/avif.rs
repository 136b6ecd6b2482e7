//! An AVIF's header, and what decoding it takes. Owns the estimate of what the AV1 decoder holds; which
//! items make up the picture is `avif`'s to say. Never looks into coded data.

use super::{Header, Layout};
use crate::av1::MAX_LAYERS;
use crate::avif::{Avif, Plan};
use crate::error::Error;
use crate::geometry::Size;

/// Sides of a frame in memory are multiples of this, px.
const ALIGNMENT_PX: u64 = 128;
/// What the decoder holds for each pixel beside the planes: how it is filtered, its segments, and the
/// motion within it. Measured.
const DECODER_PIXEL_BYTES: u64 = 1;

pub(super) fn read_header(bytes: &[u8]) -> Result<Header, Error> {
    let avif = Avif::read(bytes)?;
    let channels = avif.channels().count() as u8;
    let sample_bytes = avif.colour.config.sample_bytes();
    let output_bytes = avif.crop.size.pixels() * u64::from(channels) * u64::from(sample_bytes);
    let peak_bytes = peak_bytes(&avif, output_bytes).saturating_add(bytes.len() as u64);
    let layout = Layout::Avif {
        channels,
        sample_bytes,
        decoder_bytes: peak_bytes.saturating_sub(output_bytes),
        coded: avif.colour.coded_size(),
    };
    Ok(Header { size: avif.crop.size, orientation: avif.orientation, layout })
}

/// The most that is held at once, beside a copy of the coded data: one frame is decoded at a time, and the
/// output is there from the end of the first on.
fn peak_bytes(avif: &Avif, output_bytes: u64) -> u64 {
    let output_before = if avif.colour.is_tiled() { output_bytes } else { 0 };
    let colour = output_before.saturating_add(decoding_bytes(&avif.colour));
    let painting = output_bytes.saturating_add(frame_bytes(&avif.colour));
    let alpha = avif.alpha.as_ref().map_or(0, |alpha| output_bytes.saturating_add(decoding_bytes(alpha)));
    colour.max(painting).max(alpha)
}

/// While a tile is decoded.
fn decoding_bytes(plan: &Plan) -> u64 {
    let beside = aligned_pixels(plan.tile).saturating_mul(DECODER_PIXEL_BYTES * frames(plan));
    frame_bytes(plan).saturating_add(beside)
}

/// A tile's frames, once more where one is made wider, and with film grain. The decoder keeps what it has
/// no more use for as long as any of them is there.
fn frame_bytes(plan: &Plan) -> u64 {
    let quarters = 4 + plan.config.chroma_quarters();
    let planes = aligned_pixels(plan.tile).saturating_mul(quarters * u64::from(plan.config.sample_bytes()));
    (planes / 4).saturating_mul(frames(plan) + 2)
}

const fn frames(plan: &Plan) -> u64 {
    if plan.is_layered { MAX_LAYERS } else { 1 }
}

fn aligned_pixels(size: Size) -> u64 {
    let aligned = |side_px: u32| u64::from(side_px).next_multiple_of(ALIGNMENT_PX);
    aligned(size.width_px).saturating_mul(aligned(size.height_px))
}
