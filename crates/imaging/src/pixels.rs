//! Pixels in memory, in their two states: as decoded, and fit to be encoded. Owns the layouts; never
//! allocates for a source: decode does.

use crate::geometry::Size;

/// What a pixel is made of, one byte each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channels {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
    /// As Adobe stores it: 255 is no ink.
    InvertedCmyk,
}

impl Channels {
    pub const fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::InvertedCmyk => 4,
        }
    }

    pub const fn has_alpha(self) -> bool {
        match self {
            Self::GreyAlpha | Self::Rgba => true,
            Self::Grey | Self::Rgb | Self::InvertedCmyk => false,
        }
    }
}

/// Pixels on their way: rows from the top without padding, stored orientation, the source's colours,
/// alpha premultiplied.
#[derive(Debug, Clone)]
pub(crate) struct Pixels {
    pub size: Size,
    pub channels: Channels,
    pub data: Vec<u8>,
}

/// Pixels that can be encoded: RGB or RGBA, upright, sRGB, alpha not premultiplied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub size: Size,
    pub has_alpha: bool,
    pub data: Vec<u8>,
}
