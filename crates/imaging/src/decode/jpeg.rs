//! JPEG by mozjpeg. Owns the scale at which the DCT is decoded and the inversion of CMYK; what libjpeg's
//! warnings mean is `libjpeg`'s to say. Never decodes what the probe did not see.

use std::io;

use contract::MediaType;
use mozjpeg::{ColorSpace, Decompress, Marker};

use super::Decoded;
use crate::error::Error;
use crate::geometry::Size;
use crate::guard::contained;
use crate::jobs::Job;
use crate::libjpeg::strict_errors;
use crate::pixels::{Channels, Colour, Pixels, Samples};
use crate::probe::{Layout, Probe, count_scans};

/// Most scans of one picture: cameras write 1, optimisers 10 to 20. Each costs a pass over the whole
/// picture and takes but a few bytes, so a small file could keep a decoder busy for hours.
const MAX_SCANS: usize = 100;

/// Where libjpeg keeps the ICC profile, in pieces.
const ICC_MARKER: Marker = Marker::APP(2);

pub(super) fn decode(bytes: &[u8], probe: &Probe, jobs: &[Job]) -> Result<Decoded, Error> {
    let Layout::Jpeg { components, adobe, coefficient_bytes } = probe.layout else {
        return Err(Error::corrupt(MediaType::Jpeg, "it is of another type"));
    };
    if coefficient_bytes > 0 && count_scans(bytes) > MAX_SCANS {
        return Err(Error::corrupt(MediaType::Jpeg, format!("it has more than {MAX_SCANS} scans")));
    }
    let eighths = eighths(probe.stored(), jobs);
    contained(|| decode_scaled(bytes, probe.stored(), (components, adobe), eighths))
        .map_err(|problem| Error::corrupt(MediaType::Jpeg, problem))
}

/// The smallest scale that leaves one and a half times what every job needs; closer to it, the DCT's own
/// blur shows. Of the scales in between only halves have SIMD.
fn eighths(stored: Size, jobs: &[Job]) -> u8 {
    let enough = |eighths: u8| {
        let side = |side_px: u32| (side_px * u32::from(eighths)).div_ceil(8);
        let scaled = Size::new(side(stored.width_px), side(stored.height_px));
        jobs.iter().all(|job| job.geometry.is_served_by(scaled, stored, 3, 2))
    };
    [1, 2, 4].into_iter().find(|eighths| enough(*eighths)).unwrap_or(8)
}

fn decode_scaled(
    bytes: &[u8],
    stored: Size,
    (components, adobe): (u8, bool),
    eighths: u8,
) -> io::Result<Decoded> {
    let builder = Decompress::builder().with_err(strict_errors()).with_markers(&[ICC_MARKER]);
    let mut decoder = builder.from_mem(bytes)?;
    if decoder.size() != (stored.width_px as usize, stored.height_px as usize) {
        return Err(io::Error::other("it has two headers"));
    }
    let colour = icc_profile(&decoder).map_or(Colour::Srgb, Colour::Icc);
    decoder.scale(eighths);
    let (space, channels) = match components {
        1 => (ColorSpace::JCS_GRAYSCALE, Channels::Grey),
        3 => (ColorSpace::JCS_RGB, Channels::Rgb),
        _ => (ColorSpace::JCS_CMYK, Channels::InvertedCmyk),
    };
    let mut started = decoder.to_colorspace(space)?;
    let size = Size::new(started.width() as u32, started.height() as u32);
    let mut data: Vec<u8> = started.read_scanlines()?;
    // Reads on to the end of the image: only then have all warnings come.
    started.finish()?;
    if channels == Channels::InvertedCmyk && !adobe {
        data.iter_mut().for_each(|sample| *sample = !*sample);
    }
    Ok(Decoded { pixels: Pixels { size, channels, samples: Samples::Eight(data) }, colour })
}

/// The pieces in their order, or none where any is missing. ICC.1, annex B.4.
fn icc_profile(decoder: &Decompress<&[u8]>) -> Option<Vec<u8>> {
    let mut pieces: Vec<(u8, u8, &[u8])> = decoder
        .markers()
        .filter_map(|segment| match segment.data.strip_prefix(b"ICC_PROFILE\0")? {
            [number, count, data @ ..] => Some((*number, *count, data)),
            _ => None,
        })
        .collect();
    pieces.sort_by_key(|piece| piece.0);
    let whole = pieces.iter().enumerate().all(|(index, (number, count, _))| {
        usize::from(*number) == index + 1 && usize::from(*count) == pieces.len()
    });
    (whole && !pieces.is_empty()).then(|| pieces.iter().flat_map(|piece| piece.2).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::jobs;
    use contract::Recipe;

    fn eighths_for(width_px: u32, recipe: &str) -> u8 {
        let recipe = Recipe::parse(recipe).unwrap();
        let size = Size::new(width_px, width_px);
        eighths(size, &jobs(size, Default::default(), &recipe))
    }

    #[test]
    fn the_scale_leaves_half_as_much_again_as_the_largest_rendition_needs() {
        let recipe = "[[rendition]]\nname = \"a\"\nwidth = 600\n[[rendition]]\nname = \"b\"\nwidth = 300";
        for (width_px, expected) in
            [(7200, 1), (7192, 2), (3600, 2), (3592, 4), (1800, 4), (1792, 8), (10, 8)]
        {
            assert_eq!(eighths_for(width_px, recipe), expected, "{width_px}");
        }
    }
}
