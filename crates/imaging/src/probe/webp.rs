//! A WebP's bitstreams, checked against its canvas. Owns one rule, that no frame may claim more pixels
//! than the header that the limits were held against, since the decoder allocates by what the frame claims;
//! and the count of frames. Never allocates.

use contract::MediaType;

use super::Survey;
use crate::error::Error;
use crate::riff::{self, AnimationFrame, Chunks, uint24};

/// Refuses a file whose bitstreams claim to be larger than its canvas, or that is cut off. Says whether
/// it is an animation.
pub(super) fn check_frames(bytes: &[u8]) -> Result<bool, Error> {
    let chunks = Chunks::of_file(bytes).ok_or_else(ends_too_early)?;
    let mut canvas = None;
    let mut is_animated = false;
    for (name, payload) in chunks {
        if name == b"VP8X" {
            canvas = payload.get(4..10).map(|sides| (uint24(&sides[..3]) + 1, uint24(&sides[3..]) + 1));
        }
        is_animated |= name == b"ANMF";
        let inner = if name == b"ANMF" { payload.get(16..).unwrap_or_default() } else { &[] };
        let sizes = Chunks::of_payload(inner)
            .chain([(name, payload)])
            .filter_map(|(name, payload)| bitstream_size(name, payload));
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
    riff::payload(bytes, b"EXIF")
}

/// Counts the frames of a file that must be whole to its last chunk: of a still there are none.
pub(super) fn survey(bytes: &[u8]) -> Result<Survey, Error> {
    let mut chunks = Chunks::of_file(bytes).ok_or_else(ends_too_early)?;
    let mut survey = Survey::default();
    for (name, payload) in chunks.by_ref() {
        match name {
            b"ANIM" => {
                let count = payload.get(4..).and_then(|rest| rest.first_chunk());
                survey.loop_count = count.map_or(0, |count| u16::from_le_bytes(*count));
            }
            b"ANMF" => {
                let frame = AnimationFrame::parse(payload).ok_or_else(ends_too_early)?;
                survey.add(frame.size.pixels(), payload.len());
            }
            _ => {}
        }
    }
    if chunks.rest().is_empty() { Ok(survey) } else { Err(ends_too_early()) }
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

fn ends_too_early() -> Error {
    corrupt("it ends too early")
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
    fn frames_are_counted_to_the_last_whole_chunk() {
        let anim = chunk(b"ANIM", &[0, 0, 0, 0, 7, 0]);
        let frame = chunk(b"ANMF", &[0, 0, 0, 0, 0, 0, 9, 0, 0, 4, 0, 0, 0, 0, 0, 0]);
        let whole = file(&[anim.clone(), frame.clone(), frame.clone()]);
        let expected =
            Survey { frames: 2, loop_count: 7, pixels: 100, largest_pixels: 50, largest_bytes: 16 };
        assert_eq!(survey(&whole), Ok(expected));
        assert_eq!(survey(&file(&[chunk(b"VP8 ", &[0; 10])])).unwrap().frames, 0);
        for cut in 1..frame.len() {
            let cut = file(&[anim.clone(), frame.clone(), frame[..cut].to_vec()]);
            assert_eq!(survey(&cut), Err(ends_too_early()));
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
