//! The photos that are measured: those of the corpus, and larger and smaller ones that are made of one of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use bench_imaging::picture::header;

use crate::places::Places;

/// What the made ones are made of: fine detail, and a wide-gamut profile.
const BASE: &str = "p12";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    /// What its file's name begins with.
    pub name: String,
    pub path: PathBuf,
    /// As shown.
    pub width_px: u32,
    pub height_px: u32,
    pub bytes: u64,
}

impl Photo {
    fn read(path: PathBuf) -> anyhow::Result<Self> {
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let header = header(&bytes)?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = stem.split('_').next().unwrap_or_default().to_owned();
        let (width_px, height_px) = (header.width_px, header.height_px);
        Ok(Self { name, path, width_px, height_px, bytes: bytes.len() as u64 })
    }

    pub fn megapixels(&self) -> f64 {
        f64::from(self.width_px) * f64::from(self.height_px) / 1e6
    }

    /// The size within a square box, never larger than it is.
    pub fn inside(&self, side_px: u32) -> (u32, u32) {
        let scale = (f64::from(side_px) / f64::from(self.width_px.max(self.height_px))).min(1.0);
        let side = |px: u32| (f64::from(px) * scale).round().max(1.0) as u32;
        (side(self.width_px), side(self.height_px))
    }
}

/// The corpus's photos whose names begin with one of `names`; all, where there are none.
pub fn corpus(places: &Places, names: &[String]) -> anyhow::Result<Vec<Photo>> {
    let folder = &places.photos;
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("the photos of {} are needed", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jpg"));
    paths.sort();
    let mut photos = paths.into_iter().map(Photo::read).collect::<anyhow::Result<Vec<_>>>()?;
    photos.retain(|photo| names.is_empty() || names.contains(&photo.name));
    ensure!(!photos.is_empty(), "{} has no such photos", folder.display());
    Ok(photos)
}

/// One of the corpus by its name.
pub fn base(places: &Places) -> anyhow::Result<Photo> {
    corpus(places, &[BASE.to_owned()])?.pop().context("no photo to make others of")
}

/// Four frames as one.
pub fn p48(places: &Places) -> anyhow::Result<Photo> {
    Photo::read(made(places)?.join("p48.jpg"))
}

/// The smallest first.
pub fn scaled(places: &Places) -> anyhow::Result<Vec<Photo>> {
    let mut photos = Vec::new();
    for entry in std::fs::read_dir(made(places)?)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with("mp.jpg") {
            photos.push(Photo::read(path)?);
        }
    }
    photos.sort_by(|one, other| one.megapixels().total_cmp(&other.megapixels()));
    Ok(photos)
}

/// The folder of what is made, once.
fn made(places: &Places) -> anyhow::Result<PathBuf> {
    let folder = places.scratch.join("photos");
    run(places, &base(places)?.path, &folder)?;
    Ok(folder)
}

fn run(places: &Places, photo: &Path, folder: &Path) -> anyhow::Result<()> {
    let mut python = Command::new(&places.python);
    python.arg(places.peers.join("photos.py")).arg(photo).arg(folder);
    ensure!(python.status()?.success(), "the larger and smaller photos could not be made");
    Ok(())
}
