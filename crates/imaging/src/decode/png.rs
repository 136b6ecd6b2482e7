//! PNG by the `png` crate. Owns which chunks are listened to, their memory limit, and which of them says
//! what the colours are; never inflates text, nor image data beyond the last row.

use std::io::{Cursor, ErrorKind};

use contract::MediaType;
use png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Transformations};

use super::Decoded;
use crate::colour::is_specified;
use crate::cost::OVERHEAD_BYTES;
use crate::error::Error;
use crate::guard::contained;
use crate::pixels::{Channels, Colour, Pixels, Samples};
use crate::probe::Probe;

pub(crate) type Reader<'a> = png::Reader<Cursor<&'a [u8]>>;

/// A reader that has read all up to the image data.
pub(crate) fn open(bytes: &[u8]) -> Result<Reader<'_>, Error> {
    let limits = Limits { bytes: OVERHEAD_BYTES as usize };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_ignore_text_chunk(true);
    // Palettes to their colours, tRNS to alpha, fewer bits than 8 to 8.
    decoder.set_transformations(Transformations::EXPAND);
    guarded(|| decoder.read_info())
}

/// What a reader gives, and whether in 16 bits.
pub(crate) fn layout(reader: &Reader) -> (Channels, bool) {
    let (color_type, depth) = reader.output_color_type();
    let channels = match color_type {
        ColorType::Grayscale => Channels::Grey,
        ColorType::GrayscaleAlpha => Channels::GreyAlpha,
        // `EXPAND` leaves no palette.
        ColorType::Rgb | ColorType::Indexed => Channels::Rgb,
        ColorType::Rgba => Channels::Rgba,
    };
    (channels, depth == BitDepth::Sixteen)
}

/// All of the picture; of an animation the default image, which every reader shows.
pub(super) fn decode(bytes: &[u8], probe: &Probe) -> Result<Decoded, Error> {
    let mut reader = open(bytes)?;
    let size = probe.stored();
    if reader.info().size() != (size.width_px, size.height_px) {
        return Err(corrupt("its header changed"));
    }
    let colour = colour(reader.info());
    let (channels, wide) = layout(&reader);
    let length = size.pixels() as usize * channels.count();
    let samples = guarded(|| {
        if !wide {
            let mut samples = vec![0u8; length];
            reader.next_frame(&mut samples)?;
            return Ok(Samples::Eight(samples));
        }
        let mut samples = vec![0u16; length];
        reader.next_frame(bytemuck::cast_slice_mut(&mut samples))?;
        samples.iter_mut().for_each(|sample| *sample = u16::from_be(*sample));
        Ok(Samples::Sixteen(samples))
    })?;
    Ok(Decoded { pixels: Pixels { size, channels, samples }, colour })
}

/// The first chunk of several that says anything. PNG, third edition, 4.3: cICP before iCCP before sRGB
/// before gAMA and cHRM, which mean nothing alone.
fn colour(info: &png::Info) -> Colour {
    // Samples of video's narrow range are nobody's, and browsers pass over what claims them.
    if let Some(cicp) = info.coding_independent_code_points.filter(|cicp| cicp.is_video_full_range_image) {
        let (primaries, transfer) = (cicp.color_primaries, cicp.transfer_function);
        if is_specified(primaries, transfer) {
            return Colour::Cicp { primaries, transfer };
        }
    }
    if let Some(profile) = &info.icc_profile {
        return Colour::Icc(profile.to_vec());
    }
    match info.gama_chunk.filter(|_| info.srgb.is_none()) {
        Some(gamma) => Colour::Gamma {
            gamma: unscaled(gamma),
            chromaticities: info.chrm_chunk.map(|chunk| {
                [chunk.white, chunk.red, chunk.green, chunk.blue].map(|(x, y)| (unscaled(x), unscaled(y)))
            }),
        },
        None => Colour::Srgb,
    }
}

fn unscaled(number: png::ScaledFloat) -> f64 {
    f64::from(number.into_scaled()) / 100_000.0
}

fn guarded<T>(work: impl FnOnce() -> Result<T, DecodingError>) -> Result<T, Error> {
    contained(|| Ok::<_, String>(work())).map_err(|problem| corrupt(&problem))?.map_err(|error| match error {
        DecodingError::LimitsExceeded => Error::MetadataTooLarge { limit_bytes: OVERHEAD_BYTES },
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            corrupt("it ends too early")
        }
        other => corrupt(&other.to_string()),
    })
}

fn corrupt(problem: &str) -> Error {
    Error::corrupt(MediaType::Png, problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;
    use crate::testing::probed;
    use crate::testing::{png, png_with, quadrants};

    use flate2::{Compression, write::ZlibEncoder};
    use std::io::Write;

    const CICP: (&[u8; 4], &[u8]) = (b"cICP", &[12, 13, 0, 1]);
    const GAMMA: (&[u8; 4], &[u8]) = (b"gAMA", &[0, 1, 0x86, 0xa0]);
    const SRGB: (&[u8; 4], &[u8]) = (b"sRGB", &[0]);

    fn colour_of(chunks: &[(&[u8; 4], &[u8])]) -> Colour {
        let bytes = png_with(&png(&quadrants(8, 8), None), chunks);
        decode(&bytes, &probed(&bytes).unwrap()).unwrap().colour
    }

    /// As iCCP stores a profile: its name, the method, and deflated data.
    fn profile_chunk(profile: &[u8]) -> Vec<u8> {
        let mut deflated = ZlibEncoder::new(b"name\0\0".to_vec(), Compression::fast());
        deflated.write_all(profile).unwrap();
        deflated.finish().unwrap()
    }

    #[test]
    fn code_points_outrank_a_profile_and_a_profile_outranks_srgb_and_srgb_outranks_gamma() {
        let profile = profile_chunk(b"a profile");
        let profile: (&[u8; 4], &[u8]) = (b"iCCP", &profile);
        let gamma = Colour::Gamma { gamma: 1.0, chromaticities: None };
        for (chunks, expected) in [
            (vec![GAMMA, SRGB, profile, CICP], Colour::Cicp { primaries: 12, transfer: 13 }),
            (vec![GAMMA, SRGB, profile], Colour::Icc(b"a profile".to_vec())),
            (vec![GAMMA, SRGB], Colour::Srgb),
            (vec![GAMMA], gamma.clone()),
            (vec![], Colour::Srgb),
            // Unspecified, and of primaries that nobody knows.
            (vec![(b"cICP", &[2, 2, 0, 1]), profile], Colour::Icc(b"a profile".to_vec())),
            (vec![(b"cICP", &[99, 13, 0, 1]), GAMMA], gamma.clone()),
            // Of narrow range.
            (vec![(b"cICP", &[12, 13, 0, 0]), GAMMA], gamma),
        ] {
            assert_eq!(colour_of(&chunks), expected, "{chunks:?}");
        }
    }

    #[test]
    fn gamma_comes_with_its_chromaticities_and_they_alone_mean_nothing() {
        let numbers = [31_270u32, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000];
        let payload = numbers.map(u32::to_be_bytes).concat();
        let points: (&[u8; 4], &[u8]) = (b"cHRM", &payload);
        let chromaticities = Some([(0.3127, 0.329), (0.68, 0.32), (0.265, 0.69), (0.15, 0.06)]);
        assert_eq!(colour_of(&[GAMMA, points]), Colour::Gamma { gamma: 1.0, chromaticities });
        assert_eq!(colour_of(&[points]), Colour::Srgb);
    }

    #[test]
    fn of_an_animation_the_default_image_is_shown_whether_it_is_a_frame_or_not() {
        let control = [2u32.to_be_bytes(), 0u32.to_be_bytes()].concat();
        let whole = png(&quadrants(8, 8), None);
        let expected = decode(&whole, &probed(&whole).unwrap()).unwrap().pixels.samples;
        let frame = [0u32, 8, 8, 0, 0].map(u32::to_be_bytes).concat();
        let frame = [frame.as_slice(), &[0, 1, 0, 10, 0, 0]].concat();
        for chunks in [vec![(b"acTL", control.as_slice())], vec![(b"acTL", &control), (b"fcTL", &frame)]] {
            let bytes = png_with(&whole, &chunks);
            let decoded = decode(&bytes, &probed(&bytes).unwrap()).unwrap();
            assert_eq!(decoded.pixels.samples, expected);
            assert_eq!(decoded.pixels.size, Size::new(8, 8));
        }
    }
}
