//! Judges a picture by its header. Owns the limits' enforcement; what the job will take is `cost`'s to say.
//! Never decodes a pixel, nor allocates more than metadata needs.

mod avif;
mod gif;
mod jpeg;
mod png;
mod webp;

use std::borrow::Cow;

use contract::{Limits, MediaType, Recipe};

use crate::avif::Avif;
use crate::cost::{Cost, OVERHEAD_BYTES, cost};
use crate::decode::raster;
use crate::error::Error;
use crate::geometry::Size;
use crate::orientation::Orientation;
use crate::sniff::{Sniffed, sniff};

pub(crate) use jpeg::{Scans, scans};

/// What a picture's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    pub media_type: MediaType,
    /// As displayed, after orientation.
    pub width_px: u32,
    pub height_px: u32,
    pub orientation: Orientation,
    /// How many are looked at: 1, unless the recipe asks for all frames of an animation.
    pub frames: u32,
    /// What making all of the recipe's renditions will take.
    pub cost: Cost,
    pub(crate) layout: Layout,
    /// How often an animation is played, as WebP says it: 0 for ever.
    pub(crate) loop_count: u16,
}

impl Probe {
    /// Size as displayed.
    pub(crate) fn displayed(&self) -> Size {
        Size::new(self.width_px, self.height_px)
    }

    /// Size before orientation.
    pub(crate) fn stored(&self) -> Size {
        self.orientation.turned(self.displayed())
    }
}

/// What one decoder needs to know of a header beside the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Jpeg {
        /// 1, 3 or 4.
        components: u8,
        /// Adobe's marker: CMYK is stored inverted.
        adobe: bool,
        /// Several scans: all coefficients of the picture are held until the last of them.
        coefficient_bytes: u64,
    },
    Raster {
        channels: u8,
        /// 1 or 2.
        sample_bytes: u8,
        /// What the decoder holds beside the pixels that it hands over.
        decoder_bytes: u64,
    },
    Avif {
        channels: u8,
        /// 1 or 2.
        sample_bytes: u8,
        /// What the decoder holds beside the pixels that it hands over.
        decoder_bytes: u64,
        /// What is decoded, though less of it may be shown.
        coded: Size,
    },
}

/// A header, not judged yet. The size is that of the stored pixels.
pub(crate) struct Header {
    pub size: Size,
    pub orientation: Orientation,
    pub layout: Layout,
}

/// What a container's blocks say of the frames in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Survey {
    pub frames: u32,
    pub loop_count: u16,
    /// Of all frames as they are stored: each may be a part of the canvas, or of a GIF more than that.
    pub pixels: u64,
    pub largest_pixels: u64,
    /// Compressed.
    pub largest_bytes: u64,
}

impl Survey {
    fn add(&mut self, pixels: u64, bytes: usize) {
        self.frames = self.frames.saturating_add(1);
        self.pixels = self.pixels.saturating_add(pixels);
        self.largest_pixels = self.largest_pixels.max(pixels);
        self.largest_bytes = self.largest_bytes.max(bytes as u64);
    }
}

/// Reads the header only, and enforces the limits before any pixel is allocated. Frames beyond the first
/// count where the recipe asks for them.
///
/// # Errors
/// [`Error::Empty`], [`Error::Unknown`] or [`Error::Unsupported`] by the first bytes;
/// [`Error::Corrupt`] where there is no header to read; [`Error::SideTooLong`],
/// [`Error::TooManyPixels`], [`Error::TooMuchMemory`] or [`Error::MetadataTooLarge`] by what it says;
/// [`Error::TooManyFrames`] or [`Error::TooManyFramePixels`] of an animation.
pub fn probe(bytes: &[u8], limits: &Limits, recipe: &Recipe) -> Result<Probe, Error> {
    let media_type = match sniff(bytes) {
        Sniffed::Known(media_type) => media_type,
        Sniffed::Named(what) => return Err(Error::Unsupported { what }),
        Sniffed::Unknown => return Err(Error::Unknown),
        Sniffed::Empty => return Err(Error::Empty),
    };
    let bytes = &*as_shown(bytes, media_type);
    let header = read_header(bytes, media_type)?;
    check_size(header.size, limits)?;
    if let Layout::Avif { coded, .. } = header.layout {
        check_size(coded, limits)?;
    }
    let animation = survey_animation(bytes, media_type, recipe)?;
    if let Some(survey) = &animation {
        check_frames(survey, header.size, limits)?;
    }
    let cost = cost(media_type, &header, animation.as_ref(), recipe);
    if cost.memory_bytes > limits.max_job_bytes {
        let limit_bytes = limits.max_job_bytes;
        return Err(Error::TooMuchMemory { needed_bytes: cost.memory_bytes, limit_bytes });
    }
    let Size { width_px, height_px } = header.orientation.turned(header.size);
    let Header { orientation, layout, .. } = header;
    let (frames, loop_count) = animation.map_or((1, 0), |survey| (survey.frames, survey.loop_count));
    Ok(Probe { media_type, width_px, height_px, orientation, frames, cost, layout, loop_count })
}

/// The bytes as they are decoded: of a few GIFs, not quite as they are stored.
pub(crate) fn as_shown(bytes: &[u8], media_type: MediaType) -> Cow<'_, [u8]> {
    if media_type == MediaType::Gif { gif::with_room(bytes) } else { Cow::Borrowed(bytes) }
}

/// The frames, where there are several and the recipe asks for them. A GIF's blocks are walked in any case:
/// nothing else tells that it is cut off, as a WebP's first bytes do.
fn survey_animation(bytes: &[u8], media_type: MediaType, recipe: &Recipe) -> Result<Option<Survey>, Error> {
    let is_wanted =
        recipe.renditions.iter().any(|spec| recipe.formats_of(spec).iter().any(|encoding| encoding.animated));
    let survey = match media_type {
        MediaType::Gif => gif::survey(bytes)?,
        MediaType::Webp if is_wanted => webp::survey(bytes)?,
        // An animated PNG has a picture for those who know none, and that is taken.
        MediaType::Webp | MediaType::Jpeg | MediaType::Png | MediaType::Avif => return Ok(None),
    };
    Ok((is_wanted && survey.frames > 1).then_some(survey))
}

fn read_header(bytes: &[u8], media_type: MediaType) -> Result<Header, Error> {
    let header = match media_type {
        MediaType::Jpeg => jpeg::read_header(bytes)?,
        MediaType::Png => png::read_header(bytes)?,
        // A frame that is smaller than the screen is decoded aside, as RGBA.
        MediaType::Gif => raster_header(bytes, media_type, 4)?,
        // At worst a frame's planes (1.5), its colours (4) and its alpha (1); of an animation the canvas
        // and a frame (4 each) too.
        MediaType::Webp if webp::check_frames(bytes)? => raster_header(bytes, media_type, 15)?,
        MediaType::Webp => raster_header(bytes, media_type, 7)?,
        MediaType::Avif => avif::read_header(bytes)?,
    };
    if header.size.pixels() == 0 {
        return Err(Error::corrupt(media_type, "it has no pixels"));
    }
    Ok(header)
}

/// `decoder_bytes` is what the decoder holds per pixel at its worst, beside its output.
fn raster_header(bytes: &[u8], media_type: MediaType, decoder_bytes: u64) -> Result<Header, Error> {
    let decoder = raster::open(bytes, media_type, OVERHEAD_BYTES)?;
    let (width_px, height_px) = decoder.dimensions();
    let size = Size::new(width_px, height_px);
    let color = decoder.color_type();
    let layout = Layout::Raster {
        channels: color.channel_count(),
        sample_bytes: color.bytes_per_pixel() / color.channel_count(),
        decoder_bytes: size.pixels().saturating_mul(decoder_bytes),
    };
    // Found in the file, since the decoder makes room for whatever length a chunk claims.
    let exif = if media_type == MediaType::Webp { webp::exif(bytes) } else { None };
    let orientation = exif.and_then(image::metadata::Orientation::from_exif_chunk);
    let orientation = orientation.map(Orientation::from).unwrap_or_default();
    Ok(Header { size, orientation, layout })
}

/// The EXIF block of a source, as it is found.
pub(crate) fn exif(bytes: &[u8], media_type: MediaType) -> Option<Cow<'_, [u8]>> {
    match media_type {
        MediaType::Jpeg => jpeg::exif(bytes).map(Cow::Borrowed),
        MediaType::Png => png::exif(bytes).map(Cow::Borrowed),
        MediaType::Webp => webp::exif(bytes).map(Cow::Borrowed),
        MediaType::Avif => Avif::read(bytes).ok()?.exif().map(Cow::Owned),
        MediaType::Gif => None,
    }
}

fn check_size(size: Size, limits: &Limits) -> Result<(), Error> {
    let Size { width_px, height_px } = size;
    let (limit, limit_px) = (limits.max_pixels, limits.max_side_px);
    if width_px.max(height_px) > limit_px {
        return Err(Error::SideTooLong { width_px, height_px, limit_px });
    }
    if size.pixels() > limit {
        return Err(Error::TooManyPixels { width_px, height_px, pixels: size.pixels(), limit });
    }
    Ok(())
}

/// All frames together may have as many pixels as one picture: the larger of what is decoded, and of what
/// is resized, which is the whole canvas for each.
fn check_frames(survey: &Survey, canvas: Size, limits: &Limits) -> Result<(), Error> {
    let frames = survey.frames;
    if frames > limits.max_frames {
        return Err(Error::TooManyFrames { frames, limit: limits.max_frames });
    }
    let pixels = survey.pixels.max(canvas.pixels().saturating_mul(frames.into()));
    if pixels > limits.max_pixels {
        return Err(Error::TooManyFramePixels { frames, pixels, limit: limits.max_pixels });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{gif, jpeg, png, quadrants, webp, with_exif};

    #[test]
    fn each_type_is_read_with_its_size_as_displayed() {
        let picture = quadrants(64, 48);
        for (bytes, media_type) in [
            (jpeg(&picture), MediaType::Jpeg),
            (png(&picture, None), MediaType::Png),
            (gif(&picture), MediaType::Gif),
            (webp(&picture), MediaType::Webp),
        ] {
            let probe = probe(&bytes, &Limits::default(), &Recipe::default()).unwrap();
            assert_eq!((probe.media_type, probe.width_px, probe.height_px), (media_type, 64, 48));
            assert_eq!(probe.orientation, Orientation::default());
        }
        for bytes in [with_exif(&jpeg(&picture), 6), png(&picture, Some(6))] {
            let probe = probe(&bytes, &Limits::default(), &Recipe::default()).unwrap();
            assert_eq!((probe.width_px, probe.height_px), (48, 64));
            assert_eq!(probe.stored(), Size::new(64, 48));
        }
    }

    #[test]
    fn each_limit_holds_to_the_last_pixel_and_byte() {
        for bytes in [jpeg(&quadrants(64, 48)), png(&quadrants(64, 48), Some(8)), gif(&quadrants(64, 48))] {
            let needed_bytes =
                probe(&bytes, &Limits::default(), &Recipe::default()).unwrap().cost.memory_bytes;
            let exact = Limits {
                max_pixels: 64 * 48,
                max_side_px: 64,
                max_job_bytes: needed_bytes,
                ..Limits::default()
            };
            probe(&bytes, &exact, &Recipe::default()).unwrap();

            let error =
                probe(&bytes, &Limits { max_pixels: 64 * 48 - 1, ..exact.clone() }, &Recipe::default())
                    .unwrap_err();
            assert!(matches!(error, Error::TooManyPixels { pixels: 3072, limit: 3071, .. }), "{error}");
            let error =
                probe(&bytes, &Limits { max_side_px: 63, ..exact.clone() }, &Recipe::default()).unwrap_err();
            assert!(matches!(error, Error::SideTooLong { limit_px: 63, .. }), "{error}");
            let less = Limits { max_job_bytes: needed_bytes - 1, ..exact };
            assert_eq!(
                probe(&bytes, &less, &Recipe::default()),
                Err(Error::TooMuchMemory { needed_bytes, limit_bytes: needed_bytes - 1 })
            );
        }
    }

    #[test]
    fn a_header_that_claims_too_much_is_refused_though_nothing_follows() {
        let jpeg =
            b"\xff\xd8\xff\xc0\0\x11\x08\xfd\xe8\xfd\xe8\x03\x01\x11\0\x02\x11\0\x03\x11\0\xff\xda\0\x02";
        let gif = b"GIF89a\xe8\xfd\xe8\xfd\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0";
        for bytes in [jpeg.as_slice(), gif] {
            let error = probe(bytes, &Limits::default(), &Recipe::default()).unwrap_err();
            assert!(matches!(error, Error::SideTooLong { width_px: 65_000, .. }), "{error}");
            let any_side = Limits { max_side_px: 65_535, ..Limits::default() };
            let error = probe(bytes, &any_side, &Recipe::default()).unwrap_err();
            assert!(matches!(error, Error::TooManyPixels { pixels: 4_225_000_000, .. }), "{error}");
        }
        let png = crate::testing::png_header(65_000, 65_000);
        let error = probe(&png, &Limits::default(), &Recipe::default()).unwrap_err();
        assert!(matches!(error, Error::SideTooLong { width_px: 65_000, .. }), "{error}");
    }

    #[test]
    fn a_picture_without_pixels_is_corrupt() {
        let gif = b"GIF89a\0\0\x01\0\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0";
        assert!(matches!(probe(gif, &Limits::default(), &Recipe::default()), Err(Error::Corrupt { .. })));
        assert_eq!(probe(b"", &Limits::default(), &Recipe::default()), Err(Error::Empty));
        assert_eq!(probe(b"hello", &Limits::default(), &Recipe::default()), Err(Error::Unknown));
        assert_eq!(
            probe(b"%PDF-1.7", &Limits::default(), &Recipe::default()),
            Err(Error::Unsupported { what: "PDF" })
        );
    }
}
