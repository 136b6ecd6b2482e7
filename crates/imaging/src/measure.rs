//! What measurements need of this crate, and nothing else may use. Owns nothing.

use crate::geometry::Size;
use crate::pixels::{Channels, Colour, Pixels, Samples};
use crate::resize::{Part, Resizer};

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
        let (base, size) = (&self.0, Size::new(width_px, height_px));
        let samples = Resizer::new(&Colour::Srgb).as_light(base, Part::whole(base.size), size);
        Self(Pixels { size, channels: base.channels, samples })
    }
}
