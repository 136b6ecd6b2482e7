//! A source's colours to sRGB, on small pictures, and its depth to 8 bits. Owns what each [`Colour`] means
//! and what stands in for a broken one: sRGB, as browsers take it, or the plain formula for CMYK. Never fails.

use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};

use crate::guard::contained;
use crate::pixels::{Channels, Colour, Picture, Pixels, Samples};

/// How the pixels of one source become sRGB.
pub(crate) struct ToSrgb {
    transform: Option<Arc<Transform8BitExecutor>>,
}

impl ToSrgb {
    /// From the profile that a source carries. One that is broken, or for other channels than the
    /// picture has, is as good as none.
    pub fn new(colour: &Colour, channels: Channels) -> Self {
        let transform = match colour {
            Colour::Icc(profile) => contained(|| transform(profile, channels)).ok(),
            Colour::Srgb | Colour::Cicp { .. } | Colour::Gamma { .. } => None,
        };
        Self { transform }
    }

    /// The pixels, whose alpha is not premultiplied, as sRGB.
    pub fn apply(&self, pixels: Pixels) -> Picture {
        let has_alpha = pixels.channels.has_alpha();
        let Pixels { size, channels, samples } = pixels;
        let samples = eight_bits(samples);
        let data = self.by_profile(&samples, channels).unwrap_or_else(|| plainly(&samples, channels));
        Picture { size, has_alpha, data }
    }

    fn by_profile(&self, samples: &[u8], kind: Channels) -> Option<Vec<u8>> {
        let transform = self.transform.as_deref()?;
        let channels = if kind.has_alpha() { 4 } else { 3 };
        let mut data = vec![0; samples.len() / kind.count() * channels];
        contained(|| match kind {
            Channels::InvertedCmyk => {
                let inks: Vec<u8> = samples.iter().map(|sample| !sample).collect();
                transform.transform(&inks, &mut data)
            }
            _ => transform.transform(samples, &mut data),
        })
        .ok()?;
        Some(data)
    }
}

fn transform(profile: &[u8], channels: Channels) -> Result<Arc<Transform8BitExecutor>, String> {
    let profile = ColorProfile::new_from_slice(profile).map_err(|error| error.to_string())?;
    let (space, from, to) = match channels {
        Channels::Grey => (DataColorSpace::Gray, Layout::Gray, Layout::Rgb),
        Channels::GreyAlpha => (DataColorSpace::Gray, Layout::GrayAlpha, Layout::Rgba),
        Channels::Rgb => (DataColorSpace::Rgb, Layout::Rgb, Layout::Rgb),
        Channels::Rgba => (DataColorSpace::Rgb, Layout::Rgba, Layout::Rgba),
        Channels::InvertedCmyk => (DataColorSpace::Cmyk, Layout::Rgba, Layout::Rgb),
    };
    if profile.color_space != space {
        return Err("the profile is for other channels".to_owned());
    }
    profile
        .create_transform_8bit(from, &ColorProfile::new_srgb(), to, TransformOptions::default())
        .map_err(|error| error.to_string())
}

/// To the nearest; 65535 / 255 is 257.
fn eight_bits(samples: Samples) -> Vec<u8> {
    match samples {
        Samples::Eight(samples) => samples,
        Samples::Sixteen(samples) => {
            samples.into_iter().map(|sample| ((u32::from(sample) + 128) / 257) as u8).collect()
        }
    }
}

/// Without a profile.
fn plainly(data: &[u8], channels: Channels) -> Vec<u8> {
    match channels {
        Channels::Grey => data.iter().flat_map(|grey| [*grey; 3]).collect(),
        Channels::GreyAlpha => {
            data.as_chunks().0.iter().flat_map(|[grey, alpha]| [*grey, *grey, *grey, *alpha]).collect()
        }
        Channels::Rgb | Channels::Rgba => data.to_vec(),
        Channels::InvertedCmyk => data
            .as_chunks()
            .0
            .iter()
            .flat_map(|[cyan, magenta, yellow, black]| {
                [cyan, magenta, yellow].map(|ink| (u32::from(*ink) * u32::from(*black) / 255) as u8)
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;

    fn srgb(channels: Channels, data: &[u8], profile: Option<&[u8]>) -> Vec<u8> {
        let size = Size::new((data.len() / channels.count()) as u32, 1);
        let colour = profile.map_or(Colour::Srgb, |profile| Colour::Icc(profile.to_vec()));
        let pixels = Pixels { size, channels, samples: Samples::Eight(data.to_vec()) };
        ToSrgb::new(&colour, channels).apply(pixels).data
    }

    #[test]
    fn without_a_profile_every_layout_becomes_rgb_with_its_alpha() {
        for (channels, data, expected) in [
            (Channels::Grey, [7, 200].as_slice(), [7, 7, 7, 200, 200, 200].as_slice()),
            (Channels::GreyAlpha, &[7, 200], &[7, 7, 7, 200]),
            (Channels::Rgb, &[1, 2, 3], &[1, 2, 3]),
            (Channels::Rgba, &[1, 2, 3, 4], &[1, 2, 3, 4]),
            (Channels::InvertedCmyk, &[255, 0, 255, 255, 255, 255, 255, 0], &[255, 0, 255, 0, 0, 0]),
        ] {
            assert_eq!(srgb(channels, data, None), expected, "{channels:?}");
        }
    }

    #[test]
    fn sixteen_bits_are_reduced_to_the_nearest_eight() {
        let samples = vec![0u16, 128, 129, 0x0101, 0x8080, 0xfffe, 0xffff];
        assert_eq!(eight_bits(Samples::Sixteen(samples)), [0, 0, 1, 1, 0x80, 255, 255]);
    }

    #[test]
    fn a_profile_is_applied_where_it_fits_the_channels() {
        let profile = ColorProfile::new_display_p3().encode().unwrap();
        let [red, green, blue] = srgb(Channels::Rgb, &[200, 100, 100], Some(&profile))[..] else { panic!() };
        assert!(red > 205 && green < 100 && blue < 100, "more red in sRGB: {red} {green} {blue}");
        let with_alpha = srgb(Channels::Rgba, &[200, 100, 100, 77], Some(&profile));
        assert_eq!(with_alpha, [red, green, blue, 77]);
        assert_eq!(srgb(Channels::Grey, &[100], Some(&profile)), [100; 3]);
    }

    #[test]
    fn a_broken_profile_is_taken_as_srgb() {
        let profile = ColorProfile::new_display_p3().encode().unwrap();
        for length in (0..profile.len()).step_by(7) {
            srgb(Channels::Rgb, &[200, 100, 100], Some(&profile[..length]));
        }
        for profile in [b"".as_slice(), b"rubbish", &[0; 500], &profile[..200]] {
            assert_eq!(srgb(Channels::Rgb, &[200, 100, 100], Some(profile)), [200, 100, 100]);
        }
    }
}
