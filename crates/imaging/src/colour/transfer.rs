//! How a sample stands for light. Owns the curve of every transfer that a source can name, what its light
//! is measured against, and the way back into sRGB's 8 bits; never mixes channels.

use std::sync::LazyLock;

use moxcms::TransferCharacteristics as Curve;

/// cd/m² of paper white in PQ and HLG. BT.2408-7, table 1.
const REFERENCE_WHITE: f64 = 203.0;
/// cd/m² that PQ's largest sample stands for. BT.2100-2, table 4.
const PQ_PEAK: f64 = 10_000.0;
/// cd/m² of the display that HLG is graded on. BT.2100-2, table 5.
const HLG_PEAK: f64 = 1_000.0;
/// Exponent of luminance by which such a display departs from the scene. BT.2100-2, table 5, note 5f.
const HLG_SYSTEM_GAMMA: f64 = 1.2;
/// Part of sRGB's light that high dynamic range fills unchanged; what is brighter shares the rest.
const SHOULDER: f32 = 0.6;

/// gAMA of sRGB, and how far from it a file may be that means no more than that.
const SRGB_GAMMA: f64 = 0.45455;
const GAMMA_TOLERANCE: f64 = 0.005;
/// Exponents that mean anything; others are taken for a mistake.
const GAMMAS: std::ops::RangeInclusive<f64> = 0.1..=10.0;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Transfer {
    Srgb,
    /// Light is the sample to this power.
    Power(f64),
    /// A curve of H.273 whose light ends at white.
    Standard(Curve),
    Pq,
    Hlg,
}

impl Transfer {
    /// By H.273, table 3; none where it is unspecified or unknown.
    pub fn from_code_point(code_point: u8) -> Option<Self> {
        match code_point {
            // The camera's curve of BT.709 and its like is not that of displays: for pictures browsers
            // take it for sRGB (so does Chromium 156 for AVIF), and so does whoever writes it.
            1 | 6 | 11 | 12 | 13 | 14 | 15 => Some(Self::Srgb),
            4 => Some(Self::Power(2.2)),
            5 => Some(Self::Power(2.8)),
            7 => Some(Self::Standard(Curve::Smpte240)),
            8 => Some(Self::Power(1.0)),
            9 => Some(Self::Standard(Curve::Log100)),
            10 => Some(Self::Standard(Curve::Log100sqrt10)),
            16 => Some(Self::Pq),
            17 => Some(Self::Power(2.6)),
            18 => Some(Self::Hlg),
            _ => None,
        }
    }

    /// By PNG's exponent of encoding.
    pub fn from_gamma(gamma: f64) -> Self {
        if is_srgb(gamma) || !GAMMAS.contains(&gamma) { Self::Srgb } else { Self::Power(gamma.recip()) }
    }

    /// The light of a sample from 0 to 1, where 1 is white. HLG's is that of the scene, from 0 to 1.
    pub fn light(self, sample: f64) -> f64 {
        match self {
            Self::Srgb => Curve::Srgb.linearize(sample),
            Self::Power(exponent) => sample.powf(exponent),
            Self::Standard(curve) => curve.linearize(sample),
            Self::Pq => Curve::Smpte2084.linearize(sample) * PQ_PEAK / REFERENCE_WHITE,
            // The curve comes with the display's gamma, channel by channel; `displayed` has it by luminance.
            Self::Hlg => Curve::Hlg.linearize(sample).powf(HLG_SYSTEM_GAMMA.recip()),
        }
    }

    /// Linear sRGB of whatever range, some of it perhaps below 0, as a display of standard range shows it.
    pub fn displayed(self, light: [f32; 3]) -> [f32; 3] {
        match self {
            Self::Pq => rolled_off(light),
            Self::Hlg => {
                let [red, green, blue] = light;
                let luminance = (0.2126 * red + 0.7152 * green + 0.0722 * blue).max(0.0);
                let gain = luminance.powf((HLG_SYSTEM_GAMMA - 1.0) as f32);
                let gain = gain * (HLG_PEAK / REFERENCE_WHITE) as f32;
                rolled_off(light.map(|channel| channel * gain))
            }
            Self::Srgb | Self::Power(_) | Self::Standard(_) => light,
        }
    }
}

/// Whether a gAMA says no more than that the picture is made for ordinary displays.
pub(super) fn is_srgb(gamma: f64) -> bool {
    (gamma - SRGB_GAMMA).abs() < GAMMA_TOLERANCE
}

/// Light above the shoulder in what is left up to 1, ever more of it in ever less, without a kink. By the
/// brightest channel, and all three alike: so hues stay.
fn rolled_off(light: [f32; 3]) -> [f32; 3] {
    let light = light.map(|channel| channel.max(0.0));
    let peak = light.into_iter().fold(0.0, f32::max);
    if peak <= SHOULDER {
        return light;
    }
    let room = 1.0 - SHOULDER;
    let above = (peak - SHOULDER) / room;
    let scale = (SHOULDER + room * above / (1.0 + above)) / peak;
    light.map(|channel| channel * scale)
}

/// The sample of 8 bits nearest to light from 0 to 1, and within a twentieth of one where it is darkest.
pub(super) fn srgb_sample(light: f32) -> u8 {
    SRGB_SAMPLES[(light.clamp(0.0, 1.0) * LAST_SAMPLE as f32 + 0.5) as usize]
}

const LAST_SAMPLE: usize = 0xffff;

static SRGB_SAMPLES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let sample = |light: usize| (Curve::Srgb.gamma(light as f64 / LAST_SAMPLE as f64) * 255.0).round() as u8;
    (0..=LAST_SAMPLE).map(sample).collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(transfer: Transfer, sample: f64) -> [u8; 3] {
        transfer.displayed([transfer.light(sample) as f32; 3]).map(srgb_sample)
    }

    #[test]
    fn srgb_returns_every_sample_as_it_was() {
        for sample in 0..=255 {
            assert_eq!(shown(Transfer::Srgb, f64::from(sample) / 255.0), [sample; 3]);
        }
    }

    #[test]
    fn black_is_black_and_white_is_white_or_brighter_by_every_code_point() {
        for code_point in 0..=255 {
            let Some(transfer) = Transfer::from_code_point(code_point) else { continue };
            let (black, white) = (transfer.light(0.0), transfer.light(1.0));
            assert!(black < 0.011 && white > 0.999, "{code_point}: {black} to {white}");
            let mut last = 0;
            for sample in 0..=1000 {
                let [shown, ..] = shown(transfer, f64::from(sample) / 1000.0);
                assert!(shown >= last, "{code_point} at {sample}");
                last = shown;
            }
        }
    }

    /// BT.2408-7, table 1: 58 % of PQ and 75 % of HLG are 203 cd/m², 38 % and 38 % grey cards of 26.
    #[test]
    fn reference_white_and_grey_card_are_alike_in_pq_and_hlg() {
        for (pq, hlg, expected) in [(0.581, 0.75, 231), (0.381, 0.38, 101)] {
            let (pq, hlg) = (shown(Transfer::Pq, pq)[0], shown(Transfer::Hlg, hlg)[0]);
            assert!(pq.abs_diff(expected) <= 1 && hlg.abs_diff(expected) <= 1, "{pq} {hlg} {expected}");
        }
    }

    #[test]
    fn highlights_end_below_white_and_keep_their_hue() {
        let [red, green, blue] = rolled_off([8.0, 4.0, -1.0]);
        assert!(red > 0.97 && red < 1.0, "{red}");
        assert!((green * 2.0 - red).abs() < 1e-6 && blue == 0.0, "{red} {green} {blue}");
    }
}
