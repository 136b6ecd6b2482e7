//! What several of these programs do alike.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::ensure;

/// The JPEG files of a folder, by name.
///
/// # Errors
/// Where the folder cannot be read, or has none.
pub fn photos(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut photos: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    photos.retain(|path| path.extension().is_some_and(|extension| extension == "jpg"));
    photos.sort();
    ensure!(!photos.is_empty(), "{} has no photos", folder.display());
    Ok(photos)
}

/// The upper one where there are two in the middle; NaN of nothing.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
