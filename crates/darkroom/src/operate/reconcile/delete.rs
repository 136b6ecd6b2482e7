//! Deletes what no manifest names: the one thing that an operator's command does to a bucket itself.
//!
//! A worker that was cut off may be writing the very same keys again at that moment, and publish them a little
//! later. So everything is read again right before it is deleted, and the worker is to look once more when every
//! invocation that was under way has ended. It is told so first: whatever ends this process then, that look
//! comes.

use std::time::Duration;

use contract::{RenditionKey, SourceKey};
use worker::notification::{self, REPAIR};

use super::judge::{Unnamed, finding, unnamed};
use super::{Category, Finding, Options, Seen};
use crate::operate::Place;
use crate::operate::queue::{Letter, MAX_DELAY};
use crate::operate::report::{count, size};

/// Reports these revisions, and deletes them where that was asked for. Where the source is gone nobody need look
/// again: after a tombstone nothing is made under keys that were there before it.
pub async fn leftovers(
    place: &Place,
    options: &Options,
    source: &SourceKey,
    has_source: bool,
    old: &[Unnamed],
    seen: &mut Seen,
) -> anyhow::Result<()> {
    if !options.mends() {
        seen.findings.extend(old.iter().map(|unnamed| leftover(source, unnamed, false)));
        return Ok(());
    }
    let still = look_again(place, options, source, old).await?;
    let keys: Vec<RenditionKey> =
        still.iter().flat_map(|unnamed| unnamed.objects.iter().map(|(key, _)| key.clone())).collect();
    if keys.is_empty() {
        return Ok(());
    }
    if has_source {
        ask(place, source, MAX_DELAY, seen).await?;
    }
    place.bucket.delete(&keys).await?;
    seen.findings.extend(still.iter().map(|unnamed| leftover(source, unnamed, true)));
    if is_published(place, source, &still).await? {
        ask(place, source, Duration::ZERO, seen).await?;
    }
    Ok(())
}

/// Those that are leftovers still: the objects first, then the manifest that may name them by now.
async fn look_again(
    place: &Place,
    options: &Options,
    source: &SourceKey,
    old: &[Unnamed],
) -> anyhow::Result<Vec<Unnamed>> {
    let mut objects = Vec::new();
    for Unnamed { revision, .. } in old {
        objects.extend(place.bucket.made_of(source, revision).await?);
    }
    let standing = place.bucket.manifest(source).await?;
    Ok(unnamed(options, standing.as_ref(), &objects).0)
}

/// Whether what was deleted is published by now: then its next look must not wait.
async fn is_published(place: &Place, source: &SourceKey, deleted: &[Unnamed]) -> anyhow::Result<bool> {
    let standing = place.bucket.manifest(source).await?;
    let named = standing.and_then(|standing| standing.manifest.ok()).map(|manifest| manifest.revision);
    Ok(deleted.iter().any(|unnamed| named.as_ref() == Some(&unnamed.revision)))
}

async fn ask(place: &Place, source: &SourceKey, delay: Duration, seen: &mut Seen) -> anyhow::Result<()> {
    let body = notification::body(place.bucket.name(), source.as_str(), REPAIR);
    place.queue()?.send(&[Letter { body, delay }]).await?;
    seen.asked += 1;
    Ok(())
}

fn leftover(source: &SourceKey, unnamed: &Unnamed, fixed: bool) -> Finding {
    let (objects, bytes) =
        (unnamed.objects.len() as u64, unnamed.objects.iter().map(|(_, bytes)| bytes).sum::<u64>());
    let (amount, revision) = (count(objects, "object"), &unnamed.revision);
    let detail = format!("{amount} of revision {revision}, {}, that no manifest names", size(bytes));
    Finding { objects, bytes, fixed, ..finding(Category::Leftover, source, detail) }
}
