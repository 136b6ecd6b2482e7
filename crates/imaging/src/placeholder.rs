//! What a page shows until a rendition has loaded: a ThumbHash and the dominant colour. Computed from a
//! picture of at most 100 px; never from more.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contract::manifest::Placeholder;
use contract::recipe::Color;

use crate::geometry::Size;
use crate::pixels::Picture;

/// The most that ThumbHash takes. <https://evanw.github.io/thumbhash/>
pub(crate) const LIMIT: Size = Size::new(100, 100);
/// Colours that agree in this many high bits of each channel count as one.
const COLOUR_BITS: usize = 3;
/// Alpha from which on a pixel's colour counts.
const OPAQUE_ALPHA: u8 = 128;

/// The placeholder of a whole picture within [`LIMIT`]; `background` where all of it is transparent.
pub(crate) fn placeholder(picture: &Picture, background: Color) -> Placeholder {
    let pixels = rgba(picture);
    let (width, height) = (picture.size.width_px as usize, picture.size.height_px as usize);
    let hash = thumbhash::rgba_to_thumb_hash(width, height, pixels.as_flattened());
    let color = dominant(&pixels).unwrap_or(background);
    Placeholder { thumbhash: STANDARD.encode(hash), color: color.to_string() }
}

fn rgba(picture: &Picture) -> Vec<[u8; 4]> {
    if picture.has_alpha {
        return picture.data.as_chunks().0.to_vec();
    }
    picture.data.as_chunks().0.iter().map(|[red, green, blue]| [*red, *green, *blue, 255]).collect()
}

/// The mean of the commonest colours: a mean of all would be a grey that is nowhere in the picture.
fn dominant(pixels: &[[u8; 4]]) -> Option<Color> {
    let mut bins = vec![(0u32, [0u32; 3]); 1 << (3 * COLOUR_BITS)];
    for [red, green, blue, _] in pixels.iter().filter(|pixel| pixel[3] >= OPAQUE_ALPHA) {
        let index = [red, green, blue]
            .iter()
            .fold(0, |index, sample| index << COLOUR_BITS | usize::from(**sample) >> (8 - COLOUR_BITS));
        let (count, sums) = &mut bins[index];
        *count += 1;
        sums.iter_mut().zip([red, green, blue]).for_each(|(sum, sample)| *sum += u32::from(*sample));
    }
    let (count, sums) = bins.into_iter().max_by_key(|(count, _)| *count)?;
    let mean = |sum: u32| sum.checked_div(count).map(|mean| mean as u8);
    Some(Color { red: mean(sums[0])?, green: mean(sums[1])?, blue: mean(sums[2])? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_dominant_colour_is_one_of_the_pictures_own() {
        let pixels = [[[250, 10, 10, 255]; 5], [[10, 10, 250, 255]; 5], [[252, 12, 12, 255]; 5]].concat();
        assert_eq!(dominant(&pixels).unwrap().to_string(), "#fb0b0b");
        assert_eq!(dominant(&[[250, 10, 10, 0]; 5]), None);
    }

    proptest! {
        #[test]
        fn every_size_has_a_placeholder(width in 1u32..=100, height in 1u32..=100, alpha in any::<u8>()) {
            let data = [10, 20, 30, alpha].repeat((width * height) as usize);
            let picture = Picture { size: Size::new(width, height), has_alpha: true, data };
            let placeholder = placeholder(&picture, Color::default());
            let hash = STANDARD.decode(placeholder.thumbhash).unwrap();
            prop_assert!((5..=25).contains(&hash.len()));
        }
    }
}
