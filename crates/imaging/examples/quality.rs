//! What each format's quality numbers are worth: SSIMULACRA2 and bytes of a rendition of some photos,
//! against the same rendition without loss.
//!
//!     cargo run -p darkroom-imaging --features avif --example quality -- WIDTH PHOTO...
#![allow(clippy::unwrap_used, reason = "a tool for those who work on this crate")]

use std::io::Cursor;
use std::ops::ControlFlow;
use std::sync::Arc;

use contract::{Limits, Recipe};
use fast_ssim2::{PixelDescriptor, PixelSlice, Ssimulacra2Reference};
use image::{DynamicImage, ImageDecoder, RgbImage, codecs::png::PngDecoder};
use imaging::{probe, render};

const QUALITIES: [(&str, &[u8]); 3] = [
    ("avif", &[50, 60, 70, 75, 80, 90]),
    ("webp", &[60, 70, 75, 80, 85, 90]),
    ("jpeg", &[60, 70, 75, 78, 85, 90]),
];

/// The one file of a recipe of one width and format.
fn made(source: &[u8], width: u32, format: &str) -> Arc<[u8]> {
    let recipe = format!("formats = [{{ {format} }}]\n[[rendition]]\nname = \"a\"\nwidth = {width}");
    let (recipe, limits) = (Recipe::parse(&recipe).unwrap(), Limits::default());
    let probe = probe(source, &limits, &recipe).unwrap();
    let mut file = None;
    render(source, &probe, &recipe, 1, &mut |encoded| {
        file = Some(encoded.bytes);
        ControlFlow::Continue(())
    })
    .unwrap();
    file.unwrap()
}

/// Any file's pixels on white, by this crate's own decoders.
fn shown(bytes: &[u8]) -> RgbImage {
    let png = made(bytes, 16_383, "format = \"png\"");
    let decoder = PngDecoder::new(Cursor::new(&png[..])).unwrap();
    assert!(decoder.total_bytes() > 0);
    let picture = DynamicImage::from_decoder(decoder).unwrap().to_rgba8();
    let on_white = |sample: u8, alpha: u8| 255 - (u32::from(255 - sample) * u32::from(alpha) / 255) as u8;
    let pixel = |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0;
        image::Rgb([red, green, blue].map(|sample| on_white(sample, alpha)))
    };
    RgbImage::from_fn(picture.width(), picture.height(), pixel)
}

fn view(picture: &RgbImage) -> PixelSlice<'_> {
    let (width, height) = picture.dimensions();
    let stride = width as usize * 3;
    PixelSlice::new(picture.as_raw(), width, height, stride, PixelDescriptor::RGB8_SRGB).unwrap()
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let width: u32 = args[0].parse().unwrap();
    println!("| file | format | quality | bytes | SSIMULACRA2 |\n|---|---|---|---|---|");
    for file in &args[1..] {
        let source = std::fs::read(file).unwrap();
        let name = file.rsplit('/').next().unwrap();
        let lossless = made(&source, width, "format = \"png\"");
        let reference = Ssimulacra2Reference::new(&view(&shown(&lossless))).unwrap();
        for (format, qualities) in QUALITIES {
            for quality in qualities {
                let bytes = made(&lossless, width, &format!("format = \"{format}\", quality = {quality}"));
                let score = reference.compare(&view(&shown(&bytes))).unwrap();
                println!("| {name} | {format} | {quality} | {} | {score:.1} |", bytes.len());
            }
        }
    }
}
