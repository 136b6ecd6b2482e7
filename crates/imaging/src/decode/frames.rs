//! The frames of an animation, one after another, each as the whole canvas looks while it is shown. Owns
//! what a frame leaves behind for the next, as browsers have it: the background is transparent, whatever
//! colour the file names. Never holds more than the canvas, what a frame covers of it, and that frame.

use std::ops::Range;

use contract::MediaType;
use gif::{ColorOutput, DecodeOptions, DisposalMethod};

use super::raster;
use crate::cost::OVERHEAD_BYTES;
use crate::error::Error;
use crate::geometry::{Rect, Size};
use crate::guard::contained;
use crate::pixels::{Channels, Pixels, Samples};
use crate::probe::Probe;
use crate::riff::{AnimationFrame, Chunks};

/// Browsers show what claims to last up to this long for [`USUAL_MS`]: many a file says 0 and means nothing
/// by it. <https://webkit.org/b/36082>
const SHORTEST_MS: u32 = 10;
const USUAL_MS: u32 = 100;

/// The frames that a probe has counted.
pub(crate) struct Frames<'a> {
    media_type: MediaType,
    source: Source<'a>,
    canvas: Canvas,
    remaining: u32,
    max_bytes: u64,
}

enum Source<'a> {
    Gif(Box<gif::Decoder<&'a [u8]>>),
    Webp(Chunks<'a>),
}

impl<'a> Frames<'a> {
    pub fn open(bytes: &'a [u8], probe: &Probe) -> Result<Self, Error> {
        let media_type = probe.media_type;
        let source = match media_type {
            MediaType::Gif => {
                let mut options = DecodeOptions::new();
                options.set_color_output(ColorOutput::Indexed);
                // An extension that nobody knows concerns nobody.
                options.allow_unknown_blocks(true);
                let decoder = contained(|| options.read_info(bytes));
                Source::Gif(Box::new(decoder.map_err(|problem| Error::corrupt(media_type, problem))?))
            }
            _ => Source::Webp(Chunks::of_file(bytes).ok_or_else(|| ends_too_early(media_type))?),
        };
        let max_bytes = probe.cost.decode_bytes + OVERHEAD_BYTES;
        let canvas = Canvas::new(probe.stored());
        Ok(Self { media_type, source, canvas, remaining: probe.frames, max_bytes })
    }

    /// The canvas with the next frame on it, and for how long it is shown; none after the last.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where a frame that was counted is not whole.
    pub fn next(&mut self) -> Result<Option<(&Pixels, u32)>, Error> {
        if self.remaining == 0 {
            return Ok(None);
        }
        self.remaining -= 1;
        let media_type = self.media_type;
        let corrupt = |problem| Error::corrupt(media_type, problem);
        let (canvas, max_bytes) = (&mut self.canvas, self.max_bytes);
        let duration_ms = match &mut self.source {
            Source::Gif(decoder) => contained(|| draw_gif(decoder, canvas, max_bytes)).map_err(corrupt)?,
            Source::Webp(chunks) => {
                let payload = chunks.find_map(|(name, payload)| (name == b"ANMF").then_some(payload));
                let frame =
                    payload.and_then(AnimationFrame::parse).ok_or_else(|| ends_too_early(media_type))?;
                draw_webp(&frame, canvas, max_bytes)?
            }
        };
        let shown_ms = if duration_ms <= SHORTEST_MS { USUAL_MS } else { duration_ms };
        Ok(Some((&self.canvas.pixels, shown_ms)))
    }
}

fn draw_gif(decoder: &mut gif::Decoder<&[u8]>, canvas: &mut Canvas, max_bytes: u64) -> Result<u32, String> {
    let problem = |error: gif::DecodingError| error.to_string();
    let frame = decoder.next_frame_info().map_err(problem)?.ok_or("it has fewer frames than it seemed")?;
    let rect = Rect {
        left_px: frame.left.into(),
        top_px: frame.top.into(),
        size: Size::new(frame.width.into(), frame.height.into()),
    };
    let transparent = frame.transparent;
    let duration_ms = u32::from(frame.delay) * 10;
    let disposal = match frame.dispose {
        DisposalMethod::Any | DisposalMethod::Keep => Disposal::Keep,
        DisposalMethod::Background => Disposal::Clear,
        DisposalMethod::Previous => Disposal::Restore,
    };
    if rect.size.pixels() > max_bytes {
        return Err("a frame is larger than it seemed".to_owned());
    }
    let mut indices = vec![0; rect.size.pixels() as usize];
    // What has no pixels has no data either.
    if !indices.is_empty() {
        decoder.read_into_buffer(&mut indices).map_err(problem)?;
    }
    let palette = decoder.palette().map_err(problem)?.as_chunks::<3>().0;
    let colour = |index: usize| match (indices[index], palette.get(usize::from(indices[index]))) {
        (entry, Some(&[red, green, blue])) if Some(entry) != transparent => [red, green, blue, 255],
        _ => [0; 4],
    };
    canvas.draw(rect, disposal, true, colour);
    Ok(duration_ms)
}

fn draw_webp(frame: &AnimationFrame, canvas: &mut Canvas, max_bytes: u64) -> Result<u32, Error> {
    let corrupt = |problem: &str| Error::corrupt(MediaType::Webp, problem);
    let AnimationFrame { left_px, top_px, size, .. } = *frame;
    if left_px + size.width_px > canvas.pixels.size.width_px
        || top_px + size.height_px > canvas.pixels.size.height_px
    {
        return Err(corrupt("a frame is larger than its canvas"));
    }
    let file = frame.as_file().ok_or_else(|| corrupt("a frame has no picture"))?;
    let (found, channels, data) = raster::decode_frame(&file, MediaType::Webp, max_bytes)?;
    if found != size {
        return Err(corrupt("a frame is of another size than it says"));
    }
    let colour = |index: usize| match channels {
        Channels::Rgba => data.as_chunks::<4>().0[index],
        _ => {
            let [red, green, blue] = data.as_chunks::<3>().0[index];
            [red, green, blue, 255]
        }
    };
    let disposal = if frame.is_cleared { Disposal::Clear } else { Disposal::Keep };
    canvas.draw(Rect { left_px, top_px, size }, disposal, frame.is_blended, colour);
    Ok(frame.duration_ms)
}

/// What becomes of a frame before the next is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disposal {
    Keep,
    Clear,
    /// What was there before it comes back.
    Restore,
}

/// All that is to be seen, and how to undo the frame that was drawn last.
struct Canvas {
    /// RGBA.
    pixels: Pixels,
    last: Rect,
    disposal: Disposal,
    /// What `last` covers, where it has to come back.
    covered: Vec<u8>,
}

impl Canvas {
    fn new(size: Size) -> Self {
        let samples = Samples::Eight(vec![0; size.pixels() as usize * 4]);
        let pixels = Pixels { size, channels: Channels::Rgba, samples };
        Self { pixels, last: Rect::whole(Size::new(0, 0)), disposal: Disposal::Keep, covered: Vec::new() }
    }

    /// Undoes the last frame as it asked for, and draws the next, whose pixels are as `colour` says by their
    /// index. What lies outside the canvas is not drawn.
    fn draw(&mut self, frame: Rect, disposal: Disposal, blend: bool, colour: impl Fn(usize) -> [u8; 4]) {
        self.undo();
        let visible = self.visible(frame);
        self.covered.clear();
        for y in 0..visible.size.height_px {
            let range = self.row(visible, y);
            let Samples::Eight(samples) = &mut self.pixels.samples else { return };
            let row = &mut samples[range];
            if disposal == Disposal::Restore {
                self.covered.extend_from_slice(row);
            }
            let start = y as usize * frame.size.width_px as usize;
            for (x, below) in row.as_chunks_mut().0.iter_mut().enumerate() {
                let above = colour(start + x);
                *below = if blend { blended(above, *below) } else { above };
            }
        }
        (self.last, self.disposal) = (visible, disposal);
    }

    fn undo(&mut self) {
        let row_bytes = self.last.size.width_px as usize * 4;
        for y in 0..self.last.size.height_px {
            let range = self.row(self.last, y);
            let Samples::Eight(samples) = &mut self.pixels.samples else { return };
            match self.disposal {
                Disposal::Keep => return,
                Disposal::Clear => samples[range].fill(0),
                Disposal::Restore => {
                    samples[range].copy_from_slice(&self.covered[y as usize * row_bytes..][..row_bytes]);
                }
            }
        }
    }

    /// The part of a frame that is on the canvas.
    fn visible(&self, frame: Rect) -> Rect {
        let Size { width_px, height_px } = self.pixels.size;
        let size = Size::new(
            frame.size.width_px.min(width_px.saturating_sub(frame.left_px)),
            frame.size.height_px.min(height_px.saturating_sub(frame.top_px)),
        );
        // Nothing to be seen has no rows either: where one would start may be beyond the end.
        let size = if size.pixels() == 0 { Size::new(0, 0) } else { size };
        Rect { size, ..frame }
    }

    /// Where the samples of a row of `part`, which is on the canvas, are.
    fn row(&self, part: Rect, y: u32) -> Range<usize> {
        let width = self.pixels.size.width_px as usize;
        let start = (part.top_px + y) as usize * width + part.left_px as usize;
        start * 4..(start + part.size.width_px as usize) * 4
    }
}

/// One colour over another, neither premultiplied.
fn blended(above: [u8; 4], below: [u8; 4]) -> [u8; 4] {
    let (over, under) = (u32::from(above[3]), u32::from(below[3]));
    match over {
        0 => return below,
        255 => return above,
        _ => {}
    }
    // Both of 255 * 255.
    let (over, under) = (over * 255, under * (255 - over));
    let alpha = over + under;
    let mix = |channel: usize| {
        let sum = u32::from(above[channel]) * over + u32::from(below[channel]) * under;
        ((sum + alpha / 2) / alpha) as u8
    };
    [mix(0), mix(1), mix(2), ((alpha + 127) / 255) as u8]
}

fn ends_too_early(media_type: MediaType) -> Error {
    Error::corrupt(media_type, "it ends too early")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RED: [u8; 4] = [255, 0, 0, 255];
    const BLUE: [u8; 4] = [0, 0, 255, 255];
    const NONE: [u8; 4] = [0; 4];

    fn part(left_px: u32, top_px: u32, width_px: u32, height_px: u32) -> Rect {
        Rect { left_px, top_px, size: Size::new(width_px, height_px) }
    }

    fn shown(canvas: &Canvas) -> Vec<[u8; 4]> {
        let Samples::Eight(samples) = &canvas.pixels.samples else { panic!() };
        samples.as_chunks().0.to_vec()
    }

    #[test]
    fn a_frame_stays_goes_or_gives_back_what_it_covered_as_it_asked_for() {
        for (disposal, expected) in [
            (Disposal::Keep, [RED, BLUE, BLUE, NONE]),
            (Disposal::Clear, [RED, NONE, NONE, NONE]),
            (Disposal::Restore, [RED, RED, RED, NONE]),
        ] {
            let mut canvas = Canvas::new(Size::new(4, 1));
            canvas.draw(part(0, 0, 3, 1), Disposal::Keep, true, |_| RED);
            canvas.draw(part(1, 0, 2, 1), disposal, true, |_| BLUE);
            assert_eq!(shown(&canvas), [RED, BLUE, BLUE, NONE]);
            canvas.draw(part(3, 0, 1, 1), Disposal::Keep, true, |_| NONE);
            assert_eq!(shown(&canvas), expected, "{disposal:?}");
        }
    }

    #[test]
    fn what_is_not_blended_takes_the_place_of_what_was_there() {
        for (blend, expected) in [(true, RED), (false, NONE)] {
            let mut canvas = Canvas::new(Size::new(1, 1));
            canvas.draw(part(0, 0, 1, 1), Disposal::Keep, true, |_| RED);
            canvas.draw(part(0, 0, 1, 1), Disposal::Keep, blend, |_| NONE);
            assert_eq!(shown(&canvas), [expected]);
        }
    }

    #[test]
    fn half_of_a_colour_over_another_is_both() {
        assert_eq!(blended([255, 0, 0, 128], BLUE), [128, 0, 127, 255]);
        assert_eq!(blended([255, 0, 0, 128], NONE), [255, 0, 0, 128]);
        assert_eq!(blended([255, 0, 0, 128], [0, 0, 255, 128]), [170, 0, 85, 192]);
    }

    proptest! {
        #[test]
        fn a_frame_may_lie_anywhere_and_draws_what_is_on_the_canvas(
            (left, top, width, height) in (0u32..12, 0u32..12, 0u32..12, 0u32..12),
            disposal in prop_oneof![Just(Disposal::Keep), Just(Disposal::Clear), Just(Disposal::Restore)],
        ) {
            let mut canvas = Canvas::new(Size::new(7, 5));
            canvas.draw(part(left, top, width, height), disposal, true, |_| RED);
            let inside = |index: u32| {
                let (x, y) = (index % 7, index / 7);
                (left..left + width).contains(&x) && (top..top + height).contains(&y)
            };
            let drawn = |index| if inside(index) { RED } else { NONE };
            prop_assert!(shown(&canvas).into_iter().eq((0..35).map(drawn)));
            canvas.draw(part(0, 0, 0, 0), Disposal::Keep, true, |_| RED);
            let left_behind = |index| if disposal == Disposal::Keep { drawn(index) } else { NONE };
            prop_assert!(shown(&canvas).into_iter().eq((0..35).map(left_behind)));
        }
    }
}
