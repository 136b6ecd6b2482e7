//! A finished picture to the bytes of a file. Owns every encoder's settings; never writes metadata but a
//! copyright notice, and never decides sizes.

#[cfg(feature = "avif")]
mod avif;
#[cfg(feature = "avif")]
mod hidden;

use std::borrow::Cow;
use std::sync::Arc;

use contract::recipe::{Color, Encoding, RecipeError};
use contract::{Format, Recipe};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use mozjpeg::Marker;

use crate::copyright::Notice;
use crate::error::Error;
use crate::fit::within;
use crate::geometry::Size;
use crate::graphics::is_graphic;
use crate::guard::contained;
use crate::libwebp::{self, Fidelity};
use crate::pixels::Picture;
use crate::riff::with_exif;

/// What decides the bytes of a rendition beside source and recipe; part of every revision's fingerprint.
///
/// Change it with every change that alters renditions: a codec's version (a test compares them with the
/// lock file), a setting below, geometry, colour or resizing. What is published is made anew then.
pub const ENCODERS: &str = "4; mozjpeg-sys 2.2.3: fastest, optimised Huffman, 4:2:0; \
    libaom-sys 0.17.2+libaom.3.11.0: speed 9, all-intra, 4:2:0, quantiser matrices 2 to 10, alpha at 8, hidden \
    colour filled; \
    avif-serialize 0.8.9; \
    libwebp-sys 0.14.4: lossy, beside alpha at method 5 at most, graphics lossless at effort 75, \
    graphics' frames mixed; \
    png 0.18.1: default, adaptive filter; \
    resizing 3: Lanczos 3 of light, each picture of the one before, at most half by DCT; \
    fast_image_resize 6.1.0: Lanczos 3 of samples, above a half and of ink; \
    moxcms 0.8.1: ICC, H.273 and gamma at the samples' depth, 203 cd/m² at 0.8 of white; \
    image 0.25.10, image-webp 0.2.4, gif 0.14.2; thumbhash 0.1.0; re_rav1d 0.1.3";

/// The quality from which on a lossy WebP of a graphic can hardly be told from the graphic: one that is no
/// larger without any loss is stored so.
const FAITHFUL_QUALITY: u8 = 95;

/// A graphic that takes no more than a byte for as many pixels without any loss is not worth another try.
const PIXELS_PER_SMALL_BYTE: u64 = 32;

/// Refuses a recipe that needs an encoder which this build lacks.
///
/// # Errors
/// The path of the first such field, and what is wrong with it.
pub fn check_recipe(recipe: &Recipe) -> Result<(), RecipeError> {
    check_formats("formats", &recipe.formats)?;
    for (index, spec) in recipe.renditions.iter().enumerate() {
        check_formats(&format!("rendition[{index}].formats"), spec.formats.as_deref().unwrap_or_default())?;
    }
    Ok(())
}

fn check_formats(field: &str, formats: &[Encoding]) -> Result<(), RecipeError> {
    let missing = |encoding: &Encoding| encoding.format == Format::Avif && !cfg!(feature = "avif");
    match formats.iter().position(missing) {
        Some(index) => {
            let problem = "this build has no encoder for `avif`; build it with the feature `avif`";
            Err(RecipeError::new(format!("{field}[{index}].format"), problem))
        }
        None => Ok(()),
    }
}

/// The picture as a file of at most `max_bytes`, where any quality gives that.
///
/// # Errors
/// [`Error::Encoder`], which is our fault.
pub(crate) fn encode_within(
    picture: &Picture,
    encoding: &Encoding,
    max_bytes: Option<u64>,
    background: Color,
    notice: Option<&Notice>,
) -> Result<Arc<[u8]>, Error> {
    let Some(max_bytes) = max_bytes else { return encode(picture, encoding, background, notice) };
    within(max_bytes, encoding.quality(), |quality| {
        // A graphic that is too large without loss is made smaller with some.
        let lossless = if quality == encoding.quality() { encoding.lossless } else { Some(false) };
        let encoding = Encoding { quality: Some(quality), lossless, ..encoding.clone() };
        encode(picture, &encoding, background, notice)
    })
}

/// The picture as a file, with `notice` in it. Where the format has no alpha, `background` shows through.
///
/// # Errors
/// [`Error::Encoder`], which is our fault.
pub(crate) fn encode(
    picture: &Picture,
    encoding: &Encoding,
    background: Color,
    notice: Option<&Notice>,
) -> Result<Arc<[u8]>, Error> {
    let format = encoding.format;
    let encoded = contained(|| match format {
        #[cfg(feature = "avif")]
        Format::Avif => avif::encode(picture, encoding.quality(), notice.map(Notice::exif).as_deref()),
        #[cfg(not(feature = "avif"))]
        Format::Avif => Err("this build has none".to_owned()),
        Format::Webp => {
            webp(picture, encoding).map(|file| with_notice(file, picture.size, picture.has_alpha, notice))
        }
        Format::Jpeg => jpeg(picture, encoding, background, notice).map_err(|error| error.to_string()),
        Format::Png => png(picture, notice).map_err(|error| error.to_string()),
    });
    encoded.map(Arc::from).map_err(|problem| Error::Encoder { format, problem })
}

fn jpeg(
    picture: &Picture,
    encoding: &Encoding,
    background: Color,
    notice: Option<&Notice>,
) -> std::io::Result<Vec<u8>> {
    let mut encoder = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_RGB);
    encoder.set_size(picture.size.width_px as usize, picture.size.height_px as usize);
    encoder.set_fastest_defaults();
    encoder.set_optimize_coding(true);
    encoder.set_chroma_sampling_pixel_sizes((2, 2), (2, 2));
    encoder.set_quality(encoding.quality().into());
    if encoding.progressive {
        encoder.set_progressive_mode();
    }
    let mut started = encoder.start_compress(Vec::new())?;
    if let Some(notice) = notice {
        started.write_marker(Marker::APP(1), &[b"Exif\0\0".as_slice(), &notice.exif()].concat());
    }
    started.write_scanlines(&flattened(picture, background))?;
    started.finish()
}

fn webp(picture: &Picture, encoding: &Encoding) -> Result<Vec<u8>, String> {
    let method = encoding.method();
    let lossy = |quality| libwebp::encode(picture, Fidelity::Lossy { quality }, method);
    let lossless = || libwebp::encode(picture, Fidelity::Lossless, method);
    match encoding.lossless {
        Some(true) => lossless(),
        None if is_graphic(picture) => {
            let exact = lossless()?;
            if exact.len() as u64 * PIXELS_PER_SMALL_BYTE <= picture.size.pixels() {
                return Ok(exact);
            }
            let close = lossy(encoding.quality().max(FAITHFUL_QUALITY))?;
            if exact.len() <= close.len() { Ok(exact) } else { lossy(encoding.quality()) }
        }
        Some(false) | None => lossy(encoding.quality()),
    }
}

fn png(picture: &Picture, notice: Option<&Notice>) -> image::ImageResult<Vec<u8>> {
    let color = if picture.has_alpha { ExtendedColorType::Rgba8 } else { ExtendedColorType::Rgb8 };
    let mut bytes = Vec::new();
    let mut encoder =
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
    if let Some(notice) = notice {
        encoder.set_exif_metadata(notice.exif()).map_err(image::ImageError::Unsupported)?;
    }
    encoder.write_image(&picture.data, picture.size.width_px, picture.size.height_px, color)?;
    Ok(bytes)
}

/// A WebP with the notice in it, where there is one.
pub(crate) fn with_notice(webp: Vec<u8>, size: Size, has_alpha: bool, notice: Option<&Notice>) -> Vec<u8> {
    match notice {
        Some(notice) => with_exif(webp, &notice.exif(), size, has_alpha),
        None => webp,
    }
}

/// RGB, on the background where there is alpha.
fn flattened(picture: &Picture, background: Color) -> Cow<'_, [u8]> {
    if !picture.has_alpha {
        return Cow::Borrowed(&picture.data);
    }
    let behind = [background.red, background.green, background.blue];
    let (pixels, _) = picture.data.as_chunks::<4>();
    let on = |[red, green, blue, alpha]: &[u8; 4]| {
        let blend = |(above, below): (u8, u8)| {
            let alpha = u32::from(*alpha);
            ((u32::from(above) * alpha + u32::from(below) * (255 - alpha) + 127) / 255) as u8
        };
        [(*red, behind[0]), (*green, behind[1]), (*blue, behind[2])].map(blend)
    };
    Cow::Owned(pixels.iter().flat_map(on).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{drawn, logo, quadrants, screenshot};

    /// Read at run time: the lock file is not part of this crate.
    #[test]
    fn the_fingerprint_names_the_locked_version_of_every_crate_that_decides_bytes() {
        let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
        for name in [
            "mozjpeg-sys",
            "libaom-sys",
            "avif-serialize",
            "libwebp-sys",
            "png",
            "fast_image_resize",
            "moxcms",
            "image",
            "image-webp",
            "gif",
            "thumbhash",
            "re_rav1d",
        ] {
            let versions: Vec<&str> = lock
                .split("[[package]]")
                .filter(|package| package.contains(&format!("name = \"{name}\"\n")))
                .filter_map(|package| package.split("version = \"").nth(1)?.split('"').next())
                .collect();
            let named = versions.iter().any(|version| ENCODERS.contains(&format!("{name} {version}")));
            assert!(named, "{name} is {versions:?} now: change ENCODERS");
        }
    }

    #[cfg(not(feature = "avif"))]
    #[test]
    fn avif_is_refused_by_the_path_of_its_field() {
        for (recipe, expected) in [
            (
                "formats = [{ format = \"avif\" }]\n[[rendition]]\nname = \"a\"\nwidth = 1",
                "recipe: formats[0].format: this build has no encoder for `avif`; build it with the feature `avif`",
            ),
            (
                "[[rendition]]\nname = \"a\"\nwidth = 1\n[[rendition]]\nname = \"b\"\nwidth = 1\n\
                 formats = [{ format = \"png\" }, { format = \"avif\" }]",
                "recipe: rendition[1].formats[1].format: this build has no encoder for `avif`; build it with the feature `avif`",
            ),
        ] {
            let error = check_recipe(&Recipe::parse(recipe).unwrap()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        assert_eq!(check_recipe(&Recipe::default()), Ok(()));
    }

    #[cfg(not(feature = "avif"))]
    #[test]
    fn a_format_without_an_encoder_is_our_fault() {
        let error =
            encode(&quadrants(8, 8), &Encoding::new(Format::Avif), Color::default(), None).unwrap_err();
        assert_eq!(error.rejection(), None);
    }

    #[test]
    fn the_background_shows_through_what_is_transparent() {
        let data = vec![200, 100, 50, 255, 200, 100, 50, 0, 200, 100, 50, 51];
        let picture = Picture { size: Size::new(3, 1), has_alpha: true, data };
        let background = Color { red: 0, green: 255, blue: 50 };
        assert_eq!(*flattened(&picture, background), [200, 100, 50, 0, 255, 50, 40, 224, 50]);
    }

    fn formats_of_this_build() -> impl Iterator<Item = Format> {
        Format::ALL.into_iter().filter(|format| *format != Format::Avif || cfg!(feature = "avif"))
    }

    #[test]
    fn a_progressive_jpeg_says_so_in_its_frame_header() {
        let frame = |progressive| {
            let encoding = Encoding { progressive, ..Encoding::new(Format::Jpeg) };
            let bytes = encode(&quadrants(64, 48), &encoding, Color::default(), None).unwrap();
            bytes.windows(2).filter(|pair| pair == &[0xff, 0xc2]).count()
        };
        assert_eq!((frame(false), frame(true)), (0, 1));
    }

    #[test]
    fn a_file_within_a_limit_has_the_highest_quality_that_fits() {
        let noise = |index: u32| (index.wrapping_mul(2_654_435_761) >> 27) as u8;
        let data = (0..256 * 256 * 3).map(noise).collect();
        let picture = Picture { size: Size::new(256, 256), has_alpha: false, data };
        for format in formats_of_this_build().filter(|format| *format != Format::Png) {
            let encoding = Encoding::new(format);
            let size = |max_bytes| {
                encode_within(&picture, &encoding, max_bytes, Color::default(), None).unwrap().len() as u64
            };
            let whole = size(None);
            assert_eq!(size(Some(whole)), whole, "{format}");
            let limit = whole * 3 / 4;
            assert!((limit / 2..=limit).contains(&size(Some(limit))), "{format}: {}", size(Some(limit)));
        }
    }

    #[test]
    fn a_graphic_is_lossless_a_photo_is_not_and_the_recipe_can_force_either() {
        let photo = drawn(200, 150, |x, y| [(x * y) as u8, (x ^ y) as u8, (x * 31 + y * 17) as u8, 255]);
        for (picture, lossless, expected) in [
            (screenshot(400, 300), None, true),
            (screenshot(400, 300), Some(false), false),
            (logo(200), None, true),
            (photo.clone(), None, false),
            (photo, Some(true), true),
        ] {
            let encoding = Encoding { lossless, ..Encoding::new(Format::Webp) };
            let bytes = encode(&picture, &encoding, Color::default(), None).unwrap();
            assert_eq!(&bytes[12..16] == b"VP8L", expected, "{lossless:?} {:?}", picture.size);
        }
    }
}
