//! Where our own time goes: all of the work, and its decoder and its encoders alone, in turns; and how all but the
//! encoder grows with the photo. Owns what is subtracted from what.

use bench_imaging::protocol::{Job, Setting, Stage};
use contract::Format;

use crate::bench::{Bench, our_recipes};
use crate::judge::Judge;
use crate::peer::{CORE, Driver, Peer};
use crate::photos::{self, Photo};
use crate::results::{Scale, Stages};
use crate::stats::median;

const LOSSLESS: Setting = Setting { format: Format::Png, quality: 100, effort: 0 };
/// The one rendition that photos of all sizes are reduced to, px.
const WIDTH_PX: u32 = 1920;

/// Medians of CPU ms.
struct Times {
    total_ms: f64,
    decode_ms: f64,
    encode_ms: f64,
}

pub fn run(bench: &Bench, judge: &mut Judge) -> anyhow::Result<Vec<Stages>> {
    let mut driver = Driver::start(Peer::Darkroom, &bench.places, CORE)?;
    let mut all = Vec::new();
    for photo in &bench.photos {
        for recipe in our_recipes() {
            let job = bench.job(photo, &recipe, "stages")?;
            let Times { total_ms, decode_ms, encode_ms } = times(bench, judge, &mut driver, photo, &job)?;
            let formats = recipe.iter().map(|setting| setting.format).collect();
            all.push(Stages { photo: photo.name.clone(), formats, total_ms, decode_ms, encode_ms });
        }
    }
    Ok(all)
}

pub fn scales(bench: &Bench) -> anyhow::Result<Vec<Scale>> {
    let mut driver = Driver::start(Peer::Darkroom, &bench.places, CORE)?;
    let mut all = Vec::new();
    for photo in photos::scaled(&bench.places)? {
        println!("  {:.0} MP", photo.megapixels());
        // One for each: what it keeps of large photos is large.
        let judge = &mut Judge::default();
        let jpeg = Setting { format: Format::Jpeg, quality: 80, effort: 0 };
        let job = Job { widths: vec![WIDTH_PX], ..bench.job(&photo, &[jpeg], "scales")? };
        let times = times(bench, judge, &mut driver, &photo, &job)?;
        let peak_bytes = Driver::start(Peer::Darkroom, &bench.places, CORE)?.run(&job)?.peak_bytes;
        all.push(Scale {
            megapixels: photo.megapixels(),
            decode_ms: times.decode_ms,
            decode_and_resize_ms: times.total_ms - times.encode_ms,
            peak_bytes,
        });
    }
    Ok(all)
}

fn times(
    bench: &Bench,
    judge: &mut Judge,
    driver: &mut Driver,
    photo: &Photo,
    job: &Job,
) -> anyhow::Result<Times> {
    // The encoders' input. It warms the rest up, too.
    driver.run(&Job { formats: vec![LOSSLESS], ..job.clone() })?;
    for file in &driver.run(job)?.files {
        judge.judge(photo, file)?;
    }
    let mut cpu_ms = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..bench.runs {
        for (stage, all) in [Stage::All, Stage::Decode, Stage::Encode].into_iter().zip(&mut cpu_ms) {
            all.push(driver.run(&Job { stage, ..job.clone() })?.cpu_ms);
        }
    }
    let [total_ms, decode_ms, encode_ms] = cpu_ms.map(|all| median(&all));
    Ok(Times { total_ms, decode_ms, encode_ms })
}
