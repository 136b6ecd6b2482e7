//! Nobody wins by doing less: every file that anyone makes is decoded by one decoder, and its size and quality are
//! held against the photo's own. Owns the references, made once for each size.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use bench_imaging::picture::{scorable, shown};
use bench_imaging::protocol::File;
use bench_imaging::reference::{Over, reduced};
use fast_ssim2::Ssimulacra2Reference;
use image::RgbImage;

use crate::photos::Photo;
use crate::results::Scored;

/// SSIMULACRA2 below which something is broken rather than small.
const FLOOR: f64 = 40.0;

#[derive(Default)]
pub struct Judge {
    /// The last one that was looked at, by its name.
    photo: Option<(String, RgbImage)>,
    references: HashMap<(String, (u32, u32)), [Ssimulacra2Reference; 2]>,
}

impl Judge {
    /// # Errors
    /// Whatever is wrong with the file, by its name.
    pub fn judge(&mut self, photo: &Photo, file: &File) -> anyhow::Result<Scored> {
        let scored = self.score(photo, file)?;
        let name = file.path.display();
        ensure!(scored.score >= FLOOR, "{name} of {} has {:.1} points only", photo.name, scored.score);
        Ok(scored)
    }

    /// The same of a file that may look bad, as it does in the lower part of a curve.
    pub fn score(&mut self, photo: &Photo, file: &File) -> anyhow::Result<Scored> {
        let of = || format!("{} of {}", file.path.display(), photo.name);
        let picture = shown(&std::fs::read(&file.path)?).with_context(of)?;
        let (size, expected) = (picture.dimensions(), photo.inside(file.width));
        let is_right = size.0.abs_diff(expected.0) <= 1 && size.1.abs_diff(expected.1) <= 1;
        ensure!(is_right, "{} has {size:?} px rather than {expected:?}", of());
        let made = scorable(&picture)?;
        let mut score = f64::NEG_INFINITY;
        for reference in self.references(photo, size)? {
            score = score.max(reference.compare(&made).with_context(of)?);
        }
        Ok(Scored { width: file.width, format: file.format, bytes: file.bytes, score })
    }

    /// The photo at this very size, over light and over samples: whichever is nearer counts.
    fn references(&mut self, photo: &Photo, size: (u32, u32)) -> anyhow::Result<&[Ssimulacra2Reference; 2]> {
        let key = (photo.name.clone(), size);
        if !self.references.contains_key(&key) {
            let whole = self.photo(photo)?;
            let reference = |over| -> anyhow::Result<_> {
                Ok(Ssimulacra2Reference::new(&scorable(&reduced(whole, size, over))?)?)
            };
            let both = [reference(Over::Light)?, reference(Over::Samples)?];
            self.references.insert(key.clone(), both);
        }
        self.references.get(&key).context("no reference")
    }

    fn photo(&mut self, photo: &Photo) -> anyhow::Result<&RgbImage> {
        if self.photo.as_ref().is_none_or(|(name, _)| *name != photo.name) {
            self.photo = Some((photo.name.clone(), shown(&std::fs::read(&photo.path)?)?));
        }
        self.photo.as_ref().map(|(_, whole)| whole).context("no photo")
    }
}
