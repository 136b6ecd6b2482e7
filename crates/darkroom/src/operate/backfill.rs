//! `darkroom backfill`: has the worker look at sources whose manifest is absent, or is not what today's
//! recipe would give. Reads one manifest a source and never the source itself; a message too many costs
//! the worker two requests, since it looks for itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use contract::manifest::{Manifest, Status};
use contract::{Fingerprint, SourceKey};
use futures::{Stream, TryStreamExt};
use jiff::Timestamp;
use serde::Serialize;
use worker::notification::{self, BACKFILL};
use worker::store::Standing;

use super::bucket::Listed;
use super::cursor::run_id;
use super::queue::{Letter, MAX_BATCH};
use super::report::{Report, count, shown};
use super::target::Making;
use super::trouble::Patience;
use super::{Common, Control, Cursor, Place, Progress, Since, Stop};

/// Manifests read at once.
const AT_ONCE: usize = 16;
/// Sources looked at after which the cursor moves on even though none of them is due.
const CURSOR_EVERY: u64 = 500;

const EXAMPLES: &str = "\
A recipe is another one where the worker's limits are others too: MAX_SOURCE_BYTES, MAX_PIXELS, MAX_SIDE_PX,
MAX_FRAMES and AWS_LAMBDA_FUNCTION_MEMORY_SIZE are to be set as the worker has them.

Examples:
  darkroom backfill --bucket photos --queue-url https://sqs... --recipe recipe.toml --dry-run
  darkroom backfill --local --since 7d

Exit code: 0 done, 1 stopped, or something could not be looked at.";

#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Only sources whose key begins so; '' is the whole bucket, as nested keys need
    #[arg(long, value_name = "TEXT", default_value = "raw/")]
    prefix: String,
    /// Only sources modified since: 2026-11-01, 2026-11-01T08:30:00Z, or an age such as 6h, 7d, 2w
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// Only sources that have no rendition of this name yet
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// The worker's recipe, where it is not the built-in one, RECIPE or RECIPE_FILE
    #[arg(long, value_name = "FILE")]
    recipe: Option<String>,
    /// File that keeps how far it has come [default: .darkroom/backfill-RUN.json]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Begin anew, wherever an earlier run with the same flags stopped
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    common: Common,
}

/// Which sources to look at, and by what to judge them.
#[derive(Debug, Clone)]
pub struct Options {
    pub prefix: String,
    pub since: Option<Timestamp>,
    pub only: Option<String>,
    /// Of the recipe, limits and encoders that manifests ought to be made with.
    pub fingerprint: Fingerprint,
    /// Nothing is enqueued.
    pub dry_run: bool,
}

/// Why a source is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    NoManifest,
    UnreadableManifest,
    Failed,
    /// There is a tombstone, and a source.
    Returned,
    OtherSource,
    OtherRecipe,
}

impl Reason {
    const fn words(self) -> &'static str {
        match self {
            Self::NoManifest => "no manifest",
            Self::UnreadableManifest => "its manifest cannot be read",
            Self::Failed => "failed",
            Self::Returned => "removed once, and there again",
            Self::OtherSource => "its manifest tells of another content",
            Self::OtherRecipe => "made with another recipe",
        }
    }
}

/// What a run says as it goes.
#[derive(Debug)]
pub enum Told<'a> {
    /// Enqueued, or would be.
    Due(&'a SourceKey, Reason),
    /// Not looked at, for trouble with this one alone.
    Trouble(&'a SourceKey, &'a anyhow::Error),
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Sources looked at.
    pub examined: u64,
    /// Enqueued, or due in a dry run.
    pub due: u64,
    /// `due` by reason.
    pub reasons: BTreeMap<Reason, u64>,
    /// Sources that could not be looked at.
    pub errors: u64,
    /// How many of the manifests were made with which recipe.
    pub recipes: BTreeMap<String, u64>,
    /// The recipe that they ought to be made with.
    pub recipe: String,
    pub dry_run: bool,
    /// Whether it was stopped before the end.
    pub stopped: bool,
}

/// Looks at every source that there is to look at, in the order of their keys, from where the cursor says.
pub async fn backfill(
    place: &Place,
    options: &Options,
    cursor: &mut Cursor,
    control: &Control,
    tell: &mut dyn FnMut(Told),
) -> anyhow::Result<Summary> {
    if !options.dry_run {
        place.queue()?;
    }
    let after = cursor.after().map(str::to_owned);
    let mut run = Run::new(place, options, cursor, tell);
    let mut looked = std::pin::pin!(looked(place, options, after.as_deref()));
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
        run.take(looked).await?;
        control.progress.more(1);
        control.progress.say(&format!("{} due", run.summary.due + run.pending.len() as u64));
    }
    run.flush().await?;
    Ok(run.summary)
}

/// A source that was looked at.
struct Looked {
    source: SourceKey,
    verdict: anyhow::Result<Verdict>,
}

#[derive(Debug, PartialEq)]
struct Verdict {
    due: Option<Reason>,
    made_with: Option<Fingerprint>,
}

/// In the order of the keys, so that a cursor can say how far it has come.
fn looked<'a>(
    place: &'a Place,
    options: &'a Options,
    after: Option<&'a str>,
) -> impl Stream<Item = anyhow::Result<Looked>> + 'a {
    let wanted = move |listed: Listed| {
        let recent = options.since.is_none_or(|since| listed.modified >= since);
        SourceKey::parse(listed.key.as_str()).ok().filter(|_| recent).map(|source| (source, listed))
    };
    place
        .bucket
        .list(&options.prefix, after)
        .try_filter_map(move |listed| std::future::ready(Ok(wanted(listed))))
        .map_ok(move |(source, listed)| async move {
            let standing = place.bucket.manifest(&source).await;
            let verdict = standing.map(|standing| judge(&listed, standing.as_ref(), options));
            Ok(Looked { source, verdict })
        })
        .try_buffered(AT_ONCE)
}

fn judge(listed: &Listed, standing: Option<&Standing>, options: &Options) -> Verdict {
    let manifest = match standing.map(|standing| standing.manifest.as_ref()) {
        None => return Verdict { due: Some(Reason::NoManifest), made_with: None },
        Some(Err(_)) => return Verdict { due: Some(Reason::UnreadableManifest), made_with: None },
        Some(Ok(manifest)) => manifest,
    };
    let has_it = |name: &String| manifest.renditions().iter().any(|rendition| rendition.name == *name);
    let due =
        reason(manifest, listed, &options.fingerprint).filter(|_| !options.only.as_ref().is_some_and(has_it));
    Verdict { due, made_with: Some(manifest.recipe.clone()) }
}

fn reason(manifest: &Manifest, listed: &Listed, fingerprint: &Fingerprint) -> Option<Reason> {
    match manifest.status() {
        Status::Failed => Some(Reason::Failed),
        Status::Removed => Some(Reason::Returned),
        _ if manifest.source.etag != listed.etag => Some(Reason::OtherSource),
        _ if manifest.recipe != *fingerprint => Some(Reason::OtherRecipe),
        Status::Ready | Status::Rejected => None,
    }
}

/// A run in progress.
struct Run<'a> {
    place: &'a Place,
    options: &'a Options,
    cursor: &'a mut Cursor,
    tell: &'a mut dyn FnMut(Told),
    /// Due, and not enqueued yet.
    pending: Vec<(SourceKey, Reason)>,
    /// The last source that was looked at without trouble.
    last: Option<SourceKey>,
    patience: Patience,
    summary: Summary,
}

impl<'a> Run<'a> {
    fn new(
        place: &'a Place,
        options: &'a Options,
        cursor: &'a mut Cursor,
        tell: &'a mut dyn FnMut(Told),
    ) -> Self {
        let recipe = options.fingerprint.as_str().to_owned();
        let summary = Summary { recipe, dry_run: options.dry_run, ..Summary::default() };
        let (pending, last, patience) = (Vec::new(), None, Patience::default());
        Self { place, options, cursor, tell, pending, last, patience, summary }
    }

    async fn take(&mut self, looked: Looked) -> anyhow::Result<()> {
        let Looked { source, verdict } = looked;
        self.summary.examined += 1;
        let Verdict { due, made_with } = match verdict {
            Ok(verdict) => verdict,
            Err(error) => {
                self.summary.errors += 1;
                (self.tell)(Told::Trouble(&source, &error));
                return self.patience.spend(&error);
            }
        };
        self.patience.renew();
        if let Some(recipe) = made_with {
            *self.summary.recipes.entry(recipe.as_str().to_owned()).or_default() += 1;
        }
        self.last = Some(source.clone());
        self.pending.extend(due.map(|reason| (source, reason)));
        let idle = self.pending.is_empty() && self.summary.examined.is_multiple_of(CURSOR_EVERY);
        if idle || self.pending.len() == MAX_BATCH {
            self.flush().await?;
        }
        Ok(())
    }

    /// Enqueues what is pending: only then may the cursor move on.
    async fn flush(&mut self) -> anyhow::Result<()> {
        if !self.options.dry_run && !self.pending.is_empty() {
            let bucket = self.place.bucket.name();
            let letter = |(source, _): &(SourceKey, Reason)| Letter {
                body: notification::body(bucket, source.as_str(), BACKFILL),
                delay: Duration::ZERO,
            };
            let letters: Vec<_> = self.pending.iter().map(letter).collect();
            self.place.queue()?.send(&letters).await?;
        }
        for (source, reason) in self.pending.drain(..) {
            self.summary.due += 1;
            *self.summary.reasons.entry(reason).or_default() += 1;
            (self.tell)(Told::Due(&source, reason));
        }
        match &self.last {
            Some(last) => self.cursor.advance(last.as_str()),
            None => Ok(()),
        }
    }
}

/// The command.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Common { target, dry_run, json, rate } = &args.common;
    let making = target.making(args.recipe.as_deref())?;
    check_only(args.only.as_deref(), &making)?;
    let place = target.open(None, *rate).await?;
    let mut cursor = open_cursor(args, &place, &making)?;
    place.bucket.check().await?;
    let control = Control { stop: Stop::on_signal()?, progress: Progress::counting("sources looked at") };
    let report = Report::new(*json, control.progress.clone());
    note_cursor(&report, &cursor);
    let options = Options {
        prefix: args.prefix.clone(),
        since: cursor.since(),
        only: args.only.clone(),
        fingerprint: making.fingerprint,
        dry_run: *dry_run,
    };
    let summary =
        backfill(&place, &options, &mut cursor, &control, &mut |told| tell(&report, *dry_run, told)).await?;
    report.summary(&in_words(&summary), &summary);
    note_other_recipe(&report, &summary);
    if summary.stopped {
        let at = cursor.after().map_or("at the beginning".to_owned(), |key| format!("after {key}"));
        let then = if *dry_run { "" } else { "; the same command goes on from there" };
        anyhow::bail!("stopped {at}{then}");
    }
    cursor.end()?;
    Ok(if summary.errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The worker makes what its recipe says, so another name would be lacking for ever.
fn check_only(only: Option<&str>, making: &Making) -> anyhow::Result<()> {
    let Some(name) = only else { return Ok(()) };
    let names: Vec<&str> = making.recipe.renditions.iter().map(|spec| &*spec.name).collect();
    anyhow::ensure!(
        names.contains(&name),
        "--only {name}: the recipe has no rendition of that name; it has {}",
        names.join(", ")
    );
    Ok(())
}

fn open_cursor(args: &Args, place: &Place, making: &Making) -> anyhow::Result<Cursor> {
    let since = args.since.map(|since| format!("{since:?}")).unwrap_or_default();
    let only = args.only.as_deref().unwrap_or_default();
    let run = run_id(&[&place.name, &args.prefix, &since, only, making.fingerprint.as_str()]);
    let begun = args.since.map(|since| since.at(Timestamp::now()));
    let cursor = Cursor::open(args.state.clone(), run, begun, args.restart)?;
    Ok(if args.common.dry_run { cursor.unkept() } else { cursor })
}

fn note_cursor(report: &Report, cursor: &Cursor) {
    if let (Some(after), Some(stopped)) = (cursor.after(), cursor.stopped()) {
        report.note(&format!(
            "Goes on after {after}, where it stopped on {stopped:.0}; --restart begins anew."
        ));
    }
}

fn tell(report: &Report, dry_run: bool, told: Told) {
    match told {
        Told::Due(source, reason) => {
            let verb = if dry_run { "would enqueue" } else { "enqueued" };
            let json = serde_json::json!({"key": source, "reason": reason, "enqueued": !dry_run});
            report.item(&format!("{verb} {source}: {}", reason.words()), &json);
        }
        Told::Trouble(source, error) => report.trouble(source, error),
    }
}

fn in_words(summary: &Summary) -> String {
    let Summary { examined, due, reasons, errors, .. } = summary;
    let verb = if summary.dry_run { "would be enqueued" } else { "enqueued" };
    let mut words = format!("{} looked at, {due} {verb}", count(*examined, "source"));
    if !reasons.is_empty() {
        let each: Vec<_> = reasons.iter().map(|(reason, n)| format!("{}: {n}", reason.words())).collect();
        words += &format!(" ({})", each.join(", "));
    }
    if *errors > 0 {
        words += &format!(", {errors} not looked at for trouble");
    }
    shown(&words)
}

/// Whoever forgets the worker's settings would enqueue everything again and again.
fn note_other_recipe(report: &Report, summary: &Summary) {
    let Summary { recipe, recipes, .. } = summary;
    if let (Some((other, _)), None) = (recipes.iter().max_by_key(|(_, n)| **n), recipes.get(recipe)) {
        report.note(&format!(
            "No manifest was made with recipe {recipe}, which this command's flags and variables give; most have \
             {other}. If the recipe has not changed, they differ from the worker's: --recipe, MAX_SOURCE_BYTES, \
             MAX_PIXELS, MAX_SIDE_PX, MAX_FRAMES, AWS_LAMBDA_FUNCTION_MEMORY_SIZE, or the build."
        ));
    }
}
