//! What each encoder takes of memory and time for a pixel: the figures behind `cost.rs`.
//!
//!     cargo run -p darkroom-imaging --features avif --example costs -- PHOTO.png
//!
//! Each case is measured in a process of its own.
#![allow(clippy::unwrap_used, reason = "a tool for those who work on this crate")]

use std::fs::File;
use std::io::BufReader;
use std::process::Command;

use contract::recipe::Encoding;
use contract::{Format, Recipe};
use image::{DynamicImage, RgbImage, codecs::png::PngDecoder};
use imaging::measure::{encoded, process};

const ENCODINGS: [&str; 7] = [
    "format = \"avif\"",
    "format = \"webp\", lossless = false",
    "format = \"webp\", lossless = false, method = 6",
    "format = \"webp\", lossless = true",
    "format = \"jpeg\"",
    "format = \"jpeg\", progressive = true",
    "format = \"png\"",
];
const SIDES_PX: [u32; 4] = [256, 768, 1536, 2560];

fn encoding(fields: &str) -> Encoding {
    let recipe = format!("formats = [{{ {fields} }}]\n[[rendition]]\nname = \"a\"\nwidth = 1");
    Recipe::parse(&recipe).unwrap().formats.remove(0)
}

/// A square of the photo, tiled where it is too small, or noise.
fn square(photo: Option<&RgbImage>, side_px: u32, channels: u8) -> Vec<u8> {
    let mut data = Vec::new();
    let mut noise = 1u32;
    for (y, x) in (0..side_px).flat_map(|y| (0..side_px).map(move |x| (y, x))) {
        let rgb = photo.map(|photo| photo.get_pixel(x % photo.width(), y % photo.height()).0);
        let mut next = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        };
        data.extend(rgb.unwrap_or_else(|| [next(), next(), next()]));
        if channels == 4 {
            data.push(if photo.is_some() { ((x + y) * 255 / (2 * side_px)) as u8 } else { next() });
        }
    }
    data
}

fn child(args: &[String]) {
    let photo = (args[1] != "noise").then(|| {
        let file = BufReader::new(File::open(&args[1]).unwrap());
        DynamicImage::from_decoder(PngDecoder::new(file).unwrap()).unwrap().to_rgb8()
    });
    let (fields, side_px) = (&args[2], args[3].parse::<u32>().unwrap());
    let channels = args[4].parse::<u8>().unwrap();
    let data = square(photo.as_ref(), side_px, channels);
    let before = process::cpu().unwrap();
    let work = || encoded((side_px, side_px), channels, data, &encoding(fields)).unwrap();
    let (file, bytes) = process::peak_bytes(work).unwrap();
    let time = process::cpu().unwrap() - before;
    let pixels = f64::from(side_px).powi(2);
    println!(
        "{fields:55} {side_px:5} px, {channels} channels: {:5.1} bytes/px, {:5.2} MiB; {:5.0} ns/px; {:5.2} bits/px",
        bytes as f64 / pixels,
        bytes as f64 / f64::from(1 << 20),
        time.as_nanos() as f64 / pixels,
        file.len() as f64 * 8.0 / pixels,
    );
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args[0] == "--one" {
        return child(&args);
    }
    let formats =
        ENCODINGS.iter().filter(|fields| encoding(fields).format != Format::Avif || cfg!(feature = "avif"));
    for fields in formats {
        for photo in [args[0].as_str(), "noise"] {
            for (channels, side_px) in ["3", "4"].into_iter().flat_map(|c| SIDES_PX.map(|side| (c, side))) {
                let side_px = side_px.to_string();
                let one = ["--one", photo, fields, &side_px, channels];
                Command::new(std::env::current_exe().unwrap()).args(one).status().unwrap();
            }
        }
    }
}
