//! The bucket as the worker sees it. The only module that names the S3 client: requests go out here
//! and nowhere else, and the SDK's errors are translated here, once. Never decides what an absence or
//! a conflict means.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
pub use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{Delete, EncodingType, ObjectIdentifier};
use contract::manifest::{Manifest, ManifestError, Rendition};
use contract::revision::State;
use contract::{ManifestKey, MediaType, RenditionKey, Revision, SourceKey};

use crate::notification::decode_key;

/// Renditions never change under their keys, so this is literally true.
pub const RENDITION_CACHING: &str = "public, max-age=31536000, immutable";
/// The one mutable object: new within seconds, also behind a CDN.
pub const MANIFEST_CACHING: &str = "public, max-age=5";
/// The most keys of one DeleteObjects.
const MAX_DELETES: usize = 1000;

pub type ErrorBox = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("may not {what}: the function's permissions do not allow it")]
    Forbidden { what: String },
    #[error("could not {what}")]
    Failed { what: String, source: ErrorBox },
}

impl StoreError {
    pub fn failed(what: &str, source: impl Into<ErrorBox>) -> Self {
        Self::Failed { what: what.to_owned(), source: source.into() }
    }
}

/// What S3 says of a source: enough to name its revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceHead {
    /// With its quotes.
    pub etag: String,
    pub version_id: Option<String>,
    /// Seconds of the Unix epoch.
    pub modified_s: i64,
    pub size_bytes: u64,
    pub content_type: Option<String>,
}

impl SourceHead {
    pub fn state(&self) -> State<'_> {
        State {
            etag: &self.etag,
            version_id: self.version_id.as_deref(),
            modified_s: self.modified_s,
            content_type: self.content_type.as_deref(),
        }
    }

    /// The declared type, where it is one that is accepted.
    pub fn media_type(&self) -> Option<MediaType> {
        MediaType::from_content_type(self.content_type.as_deref()?)
    }
}

pub struct Fetched {
    pub head: SourceHead,
    pub body: ByteStream,
}

/// The manifest as it stood when it was read.
pub struct Standing {
    pub etag: String,
    /// An unreadable one is replaced like any other: it still has an ETag to hold on to.
    pub manifest: Result<Manifest, ManifestError>,
    /// Known of an unreadable one too, as far as it can be.
    pub generation: u64,
    /// By S3's clock, seconds of the Unix epoch.
    pub modified_s: i64,
}

/// How a conditional write ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Commit {
    Done,
    /// Someone else wrote in the meantime.
    Lost,
}

#[derive(Clone)]
pub struct Store {
    client: Client,
    bucket: String,
}

impl Store {
    pub fn new(client: Client, bucket: impl Into<String>) -> Self {
        Self { client, bucket: bucket.into() }
    }

    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// `None` when there is no such object.
    pub async fn head_source(&self, key: &SourceKey) -> Result<Option<SourceHead>, StoreError> {
        let sent = self.client.head_object().bucket(&self.bucket).key(key.as_str()).send().await;
        let head = |found: aws_sdk_s3::operation::head_object::HeadObjectOutput| SourceHead {
            etag: found.e_tag().unwrap_or_default().to_owned(),
            version_id: version(found.version_id()),
            modified_s: found.last_modified().map_or(0, DateTime::secs),
            size_bytes: length(found.content_length()),
            content_type: found.content_type().map(str::to_owned),
        };
        found(sent, &format!("look at {key}")).map(|found| found.map(head))
    }

    /// The source's head and body, of one and the same version. `None` when there is no such object.
    pub async fn get_source(&self, key: &SourceKey) -> Result<Option<Fetched>, StoreError> {
        let sent = self.client.get_object().bucket(&self.bucket).key(key.as_str()).send().await;
        let fetched = |found: GetObjectOutput| Fetched {
            head: SourceHead {
                etag: found.e_tag().unwrap_or_default().to_owned(),
                version_id: version(found.version_id()),
                modified_s: found.last_modified().map_or(0, DateTime::secs),
                size_bytes: length(found.content_length()),
                content_type: found.content_type().map(str::to_owned),
            },
            body: found.body,
        };
        found(sent, &format!("read {key}")).map(|found| found.map(fetched))
    }

    pub async fn manifest(&self, key: &ManifestKey) -> Result<Option<Standing>, StoreError> {
        let what = format!("read {key}");
        let sent = self.client.get_object().bucket(&self.bucket).key(key.as_str()).send().await;
        let Some(object) = found(sent, &what)? else { return Ok(None) };
        let etag = object.e_tag().unwrap_or_default().to_owned();
        let modified_s = object.last_modified().map_or(0, DateTime::secs);
        let json = object.body.collect().await.map_err(|error| StoreError::failed(&what, error))?;
        let json = json.into_bytes();
        let generation = Manifest::generation_of(&json);
        Ok(Some(Standing { etag, manifest: Manifest::parse(&json), generation, modified_s }))
    }

    /// Writes one rendition. Its key is its content's own, so repeating this changes nothing.
    pub async fn put_rendition(&self, rendition: &Rendition, bytes: bytes::Bytes) -> Result<(), StoreError> {
        let put = self.client.put_object().bucket(&self.bucket).key(rendition.key.as_str());
        let put = put.content_type(&rendition.content_type).cache_control(RENDITION_CACHING);
        let sent = put.body(ByteStream::from(bytes)).send().await;
        sent.map(drop).map_err(|error| translate(error, &format!("write {}", rendition.key)))
    }

    /// Writes the manifest on condition that `standing` (or none) is still what is there.
    pub async fn commit(
        &self,
        key: &ManifestKey,
        standing: Option<&Standing>,
        manifest: &Manifest,
    ) -> Result<Commit, StoreError> {
        let put = self.client.put_object().bucket(&self.bucket).key(key.as_str());
        let put = put.content_type("application/json").cache_control(MANIFEST_CACHING);
        let put = match standing {
            Some(standing) => put.if_match(&standing.etag),
            None => put.if_none_match("*"),
        };
        match put.body(ByteStream::from(manifest.to_json())).send().await {
            Ok(_) => Ok(Commit::Done),
            // 409: a concurrent conditional write; 404: If-Match on what has been deleted. A missing
            // bucket is a 404 too, and nothing that another round would mend.
            Err(error) if matches!(status(&error), Some(409 | 412)) => Ok(Commit::Lost),
            Err(error) if status(&error) == Some(404) && error.code() != Some("NoSuchBucket") => {
                Ok(Commit::Lost)
            }
            Err(error) => Err(translate(error, &format!("write {key}"))),
        }
    }

    /// Keys of all that was ever made of a source and is still there, its manifest excepted.
    pub async fn made(&self, source: &SourceKey) -> Result<Vec<RenditionKey>, StoreError> {
        self.renditions(source, &source.made_prefix()).await
    }

    /// Keys of what is there of one revision.
    pub async fn made_of(
        &self,
        source: &SourceKey,
        revision: &Revision,
    ) -> Result<Vec<RenditionKey>, StoreError> {
        self.renditions(source, &source.revision_prefix(revision)).await
    }

    async fn renditions(&self, source: &SourceKey, prefix: &str) -> Result<Vec<RenditionKey>, StoreError> {
        let what = format!("list {prefix}");
        // Encoded: what others have put there may have a key that XML cannot say.
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let list = list.encoding_type(EncodingType::Url);
        let mut pages = list.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| translate(error, &what))?;
            let is_encoded = page.encoding_type() == Some(&EncodingType::Url);
            let keys = page.contents().iter().filter_map(|object| object.key());
            let keys = keys.filter_map(|key| match is_encoded {
                true => decode_key(key),
                false => Some(key.to_owned()),
            });
            // Below the folder of `raw/a` may be that of `raw/a/b`.
            let renditions = keys.filter_map(|key| RenditionKey::parse(key).ok());
            found.extend(renditions.filter(|key| key.source().as_ref() == Ok(source)));
        }
        Ok(found)
    }

    /// Deletes renditions; those that are gone already are no error. Goes on after a failure, and then
    /// tells the first: the next attempt has less to do.
    pub async fn delete(&self, renditions: &[RenditionKey]) -> Result<(), StoreError> {
        let mut result = Ok(());
        for page in renditions.chunks(MAX_DELETES) {
            result = result.and(self.delete_page(page).await);
        }
        result
    }

    async fn delete_page(&self, renditions: &[RenditionKey]) -> Result<(), StoreError> {
        let what = format!("delete {} renditions", renditions.len());
        let ids = renditions.iter().map(|key| ObjectIdentifier::builder().key(key.as_str()).build());
        let ids = ids.collect::<Result<_, _>>().map_err(|error| StoreError::failed(&what, error))?;
        let delete = Delete::builder().set_objects(Some(ids)).quiet(true).build();
        let delete = delete.map_err(|error| StoreError::failed(&what, error))?;
        let sent = self.client.delete_objects().bucket(&self.bucket).delete(delete).send().await;
        let answer = sent.map_err(|error| translate(error, &what))?;
        match answer.errors().first() {
            None => Ok(()),
            Some(error) if error.code() == Some("AccessDenied") => Err(StoreError::Forbidden { what }),
            Some(error) => {
                let said = [error.key(), error.code(), error.message()].map(Option::unwrap_or_default);
                Err(StoreError::failed(&what, said.join(": ")))
            }
        }
    }
}

/// Unversioned buckets leave it out; suspended versioning says `null`, which names no version.
fn version(id: Option<&str>) -> Option<String> {
    id.filter(|id| *id != "null").map(str::to_owned)
}

fn length(content_length: Option<i64>) -> u64 {
    content_length.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0)
}

/// A missing object is an answer; a missing bucket is an error. (HEAD has no body to tell the two
/// apart: a missing bucket shows at the next request, which is never a HEAD.)
fn found<T, E>(sent: Result<T, SdkError<E>>, what: &str) -> Result<Option<T>, StoreError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match sent {
        Ok(value) => Ok(Some(value)),
        Err(error) if status(&error) == Some(404) && error.code() != Some("NoSuchBucket") => Ok(None),
        Err(error) => Err(translate(error, what)),
    }
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn translate<E>(error: SdkError<E>, what: &str) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if status(&error) == Some(403) {
        return StoreError::Forbidden { what: what.to_owned() };
    }
    StoreError::failed(what, error)
}
