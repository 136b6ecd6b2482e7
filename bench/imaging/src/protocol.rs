//! What the benchmark and its drivers say to each other: a driver tells its version in a line of JSON, and from
//! then on answers each job, a line on its standard input, with a line on its standard output. Owns these lines;
//! the drivers in `peers` have them in their own languages.

use std::path::PathBuf;

use contract::Format;
use serde::{Deserialize, Serialize};

/// A driver's first line.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    pub version: String,
}

/// A photo to be made into files, each of `widths` as each of `formats`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    pub photo: PathBuf,
    /// A folder in memory, where `WIDTH.FORMAT` is written.
    pub out_dir: PathBuf,
    pub formats: Vec<Setting>,
    /// Px, each the side of the box that the rendition fits into.
    pub widths: Vec<u32>,
    /// What peers do not know: they do all on one thread.
    pub threads: usize,
    pub stage: Stage,
}

/// A format and how it is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    pub format: Format,
    pub quality: u8,
    /// WebP's method; AVIF's effort as libvips counts it, which our engine does not have.
    pub effort: u8,
}

/// Which part of the work is done. Only our own driver is asked for less than all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    #[default]
    All,
    Decode,
    /// Of the finished pictures, which are in `out_dir` as `WIDTH.png`.
    Encode,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    Done(Done),
    Failed { error: String },
}

/// A finished job.
#[derive(Debug, Serialize, Deserialize)]
pub struct Done {
    /// User and system time of the whole process.
    pub cpu_ms: f64,
    pub wall_ms: f64,
    /// The most that the process ever had in memory.
    pub peak_bytes: u64,
    pub files: Vec<File>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// That of the job, not the picture's own.
    pub width: u32,
    pub format: Format,
    pub path: PathBuf,
    pub bytes: u64,
}
