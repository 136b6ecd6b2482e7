//! Where a picture draws the eye: the part with detail, skin and saturation. Owns how much each counts;
//! never sees more than a small picture, and counts in integers, so that every machine cuts alike.

use crate::geometry::{Rect, Size};
use crate::pixels::Picture;

/// The picture that is looked at is within this: faces are still some pixels wide, and grain is gone.
pub(crate) const LIMIT: Size = Size::new(100, 100);

/// How much an edge, skin and saturation count. Skin decides, where there is any.
const DETAIL: u32 = 3;
const SKIN: u32 = 10;
const SATURATION: u32 = 1;
/// Skin's share of red and green in all three, in 256ths. Brightness tells skins apart, these hardly do.
const SKIN_SHARES: [u32; 2] = [114, 81];
/// How far both shares together may be off.
const SKIN_RANGE: u32 = 24;
/// Darker, or closer to white, pixels have no colour that means anything.
const COLOURED: std::ops::RangeInclusive<u32> = 40..=240;
/// Saturation below this is everywhere.
const SATURATED_FROM: u32 = 96;
/// Scores within this part of the best are as good: the most central of them is taken.
const NEAR: u64 = 24;

/// The part of the size `crop`, of a picture displayed at `displayed`, that draws the eye most. `picture` is
/// all of it, upright and small. As covers are, the part is as wide or as high as the picture.
pub(crate) fn crop(picture: &Picture, displayed: Size, crop: Size) -> Rect {
    let scores = scores(picture);
    let (columns, _) = picture.size.sides();
    let mut across = vec![0; columns];
    let mut down = Vec::new();
    for row in scores.chunks(columns) {
        across.iter_mut().zip(row).for_each(|(sum, score)| *sum += u64::from(*score));
        down.push(row.iter().copied().map(u64::from).sum());
    }
    let left_px = start(&across, displayed.width_px, crop.width_px);
    let top_px = start(&down, displayed.height_px, crop.height_px);
    Rect { left_px, top_px, size: crop }
}

/// Where, on a side of `whole_px`, the part of `part_px` with the highest score starts.
fn start(scores: &[u64], whole_px: u32, part_px: u32) -> u32 {
    let spare_px = whole_px - part_px;
    let whole = scores.len();
    let part = (whole * part_px as usize).div_ceil(whole_px as usize);
    let sums = running(scores);
    let positions = whole - part;
    // What is in the middle half of the part counts twice: it is not to be cut at an edge.
    let margin = part / 4;
    let score = |at: usize| sums[at + part] - sums[at] + sums[at + part - margin] - sums[at + margin];
    let best = (0..=positions).map(score).max().unwrap_or(0);
    let off_centre = |at: &usize| (2 * at).abs_diff(positions);
    let near = (0..=positions).filter(|at| score(*at) >= best - best / NEAR).min_by_key(off_centre);
    match near {
        Some(at) if off_centre(&at) > 1 => (u64::from(spare_px) * at as u64 / positions as u64) as u32,
        _ => spare_px / 2,
    }
}

/// The sum of all scores before each, and of all.
fn running(scores: &[u64]) -> Vec<u64> {
    let sums = scores.iter().scan(0, |sum, score| {
        *sum += score;
        Some(*sum)
    });
    std::iter::once(0).chain(sums).collect()
}

/// Of each pixel.
fn scores(picture: &Picture) -> Vec<u32> {
    let (columns, rows) = picture.size.sides();
    let pixels: Vec<[u32; 4]> = if picture.has_alpha {
        picture.data.as_chunks().0.iter().map(|pixel: &[u8; 4]| pixel.map(u32::from)).collect()
    } else {
        let opaque = |[red, green, blue]: &[u8; 3]| [*red, *green, *blue, 255].map(u32::from);
        picture.data.as_chunks().0.iter().map(opaque).collect()
    };
    // What cannot be seen has no edges.
    let luma: Vec<u32> = pixels.iter().map(|pixel| luma(pixel) * pixel[3] / 255).collect();
    let at = |x: usize, y: usize| luma[y.min(rows - 1) * columns + x.min(columns - 1)];
    let of = |index: usize| {
        let (x, y) = (index % columns, index / columns);
        let across = at(x + 1, y).abs_diff(at(x.saturating_sub(1), y));
        let down = at(x, y + 1).abs_diff(at(x, y.saturating_sub(1)));
        let pixel = &pixels[index];
        let colour = SKIN * skin(pixel) + SATURATION * saturation(pixel);
        DETAIL * (across + down).min(255) + colour * pixel[3] / 255
    };
    (0..pixels.len()).map(of).collect()
}

/// ITU-R BT.709, in 256ths.
fn luma([red, green, blue, _]: &[u32; 4]) -> u32 {
    (54 * red + 183 * green + 19 * blue) / 256
}

/// 0 to 255.
fn skin(pixel: &[u32; 4]) -> u32 {
    let [red, green, blue, _] = *pixel;
    if !COLOURED.contains(&luma(pixel)) {
        return 0;
    }
    let share = |sample: u32| sample * 256 / (red + green + blue);
    let off = share(red).abs_diff(SKIN_SHARES[0]) + share(green).abs_diff(SKIN_SHARES[1]);
    SKIN_RANGE.saturating_sub(off) * 255 / SKIN_RANGE
}

/// 0 to 255.
fn saturation(pixel: &[u32; 4]) -> u32 {
    let [red, green, blue, _] = *pixel;
    if !COLOURED.contains(&luma(pixel)) {
        return 0;
    }
    let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
    let saturation = (most - least) * 255 / most.max(1);
    saturation.saturating_sub(SATURATED_FROM) * 255 / (255 - SATURATED_FROM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: Size = Size::new(100, 60);
    const DISPLAYED: Size = Size::new(4000, 2400);
    const SQUARE: Size = Size::new(2400, 2400);

    /// Grey, but for what `pixel` says of places.
    fn picture(pixel: impl Fn(i32, i32) -> Option<[u8; 3]>) -> Picture {
        let at = |index: i32| pixel(index % 100, index / 100).unwrap_or([128; 3]);
        Picture { size: SIZE, has_alpha: false, data: (0..100 * 60).flat_map(at).collect() }
    }

    fn left_px(picture: &Picture) -> u32 {
        let Rect { left_px, top_px, size } = crop(picture, DISPLAYED, SQUARE);
        assert_eq!((top_px, size), (0, SQUARE));
        left_px
    }

    fn disc(x: i32, y: i32, colour: [u8; 3]) -> Picture {
        picture(|at_x, at_y| ((at_x - x).pow(2) + (at_y - y).pow(2) < 64).then_some(colour))
    }

    #[test]
    fn of_a_flat_picture_the_centre_is_kept() {
        assert_eq!(left_px(&picture(|_, _| None)), 800);
        assert_eq!(left_px(&picture(|_, _| Some([230, 170, 140]))), 800);
    }

    #[test]
    fn skin_of_every_tone_is_kept_in_the_middle() {
        for tone in [[244, 208, 177], [231, 158, 109], [198, 134, 94], [141, 85, 54], [92, 56, 38]] {
            let (left, right) = (left_px(&disc(20, 30, tone)), left_px(&disc(80, 30, tone)));
            // 40 px a pixel: the disc of 480 to 1120 is inside, and of 2880 to 3520.
            assert!(left <= 480 && right + 2400 >= 3520, "{tone:?} {left} {right}");
        }
    }

    #[test]
    fn detail_and_saturation_draw_the_eye() {
        let detailed =
            picture(|x, y| (x > 75 && (20..40).contains(&y)).then_some([(x * y % 2 * 200) as u8; 3]));
        assert!(left_px(&detailed) >= 1400);
        let saturated = picture(|x, y| (x < 25 && (20..40).contains(&y)).then_some([30, 60, 220]));
        assert!(left_px(&saturated) <= 200);
    }

    #[test]
    fn a_face_counts_more_than_foliage() {
        let face = |x: i32, y: i32| (x - 18).pow(2) + (y - 30).pow(2) < 100;
        let both = picture(|x, y| match () {
            () if face(x, y) => Some([224, 172, 138]),
            () if x > 70 => Some([40, (70 + (x * 7 + y * 13) % 60) as u8, 30]),
            () => None,
        });
        assert!(left_px(&both) <= 320, "{}", left_px(&both));
    }

    #[test]
    fn what_cannot_be_seen_does_not_count() {
        let with = |hidden: fn(u32) -> [u8; 4]| {
            let pixel = |index: u32| if index % 100 >= 80 { hidden(index) } else { [128, 128, 128, 255] };
            Picture { size: SIZE, has_alpha: true, data: (0..100 * 60).flat_map(pixel).collect() }
        };
        let (noise, black) = (with(|index| [255, (index * 97) as u8, 0, 0]), with(|_| [0; 4]));
        assert_eq!(left_px(&noise), left_px(&black));
    }

    #[test]
    fn a_higher_part_is_found_as_a_wider_one_is() {
        let tall = disc(20, 30, [224, 172, 138]);
        let turned = crate::orientation::Orientation::from_exif(5).apply(tall.clone());
        let found = crop(&turned, DISPLAYED.transposed(), SQUARE);
        assert_eq!((found.top_px, found.left_px), (left_px(&tall), 0));
    }

    proptest! {
        #[test]
        fn no_part_leaves_the_picture(
            width in 1u32..=100, height in 1u32..=100, times in 1u32..50, part in 1u32..5000,
            seed in any::<u32>(), has_alpha in any::<bool>(),
        ) {
            let size = Size::new(width, height);
            let samples = size.pixels() as usize * if has_alpha { 4 } else { 3 };
            let noise = |index: usize| ((index as u32 ^ seed).wrapping_mul(747_796_405) >> 24) as u8;
            let picture = Picture { size, has_alpha, data: (0..samples).map(noise).collect() };
            let displayed = Size::new(width * times, height * times);
            for part in [
                Size::new(part.min(displayed.width_px), displayed.height_px),
                Size::new(displayed.width_px, part.min(displayed.height_px)),
            ] {
                let Rect { left_px, top_px, .. } = crop(&picture, displayed, part);
                prop_assert!(left_px + part.width_px <= displayed.width_px);
                prop_assert!(top_px + part.height_px <= displayed.height_px);
            }
        }
    }
}
