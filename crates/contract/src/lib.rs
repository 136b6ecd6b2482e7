//! What both functions and the browser agree on: keys, media types, limits, recipe, manifest.
//!
//! Pure data and the rules on it. Never reads a clock, an environment variable or a file, never
//! touches pixels, and never pulls in AWS, tokio or HTTP: CI checks its dependency tree.

pub mod key;
pub mod limits;
pub mod manifest;
pub mod media_type;
pub mod owner;
pub mod recipe;
pub mod revision;
pub mod setting;

pub use key::{KeyError, Layout, ManifestKey, RenditionKey, SourceKey};
pub use limits::Limits;
pub use manifest::{Manifest, Rejection, RejectionCode, Status};
pub use media_type::{Format, MediaType};
pub use owner::{ArticleId, KeySecrets, UploadKey};
pub use recipe::Recipe;
pub use revision::{Fingerprint, Revision};
pub use setting::{Lookup, SettingError};
