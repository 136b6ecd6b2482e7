//! What a run has found, as it is kept beside the report. Owns the shape, and what follows from the figures; never
//! how they are shown.

use bench_imaging::protocol::Setting;
use contract::Format;
use serde::{Deserialize, Serialize};

use crate::peer::Peer;
use crate::stats::{geometric_mean, mean, median};

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Results {
    pub machine: Machine,
    pub runs: usize,
    pub photos: Vec<PhotoFacts>,
    pub contests: Vec<Contest>,
    pub memory: Vec<Memory>,
    pub scales: Vec<Scale>,
    pub stages: Vec<Stages>,
    pub threads: Vec<Threads>,
    pub start: Option<Start>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    pub date: String,
    pub cpu: String,
    pub cores: usize,
    pub memory_bytes: u64,
    /// Of every peer, as it tells.
    pub versions: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct PhotoFacts {
    pub name: String,
    pub width_px: u32,
    pub height_px: u32,
    pub bytes: u64,
}

/// One kind of work, by everyone.
#[derive(Debug, Serialize, Deserialize)]
pub struct Contest {
    pub number: u8,
    pub runs: usize,
    pub entries: Vec<Entry>,
    /// Who is not here, and why.
    pub absent: Vec<(Peer, String)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    pub peer: Peer,
    pub settings: Vec<Setting>,
    /// Which of the entries is ours at the same quality; its own number where it is ours.
    pub ours: usize,
    pub shots: Vec<Shot>,
    /// Our bytes over this peer's at the same SSIMULACRA2, geometric mean over photos and widths.
    pub equal_bytes: Vec<(Format, f64)>,
}

/// What one entry did with one photo.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shot {
    pub photo: String,
    pub cpu_ms: Vec<f64>,
    pub wall_ms: Vec<f64>,
    pub files: Vec<Scored>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scored {
    /// Of the box, px.
    pub width: u32,
    pub format: Format,
    pub bytes: u64,
    /// SSIMULACRA2.
    pub score: f64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Memory {
    pub photo: String,
    pub megapixels: f64,
    pub formats: Vec<Format>,
    /// The most that a process with this one job ever had.
    pub peak_bytes: Vec<(Peer, u64)>,
}

/// One rendition of a photo of this size.
#[derive(Debug, Serialize, Deserialize)]
pub struct Scale {
    pub megapixels: f64,
    pub decode_ms: f64,
    /// All but the encoder.
    pub decode_and_resize_ms: f64,
    pub peak_bytes: u64,
}

/// Where our time goes, CPU ms.
#[derive(Debug, Serialize, Deserialize)]
pub struct Stages {
    pub photo: String,
    pub formats: Vec<Format>,
    pub total_ms: f64,
    pub decode_ms: f64,
    pub encode_ms: f64,
}

/// Wall ms for each set of files.
#[derive(Debug, Serialize, Deserialize)]
pub struct Threads {
    pub photo: String,
    pub formats: Vec<Format>,
    pub two_threads_ms: f64,
    pub two_processes_ms: f64,
}

/// From a process's start to its first sign of readiness, ms.
#[derive(Debug, Serialize, Deserialize)]
pub struct Start {
    pub worker_ms: Vec<f64>,
    pub sharp_ms: Vec<f64>,
}

impl Contest {
    pub fn of(&self, peer: Peer) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.peer == peer)
    }

    /// Each of ours, and after it those that it is compared with.
    pub fn in_order(&self) -> Vec<&Entry> {
        let place = |entry: &&Entry| (entry.ours, entry.peer != Peer::Darkroom);
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(place);
        entries
    }

    /// This entry's CPU time over that of ours at the same quality: the median's, and each run's.
    pub fn ratios(&self, entry: &Entry) -> (f64, Vec<f64>) {
        let ours = &self.entries[entry.ours];
        let run = |run: usize| entry.cpu_of_run(run) / ours.cpu_of_run(run);
        (entry.cpu_ms() / ours.cpu_ms(), (0..self.runs).map(run).collect())
    }
}

impl Entry {
    /// Geometric mean over photos of the median run.
    pub fn cpu_ms(&self) -> f64 {
        geometric_mean(self.shots.iter().map(|shot| median(&shot.cpu_ms)))
    }

    pub fn wall_ms(&self) -> f64 {
        geometric_mean(self.shots.iter().map(|shot| median(&shot.wall_ms)))
    }

    fn cpu_of_run(&self, run: usize) -> f64 {
        geometric_mean(self.shots.iter().filter_map(|shot| shot.cpu_ms.get(run)).copied())
    }

    /// Of all photos together.
    pub fn bytes(&self, format: Format) -> u64 {
        self.files(format).map(|file| file.bytes).sum()
    }

    /// Mean SSIMULACRA2 over photos and widths.
    pub fn score(&self, format: Format) -> f64 {
        mean(&self.files(format).map(|file| file.score).collect::<Vec<_>>())
    }

    pub fn equal_bytes(&self, format: Format) -> Option<f64> {
        self.equal_bytes.iter().find(|(of, _)| *of == format).map(|(_, ratio)| *ratio)
    }

    fn files(&self, format: Format) -> impl Iterator<Item = &Scored> {
        self.shots.iter().flat_map(|shot| &shot.files).filter(move |file| file.format == format)
    }
}

impl Memory {
    pub fn of(&self, peer: Peer) -> Option<u64> {
        self.peak_bytes.iter().find(|(of, _)| *of == peer).map(|(_, bytes)| *bytes)
    }
}

impl Stages {
    /// What is neither decoder nor encoder, as a part of the whole.
    pub fn rest(&self) -> f64 {
        (self.total_ms - self.decode_ms - self.encode_ms) / self.total_ms
    }
}

impl Threads {
    /// Throughput of two threads over that of two processes.
    pub fn ratio(&self) -> f64 {
        self.two_processes_ms / self.two_threads_ms
    }
}
