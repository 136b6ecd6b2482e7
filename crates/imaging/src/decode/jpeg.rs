//! JPEG by mozjpeg. Owns the scale at which the DCT is decoded, the inversion of CMYK, and handing on rows while
//! more are decoded; what libjpeg's warnings mean is `libjpeg`'s to say. Never decodes what the probe did not see.

use std::cell::Cell;
use std::io;
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use contract::MediaType;
use mozjpeg::{ColorSpace, Decompress, Marker};

use super::{Decoded, Reduced};
use crate::error::Error;
use crate::geometry::Size;
use crate::guard::contained;
use crate::jobs::Job;
use crate::libjpeg::strict_errors;
use crate::pixels::{Channels, Colour, Pixels, Samples};
use crate::probe::{Layout, Probe, Scans, scans};
use crate::resize::{Reductions, come_row_by_row};

/// Most scans of one picture: cameras write 1, optimisers 10 to 20. Each costs a pass over the whole
/// picture and takes but a few bytes, so a small file could keep a decoder busy for hours.
const MAX_SCANS: usize = 100;

/// Where libjpeg keeps the ICC profile, in pieces.
const ICC_MARKER: Marker = Marker::APP(2);

/// Rows that are handed on at once: those of the largest blocks that a JPEG is made of.
const BAND_ROWS: usize = 16;
/// Bands that wait for the thread that reduces them.
const BANDS_AHEAD: usize = 4;

/// All of the picture.
pub(super) fn decode(bytes: &[u8], probe: &Probe, jobs: &[Job]) -> Result<Decoded, Error> {
    let mut data = Vec::new();
    let head = decode_bands(bytes, probe, jobs, usize::MAX, &mut |band| {
        data = band;
        Vec::new()
    })?;
    let Head { size, channels, colour } = head;
    Ok(Decoded { pixels: Pixels { size, channels, samples: Samples::Eight(data) }, colour })
}

/// Whether what was decoded is never in memory as a whole.
pub(crate) fn is_reduced_at_once(components: u8, jobs: &[Job]) -> bool {
    come_row_by_row(layout(components).1, jobs)
}

/// All of the picture, of which no more is in memory at once than when it is rendered.
pub(super) fn decode_and_drop(bytes: &[u8], probe: &Probe, jobs: &[Job]) -> Result<(), Error> {
    match probe.layout {
        Layout::Jpeg { components, .. } if is_reduced_at_once(components, jobs) => {
            decode_bands(bytes, probe, jobs, BAND_ROWS, &mut |band| band).map(drop)
        }
        _ => decode(bytes, probe, jobs).map(drop),
    }
}

/// What the jobs that need the decoder's pixels make of them, reduced while they come, so that they are never
/// in memory together; with more than one of `threads`, on another. None where that cannot be done.
///
/// # Errors
/// As [`decode`]; [`Error::Resize`] or [`Error::NoThread`] where we failed.
pub(super) fn reduce(
    bytes: &[u8],
    probe: &Probe,
    jobs: &[Job],
    threads: usize,
) -> Option<Result<Reduced, Error>> {
    let Layout::Jpeg { components, .. } = probe.layout else { return None };
    if !is_reduced_at_once(components, jobs) {
        return None;
    }
    let size = probe.orientation.turned(scale(probe.displayed(), jobs).1);
    let mut reductions = Reductions::new(probe, size, layout(components).1, jobs);
    Some(if threads > 1 {
        reduce_beside(bytes, probe, jobs, reductions)
    } else {
        let mut failure = None;
        let head = decode_bands(bytes, probe, jobs, BAND_ROWS, &mut |band| {
            // Whatever fails here is no fault of the file, as which it would pass in the decoder.
            let taken = contained(|| {
                reductions.take(&band);
                Ok::<_, String>(())
            });
            failure = failure.take().or(taken.err());
            band
        });
        let failed = failure.map_or(Ok(()), |problem| Err(Error::Resize { problem }));
        head.and_then(|head| failed.map(|()| Reduced { pixels: reductions.finish(), colour: head.colour }))
    })
}

fn reduce_beside(
    bytes: &[u8],
    probe: &Probe,
    jobs: &[Job],
    mut reductions: Reductions,
) -> Result<Reduced, Error> {
    let (send, bands) = sync_channel::<Vec<u8>>(BANDS_AHEAD);
    let (give_back, spare) = channel();
    thread::scope(|scope| {
        let work = || {
            for band in bands {
                reductions.take(&band);
                // None is wanted any more once all rows are there.
                let _ = give_back.send(band);
            }
            reductions.finish()
        };
        let reducing = thread::Builder::new()
            .spawn_scoped(scope, work)
            .map_err(|error| Error::NoThread { problem: error.to_string() })?;
        let head = decode_bands(bytes, probe, jobs, BAND_ROWS, &mut |band| {
            // Only a thread that panicked takes none; what it says comes below.
            let _ = send.send(band);
            spare.try_recv().unwrap_or_default()
        });
        drop(send);
        let pixels = reducing.join().map_err(|_| Error::Resize { problem: "it panicked".to_owned() })?;
        Ok(Reduced { pixels, colour: head?.colour })
    })
}

/// What is known of a picture before its rows.
struct Head {
    size: Size,
    channels: Channels,
    colour: Colour,
}

/// All rows from the top, so many at a time. `take` gives a buffer back for those that follow.
fn decode_bands(
    bytes: &[u8],
    probe: &Probe,
    jobs: &[Job],
    band_rows: usize,
    take: &mut dyn FnMut(Vec<u8>) -> Vec<u8>,
) -> Result<Head, Error> {
    let Layout::Jpeg { components, adobe, coefficient_bytes } = probe.layout else {
        return Err(Error::corrupt(MediaType::Jpeg, "it is of another type"));
    };
    let scans = if coefficient_bytes > 0 { scans(bytes) } else { Scans { count: 1, are_all: true } };
    if scans.count > MAX_SCANS {
        return Err(Error::corrupt(MediaType::Jpeg, format!("it has more than {MAX_SCANS} scans")));
    }
    if !scans.are_all {
        return Err(Error::corrupt(
            MediaType::Jpeg,
            format!("it ends with scan {}, before its last", scans.count),
        ));
    }
    let stored = probe.stored();
    let (eighths, _) = scale(probe.displayed(), jobs);
    let progress = Cell::new(Progress::Header);
    let work = || decode_scaled(bytes, stored, (components, adobe), eighths, &progress, (band_rows, take));
    contained(work).map_err(|problem| {
        let place = match progress.get() {
            Progress::Header => String::new(),
            // The decoder takes in all of them before it hands out a row.
            Progress::Rows(0) if scans.count > 1 => format!(" in its {} scans", scans.count),
            Progress::Rows(rows) => {
                let row = rows as u64 * 8 / u64::from(eighths);
                format!(" at row {row} of {}", stored.height_px)
            }
        };
        Error::corrupt(MediaType::Jpeg, format!("{problem}{place}"))
    })
}

/// How far the decoder came.
#[derive(Clone, Copy)]
enum Progress {
    Header,
    /// As many as were handed out, at its scale.
    Rows(usize),
}

/// Half the size where that leaves one and a half times what every job needs. A DCT averages samples rather
/// than light: by one half that is hardly seen, by more it is, and saves little (docs/resizing.md).
///
/// In eighths, and the size that this gives. `displayed` is the picture's own.
pub(crate) fn scale(displayed: Size, jobs: &[Job]) -> (u8, Size) {
    let half = Size::new(displayed.width_px.div_ceil(2), displayed.height_px.div_ceil(2));
    let is_enough = jobs.iter().all(|job| job.geometry.is_served_by(half, displayed, 3, 2));
    if is_enough { (4, half) } else { (8, displayed) }
}

fn decode_scaled(
    bytes: &[u8],
    stored: Size,
    (components, adobe): (u8, bool),
    eighths: u8,
    progress: &Cell<Progress>,
    (band_rows, take): (usize, &mut dyn FnMut(Vec<u8>) -> Vec<u8>),
) -> io::Result<Head> {
    let builder = Decompress::builder().with_err(strict_errors()).with_markers(&[ICC_MARKER]);
    let mut decoder = builder.from_mem(bytes)?;
    if decoder.size() != (stored.width_px as usize, stored.height_px as usize) {
        return Err(io::Error::other("it has two headers"));
    }
    let colour = icc_profile(&decoder).map_or(Colour::Srgb, Colour::Icc);
    decoder.scale(eighths);
    let (space, channels) = layout(components);
    progress.set(Progress::Rows(0));
    let mut started = decoder.to_colorspace(space)?;
    let size = Size::new(started.width() as u32, started.height() as u32);
    let (width, height) = size.sides();
    let row_len = width * channels.count();
    let (mut band, mut y) = (Vec::new(), 0);
    while y < height {
        band.resize((height - y).min(band_rows) * row_len, 0);
        for row in band.chunks_exact_mut(row_len) {
            started.read_scanlines_into(row)?;
            y += 1;
            progress.set(Progress::Rows(y));
        }
        if channels == Channels::InvertedCmyk && !adobe {
            band.iter_mut().for_each(|sample| *sample = !*sample);
        }
        band = take(band);
    }
    // Reads on to the end of the image: only then have all warnings come.
    started.finish()?;
    Ok(Head { size, channels, colour })
}

/// What the decoder is asked for, and what that is.
const fn layout(components: u8) -> (ColorSpace, Channels) {
    match components {
        1 => (ColorSpace::JCS_GRAYSCALE, Channels::Grey),
        3 => (ColorSpace::JCS_RGB, Channels::Rgb),
        _ => (ColorSpace::JCS_CMYK, Channels::InvertedCmyk),
    }
}

/// The pieces in their order, or none where any is missing. ICC.1, annex B.4.
fn icc_profile(decoder: &Decompress<&[u8]>) -> Option<Vec<u8>> {
    let mut pieces: Vec<(u8, u8, &[u8])> = decoder
        .markers()
        .filter_map(|segment| match segment.data.strip_prefix(b"ICC_PROFILE\0")? {
            [number, count, data @ ..] => Some((*number, *count, data)),
            _ => None,
        })
        .collect();
    pieces.sort_by_key(|piece| piece.0);
    let whole = pieces.iter().enumerate().all(|(index, (number, count, _))| {
        usize::from(*number) == index + 1 && usize::from(*count) == pieces.len()
    });
    (whole && !pieces.is_empty()).then(|| pieces.iter().flat_map(|piece| piece.2).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colour::ToSrgb;
    use crate::jobs::{Base, jobs};
    use crate::resize::Resizer;
    use crate::testing::{
        HandmadeJpeg, drawn, jpeg, probed, progressive_jpeg, quadrants, segment, with_exif,
    };
    use contract::Recipe;

    fn eighths_for(width_px: u32, recipe: &str) -> u8 {
        let recipe = Recipe::parse(recipe).unwrap();
        let size = Size::new(width_px, width_px);
        scale(size, &jobs(size, &recipe)).0
    }

    #[test]
    fn the_scale_leaves_half_as_much_again_as_the_largest_rendition_needs() {
        let recipe = "[[rendition]]\nname = \"a\"\nwidth = 600\n[[rendition]]\nname = \"b\"\nwidth = 300";
        for (width_px, expected) in [(7200, 4), (1800, 4), (1792, 8), (10, 8)] {
            assert_eq!(eighths_for(width_px, recipe), expected, "{width_px}");
        }
    }

    fn decoded(bytes: &[u8]) -> Result<Decoded, Error> {
        let probe = probed(bytes)?;
        decode(bytes, &probe, &[])
    }

    #[test]
    fn what_is_reduced_while_it_comes_is_what_the_whole_is_reduced_to() {
        let recipe = Recipe::parse(
            "[[rendition]]\nname = \"a\"\nwidth = 61\n[[rendition]]\nname = \"b\"\nwidth = 40\nheight = 57\n\
             fit = \"cover\"\n[[rendition]]\nname = \"c\"\nwidth = 5",
        )
        .unwrap();
        let colours = jpeg(&drawn(353, 411, |x, y| [x as u8, y as u8, (x * y) as u8, 255]));
        for exif in [1, 3, 6] {
            let bytes = with_exif(&colours, exif);
            let probe = probed(&bytes).unwrap();
            let jobs = jobs(probe.displayed(), &recipe);
            let of_decoded: Vec<&Job> = jobs.iter().filter(|job| job.base == Base::Decoded).collect();
            let Decoded { pixels, colour } = decode(&bytes, &probe, &jobs).unwrap();
            let resizer = Resizer::new(&colour);
            let expected: Vec<Pixels> = of_decoded
                .iter()
                .map(|job| job.geometry.stored(probe.orientation, probe.displayed()))
                .map(|geometry| resizer.resize(pixels.view(), probe.stored(), &geometry).unwrap())
                .collect();
            for threads in [1, 2] {
                let made = reduce(&bytes, &probe, &jobs, threads).unwrap().unwrap();
                assert_eq!(made.colour, colour);
                assert!(made.pixels.iter().eq(&expected), "{exif}, {threads} threads");
            }
        }
    }

    #[test]
    fn what_breaks_off_while_it_is_reduced_is_refused_in_the_same_words() {
        let recipe = Recipe::parse("[[rendition]]\nname = \"a\"\nwidth = 61").unwrap();
        let whole = jpeg(&quadrants(512, 512));
        let bytes = &whole[..whole.len() - 20];
        let probe = probed(bytes).unwrap();
        let jobs = jobs(probe.displayed(), &recipe);
        let expected = decode(bytes, &probe, &jobs).err().unwrap().to_string();
        for threads in [1, 2] {
            let error = reduce(bytes, &probe, &jobs, threads).unwrap().err().unwrap();
            assert_eq!(error.to_string(), expected);
        }
    }

    /// The one colour of a picture, as sRGB.
    fn shown(bytes: &[u8]) -> [u8; 3] {
        let Decoded { pixels, colour } = decoded(bytes).unwrap();
        let picture = ToSrgb::new(&colour, &pixels).apply(pixels);
        let (pixels, _) = picture.data.as_chunks::<3>();
        assert!(pixels.iter().all(|pixel| *pixel == pixels[0]), "{pixels:?}");
        pixels[0]
    }

    fn refusal(bytes: &[u8]) -> String {
        decoded(bytes).err().unwrap().to_string()
    }

    #[test]
    fn three_components_are_rgb_or_ycc_as_adobe_or_their_names_say() {
        let (rgb, ycc) = ([168, 88, 128], [184, 99, 128]);
        for (ids, samples, adobe, expected) in [
            ([1, 2, 3], [128, 128, 168], None, ycc),
            ([1, 2, 3], [128, 128, 168], Some(1), ycc),
            ([1, 2, 3], [168, 88, 128], Some(0), rgb),
            (*b"RGB", [168, 88, 128], None, rgb),
        ] {
            let components: Vec<_> = ids.into_iter().zip(samples).collect();
            let jpeg = HandmadeJpeg { adobe, ..HandmadeJpeg::new(&components) };
            let close =
                shown(&jpeg.bytes()).iter().zip(expected).all(|(one, other)| one.abs_diff(other) <= 1);
            assert!(close, "{ids:?} {adobe:?}: {:?}", shown(&jpeg.bytes()));
        }
    }

    #[test]
    fn four_components_are_inks_or_their_inversion_or_ycck_as_adobe_says() {
        for (samples, adobe, expected) in [
            // Samples are inks: 255 is all of one.
            ([168, 88, 128, 191], None, [21, 41, 31]),
            // 255 is none of one.
            ([168, 88, 128, 191], Some(0), [125, 65, 95]),
            // The light that inks leave, as YCC, then inverted like the rest.
            ([168, 128, 128, 191], Some(2), [65, 65, 65]),
        ] {
            let components: Vec<_> = [1, 2, 3, 4].into_iter().zip(samples).collect();
            let jpeg = HandmadeJpeg { adobe, ..HandmadeJpeg::new(&components) };
            assert_eq!(shown(&jpeg.bytes()), expected, "{adobe:?}");
        }
    }

    #[test]
    fn tables_of_sixteen_bits_and_components_in_scans_of_their_own_are_decoded() {
        let components = [(b'R', 168), (b'G', 88), (b'B', 128)];
        let plain = || HandmadeJpeg::new(&components);
        assert_eq!(shown(&HandmadeJpeg { has_wide_tables: true, ..plain() }.bytes()), [168, 88, 128]);
        let apart = HandmadeJpeg { has_scans_apart: true, ..plain() }.bytes();
        assert_eq!(shown(&apart), [168, 88, 128]);
        // Without the end marker it is whole; without the last scan it is not.
        assert_eq!(shown(&apart[..apart.len() - 2]), [168, 88, 128]);
        let last = apart.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
        assert_eq!(refusal(&apart[..last]), "the JPEG file is damaged: it ends with scan 2, before its last");
    }

    #[test]
    fn restart_markers_are_followed_and_damage_to_them_is_refused() {
        let jpeg =
            HandmadeJpeg { restart_mcus: 4, ..HandmadeJpeg::new(&[(b'R', 168), (b'G', 88), (b'B', 128)]) };
        let bytes = jpeg.bytes();
        assert_eq!(shown(&bytes), [168, 88, 128]);
        let restarts: Vec<usize> = (0..bytes.len() - 1)
            .filter(|at| bytes[*at] == 0xff && (0xd0..0xd8).contains(&bytes[at + 1]))
            .collect();
        assert_eq!(restarts.len(), 3);
        for at in restarts {
            let mut out_of_turn = bytes.clone();
            out_of_turn[at + 1] ^= 3;
            assert!(refusal(&out_of_turn).contains("found marker 0x"), "{}", refusal(&out_of_turn));
            let missing = [&bytes[..at], &bytes[at + 2..]].concat();
            assert!(refusal(&missing).starts_with("the JPEG file is damaged"), "{}", refusal(&missing));
        }
    }

    #[test]
    fn a_height_that_only_comes_at_the_end_is_refused_in_words() {
        let jpeg = HandmadeJpeg { height_px: 0, ..HandmadeJpeg::new(&[(1, 168)]) };
        assert!(
            refusal(&jpeg.bytes()).starts_with("a JPEG that tells its height at its end is not accepted")
        );
    }

    #[test]
    fn a_file_that_is_cut_is_refused_with_the_row_or_the_scan_where_it_ends() {
        let (small, large) = (quadrants(64, 64), quadrants(512, 512));
        for (picture, bytes) in [(&small, jpeg(&small)), (&large, jpeg(&large))] {
            let height_px = picture.size.height_px;
            let reason = refusal(&bytes[..bytes.len() - 20]);
            let (words, rows) = reason.split_once(" at row ").unwrap();
            assert_eq!(words, "the JPEG file is damaged: it ends");
            let (row, height) = rows.split_once(" of ").unwrap();
            assert_eq!(height, height_px.to_string());
            let row: u32 = row.parse().unwrap();
            assert!(row > height_px / 3 && row < height_px, "{reason}");
        }
        let bytes = progressive_jpeg(&large);
        assert!(decoded(&bytes[..bytes.len() - 2]).is_ok());
        let reason = refusal(&bytes[..bytes.len() - 4]);
        assert!(reason.starts_with("the JPEG file is damaged: it ends in its "), "{reason}");
        let scan = bytes.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
        assert!(refusal(&bytes[..scan]).ends_with("before its last"));
    }

    /// Ultra HDR, and whatever else cameras append: a second picture that APP2 points to.
    #[test]
    fn a_gain_map_behind_the_picture_is_harmless_and_not_shown() {
        let base = HandmadeJpeg::new(&[(b'R', 168), (b'G', 88), (b'B', 128)]).bytes();
        let map = HandmadeJpeg::new(&[(1, 190)]).bytes();
        let offset = (base.len() as u32).to_be_bytes();
        let index = [b"MPF\0MM\0*\0\0\0\x08\0\0".as_slice(), &offset].concat();
        let bytes = [&base[..2], &segment(0xe2, &index), &base[2..], &map, b"junk"].concat();
        assert_eq!(shown(&bytes), [168, 88, 128]);
    }
}
