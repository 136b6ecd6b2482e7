//! All frames of an animation, as the files that ask for them. Owns the one pass over the frames and the
//! encoders that live through it; never holds the pixels of two frames, nor makes stills.

use std::sync::Arc;

use contract::recipe::Encoding;

use crate::copyright::Notice;
use crate::cost::OVERHEAD_BYTES;
use crate::decode::frames::Frames;
use crate::decode::raster;
use crate::encode::with_notice;
use crate::error::Error;
use crate::geometry::Size;
use crate::graphics::is_graphic;
use crate::guard::contained;
use crate::jobs::{Base, Job, Output};
use crate::libwebp::{AnimationEncoder, Compression, Fidelity};
use crate::pixels::Picture;
use crate::probe::Probe;
use crate::render::{Encoded, Stages};

/// Moves what is animated out of `jobs`; those that are left without work go.
pub(crate) fn split_off<'r>(jobs: &mut Vec<Job<'r>>) -> Vec<Job<'r>> {
    let mut animated = Vec::new();
    for job in jobs.iter_mut() {
        let outputs: Vec<Output> = job.outputs.extract_if(.., |output| output.encoding.animated).collect();
        if !outputs.is_empty() {
            let Job { geometry, is_attentive, .. } = *job;
            let base = Base::Decoded;
            animated.push(Job {
                geometry,
                is_attentive,
                base,
                is_base: false,
                outputs,
                is_placeholder: false,
            });
        }
    }
    jobs.retain(|job| job.is_placeholder || job.is_base || !job.outputs.is_empty());
    animated
}

/// Every output of `jobs`, with all frames. Each frame is decoded once, resized for each job, and added to
/// the files under way.
///
/// # Errors
/// [`Error::Corrupt`] where a frame cannot be decoded, whatever was made before it; [`Error::Encoder`] or
/// [`Error::Resize`] where we failed.
pub(crate) fn encode(
    bytes: &[u8],
    probe: &Probe,
    jobs: &[Job],
    notice: Option<&Notice>,
) -> Result<Vec<Encoded>, Error> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let colour = raster::colour(bytes, probe.media_type, OVERHEAD_BYTES)?;
    // The part that draws the eye is that of the first frame: it must not jump about.
    let (mut stages, mut looked_at) = (None, None);
    let mut files: Vec<File> = jobs.iter().flat_map(|job| job.outputs.iter().map(File::new)).collect();
    let mut frames = Frames::open(bytes, probe)?;
    while let Some((canvas, duration_ms)) = frames.next()? {
        let stages = stages.get_or_insert_with(|| Stages::new(&colour, canvas, probe));
        let mut files = files.iter_mut();
        for job in jobs {
            let picture = stages.first(job, canvas, &mut looked_at)?;
            for file in files.by_ref().take(job.outputs.len()) {
                file.add(&picture, duration_ms, probe.loop_count)?;
            }
        }
    }
    let encoded = files.into_iter().map(|file| file.finish(notice)).collect::<Result<Vec<_>, _>>()?;
    Ok(encoded.into_iter().flatten().collect())
}

/// A file under way.
struct File<'j> {
    output: &'j Output<'j>,
    /// None before the first frame, which has a say in how all are encoded.
    encoder: Option<(AnimationEncoder, Size)>,
}

impl<'j> File<'j> {
    const fn new(output: &'j Output<'j>) -> Self {
        Self { output, encoder: None }
    }

    fn add(&mut self, picture: &Picture, duration_ms: u32, loop_count: u16) -> Result<(), Error> {
        let encoding = self.output.encoding;
        let added = contained(|| {
            if self.encoder.is_none() {
                let compression = compression(encoding, picture);
                let encoder =
                    AnimationEncoder::new(picture.size, loop_count, compression, encoding.method())?;
                self.encoder = Some((encoder, picture.size));
            }
            self.encoder.as_mut().map_or(Ok(()), |(encoder, _)| encoder.add(picture, duration_ms))
        });
        added.map_err(|problem| Error::Encoder { format: encoding.format, problem })
    }

    /// One file for each name that shares these bytes.
    fn finish(self, notice: Option<&Notice>) -> Result<Vec<Encoded>, Error> {
        let format = self.output.encoding.format;
        let failed = |problem| Error::Encoder { format, problem };
        let (encoder, size) = self.encoder.ok_or_else(|| failed("there were no frames".to_owned()))?;
        let bytes = contained(|| encoder.finish()).map_err(failed)?;
        // An animation says itself whether it has alpha.
        let bytes: Arc<[u8]> = with_notice(bytes, size, false, notice).into();
        let Size { width_px, height_px } = size;
        let named = |name: &&str| {
            let bytes = Arc::clone(&bytes);
            Encoded { name: (*name).to_owned(), format, width_px, height_px, bytes }
        };
        Ok(self.output.names.iter().map(named).collect())
    }
}

/// Where the recipe leaves it open, each frame of a graphic is stored in whichever way is smaller.
fn compression(encoding: &Encoding, first: &Picture) -> Compression {
    let quality = encoding.quality();
    match encoding.lossless {
        Some(true) => Compression::All(Fidelity::Lossless),
        None if is_graphic(first) => Compression::Smaller { quality },
        Some(false) | None => Compression::All(Fidelity::Lossy { quality }),
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::libwebp::{ReferenceFrame, reference_frames};
    use crate::probe::probe;
    use crate::render::render;
    use crate::testing::{animated_gif, animated_webp, drawn, quadrants, screenshot, truncations};
    use contract::{Format, Limits, Recipe, RejectionCode};

    const ANIMATED: &str = "[[rendition]]\nname = \"a\"\nwidth = 32\n\
                            formats = [{ format = \"webp\", animated = true }, { format = \"jpeg\" }]\n\
                            [[rendition]]\nname = \"b\"\nwidth = 16\nformats = [{ format = \"webp\" }]";

    fn rendered(bytes: &[u8], recipe: &str, limits: &Limits) -> Result<Vec<Encoded>, Error> {
        let recipe = Recipe::parse(recipe).unwrap();
        let probe = probe(bytes, limits, &recipe)?;
        let mut all = Vec::new();
        let made = render(bytes, &probe, &recipe, 2, &mut |encoded| {
            all.push(encoded);
            ControlFlow::Continue(())
        });
        assert!(made.is_ok() || all.is_empty() || made.as_ref().unwrap_err().rejection().is_none());
        made.map(|_| all)
    }

    fn frames_of(file: &Encoded) -> Vec<ReferenceFrame> {
        reference_frames(&file.bytes).unwrap().2
    }

    /// Quadrants, then a green bar on its own, then one pixel.
    fn gif(durations_10ms: [u16; 3]) -> Vec<u8> {
        let whole = quadrants(64, 48);
        let bar = drawn(20, 10, |_, _| [0, 255, 0, 255]);
        let [first, second, third] = durations_10ms;
        animated_gif(
            (64, 48),
            gif::Repeat::Finite(4),
            &[(&whole, (0, 0), first, 1), (&bar, (10, 30), second, 3), (&bar, (40, 4), third, 2)],
        )
    }

    #[test]
    fn an_animation_keeps_frames_durations_and_loops_and_everything_else_shows_the_first() {
        let files = rendered(&gif([5, 0, 1]), ANIMATED, &Limits::default()).unwrap();
        let find = |name: &str, format| files.iter().find(|file| file.name == name && file.format == format);
        let animated = find("a", Format::Webp).unwrap();
        assert_eq!((animated.width_px, animated.height_px), (32, 24));
        let (loops, ..) = reference_frames(&animated.bytes).unwrap();
        assert_eq!(loops, 5);
        // Browsers give 100 ms to what asks for 10 or less.
        let ends: Vec<u32> = frames_of(animated).iter().map(|frame| frame.1).collect();
        assert_eq!(ends, [50, 150, 250]);
        assert_eq!(frames_of(find("b", Format::Webp).unwrap()).len(), 1);
        assert_eq!(files.len(), 3);
    }

    #[test]
    fn one_frame_is_looked_at_where_the_recipe_asks_for_no_more() {
        let bytes = gif([5, 5, 5]);
        let recipe = Recipe::parse(ANIMATED).unwrap();
        assert_eq!(probe(&bytes, &Limits::default(), &recipe).unwrap().frames, 3);
        assert_eq!(probe(&bytes, &Limits::default(), &Recipe::default()).unwrap().frames, 1);
        let one = Limits { max_frames: 1, max_pixels: 64 * 48, ..Limits::default() };
        assert_eq!(probe(&bytes, &one, &Recipe::default()).unwrap().frames, 1);
    }

    #[test]
    fn limits_of_frames_hold_to_the_last_frame_pixel_and_byte() {
        let bytes = gif([5, 5, 5]);
        let recipe = Recipe::parse(ANIMATED).unwrap();
        let needed = probe(&bytes, &Limits::default(), &recipe).unwrap().cost.memory_bytes;
        let exact =
            Limits { max_frames: 3, max_pixels: 3 * 64 * 48, max_job_bytes: needed, ..Limits::default() };
        probe(&bytes, &exact, &recipe).unwrap();
        for (limits, expected) in [
            (Limits { max_frames: 2, ..exact.clone() }, Error::TooManyFrames { frames: 3, limit: 2 }),
            (
                Limits { max_pixels: 9215, ..exact.clone() },
                Error::TooManyFramePixels { frames: 3, pixels: 9216, limit: 9215 },
            ),
            (
                Limits { max_job_bytes: needed - 1, ..exact },
                Error::TooMuchMemory { needed_bytes: needed, limit_bytes: needed - 1 },
            ),
        ] {
            assert_eq!(probe(&bytes, &limits, &recipe), Err(expected));
        }
    }

    #[test]
    fn a_gif_is_composed_as_it_asks_for() {
        let recipe = "[[rendition]]\nname = \"a\"\nwidth = 64\n\
                      formats = [{ format = \"webp\", animated = true, lossless = true }]";
        let files = rendered(&gif([5, 5, 5]), recipe, &Limits::default()).unwrap();
        let frames = frames_of(&files[0]);
        let at = |frame: usize, x: usize, y: usize| frames[frame].0.as_chunks::<4>().0[y * 64 + x];
        let [red, green, blue] = [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255]];
        // The bar covers blue, and gives it back.
        assert_eq!([0, 1, 2].map(|frame| at(frame, 12, 32)), [blue, green, blue]);
        assert_eq!([0, 1, 2].map(|frame| at(frame, 2, 2)), [red; 3]);
        assert_eq!(at(2, 41, 5), green);
    }

    #[test]
    fn an_animated_webp_comes_out_as_libwebp_composes_it() {
        let recipe = "[[rendition]]\nname = \"a\"\nwidth = 64\n\
                      formats = [{ format = \"webp\", animated = true, lossless = true }]";
        let source = animated_webp();
        let (loops, _, expected) = reference_frames(&source).unwrap();
        let files = rendered(&source, recipe, &Limits::default()).unwrap();
        let (found_loops, _, found) = reference_frames(&files[0].bytes).unwrap();
        assert_eq!((found_loops, found.len()), (loops, expected.len()));
        for (index, ((found, found_end), (expected, end))) in found.iter().zip(&expected).enumerate() {
            assert_eq!(found_end, end);
            for (found, expected) in found.as_chunks::<4>().0.iter().zip(expected.as_chunks::<4>().0) {
                // libwebp blends with fewer bits.
                let near = |channel: usize| found[channel].abs_diff(expected[channel]) <= 3;
                assert!(found[3].max(expected[3]) < 3 || (0..4).all(near), "{index}: {found:?} {expected:?}");
            }
        }
    }

    #[test]
    fn graphics_choose_frame_by_frame_and_the_recipe_can_force_either() {
        let mut other = screenshot(320, 200);
        other.data.rotate_left(320 * 4 * 20);
        let source = animated_gif(
            (320, 200),
            gif::Repeat::Infinite,
            &[(&screenshot(320, 200), (0, 0), 9, 1), (&other, (0, 0), 9, 1)],
        );
        let size = |lossless: &str| {
            let recipe = format!(
                "[[rendition]]\nname = \"a\"\nwidth = 320\n\
                 formats = [{{ format = \"webp\", animated = true{lossless} }}]"
            );
            rendered(&source, &recipe, &Limits::default()).unwrap()[0].bytes.len()
        };
        let (open, lossless, lossy) = (size(""), size(", lossless = true"), size(", lossless = false"));
        // Lossless frames among others are made with another effort.
        assert!(open <= lossless.min(lossy) + 50, "{open} {lossless} {lossy}");
    }

    #[test]
    fn a_truncated_animation_is_corrupt_wherever_it_ends() {
        // A GIF's trailer, and the empty sub-block before it; a WebP's padding.
        for (bytes, bearable) in [(gif([5, 5, 5]), 2), (animated_webp(), 1)] {
            for length in truncations(bytes.len() - bearable) {
                let error = match rendered(&bytes[..length], ANIMATED, &Limits::default()) {
                    Err(error) => error,
                    Ok(files) => {
                        // Between two frames, nothing tells that there was a third.
                        let animated = files.iter().find(|file| file.name == "a").unwrap();
                        assert!(frames_of(animated).len() < 3, "{length}");
                        continue;
                    }
                };
                let rejection = error.rejection().unwrap_or_else(|| panic!("{length}: {error}"));
                assert!(length <= 16 || rejection.code == RejectionCode::Corrupt, "{length}: {error}");
            }
        }
    }

    #[test]
    fn damage_anywhere_in_an_animation_is_decoded_or_refused_and_never_our_fault() {
        for whole in [gif([5, 5, 5]), animated_webp()] {
            for at in truncations(whole.len()) {
                for mask in [0x01, 0x80, 0xff] {
                    let mut damaged = whole.clone();
                    damaged[at] ^= mask;
                    let limits = Limits { max_pixels: 1_000_000, ..Limits::default() };
                    if let Err(error) = rendered(&damaged, ANIMATED, &limits) {
                        assert!(error.rejection().is_some(), "{at} {mask}: {error}");
                    }
                }
            }
        }
    }
}
