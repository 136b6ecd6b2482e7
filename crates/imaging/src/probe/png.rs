//! A PNG's header. Owns what is told of it before its image data; never inflates anything of that.

use super::{Header, Layout};
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
    let reader = png::open(bytes)?;
    let (channels, wide) = png::layout(&reader);
    let info = reader.info();
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
    use crate::probe::probe;
    use crate::testing::{png, png_header, quadrants};
    use contract::Limits;

    #[test]
    fn a_width_that_no_memory_holds_is_judged_by_its_pixels() {
        for (width_px, height_px) in [(100_000, 100_000), (u32::MAX >> 1, 1), (1, u32::MAX >> 1)] {
            let error = probe(&png_header(width_px, height_px), &Limits::default()).unwrap_err();
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
