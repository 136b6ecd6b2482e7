//! What each format's quality numbers are worth: SSIMULACRA2 and bytes of a rendition of some photos,
//! against the same rendition without loss.
//!
//!     cargo run --release -p darkroom-bench-imaging --features avif --example quality -- WIDTH PHOTO...

use anyhow::Context;
use bench_imaging::picture::{made, recipe, scorable, shown};
use contract::recipe::Encoding;
use contract::{Format, Recipe};
use fast_ssim2::Ssimulacra2Reference;

const QUALITIES: [(Format, &[u8]); 3] = [
    (Format::Avif, &[50, 60, 70, 75, 80, 90]),
    (Format::Webp, &[60, 70, 75, 80, 85, 90]),
    (Format::Jpeg, &[60, 70, 75, 78, 85, 90]),
];

/// Of one width, as high as it becomes.
fn as_wide(width_px: u32, encoding: Encoding) -> Recipe {
    let mut recipe = recipe(&[width_px], vec![encoding]);
    recipe.renditions.iter_mut().for_each(|rendition| rendition.height = None);
    recipe
}

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (width, files) = args.split_first().context("WIDTH PHOTO...")?;
    let width_px: u32 = width.parse().context("WIDTH")?;
    println!("| file | format | quality | bytes | SSIMULACRA2 |\n|---|---|---|---|---|");
    for file in files {
        let source = std::fs::read(file).with_context(|| file.clone())?;
        let name = file.rsplit('/').next().unwrap_or(file);
        let lossless = made(&source, &as_wide(width_px, Encoding::new(Format::Png)))?;
        let reference = Ssimulacra2Reference::new(&scorable(&shown(&lossless)?)?)?;
        for (format, qualities) in QUALITIES {
            for quality in qualities {
                let encoding = Encoding { quality: Some(*quality), ..Encoding::new(format) };
                let bytes = made(&lossless, &as_wide(width_px, encoding))?;
                let score = reference.compare(&scorable(&shown(&bytes)?)?)?;
                println!("| {name} | {format} | {quality} | {} | {score:.1} |", bytes.len());
            }
        }
    }
    Ok(())
}
