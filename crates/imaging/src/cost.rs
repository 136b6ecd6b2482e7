//! What a job takes, foretold from a header and a recipe alone: processor time, and memory at its peak. Owns
//! every figure of it, measured by `examples/costs.rs`; follows `render` stage by stage. Pure: never looks at
//! a pixel, a clock or the machine.

use contract::recipe::Encoding;
use contract::{Format, MediaType, Recipe};

use crate::animation;
use crate::decode::{jpeg_is_reduced_at_once, jpeg_scale};
use crate::fit::MAX_ENCODES;
use crate::geometry::{Geometry, Size};
use crate::jobs::{Base, Job, Output, jobs, need_decoded};
use crate::probe::{Header, Layout, Survey};

/// What metadata, tables, row buffers and a codec's own code may take beside the pixels of any picture.
pub(crate) const OVERHEAD_BYTES: u64 = 4 * MIB;

const MIB: u64 = 1024 * 1024;

/// What resizing holds for each pixel of the longer side: at most ten rows of four channels as light, and the
/// weights of both axes.
const RESIZING_BYTES: u64 = 10 * 4 * 4 + 2 * 10 * 4;

/// What making all renditions of one source takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Of one core of an x86-64 server at 2.5 GHz, ms, over all threads. On the safe side: as if what is
    /// encoded were as busy as noise, which takes two to three times as long as most photos.
    pub cpu_ms: u64,
    /// At most this much is taken at once, beyond the source's own bytes and the files that were handed
    /// out, with one thread. A WebP of noise takes up to 8 bytes more for each of its pixels.
    pub memory_bytes: u64,
    /// What each further thread may hold: a picture, what encodes it, and the picture that it is to encode next.
    pub thread_bytes: u64,
    /// Of `memory_bytes`, what decoding alone takes.
    pub(crate) decode_bytes: u64,
}

/// The cost of a still, and of the frames of an animation where all of them are asked for.
pub(crate) fn cost(
    media_type: MediaType,
    header: &Header,
    animation: Option<&Survey>,
    recipe: &Recipe,
) -> Cost {
    let mut jobs = jobs(header.orientation.turned(header.size), recipe);
    // One frame is a still, as `render` has it.
    let animated = animation.filter(|survey| survey.frames > 1);
    let animated = animated.map(|survey| (survey, animation::split_off(&mut jobs)));
    let still = Still::new(header, &jobs);
    let picture_channels = still.picture_channels();
    let moving = animated.as_ref().map(|(survey, jobs)| Moving { canvas: header.size, survey, jobs });
    let moving_bytes = moving.as_ref().map_or(0, Moving::bytes);
    let moving_ns = moving.as_ref().map_or(0, Moving::cpu_ns);
    let outputs = jobs.iter().flat_map(|job| job.outputs.iter().map(move |output| (job, output)));
    let thread_bytes = outputs.map(|(job, output)| {
        let pixels = job.geometry.target.pixels();
        2 * pixels * picture_channels + encoder(output.encoding, picture_channels == 4).bytes(pixels)
    });
    Cost {
        cpu_ms: (still.cpu_ns(media_type) + moving_ns).div_ceil(1_000_000),
        // One comes after the other.
        memory_bytes: OVERHEAD_BYTES.saturating_add(still.bytes().max(moving_bytes)),
        thread_bytes: thread_bytes.max().unwrap_or(0),
        decode_bytes: OVERHEAD_BYTES.saturating_add(still.decoding_bytes()),
    }
}

/// One picture, from its decoder to its encoders.
struct Still<'a> {
    header: &'a Header,
    jobs: &'a [Job<'a>],
    /// What the decoder hands over.
    decoded: Size,
    /// Of a decoded pixel, and of the copies of it until its colours are converted.
    pixel_bytes: u64,
    /// What the decoder holds beside that.
    decoder_bytes: u64,
}

impl<'a> Still<'a> {
    fn new(header: &'a Header, jobs: &'a [Job<'a>]) -> Self {
        let (pixel_bytes, decoder_bytes) = match header.layout {
            Layout::Jpeg { components, coefficient_bytes, .. } => (components.into(), coefficient_bytes),
            Layout::Raster { channels, sample_bytes, decoder_bytes }
            | Layout::Avif { channels, sample_bytes, decoder_bytes, .. } => {
                (u64::from(channels) * u64::from(sample_bytes), decoder_bytes)
            }
        };
        let decoded = match header.layout {
            // Turned or not: it is only counted.
            Layout::Jpeg { .. } => jpeg_scale(header.orientation.turned(header.size), jobs).1,
            Layout::Raster { .. } | Layout::Avif { .. } => header.size,
        };
        Self { header, jobs, decoded, pixel_bytes, decoder_bytes }
    }

    fn decoding_bytes(&self) -> u64 {
        let pixels_bytes = self.of_decoded(|job| self.reducing_bytes(job));
        self.decoder_bytes.saturating_add(pixels_bytes)
    }

    /// What the decoder hands over.
    fn decoded_bytes(&self) -> u64 {
        self.of_decoded(|job| job.geometry.target.pixels() * self.pixel_bytes)
    }

    /// All decoded pixels; or `each` of the jobs that are made of them, where they never are in memory together.
    fn of_decoded(&self, each: impl Fn(&Job) -> u64) -> u64 {
        match self.header.layout {
            Layout::Jpeg { components, .. } if jpeg_is_reduced_at_once(components, self.jobs) => {
                self.jobs.iter().filter(|job| job.base == Base::Decoded).map(each).sum()
            }
            Layout::Jpeg { .. } | Layout::Raster { .. } | Layout::Avif { .. } => {
                self.decoded.pixels() * self.pixel_bytes
            }
        }
    }

    /// What is made, and as many rows as a row of it is made of, of either depth.
    fn reducing_bytes(&self, job: &Job) -> u64 {
        let Geometry { crop, target } = job.geometry;
        let longest_px = u64::from(self.decoded.width_px.max(self.decoded.height_px));
        let ratio = |from_px: u32, to_px: u32| u64::from(from_px.div_ceil(to_px));
        let (across, down) = (crop.size.width_px, crop.size.height_px);
        let rows = 6 * ratio(across, target.width_px).max(ratio(down, target.height_px)) + 4;
        self.pixel_bytes * (target.pixels() + rows * 2 * longest_px)
    }

    /// Of what is encoded: grey has become RGB, and ink too.
    fn picture_channels(&self) -> u64 {
        match self.header.layout {
            Layout::Raster { channels: 2 | 4, .. } | Layout::Avif { channels: 2 | 4, .. } => 4,
            Layout::Jpeg { .. } | Layout::Raster { .. } | Layout::Avif { .. } => 3,
        }
    }

    /// The largest sum of what is there at once, as `render::pictures` makes one picture after the other.
    fn bytes(&self) -> u64 {
        let mut decoded_bytes = self.decoded_bytes();
        let mut larger_bytes = 0;
        let mut peak_bytes = self.decoding_bytes();
        for (index, job) in self.jobs.iter().enumerate() {
            let making = self.making_bytes(job);
            peak_bytes = peak_bytes.max(decoded_bytes + larger_bytes + making);
            if !need_decoded(&self.jobs[index + 1..]) {
                decoded_bytes = 0;
            }
            if job.is_base {
                larger_bytes = job.geometry.target.pixels() * self.picture_channels();
            }
            let finishing = self.finishing_bytes(job);
            peak_bytes = peak_bytes.max(decoded_bytes + larger_bytes + finishing);
        }
        peak_bytes
    }

    /// While the pixels of a job are made. What is reduced as it is stored has a copy between its two passes,
    /// as high as what it is made of: less than twice as high as what it becomes, unless it is ink.
    fn making_bytes(&self, job: &Job) -> u64 {
        let Geometry { crop, target } = job.geometry;
        let is_ink = matches!(self.header.layout, Layout::Jpeg { components: 4, .. });
        let between_px =
            if is_ink { crop.size.height_px } else { crop.size.height_px.min(2 * target.height_px) };
        let between_bytes = u64::from(target.width_px) * u64::from(between_px) * self.pixel_bytes;
        let longest_px = self.decoded.width_px.max(self.decoded.height_px);
        let rows_bytes = u64::from(longest_px) * RESIZING_BYTES;
        target.pixels() * self.pixel_bytes + between_bytes.max(rows_bytes).max(self.reducing_bytes(job))
    }

    /// While its colours are converted and it is turned, which each makes a copy, or while it is encoded.
    fn finishing_bytes(&self, job: &Job) -> u64 {
        let (pixels, channels) = (job.geometry.target.pixels(), self.picture_channels());
        let converting = pixels * (self.pixel_bytes + channels);
        let turning = pixels * 2 * channels;
        let of = |output: &Output| encoder(output.encoding, channels == 4).bytes(pixels);
        let encoding = pixels * channels + job.outputs.iter().map(of).max().unwrap_or(0);
        converting.max(turning).max(encoding)
    }

    fn cpu_ns(&self, media_type: MediaType) -> u64 {
        let is_progressive = matches!(self.header.layout, Layout::Jpeg { coefficient_bytes: 1.., .. });
        let decoding = self.header.size.pixels().saturating_mul(decoding_ns(media_type, is_progressive));
        let (mut larger, mut all) = (self.decoded, decoding);
        for job in self.jobs {
            let target = job.geometry.target;
            let base = if job.base == Base::Larger { larger } else { self.decoded };
            all = all.saturating_add(RESIZING_NS * (base.pixels() + target.pixels()));
            all = all.saturating_add(encoding_ns(job, self.picture_channels() == 4));
            if job.is_base {
                larger = target;
            }
        }
        all
    }
}

/// All outputs of a job, of stills.
fn encoding_ns(job: &Job, has_alpha: bool) -> u64 {
    let of = |output: &Output| {
        let encodes = if output.max_bytes.is_some() { MAX_ENCODES as u64 } else { 1 };
        job.geometry.target.pixels() * encodes * encoder(output.encoding, has_alpha).pixel_ns
    };
    job.outputs.iter().map(of).sum()
}

/// Reducing, for each pixel read and each made. Two passes in floating point.
const RESIZING_NS: u64 = 30;

/// For each pixel of a source, at the scale that costs most.
const fn decoding_ns(media_type: MediaType, is_progressive: bool) -> u64 {
    match media_type {
        MediaType::Jpeg if is_progressive => 100,
        MediaType::Jpeg => 25,
        MediaType::Gif => 20,
        MediaType::Png | MediaType::Webp => 50,
        MediaType::Avif => 120,
    }
}

/// What an encoder takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Encoder {
    /// Whatever the size.
    fixed_bytes: u64,
    pixel_bytes: u64,
    pixel_ns: u64,
}

impl Encoder {
    const fn bytes(self, pixels: u64) -> u64 {
        self.fixed_bytes + pixels * self.pixel_bytes
    }

    /// Whichever of two will be at work.
    fn or(self, other: Self) -> Self {
        Self {
            fixed_bytes: self.fixed_bytes.max(other.fixed_bytes),
            pixel_bytes: self.pixel_bytes.max(other.pixel_bytes),
            pixel_ns: self.pixel_ns + other.pixel_ns,
        }
    }
}

const WEBP_LOSSLESS: Encoder = Encoder { fixed_bytes: 36 * MIB, pixel_bytes: 34, pixel_ns: 1600 };

fn encoder(encoding: &Encoding, has_alpha: bool) -> Encoder {
    let (alpha_bytes, alpha) = if has_alpha { (3, 1) } else { (0, 0) };
    match encoding.format {
        Format::Avif => Encoder { fixed_bytes: 7 * MIB, pixel_bytes: 19, pixel_ns: 210 + 320 * alpha },
        Format::Jpeg => Encoder {
            fixed_bytes: 2 * MIB,
            pixel_bytes: 7 + alpha_bytes,
            pixel_ns: if encoding.progressive { 190 } else { 90 },
        },
        Format::Png => Encoder { fixed_bytes: 2 * MIB, pixel_bytes: 6 + alpha_bytes, pixel_ns: 850 },
        Format::Webp => {
            let effort = if encoding.method() > 4 { 3 } else { 1 };
            let lossy = if has_alpha {
                Encoder { fixed_bytes: 4 * MIB, pixel_bytes: 32, pixel_ns: 350 * effort + 350 }
            } else {
                Encoder { fixed_bytes: 2 * MIB, pixel_bytes: 12, pixel_ns: 350 * effort }
            };
            match encoding.lossless {
                Some(true) => WEBP_LOSSLESS,
                Some(false) => lossy,
                // What a graphic is takes pixels to tell.
                None => lossy.or(WEBP_LOSSLESS),
            }
        }
    }
}

/// All frames of an animation, before its still is made.
struct Moving<'a> {
    canvas: Size,
    survey: &'a Survey,
    jobs: &'a [Job<'a>],
}

impl Moving<'_> {
    fn outputs(&self) -> impl Iterator<Item = (Size, &Output<'_>)> {
        let of = |job: &Job| job.geometry.target;
        self.jobs.iter().flat_map(move |job| job.outputs.iter().map(move |output| (of(job), output)))
    }

    /// The canvas, and what a frame covers of it; the frame while it is decoded, at worst as a WebP of its own
    /// with alpha, and its compressed bytes again; or the copies that resizing the canvas takes. Beside that,
    /// what encoders keep: three canvases each, and in the one that is at work one frame more and its own.
    fn bytes(&self) -> u64 {
        let canvases = 2 * 4 * self.canvas.pixels();
        let decoding =
            self.survey.largest_pixels.saturating_mul(4 + 7).saturating_add(self.survey.largest_bytes);
        let resizing = 2 * 4 * self.canvas.pixels();
        let kept: u64 = self.outputs().map(|(target, _)| 3 * 4 * target.pixels()).sum();
        let encoding = self.outputs().map(|(target, output)| {
            4 * target.pixels() + encoder(output.encoding, true).bytes(target.pixels())
        });
        let working = decoding.max(resizing).max(encoding.max().unwrap_or(0));
        canvases.saturating_add(kept).saturating_add(working)
    }

    fn cpu_ns(&self) -> u64 {
        let pixels = self.canvas.pixels();
        let each: u64 = self
            .outputs()
            .map(|(target, output)| {
                RESIZING_NS * (pixels + target.pixels())
                    + target.pixels() * encoder(output.encoding, true).pixel_ns
            })
            .sum();
        let decoding = self.survey.pixels.saturating_mul(decoding_ns(MediaType::Webp, false));
        decoding.saturating_add(each.saturating_mul(self.survey.frames.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orientation::Orientation;
    use contract::Limits;

    fn header(size: Size, layout: Layout) -> Header {
        Header { size, orientation: Orientation::default(), layout }
    }

    fn of_photo(recipe: &str) -> Cost {
        let layout = Layout::Jpeg { components: 3, adobe: false, coefficient_bytes: 0 };
        let recipe = Recipe::parse(recipe).unwrap();
        cost(MediaType::Jpeg, &header(Size::new(4000, 3000), layout), None, &recipe)
    }

    const ONE: &str = "formats = [{ format = \"jpeg\" }]\n[[rendition]]\nname = \"a\"\nwidth = 2000\n";

    #[test]
    fn a_hundred_megapixels_of_the_common_kinds_fit_the_default_memory() {
        let jpeg = |coefficient_bytes| Layout::Jpeg { components: 3, adobe: false, coefficient_bytes };
        let raster = |channels| Layout::Raster { channels, sample_bytes: 1, decoder_bytes: 0 };
        for layout in [jpeg(0), jpeg(300_000_000), jpeg(600_000_000), raster(1), raster(3), raster(4)] {
            let header = header(Size::new(10_000, 10_000), layout);
            let cost = cost(MediaType::Jpeg, &header, None, &Recipe::default());
            assert!(cost.memory_bytes <= Limits::default().max_job_bytes, "{layout:?} {cost:?}");
        }
    }

    #[test]
    fn every_rendition_takes_time_and_the_largest_picture_memory() {
        let one = of_photo(ONE);
        let two = of_photo(&format!("{ONE}[[rendition]]\nname = \"b\"\nwidth = 500"));
        assert!(two.cpu_ms > one.cpu_ms);
        let large = of_photo(&ONE.replace("2000", "4000"));
        assert!(large.cpu_ms > one.cpu_ms && large.memory_bytes > one.memory_bytes);
        // The picture, what encodes it, and the next picture.
        let thread_bytes =
            [2000 * 1500 * (3 + 7 + 3), 4000 * 3000 * (3 + 7 + 3)].map(|bytes| bytes + 2 * MIB);
        assert_eq!([one.thread_bytes, large.thread_bytes], thread_bytes);
    }

    #[test]
    fn each_try_at_a_number_of_bytes_takes_an_encode() {
        let (once, fitted) = (of_photo(ONE), of_photo(&format!("{ONE}max_bytes = 90000")));
        let encode_ms = 2000 * 1500 * 90 / 1_000_000;
        assert_eq!(fitted.cpu_ms - once.cpu_ms, 3 * encode_ms);
    }

    #[test]
    fn without_loss_or_with_effort_or_alpha_it_takes_more() {
        let webp = |fields: &str| of_photo(&ONE.replace("\"jpeg\"", &format!("\"webp\", {fields}")));
        let lossy = webp("lossless = false");
        let lossless = webp("lossless = true");
        assert!(lossless.memory_bytes > 2 * lossy.memory_bytes && lossless.cpu_ms > lossy.cpu_ms);
        assert!(webp("lossless = false, method = 6").cpu_ms > lossy.cpu_ms);
        let alpha = |channels| {
            let layout = Layout::Raster { channels, sample_bytes: 1, decoder_bytes: 0 };
            let recipe = Recipe::parse(ONE).unwrap();
            cost(MediaType::Png, &header(Size::new(4000, 3000), layout), None, &recipe)
        };
        assert!(alpha(4).thread_bytes > alpha(3).thread_bytes);
    }
}
