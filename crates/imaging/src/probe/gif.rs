//! A GIF's blocks, walked without decoding any. Owns the count of its frames and whether the file is whole;
//! never allocates but for the copy that `with_room` makes, and never judges: limits are the probe's.

use std::borrow::Cow;

use contract::MediaType;

use super::Survey;
use crate::error::Error;

const IMAGE: u8 = b',';
const EXTENSION: u8 = b'!';
const GRAPHIC_CONTROL: u8 = 0xf9;
const APPLICATION: u8 = 0xff;

/// Where a block of its own data is, bytes: the signature, the screen's description and a frame's.
const SIGNATURE_BYTES: usize = 6;
const SCREEN_BYTES: usize = 7;
const FRAME_BYTES: usize = 9;

/// Most blocks and sub-blocks of one file: one of 25 MiB that is honest has 100 000. Each costs the walk a
/// step and takes but a byte or two.
const MAX_BLOCKS: u32 = 1_000_000;

/// Walks all blocks up to the trailer. Whoever has one frame only to show is refused a file that is cut off
/// in a later one too: an upload that broke off is better told than published. Browsers take a missing
/// trailer, and anything that is no block, for the end; so does this.
pub(super) fn survey(bytes: &[u8]) -> Result<Survey, Error> {
    let mut blocks = Blocks::behind_screen(bytes)?;
    // Played once, unless an extension says otherwise.
    let mut survey = Survey { loop_count: 1, ..Survey::default() };
    let mut awaits_image = false;
    loop {
        match blocks.rest.split_off_first() {
            Some(&IMAGE) => {
                blocks.count_frame(&mut survey)?;
                awaits_image = false;
            }
            Some(&EXTENSION) => match blocks.take::<1>()? {
                [GRAPHIC_CONTROL] => {
                    blocks.skip_data()?;
                    awaits_image = true;
                }
                [APPLICATION] => blocks.read_application(&mut survey)?,
                _ => blocks.skip_data()?,
            },
            None if awaits_image => return Err(ends_too_early()),
            _ => return Ok(survey),
        }
    }
}

/// The file, with a screen as large as its first frame reaches. Some say less, and browsers show all of that
/// frame nevertheless.
pub(crate) fn with_room(bytes: &[u8]) -> Cow<'_, [u8]> {
    let grown = |bytes: &[u8]| {
        let reach = first_reach(bytes).ok()??;
        let screen = bytes.get(SIGNATURE_BYTES..)?.first_chunk::<4>()?;
        let sides = [[screen[0], screen[1]], [screen[2], screen[3]]].map(u16::from_le_bytes);
        let needed = [sides[0].max(reach[0]), sides[1].max(reach[1])];
        let mut file = (needed != sides).then(|| bytes.to_vec())?;
        file[SIGNATURE_BYTES..][..4].copy_from_slice(needed.map(u16::to_le_bytes).as_flattened());
        Some(file)
    };
    grown(bytes).map_or(Cow::Borrowed(bytes), Cow::Owned)
}

/// How far right and down the first frame goes. None where there is no frame, or no screen could hold it.
fn first_reach(bytes: &[u8]) -> Result<Option<[u16; 2]>, Error> {
    let mut blocks = Blocks::behind_screen(bytes)?;
    loop {
        match blocks.rest.split_off_first() {
            Some(&IMAGE) => {
                let [x0, x1, y0, y1, w0, w1, h0, h1, _] = *blocks.take::<FRAME_BYTES>()?;
                let end = |start, length| u16::from_le_bytes(start).checked_add(u16::from_le_bytes(length));
                let (right, bottom) = (end([x0, x1], [w0, w1]), end([y0, y1], [h0, h1]));
                return Ok(right.zip(bottom).map(<[u16; 2]>::from));
            }
            Some(&EXTENSION) => {
                let [_label] = blocks.take::<1>()?;
                blocks.skip_data()?;
            }
            _ => return Ok(None),
        }
    }
}

/// What is left of the file.
struct Blocks<'a> {
    rest: &'a [u8],
    /// How many more may come.
    remaining: u32,
}

impl<'a> Blocks<'a> {
    /// All that follows the screen's description and its colours.
    fn behind_screen(file: &'a [u8]) -> Result<Self, Error> {
        let rest = file.get(SIGNATURE_BYTES..).unwrap_or_default();
        let mut blocks = Self { rest, remaining: MAX_BLOCKS };
        let [.., flags, _, _] = *blocks.take::<SCREEN_BYTES>()?;
        blocks.skip_colours(flags)?;
        Ok(blocks)
    }

    fn take<const LENGTH: usize>(&mut self) -> Result<&'a [u8; LENGTH], Error> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(ends_too_early)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A colour table, where the flags of what precedes it say that there is one.
    fn skip_colours(&mut self, flags: u8) -> Result<(), Error> {
        let length = if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
        self.rest = self.rest.get(length..).ok_or_else(ends_too_early)?;
        Ok(())
    }

    /// Sub-blocks up to the empty one. The file may end in place of that, if there was another before:
    /// nothing that was announced is missing then.
    fn skip_data(&mut self) -> Result<(), Error> {
        let bytes = self.rest;
        if bytes.is_empty() {
            return Err(ends_too_early());
        }
        let mut at = 0;
        while let Some(&length) = bytes.get(at) {
            self.remaining = self.remaining.checked_sub(1).ok_or_else(too_many_blocks)?;
            at += 1 + usize::from(length);
            if length == 0 {
                break;
            }
        }
        self.rest = bytes.get(at..).ok_or_else(ends_too_early)?;
        Ok(())
    }

    fn count_frame(&mut self, survey: &mut Survey) -> Result<(), Error> {
        let [_, _, _, _, w0, w1, h0, h1, flags] = *self.take::<FRAME_BYTES>()?;
        self.skip_colours(flags)?;
        let [_code_size] = self.take::<1>()?;
        let before = self.rest.len();
        self.skip_data()?;
        let side = |low, high| u64::from(u16::from_le_bytes([low, high]));
        survey.add(side(w0, w1) * side(h0, h1), before - self.rest.len());
        Ok(())
    }

    /// Netscape's, and by now everyone's, says how often to repeat; WebP says how often to play.
    /// `gif2webp` counts alike.
    fn read_application(&mut self, survey: &mut Survey) -> Result<(), Error> {
        let data = self.rest;
        if let [11, name @ ..] = data
            && (name.starts_with(b"NETSCAPE2.0") || name.starts_with(b"ANIMEXTS1.0"))
            && let Some([3, 1, low, high]) = name.get(11..).and_then(|rest| rest.first_chunk())
        {
            let repeats = u16::from_le_bytes([*low, *high]);
            survey.loop_count = if repeats == 0 { 0 } else { repeats.saturating_add(1) };
        }
        self.skip_data()
    }
}

fn too_many_blocks() -> Error {
    Error::corrupt(MediaType::Gif, format!("it has more than {MAX_BLOCKS} blocks"))
}

fn ends_too_early() -> Error {
    Error::corrupt(MediaType::Gif, "it ends too early")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &[u8] = b"GIF89a\x04\0\x03\0\x80\0\0\0\0\0\xff\xff\xff";
    const CONTROL: &[u8] = b"!\xf9\x04\0\x05\0\0\0";
    const FRAME: &[u8] = b",\0\0\0\0\x04\0\x03\0\0\x02\x03\x84\x8f\x50\0";

    #[test]
    fn a_screen_has_room_for_all_of_the_first_frame() {
        let file = |frame: &[u8]| [HEAD, CONTROL, frame, FRAME, b";"].concat();
        assert!(matches!(with_room(&file(FRAME)), Cow::Borrowed(_)));
        // Two to the right, and as high as the screen.
        let beyond = [b",\x02\0\0\0\x04\0\x03\0", &FRAME[9..]].concat();
        let beyond = file(&beyond);
        let grown = with_room(&beyond);
        assert_eq!(grown[6..10], [6, 0, 3, 0]);
        assert_eq!((&grown[..6], &grown[10..]), (&beyond[..6], &beyond[10..]));
        let nowhere = [b",\xff\xff\0\0\x04\0\x03\0", &FRAME[9..]].concat();
        assert!(matches!(with_room(&file(&nowhere)), Cow::Borrowed(_)));
        for length in 0..beyond.len() {
            with_room(&beyond[..length]);
        }
    }

    fn file(parts: &[&[u8]]) -> Vec<u8> {
        [HEAD, &parts.concat(), b";"].concat()
    }

    #[test]
    fn frames_are_counted_with_their_pixels_and_longest_data() {
        let survey = |parts: &[&[u8]]| survey(&file(parts)).unwrap();
        let one = Survey { frames: 1, loop_count: 1, pixels: 12, largest_pixels: 12, largest_bytes: 5 };
        assert_eq!(survey(&[FRAME]), one);
        let large = b",\0\0\0\0\0\x01\x05\0\x81\0\0\0\0\0\0\0\0\0\0\0\0\x02\x01\0\x01\0\0";
        let three = survey(&[CONTROL, FRAME, CONTROL, large, FRAME]);
        assert_eq!((three.frames, three.pixels, three.largest_pixels), (3, 1304, 1280));
        assert_eq!(survey(&[]).frames, 0);
    }

    #[test]
    fn repetitions_become_how_often_it_is_played() {
        for (extension, expected) in [
            (b"".as_slice(), 1),
            (b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0", 0),
            (b"!\xff\x0bNETSCAPE2.0\x03\x01\x05\0\0", 6),
            (b"!\xff\x0bANIMEXTS1.0\x03\x01\xff\xff\0", 65_535),
            (b"!\xff\x0bXMP DataXMP\x03\x01\x05\0\0", 1),
            (b"!\xfe\x03\x01\x05\0\0", 1),
        ] {
            assert_eq!(survey(&file(&[extension, FRAME])).unwrap().loop_count, expected);
        }
    }

    #[test]
    fn a_file_cut_off_within_a_block_is_corrupt_and_one_without_its_trailer_is_not() {
        let whole = file(&[CONTROL, FRAME, CONTROL, FRAME]);
        let frame_end = HEAD.len() + CONTROL.len() + FRAME.len();
        // The trailer, and the empty sub-block before it.
        let bearable = [frame_end, frame_end - 1, whole.len() - 1, whole.len() - 2];
        for length in 6..whole.len() {
            let expected = bearable.contains(&length) || length == HEAD.len();
            assert_eq!(survey(&whole[..length]).is_ok(), expected, "{length}");
        }
    }

    #[test]
    fn what_is_no_block_ends_the_file_and_unknown_extensions_do_not() {
        assert_eq!(survey(&file(&[FRAME, b"\0\0junk", FRAME])).unwrap().frames, 1);
        assert_eq!(survey(&file(&[FRAME, b"!\x42\x02ab\0", FRAME])).unwrap().frames, 2);
    }

    #[test]
    fn a_file_of_more_blocks_than_anyone_writes_is_refused() {
        let bomb = |blocks: usize| survey(&file(&[&data_of_ones(blocks)]));
        assert_eq!(bomb(999_999).unwrap().frames, 1);
        assert_eq!(bomb(1_000_000), Err(too_many_blocks()));
    }

    /// A frame whose data comes one byte at a time.
    fn data_of_ones(blocks: usize) -> Vec<u8> {
        [b",\0\0\0\0\x01\0\x01\0\0\x02".as_slice(), &[1, 7].repeat(blocks), b"\0"].concat()
    }

    proptest! {
        #[test]
        fn nothing_makes_the_walk_panic(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = survey(&[HEAD, &tail].concat());
            let _ = survey(&tail);
        }
    }
}
