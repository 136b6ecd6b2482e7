//! What is wrong with one source, or with the objects that were made of it. Reads, compares, and hands what
//! may be deleted to [`super::delete`]. The manifest is read before the source, as the worker does: what
//! changes in between is young.

use std::collections::BTreeMap;

use contract::manifest::{Manifest, Status};
use contract::{RenditionKey, Revision, SourceKey};
use jiff::Timestamp;
use worker::store::{SourceHead, Standing};

use super::{Category, Finding, KEPT, Options, Seen, delete};
use crate::operate::Place;
use crate::operate::bucket::Listed;
use crate::operate::report::count;

/// Whether there is a manifest at all; what it says is judged with its folder.
pub async fn source(
    place: &Place,
    options: &Options,
    source: &SourceKey,
    objects: &[Listed],
) -> anyhow::Result<Seen> {
    let modified = objects.first().map_or(Timestamp::MAX, |listed| listed.modified);
    if place.bucket.has(source.manifest().as_str()).await? {
        return Ok(Seen::default());
    }
    if options.is_young(modified, options.grace) {
        return Ok(Seen { on_its_way: true, ..Seen::default() });
    }
    let detail = format!("uploaded {modified:.0}, and no manifest tells of it");
    Ok(Seen { findings: vec![finding(Category::SourceWithoutManifest, source, detail)], ..Seen::default() })
}

/// What was made of a source, beside its manifest and the source itself.
pub async fn folder(
    place: &Place,
    options: &Options,
    source: &SourceKey,
    objects: &[Listed],
) -> anyhow::Result<Seen> {
    let standing = place.bucket.manifest(source).await?;
    let head = place.bucket.source(source).await?;
    let manifest = standing.as_ref().and_then(|standing| standing.manifest.as_ref().ok());
    let mut seen = Seen::default();
    let manifest_key = source.manifest();
    // A folder may come in parts, of which one has the manifest and speaks for all.
    let speaks = standing.is_none() || objects.iter().any(|object| object.key == manifest_key.as_str());
    match &head {
        // The worker deletes all that it finds when it writes the tombstone.
        None if manifest.is_none_or(|manifest| manifest.status() != Status::Removed) => {
            seen.findings.extend(speaks.then(|| gone(source, objects)));
            return Ok(seen);
        }
        Some(head) if speaks && standing.is_some() => {
            if let Some(manifest) = stands(options, source, head, manifest, &mut seen) {
                seen.findings.extend(missing(place, manifest, objects).await?);
            }
        }
        _ => {} // without a manifest it is the source's to tell
    }
    let (old, young) = unnamed(options, standing.as_ref(), objects);
    seen.kept_for_now = young;
    if !old.is_empty() {
        delete::leftovers(place, options, source, head.is_some(), &old, &mut seen).await?;
    }
    Ok(seen)
}

pub fn finding(category: Category, key: &SourceKey, detail: String) -> Finding {
    Finding { category, key: key.clone(), detail, objects: 0, bytes: 0, fixed: false }
}

/// The source is gone: only a tombstone may be left.
fn gone(source: &SourceKey, objects: &[Listed]) -> Finding {
    let detail = "the source is gone, and what was made of it is not".to_owned();
    let (objects, bytes) = (objects.len() as u64, objects.iter().map(|object| object.size_bytes).sum());
    Finding { objects, bytes, ..finding(Category::RenditionWithoutSource, source, detail) }
}

/// The manifest, where it tells of the source as it is.
fn stands<'a>(
    options: &Options,
    source: &SourceKey,
    head: &SourceHead,
    manifest: Option<&'a Manifest>,
    seen: &mut Seen,
) -> Option<&'a Manifest> {
    let wrong = match manifest {
        None => "its manifest cannot be read",
        Some(manifest) if manifest.status() == Status::Removed => "its manifest says that it was removed",
        Some(manifest) if !tells_of(manifest, head) => "its manifest tells of an earlier state of it",
        Some(manifest) => {
            seen.failed = manifest.status() == Status::Failed;
            return Some(manifest);
        }
    };
    let modified = Timestamp::from_second(head.modified_s).unwrap_or(Timestamp::MAX);
    if options.is_young(modified, options.grace) {
        seen.on_its_way = true;
    } else {
        seen.findings.push(finding(Category::SourceWithoutManifest, source, wrong.to_owned()));
    }
    None
}

/// Whether the manifest is one of the source as it is now, by whatever recipe.
pub fn tells_of(manifest: &Manifest, head: &SourceHead) -> bool {
    manifest.revision == Revision::of(&head.state(), manifest.generation, &manifest.recipe)
}

/// Renditions that the manifest names and that are not there. The listing may be older than the manifest, so
/// what it lacks is looked for once more.
async fn missing(place: &Place, manifest: &Manifest, objects: &[Listed]) -> anyhow::Result<Option<Finding>> {
    let absent = |there: &[Listed]| {
        let is_there = |key: &RenditionKey| there.iter().any(|object| object.key == key.as_str());
        manifest.renditions().iter().filter(|rendition| !is_there(&rendition.key)).count() as u64
    };
    if absent(objects) == 0 {
        return Ok(None);
    }
    let source = &manifest.source.key;
    let there = place.bucket.made_of(source, &manifest.revision).await?;
    let missing = absent(&there);
    // Replaced meanwhile, and what it named deleted: the new one is whole when it is there.
    let replaced = async || {
        let now = place.bucket.manifest(source).await?;
        anyhow::Ok(now.and_then(|now| now.manifest.ok()).is_none_or(|now| now.revision != manifest.revision))
    };
    if missing == 0 || replaced().await? {
        return Ok(None);
    }
    let (named, revision) = (manifest.renditions().len(), &manifest.revision);
    let detail =
        format!("{missing} of {} of revision {revision} not there", count(named as u64, "rendition"));
    Ok(Some(Finding { objects: missing, ..finding(Category::RenditionMissing, source, detail) }))
}

/// A revision that no manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnamed {
    pub revision: Revision,
    pub objects: Vec<(RenditionKey, u64)>,
}

/// Revisions that the manifest does not name and that nobody may need any more, and how many objects of
/// others there are. A revision with one young object is perhaps being written.
pub fn unnamed(options: &Options, standing: Option<&Standing>, objects: &[Listed]) -> (Vec<Unnamed>, u64) {
    let manifest = standing.and_then(|standing| standing.manifest.as_ref().ok());
    let mut revisions: BTreeMap<String, (Unnamed, bool)> = BTreeMap::new();
    for object in objects {
        let Ok(key) = RenditionKey::parse(object.key.as_str()) else { continue };
        let Some(revision) = revision_of(&key) else { continue };
        if manifest.is_some_and(|manifest| names(manifest, &revision)) {
            continue;
        }
        let fresh = || (Unnamed { revision: revision.clone(), objects: Vec::new() }, true);
        let (unnamed, old) = revisions.entry(revision.to_string()).or_insert_with(fresh);
        unnamed.objects.push((key, object.size_bytes));
        *old &= !options.is_young(object.modified, KEPT);
    }
    let settled = is_settled_long(options, standing, manifest);
    let (mut old, mut young) = (Vec::new(), 0);
    for (unnamed, is_old) in revisions.into_values() {
        if is_old && settled {
            old.push(unnamed);
        } else {
            young += unnamed.objects.len() as u64;
        }
    }
    (old, young)
}

/// Readers may hold the manifest before this one for a day; of a removed image nobody may.
fn is_settled_long(options: &Options, standing: Option<&Standing>, manifest: Option<&Manifest>) -> bool {
    match (standing, manifest) {
        (None, _) => true,
        (Some(_), None) => false, // unreadable: who knows what it names
        (Some(standing), Some(manifest)) => {
            // By S3's clock, as the rest is: the worker's own may be wrong.
            let modified = Timestamp::from_second(standing.modified_s).unwrap_or(Timestamp::MAX);
            manifest.status() == Status::Removed || !options.is_young(modified, KEPT)
        }
    }
}

/// Whether a manifest stands for what lies under this revision.
fn names(manifest: &Manifest, revision: &Revision) -> bool {
    manifest.status() == Status::Ready && manifest.revision == *revision
}

fn revision_of(key: &RenditionKey) -> Option<Revision> {
    Revision::parse(key.as_str().rsplit('/').nth(1)?)
}
