//! What a rendition should look like: the whole photo reduced by Lanczos 3 in f64. Two ways, as there is no one
//! right way: over light, as the eye sees from afar, and over samples, as most programs do. Never quick.

use std::iter::zip;

use image::RgbImage;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Light,
    Samples,
}

/// Of each output pixel, the first input pixel and the weights from there on.
type Windows = Vec<(usize, Vec<f64>)>;

pub fn reduced(photo: &RgbImage, (width_px, height_px): (u32, u32), over: Over) -> RgbImage {
    let (from_width, from_height) = photo.dimensions();
    let values = std::array::from_fn(|sample| over.value(sample as f64 / 255.0));
    let narrow = columns(photo.as_raw(), &values, from_width as usize, width_px as usize);
    let small = rows(&narrow, from_height as usize, height_px as usize);
    let level = |value: f64| (over.sample(value.clamp(0.0, 1.0)) * 255.0).round() as u8;
    let samples: Vec<u8> = small.into_iter().map(level).collect();
    RgbImage::from_raw(width_px, height_px, samples).unwrap_or_default()
}

impl Over {
    fn value(self, sample: f64) -> f64 {
        match self {
            Self::Samples => sample,
            Self::Light if sample <= 0.04045 => sample / 12.92,
            Self::Light => ((sample + 0.055) / 1.055).powf(2.4),
        }
    }

    fn sample(self, value: f64) -> f64 {
        match self {
            Self::Samples => value,
            Self::Light if value <= 0.003_130_8 => value * 12.92,
            Self::Light => 1.055 * value.powf(1.0 / 2.4) - 0.055,
        }
    }
}

fn columns(samples: &[u8], values: &[f64; 256], from: usize, to: usize) -> Vec<f64> {
    let windows = windows(from, to);
    let mut narrow = Vec::with_capacity(samples.len() / from * to);
    for row in samples.chunks_exact(from * 3) {
        for (start, weights) in &windows {
            let mut mean = [0.0; 3];
            for (pixel, weight) in zip(row[start * 3..].chunks_exact(3), weights) {
                (0..3).for_each(|channel| mean[channel] += values[usize::from(pixel[channel])] * weight);
            }
            narrow.extend(mean);
        }
    }
    narrow
}

fn rows(values: &[f64], from: usize, to: usize) -> Vec<f64> {
    let in_row = values.len() / from;
    let mut small = Vec::with_capacity(in_row * to);
    for (start, weights) in windows(from, to) {
        let mut mean = vec![0.0; in_row];
        for (row, weight) in zip(values[start * in_row..].chunks_exact(in_row), weights) {
            zip(&mut mean, row).for_each(|(mean, value)| *mean += value * weight);
        }
        small.extend(mean);
    }
    small
}

fn windows(from: usize, to: usize) -> Windows {
    let ratio = from as f64 / to as f64;
    let of = |index: usize| {
        let centre = (index as f64 + 0.5) * ratio;
        let start = (centre - 3.0 * ratio).max(0.0) as usize;
        let end = ((centre + 3.0 * ratio).ceil() as usize).min(from);
        let weight = |at: usize| lanczos((at as f64 + 0.5 - centre) / ratio);
        let sum: f64 = (start..end).map(weight).sum();
        (start, (start..end).map(|at| weight(at) / sum).collect())
    };
    (0..to).map(of).collect()
}

fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { x.sin() / x };
    let turned = x * std::f64::consts::PI;
    if x.abs() < 3.0 { sinc(turned) * sinc(turned / 3.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fine_stripes_become_the_mean_of_light_or_of_samples() {
        let stripes = RgbImage::from_fn(96, 96, |x, _| image::Rgb([if x % 2 == 0 { 255 } else { 0 }; 3]));
        for (over, expected) in [(Over::Samples, 128_u8), (Over::Light, 188)] {
            let small = reduced(&stripes, (12, 12), over);
            assert!(
                small.get_pixel(6, 6).0[0].abs_diff(expected) <= 2,
                "{over:?} {:?}",
                small.get_pixel(6, 6)
            );
        }
    }

    #[test]
    fn the_same_size_is_the_same_picture() {
        let photo = RgbImage::from_fn(20, 10, |x, y| image::Rgb([(x * 12) as u8, (y * 25) as u8, 77]));
        for over in [Over::Samples, Over::Light] {
            assert_eq!(reduced(&photo, (20, 10), over), photo);
        }
    }
}
