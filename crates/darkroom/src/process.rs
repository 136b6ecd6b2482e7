//! `darkroom process`: the worker's judgement and imaging's pixels over local files, without S3. A dry
//! run of what an upload of the same file would give.

use std::collections::HashSet;
use std::fs;
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use contract::manifest::{Manifest, Outcome as Told, Placeholder, Rendition, Source};
use contract::revision::State;
use contract::{Fingerprint, Limits, MediaType, Recipe, Rejection, Revision, SourceKey};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use md5::{Digest, Md5};
use worker::process::rendition_of;
use worker::{Outcome, judge};

use crate::dev::recipe;
use crate::tools;

/// Exit code when any file was rejected and nothing worse happened.
const SOME_REJECTED: u8 = 2;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Images: JPEG, PNG, WebP, GIF, AVIF
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder for the results; each file gets a folder of its own name there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Recipe to use in place of the built-in one, TOML or JSON
    #[arg(long, value_name = "FILE")]
    recipe: Option<String>,
    /// One line of JSON for each file on standard output
    #[arg(long)]
    json: bool,
    /// Threads for all files together [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
}

/// What every file is made with.
struct Job<'a> {
    out: &'a Path,
    recipe: Recipe,
    limits: Limits,
    fingerprint: Fingerprint,
    /// Threads of one file's encoders.
    encoder_threads: usize,
}

/// How the files ended, counted.
#[derive(Default)]
struct Tally {
    rejected: AtomicUsize,
    failed: AtomicUsize,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let recipe = recipe(args.recipe.as_deref())?;
    let limits = Limits::default();
    let fingerprint = Fingerprint::of(&recipe, &limits, imaging::ENCODERS);
    let threads = threads(args);
    let at_once = threads.min(args.files.len());
    let job = Job { out: &args.out, recipe, limits, fingerprint, encoder_threads: threads / at_once };
    refuse_equal_names(&args.files)?;
    for sentence in tools::missing() {
        eprintln!("note: {sentence}");
    }
    let tally = Tally::default();
    let bar = progress(args.files.len());
    let next = AtomicUsize::new(0);
    let print = Mutex::new(());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(file) = args.files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done = contained(|| job.file(file));
                    let _one_at_a_time = print.lock();
                    bar.suspend(|| tally.report(file, &done, args.json));
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    Ok(tally.exit_code())
}

fn threads(args: &Args) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    args.threads.map_or(cores, usize::from)
}

/// Two files of one name would write into one folder.
fn refuse_equal_names(files: &[PathBuf]) -> anyhow::Result<()> {
    let mut seen = HashSet::new();
    for file in files {
        let name = file.file_name().with_context(|| format!("{}: not a file", file.display()))?;
        anyhow::ensure!(
            seen.insert(name),
            "two files are named {}; process them into different folders",
            name.display()
        );
    }
    Ok(())
}

fn progress(files: usize) -> ProgressBar {
    let shown = files > 1 && std::io::stderr().is_terminal();
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(files as u64), target);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} files, {elapsed}, about {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl Tally {
    fn report(&self, file: &Path, done: &anyhow::Result<Manifest>, json: bool) {
        let shown = file.display();
        match done {
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                eprintln!("{shown}: {error:#}");
            }
            Ok(Manifest { outcome: Told::Rejected { rejection }, .. }) => {
                self.rejected.fetch_add(1, Ordering::Relaxed);
                eprintln!("{shown}: {}: {}", rejection.code, rejection.message);
            }
            Ok(_) => {}
        }
        if json {
            let line = match done {
                Ok(manifest) => serde_json::json!({"file": shown.to_string(), "manifest": manifest}),
                Err(error) => serde_json::json!({"file": shown.to_string(), "error": format!("{error:#}")}),
            };
            // A reader that has gone away, as `head` does, is no reason to stop writing images.
            let _ = writeln!(std::io::stdout(), "{line}");
        } else if let Ok(manifest) = done {
            let _ = summary(file, manifest);
        }
    }

    fn exit_code(&self) -> ExitCode {
        match (self.failed.load(Ordering::Relaxed), self.rejected.load(Ordering::Relaxed)) {
            (0, 0) => ExitCode::SUCCESS,
            (0, _) => ExitCode::from(SOME_REJECTED),
            _ => ExitCode::FAILURE,
        }
    }
}

/// One line for a file that is ready.
fn summary(file: &Path, manifest: &Manifest) -> std::io::Result<()> {
    let renditions = manifest.renditions();
    if renditions.is_empty() {
        return Ok(());
    }
    let kib = renditions.iter().map(|rendition| rendition.bytes).sum::<u64>().div_ceil(1024);
    let source = &manifest.source;
    let (width, height) = (source.width.unwrap_or(0), source.height.unwrap_or(0));
    let (shown, count) = (file.display(), renditions.len());
    writeln!(std::io::stdout(), "{shown}: {width} x {height} px, {count} renditions, {kib} KiB")
}

impl Job<'_> {
    /// Makes one file's folder: the renditions, then the manifest. A rejection is a manifest too.
    fn file(&self, file: &Path) -> anyhow::Result<Manifest> {
        let name = file.file_name().and_then(|name| name.to_str()).context("the name is not UTF-8")?;
        let folder = self.out.join(name);
        let modified_s = fs::metadata(file)?.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        let size_bytes = fs::metadata(file)?.len();
        // Never more than one byte over the limit, whatever the file grows to meanwhile.
        let bytes = read_up_to(file, self.limits.max_source_bytes + 1)?;
        let source = SourceFile {
            key: SourceKey::parse(format!("raw/{name}")).context("the name cannot be part of a key")?,
            declared: MediaType::from_file_name(name),
            etag: etag(&bytes),
            modified_s: modified_s.map_or(0, Timestamp::as_second),
            size_bytes,
        };
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let manifest = self.make(&source, &bytes, &folder)?;
        let text = serde_json::to_string_pretty(&manifest)? + "\n";
        write(&folder.join("manifest.json"), text.as_bytes())?;
        Ok(manifest)
    }

    fn make(&self, source: &SourceFile, bytes: &[u8], folder: &Path) -> anyhow::Result<Manifest> {
        let mut size_px = None;
        let told = match self.try_make(source, bytes, folder, &mut size_px) {
            Ok((renditions, placeholder)) => Told::Ready { renditions, placeholder },
            Err(Failure::Rejected(rejection)) => Told::Rejected { rejection },
            Err(Failure::Ours(error)) => return Err(error),
        };
        Ok(self.manifest(source, size_px, told))
    }

    fn try_make(
        &self,
        source: &SourceFile,
        bytes: &[u8],
        folder: &Path,
        size_px: &mut Option<(u32, u32)>,
    ) -> Result<(Vec<Rendition>, Placeholder), Failure> {
        judge::size(source.size_bytes, &self.limits)?;
        let probe = judge::header(source.declared, bytes, &self.limits, &self.recipe)?;
        *size_px = Some((probe.width_px, probe.height_px));
        let revision = self.revision(source);
        let mut made = Vec::new();
        let mut broken = None;
        let placeholder =
            imaging::render(bytes, &probe, &self.recipe, self.encoder_threads, &mut |encoded| {
                let rendition = rendition_of(&source.key, &revision, &encoded);
                let file_name = format!("{}.{}", encoded.name, encoded.format.extension());
                made.push(rendition);
                match write(&folder.join(file_name), &encoded.bytes) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        broken = Some(error);
                        ControlFlow::Break(())
                    }
                }
            })
            .map_err(worker::Error::Imaging)?;
        made.sort_by_key(|rendition: &Rendition| self.recipe.place(&rendition.name, rendition.format));
        match broken {
            Some(error) => Err(Failure::Ours(error)),
            None => Ok((made, placeholder)),
        }
    }

    fn revision(&self, source: &SourceFile) -> Revision {
        let state = State {
            etag: &source.etag,
            version_id: None,
            modified_s: source.modified_s,
            content_type: source.declared.map(MediaType::content_type),
        };
        Revision::of(&state, 0, &self.fingerprint)
    }

    fn manifest(&self, source: &SourceFile, size_px: Option<(u32, u32)>, told: Told) -> Manifest {
        let revision = self.revision(source);
        let source = Source {
            key: source.key.clone(),
            etag: source.etag.clone(),
            version_id: None,
            sequencer: None,
            size: source.size_bytes,
            content_type: source.declared.map(|declared| declared.content_type().to_owned()),
            width: size_px.map(|(width, _)| width),
            height: size_px.map(|(_, height)| height),
        };
        Manifest::new(told, revision, 0, source, self.fingerprint.clone(), Timestamp::now())
    }
}

/// A local file, seen as the upload that it would be.
struct SourceFile {
    key: SourceKey,
    /// As a browser would declare it: by the name's extension.
    declared: Option<MediaType>,
    etag: String,
    modified_s: i64,
    size_bytes: u64,
}

/// The file's fault, or ours.
enum Failure {
    Rejected(Rejection),
    Ours(anyhow::Error),
}

impl From<worker::Error> for Failure {
    fn from(error: worker::Error) -> Self {
        match error.outcome() {
            Outcome::Rejected(rejection) => Self::Rejected(rejection),
            _ => Self::Ours(error.into()),
        }
    }
}

/// A panic costs its own file and no other.
fn contained<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    done.unwrap_or_else(|panic| Err(worker::Error::from_panic(panic.as_ref()).into()))
}

fn read_up_to(file: &Path, limit_bytes: u64) -> anyhow::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(limit_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// What S3 would call this content (of a file over the limit: what was read of it).
fn etag(bytes: &[u8]) -> String {
    let hex: String = Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}
