//! One kind of work by everyone, in turns: first once for all photos, which warms up and is judged, then as often
//! as is asked, which is timed. Where AVIF is made, our own quality is that at which we look like the peer. Owns
//! who does what at which settings.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::Context;
use bench_imaging::protocol::{Done, File, Job, Setting};
use contract::Format;

use crate::bench::Bench;
use crate::judge::Judge;
use crate::ours::{METHOD, Ours};
use crate::peer::{CORE, Driver, Peer};
use crate::photos::Photo;
use crate::results::{Contest, Entry, Scored, Shot};
use crate::stats::geometric_mean;

/// Of JPEG and of WebP, in which all use the same encoders at heart.
const QUALITY: u8 = 80;
/// sharp's own default of AVIF; libvips and libavif count alike.
const AVIF_QUALITY: u8 = 50;
/// Of a contest that takes minutes.
const FEW_RUNS: usize = 3;

/// Who does one kind of work beside us, and at which effort of the modern format.
struct Work {
    modern: Format,
    runs: usize,
    peers: Vec<(Peer, u8)>,
}

fn work(number: u8, runs: usize) -> Work {
    use Peer::{Oximg, Pillow, SharpC, SharpUsual, Vipsthumbnail};
    match number {
        1 => {
            let peers = [SharpUsual, SharpC, Pillow, Vipsthumbnail, Oximg].map(|peer| (peer, 4));
            Work { modern: Format::Webp, runs, peers: peers.to_vec() }
        }
        // Efforts are what each does by itself, where it is not asked: of Pillow, that is speed 6.
        2 => {
            let peers = vec![(SharpUsual, 4), (Pillow, 3), (Vipsthumbnail, 4), (Oximg, 4)];
            Work { modern: Format::Avif, runs: runs.min(FEW_RUNS), peers }
        }
        // The fastest that each has.
        _ => {
            let peers = [SharpC, Pillow, Vipsthumbnail, Oximg].map(|peer| (peer, 0));
            Work { modern: Format::Avif, runs, peers: peers.to_vec() }
        }
    }
}

fn settings(format: Format, quality: u8, effort: u8) -> Vec<Setting> {
    vec![Setting { format, quality, effort }, Setting { format: Format::Jpeg, quality: QUALITY, effort: 0 }]
}

/// The run of one contest.
pub struct Running<'a> {
    bench: &'a Bench,
    judge: &'a mut Judge,
    ours: &'a mut Ours,
    drivers: HashMap<Peer, Driver>,
    /// What the judge has seen, by entry and photo: the same bytes need no second look.
    seen: HashMap<(usize, String), u64>,
    contest: Contest,
}

pub fn run(bench: &Bench, judge: &mut Judge, ours: &mut Ours, number: u8) -> anyhow::Result<Contest> {
    let Work { modern, runs, peers } = work(number, bench.runs);
    let contest = Contest { number, runs, entries: Vec::new(), absent: Vec::new() };
    let mut running = Running { bench, judge, ours, drivers: HashMap::new(), seen: HashMap::new(), contest };
    for (peer, effort) in peers {
        running.join(peer, modern, effort)?;
    }
    running.lay_on_curves()?;
    for run in 1..=runs {
        println!("  run {run} of {runs}");
        running.all_once()?;
    }
    Ok(running.contest)
}

impl Running<'_> {
    /// A peer, and beside it ourselves at the same quality, unless we are there already.
    fn join(&mut self, peer: Peer, modern: Format, effort: u8) -> anyhow::Result<()> {
        if let Some(reason) = peer.lacks(modern, &self.bench.places) {
            self.contest.absent.push((peer, reason.to_owned()));
            return Ok(());
        }
        println!("  {peer}: {modern} and jpeg, judged");
        let quality = if modern == Format::Avif { AVIF_QUALITY } else { QUALITY };
        let theirs = self.enter(peer, settings(modern, quality, effort))?;
        let our_quality = match modern {
            Format::Avif => {
                let score = self.contest.entries[theirs].score(modern);
                let quality = self.ours.quality_for(self.bench, self.judge, modern, score)?;
                println!("  {peer}: mean of {score:.2} points, ours at quality {quality}");
                quality
            }
            _ => quality,
        };
        let settings = settings(modern, our_quality, METHOD);
        let same = |entry: &Entry| entry.peer == Peer::Darkroom && entry.settings == settings;
        let ours = match self.contest.entries.iter().position(same) {
            Some(ours) => ours,
            None => self.enter(Peer::Darkroom, settings)?,
        };
        self.contest.entries[ours].ours = ours;
        self.contest.entries[theirs].ours = ours;
        Ok(())
    }

    /// Does all photos once, for the judge. Returns the entry's number.
    fn enter(&mut self, peer: Peer, settings: Vec<Setting>) -> anyhow::Result<usize> {
        if !self.drivers.contains_key(&peer) {
            self.drivers.insert(peer, Driver::start(peer, &self.bench.places, CORE)?);
        }
        let number = self.contest.entries.len();
        let shots = self.bench.photos.iter().map(|photo| Shot {
            photo: photo.name.clone(),
            cpu_ms: Vec::new(),
            wall_ms: Vec::new(),
            files: Vec::new(),
        });
        let (shots, equal_bytes) = (shots.collect(), Vec::new());
        self.contest.entries.push(Entry { peer, settings, ours: number, shots, equal_bytes });
        for (index, photo) in self.bench.photos.iter().enumerate() {
            let done = self.work(number, photo)?;
            self.contest.entries[number].shots[index].files = self.judged(number, photo, &done)?;
        }
        Ok(number)
    }

    fn work(&mut self, number: usize, photo: &Photo) -> anyhow::Result<Done> {
        let Entry { peer, settings, .. } = &self.contest.entries[number];
        let job: Job =
            self.bench.job(photo, settings, &format!("{}-{number}-{}", self.contest.number, photo.name))?;
        self.drivers.get_mut(peer).context("it is not running")?.run(&job)
    }

    fn judged(&mut self, number: usize, photo: &Photo, done: &Done) -> anyhow::Result<Vec<Scored>> {
        self.seen.insert((number, photo.name.clone()), digest(&done.files)?);
        done.files.iter().map(|file| self.judge.judge(photo, file)).collect()
    }

    fn all_once(&mut self) -> anyhow::Result<()> {
        for (index, photo) in self.bench.photos.iter().enumerate() {
            for number in 0..self.contest.entries.len() {
                let done = self.work(number, photo)?;
                if self.seen.get(&(number, photo.name.clone())) != Some(&digest(&done.files)?) {
                    self.judged(number, photo, &done)?;
                }
                let shot = &mut self.contest.entries[number].shots[index];
                shot.cpu_ms.push(done.cpu_ms);
                shot.wall_ms.push(done.wall_ms);
            }
        }
        Ok(())
    }

    /// Every peer's files beside what ours would have at the same score.
    fn lay_on_curves(&mut self) -> anyhow::Result<()> {
        for number in 0..self.contest.entries.len() {
            let entry = self.contest.entries[number].clone();
            if entry.peer == Peer::Darkroom {
                continue;
            }
            for Setting { format, .. } in &entry.settings {
                let mut ratios = Vec::new();
                for (shot, photo) in entry.shots.iter().zip(&self.bench.photos) {
                    for theirs in shot.files.iter().filter(|file| file.format == *format) {
                        let ours = self.ours.bytes_at(self.bench, self.judge, photo, theirs)?;
                        ratios.push(ours / theirs.bytes as f64);
                    }
                }
                self.contest.entries[number].equal_bytes.push((*format, geometric_mean(ratios)));
            }
        }
        Ok(())
    }
}

/// Of all files' bytes.
fn digest(files: &[File]) -> anyhow::Result<u64> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(&file.path).with_context(|| file.path.display().to_string())?.hash(&mut hasher);
    }
    Ok(hasher.finish())
}
