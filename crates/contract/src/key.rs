//! Object keys, both ways: which keys are sources, and where what is made of them goes.
//!
//! A source has a path segment `raw` before any segment `processed`; the first such segment becomes
//! `processed`, and the whole file name becomes a folder that holds the manifest and a folder for each
//! revision. A key that this module calls a source is never one that it writes to, so processing
//! cannot feed on its own output.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::media_type::Format;
use crate::revision::Revision;
use crate::setting::{self, Lookup, SettingError, Variable};

const RAW: &str = "raw";
const PROCESSED: &str = "processed";
const MANIFEST: &str = "manifest.json";

/// The longest key S3 takes, bytes of UTF-8.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
pub const MAX_KEY_BYTES: usize = 1024;

/// Longest name of a rendition, bytes.
pub const MAX_NAME_BYTES: usize = 32;

/// The longest source key whose renditions still have keys that S3 takes.
pub const MAX_SOURCE_KEY_BYTES: usize = MAX_KEY_BYTES
    - (PROCESSED.len() - RAW.len())
    - ("/".len() + Revision::LEN + "/".len() + MAX_NAME_BYTES + ".avif".len());

/// Where sources lie. Flat filters by prefix in an S3 notification rule; nested needs an EventBridge
/// rule with a wildcard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// `raw/articles/<articleId>/<file>`
    #[default]
    Flat,
    /// `articles/<articleId>/raw/<file>`
    Nested,
}

impl Layout {
    pub const VARIABLE: Variable = Variable {
        name: "KEY_LAYOUT",
        default: "flat",
        meaning: "where new sources go: `flat` (`raw/articles/...`) or `nested` (`articles/.../raw/...`)",
    };

    pub fn from_settings(lookup: &Lookup) -> Result<Self, SettingError> {
        match setting::text(lookup, Self::VARIABLE.name).as_deref() {
            None | Some("flat") => Ok(Self::Flat),
            Some("nested") => Ok(Self::Nested),
            Some(other) => Err(SettingError::new(
                Self::VARIABLE.name,
                format!("`{other}` is neither `flat` nor `nested`"),
            )),
        }
    }

    /// The key of a source of this layout.
    pub fn source_key(self, article_id: &str, file_name: &str) -> String {
        match self {
            Self::Flat => format!("{RAW}/articles/{article_id}/{file_name}"),
            Self::Nested => format!("articles/{article_id}/{RAW}/{file_name}"),
        }
    }
}

/// Why a key is not one of ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// Nothing to do with us: no segment `raw`, or our own output.
    #[error("not a source key: it has no path segment `raw` before any segment `processed`")]
    NotASource,
    /// `raw/articles/`: consoles make such empty objects to show a folder.
    #[error("a folder marker, not a file")]
    Folder,
    /// Under `raw`, but what would be made of it could not be stored or served.
    #[error("unusable source key: {0}")]
    Unusable(&'static str),
    #[error("not a key that Darkroom writes")]
    NotOurs,
}

/// The key of an object under `raw`, decoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceKey(String);

impl SourceKey {
    pub fn parse(key: impl Into<String>) -> Result<Self, KeyError> {
        let key = key.into();
        let folder = swap_first_segment(&key, RAW, PROCESSED).ok_or(KeyError::NotASource)?;
        if key.ends_with('/') {
            return Err(KeyError::Folder);
        }
        if folder.rsplit('/').next() != key.rsplit('/').next() {
            return Err(KeyError::NotASource); // `articles/raw`: a file of that name, in no such folder
        }
        check_servable(&key)?;
        Ok(Self(key))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder of all that is made of this source, without a slash at its end.
    fn folder(&self) -> String {
        // `parse` has seen the segment; a key without it is its own folder, which is never a source.
        swap_first_segment(&self.0, RAW, PROCESSED).unwrap_or_else(|| self.0.clone())
    }

    pub fn manifest(&self) -> ManifestKey {
        ManifestKey(format!("{}/{MANIFEST}", self.folder()))
    }

    /// The prefix of all that is made of this source, its manifest included, with a slash at its end. Not only
    /// of this one: below the folder of `raw/a` may be that of `raw/a/b`.
    pub fn made_prefix(&self) -> String {
        format!("{}/", self.folder())
    }

    /// The prefix of every object of one revision, with a slash at its end.
    pub fn revision_prefix(&self, revision: &Revision) -> String {
        format!("{}/{revision}/", self.folder())
    }

    /// The key of one rendition of one revision. `name` is a rendition's name as the recipe checked it.
    pub fn rendition(&self, revision: &Revision, name: &str, format: Format) -> RenditionKey {
        RenditionKey(format!("{}/{revision}/{name}.{}", self.folder(), format.extension()))
    }
}

/// The key of the manifest of one source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ManifestKey(String);

impl ManifestKey {
    pub fn parse(key: &str) -> Result<Self, KeyError> {
        Self(key.to_owned()).source().map(|_| Self(key.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The source that this manifest tells of.
    pub fn source(&self) -> Result<SourceKey, KeyError> {
        let folder = self.0.strip_suffix(MANIFEST).and_then(|rest| rest.strip_suffix('/'));
        source_of_folder(folder.ok_or(KeyError::NotOurs)?)
    }
}

/// The key of one rendition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RenditionKey(String);

impl RenditionKey {
    pub fn parse(key: impl Into<String>) -> Result<Self, KeyError> {
        let key = Self(key.into());
        key.source()?;
        Ok(key)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The source that this rendition was made of.
    pub fn source(&self) -> Result<SourceKey, KeyError> {
        let (folder, file) = self.0.rsplit_once('/').ok_or(KeyError::NotOurs)?;
        let (folder, revision) = folder.rsplit_once('/').ok_or(KeyError::NotOurs)?;
        Revision::parse(revision).ok_or(KeyError::NotOurs)?;
        let (_, extension) = file.rsplit_once('.').ok_or(KeyError::NotOurs)?;
        Format::from_extension(extension).ok_or(KeyError::NotOurs)?;
        source_of_folder(folder)
    }
}

fn source_of_folder(folder: &str) -> Result<SourceKey, KeyError> {
    let source = swap_first_segment(folder, PROCESSED, RAW).ok_or(KeyError::NotOurs)?;
    SourceKey::parse(source).map_err(|_| KeyError::NotOurs)
}

/// Replaces the first segment `from`, which must come before any segment `to`.
fn swap_first_segment(key: &str, from: &str, to: &str) -> Option<String> {
    let mut segments: Vec<&str> = key.split('/').collect();
    let first = segments.iter().position(|segment| *segment == from || *segment == to)?;
    if segments[first] != from {
        return None;
    }
    segments[first] = to;
    Some(segments.join("/"))
}

/// Browsers and CDNs resolve dot segments and drop control characters, so what is made of such a
/// source could never be fetched by its own key.
fn check_servable(key: &str) -> Result<(), KeyError> {
    if key.len() > MAX_SOURCE_KEY_BYTES {
        return Err(KeyError::Unusable("over 967 bytes, so its renditions' keys would be over 1024"));
    }
    if key.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(KeyError::Unusable("it has an empty, `.` or `..` path segment"));
    }
    if key.chars().any(char::is_control) {
        return Err(KeyError::Unusable("it has a control character"));
    }
    Ok(())
}

macro_rules! key_text {
    ($($key:ident),*) => {$(
        impl fmt::Display for $key {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
key_text!(SourceKey, ManifestKey, RenditionKey);

macro_rules! key_serde {
    ($($key:ident),*) => {$(
        impl TryFrom<String> for $key {
            type Error = KeyError;
            fn try_from(text: String) -> Result<Self, KeyError> {
                Self::parse(text)
            }
        }
        impl From<$key> for String {
            fn from(key: $key) -> Self {
                key.0
            }
        }
    )*};
}
key_serde!(SourceKey, RenditionKey);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn revision() -> Revision {
        Revision::parse("3f9a0c12be77").unwrap()
    }

    #[test]
    fn both_layouts_map_to_processed_and_back() {
        for (source, rendition) in [
            ("raw/articles/a1/u.jpg", "processed/articles/a1/u.jpg/3f9a0c12be77/w640.webp"),
            ("articles/a1/raw/u.jpg", "articles/a1/processed/u.jpg/3f9a0c12be77/w640.webp"),
            ("raw/u", "processed/u/3f9a0c12be77/w640.webp"),
            ("raw/raw/u.png", "processed/raw/u.png/3f9a0c12be77/w640.webp"),
            ("raw/processed/u.png", "processed/processed/u.png/3f9a0c12be77/w640.webp"),
            ("raw/été/a b+c.png", "processed/été/a b+c.png/3f9a0c12be77/w640.webp"),
        ] {
            let key = SourceKey::parse(source).unwrap();
            let made = key.rendition(&revision(), "w640", Format::Webp);
            assert_eq!(made.as_str(), rendition);
            assert_eq!(made.source().unwrap(), key);
            assert_eq!(key.manifest().source().unwrap(), key);
        }
    }

    #[test]
    fn what_we_write_is_never_a_source() {
        for key in [
            "processed/a/u.jpg/3f9a0c12be77/w640.webp",
            "processed/raw/u.jpg",
            "articles/a/processed/raw/u.jpg",
            "articles/a/u.jpg",
            "rawest/u.jpg",
            "RAW/u.jpg",
            "raw",
            "articles/raw",
            "",
        ] {
            assert_eq!(SourceKey::parse(key), Err(KeyError::NotASource), "{key}");
        }
    }

    #[test]
    fn folder_markers_are_told_from_files() {
        for key in ["raw/", "raw/articles/a/"] {
            assert_eq!(SourceKey::parse(key), Err(KeyError::Folder), "{key}");
        }
    }

    #[test]
    fn keys_that_no_client_could_fetch_are_unusable() {
        let long = format!("raw/{}", "x".repeat(MAX_SOURCE_KEY_BYTES - 3));
        for key in
            ["raw/../u.jpg", "raw/./u.jpg", "raw//u.jpg", "/raw/u.jpg", "raw/a\u{0}b", "raw/a\nb", &long]
        {
            assert!(matches!(SourceKey::parse(key), Err(KeyError::Unusable(_))), "{key}");
        }
    }

    #[test]
    fn the_longest_source_key_has_renditions_that_s3_takes() {
        let longest = SourceKey::parse(format!("raw/{}", "x".repeat(MAX_SOURCE_KEY_BYTES - 4))).unwrap();
        let name = "n".repeat(MAX_NAME_BYTES);
        assert_eq!(longest.rendition(&revision(), &name, Format::Avif).as_str().len(), MAX_KEY_BYTES);
        const { assert!(MAX_SOURCE_KEY_BYTES == 967, "the message names the figure") };
    }

    #[test]
    fn keys_that_darkroom_never_wrote_are_no_renditions() {
        for key in [
            "processed/a/u.jpg/manifest.json",
            "processed/a/u.jpg/3f9a0c12be7/w640.webp",
            "processed/a/u.jpg/3F9A0C12BE77/w640.webp",
            "processed/a/u.jpg/3f9a0c12be77/w640.exe",
            "processed/3f9a0c12be77/w640.webp",
            "raw/u.jpg/3f9a0c12be77/w640.webp",
        ] {
            assert_eq!(RenditionKey::parse(key), Err(KeyError::NotOurs), "{key}");
        }
        assert_eq!(ManifestKey::parse("processed/manifest.json"), Err(KeyError::NotOurs));
        assert_eq!(ManifestKey::parse("raw/u.jpg/manifest.json"), Err(KeyError::NotOurs));
        assert_eq!(ManifestKey::parse("processed/u.jpgmanifest.json"), Err(KeyError::NotOurs));
    }

    proptest! {
        #[test]
        fn any_source_key_survives_the_round_trip(key in "(a/|raw/|processed/|é/|x y/){0,4}[a-z.]{1,8}") {
            if let Ok(source) = SourceKey::parse(key.as_str()) {
                let rendition = source.rendition(&revision(), "thumb", Format::Jpeg);
                prop_assert_eq!(rendition.source().unwrap(), source.clone());
                prop_assert_eq!(source.manifest().source().unwrap(), source.clone());
                prop_assert_eq!(SourceKey::parse(rendition.as_str()), Err(KeyError::NotASource));
                prop_assert_eq!(SourceKey::parse(source.manifest().as_str()), Err(KeyError::NotASource));
            }
        }

        #[test]
        fn no_text_makes_the_key_parsers_panic(key in "\\PC{0,80}") {
            let _ = SourceKey::parse(key.as_str());
            let _ = ManifestKey::parse(&key);
            let _ = RenditionKey::parse(key.as_str());
        }
    }
}
