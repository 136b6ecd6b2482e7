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
    // Its size is judged only after this.
    let pixel_bytes = u64::from(channels) * u64::from(sample_bytes);
    let output_bytes = avif.crop.size.pixels().saturating_mul(pixel_bytes);
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

#[cfg(test)]
mod tests {
    use crate::error::Error;
    use crate::testing::{HeifFile, HeifItem, probed};

    #[test]
    fn the_largest_size_that_a_file_can_claim_is_judged_by_its_sides() {
        let properties = vec![
            (*b"ispe", [[0; 4], [0xff; 4], [0xff; 4]].concat(), false),
            (*b"av1C", vec![0x81, 0, 0x4c, 0], true),
        ];
        let item = HeifItem { id: 1, kind: *b"av01", data: vec![1, 2, 3], properties };
        let error = probed(&HeifFile { items: vec![item], ..HeifFile::default() }.bytes()).unwrap_err();
        assert!(matches!(error, Error::SideTooLong { width_px: u32::MAX, .. }), "{error}");
    }
}
