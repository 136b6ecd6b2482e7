//! What becomes of images that nobody on this project made. Skipped, with a message, where the corpus is
//! absent. Never compares bytes: pixels and outcomes only.
#![expect(clippy::unwrap_used, reason = "clippy knows tests, not their helpers")]

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use contract::recipe::Recipe;
use contract::{Format, Limits, RejectionCode};
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::imageops::{self, FilterType, resize};
use image::{DynamicImage, ImageDecoder, RgbImage};
use imaging::{Encoded, Error, probe, render};

macro_rules! renditions {
    () => {
        r#"
        [[rendition]]
        name = "w200"
        width = 200
        [[rendition]]
        name = "thumb"
        width = 64
        height = 64
        fit = "cover"
        "#
    };
}

/// A recipe that costs little and has every stage.
const RECIPE: &str = concat!(r#"formats = [{ format = "png" }, { format = "jpeg" }]"#, renditions!());
/// The same with everything that moves.
const ANIMATED: &str =
    concat!(r#"formats = [{ format = "webp", animated = true }, { format = "png" }]"#, renditions!());

/// The files of a folder of the corpus, by name; none, and a message, where there is no corpus.
fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus").join(folder);
    let Ok(entries) = fs::read_dir(&root) else {
        println!("skipped: no corpus at {}", root.display());
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let images = paths.iter().filter(|path| !matches!(name(path).as_str(), "LICENSE" | "README.md"));
    images.map(|path| (name(path), fs::read(path).unwrap())).collect()
}

fn rendered(bytes: &[u8]) -> Result<Vec<Encoded>, Error> {
    rendered_as(bytes, RECIPE)
}

fn rendered_as(bytes: &[u8], recipe: &str) -> Result<Vec<Encoded>, Error> {
    let recipe = Recipe::parse(recipe).unwrap();
    let probe = probe(bytes, &Limits::default(), &recipe)?;
    let mut all = Vec::new();
    let placeholder = render(bytes, &probe, &recipe, 2, &mut |encoded| {
        all.push(encoded);
        std::ops::ControlFlow::Continue(())
    })?;
    assert!(placeholder.color.starts_with('#') && placeholder.thumbhash.len() >= 8);
    let outputs: usize = recipe.renditions.iter().map(|spec| recipe.formats_of(spec).len()).sum();
    assert_eq!(all.len(), outputs);
    Ok(all)
}

/// The `w200` as pixels.
fn shown(bytes: &[u8]) -> RgbImage {
    let files = rendered(bytes).unwrap();
    let file = files.iter().find(|file| file.name == "w200" && file.format == Format::Png).unwrap();
    let decoder = PngDecoder::new(Cursor::new(&file.bytes)).unwrap();
    let picture = DynamicImage::from_decoder(decoder).unwrap().to_rgb8();
    assert_eq!(picture.dimensions(), (file.width_px, file.height_px));
    picture
}

/// Mean difference of two pictures' samples at a size at which only the scene matters.
fn difference(one: &RgbImage, other: &RgbImage) -> f64 {
    let small = |picture| resize(picture, 16, 16, FilterType::Triangle);
    let (one, other) = (small(one), small(other));
    let sum: u64 = one.iter().zip(other.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / one.len() as f64
}

#[test]
fn one_scene_stored_in_nine_ways_is_shown_in_one() {
    for aspect in ["Landscape", "Portrait"] {
        let pictures: Vec<(String, RgbImage)> = files("orientation")
            .into_iter()
            .filter(|(name, _)| name.starts_with(aspect))
            .map(|(name, bytes)| (name, shown(&bytes)))
            .collect();
        for (name, picture) in pictures.iter().skip(1) {
            assert_eq!(picture.dimensions(), pictures[0].1.dimensions(), "{name}");
            let difference = difference(&pictures[0].1, picture);
            assert!(difference < 8.0, "{name}: {difference}");
        }
    }
}

#[test]
fn photos_are_shown_upright() {
    for (name, bytes) in files("photos") {
        let picture = shown(&bytes);
        let portrait = picture.height() > picture.width();
        assert_eq!(portrait, name.starts_with("p12_"), "{name}: {:?}", picture.dimensions());
    }
}

#[test]
fn of_pngsuite_all_decode_but_those_made_to_fail() {
    for (name, bytes) in files("png") {
        match rendered(&bytes) {
            Ok(_) => assert!(!name.starts_with('x'), "{name} must fail"),
            Err(error) => {
                assert!(name.starts_with('x'), "{name}: {error}");
                assert!(error.rejection().is_some(), "{name}: {error}");
            }
        }
    }
}

#[test]
fn every_gif_webp_and_avif_decodes() {
    for (name, bytes) in files("gif").into_iter().chain(files("webp")).chain(files("avif")) {
        rendered(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// One scene of 722 x 1024 px: stored as it is shown, turned, mirrored, and more than is shown.
#[test]
fn an_avif_is_shown_turned_mirrored_and_cropped_as_it_says() {
    let files = files("avif");
    let shown = |name: &str| {
        let (_, bytes) = files.iter().find(|(found, _)| found == name)?;
        let size = probe(bytes, &Limits::default(), &Recipe::default()).unwrap();
        Some(((size.width_px, size.height_px), shown(bytes)))
    };
    let Some((_, whole)) = shown("kimono.avif") else { return };
    for name in ["kimono.rotate90.avif", "kimono.mirror-horizontal.avif"] {
        let (size, other) = shown(name).unwrap();
        assert_eq!(size, (722, 1024), "{name}");
        assert_alike(name, &whole, &other);
    }
    let (size, cropped) = shown("kimono.crop.avif").unwrap();
    assert_eq!(size, (385, 330));
    // 271 px from the left and 39 px from the top, of which 200 px in 722 are seen.
    let part = imageops::crop_imm(&whole, 75, 11, 107, 91).to_image();
    assert_alike("crop", &part, &cropped);
}

fn assert_alike(what: &str, one: &RgbImage, other: &RgbImage) {
    let difference = difference(one, other);
    assert!(difference < 3.0, "{what}: {difference}");
}

/// The animations, and their frames.
const ANIMATIONS: [(&str, u32); 8] = [
    ("any-disposal.gif", 5),
    ("border_touching_layers.gif", 2),
    ("issue_1455_undersized.gif", 2),
    ("large-gif-anim-combine.gif", 2),
    ("large-gif-anim-full-frame-replace.gif", 2),
    ("mixed-disposal.gif", 5),
    ("random_lossless.webp", 3),
    ("random_lossy.webp", 4),
];

#[test]
fn where_all_frames_are_asked_for_every_gif_and_webp_decodes_and_animations_move() {
    let recipe = Recipe::parse(ANIMATED).unwrap();
    for (name, bytes) in files("gif").into_iter().chain(files("webp")) {
        let files = rendered_as(&bytes, ANIMATED).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected =
            ANIMATIONS.iter().find(|(animated, _)| *animated == name).map_or(1, |(_, frames)| *frames);
        assert_eq!(probe(&bytes, &Limits::default(), &recipe).unwrap().frames, expected, "{name}");
        for file in files.iter().filter(|file| file.format == Format::Webp) {
            let decoder = WebPDecoder::new(Cursor::new(&file.bytes)).unwrap();
            assert_eq!(decoder.dimensions(), (file.width_px, file.height_px), "{name}");
            assert_eq!(decoder.has_animation(), expected > 1, "{name}");
        }
    }
}

#[test]
fn a_photo_is_never_stored_without_loss() {
    let recipe = "formats = [{ format = \"webp\" }]\n[[rendition]]\nname = \"a\"\nwidth = 640";
    for (name, bytes) in files("photos").into_iter().chain(files("orientation").into_iter().take(1)) {
        let files = rendered_as(&bytes, recipe).unwrap();
        assert!(!files[0].bytes.windows(4).any(|window| window == b"VP8L"), "{name}");
    }
}

/// The JPEGs that are refused; every other decodes, odd as some are: CMYK, mixed sampling factors, fill
/// bytes and junk between segments, no Huffman tables of their own.
const REFUSED_JPEGS: [(&str, RejectionCode); 3] = [
    ("incomplete_image.jpg", RejectionCode::Corrupt),
    // 12 bits, and arithmetic coding.
    ("monkey12.jpg", RejectionCode::UnsupportedType),
    ("testimgari.jpg", RejectionCode::UnsupportedType),
];

#[test]
fn every_jpeg_decodes_but_those_that_are_cut_off_or_of_a_rare_kind() {
    for (name, bytes) in files("jpeg") {
        let expected = REFUSED_JPEGS.iter().find(|(refused, _)| *refused == name).map(|(_, code)| *code);
        let code = rendered(&bytes).err().and_then(|error| error.rejection()).map(|rejection| rejection.code);
        assert_eq!(code, expected, "{name}");
    }
}

#[test]
fn what_is_not_accepted_is_refused_with_a_code() {
    for folder in ["unsupported", "bad"] {
        for (name, bytes) in files(folder) {
            let rejection = rendered(&bytes).unwrap_err().rejection();
            assert_eq!(rejection.unwrap().code, RejectionCode::UnsupportedType, "{name}");
        }
    }
}

#[test]
fn what_once_broke_a_decoder_is_decoded_or_refused() {
    for (name, bytes) in files("fuzz/jpeg").into_iter().chain(files("fuzz/png")) {
        if let Err(error) = rendered(&bytes) {
            assert!(error.rejection().is_some(), "{name}: {error}");
        }
    }
}
