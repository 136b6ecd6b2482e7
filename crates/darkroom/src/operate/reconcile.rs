//! `darkroom reconcile`: finds what does not fit together in a bucket, and has it mended. One listing in
//! the order of keys and a bounded number of requests in flight, so memory stays flat however many objects
//! there are.
//!
//! What a source lacks, the worker makes: it is asked to look. What no manifest names is deleted here: never
//! what a manifest names, never what is younger than a day.

mod delete;
mod judge;
mod units;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use contract::SourceKey;
use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use worker::notification::{self, REPAIR};

use super::queue::{Letter, MAX_BATCH};
use super::report::{Report, count, shown, size};
use super::trouble::Patience;
use super::{Age, Common, Control, FOUND, Place, Progress, Stop};
use units::{Kind, Unit, Units};

pub(super) use judge::tells_of;

/// Sources and folders looked at at once.
const AT_ONCE: usize = 16;
/// What no manifest names stays so long: readers may hold an older manifest.
pub const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// So long an upload may be on its way without anything being wrong.
const GRACE: &str = "15m";

const EXAMPLES: &str = "\
What is found:
  source_without_manifest    no manifest tells of a source as it is now
  rendition_without_source   the source is gone, and what was made of it is not
  rendition_missing          a manifest names what is not there
  leftover                   older than a day, and no manifest has named it for a day

Examples:
  darkroom reconcile --bucket photos --json
  darkroom reconcile --local --fix

Exit code: 0 nothing found or all mended, 3 something found and left, 1 stopped, or something could not be
looked at.";

#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Mend what is found: ask the worker to look again, delete what no manifest names
    #[arg(long)]
    fix: bool,
    /// Only sources whose key begins so, and what was made of them [default: the whole bucket]
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// Sources younger than this may still be on their way: no fault is found with them
    #[arg(long, value_name = "AGE", default_value = GRACE)]
    grace: Age,
    #[command(flatten)]
    common: Common,
}

/// How to look.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of source keys; what is made of them lies elsewhere and is looked at too.
    pub prefix: String,
    pub fix: bool,
    /// With `fix`: nothing is mended.
    pub dry_run: bool,
    /// How young a source is not found fault with.
    pub grace: SignedDuration,
    /// The time on the clock by which S3 dates objects.
    pub now: Timestamp,
}

impl Options {
    fn mends(&self) -> bool {
        self.fix && !self.dry_run
    }

    fn is_young(&self, modified: Timestamp, age: SignedDuration) -> bool {
        self.now.duration_since(modified) < age
    }
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// No manifest tells of the source as it is.
    SourceWithoutManifest,
    /// The source is gone, and no tombstone says so.
    RenditionWithoutSource,
    /// A manifest names what is not there.
    RenditionMissing,
    /// No manifest names it, and it is older than a day.
    Leftover,
}

impl Category {
    const fn name(self) -> &'static str {
        match self {
            Self::SourceWithoutManifest => "source_without_manifest",
            Self::RenditionWithoutSource => "rendition_without_source",
            Self::RenditionMissing => "rendition_missing",
            Self::Leftover => "leftover",
        }
    }
}

/// One thing that is wrong with one source, or with what was made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub category: Category,
    /// The source's.
    pub key: SourceKey,
    pub detail: String,
    /// How many objects it is about, where it is about objects.
    pub objects: u64,
    pub bytes: u64,
    /// Whether it is mended now, or the worker has been asked to.
    pub fixed: bool,
}

/// What a run says as it goes.
#[derive(Debug)]
pub enum Told<'a> {
    Found(&'a Finding),
    /// Not looked at, for trouble with this one alone.
    Trouble(&'a SourceKey, &'a anyhow::Error),
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub sources: u64,
    /// Of what was made: renditions and manifests.
    pub objects: u64,
    pub found: BTreeMap<Category, u64>,
    /// Findings that were not mended.
    pub left: u64,
    /// Messages to the worker: to mend, and to look once more at what something was deleted of.
    pub asked: u64,
    pub deleted_objects: u64,
    pub deleted_bytes: u64,
    /// Sources without manifest that are too young to find fault with.
    pub on_their_way: u64,
    /// Objects that no manifest names and that are kept for now.
    pub kept_for_now: u64,
    /// Manifests that say `failed`: redrive or backfill has them tried again.
    pub failed: u64,
    /// Sources whose key nothing could be served under.
    pub unusable: u64,
    /// Objects under `processed/` that Darkroom never wrote. They are left alone.
    pub unknown: u64,
    /// Sources and folders that could not be looked at.
    pub errors: u64,
    pub dry_run: bool,
    /// Whether it was stopped before the end.
    pub stopped: bool,
}

/// Looks at everything, and mends what it may.
pub async fn reconcile(
    place: &Place,
    options: &Options,
    control: &Control,
    tell: &mut dyn FnMut(Told),
) -> anyhow::Result<Summary> {
    if options.mends() {
        place.queue()?;
    }
    let mut run = Run {
        place,
        options,
        tell,
        pending: Vec::new(),
        patience: Patience::default(),
        summary: Summary { dry_run: options.dry_run, ..Summary::default() },
    };
    for prefix in units::prefixes(&options.prefix) {
        let units = Units::new(place.bucket.list(&prefix, None)).stream();
        let mut looked =
            std::pin::pin!(units.map_ok(|unit| look(place, options, unit)).try_buffered(AT_ONCE));
        loop {
            let next = tokio::select! {
                biased;
                () = control.stop.asked() => {
                    run.summary.stopped = true;
                    break;
                }
                next = looked.try_next() => next?,
            };
            let Some(looked) = next else { break };
            control.progress.more(looked.objects());
            run.take(looked).await?;
            control.progress.say(&format!("{} found", run.summary.found.values().sum::<u64>()));
        }
    }
    run.flush().await?;
    Ok(run.summary)
}

/// A unit of the listing that was looked at.
struct Looked {
    unit: Unit,
    seen: anyhow::Result<Seen>,
}

impl Looked {
    fn objects(&self) -> u64 {
        self.unit.objects.len() as u64
    }
}

/// What was seen of one unit.
#[derive(Debug, Default)]
struct Seen {
    findings: Vec<Finding>,
    on_its_way: bool,
    failed: bool,
    kept_for_now: u64,
    /// Messages to the worker about what was deleted.
    asked: u64,
}

async fn look(place: &Place, options: &Options, unit: Unit) -> anyhow::Result<Looked> {
    let seen = match &unit.kind {
        Kind::Source(source) => judge::source(place, options, source, &unit.objects).await,
        Kind::Folder(source) => judge::folder(place, options, source, &unit.objects).await,
        Kind::Unusable | Kind::Unknown | Kind::Other => Ok(Seen::default()),
    };
    Ok(Looked { unit, seen })
}

/// A run in progress.
struct Run<'a> {
    place: &'a Place,
    options: &'a Options,
    tell: &'a mut dyn FnMut(Told),
    /// What the worker is to be asked to mend.
    pending: Vec<Finding>,
    patience: Patience,
    summary: Summary,
}

impl Run<'_> {
    async fn take(&mut self, looked: Looked) -> anyhow::Result<()> {
        let objects = looked.objects();
        let source = match looked.unit.kind {
            Kind::Source(source) => {
                self.summary.sources += 1;
                source
            }
            Kind::Folder(source) => {
                self.summary.objects += objects;
                source
            }
            other => {
                self.summary.unusable += u64::from(other == Kind::Unusable);
                self.summary.unknown += u64::from(other == Kind::Unknown);
                return Ok(());
            }
        };
        match looked.seen {
            Ok(seen) => {
                self.patience.renew();
                self.seen(seen).await
            }
            Err(error) => {
                self.summary.errors += 1;
                (self.tell)(Told::Trouble(&source, &error));
                self.patience.spend(&error)
            }
        }
    }

    async fn seen(&mut self, seen: Seen) -> anyhow::Result<()> {
        self.summary.on_their_way += u64::from(seen.on_its_way);
        self.summary.failed += u64::from(seen.failed);
        self.summary.kept_for_now += seen.kept_for_now;
        self.summary.asked += seen.asked;
        for finding in seen.findings {
            *self.summary.found.entry(finding.category).or_default() += 1;
            if self.options.mends() && finding.category != Category::Leftover {
                self.pending.push(finding);
            } else {
                self.told(&finding);
            }
        }
        if self.pending.len() >= MAX_BATCH { self.flush().await } else { Ok(()) }
    }

    fn told(&mut self, finding: &Finding) {
        self.summary.left += u64::from(!finding.fixed);
        if finding.category == Category::Leftover && finding.fixed {
            self.summary.deleted_objects += finding.objects;
            self.summary.deleted_bytes += finding.bytes;
        }
        (self.tell)(Told::Found(finding));
    }

    /// Asks the worker; only then is a finding told of as mended.
    async fn flush(&mut self) -> anyhow::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let bucket = self.place.bucket.name();
        let letter = |finding: &Finding| Letter {
            body: notification::body(bucket, finding.key.as_str(), REPAIR),
            delay: Duration::ZERO,
        };
        let letters: Vec<_> = self.pending.iter().map(letter).collect();
        self.place.queue()?.send(&letters).await?;
        self.summary.asked += letters.len() as u64;
        for finding in std::mem::take(&mut self.pending) {
            self.told(&Finding { fixed: true, ..finding });
        }
        Ok(())
    }
}

/// The command.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Common { target, dry_run, json, rate } = &args.common;
    let place = target.open(None, *rate).await?;
    let now = place.bucket.check().await?;
    let options = Options {
        prefix: args.prefix.clone().unwrap_or_default(),
        fix: args.fix,
        dry_run: *dry_run,
        grace: args.grace.0,
        now,
    };
    let control = Control { stop: Stop::on_signal()?, progress: Progress::counting("objects looked at") };
    let report = Report::new(*json, control.progress.clone());
    let summary = reconcile(&place, &options, &control, &mut |told| tell(&report, &options, told)).await?;
    report.summary(&in_words(&summary, &options), &summary);
    anyhow::ensure!(!summary.stopped, "stopped before the end; the same command begins anew");
    Ok(match (summary.errors, summary.left) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(FOUND),
        _ => ExitCode::FAILURE,
    })
}

fn tell(report: &Report, options: &Options, told: Told) {
    match told {
        Told::Found(finding) => {
            let Finding { category, key, detail, fixed, .. } = finding;
            let then = match category {
                Category::Leftover if *fixed => "; deleted",
                Category::Leftover if options.fix && options.dry_run => "; would be deleted",
                _ if *fixed => "; the worker is asked to mend it",
                _ if options.fix && options.dry_run => "; the worker would be asked to mend it",
                _ => "",
            };
            report.item(&format!("{} {key}: {detail}{then}", category.name()), finding);
        }
        Told::Trouble(source, error) => report.trouble(source, error),
    }
}

fn in_words(summary: &Summary, options: &Options) -> String {
    let looked = format!(
        "{} and {} made of them looked at",
        count(summary.sources, "source"),
        count(summary.objects, "object")
    );
    let found: Vec<_> =
        summary.found.iter().map(|(category, n)| format!("{n} {}", category.name())).collect();
    let found =
        if found.is_empty() { "nothing found".to_owned() } else { format!("found {}", found.join(", ")) };
    let mut words = vec![format!("{looked}: {found}.")];
    if summary.asked > 0 {
        words.push(format!("{} sent to the worker.", count(summary.asked, "message")));
    }
    if summary.deleted_objects > 0 {
        let (objects, bytes) = (count(summary.deleted_objects, "object"), size(summary.deleted_bytes));
        words.push(format!("{objects} deleted, {bytes}."));
    }
    for (number, thing, about) in [
        (summary.on_their_way, "source", "without a manifest younger than --grace: most likely on the way"),
        (summary.kept_for_now, "object", "that no manifest names, kept for a day after the last change"),
        (summary.failed, "manifest", "that say `failed`: redrive or backfill has them tried again"),
        (summary.unusable, "source", "under keys that nothing can be served under"),
        (summary.unknown, "object", "under processed/ that Darkroom did not write, left alone"),
        (summary.errors, "key", "not looked at for trouble"),
    ] {
        if number > 0 {
            words.push(format!("{} {about}.", count(number, thing)));
        }
    }
    if summary.left > 0 && !options.fix {
        words.push("--fix mends what was found.".to_owned());
    }
    shown(&words.join(" "))
}
