//! `darkroom status`: one upload's story, from the source to what is in the queue. Reads only; to look into
//! the dead-letter queue hides for some seconds what is in it.

use std::collections::HashSet;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use contract::manifest::{Failure, Manifest, Outcome, Status};
use contract::{Fingerprint, KeyError, ManifestKey, Rejection, RenditionKey, SourceKey};
use futures::TryStreamExt;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use worker::notification::{self, Body};
use worker::store::{SourceHead, Standing};

use super::bucket::is_made_of;
use super::queue::{Bound, Counts};
use super::reconcile::tells_of;
use super::report::{Report, shown, size};
use super::{Common, FOUND, Place, Progress, Stop};

/// How far the dead-letter queue is looked into for the key.
const PEEK: Bound = Bound { messages: 100, time: Duration::from_secs(5) };

const EXAMPLES: &str = "\
Nothing is changed; --dry-run leaves out the look into the dead-letter queue, which hides for some seconds what is
in it.

Examples:
  darkroom status --bucket photos raw/articles/a1/photo.jpg
  darkroom status --local http://127.0.0.1:8789/processed/articles/a1/photo.jpg/3f9a0c12be77/w640.avif

Exit code: 0 settled, 3 not settled, not whole or not there, 1 an error.";

#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Key of a source, of its manifest or of a rendition; or a URL of one: s3://, S3's, the CDN's, the API's
    #[arg(value_name = "KEY")]
    key: String,
    /// The worker's recipe, where it is not the built-in one, RECIPE or RECIPE_FILE
    #[arg(long, value_name = "FILE")]
    recipe: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// One upload's story.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Story {
    pub key: SourceKey,
    pub verdict: Verdict,
    pub settled: bool,
    pub source: Option<SourceStory>,
    pub manifest: Option<ManifestStory>,
    pub renditions: Vec<RenditionStory>,
    /// Renditions that are there and that the manifest does not name.
    pub unnamed_objects: u64,
    pub queue: QueueStory,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Ready,
    Rejected,
    Removed,
    Absent,
    Waiting,
    Stale,
    Failed,
    Incomplete,
    NotRemoved,
    Unreadable,
}

impl Verdict {
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Ready | Self::Rejected | Self::Removed)
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Ready => "Settled: the whole set is there.",
            Self::Rejected => "Settled: the file was refused.",
            Self::Removed => "Settled: it was removed.",
            Self::Absent => "There is no such upload, and nothing was ever made of one.",
            Self::Waiting => "Not settled: uploaded, and not processed yet.",
            Self::Stale => "Not settled: the manifest tells of an earlier state of the source.",
            Self::Failed => {
                "Not settled: given up for now. `darkroom redrive` or `darkroom backfill` has it tried again."
            }
            Self::Incomplete => {
                "Not whole: renditions are missing. `darkroom reconcile --fix` has them made again."
            }
            Self::NotRemoved => "Not settled: the source is gone, and what was made of it is not.",
            Self::Unreadable => {
                "Not settled: the manifest cannot be read. `darkroom backfill` has it made again."
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceStory {
    pub size: u64,
    pub content_type: Option<String>,
    pub etag: String,
    pub modified: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestStory {
    pub status: Status,
    pub revision: String,
    pub generation: u64,
    pub processed_at: Timestamp,
    /// Whether it tells of the source as it is now.
    pub of_this_source: bool,
    pub recipe: String,
    /// Whether that is the recipe that this command was given.
    pub of_this_recipe: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RenditionStory {
    pub key: RenditionKey,
    pub width: u32,
    pub height: u32,
    pub bytes: u64,
    pub there: bool,
}

/// What is in the queues; `None` where they are not known, or were not asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueStory {
    pub queue: Option<Counts>,
    pub dead_letters: Option<Counts>,
    /// Messages about this source among the dead letters that were looked at.
    pub dead_letters_of_this: Option<u64>,
    /// Whether all of them were looked at.
    pub looked_at_all: Option<bool>,
}

/// Tells the story. `peek`: whether to look into the dead-letter queue.
pub async fn status(
    place: &Place,
    source: &SourceKey,
    recipe: &Fingerprint,
    peek: bool,
) -> anyhow::Result<Story> {
    let standing = place.bucket.manifest(source).await?;
    let head = place.bucket.source(source).await?;
    let there = made(place, source).await?;
    let manifest = standing.as_ref().and_then(|standing| standing.manifest.as_ref().ok());
    let renditions: Vec<RenditionStory> =
        manifest.map(|manifest| renditions(manifest, &there)).unwrap_or_default();
    let named = renditions.iter().filter(|rendition| rendition.there).count();
    let verdict = verdict(standing.as_ref(), head.as_ref(), &renditions, !there.is_empty());
    Ok(Story {
        key: source.clone(),
        verdict,
        settled: verdict.is_settled(),
        source: head.as_ref().map(source_story),
        manifest: manifest.map(|manifest| manifest_story(manifest, head.as_ref(), recipe)),
        renditions,
        unnamed_objects: (there.len() - named) as u64,
        queue: queues(place, source, peek).await?,
    })
}

/// Keys of all renditions of a source that are there.
async fn made(place: &Place, source: &SourceKey) -> anyhow::Result<HashSet<String>> {
    let prefix = source.made_prefix();
    let listed = place.bucket.list(&prefix, None);
    listed
        .try_filter_map(|listed| {
            std::future::ready(Ok(is_made_of(&listed.key, source).then_some(listed.key)))
        })
        .try_collect()
        .await
}

fn renditions(manifest: &Manifest, there: &HashSet<String>) -> Vec<RenditionStory> {
    let story = |rendition: &contract::manifest::Rendition| RenditionStory {
        key: rendition.key.clone(),
        width: rendition.width,
        height: rendition.height,
        bytes: rendition.bytes,
        there: there.contains(rendition.key.as_str()),
    };
    manifest.renditions().iter().map(story).collect()
}

fn verdict(
    standing: Option<&Standing>,
    head: Option<&SourceHead>,
    renditions: &[RenditionStory],
    anything_made: bool,
) -> Verdict {
    let manifest = standing.map(|standing| standing.manifest.as_ref());
    match (head, manifest) {
        (None, None) if !anything_made => Verdict::Absent,
        (None, Some(Ok(manifest))) if manifest.status() == Status::Removed => Verdict::Removed,
        (None, _) => Verdict::NotRemoved,
        (Some(_), None) => Verdict::Waiting,
        (Some(_), Some(Err(_))) => Verdict::Unreadable,
        (Some(_), Some(Ok(manifest))) if manifest.status() == Status::Removed => Verdict::Waiting,
        (Some(head), Some(Ok(manifest))) if !tells_of(manifest, head) => Verdict::Stale,
        (Some(_), Some(Ok(manifest))) => match manifest.status() {
            Status::Ready if renditions.iter().all(|rendition| rendition.there) => Verdict::Ready,
            Status::Ready => Verdict::Incomplete,
            Status::Rejected => Verdict::Rejected,
            Status::Failed => Verdict::Failed,
            Status::Removed => Verdict::Waiting,
        },
    }
}

fn source_story(head: &SourceHead) -> SourceStory {
    SourceStory {
        size: head.size_bytes,
        content_type: head.content_type.clone(),
        etag: head.etag.clone(),
        modified: Timestamp::from_second(head.modified_s).unwrap_or_default(),
        version_id: head.version_id.clone(),
    }
}

fn manifest_story(manifest: &Manifest, head: Option<&SourceHead>, recipe: &Fingerprint) -> ManifestStory {
    let (rejection, failure) = match &manifest.outcome {
        Outcome::Rejected { rejection } => (Some(rejection.clone()), None),
        Outcome::Failed { failure } => (None, Some(failure.clone())),
        Outcome::Ready { .. } | Outcome::Removed => (None, None),
    };
    ManifestStory {
        status: manifest.status(),
        revision: manifest.revision.to_string(),
        generation: manifest.generation,
        processed_at: manifest.processed_at,
        of_this_source: head.is_some_and(|head| tells_of(manifest, head)),
        recipe: manifest.recipe.as_str().to_owned(),
        of_this_recipe: manifest.recipe == *recipe,
        rejection,
        failure,
    }
}

async fn queues(place: &Place, source: &SourceKey, peek: bool) -> anyhow::Result<QueueStory> {
    let mut story = QueueStory::default();
    if let Some(queue) = &place.queue {
        story.queue = Some(queue.counts().await?);
    }
    let Some(dead_letters) = place.dead_letters().await? else { return Ok(story) };
    let counts = dead_letters.counts().await?;
    story.dead_letters = Some(counts);
    if peek {
        let mut of_this = 0;
        let is_of_this = |body: &str| match notification::parse(body) {
            Ok(Body::Notifications(list)) => {
                list.iter().any(|one| one.bucket == place.bucket.name() && one.key == source.as_str())
            }
            _ => false,
        };
        let all = match counts.all() {
            0 => true,
            _ => {
                dead_letters
                    .look(PEEK, &Stop::default(), &mut |body| of_this += u64::from(is_of_this(body)))
                    .await?
            }
        };
        (story.dead_letters_of_this, story.looked_at_all) = (Some(of_this), Some(all));
    }
    Ok(story)
}

/// The command.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Common { target, dry_run, json, rate } = &args.common;
    let making = target.making(args.recipe.as_deref())?;
    let place = target.open(bucket_of(&args.key), *rate).await?;
    let source = source_of(&args.key, place.bucket.name())?;
    place.bucket.check().await?;
    let story = status(&place, &source, &making.fingerprint, !dry_run).await?;
    Report::new(*json, Progress::default()).document(&in_words(&story), &story);
    Ok(if story.settled { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

/// The bucket that an `s3://` URL names.
fn bucket_of(text: &str) -> Option<&str> {
    text.strip_prefix("s3://")?.split('/').next().filter(|bucket| !bucket.is_empty())
}

/// The source that is meant by a key or by a URL of it.
fn source_of(text: &str, bucket: &str) -> anyhow::Result<SourceKey> {
    let key = key_of(text, bucket);
    let made_of = |key: &str| {
        let folder = key.trim_end_matches('/');
        let manifest =
            ManifestKey::parse(key).or_else(|_| ManifestKey::parse(&format!("{folder}/manifest.json")));
        RenditionKey::parse(key).and_then(|key| key.source()).or_else(|_| manifest?.source())
    };
    match SourceKey::parse(key.as_str()) {
        Ok(source) => Ok(source),
        Err(reason @ KeyError::Unusable(_)) => anyhow::bail!("{key}: {reason}"),
        Err(_) => made_of(&key).map_err(|_| {
            anyhow::anyhow!(
                "{key}: neither the key of a source, as in raw/articles/a1/photo.jpg, nor of anything that is \
                 made of one"
            )
        }),
    }
}

/// A URL's path may begin with the bucket, or with the API's own `uploads`.
fn key_of(text: &str, bucket: &str) -> String {
    if let Some(rest) = text.strip_prefix("s3://") {
        return rest.split_once('/').map_or("", |(_, key)| key).to_owned();
    }
    let Some((_, rest)) = text.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
    else {
        return text.trim_start_matches('/').to_owned();
    };
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once('/').map_or("", |(_, path)| path);
    let path = percent_decode_str(path).decode_utf8_lossy();
    let segments: Vec<&str> = path.split('/').collect();
    let at = |index: usize, name: &str| segments.get(index) == Some(&name);
    let skipped = match () {
        () if at(0, bucket) || at(0, "uploads") => 1,
        () if at(1, "uploads") => 2, // behind the name of a stage
        () => 0,
    };
    segments[skipped..].join("/")
}

fn in_words(story: &Story) -> String {
    let mut text = shown(story.key.as_str());
    let mut line = |name: &str, words: &str| {
        let _ = write!(text, "\n  {name:10} {}", shown(words));
    };
    line("source", &story.source.as_ref().map_or("none".to_owned(), source_in_words));
    line("manifest", &story.manifest.as_ref().map_or_else(|| no_manifest(story), manifest_in_words));
    if let Some(why) = story.manifest.as_ref().and_then(why) {
        line("", &why);
    }
    if !story.renditions.is_empty() || story.unnamed_objects > 0 {
        line("renditions", &renditions_in_words(story));
    }
    for rendition in &story.renditions {
        line("", &rendition_in_words(rendition));
    }
    line("queue", &queue_in_words(&story.queue));
    text + "\n" + story.verdict.words()
}

fn no_manifest(story: &Story) -> String {
    if story.verdict == Verdict::Unreadable { "cannot be read".to_owned() } else { "none".to_owned() }
}

fn source_in_words(source: &SourceStory) -> String {
    let SourceStory { size: bytes, content_type, etag, modified, version_id } = source;
    let declared = content_type.as_deref().unwrap_or("no type");
    let version = version_id.as_ref().map(|id| format!(", version {id}")).unwrap_or_default();
    format!("{}, {declared}, ETag {etag}, modified {modified:.0}{version}", size(*bytes))
}

fn manifest_in_words(manifest: &ManifestStory) -> String {
    let ManifestStory { status, revision, processed_at, of_this_source, recipe, of_this_recipe, .. } =
        manifest;
    let status = match status {
        Status::Ready => "ready",
        Status::Rejected => "rejected",
        Status::Failed => "failed",
        Status::Removed => "removed",
    };
    let source = match (of_this_source, manifest.status) {
        (_, Status::Removed) => "",
        (true, _) => ", of the source as it is",
        (false, _) => ", not of the source as it is",
    };
    let recipe = if *of_this_recipe {
        format!("recipe {recipe}")
    } else {
        format!("recipe {recipe}, another than this command was given")
    };
    format!("{status}, {processed_at:.0}, revision {revision}{source}; {recipe}")
}

/// Why there are no renditions.
fn why(manifest: &ManifestStory) -> Option<String> {
    let rejection = manifest.rejection.as_ref().map(|why| format!("{}: {}", why.code, why.message));
    rejection.or_else(|| manifest.failure.as_ref().map(|why| format!("{}: {}", why.code, why.message)))
}

fn renditions_in_words(story: &Story) -> String {
    let there = story.renditions.iter().filter(|rendition| rendition.there);
    let (number, bytes) = (there.clone().count(), there.map(|rendition| rendition.bytes).sum());
    let mut words = format!("{number} of {} there, {}", story.renditions.len(), size(bytes));
    if story.unnamed_objects > 0 {
        let _ = write!(words, "; {} more that the manifest does not name", story.unnamed_objects);
    }
    words
}

fn rendition_in_words(rendition: &RenditionStory) -> String {
    let RenditionStory { key, width, height, bytes, there } = rendition;
    let name = key.as_str().rsplit('/').next().unwrap_or_default();
    let state = if *there { String::new() } else { "  MISSING".to_owned() };
    let dimensions = format!("{width} x {height}");
    format!("{name:12} {dimensions:>13} px {:>10}{state}", size(*bytes))
}

fn queue_in_words(story: &QueueStory) -> String {
    let counts = |counts: &Counts| {
        format!("{} waiting, {} in flight, {} delayed", counts.visible, counts.in_flight, counts.delayed)
    };
    let queue = story.queue.as_ref().map_or("not known: no --queue-url".to_owned(), counts);
    let Some(dead) = &story.dead_letters else { return format!("{queue}; dead letters not known") };
    let of_this = match (story.dead_letters_of_this, story.looked_at_all) {
        (Some(0), Some(true)) if dead.all() == 0 => String::new(),
        (Some(0), Some(true)) => ", none of this upload".to_owned(),
        (Some(0), Some(false)) => format!(", none of this upload among the {} looked at", PEEK.messages),
        (Some(number), _) => format!(", {number} of this upload"),
        (None, _) => ", not looked into".to_owned(),
    };
    format!("{queue}; dead letters {}{of_this}", dead.all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_address_of_an_upload_names_its_source() {
        let flat = "raw/articles/a1/u b+c.jpg";
        for text in [
            flat,
            "/raw/articles/a1/u b+c.jpg",
            "processed/articles/a1/u b+c.jpg/manifest.json",
            "processed/articles/a1/u b+c.jpg/3f9a0c12be77/w640.avif",
            "processed/articles/a1/u b+c.jpg/",
            "processed/articles/a1/u b+c.jpg",
            "s3://bucket/raw/articles/a1/u b+c.jpg",
            "http://127.0.0.1:8788/bucket/raw/articles/a1/u%20b+c.jpg?X-Amz-Signature=secret",
            "https://bucket.s3.eu-west-1.amazonaws.com/raw/articles/a1/u%20b%2Bc.jpg",
            "https://cdn.example.org/processed/articles/a1/u%20b+c.jpg/3f9a0c12be77/w640.avif#top",
            "https://api.example.org/uploads/raw/articles/a1/u%20b+c.jpg",
            "https://api.example.org/prod/uploads/raw%2Farticles%2Fa1%2Fu%20b+c.jpg",
        ] {
            assert_eq!(source_of(text, "bucket").unwrap().as_str(), flat, "{text}");
        }
        let nested = "https://cdn.example.org/articles/a1/processed/u.jpg/3f9a0c12be77/w640.avif";
        assert_eq!(source_of(nested, "bucket").unwrap().as_str(), "articles/a1/raw/u.jpg");
        assert_eq!((bucket_of("s3://other/raw/a"), bucket_of(nested)), (Some("other"), None));
    }

    #[test]
    fn what_names_no_upload_is_refused_with_an_example() {
        for text in ["", "a.jpg", "raw/", "processed/", "s3://bucket", "http://h", "https://h/?raw/a"] {
            let told = source_of(text, "bucket").unwrap_err().to_string();
            assert!(told.contains("raw/articles/a1/photo.jpg"), "{text}: {told}");
        }
        let told = source_of("raw/../a", "bucket").unwrap_err().to_string();
        assert!(told.contains("unusable source key"), "{told}");
    }
}
