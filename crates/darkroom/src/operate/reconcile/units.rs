//! A listing cut into what can be judged by itself: a source, or the objects that were made of one. Pure
//! but for the listing that it reads.

use contract::{KeyError, ManifestKey, RenditionKey, SourceKey};
use futures::{Stream, TryStreamExt};

use crate::operate::bucket::{Listed, Listing};

/// Objects of one folder that are held at once; a longer one is judged in parts.
const MAX_OBJECTS: usize = 5000;

/// What a key is to Darkroom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Source(SourceKey),
    /// What was made of this source.
    Folder(SourceKey),
    /// A source by its place, under a key that the worker refuses.
    Unusable,
    /// Under `processed`, and not written by Darkroom.
    Unknown,
    /// None of our business: a folder's marker, or something else that the bucket is used for.
    Other,
}

impl Kind {
    fn of(key: &str) -> Self {
        let made_of = RenditionKey::parse(key).and_then(|key| key.source());
        match SourceKey::parse(key) {
            Ok(source) => Self::Source(source),
            Err(KeyError::Unusable(_)) => Self::Unusable,
            Err(KeyError::Folder) => Self::Other,
            Err(KeyError::NotASource | KeyError::NotOurs) => {
                match made_of.or_else(|_| ManifestKey::parse(key).and_then(|key| key.source())) {
                    Ok(source) => Self::Folder(source),
                    Err(_) if key.split('/').any(|part| part == "processed") && !key.ends_with('/') => {
                        Self::Unknown
                    }
                    Err(_) => Self::Other,
                }
            }
        }
    }
}

/// Objects that are judged together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub kind: Kind,
    /// One, or all of a folder that stand together in the listing.
    pub objects: Vec<Listed>,
}

/// Puts the objects of a folder together.
pub struct Units<'a> {
    listing: Listing<'a>,
    folder: Option<Unit>,
}

impl<'a> Units<'a> {
    pub fn new(listing: Listing<'a>) -> Self {
        Self { listing, folder: None }
    }

    pub fn stream(self) -> impl Stream<Item = anyhow::Result<Unit>> + Send + 'a {
        futures::stream::try_unfold(self, |mut units| async move {
            Ok(units.next().await?.map(|unit| (unit, units)))
        })
    }

    async fn next(&mut self) -> anyhow::Result<Option<Unit>> {
        while let Some(listed) = self.listing.try_next().await? {
            let kind = Kind::of(&listed.key);
            match (&mut self.folder, &kind) {
                (Some(folder), Kind::Folder(_))
                    if folder.kind == kind && folder.objects.len() < MAX_OBJECTS =>
                {
                    folder.objects.push(listed);
                }
                (folder, Kind::Folder(_)) => {
                    let before = folder.replace(Unit { kind, objects: vec![listed] });
                    if before.is_some() {
                        return Ok(before);
                    }
                }
                _ => return Ok(Some(Unit { kind, objects: vec![listed] })),
            }
        }
        Ok(self.folder.take())
    }
}

/// Where the sources with this prefix lie, and what was made of them.
pub fn prefixes(prefix: &str) -> Vec<String> {
    let segments: Vec<&str> = prefix.split('/').collect();
    // The last one may be the beginning of a longer name.
    let raw =
        segments[..segments.len() - 1].iter().position(|segment| matches!(*segment, "raw" | "processed"));
    match raw {
        Some(index) if segments[index] == "raw" => {
            let mut made = segments;
            made[index] = "processed";
            vec![made.join("/"), prefix.to_owned()]
        }
        // `ra`, `articles/a1/`: both lie under it, or what is made of them does not.
        _ if !prefix.is_empty() && "raw".starts_with(prefix) => {
            vec!["processed/".to_owned(), prefix.to_owned()]
        }
        _ => vec![prefix.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use jiff::Timestamp;

    fn listed(key: &str) -> Listed {
        Listed {
            key: key.to_owned(),
            etag: "\"e\"".to_owned(),
            modified: Timestamp::UNIX_EPOCH,
            size_bytes: 1,
        }
    }

    async fn units(keys: &[&str]) -> Vec<(Kind, usize)> {
        let listing =
            futures::stream::iter(keys.iter().map(|key| Ok(listed(key))).collect::<Vec<_>>()).boxed();
        let units: Vec<Unit> = Units::new(listing).stream().try_collect().await.unwrap();
        units.into_iter().map(|unit| (unit.kind, unit.objects.len())).collect()
    }

    #[tokio::test]
    async fn the_objects_of_a_folder_are_judged_together_in_both_layouts() {
        let source = |key: &str| SourceKey::parse(key).unwrap();
        let flat = [
            "processed/a.jpg/3f9a0c12be77/w320.avif",
            "processed/a.jpg/3f9a0c12be77/w320.jpg",
            "processed/a.jpg/4f9a0c12be77/w320.jpg",
            "processed/a.jpg/manifest.json",
            "processed/a.jpg/notes.txt",
            "processed/b.jpg/manifest.json",
            "raw/a.jpg",
        ];
        let expected = [
            (Kind::Unknown, 1),
            (Kind::Folder(source("raw/a.jpg")), 4),
            (Kind::Source(source("raw/a.jpg")), 1),
            (Kind::Folder(source("raw/b.jpg")), 1),
        ];
        assert_eq!(units(&flat).await, expected);
        let nested = ["articles/1/processed/a.jpg/manifest.json", "articles/1/raw/a.jpg"];
        let source = source("articles/1/raw/a.jpg");
        assert_eq!(units(&nested).await, [(Kind::Source(source.clone()), 1), (Kind::Folder(source), 1)]);
    }

    #[tokio::test]
    async fn a_folder_of_any_size_is_held_in_parts() {
        let keys: Vec<_> = (0..MAX_OBJECTS + 1).map(|n| format!("processed/a.jpg/{n:012x}/w.jpg")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let sizes: Vec<_> = units(&keys).await.into_iter().map(|(_, size)| size).collect();
        assert_eq!(sizes, [MAX_OBJECTS, 1]);
    }

    #[test]
    fn only_what_darkroom_reads_or_writes_is_its_business() {
        for (key, kind) in [
            ("raw/", Kind::Other),
            ("raw/../a", Kind::Unusable),
            ("raw/a\nb", Kind::Unusable),
            ("logs/2026/a.gz", Kind::Other),
            ("processed/", Kind::Other),
            ("processed/index.html", Kind::Unknown),
            ("processed/a.jpg/3f9a0c12be7/w.jpg", Kind::Unknown),
        ] {
            assert_eq!(Kind::of(key), kind, "{key}");
        }
    }

    #[test]
    fn a_prefix_of_sources_covers_what_was_made_of_them() {
        for (prefix, expected) in [
            ("", &[""][..]),
            ("raw", &["processed/", "raw"]),
            ("r", &["processed/", "r"]),
            ("raw/", &["processed/", "raw/"]),
            ("raw/articles/a1", &["processed/articles/a1", "raw/articles/a1"]),
            ("articles/a1/raw/u", &["articles/a1/processed/u", "articles/a1/raw/u"]),
            ("articles/a1/", &["articles/a1/"]),
            ("processed/raw/", &["processed/raw/"]),
            ("rawest", &["rawest"]),
        ] {
            assert_eq!(prefixes(prefix), expected, "{prefix}");
        }
    }
}
