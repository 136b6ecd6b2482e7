//! The most memory that a process of each peer ever has which makes one set of files and nothing else. Owns no
//! clock.

use bench_imaging::protocol::Setting;
use contract::Format;

use crate::bench::{Bench, our_recipes};
use crate::judge::Judge;
use crate::peer::{CORE, Driver, Peer};
use crate::photos::{self, Photo};
use crate::results::Memory;

/// Of peers' AVIF, at any effort much the same: the quickest is asked.
const PEERS_AVIF: Setting = Setting { format: Format::Avif, quality: 50, effort: 0 };

pub fn run(bench: &Bench, judge: &mut Judge) -> anyhow::Result<Vec<Memory>> {
    let mut all = Vec::new();
    for photo in [photos::base(&bench.places)?, photos::p48(&bench.places)?] {
        for recipe in our_recipes() {
            println!("  {}: {}", photo.name, crate::report::formats(&recipe));
            all.push(of(bench, judge, &photo, &recipe)?);
        }
    }
    Ok(all)
}

fn of(bench: &Bench, judge: &mut Judge, photo: &Photo, recipe: &[Setting]) -> anyhow::Result<Memory> {
    let mut peak_bytes = Vec::new();
    for peer in Peer::ALL {
        if recipe.iter().any(|setting| peer.lacks(setting.format, &bench.places).is_some()) {
            continue;
        }
        let as_theirs = |setting: &Setting| match (peer, setting.format) {
            (Peer::Darkroom, _) | (_, Format::Webp | Format::Jpeg | Format::Png) => *setting,
            (_, Format::Avif) => PEERS_AVIF,
        };
        let settings: Vec<Setting> = recipe.iter().map(as_theirs).collect();
        let done = Driver::start(peer, &bench.places, CORE)?.run(&bench.job(photo, &settings, "memory")?)?;
        for file in &done.files {
            judge.judge(photo, file)?;
        }
        peak_bytes.push((peer, done.peak_bytes));
    }
    let formats = recipe.iter().map(|setting| setting.format).collect();
    Ok(Memory { photo: photo.name.clone(), megapixels: photo.megapixels(), formats, peak_bytes })
}
