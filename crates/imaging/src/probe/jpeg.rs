//! A JPEG's header, read segment by segment. Owns which kinds of JPEG are decoded at all; never judges the
//! size, nor looks into compressed data.

use contract::MediaType;

use super::{Header, Layout};
use crate::error::Error;
use crate::geometry::Size;
use crate::orientation::Orientation;

mod marker {
    pub const START_OF_IMAGE: u8 = 0xd8;
    pub const END_OF_IMAGE: u8 = 0xd9;
    pub const START_OF_SCAN: u8 = 0xda;
    pub const APP1: u8 = 0xe1;
    pub const APP14: u8 = 0xee;
}

/// The size, orientation and layout, from the segments before the first scan. A file that ends within
/// them still has the size that it claims, and is judged by that first: decoding finds the rest.
pub(super) fn read_header(bytes: &[u8]) -> Result<Header, Error> {
    let mut frame = None;
    let mut orientation = None;
    let mut adobe = false;
    let mut first_scan: &[u8] = &[];
    for (marker, payload) in Segments(bytes) {
        match marker {
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                frame = Some(Frame::parse(marker, payload)?);
            }
            marker::APP1 => orientation = orientation.or_else(|| exif_orientation(payload)),
            marker::APP14 => adobe |= payload.starts_with(b"Adobe"),
            marker::START_OF_SCAN => {
                first_scan = payload;
                break;
            }
            marker::END_OF_IMAGE => break,
            _ => {}
        }
    }
    let frame = frame.ok_or_else(|| corrupt("it ends within its header"))?;
    let layout = frame.layout(adobe, first_scan);
    Ok(Header { size: frame.size, orientation: orientation.unwrap_or_default(), layout })
}

/// The EXIF block of the first segment that is one, in front of the first scan.
pub(super) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    Segments(bytes)
        .take_while(|(marker, _)| *marker != marker::START_OF_SCAN)
        .filter(|(marker, _)| *marker == marker::APP1)
        .find_map(|(_, payload)| payload.strip_prefix(b"Exif\0\0"))
}

/// What the scans of a picture add up to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scans {
    pub count: usize,
    /// There is a marker of the image's end, or nothing is left for another scan to bring: every
    /// coefficient of every component came, down to its last bit.
    pub are_all: bool,
}

/// The scans up to the end of the image. Whether the last is whole is for its decoder to find out.
pub(crate) fn scans(bytes: &[u8]) -> Scans {
    let mut scans = Scans::default();
    let mut missing = Vec::new();
    let mut is_progressive = false;
    for (marker, payload) in Segments(bytes) {
        match marker {
            0xc0..=0xc2 => {
                is_progressive = marker == 0xc2;
                let components = payload.get(6..).unwrap_or_default().as_chunks::<3>().0;
                missing = components.iter().map(|[id, ..]| (*id, u64::MAX)).collect();
            }
            marker::START_OF_SCAN => {
                scans.count += 1;
                arrive(&mut missing, payload, is_progressive);
            }
            marker::END_OF_IMAGE => return Scans { are_all: true, ..scans },
            _ => {}
        }
    }
    Scans { are_all: missing.iter().all(|(_, coefficients)| *coefficients == 0), ..scans }
}

/// Takes what a scan brings from the coefficients, one bit for each, that each component lacks.
fn arrive(missing: &mut [(u8, u64)], scan: &[u8], is_progressive: bool) {
    let Some((count, rest)) = scan.split_first() else { return };
    let Some((components, range)) = rest.split_at_checked(2 * usize::from(*count)) else { return };
    let [first, last, approximation, ..] = *range else { return };
    let brought = match (is_progressive, last) {
        // All of them; the numbers have no meaning here.
        (false, _) => u64::MAX,
        // Its last bits are still to come.
        (true, _) if approximation & 15 != 0 => 0,
        (true, last) => (first..=last.min(63)).fold(0, |bits, index| bits | 1 << index),
    };
    for [id, _] in components.as_chunks::<2>().0 {
        missing.iter_mut().filter(|(other, _)| other == id).for_each(|(_, bits)| *bits &= !brought);
    }
}

/// Every segment's marker and payload, compressed data and whatever else is between them passed over.
struct Segments<'a>(&'a [u8]);

impl<'a> Iterator for Segments<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let start = self.0.iter().position(|byte| *byte == 0xff)?;
            let (marker, rest) = self.0[start..].split_at_checked(2)?;
            match marker[1] {
                // Fill bytes may stand before any marker.
                0xff => self.0 = &self.0[start + 1..],
                // An 0xff of compressed data, markers within it, and one without payload.
                0x00 | 0x01 | 0xd0..=0xd7 | marker::START_OF_IMAGE => self.0 = rest,
                marker::END_OF_IMAGE => {
                    self.0 = rest;
                    return Some((marker::END_OF_IMAGE, &[]));
                }
                marker => {
                    let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
                    let payload = rest.get(2..length)?;
                    self.0 = &rest[length..];
                    return Some((marker, payload));
                }
            }
        }
    }
}

/// A start-of-frame segment.
struct Frame {
    size: Size,
    progressive: bool,
    /// Horizontal and vertical sampling of each.
    components: Vec<(u8, u8)>,
}

impl Frame {
    fn parse(marker: u8, payload: &[u8]) -> Result<Self, Error> {
        let [precision, h1, h0, w1, w0, count, rest @ ..] = payload else {
            return Err(corrupt("its frame header is too short"));
        };
        check_kind(marker, *precision, *count)?;
        let (components, _) = rest.as_chunks::<3>();
        if components.len() != usize::from(*count) {
            return Err(corrupt("its frame header is too short"));
        }
        if [*h1, *h0] == [0, 0] {
            return Err(Error::Unsupported { what: "a JPEG that tells its height at its end" });
        }
        let components: Vec<_> =
            components.iter().map(|[_, factors, _]| (factors >> 4, factors & 15)).collect();
        if components.iter().any(|(h, v)| !(1..=4).contains(h) || !(1..=4).contains(v)) {
            return Err(corrupt("its components have no valid size"));
        }
        let size = Size::new(u16::from_be_bytes([*w1, *w0]).into(), u16::from_be_bytes([*h1, *h0]).into());
        Ok(Self { size, progressive: marker == 0xc2, components })
    }

    fn layout(&self, adobe: bool, scan: &[u8]) -> Layout {
        let count = self.components.len() as u8;
        let one_scan = !self.progressive && scan.first() == Some(&count);
        let coefficient_bytes = if one_scan { 0 } else { self.coefficient_bytes() };
        Layout::Jpeg { components: count, adobe, coefficient_bytes }
    }

    /// Two bytes for each of the 64 coefficients of every block, in whole MCUs.
    fn coefficient_bytes(&self) -> u64 {
        let largest = |side: fn(&(u8, u8)) -> u8| self.components.iter().map(side).max().unwrap_or(1);
        let mcus_across = self.size.width_px.div_ceil(8 * u32::from(largest(|factors| factors.0)));
        let mcus_down = self.size.height_px.div_ceil(8 * u32::from(largest(|factors| factors.1)));
        let blocks: u64 = self.components.iter().map(|(h, v)| u64::from(*h) * u64::from(*v)).sum();
        u64::from(mcus_across) * u64::from(mcus_down) * blocks * 64 * 2
    }
}

fn check_kind(marker: u8, precision: u8, components: u8) -> Result<(), Error> {
    let what = match (marker, precision, components) {
        (0xc0..=0xc2, 8, 1 | 3 | 4) => return Ok(()),
        (0xc0..=0xc2, 8, _) => "a JPEG of neither 1, 3 nor 4 components",
        (0xc0..=0xc2, ..) => "a JPEG of more than 8 bits",
        (0xc9 | 0xca, ..) => "an arithmetic-coded JPEG",
        (0xc3 | 0xc7 | 0xcb | 0xcf, ..) => "a lossless JPEG",
        _ => "a hierarchical JPEG",
    };
    Err(Error::Unsupported { what })
}

fn exif_orientation(payload: &[u8]) -> Option<Orientation> {
    let tiff = payload.strip_prefix(b"Exif\0\0")?;
    image::metadata::Orientation::from_exif_chunk(tiff).map(Orientation::from)
}

fn corrupt(problem: &str) -> Error {
    Error::corrupt(MediaType::Jpeg, problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{jpeg, quadrants, with_exif};

    #[test]
    fn a_header_is_found_behind_fill_bytes_and_junk() {
        let whole = with_exif(&jpeg(&quadrants(64, 48)), 6);
        let padded = [&whole[..2], &[0xff, 0xff, 0xff], &whole[2..]].concat();
        let junk = [&whole[..2], &[1, 2, 0xff, 0, 3], &whole[2..]].concat();
        for bytes in [whole, padded, junk] {
            let header = read_header(&bytes).unwrap();
            assert_eq!(header.size, Size::new(64, 48));
            assert!(header.orientation.swaps_axes());
            assert_eq!(header.layout, Layout::Jpeg { components: 3, adobe: false, coefficient_bytes: 0 });
            assert_eq!(scans(&bytes), Scans { count: 1, are_all: true });
        }
    }

    #[test]
    fn a_header_cut_off_before_its_frame_is_corrupt_and_one_cut_off_after_it_has_its_size() {
        let whole = jpeg(&quadrants(64, 48));
        let at = |marker: u8| whole.windows(2).position(|pair| pair == [0xff, marker]).unwrap();
        let frame_end = at(0xc0) + 2 + 17;
        for length in 3..frame_end {
            assert!(matches!(read_header(&whole[..length]), Err(Error::Corrupt { .. })), "{length}");
        }
        for length in frame_end..=at(marker::START_OF_SCAN) {
            assert_eq!(read_header(&whole[..length]).unwrap().size, Size::new(64, 48), "{length}");
        }
    }

    #[test]
    fn kinds_that_are_not_decoded_are_named() {
        for (marker, precision, components, expected) in [
            (0xc1, 12, 3, "a JPEG of more than 8 bits"),
            (0xc9, 8, 3, "an arithmetic-coded JPEG"),
            (0xc3, 8, 3, "a lossless JPEG"),
            (0xc5, 8, 3, "a hierarchical JPEG"),
            (0xc0, 8, 2, "a JPEG of neither 1, 3 nor 4 components"),
        ] {
            assert_eq!(check_kind(marker, precision, components), Err(Error::Unsupported { what: expected }));
        }
    }
}
