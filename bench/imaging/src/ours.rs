//! What our own encoders make of a photo at any quality: the curve on which peers' files are laid, and the quality
//! at which we look like them. Owns no clock: nothing here is measured.

use std::collections::HashMap;

use anyhow::Context;
use bench_imaging::protocol::{Job, Setting, Stage};
use contract::Format;

use crate::bench::{Bench, WIDTHS};
use crate::judge::Judge;
use crate::peer::{BOTH_CORES, Driver, Peer};
use crate::photos::Photo;
use crate::results::Scored;
use crate::stats::{interpolated, mean};

/// Where each curve is known.
const KNOTS: [u8; 9] = [30, 42, 52, 62, 70, 76, 82, 88, 94];
/// Of WebP, everywhere.
pub const METHOD: u8 = 4;

pub struct Ours {
    driver: Driver,
    made: HashMap<(String, Format, u8), Vec<Scored>>,
}

impl Ours {
    pub fn start(bench: &Bench) -> anyhow::Result<Self> {
        Ok(Self { driver: Driver::start(Peer::Darkroom, &bench.places, BOTH_CORES)?, made: HashMap::new() })
    }

    /// Our bytes where we score as a peer's file does, from the curve of this photo, width and format.
    pub fn bytes_at(
        &mut self,
        bench: &Bench,
        judge: &mut Judge,
        photo: &Photo,
        theirs: &Scored,
    ) -> anyhow::Result<f64> {
        let mut curve = Vec::new();
        for quality in KNOTS {
            let files = self.at(bench, judge, photo, theirs.format, quality)?;
            let same = files.iter().find(|file| file.width == theirs.width);
            curve.extend(same.map(|file| (file.score, (file.bytes as f64).ln())));
        }
        Ok(interpolated(&curve, theirs.score).exp())
    }

    /// The lowest quality at which the mean score over photos and widths is that of a peer.
    pub fn quality_for(
        &mut self,
        bench: &Bench,
        judge: &mut Judge,
        format: Format,
        score: f64,
    ) -> anyhow::Result<u8> {
        let (mut low, mut high) = (1, 100);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.mean_score(bench, judge, format, middle)? < score {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        Ok(low)
    }

    fn mean_score(
        &mut self,
        bench: &Bench,
        judge: &mut Judge,
        format: Format,
        quality: u8,
    ) -> anyhow::Result<f64> {
        let mut scores = Vec::new();
        for photo in &bench.photos {
            let files = self.at(bench, judge, photo, format, quality)?;
            scores.extend(files.iter().map(|file| file.score));
        }
        Ok(mean(&scores))
    }

    fn at(
        &mut self,
        bench: &Bench,
        judge: &mut Judge,
        photo: &Photo,
        format: Format,
        quality: u8,
    ) -> anyhow::Result<&[Scored]> {
        let key = (photo.name.clone(), format, quality);
        if !self.made.contains_key(&key) {
            let job = Job {
                photo: photo.path.clone(),
                out_dir: bench.memory.folder("curve")?,
                formats: vec![Setting { format, quality, effort: METHOD }],
                widths: WIDTHS.to_vec(),
                threads: 2,
                stage: Stage::All,
            };
            let files = self.driver.run(&job)?.files;
            let scored = files.iter().map(|file| judge.score(photo, file)).collect::<anyhow::Result<_>>()?;
            self.made.insert(key.clone(), scored);
        }
        Ok(self.made.get(&key).context("nothing was made")?)
    }
}
