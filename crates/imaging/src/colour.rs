//! A source's colours to sRGB, on small pictures, and its depth to 8 bits. Owns what each [`Colour`] means
//! and what stands in for a broken one: sRGB, as browsers take it, or the plain formula for CMYK. Never fails.

mod primaries;
mod transfer;

use std::sync::Arc;

use moxcms::{
    CmsError, ColorProfile, DataColorSpace, Layout, TransferCharacteristics, Transform8BitExecutor,
    Transform16BitExecutor, TransformExecutor, TransformOptions,
};

use crate::guard::contained;
use crate::pixels::{Channels, Colour, Picture, Pixels, Samples};
use primaries::Chromaticities;
use transfer::{Transfer, srgb_sample};

/// How the pixels of one source become sRGB.
pub(crate) enum ToSrgb {
    /// They are, or must pass for it.
    Plainly,
    Eight(Profile<u8>),
    Sixteen(Profile<u16>),
    ByLight(ByLight),
}

impl ToSrgb {
    /// For pixels like these, from the colours that a source says it has. A profile that is broken, or
    /// for other channels than the picture has, is as good as none.
    pub fn new(colour: &Colour, pixels: &Pixels) -> Self {
        let light = |transfer, chromaticities| ByLight::new(transfer, &chromaticities, &pixels.samples);
        let by_light = match colour {
            Colour::Srgb => None,
            Colour::Icc(profile) => {
                return contained(|| by_profile(profile, pixels)).unwrap_or(Self::Plainly);
            }
            Colour::Cicp { primaries, transfer } => by_code_points(*primaries, *transfer)
                .and_then(|(transfer, chromaticities)| light(transfer, chromaticities)),
            Colour::Gamma { gamma, chromaticities } => {
                light(Transfer::from_gamma(*gamma), chromaticities.unwrap_or(primaries::SRGB))
            }
        };
        by_light.map_or(Self::Plainly, Self::ByLight)
    }

    /// The pixels, whose alpha is not premultiplied, as sRGB.
    pub fn apply(&self, pixels: Pixels) -> Picture {
        let Pixels { size, channels, samples } = pixels;
        let converted = match (self, &samples) {
            (Self::Eight(profile), Samples::Eight(samples)) => profile.apply(samples, channels, u8::MAX),
            (Self::Sixteen(profile), Samples::Sixteen(samples)) => {
                profile.apply(samples, channels, u16::MAX).map(|samples| eight_bits(&samples))
            }
            (Self::ByLight(light), _) => light.apply(&samples, channels),
            _ => None,
        };
        let data = converted.unwrap_or_else(|| match samples {
            Samples::Eight(samples) => plainly(samples, channels),
            Samples::Sixteen(samples) => plainly(eight_bits(&samples), channels),
        });
        Picture { size, has_alpha: channels.has_alpha(), data }
    }
}

/// Whether H.273's code points say which colours a picture has; they may as well say that nobody knows.
pub(crate) fn is_specified(primaries: u8, transfer: u8) -> bool {
    by_code_points(primaries, transfer).is_some()
}

fn by_code_points(primaries: u8, transfer: u8) -> Option<(Transfer, Chromaticities)> {
    Some((Transfer::from_code_point(transfer)?, primaries::from_code_point(primaries)?))
}

/// An ICC profile, ready for one kind of pixels.
pub(crate) struct Profile<T> {
    transform: Arc<dyn TransformExecutor<T> + Send + Sync>,
    /// An RGB profile on a grey picture, as editors leave it there: browsers apply it.
    widens: bool,
}

fn by_profile(profile: &[u8], pixels: &Pixels) -> Result<ToSrgb, CmsError> {
    let profile = ColorProfile::new_from_slice(profile)?;
    if let Some(high_range) = high_range(&profile, &pixels.samples) {
        return Ok(ToSrgb::ByLight(high_range));
    }
    let widens = pixels.channels.is_grey() && profile.color_space == DataColorSpace::Rgb;
    let (space, from, to) = match pixels.channels {
        Channels::Grey if !widens => (DataColorSpace::Gray, Layout::Gray, Layout::Rgb),
        Channels::GreyAlpha if !widens => (DataColorSpace::Gray, Layout::GrayAlpha, Layout::Rgba),
        Channels::Grey | Channels::Rgb => (DataColorSpace::Rgb, Layout::Rgb, Layout::Rgb),
        Channels::GreyAlpha | Channels::Rgba => (DataColorSpace::Rgb, Layout::Rgba, Layout::Rgba),
        Channels::InvertedCmyk => (DataColorSpace::Cmyk, Layout::Rgba, Layout::Rgb),
    };
    if profile.color_space != space {
        return Err(CmsError::InvalidProfile);
    }
    let (srgb, options) = (ColorProfile::new_srgb(), TransformOptions::default());
    Ok(match pixels.samples {
        Samples::Eight(_) => {
            let transform: Arc<Transform8BitExecutor> =
                profile.create_transform_8bit(from, &srgb, to, options)?;
            ToSrgb::Eight(Profile { transform, widens })
        }
        Samples::Sixteen(_) => {
            let transform: Arc<Transform16BitExecutor> =
                profile.create_transform_16bit(from, &srgb, to, options)?;
            ToSrgb::Sixteen(Profile { transform, widens })
        }
    })
}

/// A profile may say that its picture is of high dynamic range, which its tables then cannot hold.
fn high_range(profile: &ColorProfile, samples: &Samples) -> Option<ByLight> {
    let cicp = profile.cicp.as_ref()?;
    let is_high = matches!(
        cicp.transfer_characteristics,
        TransferCharacteristics::Smpte2084 | TransferCharacteristics::Hlg
    );
    let code_points = (cicp.color_primaries as u8, cicp.transfer_characteristics as u8);
    let (transfer, chromaticities) = by_code_points(code_points.0, code_points.1).filter(|_| is_high)?;
    ByLight::new(transfer, &chromaticities, samples)
}

impl<T: Copy + Default + std::ops::Sub<Output = T>> Profile<T> {
    /// `largest` is the sample of white.
    fn apply(&self, samples: &[T], channels: Channels, largest: T) -> Option<Vec<T>> {
        let pixels = samples.len() / channels.count();
        let mut converted = vec![T::default(); pixels * if channels.has_alpha() { 4 } else { 3 }];
        contained(|| match channels {
            Channels::InvertedCmyk => {
                let inks: Vec<T> = samples.iter().map(|sample| largest - *sample).collect();
                self.transform.transform(&inks, &mut converted)
            }
            _ if self.widens => self.transform.transform(&widened(samples, channels), &mut converted),
            _ => self.transform.transform(samples, &mut converted),
        })
        .ok()?;
        Some(converted)
    }
}

/// Samples to light, light to sRGB's primaries and range, and that to samples of 8 bits.
pub(crate) struct ByLight {
    transfer: Transfer,
    /// The light of every sample.
    light: Vec<f32>,
    matrix: [[f32; 3]; 3],
}

impl ByLight {
    /// None where that would change nothing.
    fn new(transfer: Transfer, chromaticities: &Chromaticities, samples: &Samples) -> Option<Self> {
        let chromaticities = primaries::to_srgb(chromaticities).map_or(&primaries::SRGB, |_| chromaticities);
        if transfer == Transfer::Srgb && primaries::is_srgb(chromaticities) {
            return None;
        }
        let largest: u16 = match samples {
            Samples::Eight(_) => u8::MAX.into(),
            Samples::Sixteen(_) => u16::MAX,
        };
        let light = |sample| transfer.light(f64::from(sample) / f64::from(largest)) as f32;
        let light = (0..=largest).map(light).collect();
        Some(Self { transfer, light, matrix: primaries::to_srgb(chromaticities)? })
    }

    fn apply(&self, samples: &Samples, channels: Channels) -> Option<Vec<u8>> {
        match (channels, samples) {
            // Nobody has inks with code points.
            (Channels::InvertedCmyk, _) => None,
            (_, Samples::Eight(samples)) => Some(self.convert(samples, channels, |alpha| alpha)),
            (_, Samples::Sixteen(samples)) => Some(self.convert(samples, channels, nearest)),
        }
    }

    fn convert<T: Copy + Into<usize>>(
        &self,
        samples: &[T],
        channels: Channels,
        alpha: fn(T) -> u8,
    ) -> Vec<u8> {
        let mut converted = Vec::with_capacity(samples.len() / channels.count() * 4);
        for pixel in samples.chunks_exact(channels.count()) {
            match *pixel {
                [grey] => converted.extend(self.srgb([grey; 3])),
                [grey, opacity] => converted.extend(self.srgb([grey; 3]).into_iter().chain([alpha(opacity)])),
                [red, green, blue] => converted.extend(self.srgb([red, green, blue])),
                [red, green, blue, opacity] => {
                    converted.extend(self.srgb([red, green, blue]).into_iter().chain([alpha(opacity)]));
                }
                _ => {}
            }
        }
        converted
    }

    fn srgb<T: Into<usize>>(&self, samples: [T; 3]) -> [u8; 3] {
        let [red, green, blue] = samples.map(|sample| self.light[sample.into()]);
        let light = self.matrix.map(|row| row[0] * red + row[1] * green + row[2] * blue);
        self.transfer.displayed(light).map(srgb_sample)
    }
}

fn eight_bits(samples: &[u16]) -> Vec<u8> {
    samples.iter().copied().map(nearest).collect()
}

/// To the nearest of 8 bits; 65535 / 255 is 257.
fn nearest(sample: u16) -> u8 {
    ((u32::from(sample) + 128) / 257) as u8
}

/// Without a profile.
fn plainly(data: Vec<u8>, channels: Channels) -> Vec<u8> {
    match channels {
        Channels::Grey | Channels::GreyAlpha => widened(&data, channels),
        Channels::Rgb | Channels::Rgba => data,
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

/// Grey as RGB; what is none as it is.
fn widened<T: Copy>(data: &[T], channels: Channels) -> Vec<T> {
    match channels {
        Channels::Grey => data.iter().flat_map(|grey| [*grey; 3]).collect(),
        Channels::GreyAlpha => {
            data.as_chunks().0.iter().flat_map(|[grey, alpha]| [*grey, *grey, *grey, *alpha]).collect()
        }
        Channels::Rgb | Channels::Rgba | Channels::InvertedCmyk => data.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;

    fn pixels(channels: Channels, samples: Samples) -> Pixels {
        let length = match &samples {
            Samples::Eight(samples) => samples.len(),
            Samples::Sixteen(samples) => samples.len(),
        };
        Pixels { size: Size::new((length / channels.count()) as u32, 1), channels, samples }
    }

    fn shown(colour: &Colour, channels: Channels, samples: Samples) -> Vec<u8> {
        let pixels = pixels(channels, samples);
        ToSrgb::new(colour, &pixels).apply(pixels).data
    }

    /// At both depths, which must agree.
    fn srgb(channels: Channels, data: &[u8], colour: &Colour) -> Vec<u8> {
        let wide: Vec<u16> = data.iter().map(|sample| u16::from(*sample) * 257).collect();
        let (eight, sixteen) = (
            shown(colour, channels, Samples::Eight(data.to_vec())),
            shown(colour, channels, Samples::Sixteen(wide)),
        );
        let agree = eight.iter().zip(&sixteen).all(|(one, other)| one.abs_diff(*other) <= 1);
        assert!(agree && eight.len() == sixteen.len(), "{channels:?} {eight:?} {sixteen:?}");
        eight
    }

    fn icc(profile: &ColorProfile) -> Colour {
        Colour::Icc(profile.encode().unwrap())
    }

    fn grey_profile(gamma: f32) -> Colour {
        icc(&ColorProfile::new_gray_with_gamma(gamma))
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
            assert_eq!(srgb(channels, data, &Colour::Srgb), expected, "{channels:?}");
        }
    }

    #[test]
    fn sixteen_bits_are_reduced_to_the_nearest_eight() {
        let samples = [0u16, 128, 129, 0x0101, 0x8080, 0xfffe, 0xffff];
        assert_eq!(eight_bits(&samples), [0, 0, 1, 1, 0x80, 255, 255]);
    }

    #[test]
    fn a_profile_is_applied_where_it_fits_the_channels() {
        let p3 = icc(&ColorProfile::new_display_p3());
        let [red, green, blue] = srgb(Channels::Rgb, &[200, 100, 100], &p3)[..] else { panic!() };
        assert!(red > 205 && green < 100 && blue < 100, "more red in sRGB: {red} {green} {blue}");
        let with_alpha = srgb(Channels::Rgba, &[200, 100, 100, 77], &p3);
        assert_eq!(with_alpha, [red, green, blue, 77]);
        // 100 to the power of 1.8 instead of sRGB's curve.
        assert_eq!(srgb(Channels::Grey, &[100], &grey_profile(1.8)), [119; 3]);
        assert_eq!(srgb(Channels::GreyAlpha, &[100, 7], &grey_profile(1.8)), [119, 119, 119, 7]);
        assert_eq!(srgb(Channels::Rgb, &[200, 100, 100], &grey_profile(1.8)), [200, 100, 100]);
    }

    #[test]
    fn a_grey_picture_takes_the_curve_of_its_rgb_profile() {
        let wide = icc(&ColorProfile::new_pro_photo_rgb());
        assert_eq!(srgb(Channels::Grey, &[100], &wide), [119; 3]);
        assert_eq!(srgb(Channels::GreyAlpha, &[100, 9], &wide), [119, 119, 119, 9]);
    }

    #[test]
    fn a_broken_profile_is_taken_as_srgb() {
        let profile = ColorProfile::new_display_p3().encode().unwrap();
        for length in (0..profile.len()).step_by(7) {
            srgb(Channels::Rgb, &[200, 100, 100], &Colour::Icc(profile[..length].to_vec()));
        }
        for profile in [b"".as_slice(), b"rubbish", &[0; 500], &profile[..200]] {
            let shown = srgb(Channels::Rgb, &[200, 100, 100], &Colour::Icc(profile.to_vec()));
            assert_eq!(shown, [200, 100, 100]);
        }
    }

    /// What Chromium 156 shows of the same PNGs.
    #[test]
    fn code_points_are_shown_as_a_browser_shows_them() {
        for (primaries, transfer, sample, expected) in [
            (1, 13, [200, 100, 100], [200, 100, 100]),
            (1, 8, [200, 100, 100], [229, 168, 168]),
            (1, 4, [30, 60, 90], [24, 57, 90]),
            (1, 5, [30, 60, 90], [8, 36, 66]),
            (4, 13, [200, 100, 100], [231, 96, 95]),
            (5, 13, [200, 100, 100], [203, 100, 100]),
            (6, 13, [100, 200, 100], [108, 198, 99]),
            (9, 13, [200, 100, 100], [240, 76, 97]),
            (11, 13, [200, 100, 100], [211, 93, 97]),
            (12, 13, [200, 100, 100], [215, 93, 97]),
            (22, 13, [200, 100, 100], [202, 103, 100]),
            // AVIF's, where the camera's curve passes for the display's.
            (1, 1, [30, 60, 90], [30, 60, 90]),
            (9, 14, [200, 100, 100], [240, 76, 97]),
            (12, 1, [200, 100, 100], [215, 93, 97]),
            (2, 2, [200, 100, 100], [200, 100, 100]),
            (12, 2, [200, 100, 100], [200, 100, 100]),
        ] {
            let shown = srgb(Channels::Rgb, &sample, &Colour::Cicp { primaries, transfer });
            let close = shown.iter().zip(expected).all(|(one, other)| one.abs_diff(other) <= 1);
            assert!(close, "{primaries} {transfer}: {shown:?}, not {expected:?}");
        }
    }

    #[test]
    fn gamma_and_chromaticities_are_shown_as_a_browser_shows_them() {
        let (p3, wide) = (
            primaries::from_code_point(12),
            [(0.34567, 0.3585), (0.73469, 0.26531), (0.1596, 0.8404), (0.0366, 0.0001)],
        );
        for (gamma, chromaticities, sample, expected) in [
            (0.45455, None, [30, 60, 90], [30, 60, 90]),
            (0.45455, Some(primaries::SRGB), [30, 60, 90], [30, 60, 90]),
            (1.0, None, [30, 60, 90], [96, 133, 160]),
            (1.0, Some(primaries::SRGB), [200, 100, 100], [229, 168, 168]),
            (1.0, p3, [200, 100, 100], [240, 165, 167]),
            (0.55556, None, [30, 60, 90], [40, 77, 109]),
            (0.55556, Some(wide), [100, 100, 200], [59, 119, 221]),
            // Nonsense says nothing.
            (0.0, None, [30, 60, 90], [30, 60, 90]),
            (f64::NAN, Some([(0.0, 0.0); 4]), [30, 60, 90], [30, 60, 90]),
        ] {
            let shown = srgb(Channels::Rgb, &sample, &Colour::Gamma { gamma, chromaticities });
            let close = shown.iter().zip(expected).all(|(one, other)| one.abs_diff(other) <= 1);
            assert!(close, "{gamma} {chromaticities:?}: {shown:?}, not {expected:?}");
        }
    }

    #[test]
    fn light_becomes_samples_in_every_layout_with_alpha_as_it_was() {
        let linear = Colour::Cicp { primaries: 1, transfer: 8 };
        assert_eq!(srgb(Channels::Grey, &[128], &linear), [188; 3]);
        assert_eq!(srgb(Channels::GreyAlpha, &[128, 77], &linear), [188, 188, 188, 77]);
        assert_eq!(srgb(Channels::Rgba, &[128, 64, 255, 3], &linear), [188, 137, 255, 3]);
        assert_eq!(srgb(Channels::InvertedCmyk, &[255, 0, 255, 255], &linear), [255, 0, 255]);
    }

    /// Linear light in 8 bits has eight samples where sRGB has 49.
    #[test]
    fn dark_light_of_sixteen_bits_keeps_every_step_that_eight_can_show() {
        let ramp: Vec<u16> = (0..2000).collect();
        for colour in [
            Colour::Gamma { gamma: 1.0, chromaticities: None },
            Colour::Cicp { primaries: 12, transfer: 8 },
            icc(&{
                let mut profile = ColorProfile::new_srgb();
                let linear = moxcms::curve_from_gamma(1.0);
                (profile.red_trc, profile.green_trc, profile.blue_trc) =
                    (Some(linear.clone()), Some(linear.clone()), Some(linear));
                profile.cicp = None;
                profile
            }),
        ] {
            let shown = shown(&colour, Channels::Grey, Samples::Sixteen(ramp.clone()));
            let mut greys: Vec<u8> = shown.as_chunks::<3>().0.iter().map(|[grey, ..]| *grey).collect();
            greys.dedup();
            assert_eq!(greys, (0..=49).collect::<Vec<u8>>(), "{colour:?}");
        }
    }

    #[test]
    fn a_profile_of_high_range_is_rolled_off_as_its_code_points_are() {
        let profile = icc(&ColorProfile::new_bt2020_pq());
        let code_points = Colour::Cicp { primaries: 9, transfer: 16 };
        for sample in [[120, 120, 120], [148, 148, 148], [200, 150, 90], [255, 255, 255]] {
            let shown = srgb(Channels::Rgb, &sample, &profile);
            assert_eq!(shown, srgb(Channels::Rgb, &sample, &code_points), "{sample:?}");
        }
    }
}
