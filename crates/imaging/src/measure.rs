//! What measurements need of this crate, and nothing else may use. Owns nothing.

use crate::geometry::{Geometry, Rect, Size};
use crate::pixels::{Channels, Colour, Pixels, Samples};
use crate::resize::Resizer;

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

    /// All of it, as a rendition of this size is made.
    ///
    /// # Errors
    /// As rendering has them.
    pub fn reduced(&self, (width_px, height_px): (u32, u32)) -> Result<Self, crate::Error> {
        let geometry = Geometry { crop: Rect::whole(self.0.size), target: Size::new(width_px, height_px) };
        Resizer::new(&Colour::Srgb).resize(&self.0, self.0.size, &geometry).map(Self)
    }
}
