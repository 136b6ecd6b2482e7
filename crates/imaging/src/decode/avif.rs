//! AVIF: its coded items to one picture. Owns the order in which they are decoded, so that no two are in
//! memory at once, and what the file says that its colours are; AV1 itself is `av1`'s, and arithmetic `yuv`'s.

use contract::MediaType;

use super::Decoded;
use super::yuv::{Matrix, Sample, paint_alpha, paint_colour, unmultiply};
use crate::av1::{self, Claim, Frame, MAX_LAYERS, SequenceHeader};
use crate::avif::{Avif, Plan};
use crate::error::Error;
use crate::geometry::Rect;
use crate::guard::contained;
use crate::heif::corrupt;
use crate::pixels::{Channels, Colour, Pixels, Samples};
use crate::probe::Probe;

pub(super) fn decode(bytes: &[u8], probe: &Probe) -> Result<Decoded, Error> {
    contained(|| Ok::<_, String>(decode_unguarded(bytes, probe)))
        .map_err(|problem| Error::corrupt(MediaType::Avif, problem))?
}

fn decode_unguarded(bytes: &[u8], probe: &Probe) -> Result<Decoded, Error> {
    let avif = Avif::read(bytes)?;
    if avif.crop.size != probe.stored() {
        return Err(corrupt("its header changed"));
    }
    let channels = avif.channels();
    let (samples, header) = if avif.colour.config.sample_bytes() == 1 {
        let (samples, header) = samples::<u8>(&avif, channels)?;
        (Samples::Eight(samples), header)
    } else {
        let (samples, header) = samples::<u16>(&avif, channels)?;
        (Samples::Sixteen(samples), header)
    };
    let pixels = Pixels { size: avif.crop.size, channels, samples };
    Ok(Decoded { pixels, colour: colour(&avif, &header) })
}

/// All samples, and the coded data's own word on what they mean.
fn samples<T: Sample>(avif: &Avif, channels: Channels) -> Result<(Vec<T>, SequenceHeader), Error> {
    let mut samples = Vec::new();
    let mut first = None;
    each_frame(avif, &avif.colour, |frame, area| {
        // Not before the first frame is there: decoding it took more than it does.
        if samples.is_empty() {
            let count = avif.crop.size.pixels() * channels.count() as u64;
            samples = vec![T::default(); usize::try_from(count).unwrap_or(usize::MAX)];
        }
        let header = *first.get_or_insert(frame.header);
        let matrix = Matrix::of(avif.nclx.as_ref(), &header)?;
        paint_colour(frame, area, avif.crop, &matrix, channels, &mut samples);
        Ok(())
    })?;
    if let Some(alpha) = &avif.alpha {
        each_frame(avif, alpha, |frame, area| {
            paint_alpha(frame, area, avif.crop, channels, &mut samples);
            Ok(())
        })?;
        if avif.is_premultiplied {
            unmultiply(&mut samples, channels);
        }
    }
    Ok((samples, first.ok_or_else(|| corrupt("it has no pixels"))?))
}

/// Decodes every item of a plan that shows something, one at a time.
fn each_frame(
    avif: &Avif,
    plan: &Plan,
    mut paint: impl FnMut(&Frame, Rect) -> Result<(), Error>,
) -> Result<(), Error> {
    let max_frames = if plan.is_layered { MAX_LAYERS } else { 1 };
    for coded in avif.coded(plan) {
        let coded = coded?;
        let claim = Claim {
            size: plan.tile,
            config: plan.config,
            operating_point: coded.operating_point,
            max_frames,
        };
        paint(&av1::decode(coded.data, claim)?, coded.area)?;
    }
    Ok(())
}

/// A profile stands above code points, and the file's above those of the coded data. What is not
/// specified is sRGB's.
fn colour(avif: &Avif, header: &SequenceHeader) -> Colour {
    if let Some(icc) = avif.icc {
        return Colour::Icc(icc.to_vec());
    }
    let (primaries, transfer) =
        avif.nclx.map_or((header.primaries, header.transfer), |nclx| (nclx.primaries, nclx.transfer));
    let specified = |code: u8, srgb: u8| if matches!(code, 0 | 2) { srgb } else { code };
    match (specified(primaries, 1), specified(transfer, 13)) {
        (1, 13) => Colour::Srgb,
        (primaries, transfer) => Colour::Cicp { primaries, transfer },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;
    use crate::heif::Items;
    use crate::testing::probed;
    use crate::testing::{HeifFile, HeifItem, avif, avif_with_alpha};

    fn decoded(bytes: &[u8]) -> Result<Pixels, Error> {
        let probe = probed(bytes)?;
        let pixels = decode(bytes, &probe)?.pixels;
        assert_eq!(pixels.size, probe.stored());
        Ok(pixels)
    }

    fn eight(pixels: Pixels) -> Vec<u8> {
        let Samples::Eight(samples) = pixels.samples else { panic!() };
        samples
    }

    /// The primary item of a file, as one to write into another.
    fn item(bytes: &[u8], id: u32) -> HeifItem {
        let items = Items::read(bytes).unwrap();
        let found = items.item(items.primary).unwrap();
        let properties = items.properties(found).unwrap().into_iter();
        let properties =
            properties.map(|(property, essential)| (property.kind, property.payload.to_vec(), essential));
        HeifItem { id, kind: found.kind, data: items.data(found).unwrap(), properties: properties.collect() }
    }

    fn sides(width_px: u32, height_px: u32) -> Vec<u8> {
        [[0; 4], width_px.to_be_bytes(), height_px.to_be_bytes()].concat()
    }

    /// The fixture with one property in another's place.
    fn with(kind: [u8; 4], payload: Vec<u8>) -> Vec<u8> {
        let mut item = item(avif(), 1);
        item.properties.retain(|property| property.0 != kind);
        item.properties.push((kind, payload, true));
        HeifFile { items: vec![item], ..HeifFile::default() }.bytes()
    }

    #[test]
    fn a_grid_shows_its_tiles_side_by_side_and_cut_off_at_its_edges() {
        let tile = eight(decoded(avif()).unwrap());
        let data = [&[0, 0, 1, 1], [500u16.to_be_bytes(), 301u16.to_be_bytes()].concat().as_slice()].concat();
        let grid =
            HeifItem { id: 9, kind: *b"grid", data, properties: vec![(*b"ispe", sides(500, 301), false)] };
        for is_wide in [false, true] {
            let file = HeifFile {
                items: vec![grid.clone(), item(avif(), 1)],
                references: vec![(*b"dimg", 9, vec![1; 4])],
                is_wide,
            };
            let pixels = decoded(&file.bytes()).unwrap();
            assert_eq!((pixels.size, pixels.channels), (Size::new(500, 301), Channels::Rgb));
            let whole = eight(pixels);
            for (x, y) in
                [(0, 0), (299, 199), (300, 0), (499, 0), (0, 200), (299, 300), (300, 200), (499, 300)]
            {
                let at = |samples: &[u8], x: usize, y: usize, width: usize| {
                    samples[(y * width + x) * 3..][..3].to_vec()
                };
                assert_eq!(at(&whole, x, y, 500), at(&tile, x % 300, y % 200, 300), "{x} {y}");
            }
        }
    }

    #[test]
    fn a_crop_is_a_part_of_the_whole() {
        let whole = eight(decoded(avif()).unwrap());
        let numbers = [101u32, 1, 51, 1, 3, 1, 5, 1];
        let cropped =
            decoded(&with(*b"clap", numbers.iter().flat_map(|n| n.to_be_bytes()).collect())).unwrap();
        assert_eq!(cropped.size, Size::new(101, 51));
        let expected = (79..79 + 51).flat_map(|y| &whole[(y * 300 + 102) * 3..][..101 * 3]);
        assert!(eight(cropped).iter().eq(expected));
    }

    #[test]
    fn a_file_that_lies_about_its_pixels_is_refused() {
        for (kind, payload, expected) in [
            (*b"ispe", sides(299, 200), "another size or kind"),
            (*b"ispe", sides(300, 201), "another size or kind"),
            // 10 bits; monochrome.
            (*b"av1C", vec![0x81, 0, 0x4c, 0], "another size or kind"),
            (*b"av1C", vec![0x81, 0, 0x1c, 0], "another size or kind"),
        ] {
            let error = decoded(&with(kind, payload)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
        // More chroma than there is costs nothing but the estimate.
        assert_eq!(decoded(&with(*b"av1C", vec![0x81, 0, 0, 0])).unwrap().size, Size::new(300, 200));
    }

    #[test]
    fn a_second_frame_that_was_not_claimed_is_refused() {
        let mut item = item(avif(), 1);
        item.data = item.data.repeat(2);
        let bytes = HeifFile { items: vec![item], ..HeifFile::default() }.bytes();
        assert!(decoded(&bytes).unwrap_err().to_string().contains("number of frames"));
    }

    #[test]
    fn alpha_is_straight_however_it_was_stored() {
        let straight = decoded(avif_with_alpha()).unwrap();
        assert_eq!(straight.channels, Channels::Rgba);
        let samples = eight(straight);
        assert_eq!(samples[..4][3], 0);
        assert_eq!(samples[(200 * 400 + 200) * 4..][..4], [255; 4]);
    }

    #[test]
    fn what_the_file_says_of_colour_stands_above_what_its_pixels_say() {
        let colour = |payload: &[u8]| {
            let bytes = with(*b"colr", payload.to_vec());
            let probe = probed(&bytes).unwrap();
            decode(&bytes, &probe).unwrap().colour
        };
        assert_eq!(colour(b"nclx\0\x01\0\x0d\0\x06\x80"), Colour::Srgb);
        assert_eq!(colour(b"nclx\0\x02\0\x02\0\x02\x80"), Colour::Srgb);
        assert_eq!(colour(b"nclx\0\x0c\0\x0d\0\x06\x80"), Colour::Cicp { primaries: 12, transfer: 13 });
        assert_eq!(colour(b"nclx\0\x09\0\x10\0\x09\x80"), Colour::Cicp { primaries: 9, transfer: 16 });
        assert_eq!(colour(b"profile"), Colour::Icc(b"ile".to_vec()));
        let rare = with(*b"colr", b"nclx\0\x01\0\x0d\0\x0e\x80".to_vec());
        assert!(matches!(decoded(&rare), Err(Error::Unsupported { .. })));
    }
}
