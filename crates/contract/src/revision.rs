//! The names of what was made: a fingerprint of how (recipe, limits, encoder settings) and a revision
//! of what (the source's content) and how. Two contents never share a revision, so what lies under a
//! revision's keys never changes.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::limits::Limits;
use crate::recipe::Recipe;

/// 16 hex digits over recipe, limits and encoder settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// `encoders` names the encoders' versions and fixed settings; imaging keeps it.
    pub fn of(recipe: &Recipe, limits: &Limits, encoders: &str) -> Self {
        let mut hash = Hash::new("darkroom recipe 1");
        hash.json(recipe).json(limits).text(encoders);
        Self(hash.hex(16))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What S3 says of one state of a source, as far as it tells one content from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State<'a> {
    /// With its quotes.
    pub etag: &'a str,
    /// Of a versioned object only.
    pub version_id: Option<&'a str>,
    /// Seconds of the Unix epoch; counts where there is no version.
    pub modified_s: i64,
    /// As declared: the same bytes may be a picture under one type and a lie under another.
    pub content_type: Option<&'a str>,
}

/// 12 hex digits over the state of the source, the manifest's generation and the fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Revision(String);

impl Revision {
    pub const LEN: usize = 12;

    /// `generation` is the standing manifest's, 0 where there is none: after a removal nothing is made
    /// under a key that the removal may yet delete.
    pub fn of(source: &State, generation: u64, fingerprint: &Fingerprint) -> Self {
        let mut hash = Hash::new("darkroom revision 2");
        hash.text(source.etag);
        match source.version_id {
            Some(version_id) => hash.text("version").text(version_id),
            None => hash.text("modified").text(&source.modified_s.to_string()),
        };
        match source.content_type {
            Some(content_type) => hash.text("type").text(content_type),
            None => hash.text("no type"),
        };
        hash.text(&generation.to_string()).text(fingerprint.as_str());
        Self(hash.hex(Self::LEN))
    }

    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == Self::LEN && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        valid.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Revision {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not 12 hex digits"))
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.0
    }
}

/// SHA-256 over parts, each with its length before it, so that no two lists of parts run together.
struct Hash(Sha256);

impl Hash {
    fn new(domain: &str) -> Self {
        let mut hash = Self(Sha256::new());
        hash.text(domain);
        hash
    }

    fn text(&mut self, part: &str) -> &mut Self {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    fn json(&mut self, part: &impl Serialize) -> &mut Self {
        // Plain structs of numbers and strings always have a JSON form.
        self.text(&serde_json::to_string(part).unwrap_or_default())
    }

    fn hex(self, digits: usize) -> String {
        to_hex(&self.0.finalize())[..digits].to_owned()
    }
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint() -> Fingerprint {
        Fingerprint::of(&Recipe::default(), &Limits::default(), "e1")
    }

    fn state() -> State<'static> {
        State { etag: "\"e\"", version_id: None, modified_s: 1, content_type: Some("image/png") }
    }

    #[test]
    fn every_ingredient_changes_the_revision() {
        let base = Revision::of(&state(), 0, &fingerprint());
        let other_recipe = Recipe { background: "#000000".parse().unwrap(), ..Recipe::default() };
        let other_limits = Limits { max_side_px: 1, ..Limits::default() };
        let made_with = |fingerprint: Fingerprint| Revision::of(&state(), 0, &fingerprint);
        for other in [
            Revision::of(&State { etag: "\"f\"", ..state() }, 0, &fingerprint()),
            Revision::of(&State { modified_s: 2, ..state() }, 0, &fingerprint()),
            Revision::of(&State { version_id: Some("1"), ..state() }, 0, &fingerprint()),
            Revision::of(&State { content_type: Some("image/gif"), ..state() }, 0, &fingerprint()),
            Revision::of(&State { content_type: None, ..state() }, 0, &fingerprint()),
            Revision::of(&state(), 1, &fingerprint()),
            made_with(Fingerprint::of(&other_recipe, &Limits::default(), "e1")),
            made_with(Fingerprint::of(&Recipe::default(), &other_limits, "e1")),
            made_with(Fingerprint::of(&Recipe::default(), &Limits::default(), "e2")),
        ] {
            assert_ne!(other, base);
            assert_eq!(Revision::parse(other.as_str()), Some(other));
        }
    }

    #[test]
    fn a_versioned_source_does_not_depend_on_its_time() {
        let at = |modified_s| {
            Revision::of(&State { version_id: Some("v"), modified_s, ..state() }, 0, &fingerprint())
        };
        assert_eq!(at(1), at(2));
    }
}
