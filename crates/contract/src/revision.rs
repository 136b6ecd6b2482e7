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

/// 12 hex digits over the source's ETag, its version (or, without versioning, its modification time)
/// and the fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Revision(String);

impl Revision {
    pub const LEN: usize = 12;

    /// `version_id` is what S3 says of a versioned object; `modified_s` is its modification time in
    /// seconds of the Unix epoch, and counts where there is no version.
    pub fn of(etag: &str, version_id: Option<&str>, modified_s: i64, fingerprint: &Fingerprint) -> Self {
        let mut hash = Hash::new("darkroom revision 1");
        hash.text(etag);
        match version_id {
            Some(version_id) => hash.text("version").text(version_id),
            None => hash.text("modified").text(&modified_s.to_string()),
        };
        hash.text(fingerprint.as_str());
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

    #[test]
    fn every_ingredient_changes_the_revision() {
        let base = Revision::of("\"e\"", None, 1, &fingerprint());
        let other_recipe = Recipe { background: "#000000".parse().unwrap(), ..Recipe::default() };
        let other_limits = Limits { max_side_px: 1, ..Limits::default() };
        for other in [
            Revision::of("\"f\"", None, 1, &fingerprint()),
            Revision::of("\"e\"", None, 2, &fingerprint()),
            Revision::of("\"e\"", Some("1"), 1, &fingerprint()),
            Revision::of("\"e\"", None, 1, &Fingerprint::of(&other_recipe, &Limits::default(), "e1")),
            Revision::of("\"e\"", None, 1, &Fingerprint::of(&Recipe::default(), &other_limits, "e1")),
            Revision::of("\"e\"", None, 1, &Fingerprint::of(&Recipe::default(), &Limits::default(), "e2")),
        ] {
            assert_ne!(other, base);
            assert_eq!(Revision::parse(other.as_str()), Some(other));
        }
    }

    #[test]
    fn a_versioned_source_does_not_depend_on_its_time() {
        let at = |modified_s| Revision::of("\"e\"", Some("v"), modified_s, &fingerprint());
        assert_eq!(at(1), at(2));
    }
}
