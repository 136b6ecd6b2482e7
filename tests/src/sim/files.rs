//! What users upload: small pictures, each of a colour that no other has, so that whatever is made of one is
//! known by its colour; and files that must never be published. Owns what ought to become of each.

use std::io::Cursor;
use std::sync::LazyLock;

use bytes::Bytes;
use contract::manifest::Rendition;
use contract::{Limits, MediaType, Recipe, RejectionCode};
use fastrand::Rng;
use image::{DynamicImage, ImageFormat, ImageReader, Rgb, RgbImage};

use super::faults::pick;
use crate::fixture;

/// Three files of each picture, cheap to make.
const RECIPE: &str = r#"
formats = [{ format = "png" }, { format = "jpeg" }]
[[rendition]]
name = "w16"
width = 16
[[rendition]]
name = "dot"
width = 4
height = 4
fit = "cover"
formats = [{ format = "webp" }]
"#;
const MAX_SOURCE_BYTES: u64 = 64 * 1024;

/// Of the pictures, px, and of what `w16` is to be: none is enlarged.
const SIZES_PX: [[(u32, u32); 2]; 4] =
    [[(32, 24), (16, 12)], [(16, 8), (16, 8)], [(48, 48), (16, 16)], [(8, 12), (8, 12)]];
const DOT_PX: (u32, u32) = (4, 4);
/// Each channel of a colour; so far apart that no encoder takes one for another.
const LEVELS: [u8; 3] = [16, 128, 240];
/// How far a lossy encoder may take a channel.
const TOLERANCE: u8 = 32;

pub fn recipe() -> Recipe {
    Recipe::parse(RECIPE).unwrap()
}

pub fn limits() -> Limits {
    Limits { max_source_bytes: MAX_SOURCE_BYTES, ..Limits::default() }
}

/// A file that somebody may upload.
#[derive(Debug, Clone)]
pub struct File {
    pub name: String,
    pub bytes: Bytes,
    /// What it is rightly declared as.
    pub content_type: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Picture { colour: [u8; 3], w16_px: (u32, u32) },
    Poison(RejectionCode),
}

/// What ought to become of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Ready { colour: [u8; 3], w16_px: (u32, u32) },
    Rejected(RejectionCode),
}

/// Every picture.
pub static PICTURES: LazyLock<Vec<File>> = LazyLock::new(|| (0..LEVELS.len().pow(3)).map(picture).collect());

/// Every file that is at fault, with what is told of it.
pub static POISON: LazyLock<Vec<File>> = LazyLock::new(|| {
    let hostile = |name: &str, content_type, code| File {
        name: name.to_owned(),
        bytes: fixture(&format!("hostile/{name}")).into(),
        content_type,
        kind: Kind::Poison(code),
    };
    let jpeg = MediaType::Jpeg.content_type();
    let too_long = usize::try_from(MAX_SOURCE_BYTES).unwrap_or(usize::MAX) + 1;
    vec![
        hostile("claims_65000_square.jpg", jpeg, RejectionCode::TooManyPixels),
        hostile("claims_65000_square.png", MediaType::Png.content_type(), RejectionCode::TooManyPixels),
        hostile("empty.jpg", jpeg, RejectionCode::Empty),
        hostile("not_an_image.jpg", jpeg, RejectionCode::UnsupportedType),
        hostile("png_in_disguise.jpg", jpeg, RejectionCode::TypeMismatch),
        hostile("truncated.jpg", jpeg, RejectionCode::Corrupt),
        File {
            name: "too_long.jpg".to_owned(),
            bytes: vec![0xff; too_long].into(),
            content_type: jpeg,
            kind: Kind::Poison(RejectionCode::TooManyBytes),
        },
    ]
});

fn picture(n: usize) -> File {
    let colour = [LEVELS[n % 3], LEVELS[n / 3 % 3], LEVELS[n / 9 % 3]];
    let [(width, height), w16_px] = SIZES_PX[n % SIZES_PX.len()];
    let (format, media_type) = match n % 2 {
        0 => (ImageFormat::Png, MediaType::Png),
        _ => (ImageFormat::Jpeg, MediaType::Jpeg),
    };
    let mut bytes = Cursor::new(Vec::new());
    let flat = RgbImage::from_pixel(width, height, Rgb(colour));
    DynamicImage::from(flat).write_to(&mut bytes, format).unwrap();
    File {
        name: format!("picture{n}.{}", media_type.extension()),
        bytes: bytes.into_inner().into(),
        content_type: media_type.content_type(),
        kind: Kind::Picture { colour, w16_px },
    }
}

impl File {
    /// Something else to declare it as.
    pub fn wrong_type(&self, rng: &mut Rng) -> &'static str {
        match self.kind {
            Kind::Picture { .. } => pick::<&str>(rng, &["text/plain", "image/gif", "image/webp"]),
            Kind::Poison(_) => "text/plain",
        }
    }

    /// What ought to become of it when it is declared so: rightly, or as [`Self::wrong_type`] says.
    pub fn fate(&self, declared: &str) -> Fate {
        match self.kind {
            Kind::Poison(RejectionCode::TooManyBytes) => Fate::Rejected(RejectionCode::TooManyBytes),
            _ if MediaType::from_content_type(declared).is_none() => {
                Fate::Rejected(RejectionCode::UnsupportedType)
            }
            Kind::Picture { .. } if declared != self.content_type => {
                Fate::Rejected(RejectionCode::TypeMismatch)
            }
            Kind::Picture { colour, w16_px } => Fate::Ready { colour, w16_px },
            Kind::Poison(code) => Fate::Rejected(code),
        }
    }
}

/// Whether a rendition is what it says it is, of a picture of this colour.
pub fn check_rendition(
    rendition: &Rendition,
    bytes: &[u8],
    colour: [u8; 3],
    w16_px: (u32, u32),
) -> Result<(), String> {
    let due_px = if rendition.name == "dot" { DOT_PX } else { w16_px };
    let told_px = (rendition.width, rendition.height);
    let pixels = decode(bytes)?;
    if told_px != due_px || pixels.dimensions() != due_px {
        let found_px = pixels.dimensions();
        return Err(format!("is {found_px:?} px, told as {told_px:?}, and should be {due_px:?}"));
    }
    let far = |pixel: &&Rgb<u8>| (0..3).any(|at| pixel[at].abs_diff(colour[at]) > TOLERANCE);
    match pixels.pixels().find(far) {
        Some(Rgb(other)) => Err(format!("has a pixel of {other:?}, not {colour:?}: of another picture")),
        None => Ok(()),
    }
}

fn decode(bytes: &[u8]) -> Result<RgbImage, String> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let reader = reader.map_err(|error| format!("cannot be read: {error}"))?;
    let decoded = reader.decode().map_err(|error| format!("cannot be decoded: {error}"))?;
    Ok(decoded.to_rgb8())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_files_are_alike() {
        let all: HashSet<&Bytes> = PICTURES.iter().chain(POISON.iter()).map(|file| &file.bytes).collect();
        assert_eq!(all.len(), PICTURES.len() + POISON.len());
    }
}
