//! WebP's container: its chunks, read and written. Owns where a chunk ends and what a frame of an animation
//! consists of; never looks into compressed data, nor trusts a length.

use crate::geometry::Size;

/// Bits of VP8X that say what a file has.
const HAS_ALPHA: u8 = 0x10;
const HAS_EXIF: u8 = 0x08;

/// Name and payload of every chunk that is whole, one after another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunks<'a>(&'a [u8]);

impl<'a> Chunks<'a> {
    /// The chunks that the RIFF header encloses, all of whose bytes must be there. A last byte of padding
    /// may be missing.
    pub fn of_file(bytes: &'a [u8]) -> Option<Self> {
        let length = u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?) as usize;
        let padded = length.checked_add(8)?;
        bytes.get(12..padded).or_else(|| bytes.get(12..padded - 1)).map(Self)
    }

    /// The chunks within a chunk.
    pub const fn of_payload(payload: &'a [u8]) -> Self {
        Self(payload)
    }

    /// What follows the last whole chunk: where it is not empty, a chunk is cut off.
    pub const fn rest(self) -> &'a [u8] {
        self.0
    }

    fn find(mut self, name: &[u8; 4]) -> Option<&'a [u8]> {
        self.find_map(|(found, payload)| (found == name).then_some(payload))
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = (&'a [u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = self.0.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let payload = rest.get(..length)?;
        self.0 = rest.get(length + (length & 1)..).unwrap_or_default();
        Some((name, payload))
    }
}

/// The payload of a file's first chunk of that name, if it is whole.
pub(crate) fn payload<'a>(file: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    Chunks::of_file(file)?.find(name)
}

/// A frame of an animation: the payload of ANMF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AnimationFrame<'a> {
    pub left_px: u32,
    pub top_px: u32,
    pub size: Size,
    pub duration_ms: u32,
    /// Laid over what was there, rather than put in its place.
    pub is_blended: bool,
    /// Cleared before the next.
    pub is_cleared: bool,
    data: &'a [u8],
}

impl<'a> AnimationFrame<'a> {
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let (head, data) = payload.split_first_chunk::<16>()?;
        let at = |start: usize| uint24(&head[start..start + 3]);
        Some(Self {
            left_px: at(0) * 2,
            top_px: at(3) * 2,
            size: Size::new(at(6) + 1, at(9) + 1),
            duration_ms: at(12),
            is_blended: head[15] & 2 == 0,
            is_cleared: head[15] & 1 != 0,
            data,
        })
    }

    /// The frame as a file of its own; none where it has no picture.
    pub fn as_file(&self) -> Option<Vec<u8>> {
        let chunks = Chunks::of_payload(self.data);
        if let Some(lossless) = chunks.find(b"VP8L") {
            return Some(file(&[(b"VP8L", lossless)]));
        }
        let lossy = chunks.find(b"VP8 ")?;
        Some(match chunks.find(b"ALPH") {
            None => file(&[(b"VP8 ", lossy)]),
            Some(alpha) => {
                file(&[(b"VP8X", &features(HAS_ALPHA, self.size)), (b"ALPH", alpha), (b"VP8 ", lossy)])
            }
        })
    }
}

/// A number of 3 bytes.
pub(crate) fn uint24(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

/// Says of a file with features that something in it is transparent.
pub(crate) fn declare_alpha(webp: &mut [u8]) {
    if let Some([b'V', b'P', b'8', b'X', _, _, _, _, flags]) = webp.get_mut(12..21) {
        *flags |= HAS_ALPHA;
    }
}

/// The still or animation with `exif`, which starts as TIFF does, as its metadata. The size and whether
/// any pixel is transparent are those of the picture: a file without features says them nowhere else.
pub(crate) fn with_exif(webp: Vec<u8>, exif: &[u8], size: Size, has_alpha: bool) -> Vec<u8> {
    let Some(chunks) = Chunks::of_file(&webp) else { return webp };
    let mut features = features(if has_alpha { HAS_ALPHA } else { 0 }, size);
    if let Some(found) = chunks.find(b"VP8X").and_then(|payload| payload.first_chunk()) {
        features = *found;
    }
    features[0] |= HAS_EXIF;
    let others = chunks.filter(|(name, _)| !matches!(*name, b"VP8X" | b"EXIF"));
    let all: Vec<_> =
        [(b"VP8X", features.as_slice())].into_iter().chain(others).chain([(b"EXIF", exif)]).collect();
    file(&all)
}

/// The payload of VP8X.
fn features(flags: u8, size: Size) -> [u8; 10] {
    let [w0, w1, w2, _] = (size.width_px - 1).to_le_bytes();
    let [h0, h1, h2, _] = (size.height_px - 1).to_le_bytes();
    [flags, 0, 0, 0, w0, w1, w2, h0, h1, h2]
}

fn file(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let length: usize = chunks.iter().map(|(_, payload)| 8 + payload.len().next_multiple_of(2)).sum();
    let mut bytes = Vec::with_capacity(12 + length);
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&((4 + length) as u32).to_le_bytes());
    bytes.extend_from_slice(b"WEBP");
    for (name, payload) in chunks {
        bytes.extend_from_slice(*name);
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len().next_multiple_of(2), 0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libwebp::{Fidelity, encode, reference_decode};
    use crate::pixels::Picture;
    use crate::testing::quadrants;

    const LOSSY: Fidelity = Fidelity::Lossy { quality: 80 };

    fn translucent() -> Picture {
        crate::testing::drawn(10, 6, |x, y| [x as u8 * 20, y as u8 * 40, 7, 99])
    }

    #[test]
    fn exif_is_added_to_every_kind_of_still_and_changes_no_pixel() {
        for picture in [quadrants(10, 6), translucent()] {
            for fidelity in [LOSSY, Fidelity::Lossless] {
                let plain = encode(&picture, fidelity, 4).unwrap();
                // An odd length is padded.
                let marked = with_exif(plain.clone(), b"MM\0*\0", picture.size, picture.has_alpha);
                assert_eq!(reference_decode(&marked), reference_decode(&plain));
                let chunks = Chunks::of_file(&marked).unwrap();
                assert_eq!(chunks.find(b"EXIF"), Some(b"MM\0*\0".as_slice()));
                let features = chunks.find(b"VP8X").unwrap();
                assert_eq!(features[0] & HAS_ALPHA != 0, picture.has_alpha);
                assert_eq!((uint24(&features[4..7]), uint24(&features[7..])), (9, 5));
                // Again: replaced, not added.
                let twice = with_exif(marked, b"II*\0", picture.size, picture.has_alpha);
                let found: Vec<_> = Chunks::of_file(&twice).unwrap().filter(|(n, _)| *n == b"EXIF").collect();
                assert_eq!(found, [(b"EXIF", b"II*\0".as_slice())]);
            }
        }
    }

    #[test]
    fn the_decoder_finds_the_exif_that_was_added() {
        use image::ImageDecoder;
        let plain = encode(&quadrants(10, 6), LOSSY, 4).unwrap();
        let marked = with_exif(plain, b"MM\0*\0\0\0\x08\0\0", Size::new(10, 6), false);
        let mut decoder = image::codecs::webp::WebPDecoder::new(std::io::Cursor::new(&marked)).unwrap();
        assert_eq!(decoder.exif_metadata().unwrap().unwrap(), b"MM\0*\0\0\0\x08\0\0");
    }

    #[test]
    fn what_is_no_webp_stays_as_it_is() {
        assert_eq!(with_exif(b"RIFF".to_vec(), b"MM", Size::new(1, 1), false), b"RIFF");
    }

    #[test]
    fn a_frame_is_taken_out_as_a_file_of_its_own() {
        for picture in [quadrants(10, 6), translucent()] {
            for fidelity in [LOSSY, Fidelity::Lossless] {
                let still = encode(&picture, fidelity, 4).unwrap();
                let inner: Vec<u8> = still[12..].to_vec();
                let head = [2, 0, 0, 3, 0, 0, 9, 0, 0, 5, 0, 0, 40, 0, 0, 3];
                let payload = [head.as_slice(), &inner].concat();
                let frame = AnimationFrame::parse(&payload).unwrap();
                assert_eq!((frame.left_px, frame.top_px, frame.size), (4, 6, Size::new(10, 6)));
                assert_eq!((frame.duration_ms, frame.is_blended, frame.is_cleared), (40, false, true));
                assert_eq!(reference_decode(&frame.as_file().unwrap()), reference_decode(&still));
            }
        }
        assert_eq!(AnimationFrame::parse(&[0; 16]).unwrap().as_file(), None);
        assert_eq!(AnimationFrame::parse(&[0; 15]), None);
    }
}
