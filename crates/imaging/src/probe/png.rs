//! A PNG's header, and what its other chunks claim to hold. Owns the refusal of bombs, whose few bytes
//! inflate to many; never inflates image data, nor keeps what it inflates.

use std::io::Read;

use contract::MediaType;
use flate2::read::ZlibDecoder;

use super::{Header, Layout};
use crate::cost::OVERHEAD_BYTES;
use crate::decode::png;
use crate::error::Error;
use crate::geometry::Size;
use crate::orientation::Orientation;

/// The longest side that any limit allows: what a JPEG can say of itself.
const MAX_SIDE_PX: u32 = 65_535;

/// The size, orientation and layout, from the chunks before the image data.
pub(super) fn read_header(bytes: &[u8]) -> Result<Header, Error> {
    if let Some(size) = size(bytes).filter(|size| size.width_px > MAX_SIDE_PX) {
        // The decoder would want memory for a row before anyone could judge that.
        let layout = Layout::Raster { channels: 1, sample_bytes: 1, decoder_bytes: 0 };
        return Ok(Header { size, orientation: Orientation::default(), layout });
    }
    check_metadata(bytes)?;
    let reader = png::open(bytes)?;
    let (channels, wide) = png::layout(&reader);
    let info = reader.info();
    check_image_data(bytes, info.raw_row_length() as u64 * u64::from(info.height))?;
    let layout = Layout::Raster {
        channels: channels.count() as u8,
        sample_bytes: if wide { 2 } else { 1 },
        // Rows go straight into the output.
        decoder_bytes: 0,
    };
    let orientation = info.exif_metadata.as_deref().and_then(image::metadata::Orientation::from_exif_chunk);
    let orientation = orientation.map(Orientation::from).unwrap_or_default();
    Ok(Header { size: Size::new(info.width, info.height), orientation, layout })
}

/// Refuses texts and profiles that together inflate to more than any honest file's. Nobody is shown
/// them, but a reader that keeps them would run out of memory.
fn check_metadata(bytes: &[u8]) -> Result<(), Error> {
    let limit_bytes = OVERHEAD_BYTES;
    let mut left_bytes = limit_bytes;
    let mut buffer = [0; 16 * 1024];
    for (name, payload) in Chunks::new(bytes).into_iter().flatten() {
        let Some(deflated) = deflated(name, payload) else { continue };
        let mut inflated = ZlibDecoder::new(deflated);
        // What cannot be inflated says nothing of the pixels.
        while let Ok(count @ 1..) = inflated.read(&mut buffer) {
            let left = left_bytes.checked_sub(count as u64);
            left_bytes = left.ok_or(Error::MetadataTooLarge { limit_bytes })?;
        }
    }
    Ok(())
}

/// The zlib stream of a chunk that has one. PNG, third edition, 11.3: a text that ends with 0 in front,
/// then the method; iTXt has a flag before that, and two more texts behind.
fn deflated<'a>(name: &[u8; 4], payload: &'a [u8]) -> Option<&'a [u8]> {
    let behind_text = |bytes: &'a [u8]| bytes.split_at_checked(bytes.iter().position(|byte| *byte == 0)? + 1);
    let (_, rest) = behind_text(payload)?;
    match (name, rest) {
        (b"zTXt" | b"iCCP", [_, stream @ ..]) => Some(stream),
        (b"iTXt", [1, _, rest @ ..]) => Some(behind_text(behind_text(rest)?.1)?.1),
        _ => None,
    }
}

/// Refuses image data that takes more room deflated than all rows do as they are. `row_bytes` are those
/// of all rows; passes of an interlaced picture begin more of them.
fn check_image_data(bytes: &[u8], row_bytes: u64) -> Result<(), Error> {
    const SLACK_BYTES: u64 = 64 * 1024;
    let parts = Chunks::new(bytes).into_iter().flatten().filter(|(name, _)| *name == b"IDAT");
    let deflated_bytes: u64 = parts.map(|(_, payload)| payload.len() as u64).sum();
    if deflated_bytes > row_bytes.saturating_mul(2).saturating_add(SLACK_BYTES) {
        return Err(Error::corrupt(MediaType::Png, "it has far more image data than pixels"));
    }
    Ok(())
}

/// The EXIF block, wherever in the file.
pub(super) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    Chunks::new(bytes)?.find(|(name, _)| *name == b"eXIf").map(|(_, payload)| payload)
}

/// What the first chunk says, which is the header in every PNG.
fn size(bytes: &[u8]) -> Option<Size> {
    let (_, header) = Chunks::new(bytes)?.next().filter(|(name, _)| *name == b"IHDR")?;
    let (width, rest) = header.split_first_chunk()?;
    Some(Size::new(u32::from_be_bytes(*width), u32::from_be_bytes(*rest.first_chunk()?)))
}

/// The name and payload of every chunk that is whole.
struct Chunks<'a>(&'a [u8]);

impl<'a> Chunks<'a> {
    /// Behind the signature.
    fn new(bytes: &'a [u8]) -> Option<Self> {
        Some(Self(bytes.get(8..)?))
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = (&'a [u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let (name, rest) = rest.split_first_chunk::<4>()?;
        let (payload, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        // Behind the checksum.
        self.0 = rest.get(4..).unwrap_or_default();
        Some((name, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::probed;
    use crate::testing::{png, png_header, quadrants};

    #[test]
    fn a_width_that_no_memory_holds_is_judged_by_its_pixels() {
        for (width_px, height_px) in [(100_000, 100_000), (u32::MAX >> 1, 1), (1, u32::MAX >> 1)] {
            let error = probed(&png_header(width_px, height_px)).unwrap_err();
            assert!(matches!(error, Error::SideTooLong { .. }), "{width_px} x {height_px}: {error}");
        }
    }

    #[test]
    fn chunks_end_where_the_file_does() {
        let whole = png(&quadrants(8, 8), None);
        let names = |bytes| Chunks::new(bytes).map_or(0, Iterator::count);
        assert_eq!(names(&whole), 3);
        for length in 0..whole.len() {
            assert!(names(&whole[..length]) <= 3, "{length}");
        }
    }
}
