//! What resizing costs and how good it is:
//!
//!     cargo run --release -p darkroom-bench-imaging --features avif --example resizing -- PHOTO.jpg...
//!
//! Owns the figures of docs/resizing.md; never decides anything.
//!
//! Every score is SSIMULACRA2 against a plain reduction in f64, in linear light, of the whole photo.

use std::iter::zip;

use anyhow::Result;
use bench_imaging::clock::cpu_ms;
use bench_imaging::picture::scorable;
use bench_imaging::reference::{Over, reduced};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use fast_ssim2::compute_ssimulacra2;
use image::RgbImage;
use imaging::measure::Rgb;

/// A picture's side over the rendition's.
const RATIOS: [f64; 7] = [1.25, 1.575, 2.0, 3.0, 4.5, 6.0, 9.0];
/// Widths of renditions, over a photo's shorter side.
const WIDTHS: [f64; 4] = [1920.0, 1280.0, 640.0, 320.0];
/// The last step of a chain of two.
const STEPS: [f64; 5] = [1.25, 1.5, 2.0, 2.5, 3.0];
/// What all chains come to.
const CHAINED: f64 = 6.0;
/// What remains to be reduced after the DCT.
const LEFT: [f64; 4] = [1.5, 2.0, 2.5, 3.0];
/// How often each is timed; the least counts, as others use the machine too.
const RUNS: usize = 3;

/// sRGB, 8 bits.
struct Photo(Rgb);

type Reduce = fn(&Photo, (u32, u32)) -> Result<Photo>;

fn main() -> Result<()> {
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        let (photo, _) = decoded(&bytes, 8)?;
        let (width, height) = photo.0.size();
        println!("\n{path}, {width} x {height}");
        renditions(&photo)?;
        directly(&photo)?;
        chained(&photo)?;
        after_the_dct(&photo, &bytes)?;
    }
    Ok(())
}

/// A ladder of renditions, each from the nearest larger one that has at least a number of times its
/// resolution.
fn renditions(photo: &Photo) -> Result<()> {
    println!("\n| each from | ms in all | scores |\n|---|---|---|");
    let (width, height) = photo.0.size();
    let sizes = WIDTHS.map(|rendition| photo.over(f64::from(width.min(height)) / rendition));
    let truths = sizes.map(|size| in_f64(photo, size));
    for (name, step, light_from) in [
        ("the photo, in gamma space", f64::INFINITY, f64::INFINITY),
        ("2x, in gamma space", 2.0, f64::INFINITY),
        ("the photo, as light", f64::INFINITY, 0.0),
        ("3x, as light", 3.0, 0.0),
        ("2x, as light", 2.0, 0.0),
        ("1.5x, as light", 1.5, 0.0),
        ("2x, as light from 2x on", 2.0, 2.0),
        ("1.5x, as light from 2x on", 1.5, 2.0),
    ] {
        let mut made: Vec<Photo> = Vec::new();
        let mut all_ms = 0.0;
        for size in sizes {
            let wide = |base: &&Photo| f64::from(base.0.size().0) + 1.0 >= step * f64::from(size.0);
            let base = made.iter().rev().find(wide).unwrap_or(photo);
            let seen = f64::from(width) >= light_from * f64::from(size.0);
            let (small, ms) = timed(if seen { in_light } else { in_gamma_space }, base, size)?;
            all_ms += ms;
            made.push(small);
        }
        let scores: Result<Vec<_>> = zip(&truths, &made).map(|(truth, made)| score(truth, made)).collect();
        println!("| {name} | {all_ms:.0} | {:.1?} |", scores?);
    }
    Ok(())
}

fn directly(photo: &Photo) -> Result<()> {
    println!("\n| ratio | gamma space, ms | score | light, ms | score |\n|---|---|---|---|---|");
    for ratio in RATIOS {
        let size = photo.over(ratio);
        let truth = in_f64(photo, size);
        let (gamma, gamma_ms) = timed(in_gamma_space, photo, size)?;
        let (light, light_ms) = timed(in_light, photo, size)?;
        let (gamma, light) = (score(&truth, &gamma)?, score(&truth, &light)?);
        println!("| {ratio} | {gamma_ms:.0} | {gamma:.1} | {light_ms:.0} | {light:.1} |");
    }
    Ok(())
}

fn chained(photo: &Photo) -> Result<()> {
    println!("\n| chain to {CHAINED} | light, light | gamma space, light |\n|---|---|---|");
    let size = photo.over(CHAINED);
    let truth = in_f64(photo, size);
    for step in STEPS {
        let between = photo.over(CHAINED / step);
        let by = |first: Reduce| score(&truth, &in_light(&first(photo, between)?, size)?);
        let (light, gamma) = (by(in_light)?, by(in_gamma_space)?);
        println!("| {:.2}, then {step} | {light:.1} | {gamma:.1} |", CHAINED / step);
    }
    Ok(())
}

fn after_the_dct(photo: &Photo, bytes: &[u8]) -> Result<()> {
    let (_, whole_ms) = decoded(bytes, 8)?;
    println!(
        "\n| DCT at (decode {whole_ms:.0} ms at 8/8) | decode, ms | then | light | score |\n|---|---|---|---|---|"
    );
    for eighths in [4, 2, 1] {
        let (small, decode_ms) = decoded(bytes, eighths)?;
        for left in LEFT {
            let size = photo.over(left * 8.0 / f64::from(eighths));
            let score = score(&in_f64(photo, size), &in_light(&small, size)?)?;
            println!("| {eighths}/8 | {decode_ms:.0} | {left} | {} px | {score:.1} |", size.0);
        }
    }
    Ok(())
}

impl Photo {
    fn over(&self, ratio: f64) -> (u32, u32) {
        let side = |side_px: u32| (f64::from(side_px) / ratio).round() as u32;
        let (width, height) = self.0.size();
        (side(width), side(height))
    }

    fn image(&self) -> RgbImage {
        let (width, height) = self.0.size();
        RgbImage::from_raw(width, height, self.0.samples().to_vec()).unwrap_or_default()
    }
}

fn decoded(bytes: &[u8], eighths: u8) -> Result<(Photo, f64)> {
    let start = cpu_ms();
    let mut decoder = mozjpeg::Decompress::new_mem(bytes)?;
    decoder.scale(eighths);
    let mut started = decoder.rgb()?;
    let size = (started.width() as u32, started.height() as u32);
    let photo = Photo(Rgb::new(size, started.read_scanlines()?));
    Ok((photo, cpu_ms() - start))
}

fn timed(reduce: Reduce, photo: &Photo, size: (u32, u32)) -> Result<(Photo, f64)> {
    let run = || -> Result<(Photo, f64)> {
        let start = cpu_ms();
        Ok((reduce(photo, size)?, cpu_ms() - start))
    };
    let (small, mut least_ms) = run()?;
    for _ in 1..RUNS {
        least_ms = run()?.1.min(least_ms);
    }
    Ok((small, least_ms))
}

fn score(truth: &Photo, made: &Photo) -> Result<f64> {
    Ok(compute_ssimulacra2(&scorable(&truth.image())?, &scorable(&made.image())?)?)
}

fn in_light(photo: &Photo, size: (u32, u32)) -> Result<Photo> {
    Ok(Photo(photo.0.reduced(size)))
}

fn in_gamma_space(photo: &Photo, (width, height): (u32, u32)) -> Result<Photo> {
    let mut rgb = vec![0; width as usize * height as usize * 3];
    let (from_width, from_height) = photo.0.size();
    let from = TypedImageRef::<U8x3>::from_buffer(from_width, from_height, photo.0.samples())?;
    let mut to = TypedImage::<U8x3>::from_buffer(width, height, &mut rgb)?;
    let options =
        ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3)).use_alpha(false);
    Resizer::new().resize_typed(&from, &mut to, &options)?;
    Ok(Photo(Rgb::new((width, height), rgb)))
}

fn in_f64(photo: &Photo, size: (u32, u32)) -> Photo {
    Photo(Rgb::new(size, reduced(&photo.image(), size, Over::Light).into_raw()))
}
