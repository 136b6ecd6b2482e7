//! Pixels in memory, in their two states: as decoded, and fit to be encoded. Owns the layouts; never
//! allocates for a source: decode does.

use crate::geometry::Size;

/// What a pixel is made of, one sample each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channels {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
    /// As Adobe stores it: the largest value is no ink.
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

    pub const fn is_grey(self) -> bool {
        matches!(self, Self::Grey | Self::GreyAlpha)
    }
}

/// Samples as deep as the source has them: what has more than 8 bits is only reduced at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Samples {
    /// 0 to 255.
    Eight(Vec<u8>),
    /// 0 to 65535, whatever depth between was stored.
    Sixteen(Vec<u16>),
}

/// Pixels on their way: rows from the top without padding, stored orientation, the source's colours,
/// alpha not premultiplied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pixels {
    pub size: Size,
    pub channels: Channels,
    pub samples: Samples,
}

impl Pixels {
    pub fn view(&self) -> View<'_> {
        let samples = match &self.samples {
            Samples::Eight(samples) => SamplesView::Eight(samples),
            Samples::Sixteen(samples) => SamplesView::Sixteen(samples),
        };
        View { size: self.size, channels: self.channels, samples }
    }
}

/// [`Pixels`] that are somebody else's.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub size: Size,
    pub channels: Channels,
    pub samples: SamplesView<'a>,
}

#[derive(Clone, Copy)]
pub(crate) enum SamplesView<'a> {
    Eight(&'a [u8]),
    Sixteen(&'a [u16]),
}

/// What a source's samples mean.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Colour {
    /// Said so, or said nothing: browsers take both for sRGB.
    Srgb,
    /// An ICC profile, as it was found.
    Icc(Vec<u8>),
    /// Code points of ITU-T H.273.
    Cicp { primaries: u8, transfer: u8 },
    /// PNG's gAMA (the exponent of encoding, 1/2.2 say) and cHRM (x and y of white, red, green, blue).
    Gamma { gamma: f64, chromaticities: Option<[(f64, f64); 4]> },
}

/// Pixels that can be encoded: RGB or RGBA, upright, sRGB, alpha not premultiplied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub size: Size,
    pub has_alpha: bool,
    pub data: Vec<u8>,
}

impl Picture {
    pub const fn channels(&self) -> Channels {
        if self.has_alpha { Channels::Rgba } else { Channels::Rgb }
    }

    pub fn view(&self) -> View<'_> {
        View { size: self.size, channels: self.channels(), samples: SamplesView::Eight(&self.data) }
    }
}
