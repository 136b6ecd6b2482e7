//! A WebP's bitstreams, checked against its canvas. Owns one rule: no frame may claim more pixels than the
//! header that the limits were held against, since the decoder allocates by what the frame claims.

use contract::MediaType;

use crate::error::Error;

/// Refuses a file whose bitstreams claim to be larger than its canvas, or that is cut off. Says whether
/// it is an animation.
pub(super) fn check_frames(bytes: &[u8]) -> Result<bool, Error> {
    let body = body(bytes).ok_or_else(|| corrupt("it ends too early"))?;
    let mut canvas = None;
    let mut is_animated = false;
    for (name, payload) in Chunks(body) {
        if name == b"VP8X" {
            canvas = payload.get(4..10).map(|sides| (side(&sides[..3]), side(&sides[3..])));
        }
        is_animated |= name == b"ANMF";
        let frame = if name == b"ANMF" { Chunks(payload.get(16..).unwrap_or_default()) } else { Chunks(&[]) };
        let sizes =
            frame.chain([(name, payload)]).filter_map(|(name, payload)| bitstream_size(name, payload));
        for (width, height) in sizes {
            if canvas.is_some_and(|canvas| width > canvas.0 || height > canvas.1) {
                return Err(corrupt("a frame is larger than its canvas"));
            }
        }
    }
    Ok(is_animated)
}

/// The EXIF block.
pub(super) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    Chunks(body(bytes)?).find(|(name, _)| *name == b"EXIF").map(|(_, payload)| payload)
}

/// What the RIFF header encloses, all of which must be there. A last byte of padding may be missing.
fn body(bytes: &[u8]) -> Option<&[u8]> {
    let length = u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?) as usize;
    let padded = length.checked_add(8)?;
    bytes.get(12..padded).or_else(|| bytes.get(12..padded - 1))
}

/// The name and payload of every chunk that is whole.
struct Chunks<'a>(&'a [u8]);

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

/// Width and height as a lossy (RFC 6386, 9.1) or lossless bitstream claims them.
fn bitstream_size(name: &[u8; 4], payload: &[u8]) -> Option<(u32, u32)> {
    match name {
        b"VP8 " => {
            let [.., w0, w1, h0, h1] = *payload.first_chunk::<10>()?;
            Some((
                u32::from(u16::from_le_bytes([w0, w1]) & 0x3fff),
                u32::from(u16::from_le_bytes([h0, h1]) & 0x3fff),
            ))
        }
        b"VP8L" => {
            let [_, bits @ ..] = *payload.first_chunk::<5>()?;
            let bits = u32::from_le_bytes(bits);
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        _ => None,
    }
}

/// A side of the canvas: 24 bits, less one.
fn side(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)) + 1
}

fn corrupt(problem: &str) -> Error {
    Error::corrupt(MediaType::Webp, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        [name.as_slice(), &length, payload, &[0][..payload.len() & 1]].concat()
    }

    fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
        chunk(b"RIFF", &[b"WEBP".to_vec(), chunks.concat()].concat())
    }

    #[test]
    fn a_frame_that_claims_more_than_its_canvas_is_refused_before_anyone_allocates_it() {
        let canvas = chunk(b"VP8X", &[0, 0, 0, 0, 9, 0, 0, 9, 0, 0]);
        let lossy = |side: u8| chunk(b"VP8 ", &[0, 0, 0, 0x9d, 1, 0x2a, side, 0, side, 0]);
        let lossless = |side: u32| {
            let bits = (side - 1) | (side - 1) << 14;
            chunk(b"VP8L", &[[0x2f].as_slice(), &bits.to_le_bytes()].concat())
        };
        let framed = |frame: Vec<u8>| chunk(b"ANMF", &[vec![0; 16], frame].concat());
        let check = |frame: Vec<u8>| check_frames(&file(&[canvas.clone(), frame]));

        for frame in [lossy(10), lossless(10)] {
            assert_eq!(check(frame.clone()), Ok(false));
            assert_eq!(check(framed(frame)), Ok(true));
        }
        for frame in [lossy(11), lossless(11), framed(lossy(11)), framed(lossless(11))] {
            assert_eq!(check(frame), Err(corrupt("a frame is larger than its canvas")));
        }
    }

    #[test]
    fn a_file_shorter_than_it_says_ends_too_early() {
        let whole = file(&[chunk(b"VP8 ", &[0; 10])]);
        for length in 12..whole.len() - 1 {
            assert_eq!(check_frames(&whole[..length]), Err(corrupt("it ends too early")), "{length}");
        }
    }
}
