//! The whole story of one picture, from its bytes to every file of its recipe. Owns the order of the
//! stages and what is in memory at once; how each is done is its own module's.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use contract::manifest::Placeholder;
use contract::recipe::Color;
use contract::{Format, Recipe};

use crate::animation;
use crate::attention;
use crate::colour::ToSrgb;
use crate::copyright::Notice;
use crate::decode::{Decoded, Reduced, decode, reduce};
use crate::error::Error;
use crate::geometry::Geometry;
use crate::jobs::{Base, Job, jobs, need_decoded};
use crate::pixels::{Colour, Picture, Pixels, Samples};
use crate::placeholder::placeholder;
use crate::probe::{Probe, as_shown};
use crate::resize::{PICTURES, Resizer};
use crate::threads::{Desk, Task, with_desk};

/// One file of the recipe. Where renditions are equal in pixels and encoding, they share their bytes.
#[derive(Debug, Clone)]
pub struct Encoded {
    pub name: String,
    pub format: Format,
    pub width_px: u32,
    pub height_px: u32,
    pub bytes: Arc<[u8]>,
}

/// Makes every rendition of `recipe`, from the bytes that `probe` was made of. Each is handed to `emit`
/// as soon as it is there, the largest first, whatever their order in the recipe, and no more are encoded
/// once it breaks off; the pixels are decoded once. Animations come before all others, and are made on this
/// thread; of their source, everything else shows the first frame. Encoders of stills run on up to `threads`
/// threads, this one among them; each beyond the first may hold two more pictures of a rendition's size.
///
/// # Errors
/// [`Error::Corrupt`] or [`Error::MetadataTooLarge`] where the pixels cannot be decoded: then nothing was
/// emitted, animations included. [`Error::Encoder`], [`Error::Resize`] or [`Error::NoThread`] where we failed.
pub fn render(
    bytes: &[u8],
    probe: &Probe,
    recipe: &Recipe,
    threads: usize,
    emit: &mut (dyn FnMut(Encoded) -> ControlFlow<()> + Send),
) -> Result<Placeholder, Error> {
    let bytes = &*as_shown(bytes, probe.media_type);
    let mut jobs = jobs(probe.displayed(), recipe);
    let animated = if probe.frames > 1 { animation::split_off(&mut jobs) } else { Vec::new() };
    let notice = recipe.keep_copyright.then(|| Notice::of(bytes, probe.media_type)).flatten();
    let notice = notice.as_ref();
    // First: whatever cannot be decoded must be known before anything is emitted.
    let animations = animation::encode(bytes, probe, &animated, notice)?;
    let source = Source::open(bytes, probe, &jobs, threads)?;
    with_desk(threads, recipe.background, notice, emit, |desk| {
        animations.into_iter().for_each(|file| desk.hand_on(file));
        pictures(source, &jobs, recipe.background, desk)
    })
}

/// Makes the picture of each job and hands it on to be encoded; the placeholder is what comes back.
fn pictures<'j>(
    mut source: Source<'_>,
    jobs: &'j [Job<'j>],
    background: Color,
    desk: &Desk<'_, 'j>,
) -> Result<Placeholder, Error> {
    let (mut larger, mut looked_at, mut made) = (None::<Arc<Picture>>, None, None);
    for (index, job) in jobs.iter().enumerate() {
        let picture = Arc::new(match (job.base, &larger) {
            (Base::Larger, Some(larger)) => source.stages.smaller(job, larger, &mut looked_at)?,
            _ => source.first(job, &mut looked_at)?,
        });
        if !need_decoded(&jobs[index + 1..]) {
            // Nothing of it is needed while the rest is made and encoded.
            source.held = Held::Reduced(VecDeque::new());
        }
        if job.is_base {
            larger = Some(Arc::clone(&picture));
        }
        if job.is_placeholder {
            made = Some(placeholder(&picture, background));
        }
        for output in &job.outputs {
            desk.encode(Task { picture: Arc::clone(&picture), output });
        }
    }
    made.ok_or_else(|| Error::Resize { problem: "there was no placeholder among the jobs".to_owned() })
}

/// A decoded source.
struct Source<'a> {
    held: Held,
    stages: Stages<'a>,
}

/// What there is of it.
enum Held {
    Whole(Pixels),
    /// What is made of it, in the order of jobs.
    Reduced(VecDeque<Pixels>),
}

impl<'a> Source<'a> {
    fn open(bytes: &[u8], probe: &'a Probe, jobs: &[Job], threads: usize) -> Result<Self, Error> {
        let (held, colour) = match reduce(bytes, probe, jobs, threads).transpose()? {
            Some(Reduced { pixels, colour }) => (Held::Reduced(pixels), colour),
            None => {
                let Decoded { pixels, colour } = decode(bytes, probe, jobs)?;
                (Held::Whole(pixels), colour)
            }
        };
        let pixels = match &held {
            Held::Whole(pixels) => Some(pixels),
            Held::Reduced(pixels) => pixels.front(),
        };
        let stages = Stages::new(&colour, pixels.ok_or_else(no_pixels)?, probe);
        Ok(Self { held, stages })
    }

    /// The picture of the next job that is made of what was decoded.
    fn first(&mut self, job: &Job, looked_at: &mut Option<Picture>) -> Result<Picture, Error> {
        match &mut self.held {
            Held::Whole(pixels) => self.stages.first(job, pixels, looked_at),
            Held::Reduced(pixels) => Ok(self.stages.finish(pixels.pop_front().ok_or_else(no_pixels)?)),
        }
    }
}

fn no_pixels() -> Error {
    Error::Resize { problem: "what it is made of is gone".to_owned() }
}

/// How the pixels of one source become pictures, and those become smaller ones.
pub(crate) struct Stages<'a> {
    resizer: Resizer,
    to_srgb: ToSrgb,
    probe: &'a Probe,
}

impl<'a> Stages<'a> {
    /// For pixels like these.
    pub fn new(colour: &Colour, pixels: &Pixels, probe: &'a Probe) -> Self {
        Self { resizer: Resizer::new(colour), to_srgb: ToSrgb::new(colour, pixels), probe }
    }

    /// The picture of `job`, of all that was decoded. `looked_at` is the small picture where attention finds
    /// its part, once there is one.
    pub fn first(
        &self,
        job: &Job,
        decoded: &Pixels,
        looked_at: &mut Option<Picture>,
    ) -> Result<Picture, Error> {
        self.make(job, looked_at, |geometry| {
            let geometry = geometry.stored(self.probe.orientation, self.probe.displayed());
            self.resizer.resize(decoded.view(), self.probe.stored(), &geometry).map(|made| self.finish(made))
        })
    }

    /// The picture of `job`, of a larger one that shows all of the source.
    fn smaller(
        &self,
        job: &Job,
        larger: &Picture,
        looked_at: &mut Option<Picture>,
    ) -> Result<Picture, Error> {
        self.make(job, looked_at, |geometry| {
            let made = PICTURES.resize(larger.view(), self.probe.displayed(), &geometry)?;
            let Samples::Eight(data) = made.samples else { return Err(no_pixels()) };
            Ok(Picture { size: made.size, has_alpha: larger.has_alpha, data })
        })
    }

    fn make(
        &self,
        job: &Job,
        looked_at: &mut Option<Picture>,
        show: impl Fn(Geometry) -> Result<Picture, Error>,
    ) -> Result<Picture, Error> {
        if !job.is_attentive {
            return show(job.geometry);
        }
        let displayed = self.probe.displayed();
        let picture = match looked_at.take() {
            Some(picture) => picture,
            None => show(Geometry::inside(displayed, attention::LIMIT))?,
        };
        let Geometry { crop, target } = job.geometry;
        let crop = attention::crop(&picture, displayed, crop.size);
        *looked_at = Some(picture);
        show(Geometry { crop, target })
    }

    /// Resized pixels to what is encoded.
    fn finish(&self, pixels: Pixels) -> Picture {
        self.probe.orientation.apply(self.to_srgb.apply(pixels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;
    use crate::orientation::Orientation;
    use crate::probe::probe;
    use crate::testing::{avif, corners, gif, jpeg, png, quadrants, shown, truncations, webp, with_exif};
    use contract::Limits;

    const ONE: &str = "[[rendition]]\nname = \"a\"\nwidth = 32\nformats = [{ format = \"png\" }]";

    fn rendered(bytes: &[u8], recipe: &str) -> Result<Vec<Encoded>, Error> {
        let recipe = Recipe::parse(recipe).unwrap();
        let probe = probe(bytes, &Limits::default(), &recipe)?;
        let mut all = Vec::new();
        render(bytes, &probe, &recipe, 3, &mut |encoded| {
            all.push(encoded);
            ControlFlow::Continue(())
        })?;
        Ok(all)
    }

    #[test]
    fn each_of_the_eight_orientations_comes_out_upright() {
        // Red, green, blue and white, clockwise from the top left, as they must be seen.
        let displayed = quadrants(64, 48);
        for exif in 1..=8 {
            // What a camera stores so that it is seen so: the inverse of 6 is 8.
            let inverse = Orientation::from_exif(match exif {
                6 => 8,
                8 => 6,
                other => other,
            });
            let stored = inverse.apply(displayed.clone());
            for bytes in [with_exif(&jpeg(&stored), exif), png(&stored, Some(exif))] {
                let files = rendered(&bytes, ONE).unwrap();
                assert_eq!((files[0].width_px, files[0].height_px), (32, 24), "{exif}");
                assert_eq!(corners(&files[0].bytes), ["red", "green", "white", "blue"], "{exif}");
            }
        }
    }

    #[test]
    fn a_gif_is_shown_with_all_of_its_first_frame_however_small_its_screen() {
        let mut bytes = gif(&quadrants(64, 48));
        bytes[6..10].copy_from_slice(&[32, 0, 24, 0]);
        let files = rendered(&bytes, ONE).unwrap();
        assert_eq!((files[0].width_px, files[0].height_px), (32, 24));
        assert_eq!(corners(&files[0].bytes), ["red", "green", "white", "blue"]);
    }

    #[test]
    fn nothing_more_is_encoded_once_nobody_wants_it() {
        let bytes = png(&quadrants(500, 300), None);
        let probe = probe(&bytes, &Limits::default(), &Recipe::default()).unwrap();
        let mut emitted = 0;
        render(&bytes, &probe, &Recipe::default(), 1, &mut |_| {
            emitted += 1;
            ControlFlow::Break(())
        })
        .unwrap();
        assert_eq!(emitted, 1);
    }

    #[test]
    fn a_crop_is_cut_from_the_picture_as_displayed() {
        // Twice as wide as high; its left half red above blue, its right half green above white.
        let stored = Orientation::from_exif(8).apply(quadrants(64, 32));
        let recipe = "[[rendition]]\nname = \"a\"\nwidth = 8\nheight = 8\nfit = \"cover\"\n\
                      formats = [{ format = \"png\" }]";
        let files = rendered(&with_exif(&jpeg(&stored), 6), recipe).unwrap();
        assert_eq!(corners(&files[0].bytes), ["red", "green", "white", "blue"]);
    }

    /// Grey, with a disc of the colour of skin where `x` and `y` say.
    fn face(size: Size, x: i32, y: i32) -> Picture {
        let (width, height) = (size.width_px as i32, size.height_px as i32);
        let inside = |at: i32| (at % width - x).pow(2) + (at / width - y).pow(2) < 30 * 30;
        let data = (0..width * height).flat_map(|at| if inside(at) { [224, 172, 138] } else { [128; 3] });
        Picture { size, has_alpha: false, data: data.collect() }
    }

    #[test]
    fn attention_cuts_the_same_part_in_each_of_the_eight_orientations() {
        let displayed = face(Size::new(400, 200), 300, 120);
        let recipe = |gravity: &str| {
            format!(
                "[[rendition]]\nname = \"a\"\nwidth = 100\nheight = 100\nfit = \"cover\"\n\
                 gravity = \"{gravity}\"\nformats = [{{ format = \"png\" }}]"
            )
        };
        let skin = |picture: &image::RgbImage| picture.pixels().filter(|pixel| pixel[0] > 200).count();
        for exif in 1..=8 {
            let inverse = Orientation::from_exif(match exif {
                6 => 8,
                8 => 6,
                other => other,
            });
            let bytes = png(&inverse.apply(displayed.clone()), Some(exif));
            let files = rendered(&bytes, &recipe("attention")).unwrap();
            let picture = shown(&files[0].bytes);
            assert_eq!(picture.dimensions(), (100, 100));
            // All of the disc, which has a quarter of that many pixels.
            assert!(skin(&picture).abs_diff(707) < 40, "{exif}: {}", skin(&picture));
            // The middle shows some of it too, and less.
            let files = rendered(&bytes, &recipe("centre")).unwrap();
            assert!(skin(&shown(&files[0].bytes)) < 600, "{exif}");
        }
    }

    #[test]
    fn every_type_renders_every_format_of_the_default_recipe() {
        let picture = quadrants(500, 300);
        for bytes in [jpeg(&picture), png(&picture, None), gif(&picture), webp(&picture)] {
            let files = rendered(&bytes, "[[rendition]]\nname = \"w320\"\nwidth = 320").unwrap();
            let mut made: Vec<_> =
                files.iter().map(|file| (file.format, file.width_px, file.height_px)).collect();
            made.sort_by_key(|(format, ..)| *format == Format::Jpeg);
            let modern = if cfg!(feature = "avif") { Format::Avif } else { Format::Webp };
            assert_eq!(made, [(modern, 320, 192), (Format::Jpeg, 320, 192)]);
        }
    }

    #[test]
    fn renditions_of_equal_pixels_and_encoding_share_their_bytes() {
        let recipe = "[[rendition]]\nname = \"w640\"\nwidth = 640\n[[rendition]]\nname = \"w1280\"\n\
                      width = 1280\nformats = [{ format = \"jpeg\", quality = 78 }]";
        let files = rendered(&png(&quadrants(500, 300), None), recipe).unwrap();
        let find = |name: &str, format| files.iter().find(|file| file.name == name && file.format == format);
        let (one, other) = (find("w640", Format::Jpeg).unwrap(), find("w1280", Format::Jpeg).unwrap());
        assert!(Arc::ptr_eq(&one.bytes, &other.bytes));
        assert_eq!((one.width_px, other.width_px, files.len()), (500, 500, 3));
    }

    #[test]
    fn a_truncated_file_is_refused_and_never_panics() {
        let picture = quadrants(200, 150);
        for (bytes, tail_bytes) in [
            // The end marker.
            (jpeg(&picture), 2),
            // The checksum of the pixels and the final chunk are not pixels.
            (png(&picture, None), 12 + 4 + 4),
            // The block's end, the code that ends its data, and the trailer.
            (gif(&picture), 4),
            // A byte of padding.
            (webp(&picture), 1),
            (avif().to_vec(), 0),
        ] {
            for length in truncations(bytes.len() - tail_bytes) {
                let error = rendered(&bytes[..length], ONE).unwrap_err();
                let rejection = error.rejection().unwrap_or_else(|| panic!("{length}: {error}"));
                if length > 16 {
                    assert_eq!(rejection.code, contract::RejectionCode::Corrupt, "{length}: {error}");
                }
            }
        }
    }

    #[test]
    fn damage_anywhere_is_decoded_or_refused_and_never_our_fault() {
        let picture = quadrants(200, 150);
        let progressive = crate::testing::progressive_jpeg(&picture);
        let avif = avif().to_vec();
        for whole in [jpeg(&picture), progressive, png(&picture, None), gif(&picture), webp(&picture), avif] {
            for at in truncations(whole.len()) {
                for mask in [0x01, 0x80, 0xff] {
                    let mut damaged = whole.clone();
                    damaged[at] ^= mask;
                    if let Err(error) = rendered(&damaged, ONE) {
                        assert!(error.rejection().is_some(), "{at} {mask}: {error}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_progressive_file_that_lacks_its_last_scans_is_refused() {
        let whole = crate::testing::progressive_jpeg(&quadrants(200, 150));
        rendered(&whole, ONE).unwrap();
        let scans: Vec<usize> =
            (0..whole.len() - 1).filter(|at| whole[*at..*at + 2] == [0xff, 0xda]).collect();
        assert!(scans.len() > 3);
        for scan in scans {
            assert!(rendered(&whole[..scan], ONE).unwrap_err().rejection().is_some());
        }
    }

    #[test]
    fn a_file_of_more_scans_than_anyone_writes_is_refused() {
        let whole = crate::testing::progressive_jpeg(&quadrants(64, 48));
        let scan = whole.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
        let (head, last) = whole[..whole.len() - 2].split_at(scan);
        let bomb = [head, &last.repeat(101), &[0xff, 0xd9]].concat();
        let error = rendered(&bomb, ONE).unwrap_err();
        assert!(error.to_string().contains("more than 100 scans"), "{error}");
    }

    #[test]
    fn what_is_white_on_transparent_stays_white_on_white() {
        let mut picture = Picture { size: Size::new(200, 200), has_alpha: true, data: Vec::new() };
        let inside = |x: i32, y: i32| (x - 100).pow(2) + (y - 100).pow(2) < 80 * 80;
        for index in 0..200 * 200 {
            let pixel = if inside(index % 200, index / 200) { [255; 4] } else { [0; 4] };
            picture.data.extend(pixel);
        }
        let recipe =
            "formats = [{ format = \"jpeg\", quality = 100 }]\n[[rendition]]\nname = \"a\"\nwidth = 33";
        let avif = crate::testing::avif_with_alpha().to_vec();
        for bytes in [png(&picture, None), webp(&picture), avif] {
            let files = rendered(&bytes, recipe).unwrap();
            let mut decoder = mozjpeg::Decompress::new_mem(&files[0].bytes).unwrap().rgb().unwrap();
            let darkest = decoder.read_scanlines::<u8>().unwrap().into_iter().min().unwrap();
            assert!(darkest >= 250, "{darkest}");
        }
    }

    #[test]
    fn grey_and_cmyk_pictures_come_out_in_their_colours() {
        let grey = crate::testing::grey_jpeg(64, 48, 100);
        let files = rendered(&grey, ONE).unwrap();
        let picture = shown(&files[0].bytes);
        assert!(picture.pixels().all(|pixel| pixel.0.iter().all(|sample| sample.abs_diff(100) <= 2)));

        // Full cyan and nothing else. Adobe stores no ink as 255.
        for (bytes, name) in [
            (crate::testing::cmyk_jpeg(64, 48, [255, 0, 0, 0], false), "plain"),
            (crate::testing::cmyk_jpeg(64, 48, [0, 255, 255, 255], true), "adobe"),
        ] {
            let files = rendered(&bytes, ONE).unwrap();
            let picture = shown(&files[0].bytes);
            let [red, green, blue] = picture.get_pixel(16, 12).0;
            assert!(red < 8 && green > 247 && blue > 247, "{name}: {red} {green} {blue}");
        }
    }
}
