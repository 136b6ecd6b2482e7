//! What must hold: after each single change of the bucket, and once all has come to rest. Looks at the bucket
//! itself, past every client. Changes nothing.

use std::collections::BTreeMap;

use contract::manifest::Outcome;
use contract::{Manifest, RenditionKey, SourceKey, Status};
use darkroom::local::objects::ObjectMeta;

use super::files::{Fate, check_rendition};
use super::world::{Change, World};

/// What does not hold, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

impl<E: std::error::Error> From<E> for Violation {
    /// The simulator's own machinery failed, which is no less a reason to stop.
    fn from(error: E) -> Self {
        Self(format!("the simulator failed: {error}"))
    }
}

macro_rules! ensure {
    ($holds:expr, $($said:tt)*) => {
        if !$holds {
            return Err(Violation(format!($($said)*)));
        }
    };
}
pub(super) use ensure;

type Bucket = BTreeMap<String, ObjectMeta>;

/// Watches the bucket over a whole run.
#[derive(Default)]
pub struct Watch {
    /// Every key below `processed/` that is no manifest and ever had an object: to the ETag of its bytes.
    contents: BTreeMap<String, String>,
    /// Of each manifest's key: its ETag and what it says.
    manifests: BTreeMap<String, (String, Manifest)>,
}

impl Watch {
    /// After whatever a worker did.
    pub async fn look(&mut self, world: &World) -> Result<(), Violation> {
        let bucket = listed(world, "").await?;
        sources_are_untouched(world, &bucket)?;
        self.no_two_contents(&bucket)?;
        self.read_manifests(world, &bucket).await?;
        self.whole_sets(&bucket)
    }

    /// No two contents ever under one rendition key.
    fn no_two_contents(&mut self, bucket: &Bucket) -> Result<(), Violation> {
        for (key, meta) in bucket.iter().filter(|(key, _)| is_rendition(key)) {
            let first = self.contents.entry(key.clone()).or_insert_with(|| meta.etag.clone());
            ensure!(*first == meta.etag, "two contents under {key}");
        }
        Ok(())
    }

    async fn read_manifests(&mut self, world: &World, bucket: &Bucket) -> Result<(), Violation> {
        for (key, meta) in bucket.iter().filter(|(key, _)| is_manifest(key)) {
            let known = self.manifests.get(key);
            if known.is_some_and(|(etag, _)| *etag == meta.etag) {
                continue;
            }
            let new = read_manifest(world, key).await?;
            if let Some((_, old)) = known {
                never_older(world, old, &new)?;
            }
            self.manifests.insert(key.clone(), (meta.etag.clone(), new));
        }
        let gone = self.manifests.keys().find(|key| !bucket.contains_key(*key));
        ensure!(gone.is_none(), "the manifest {gone:?} was deleted");
        Ok(())
    }

    /// Whoever reads a manifest that says ready finds every rendition that it names.
    fn whole_sets(&self, bucket: &Bucket) -> Result<(), Violation> {
        for (key, (_, manifest)) in &self.manifests {
            for rendition in manifest.renditions() {
                let name = rendition.key.as_str();
                let found = bucket.get(name);
                ensure!(found.is_some(), "{key} says ready, and {name} is not there");
                let told = (rendition.bytes, rendition.content_type.as_str());
                let has = found.map(|meta| (meta.size, meta.headers.content_type.as_str()));
                ensure!(has == Some(told), "{name} is told as {told:?}, and is {has:?}");
            }
        }
        Ok(())
    }
}

/// Nothing outside `processed/` is ever written or deleted: the sources are as the users left them.
fn sources_are_untouched(world: &World, bucket: &Bucket) -> Result<(), Violation> {
    let found = bucket.iter().filter(|(key, _)| !key.starts_with("processed/"));
    let found: Vec<(&str, &str)> = found.map(|(key, meta)| (key.as_str(), meta.etag.as_str())).collect();
    let left = world.sources().iter().filter_map(|(key, changes)| match changes.last()? {
        Change::Put { etag, .. } => Some((key.as_str(), etag.as_str())),
        Change::Deleted => None,
    });
    let left: Vec<(&str, &str)> = left.collect();
    ensure!(found == left, "outside processed/ are {found:?}, and should be {left:?}");
    Ok(())
}

/// A manifest never gives way to one of an older state of its source.
fn never_older(world: &World, old: &Manifest, new: &Manifest) -> Result<(), Violation> {
    let key = new.source.key.as_str();
    let changes = world.sources().get(key).map_or(&[][..], Vec::as_slice);
    let is_state_of = |manifest: &Manifest| {
        let (status, etag) = (manifest.status(), manifest.source.etag.clone());
        move |change: &Change| match change {
            Change::Put { etag: put, .. } => status != Status::Removed && *put == etag,
            Change::Deleted => status == Status::Removed,
        }
    };
    let oldest = changes.iter().position(is_state_of(old));
    let newest = changes.iter().rposition(is_state_of(new));
    ensure!(newest.is_some(), "the manifest of {key} tells of a state that it never had: {new:?}");
    ensure!(newest >= oldest, "the manifest of {key} went back from change {oldest:?} to {newest:?}");
    Ok(())
}

/// Once nothing is left to do: of every source, all that is due of its last state, and nothing else.
pub async fn all_is_done(world: &World) -> Result<(), Violation> {
    for (key, changes) in world.sources() {
        let source = SourceKey::parse(key.as_str())?;
        let Some(last) = changes.last() else { continue };
        let manifest_key = source.manifest();
        ensure!(
            world.local.objects.head(manifest_key.as_str()).await?.is_some(),
            "{key} has no manifest, and should be {last:?}"
        );
        let manifest = read_manifest(world, manifest_key.as_str()).await?;
        is_told(key, last, &manifest)?;
        if let Change::Put { fate: Fate::Ready { colour, w16_px }, .. } = last {
            is_shown(world, &manifest, *colour, *w16_px).await?;
        }
    }
    Ok(())
}

/// Whether the manifest says what it should of a source's last change.
fn is_told(key: &str, last: &Change, manifest: &Manifest) -> Result<(), Violation> {
    let told = &manifest.outcome;
    let right = match (last, told) {
        (Change::Deleted, Outcome::Removed) => true,
        (Change::Put { etag, fate: Fate::Ready { .. } }, Outcome::Ready { .. }) => {
            *etag == manifest.source.etag
        }
        (Change::Put { etag, fate: Fate::Rejected(code) }, Outcome::Rejected { rejection }) => {
            *etag == manifest.source.etag && *code == rejection.code
        }
        _ => false,
    };
    ensure!(right, "the manifest of {key} should tell of {last:?}, and says {manifest:?}");
    Ok(())
}

/// Whether every rendition of the recipe is there, and of the right picture.
async fn is_shown(
    world: &World,
    manifest: &Manifest,
    colour: [u8; 3],
    w16_px: (u32, u32),
) -> Result<(), Violation> {
    let names: Vec<&str> = manifest.renditions().iter().map(|rendition| rendition.name.as_str()).collect();
    ensure!(names == ["w16", "w16", "dot"], "{} has renditions {names:?}", manifest.source.key);
    for rendition in manifest.renditions() {
        let key = &rendition.key;
        let object = world.local.objects.get(key.as_str()).await?;
        ensure!(object.is_some(), "{key} is not there");
        if let Some(object) = object {
            let bytes = object.bytes().await?;
            check_rendition(rendition, &bytes, colour, w16_px)
                .map_err(|problem| Violation(format!("{key} {problem}")))?;
        }
    }
    Ok(())
}

/// Once `reconcile` has tidied up: no object that no manifest names.
pub async fn nothing_is_left_over(world: &World) -> Result<(), Violation> {
    let bucket = listed(world, "processed/").await?;
    for key in bucket.keys().filter(|key| is_rendition(key)) {
        let source = RenditionKey::parse(key.as_str())?.source()?;
        let manifest = read_manifest(world, source.manifest().as_str()).await?;
        let is_named = manifest.renditions().iter().any(|rendition| rendition.key.as_str() == key);
        ensure!(is_named, "no manifest names {key}");
    }
    Ok(())
}

fn is_manifest(key: &str) -> bool {
    key.starts_with("processed/") && key.ends_with("/manifest.json")
}

fn is_rendition(key: &str) -> bool {
    key.starts_with("processed/") && !is_manifest(key)
}

async fn listed(world: &World, prefix: &str) -> Result<Bucket, Violation> {
    Ok(world.local.objects.list(prefix, "", usize::MAX).await?.into_iter().collect())
}

async fn read_manifest(world: &World, key: &str) -> Result<Manifest, Violation> {
    let object = world.local.objects.get(key).await?;
    let object = object.ok_or_else(|| Violation(format!("there is no {key}")))?;
    Ok(Manifest::parse(&object.bytes().await?)?)
}
