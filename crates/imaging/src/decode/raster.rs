//! WebP and the first frame of GIF, by the `image` crate's decoders. Owns their memory limits; never lets
//! a panic of theirs out.

use std::io::{Cursor, ErrorKind};

use contract::MediaType;
use image::codecs::{gif::GifDecoder, webp::WebPDecoder};
use image::{ColorType, ImageDecoder, ImageError, ImageResult};

use super::Decoded;
use crate::cost::OVERHEAD_BYTES;
use crate::error::Error;
use crate::geometry::Size;
use crate::guard::contained;
use crate::pixels::{Channels, Colour, Pixels, Samples};
use crate::probe::Probe;
use crate::riff;

/// A decoder that has read its header, and may take `max_bytes` beside its output.
pub(crate) fn open<'a>(
    bytes: &'a [u8],
    media_type: MediaType,
    max_bytes: u64,
) -> Result<Box<dyn ImageDecoder + 'a>, Error> {
    contained(|| Ok::<_, String>(open_unguarded(bytes, media_type, max_bytes)))
        .map_err(|problem| Error::corrupt(media_type, problem))?
        .map_err(|error| translated(error, media_type, max_bytes))
}

fn open_unguarded<'a>(
    bytes: &'a [u8],
    media_type: MediaType,
    max_bytes: u64,
) -> ImageResult<Box<dyn ImageDecoder + 'a>> {
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(max_bytes);
    let bytes = Cursor::new(bytes);
    let mut decoder: Box<dyn ImageDecoder + 'a> = match media_type {
        MediaType::Webp => Box::new(WebPDecoder::new(bytes)?),
        // Others have decoders of their own; what comes here all the same is told that it is no GIF.
        MediaType::Gif | MediaType::Jpeg | MediaType::Png | MediaType::Avif => {
            Box::new(GifDecoder::new(bytes)?)
        }
    };
    decoder.set_limits(limits)?;
    Ok(decoder)
}

/// All of the picture.
pub(super) fn decode(bytes: &[u8], probe: &Probe) -> Result<Decoded, Error> {
    let media_type = probe.media_type;
    let max_bytes = probe.cost.decode_bytes + OVERHEAD_BYTES;
    let mut decoder = open(bytes, media_type, max_bytes)?;
    if decoder.dimensions() != (probe.stored().width_px, probe.stored().height_px) {
        return Err(Error::corrupt(media_type, "its header changed"));
    }
    let colour = profiled(bytes, media_type, &mut *decoder);
    let (channels, wide) = layout(decoder.color_type());
    let mut data = vec![0; usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX)];
    contained(|| Ok::<_, String>(decoder.read_image_boxed(&mut data)))
        .map_err(|problem| Error::corrupt(media_type, problem))?
        .map_err(|error| translated(error, media_type, max_bytes))?;
    let samples = if wide { Samples::Sixteen(paired(&data)) } else { Samples::Eight(data) };
    Ok(Decoded { pixels: Pixels { size: probe.stored(), channels, samples }, colour })
}

/// What the samples mean.
pub(crate) fn colour(bytes: &[u8], media_type: MediaType, max_bytes: u64) -> Result<Colour, Error> {
    let mut decoder = open(bytes, media_type, max_bytes)?;
    Ok(profiled(bytes, media_type, &mut *decoder))
}

/// A profile that cannot be read is none. WebP's is found in the file, since its decoder makes room for
/// whatever length a chunk claims.
fn profiled(bytes: &[u8], media_type: MediaType, decoder: &mut dyn ImageDecoder) -> Colour {
    let icc = match media_type {
        MediaType::Webp => riff::payload(bytes, b"ICCP").map(<[u8]>::to_vec),
        _ => decoder.icc_profile().ok().flatten(),
    };
    icc.map_or(Colour::Srgb, Colour::Icc)
}

/// The size, channels and samples of what is a part of an animation, in 8 bits.
pub(super) fn decode_frame(
    bytes: &[u8],
    media_type: MediaType,
    max_bytes: u64,
) -> Result<(Size, Channels, Vec<u8>), Error> {
    let decoder = open(bytes, media_type, max_bytes)?;
    let (width_px, height_px) = decoder.dimensions();
    let (channels, _) = layout(decoder.color_type());
    let size = Size::new(width_px, height_px);
    let length = decoder.total_bytes();
    if length > max_bytes {
        return Err(Error::corrupt(media_type, "a frame is larger than it says"));
    }
    let mut data = vec![0; length as usize];
    contained(|| Ok::<_, String>(decoder.read_image_boxed(&mut data)))
        .map_err(|problem| Error::corrupt(media_type, problem))?
        .map_err(|error| translated(error, media_type, max_bytes))?;
    Ok((size, channels, data))
}

/// The channels, and whether each has 16 bits. These decoders give integers only.
fn layout(color: ColorType) -> (Channels, bool) {
    let channels = match color.channel_count() {
        1 => Channels::Grey,
        2 => Channels::GreyAlpha,
        3 => Channels::Rgb,
        _ => Channels::Rgba,
    };
    (channels, color.bytes_per_pixel() > color.channel_count())
}

/// Bytes as the 16-bit samples that they are.
fn paired(data: &[u8]) -> Vec<u16> {
    data.as_chunks().0.iter().map(|pair| u16::from_ne_bytes(*pair)).collect()
}

fn translated(error: ImageError, media_type: MediaType, limit_bytes: u64) -> Error {
    match error {
        ImageError::Limits(_) => Error::MetadataTooLarge { limit_bytes },
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Error::corrupt(media_type, "it ends too early")
        }
        other => Error::corrupt(media_type, other),
    }
}
