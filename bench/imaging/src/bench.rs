//! What all tables stand on: the photos, where things are, and a folder in memory that ends with the run. Owns
//! the jobs' common part.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bench_imaging::protocol::{Job, Setting, Stage};
use contract::Format;

use crate::ours::METHOD;
use crate::photos::Photo;
use crate::places::Places;

/// Px, each the side of a square box.
pub const WIDTHS: [u32; 4] = [320, 640, 1280, 1920];

pub struct Bench {
    pub places: Places,
    pub photos: Vec<Photo>,
    pub runs: usize,
    pub memory: InMemory,
}

impl Bench {
    /// All renditions of a photo, on one thread.
    pub fn job(&self, photo: &Photo, formats: &[Setting], folder: &str) -> anyhow::Result<Job> {
        Ok(Job {
            photo: photo.path.clone(),
            out_dir: self.memory.folder(folder)?,
            formats: formats.to_vec(),
            widths: WIDTHS.to_vec(),
            threads: 1,
            stage: Stage::All,
        })
    }
}

/// The two recipes that our own stages are measured with, at the qualities that are meant for them.
pub fn our_recipes() -> [Vec<Setting>; 2] {
    let of = |format, quality| Setting { format, quality, effort: METHOD };
    let jpeg = of(Format::Jpeg, 80);
    [vec![of(Format::Webp, 80), jpeg], vec![of(Format::Avif, 75), jpeg]]
}

/// A folder that is no disk's: everyone writes there, so that nobody waits for one.
pub struct InMemory(PathBuf);

impl InMemory {
    pub fn new() -> anyhow::Result<Self> {
        let path = Path::new("/dev/shm").join(format!("darkroom-bench-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    /// One of its folders, there from now on.
    pub fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.0.join(name);
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(path)
    }
}

impl Drop for InMemory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
