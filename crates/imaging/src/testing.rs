//! Pictures for tests, made here. Owns small encoders with what real ones would not write.

mod handmade;

use contract::recipe::{Color, Encoding};
use contract::{Format, Limits, Recipe};

use crate::encode::encode;
use crate::error::Error;
use crate::geometry::Size;
use crate::pixels::Picture;
use crate::probe::{Probe, probe};

pub use handmade::{HandmadeJpeg, segment};

/// Under the default limits, for the default recipe.
pub fn probed(bytes: &[u8]) -> Result<Probe, Error> {
    probe(bytes, &Limits::default(), &Recipe::default())
}

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

/// A picture with alpha, pixel by pixel.
pub fn drawn(width_px: u32, height_px: u32, pixel: impl Fn(u32, u32) -> [u8; 4]) -> Picture {
    let data =
        (0..width_px * height_px).flat_map(|index| pixel(index % width_px, index / width_px)).collect();
    Picture { size: Size::new(width_px, height_px), has_alpha: true, data }
}

/// A window with a bar, buttons and lines of what could be text.
pub fn screenshot(width_px: u32, height_px: u32) -> Picture {
    drawn(width_px, height_px, |x, y| {
        let is_ink = (x / 2 * 7919 + y / 20 * 104_729 + x / 9 * y % 20) % 5 < 2;
        match (x * 5 / width_px, y) {
            (_, 0..40) => [43, 58, 85, 255],
            (0, _) if y % 50 > 15 => [51, 102, (y / 50 * 40) as u8, 255],
            (1.., _) if y % 20 > 8 && x % 9 > 1 && is_ink => [48, 52, 59, 255],
            _ => [250, 250, 252, 255],
        }
    })
}

/// A disc with a smooth edge on nothing.
pub fn logo(side_px: u32) -> Picture {
    drawn(side_px, side_px, |x, y| {
        let from_centre = |at: u32| f64::from(at) - f64::from(side_px) / 2.0;
        let distance = f64::from(side_px) * 0.45 - from_centre(x).hypot(from_centre(y));
        [228, 87, 46, (distance.clamp(0.0, 1.0) * 255.0) as u8]
    })
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
            [true, true, false] => "yellow",
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

/// Red, green, yellow and blue quarters, clockwise from the top left; 300 x 200 px, 8 bits, 4:2:0. Of the
/// fixtures, since not every build has an encoder.
pub fn avif() -> &'static [u8] {
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/images/quadrants.avif"))
}

/// A white disc on transparent, 400 x 400 px.
pub fn avif_with_alpha() -> &'static [u8] {
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/images/white_disc.avif"))
}

/// An item of an HEIF file, to be written.
#[derive(Clone)]
pub struct HeifItem {
    pub id: u32,
    pub kind: [u8; 4],
    pub data: Vec<u8>,
    /// Type, payload, and whether it is essential.
    pub properties: Vec<([u8; 4], Vec<u8>, bool)>,
}

/// An HEIF file to be written.
#[derive(Clone, Default)]
pub struct HeifFile {
    pub items: Vec<HeifItem>,
    /// Type, from and to.
    pub references: Vec<([u8; 4], u32, Vec<u32>)>,
    /// The widest versions of every box, and data within `meta`; else the narrowest, and data behind it.
    pub is_wide: bool,
}

impl HeifFile {
    /// The first item is the primary one.
    pub fn bytes(&self) -> Vec<u8> {
        let data: Vec<u8> = self.items.iter().flat_map(|item| item.data.clone()).collect();
        let head = heif_box(b"ftyp", &[b"avif\0\0\0\0avifmif1"]);
        if self.is_wide {
            return [head, self.meta(0, &data)].concat();
        }
        let data_at = head.len() + self.meta(0, &[]).len() + 8;
        [head, self.meta(data_at as u32, &[]), heif_box(b"mdat", &[&data])].concat()
    }

    fn id(&self, id: u32) -> Vec<u8> {
        if self.is_wide { id.to_be_bytes().to_vec() } else { (id as u16).to_be_bytes().to_vec() }
    }

    fn full(&self, kind: &[u8; 4], wide_version: u8, payload: &[u8]) -> Vec<u8> {
        let version = if self.is_wide { wide_version } else { 0 };
        heif_box(kind, &[&[version, 0, 0, 0], payload])
    }

    fn meta(&self, data_at: u32, idat: &[u8]) -> Vec<u8> {
        let primary = self.full(b"pitm", 1, &self.id(self.items[0].id));
        let references = self.references.iter().map(|(kind, from, to)| {
            let to_ids: Vec<u8> = to.iter().flat_map(|id| self.id(*id)).collect();
            heif_box(kind, &[&self.id(*from), &(to.len() as u16).to_be_bytes(), &to_ids])
        });
        let references = self.full(b"iref", 1, &references.collect::<Vec<_>>().concat());
        let boxes = [self.infos(), primary, self.properties(), references, self.locations(data_at)].concat();
        let idat = if idat.is_empty() { Vec::new() } else { heif_box(b"idat", &[idat]) };
        heif_box(b"meta", &[&[0; 4], &boxes, &idat])
    }

    fn infos(&self) -> Vec<u8> {
        let version = if self.is_wide { 3 } else { 2 };
        let info = |item: &HeifItem| {
            heif_box(b"infe", &[&[version, 0, 0, 0], &self.id(item.id), &[0, 0], &item.kind, &[0]])
        };
        let infos = self.items.iter().map(info).collect::<Vec<_>>().concat();
        self.full(b"iinf", 1, &[self.id(self.items.len() as u32), infos].concat())
    }

    fn properties(&self) -> Vec<u8> {
        let (mut boxes, mut associations, mut count) = (Vec::new(), Vec::new(), 0u16);
        for item in &self.items {
            associations.extend(self.id(item.id));
            associations.push(item.properties.len() as u8);
            for (kind, payload, is_essential) in &item.properties {
                boxes.extend(heif_box(kind, &[payload]));
                count += 1;
                let essential = u16::from(*is_essential);
                if self.is_wide {
                    associations.extend((count | essential << 15).to_be_bytes());
                } else {
                    associations.push((count | essential << 7) as u8);
                }
            }
        }
        let flags = if self.is_wide { [1, 0, 0, 1] } else { [0; 4] };
        let count = (self.items.len() as u32).to_be_bytes();
        let associations = heif_box(b"ipma", &[&flags, &count, &associations]);
        heif_box(b"iprp", &[&heif_box(b"ipco", &[&boxes]), &associations])
    }

    /// Lengths of four bytes; offsets too, and a base of eight where that is in use.
    fn locations(&self, mut data_at: u32) -> Vec<u8> {
        let mut entries = if self.is_wide { vec![0x44, 0x80] } else { vec![0x44, 0] };
        entries.extend(self.id(self.items.len() as u32));
        for item in &self.items {
            entries.extend(self.id(item.id));
            // In `idat`; then the reference of data elsewhere, which there is none.
            entries.extend(if self.is_wide { [0, 1, 0, 0].as_slice() } else { &[0, 0] });
            if self.is_wide {
                entries.extend(0u64.to_be_bytes());
            }
            let length = item.data.len() as u32;
            entries.extend([&[0, 1], data_at.to_be_bytes().as_slice(), &length.to_be_bytes()].concat());
            data_at += length;
        }
        self.full(b"iloc", 2, &entries)
    }
}

/// A box of an ISO base media file.
pub fn heif_box(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let payload = parts.concat();
    [(payload.len() as u32 + 8).to_be_bytes().as_slice(), kind, &payload].concat()
}

/// Each frame: its pixels, where it lies, how long it is shown in 10 ms, and its disposal (1 keep, 2 clear,
/// 3 restore).
pub type GifFrame<'a> = (&'a Picture, (u16, u16), u16, u8);

pub fn animated_gif((width, height): (u16, u16), repeat: gif::Repeat, frames: &[GifFrame]) -> Vec<u8> {
    // 6 levels of each channel, and one entry for what is transparent.
    let level = |index: usize| (index % 6 * 51) as u8;
    let palette: Vec<u8> =
        (0..217).flat_map(|entry| [level(entry / 36), level(entry / 6), level(entry)]).collect();
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, width, height, &palette).unwrap();
    encoder.set_repeat(repeat).unwrap();
    for (picture, (left, top), delay, disposal) in frames {
        let entry = |pixel: &[u8]| match pixel {
            [.., 0] if pixel.len() == 4 => 216,
            [red, green, blue, ..] => red / 51 * 36 + green / 51 * 6 + blue / 51,
            _ => 0,
        };
        let channels = if picture.has_alpha { 4 } else { 3 };
        let indices: Vec<u8> = picture.data.chunks_exact(channels).map(entry).collect();
        encoder
            .write_frame(&gif::Frame {
                delay: *delay,
                dispose: gif::DisposalMethod::from_u8(*disposal).unwrap(),
                transparent: Some(216),
                left: *left,
                top: *top,
                width: picture.size.width_px as u16,
                height: picture.size.height_px as u16,
                buffer: indices.into(),
                ..gif::Frame::default()
            })
            .unwrap();
    }
    drop(encoder);
    bytes
}

/// Frames with and without alpha, lossy and lossless, blended and not, kept and cleared: 64 x 48 px, played
/// 7 times.
pub fn animated_webp() -> Vec<u8> {
    use crate::libwebp::{Fidelity, encode};
    let lossy = Fidelity::Lossy { quality: 90 };
    let veil = drawn(20, 16, |x, y| [200, (x * 12) as u8, (y * 15) as u8, (x * 12) as u8]);
    let opaque = drawn(20, 16, |x, y| [(x * 12) as u8, (y * 15) as u8, 90, 255]);
    // The last bits: 1 cleared before the next, 2 not blended.
    let frames = [
        (quadrants(64, 48), Fidelity::Lossless, (0, 0), 40u8, 0u8),
        (veil.clone(), Fidelity::Lossless, (10, 6), 70, 0),
        (veil.clone(), lossy, (30, 20), 70, 1),
        (opaque.clone(), lossy, (44, 32), 80, 1),
        (veil, Fidelity::Lossless, (20, 20), 90, 2),
        (opaque, Fidelity::Lossless, (0, 30), 60, 3),
    ];
    let mut body = [b"WEBP".as_slice(), &riff_chunk(b"VP8X", &[0x12, 0, 0, 0, 63, 0, 0, 47, 0, 0])].concat();
    body.extend(riff_chunk(b"ANIM", &[0, 0, 0, 0, 7, 0]));
    for (picture, fidelity, (left, top), duration_ms, flags) in frames {
        let still = encode(&picture, fidelity, 4).unwrap();
        // Behind RIFF and, where there is one, behind VP8X.
        let data = if &still[12..16] == b"VP8X" { &still[30..] } else { &still[12..] };
        let (width, height) = (picture.size.width_px as u8 - 1, picture.size.height_px as u8 - 1);
        let head = [left / 2, 0, 0, top / 2, 0, 0, width, 0, 0, height, 0, 0, duration_ms, 0, 0, flags];
        body.extend(riff_chunk(b"ANMF", &[head.as_slice(), data].concat()));
    }
    riff_chunk(b"RIFF", &body)
}

pub fn riff_chunk(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [name.as_slice(), &length, payload, &[0][..payload.len() & 1]].concat()
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
