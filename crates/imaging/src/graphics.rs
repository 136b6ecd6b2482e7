//! Tells graphics (screenshots, logos, charts) from photos by their pixels. Owns the measure; never decides
//! how anything is encoded. Looks at a sample, so that it costs next to nothing beside any encoder.

use crate::pixels::Picture;

/// One row in as many is looked at.
const ROW_STEP: usize = 4;

/// A graphic has at least this share of visible pixels, in percent, that equal the one before. Smooth
/// photos reach a third; screenshots whose text was made small have two thirds.
const MIN_EQUAL_PERCENT: usize = 60;

/// How many pixels are looked at for their colours, evenly spread.
const SAMPLES: usize = 4096;

/// At most one in as many of them has a colour of its own. A gradient, or a photo on a white ground, has
/// long runs of equal pixels too, but hardly a colour twice.
const PIXELS_PER_COLOUR: usize = 8;

/// With as few as this a palette serves, runs or not: drawings of a few inks, dithered or hatched.
const PIXELS_PER_PALETTE_COLOUR: usize = 64;

/// Whether there are few colours, in runs.
pub(crate) fn is_graphic(picture: &Picture) -> bool {
    let width = picture.size.width_px as usize;
    if picture.has_alpha {
        is_graphic_of(picture.data.as_chunks::<4>().0, width, |[.., alpha]| alpha > 0)
    } else {
        is_graphic_of(picture.data.as_chunks::<3>().0, width, |_| true)
    }
}

fn is_graphic_of<const N: usize>(
    pixels: &[[u8; N]],
    width: usize,
    is_visible: impl Fn([u8; N]) -> bool,
) -> bool {
    // Odd, so that it does not stay in one column.
    let step = (pixels.len() / SAMPLES) | 1;
    let mut sample: Vec<[u8; N]> =
        pixels.iter().step_by(step).copied().filter(|pixel| is_visible(*pixel)).collect();
    let count = sample.len();
    sample.sort_unstable();
    sample.dedup();
    let colours = sample.len();
    colours * PIXELS_PER_PALETTE_COLOUR <= count
        || colours * PIXELS_PER_COLOUR <= count && has_runs(pixels, width, is_visible)
}

fn has_runs<const N: usize>(pixels: &[[u8; N]], width: usize, is_visible: impl Fn([u8; N]) -> bool) -> bool {
    let (mut visible, mut equal) = (0, 0);
    for row in pixels.chunks_exact(width.max(1)).step_by(ROW_STEP) {
        for (before, pixel) in row.iter().zip(row.iter().skip(1)) {
            let counts = is_visible(*pixel);
            visible += usize::from(counts);
            equal += usize::from(counts && before == pixel);
        }
    }
    equal * 100 >= visible * MIN_EQUAL_PERCENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;
    use crate::testing::{drawn, logo, quadrants, screenshot};

    fn noise(width_px: u32, height_px: u32) -> Picture {
        drawn(width_px, height_px, |x, y| {
            let hash = (x.wrapping_mul(73_856_093) ^ y.wrapping_mul(19_349_663)).wrapping_mul(0x9e37_79b1);
            let [red, green, blue, _] = hash.to_be_bytes();
            [red, green, blue, 255]
        })
    }

    #[test]
    fn screenshots_and_logos_are_graphics() {
        for picture in [quadrants(300, 200), screenshot(800, 600), logo(500)] {
            assert!(is_graphic(&picture), "{:?}", picture.size);
        }
    }

    #[test]
    fn noise_and_gradients_are_not() {
        let across = drawn(800, 600, |x, y| [(x / 4) as u8, (y / 3) as u8, (x + y) as u8 / 2, 255]);
        for picture in [noise(300, 200), across] {
            assert!(!is_graphic(&picture), "{:?}", picture.size);
        }
    }

    #[test]
    fn what_cannot_be_seen_has_no_say() {
        let mut photo = noise(300, 200);
        for (index, pixel) in photo.data.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            if index % 300 > 30 {
                *pixel = [0; 4];
            }
        }
        assert!(!is_graphic(&photo));
    }

    #[test]
    fn the_smallest_pictures_are_either() {
        for (width_px, height_px) in [(1, 1), (1, 9), (9, 1), (2, 2)] {
            is_graphic(&noise(width_px, height_px));
            is_graphic(&Picture {
                size: Size::new(width_px, height_px),
                has_alpha: false,
                data: vec![7; (width_px * height_px * 3) as usize],
            });
        }
    }
}
