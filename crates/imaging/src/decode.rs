//! The sole place where pixels are allocated from input. Owns one decode per source, at a reduced scale
//! where the format can; never converts colours or turns anything: on small pictures that is cheaper.

mod avif;
pub(crate) mod frames;
mod jpeg;
pub(crate) mod png;
pub(crate) mod raster;
mod yuv;

pub(crate) use jpeg::{is_reduced_at_once as jpeg_is_reduced_at_once, scale as jpeg_scale};

use std::collections::VecDeque;

use contract::MediaType;

use crate::error::Error;
use crate::jobs::Job;
use crate::pixels::{Colour, Pixels};
use crate::probe::Probe;

/// A decoded source.
pub(crate) struct Decoded {
    pub pixels: Pixels,
    pub colour: Colour,
}

/// A source that was reduced while it was decoded.
pub(crate) struct Reduced {
    /// Of each job that is made of the decoder's pixels, in their order.
    pub pixels: VecDeque<Pixels>,
    pub colour: Colour,
}

/// Decodes a picture once, and never has all of it in memory: what `jobs` make of the decoder's pixels is made
/// while they come. None where that cannot be done, which the header tells.
///
/// # Errors
/// As [`decode`]; [`Error::Resize`] or [`Error::NoThread`] where we failed.
pub(crate) fn reduce(
    bytes: &[u8],
    probe: &Probe,
    jobs: &[Job],
    threads: usize,
) -> Option<Result<Reduced, Error>> {
    match probe.media_type {
        MediaType::Jpeg => jpeg::reduce(bytes, probe, jobs, threads),
        MediaType::Avif | MediaType::Png | MediaType::Webp | MediaType::Gif => None,
    }
}

/// What decoding takes by itself.
pub(crate) fn decode_and_drop(bytes: &[u8], probe: &Probe, jobs: &[Job]) -> Result<(), Error> {
    match probe.media_type {
        MediaType::Jpeg => jpeg::decode_and_drop(bytes, probe, jobs),
        MediaType::Avif | MediaType::Png | MediaType::Webp | MediaType::Gif => {
            decode(bytes, probe, jobs).map(drop)
        }
    }
}

/// Decodes a picture once, with enough resolution for every one of `jobs`.
///
/// # Errors
/// [`Error::Corrupt`] for whatever is not a whole and valid picture.
pub(crate) fn decode(bytes: &[u8], probe: &Probe, jobs: &[Job]) -> Result<Decoded, Error> {
    match probe.media_type {
        MediaType::Jpeg => jpeg::decode(bytes, probe, jobs),
        MediaType::Avif => avif::decode(bytes, probe),
        MediaType::Png => png::decode(bytes, probe),
        MediaType::Webp | MediaType::Gif => raster::decode(bytes, probe),
    }
}
