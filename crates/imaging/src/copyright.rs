//! The one piece of a source's metadata that a recipe may keep: whose it is. Owns the reading of those two
//! EXIF tags, and the block that holds nothing else; never lets anything of the source's EXIF through as
//! it was.

use contract::MediaType;

use crate::probe::exif;

const ARTIST: u16 = 0x013b;
const COPYRIGHT: u16 = 0x8298;
/// Types of text: ASCII of TIFF 6.0, UTF-8 of EXIF 3.0.
const TEXT_TYPES: [u16; 2] = [2, 129];
/// Longer ones are cut.
const MAX_TEXT_BYTES: usize = 1024;

/// Who made a picture, and who owns the rights to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    artist: Option<String>,
    copyright: Option<String>,
}

impl Notice {
    /// From a whole source.
    pub fn of(bytes: &[u8], media_type: MediaType) -> Option<Self> {
        read(&exif(bytes, media_type)?)
    }

    /// As an EXIF block: TIFF, without what a container puts in front.
    pub fn exif(&self) -> Vec<u8> {
        let texts = [(ARTIST, &self.artist), (COPYRIGHT, &self.copyright)];
        let texts: Vec<_> = texts.into_iter().filter_map(|(tag, text)| Some((tag, text.as_ref()?))).collect();
        // Header, count, entries, and the offset of the next directory, which there is none of.
        let mut offset = 8 + 2 + 12 * texts.len() + 4;
        let (mut entries, mut values) = (Vec::new(), Vec::new());
        for (tag, text) in &texts {
            // With its final 0, and an even length in the file.
            let mut value = [text.as_bytes(), &[0]].concat();
            let length = value.len();
            value.resize(length.max(4).next_multiple_of(2), 0);
            entries.extend(tag.to_be_bytes());
            entries.extend(TEXT_TYPES[0].to_be_bytes());
            entries.extend((length as u32).to_be_bytes());
            if length <= 4 {
                entries.extend(value);
            } else {
                entries.extend((offset as u32).to_be_bytes());
                offset += value.len();
                values.extend(value);
            }
        }
        let count = (texts.len() as u16).to_be_bytes();
        [b"MM\0*\0\0\0\x08".as_slice(), &count, &entries, &[0; 4], &values].concat()
    }
}

/// The notice in an EXIF block, if there is one.
pub(crate) fn read(exif: &[u8]) -> Option<Notice> {
    let tiff = Tiff::new(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))?;
    let (artist, copyright) = (tiff.text(ARTIST), tiff.text(COPYRIGHT));
    (artist.is_some() || copyright.is_some()).then_some(Notice { artist, copyright })
}

/// The first directory of a TIFF file.
struct Tiff<'a> {
    bytes: &'a [u8],
    is_little_endian: bool,
    entries: &'a [[u8; 12]],
}

impl<'a> Tiff<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let is_little_endian = match bytes.first_chunk()? {
            [b'I', b'I', 42, 0] => true,
            [b'M', b'M', 0, 42] => false,
            _ => return None,
        };
        let tiff = Self { bytes, is_little_endian, entries: &[] };
        let start = tiff.long(bytes.get(4..)?)? as usize;
        let directory = bytes.get(start..)?;
        let length = 12 * usize::from(tiff.short(directory)?);
        Some(Self { entries: directory.get(2..2 + length)?.as_chunks().0, ..tiff })
    }

    fn short(&self, bytes: &[u8]) -> Option<u16> {
        let bytes = *bytes.first_chunk()?;
        Some(if self.is_little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    fn long(&self, bytes: &[u8]) -> Option<u32> {
        let bytes = *bytes.first_chunk()?;
        Some(if self.is_little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn text(&self, tag: u16) -> Option<String> {
        let entry = self.entries.iter().find(|entry| self.short(*entry) == Some(tag))?;
        if !TEXT_TYPES.contains(&self.short(&entry[2..])?) {
            return None;
        }
        let length = self.long(&entry[4..])? as usize;
        let value = match entry[8..].get(..length) {
            Some(inside) => inside,
            None => {
                let start = self.long(&entry[8..])? as usize;
                self.bytes.get(start..start.checked_add(length)?)?
            }
        };
        printable(value)
    }
}

/// Text without its control characters. EXIF asks for ASCII; people write UTF-8, and once wrote Latin-1. A
/// photographer's and an editor's notice have a 0 between them.
fn printable(value: &[u8]) -> Option<String> {
    let value = &value[..value.len().min(MAX_TEXT_BYTES)];
    let parts = value.split(|byte| *byte == 0).map(|part| {
        // A character that the limit cuts in two is no sign of Latin-1.
        let text = match std::str::from_utf8(part) {
            Ok(text) => text.to_owned(),
            Err(error) if error.error_len().is_none() => {
                String::from_utf8_lossy(&part[..error.valid_up_to()]).into_owned()
            }
            Err(_) => part.iter().copied().map(char::from).collect(),
        };
        let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
        text.trim().to_owned()
    });
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avif::Avif;
    use crate::geometry::Size;
    use crate::render::render;
    use crate::testing::{HandmadeJpeg, HeifFile, HeifItem};
    use crate::testing::{avif, exif_block, jpeg, png, png_with, probed, quadrants, segment, webp};
    use contract::{Format, Recipe};
    use flate2::{Compression, write::ZlibEncoder};
    use std::io::Write;
    use std::ops::ControlFlow;

    fn notice(artist: Option<&str>, copyright: Option<&str>) -> Notice {
        Notice { artist: artist.map(str::to_owned), copyright: copyright.map(str::to_owned) }
    }

    #[test]
    fn a_notice_is_found_in_both_byte_orders_and_comes_back_from_its_own_block() {
        let expected = notice(Some("Jane Doe"), Some("© 2026 Jane Doe"));
        for is_little_endian in [false, true] {
            let exif = exif_block(
                is_little_endian,
                &[(ARTIST, "Jane Doe\0"), (0x0110, "A camera\0"), (COPYRIGHT, "© 2026 Jane Doe\0")],
            );
            assert_eq!(read(&exif), Some(expected.clone()));
            assert_eq!(read(&[b"Exif\0\0".as_slice(), &exif].concat()), Some(expected.clone()));
        }
        for notice in [
            expected,
            notice(None, Some("A")),
            notice(Some("abc"), None),
            notice(Some("abcd"), Some("abcde")),
            notice(Some(&"x".repeat(1024)), Some(&"y".repeat(1023))),
        ] {
            assert_eq!(read(&notice.exif()), Some(notice));
        }
    }

    #[test]
    fn text_loses_its_control_characters_and_what_exceeds_a_kibibyte() {
        for (value, expected) in [
            (b"Jane\0".as_slice(), Some("Jane")),
            (b"Jane\x1b[31m\r\n\x7f Doe", Some("Jane[31m Doe")),
            (b"The photographer\0The editor\0", Some("The photographer; The editor")),
            (b" \0The editor\0", Some("The editor")),
            (b"\xa9 Jane", Some("© Jane")),
            (b"\xc2\x85\xc2\xa9 Jane", Some("© Jane")),
            (b" \0 \0", None),
            (b"", None),
        ] {
            assert_eq!(printable(value).as_deref(), expected, "{value:?}");
        }
        assert_eq!(printable(&[b'x'; 5000]).unwrap().len(), 1024);
        let cut = printable(&[b"x".as_slice(), "é".repeat(1000).as_bytes()].concat()).unwrap();
        assert_eq!(cut.chars().count(), 1 + 511);
    }

    #[test]
    fn damage_anywhere_is_no_notice_or_another_and_never_a_panic() {
        let exif = exif_block(true, &[(ARTIST, "Jane Doe\0"), (COPYRIGHT, "2026 Jane Doe\0")]);
        for length in 0..exif.len() {
            read(&exif[..length]);
        }
        for at in 0..exif.len() {
            for value in [0x00, 0x7f, 0x80, 0xff] {
                let mut damaged = exif.clone();
                damaged[at] = value;
                read(&damaged);
            }
        }
    }

    const SECRET: &str = "5ecret\0";

    /// EXIF with all that cameras write: texts, a GPS directory and a thumbnail behind them.
    fn loaded_exif() -> Vec<u8> {
        let texts = [
            (ARTIST, "Jane Doe\0"),
            (0x0110, SECRET),
            (0x8825, SECRET),
            (0x9286, SECRET),
            (COPYRIGHT, "2026 Jane Doe\0"),
        ];
        [exif_block(true, &texts), HandmadeJpeg::new(&[(1, 190)]).bytes(), SECRET.into()].concat()
    }

    fn profile() -> Vec<u8> {
        moxcms::ColorProfile::new_display_p3().encode().unwrap()
    }

    fn loaded_jpeg() -> Vec<u8> {
        let whole = jpeg(&quadrants(64, 48));
        let named = |name: &[u8], payload: &[u8]| [name, payload].concat();
        let segments = [
            segment(0xe1, &named(b"Exif\0\0", &loaded_exif())),
            segment(0xe1, &named(b"http://ns.adobe.com/xap/1.0/\0", SECRET.as_bytes())),
            segment(0xe2, &named(b"ICC_PROFILE\0\x01\x01", &profile())),
            segment(0xed, &named(b"Photoshop 3.0\08BIM\x04\x04", SECRET.as_bytes())),
            segment(0xef, SECRET.as_bytes()),
            segment(0xfe, SECRET.as_bytes()),
        ];
        [&whole[..2], &segments.concat(), &whole[2..], SECRET.as_bytes()].concat()
    }

    fn loaded_png() -> Vec<u8> {
        let deflated = |payload: &[u8]| {
            let mut deflated = ZlibEncoder::new(b"name\0\0".to_vec(), Compression::fast());
            deflated.write_all(payload).unwrap();
            deflated.finish().unwrap()
        };
        let text = [b"Comment\0", SECRET.as_bytes()].concat();
        let international = [b"XML:com.adobe.xmp\0\0\0\0\0", SECRET.as_bytes()].concat();
        png_with(
            &png(&quadrants(64, 48), None),
            &[
                (b"iCCP", &deflated(&profile())),
                (b"eXIf", &loaded_exif()),
                (b"tEXt", &text),
                (b"zTXt", &deflated(SECRET.as_bytes())),
                (b"iTXt", &international),
                (b"tIME", &[7, 0xea, 11, 22, 9, 0, 0]),
                (b"pHYs", &[0, 0, 11, 19, 0, 0, 11, 19, 1]),
            ],
        )
    }

    fn loaded_webp() -> Vec<u8> {
        let whole = webp(&quadrants(64, 48));
        let chunk = |name: &[u8; 4], payload: &[u8]| {
            let length = (payload.len() as u32).to_le_bytes();
            [name.as_slice(), &length, payload, &[0][..payload.len() & 1]].concat()
        };
        let body = [
            b"WEBP".to_vec(),
            chunk(b"VP8X", &[0x2c, 0, 0, 0, 63, 0, 0, 47, 0, 0]),
            chunk(b"ICCP", &profile()),
            whole[12..].to_vec(),
            chunk(b"EXIF", &loaded_exif()),
            chunk(b"XMP ", SECRET.as_bytes()),
        ];
        chunk(b"RIFF", &body.concat())
    }

    /// The pixels of another encoder's file, with EXIF behind its customary prefix, and XMP.
    fn loaded_avif() -> Vec<u8> {
        let file = Avif::read(avif()).unwrap();
        let data = file.coded(&file.colour).next().unwrap().unwrap().data;
        let Size { width_px, height_px } = file.colour.size;
        let sides = [[0; 4], width_px.to_be_bytes(), height_px.to_be_bytes()].concat();
        let properties = vec![(*b"ispe", sides, false), (*b"av1C", vec![0x81, 0, 0x0c, 0], true)];
        let item = |id, kind: &[u8; 4], data| HeifItem { id, kind: *kind, data, properties: Vec::new() };
        let exif = [b"\0\0\0\x06Exif\0\0".as_slice(), &loaded_exif()].concat();
        let items = vec![
            HeifItem { properties, ..item(1, b"av01", data) },
            item(2, b"mime", SECRET.into()),
            item(3, b"Exif", exif),
        ];
        let references = vec![(*b"cdsc", 2, vec![1]), (*b"cdsc", 3, vec![1])];
        HeifFile { items, references, is_wide: false }.bytes()
    }

    /// The names of all that a file is made of, in order, each once in a row; what is behind its end, too.
    fn parts(format: Format, bytes: &[u8]) -> Vec<String> {
        let mut parts = match format {
            Format::Jpeg => jpeg_parts(bytes),
            Format::Png => png_parts(&bytes[8..]),
            Format::Webp => webp_parts(&bytes[12..]),
            Format::Avif => avif_parts(bytes),
        };
        parts.dedup();
        parts
    }

    /// The outermost boxes, and the items' types.
    fn avif_parts(mut bytes: &[u8]) -> Vec<String> {
        let whole = bytes;
        let mut parts = Vec::new();
        while !bytes.is_empty() {
            parts.push(String::from_utf8_lossy(&bytes[4..8]).into_owned());
            bytes = &bytes[u32::from_be_bytes(*bytes.first_chunk().unwrap()) as usize..];
        }
        // Behind version, flags, id and protection index.
        let items = whole.windows(16).filter(|window| window.starts_with(b"infe"));
        parts.extend(items.map(|item| String::from_utf8_lossy(&item[12..16]).into_owned()));
        parts
    }

    fn jpeg_parts(mut bytes: &[u8]) -> Vec<String> {
        let mut parts = Vec::new();
        while let [0xff, marker, rest @ ..] = bytes {
            parts.push(format!("{marker:02x}"));
            let length = match marker {
                0xd8 | 0xd9 => 0,
                _ => usize::from(u16::from_be_bytes([rest[0], rest[1]])),
            };
            bytes = &rest[length..];
            if *marker == 0xda {
                let is_marker = |pair: &[u8]| pair[0] == 0xff && pair[1] != 0;
                bytes = &bytes[bytes.windows(2).position(is_marker).unwrap()..];
            }
        }
        assert_eq!(bytes, b"");
        parts
    }

    fn png_parts(mut bytes: &[u8]) -> Vec<String> {
        let mut parts = Vec::new();
        while !bytes.is_empty() {
            let length = u32::from_be_bytes(*bytes.first_chunk().unwrap()) as usize;
            parts.push(String::from_utf8_lossy(&bytes[4..8]).into_owned());
            bytes = &bytes[12 + length..];
        }
        parts
    }

    fn webp_parts(mut bytes: &[u8]) -> Vec<String> {
        let mut parts = Vec::new();
        while !bytes.is_empty() {
            let length = u32::from_le_bytes(*bytes[4..].first_chunk().unwrap()) as usize;
            parts.push(String::from_utf8_lossy(&bytes[..4]).into_owned());
            bytes = &bytes[8 + length.next_multiple_of(2)..];
        }
        parts
    }

    fn rendered(bytes: &[u8], keeps: bool) -> Vec<(Format, Vec<u8>)> {
        let recipe = format!(
            "keep_copyright = {keeps}\n[[rendition]]\nname = \"a\"\nwidth = 32\n\
             formats = [{{ format = \"jpeg\" }}, {{ format = \"png\" }}, {{ format = \"webp\", lossless = false }}{}]",
            if cfg!(feature = "avif") { ", { format = \"avif\" }" } else { "" },
        );
        let probe = probed(bytes).unwrap();
        let mut files = Vec::new();
        render(bytes, &probe, &Recipe::parse(&recipe).unwrap(), 1, &mut |file| {
            files.push((file.format, file.bytes.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
        files
    }

    #[test]
    fn no_rendition_has_any_part_but_pixels_whatever_its_source_carries() {
        for source in [loaded_jpeg(), loaded_png(), loaded_webp(), loaded_avif()] {
            assert!(source.windows(6).any(|window| window == &SECRET.as_bytes()[..6]));
            for (format, bytes) in rendered(&source, false) {
                let expected: &[&str] = match format {
                    Format::Jpeg => &["d8", "e0", "db", "c0", "c4", "da", "d9"],
                    Format::Png => &["IHDR", "IDAT", "IEND"],
                    Format::Webp => &["VP8 "],
                    Format::Avif => &["ftyp", "meta", "mdat", "av01"],
                };
                assert_eq!(parts(format, &bytes), expected, "{format}");
                assert!(!bytes.windows(6).any(|window| window == &SECRET.as_bytes()[..6]), "{format}");
            }
        }
    }

    /// What carries EXIF in each format.
    const NOTICES: [&str; 4] = ["e1", "eXIf", "EXIF", "Exif"];

    #[test]
    fn a_recipe_that_keeps_the_notice_gets_it_from_every_source_and_nothing_else() {
        let expected = notice(Some("Jane Doe"), Some("2026 Jane Doe"));
        for (source, media_type) in [
            (loaded_jpeg(), MediaType::Jpeg),
            (loaded_png(), MediaType::Png),
            (loaded_webp(), MediaType::Webp),
            (loaded_avif(), MediaType::Avif),
        ] {
            assert_eq!(Notice::of(&source, media_type), Some(expected.clone()));
            for (format, bytes) in rendered(&source, true) {
                let expected_parts: &[&str] = match format {
                    Format::Jpeg => &["d8", "e0", "e1", "db", "c0", "c4", "da", "d9"],
                    Format::Png => &["IHDR", "eXIf", "IDAT", "IEND"],
                    Format::Webp => &["VP8X", "VP8 ", "EXIF"],
                    Format::Avif => &["ftyp", "meta", "mdat", "av01", "Exif"],
                };
                assert_eq!(parts(format, &bytes), expected_parts, "{format}");
                let block = expected.exif();
                assert!(bytes.windows(block.len()).any(|window| window == block), "{format}");
            }
        }
        for (format, bytes) in rendered(&jpeg(&quadrants(64, 48)), true) {
            assert!(!parts(format, &bytes).iter().any(|part| NOTICES.contains(&part.as_str())), "{format}");
        }
    }
}
