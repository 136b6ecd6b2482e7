//! Samples to light and back, by table. Owns the transfer curves in which pixels are reduced; what colours
//! mean beyond that is colour's to say. Never reads pixels.

use moxcms::TransferCharacteristics;

use crate::pixels::Colour;

/// Steps of the square root of light by which a sample is found again. Encodings are nearly straight over
/// that root, so that few steps are many for 8 bits: each is a 32nd of a level at most.
const STEPS_8: usize = 16_384;
/// The same for 16 bits, between which values are interpolated.
const STEPS_16: usize = 65_536;
/// Exponents that a table over the root of light has room for.
const EXPONENTS: std::ops::RangeInclusive<f64> = 0.5..=2.5;
/// Added to a number below it, leaves that in the lowest bits, rounded to the nearest integer.
const INTEGER: f32 = (1 << 23) as f32;

/// How samples encode light.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Transfer {
    Srgb,
    /// Light is the sample to this power.
    Power(f64),
}

impl Transfer {
    /// Near enough to weigh pixels by: the curves of photographs' profiles differ little from sRGB's, and
    /// those of PQ and HLG, made for eyes too, more from light than from it.
    pub fn of(colour: &Colour) -> Self {
        let exponent = match colour {
            Colour::Gamma { gamma, .. } => 1.0 / gamma,
            // H.273: linear.
            Colour::Cicp { transfer: 8, .. } => 1.0,
            Colour::Srgb | Colour::Icc(_) | Colour::Cicp { .. } => return Self::Srgb,
        };
        if EXPONENTS.contains(&exponent) { Self::Power(exponent) } else { Self::Srgb }
    }

    pub fn light(self, sample: f64) -> f64 {
        match self {
            Self::Srgb => TransferCharacteristics::Srgb.linearize(sample),
            Self::Power(exponent) => sample.powf(exponent),
        }
    }

    pub fn sample(self, light: f64) -> f64 {
        match self {
            Self::Srgb => TransferCharacteristics::Srgb.gamma(light),
            Self::Power(exponent) => light.powf(1.0 / exponent),
        }
    }
}

/// A sample of either depth.
pub(super) trait Sample: Copy + Default + Into<f32> {
    const MAX: f32;
    /// Of the square root of light, from 0 on, by which a sample is found again.
    const STEPS: usize;
    /// Light by sample: an array, so that no sample needs a check.
    type Lights;
    /// A sample as it is found by steps.
    type Entry;

    fn lights(of: impl Fn(f64) -> f64) -> Box<Self::Lights>;
    fn light(self, lights: &Self::Lights) -> f32;
    /// The nearest.
    fn rounded(level: f32) -> Self;
    fn entry(level: f32) -> Self::Entry;
    /// The sample at a number of steps.
    fn at(steps: f32, entries: &[Self::Entry]) -> Self;
}

impl Sample for u8 {
    const MAX: f32 = 255.0;
    const STEPS: usize = STEPS_8;
    type Lights = [f32; 1 << 8];
    type Entry = Self;

    fn lights(of: impl Fn(f64) -> f64) -> Box<Self::Lights> {
        table(of)
    }

    fn light(self, lights: &Self::Lights) -> f32 {
        lights[usize::from(self)]
    }

    fn rounded(level: f32) -> Self {
        (level + 0.5) as Self
    }

    fn entry(level: f32) -> Self {
        Self::rounded(level)
    }

    fn at(steps: f32, samples: &[Self]) -> Self {
        samples[(steps + INTEGER).to_bits() as usize % STEPS_8]
    }
}

impl Sample for u16 {
    const MAX: f32 = 65_535.0;
    const STEPS: usize = STEPS_16;
    type Lights = [f32; 1 << 16];
    /// Not rounded yet.
    type Entry = f32;

    fn lights(of: impl Fn(f64) -> f64) -> Box<Self::Lights> {
        table(of)
    }

    fn light(self, lights: &Self::Lights) -> f32 {
        lights[usize::from(self)]
    }

    fn rounded(level: f32) -> Self {
        (level + 0.5) as Self
    }

    fn entry(level: f32) -> f32 {
        level
    }

    fn at(steps: f32, levels: &[f32]) -> Self {
        let below = steps as usize;
        let [low, high] = [below, (below + 1).min(STEPS_16 - 1)].map(|at| levels[at]);
        Self::rounded(low + (high - low) * (steps - below as f32))
    }
}

/// The light of every sample of a depth that has so many.
fn table<const COUNT: usize>(of: impl Fn(f64) -> f64) -> Box<[f32; COUNT]> {
    Box::new(std::array::from_fn(|sample| of(sample as f64 / (COUNT - 1) as f64) as f32))
}

/// The tables of one transfer curve for samples of one depth.
pub(super) struct Curve<S: Sample> {
    pub lights: Box<S::Lights>,
    /// By step of the square root of light.
    entries: Vec<S::Entry>,
}

impl<S: Sample> Curve<S> {
    pub fn new(transfer: Transfer) -> Self {
        let last = (S::STEPS - 1) as f64;
        let sample = |step: usize| transfer.sample((step as f64 / last).powi(2)).min(1.0) as f32;
        Self {
            lights: S::lights(|sample| transfer.light(sample)),
            entries: (0..S::STEPS).map(|step| S::entry(sample(step) * S::MAX)).collect(),
        }
    }

    /// Where the sample of any light is found.
    pub fn steps(light: f32) -> f32 {
        light.clamp(0.0, 1.0).sqrt() * (S::STEPS - 1) as f32
    }

    /// The sample nearest to the light that is found at a number of steps.
    pub fn sample(&self, steps: f32) -> S {
        S::at(steps, &self.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSFERS: [Transfer; 5] = [
        Transfer::Srgb,
        Transfer::Power(2.2),
        Transfer::Power(1.0),
        Transfer::Power(*EXPONENTS.start()),
        Transfer::Power(*EXPONENTS.end()),
    ];

    fn found<S: Sample>(curve: &Curve<S>, light: f32) -> S {
        curve.sample(Curve::<S>::steps(light))
    }

    #[test]
    fn every_sample_is_found_again_from_its_light() {
        for transfer in TRANSFERS {
            let eight = Curve::<u8>::new(transfer);
            let lost = (0..=255u8).find(|sample| found(&eight, sample.light(&eight.lights)) != *sample);
            assert_eq!(lost, None, "{transfer:?}");
            // The darkest of 65 536 levels may be one off where a curve is steepest.
            let allowed = if transfer == Transfer::Srgb { 0 } else { 1 };
            let sixteen = Curve::<u16>::new(transfer);
            let lost = (0..=65_535u16)
                .find(|sample| found(&sixteen, sample.light(&sixteen.lights)).abs_diff(*sample) > allowed);
            assert_eq!(lost, None, "{transfer:?}");
        }
    }

    #[test]
    fn light_outside_the_range_is_the_nearest_within() {
        let curve = Curve::<u8>::new(Transfer::Srgb);
        assert_eq!([-1.0, -0.0, 1.0001, 7.0].map(|light| found(&curve, light)), [0, 0, 255, 255]);
        assert_eq!(found(&curve, 0.5), 188);
    }

    #[test]
    fn a_gamma_that_no_table_has_room_for_is_taken_as_srgbs() {
        let of = |gamma| Transfer::of(&Colour::Gamma { gamma, chromaticities: None });
        assert_eq!(of(1.0), Transfer::Power(1.0));
        assert_eq!(of(0.5), Transfer::Power(2.0));
        for gamma in [0.0, -1.0, 0.01, 100.0, f64::NAN, f64::INFINITY] {
            assert_eq!(of(gamma), Transfer::Srgb, "{gamma}");
        }
    }
}
