//! Deletes what no manifest names: the one thing that an operator's command does to a bucket itself. Looks
//! again right before it, and has the worker look after it. A worker that was cut off may be writing the very
//! same keys again at that moment, and publish them a little later: so the last look comes when every
//! invocation that was under way has ended.

use std::time::Duration;

use contract::{RenditionKey, SourceKey};

use super::judge::{Unnamed, finding, unnamed};
use super::{Category, Finding, Options, Seen};
use crate::operate::Place;
use crate::operate::queue::MAX_DELAY;
use crate::operate::report::{count, size};

/// Reports these revisions, and deletes them where that was asked for.
pub async fn leftovers(
    place: &Place,
    options: &Options,
    source: &SourceKey,
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
    place.bucket.delete(&keys).await?;
    seen.findings.extend(still.iter().map(|unnamed| leftover(source, unnamed, true)));
    seen.again = look_after(place, source, &still).await?;
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

/// When the worker is to look: at once where what was deleted is published by now. Not at all where the source
/// is gone: after a tombstone nothing is made under keys that were there before it.
async fn look_after(
    place: &Place,
    source: &SourceKey,
    deleted: &[Unnamed],
) -> anyhow::Result<Option<Duration>> {
    let standing = place.bucket.manifest(source).await?;
    let named = standing.and_then(|standing| standing.manifest.ok()).map(|manifest| manifest.revision);
    if deleted.iter().any(|unnamed| named.as_ref() == Some(&unnamed.revision)) {
        return Ok(Some(Duration::ZERO));
    }
    Ok(place.bucket.source(source).await?.map(|_| MAX_DELAY))
}

fn leftover(source: &SourceKey, unnamed: &Unnamed, fixed: bool) -> Finding {
    let (objects, bytes) =
        (unnamed.objects.len() as u64, unnamed.objects.iter().map(|(_, bytes)| bytes).sum::<u64>());
    let (amount, revision) = (count(objects, "object"), &unnamed.revision);
    let detail = format!("{amount} of revision {revision}, {}, that no manifest names", size(bytes));
    Finding { objects, bytes, fixed, ..finding(Category::Leftover, source, detail) }
}
