//! Pictures for tests, made here. Owns small encoders with what real ones would not write.

mod handmade;

use contract::Format;
use contract::recipe::{Color, Encoding};

use crate::encode::encode;
use crate::geometry::Size;
use crate::pixels::Picture;

pub use handmade::{HandmadeJpeg, segment};

/// Red, green, white and blue quarters, clockwise from the top left.
pub fn quadrants(width_px: u32, height_px: u32) -> Picture {
    let pixel = |index: u32| match (index % width_px < width_px / 2, index / width_px < height_px / 2) {
        (true, true) => [255, 0, 0],
        (false, true) => [0, 255, 0],
        (false, false) => [255, 255, 255],
        (true, false) => [0, 0, 255],
    };
    let data = (0..width_px * height_px).flat_map(pixel).collect();
    Picture { size: Size::new(width_px, height_px), has_alpha: false, data }
}

/// The pixels of an encoded PNG.
pub fn shown(png: &[u8]) -> image::RgbImage {
    let decoder = image::codecs::png::PngDecoder::new(std::io::Cursor::new(png)).unwrap();
    image::DynamicImage::from_decoder(decoder).unwrap().to_rgb8()
}

/// The names of the corners' colours of a PNG of quadrants, clockwise from the top left.
pub fn corners(png: &[u8]) -> [&'static str; 4] {
    let picture = shown(png);
    let (right, bottom) = (picture.width() - 2, picture.height() - 2);
    [(1, 1), (right, 1), (right, bottom), (1, bottom)].map(|(x, y)| {
        match picture.get_pixel(x, y).0.map(|sample| sample > 127) {
            [true, false, false] => "red",
            [false, true, false] => "green",
            [false, false, true] => "blue",
            [true, true, true] => "white",
            _ => "none of them",
        }
    })
}

/// Every length below `end` near the ends, and a few dozen between.
pub fn truncations(end: usize) -> impl Iterator<Item = usize> {
    let step = (end / 40).max(1);
    (0..end).filter(move |length| *length < 40 || *length + 10 > end || length % step == 0)
}

fn file(picture: &Picture, format: Format) -> Vec<u8> {
    encode(picture, &Encoding::new(format), Color::default(), None).unwrap().to_vec()
}

pub fn jpeg(picture: &Picture) -> Vec<u8> {
    file(picture, Format::Jpeg)
}

pub fn webp(picture: &Picture) -> Vec<u8> {
    file(picture, Format::Webp)
}

pub fn progressive_jpeg(picture: &Picture) -> Vec<u8> {
    let mut encoder = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_RGB);
    encoder.set_size(picture.size.width_px as usize, picture.size.height_px as usize);
    encoder.set_progressive_mode();
    let mut started = encoder.start_compress(Vec::new()).unwrap();
    started.write_scanlines(&picture.data).unwrap();
    started.finish().unwrap()
}

pub fn grey_jpeg(width: usize, height: usize, grey: u8) -> Vec<u8> {
    let mut encoder = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_GRAYSCALE);
    encoder.set_size(width, height);
    let mut started = encoder.start_compress(Vec::new()).unwrap();
    started.write_scanlines(&vec![grey; width * height]).unwrap();
    started.finish().unwrap()
}

/// `ink` as stored. libjpeg marks every CMYK file as Adobe's; without that mark another inversion holds.
pub fn cmyk_jpeg(width: usize, height: usize, ink: [u8; 4], adobe: bool) -> Vec<u8> {
    let mut encoder = mozjpeg::Compress::new(mozjpeg::ColorSpace::JCS_CMYK);
    encoder.set_fastest_defaults();
    encoder.set_size(width, height);
    let mut started = encoder.start_compress(Vec::new()).unwrap();
    started.write_scanlines(&ink.repeat(width * height)).unwrap();
    let mut bytes = started.finish().unwrap();
    let mark = bytes.windows(5).position(|window| window == b"Adobe").unwrap();
    if !adobe {
        bytes[mark] = b'X';
    }
    bytes
}

pub fn gif(picture: &Picture) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (width, height) = (picture.size.width_px, picture.size.height_px);
    image::codecs::gif::GifEncoder::new(&mut bytes)
        .encode(&picture.data, width, height, image::ExtendedColorType::Rgb8)
        .unwrap();
    bytes
}

pub fn png(picture: &Picture, exif: Option<u8>) -> Vec<u8> {
    let bytes = file(picture, Format::Png);
    let Some(orientation) = exif else { return bytes };
    png_with(&bytes, &[(b"eXIf", &tiff(orientation))])
}

/// The PNG with these chunks behind its header.
pub fn png_with(png: &[u8], chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let (head, rest) = png.split_at(33);
    let chunks: Vec<u8> = chunks.iter().flat_map(|(name, data)| png_chunk(name, data)).collect();
    [head, &chunks, rest].concat()
}

/// A signature, a header that claims this size, and the beginning of data that never comes.
pub fn png_header(width_px: u32, height_px: u32) -> Vec<u8> {
    let sides = [width_px.to_be_bytes(), height_px.to_be_bytes()].concat();
    let header = png_chunk(b"IHDR", &[sides.as_slice(), &[8, 2, 0, 0, 0]].concat());
    [b"\x89PNG\r\n\x1a\n".as_slice(), &header, &png_chunk(b"IDAT", &[0x78, 1])].concat()
}

pub fn png_chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [name.as_slice(), data].concat();
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [length.as_slice(), &body, &crc32(&body).to_be_bytes()].concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// The JPEG with an EXIF segment in front that holds nothing but an orientation.
pub fn with_exif(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let payload = [b"Exif\0\0".as_slice(), &tiff(orientation)].concat();
    [&jpeg[..2], &segment(0xe1, &payload), &jpeg[2..]].concat()
}

/// An EXIF block of these texts, each longer than its entry can hold.
pub fn exif_block(is_little_endian: bool, texts: &[(u16, &str)]) -> Vec<u8> {
    let short = |value: u16| if is_little_endian { value.to_le_bytes() } else { value.to_be_bytes() };
    let long = |value: usize| {
        let value = u32::try_from(value).unwrap();
        if is_little_endian { value.to_le_bytes() } else { value.to_be_bytes() }
    };
    let start: &[u8] = if is_little_endian { b"II*\0" } else { b"MM\0*" };
    let mut bytes = [start, &long(8), &short(texts.len() as u16)].concat();
    let mut offset = bytes.len() + 12 * texts.len() + 4;
    for (tag, text) in texts {
        bytes.extend([short(*tag), short(2)].concat());
        bytes.extend([long(text.len()), long(offset)].concat());
        offset += text.len();
    }
    bytes.extend([0; 4]);
    bytes.extend(texts.iter().flat_map(|(_, text)| text.as_bytes()));
    bytes
}

/// A TIFF header and one directory with one entry: tag 0x112, one SHORT.
fn tiff(orientation: u8) -> Vec<u8> {
    let entry = [1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0];
    [b"MM\0*\0\0\0\x08\0\x01".as_slice(), &entry, &[0; 4]].concat()
}
