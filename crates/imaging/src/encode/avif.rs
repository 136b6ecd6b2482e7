//! A finished picture as AVIF: RGB to planes, the planes through libaom, the frames into their container.
//! Owns what quality means; never writes metadata but what it is given.

use avif_serialize::Aviffy;

use super::hidden::filled;
use crate::geometry::Size;
use crate::libaom::{MAX_QUANTISER, Planes, encode as encode_frame};
use crate::pixels::Picture;

/// Alpha is smooth or an edge, and costs little; what is lost of it is seen at once.
const ALPHA_QUANTISER: u8 = 8;

/// The picture at a quality of 1 to 100.
pub(crate) fn encode(picture: &Picture, quality: u8, exif: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let colour = encode_colour(picture, quantiser(quality))?;
    let alpha = picture.has_alpha.then(|| encode_alpha(picture)).transpose()?;
    let mut file = Aviffy::new();
    file.set_chroma_subsampling((true, true)).set_seq_profile(0);
    if let Some(exif) = exif {
        file.set_exif(exif.to_vec());
    }
    let mut bytes = Vec::with_capacity(colour.len() + alpha.as_ref().map_or(0, Vec::len) + 1024);
    file.write(&mut bytes, &colour, alpha.as_deref(), picture.size.width_px, picture.size.height_px, 8)
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Evenly, as libavif spreads them: 100 is 0, and 0 would be the coarsest.
fn quantiser(quality: u8) -> u8 {
    let coarseness = u32::from(100 - quality.min(100));
    ((coarseness * u32::from(MAX_QUANTISER) + 50) / 100) as u8
}

fn encode_colour(picture: &Picture, quantiser: u8) -> Result<Vec<u8>, String> {
    let (luma, [cb, cr]) = if picture.has_alpha {
        planes::<4>(filled(picture).as_deref().unwrap_or(&picture.data), picture.size)
    } else {
        planes::<3>(&picture.data, picture.size)
    };
    encode_frame(&Planes { size: picture.size, luma: &luma, chroma: Some([&cb, &cr]) }, quantiser)
}

fn encode_alpha(picture: &Picture) -> Result<Vec<u8>, String> {
    let luma: Vec<u8> = picture.data.iter().skip(3).step_by(4).copied().collect();
    encode_frame(&Planes { size: picture.size, luma: &luma, chroma: None }, ALPHA_QUANTISER)
}

/// Weights of red, green and blue in luma, and what scales the differences to it into Cb and Cr: BT.601,
/// full range (ITU-T H.273, matrix coefficients 6), in parts of 2^16.
const LUMA: [i32; 3] = [19_595, 38_470, 7_471];
const CB: [i32; 3] = [-11_059, -21_709, 32_768];
const CR: [i32; 3] = [32_768, -27_439, -5_329];
const HALF: i32 = 1 << 15;

/// Luma at full size, Cb and Cr as the means of two by two pixels.
fn planes<const CHANNELS: usize>(data: &[u8], size: Size) -> (Vec<u8>, [Vec<u8>; 2]) {
    let (pixels, _) = data.as_chunks::<CHANNELS>();
    let luma = pixels.iter().map(|pixel| (weighted(LUMA, pixel.map(i32::from)) >> 16) as u8).collect();
    let (width, height) = size.sides();
    let chroma_len = width.div_ceil(2) * height.div_ceil(2);
    let mut chroma = [Vec::with_capacity(chroma_len), Vec::with_capacity(chroma_len)];
    for rows in pixels.chunks(2 * width) {
        // The last row of an odd height stands for the one that is missing below it, and so with columns.
        let (above, below) = rows.split_at(width);
        let below = if below.is_empty() { above } else { below };
        for (above, below) in above.chunks(2).zip(below.chunks(2)) {
            let corners = [above[0], above[above.len() - 1], below[0], below[below.len() - 1]];
            let sums = corners.iter().fold([0; CHANNELS], |mut sums, pixel| {
                sums.iter_mut().zip(pixel).for_each(|(sum, sample)| *sum += i32::from(*sample));
                sums
            });
            for (plane, weights) in chroma.iter_mut().zip([CB, CR]) {
                // Four pixels: two more bits.
                let value = (weighted_sum(weights, sums) + (128 << 18) + (1 << 17)) >> 18;
                plane.push(value.clamp(0, 255) as u8);
            }
        }
    }
    (luma, chroma)
}

fn weighted<const CHANNELS: usize>(weights: [i32; 3], pixel: [i32; CHANNELS]) -> i32 {
    weighted_sum(weights, pixel) + HALF
}

fn weighted_sum<const CHANNELS: usize>(weights: [i32; 3], pixel: [i32; CHANNELS]) -> i32 {
    weights[0] * pixel[0] + weights[1] * pixel[1] + weights[2] * pixel[2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::decode;
    use crate::pixels::Samples;
    use crate::testing::{logo, probed, quadrants};
    use proptest::prelude::*;

    #[test]
    fn quality_runs_from_the_coarsest_quantiser_to_the_finest() {
        assert_eq!([0, 1, 60, 99, 100, 255].map(quantiser), [63, 62, 25, 1, 0, 0]);
    }

    #[test]
    fn primary_colours_have_the_planes_that_the_standard_gives() {
        for (pixel, expected) in [
            ([255, 255, 255], (255, 128, 128)),
            ([0, 0, 0], (0, 128, 128)),
            ([255, 0, 0], (76, 85, 255)),
            ([0, 255, 0], (150, 44, 21)),
            ([0, 0, 255], (29, 255, 107)),
            ([100, 100, 100], (100, 128, 128)),
        ] {
            let (luma, [cb, cr]) = planes::<3>(&pixel.repeat(9), Size::new(3, 3));
            assert_eq!((luma.len(), cb.len(), cr.len()), (9, 4, 4));
            assert_eq!((luma[8], cb[3], cr[3]), expected, "{pixel:?}");
        }
    }

    #[test]
    fn a_better_quality_takes_more_bytes_and_alpha_more_still() {
        let noise = |index: u32| (index.wrapping_mul(2_654_435_761) >> 24) as u8;
        let data: Vec<u8> = (0..64 * 64 * 4).map(noise).collect();
        let with_alpha = Picture { size: Size::new(64, 64), has_alpha: true, data: data.clone() };
        let without =
            Picture { size: Size::new(64, 64), has_alpha: false, data: data[..64 * 64 * 3].to_vec() };
        let bytes = |picture: &Picture, quality| encode(picture, quality, None).unwrap().len();
        assert!(bytes(&without, 20) < bytes(&without, 60) && bytes(&without, 60) < bytes(&without, 95));
        assert!(bytes(&without, 60) < bytes(&with_alpha, 60));
    }

    #[test]
    fn an_edge_against_nothing_keeps_its_colour() {
        let mut logo = logo(200);
        let hidden = logo.data.as_chunks_mut::<4>().0.iter_mut().filter(|pixel| pixel[3] == 0);
        hidden.for_each(|pixel| *pixel = [0; 4]);
        let (bytes, edge) = (encode(&logo, 75, None).unwrap(), |pixel: &[u8; 4]| pixel[3] > 127);
        let decoded = decode(&bytes, &probed(&bytes).unwrap(), &[]).unwrap();
        let Samples::Eight(samples) = decoded.pixels.samples else { panic!("16 bits") };
        let seen: Vec<_> = samples.as_chunks::<4>().0.iter().filter(|pixel| edge(pixel)).collect();
        assert!(seen.len() > 20_000);
        let off = |pixel: &[u8; 4]| (0..3).map(|c| pixel[c].abs_diff([228, 87, 46][c])).max().unwrap_or(0);
        let worst = seen.iter().map(|pixel| off(pixel)).max();
        assert!(worst <= Some(6), "{worst:?}");
    }

    #[test]
    fn exif_is_in_the_file_only_where_it_is_given() {
        let exif = b"MM\0*\0\0\0\x08\0\0\0\0\0\0";
        let contains = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        let (with, without) = (
            encode(&quadrants(16, 16), 60, Some(exif)).unwrap(),
            encode(&quadrants(16, 16), 60, None).unwrap(),
        );
        assert!(contains(&with, exif) && contains(&with, b"Exif"));
        assert!(!contains(&without, b"Exif"));
    }

    proptest! {
        #[test]
        fn grey_stays_grey(grey in any::<u8>(), width in 1u32..9, height in 1u32..9) {
            let data = vec![grey; (width * height * 3) as usize];
            let (luma, chroma) = planes::<3>(&data, Size::new(width, height));
            prop_assert!(luma.iter().all(|sample| *sample == grey));
            prop_assert!(chroma.iter().flatten().all(|sample| *sample == 128));
        }
    }
}
