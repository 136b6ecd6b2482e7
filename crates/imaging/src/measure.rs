//! What measurements need of this crate, and nothing else may use. Owns nothing.

use std::sync::Arc;

use contract::Recipe;
use contract::recipe::{Color, Encoding};

use crate::decode::decode_and_drop;
use crate::encode::encode;
use crate::error::Error;
use crate::geometry::Size;
use crate::jobs::jobs;
use crate::pixels::{Channels, Colour, Picture, Pixels, Samples};
use crate::probe::{Probe, as_shown};
use crate::resize::{Part, Resizer};

/// What rendering does first, and nothing else: the source decoded with enough resolution for `recipe`, and
/// dropped; as it comes, where rendering takes it so.
///
/// # Errors
/// The decoder's.
pub fn decoded(bytes: &[u8], probe: &Probe, recipe: &Recipe) -> Result<(), Error> {
    let bytes = &*as_shown(bytes, probe.media_type);
    decode_and_drop(bytes, probe, &jobs(probe.displayed(), recipe))
}

/// A picture of `channels` (3, or 4 with alpha) that is encoded, and nothing else.
///
/// # Errors
/// The encoder's.
pub fn encoded(
    (width_px, height_px): (u32, u32),
    channels: u8,
    data: Vec<u8>,
    encoding: &Encoding,
) -> Result<Arc<[u8]>, Error> {
    let picture = Picture { size: Size::new(width_px, height_px), has_alpha: channels == 4, data };
    encode(&picture, encoding, Color::default(), None)
}

/// A picture of 8-bit sRGB as the resizer takes it.
pub struct Rgb(Pixels);

impl Rgb {
    pub fn new((width_px, height_px): (u32, u32), samples: Vec<u8>) -> Self {
        let size = Size::new(width_px, height_px);
        Self(Pixels { size, channels: Channels::Rgb, samples: Samples::Eight(samples) })
    }

    pub fn size(&self) -> (u32, u32) {
        (self.0.size.width_px, self.0.size.height_px)
    }

    pub fn samples(&self) -> &[u8] {
        match &self.0.samples {
            Samples::Eight(samples) => samples,
            Samples::Sixteen(_) => &[],
        }
    }

    /// All of it at another size, as light at any reduction.
    pub fn reduced(&self, (width_px, height_px): (u32, u32)) -> Self {
        let (base, size) = (self.0.view(), Size::new(width_px, height_px));
        let samples = Resizer::new(&Colour::Srgb).as_light(base, Part::whole(base.size), size);
        Self(Pixels { size, channels: base.channels, samples })
    }
}

/// Processor time that this process has taken, and its memory. Linux alone tells.
pub mod process {
    use std::fs;
    use std::time::Duration;

    /// A field of `/proc/self/status`, bytes.
    fn status_bytes(name: &str) -> Option<u64> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find(|line| line.starts_with(name))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
    }

    /// Of all threads, also those that have ended; in steps of 10 ms.
    pub fn cpu() -> Option<Duration> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The name, which may have spaces, ends with the last bracket.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some(Duration::from_millis(ticks * 10))
    }

    /// The most memory that this process ever had, bytes.
    pub fn most_bytes() -> Option<u64> {
        status_bytes("VmHWM:")
    }

    /// The most memory that `work` takes beyond what there was before it, bytes.
    pub fn peak_bytes<T>(work: impl FnOnce() -> T) -> Option<(T, u64)> {
        fs::write("/proc/self/clear_refs", "5").ok()?;
        let before = status_bytes("VmRSS:")?;
        let made = work();
        Some((made, most_bytes()?.saturating_sub(before)))
    }
}
