//! The manifest: what was made of one source, or why nothing was. Written last and conditionally, it
//! is the commit point; a reader that sees it sees a whole set. Public, so it never holds anything
//! about the owner or the file's name.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key::{RenditionKey, SourceKey};
use crate::media_type::Format;
use crate::revision::{Fingerprint, Revision};

/// The schema that this code writes and reads.
pub const SCHEMA: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub schema: u32,
    #[serde(flatten)]
    pub outcome: Outcome,
    pub revision: Revision,
    /// How many tombstones came before this manifest, itself included.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub generation: u64,
    pub source: Source,
    /// Fingerprint of recipe, limits and encoder settings.
    pub recipe: Fingerprint,
    pub processed_at: Timestamp,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What became of the source; the JSON field `status` names the variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Outcome {
    /// Every rendition of the recipe is there.
    Ready { renditions: Vec<Rendition>, placeholder: Placeholder },
    /// The bytes are at fault.
    Rejected { rejection: Rejection },
    /// Given up after the last receive; the dead-letter queue has the message.
    Failed { failure: Failure },
    /// The source is gone: a tombstone.
    Removed,
}

/// The outcome without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ready,
    Rejected,
    Failed,
    Removed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    pub key: SourceKey,
    /// With its quotes, as S3 says it.
    pub etag: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// From the event; only comparable within one key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequencer: Option<String>,
    /// Bytes.
    pub size: u64,
    /// As declared by the uploader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Px as displayed, after orientation; absent where the header could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rendition {
    pub name: String,
    pub format: Format,
    pub key: RenditionKey,
    pub content_type: String,
    pub width: u32,
    pub height: u32,
    pub bytes: u64,
}

/// What a page shows until a rendition has loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placeholder {
    /// Base64 of a ThumbHash. <https://evanw.github.io/thumbhash/>
    pub thumbhash: String,
    /// The dominant colour, `#rrggbb`.
    pub color: String,
}

/// Why nothing was made of a source: a stable code and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    pub code: RejectionCode,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionCode {
    Empty,
    UnsupportedType,
    TypeMismatch,
    TooManyBytes,
    TooManyPixels,
    TooManyFrames,
    TooMuchMemory,
    Corrupt,
}

impl RejectionCode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::UnsupportedType => "unsupported_type",
            Self::TypeMismatch => "type_mismatch",
            Self::TooManyBytes => "too_many_bytes",
            Self::TooManyPixels => "too_many_pixels",
            Self::TooManyFrames => "too_many_frames",
            Self::TooMuchMemory => "too_much_memory",
            Self::Corrupt => "corrupt",
        }
    }
}

impl std::fmt::Display for RejectionCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why processing was given up: our fault, never the file's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub code: String,
    pub message: String,
}

/// A manifest that this code cannot use.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("manifest is not readable: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("manifest has schema {found}, not {SCHEMA}")]
    OtherSchema { found: u64 },
}

impl Manifest {
    /// `now` is kept to the millisecond: browsers read no finer times.
    pub fn new(
        outcome: Outcome,
        revision: Revision,
        generation: u64,
        source: Source,
        recipe: Fingerprint,
        now: Timestamp,
    ) -> Self {
        let processed_at = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
        Self { schema: SCHEMA, outcome, revision, generation, source, recipe, processed_at }
    }

    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Head {
            schema: u64,
        }
        let Head { schema } = serde_json::from_slice(json)?;
        if schema != u64::from(SCHEMA) {
            return Err(ManifestError::OtherSchema { found: schema });
        }
        Ok(serde_json::from_slice(json)?)
    }

    pub fn to_json(&self) -> Vec<u8> {
        // Plain structs with string keys: there is nothing here that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The generation in a manifest of which perhaps nothing else can be read; 0 where it has none.
    pub fn generation_of(json: &[u8]) -> u64 {
        #[derive(Deserialize)]
        struct Head {
            #[serde(default)]
            generation: u64,
        }
        serde_json::from_slice(json).map_or(0, |Head { generation }| generation)
    }

    pub fn status(&self) -> Status {
        match self.outcome {
            Outcome::Ready { .. } => Status::Ready,
            Outcome::Rejected { .. } => Status::Rejected,
            Outcome::Failed { .. } => Status::Failed,
            Outcome::Removed => Status::Removed,
        }
    }

    pub fn renditions(&self) -> &[Rendition] {
        match &self.outcome {
            Outcome::Ready { renditions, .. } => renditions,
            Outcome::Rejected { .. } | Outcome::Failed { .. } | Outcome::Removed => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ready() -> serde_json::Value {
        json!({
            "schema": 1, "status": "ready", "revision": "3f9a0c12be77",
            "source": {"key": "raw/a/u.jpg", "etag": "\"e\"", "versionId": "v", "sequencer": "0055",
                       "size": 3_779_026, "contentType": "image/jpeg", "width": 3024, "height": 4032},
            "renditions": [{"name": "w640", "format": "webp", "key": "processed/a/u.jpg/3f9a0c12be77/w640.webp",
                            "contentType": "image/webp", "width": 640, "height": 853, "bytes": 24817}],
            "placeholder": {"thumbhash": "AAAA", "color": "#7a8b64"},
            "recipe": "0123456789abcdef", "processedAt": "2026-11-22T05:00:00Z"
        })
    }

    fn round_trip(json: serde_json::Value) -> Manifest {
        let manifest = Manifest::parse(json.to_string().as_bytes()).unwrap();
        let again: serde_json::Value = serde_json::from_slice(&manifest.to_json()).unwrap();
        assert_eq!(again, json);
        manifest
    }

    #[test]
    fn a_ready_manifest_has_the_documented_shape() {
        let manifest = round_trip(ready());
        assert_eq!(manifest.status(), Status::Ready);
        assert_eq!(manifest.renditions().len(), 1);
    }

    #[test]
    fn a_generation_is_told_from_the_first_removal_on_and_read_from_any_schema() {
        let mut json = ready();
        assert_eq!(Manifest::generation_of(json.to_string().as_bytes()), 0);
        json["generation"] = json!(3);
        assert_eq!(round_trip(json.clone()).generation, 3);
        json["schema"] = json!(2);
        json["revision"] = json!({});
        assert_eq!(Manifest::generation_of(json.to_string().as_bytes()), 3);
        assert_eq!(Manifest::generation_of(b"{"), 0);
    }

    #[test]
    fn the_other_statuses_carry_their_own_detail_and_no_renditions() {
        for (status, field, detail) in [
            ("rejected", "rejection", json!({"code": "too_many_pixels", "message": "m"})),
            ("failed", "failure", json!({"code": "gave_up", "message": "m"})),
            ("removed", "", json!(null)),
        ] {
            let mut json = ready();
            let object = json.as_object_mut().unwrap();
            object.remove("renditions");
            object.remove("placeholder");
            object.insert("status".into(), status.into());
            if !field.is_empty() {
                object.insert(field.into(), detail);
            }
            assert!(round_trip(json).renditions().is_empty());
        }
    }

    #[test]
    fn a_manifest_of_another_schema_is_told_from_a_broken_one() {
        let mut newer = ready();
        newer["schema"] = json!(2);
        let error = Manifest::parse(newer.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, ManifestError::OtherSchema { found: 2 }));
        for broken in ["", "{", "[]", "{\"schema\":1}", "{\"schema\":-1}"] {
            assert!(
                matches!(Manifest::parse(broken.as_bytes()), Err(ManifestError::Unreadable(_))),
                "{broken}"
            );
        }
    }

    #[test]
    fn rejection_codes_are_written_as_documented() {
        for code in [
            RejectionCode::Empty,
            RejectionCode::UnsupportedType,
            RejectionCode::TypeMismatch,
            RejectionCode::TooManyBytes,
            RejectionCode::TooManyPixels,
            RejectionCode::TooManyFrames,
            RejectionCode::TooMuchMemory,
            RejectionCode::Corrupt,
        ] {
            assert_eq!(serde_json::to_value(code).unwrap(), json!(code.as_str()));
        }
    }
}
