//! The bucket as presign sees it: URLs for sources, and a look at a source and its manifest. The only
//! module that names the S3 client.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::DateTime;
use contract::{Manifest, ManifestKey, MediaType, SourceKey};
use lambda_http::tracing;

use crate::problem::Problem;

/// What is signed into a PUT URL: the client cannot send anything else. Without a length any is taken,
/// and the worker refuses what is too much.
pub struct Terms {
    pub media_type: MediaType,
    pub content_length: Option<u64>,
    /// Base64.
    pub checksum_sha256: Option<String>,
    /// Signs `If-None-Match: *`: S3 refuses a second write with 412.
    pub write_once: bool,
}

/// A presigned URL and exactly the headers that the browser must send with it.
pub struct SignedUrl {
    pub url: String,
    pub headers: BTreeMap<String, String>,
}

/// Which content a source has now.
pub struct SourceVersion {
    pub etag: String,
    pub version_id: Option<String>,
    /// Seconds of the Unix epoch.
    pub modified_s: i64,
}

pub struct Objects {
    client: Client,
    bucket: String,
}

impl Objects {
    pub fn new(client: Client, bucket: String) -> Self {
        Self { client, bucket }
    }

    pub async fn presign_put(
        &self,
        key: &SourceKey,
        terms: Terms,
        expiry: Duration,
    ) -> Result<SignedUrl, Problem> {
        let config = PresigningConfig::expires_in(expiry).map_err(|error| failed("presign", error))?;
        let put = self.client.put_object().bucket(&self.bucket).key(key.as_str());
        let put = put
            .content_type(terms.media_type.content_type())
            .set_content_length(terms.content_length.and_then(|bytes| i64::try_from(bytes).ok()))
            .set_checksum_sha256(terms.checksum_sha256)
            .set_if_none_match(terms.write_once.then(|| "*".to_owned()));
        let signed = put.presigned(config).await.map_err(|error| failed("presign", error))?;
        Ok(SignedUrl { url: signed.uri().to_owned(), headers: browser_headers(&signed) })
    }

    /// `None` when there is no such object.
    pub async fn source(&self, key: &SourceKey) -> Result<Option<SourceVersion>, Problem> {
        let sent = self.client.head_object().bucket(&self.bucket).key(key.as_str()).send().await;
        let head = found(sent, "look at the source")?;
        Ok(head.map(|head| SourceVersion {
            etag: head.e_tag().unwrap_or_default().to_owned(),
            version_id: head.version_id().filter(|id| *id != "null").map(str::to_owned),
            modified_s: head.last_modified().map_or(0, DateTime::secs),
        }))
    }

    /// `None` when there is none, or one that this version cannot read: the worker will replace it.
    pub async fn manifest(&self, key: &ManifestKey) -> Result<Option<Manifest>, Problem> {
        let sent = self.client.get_object().bucket(&self.bucket).key(key.as_str()).send().await;
        let Some(object) = found(sent, "read the manifest")? else { return Ok(None) };
        let json = object.body.collect().await.map_err(|error| failed("read the manifest", error))?;
        Ok(Manifest::parse(&json.into_bytes())
            .inspect_err(|error| tracing::warn!(%key, %error, "manifest taken for absent"))
            .ok())
    }
}

/// Only what is signed, less what browsers set themselves. (The SDK also lists headers that are not
/// signed, inside Lambda a trace id among them; sent by a browser, those fail CORS.)
fn browser_headers(signed: &PresignedRequest) -> BTreeMap<String, String> {
    let names = signed_header_names(signed.uri());
    let mandatory =
        |name: &str| names.iter().any(|signed| signed == name) && name != "host" && name != "content-length";
    signed
        .headers()
        .filter(|(name, _)| mandatory(&name.to_ascii_lowercase()))
        .map(|(name, value)| (as_documented(name), value.to_owned()))
        .collect()
}

fn signed_header_names(url: &str) -> Vec<String> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let value =
        query.split('&').find_map(|pair| pair.strip_prefix("X-Amz-SignedHeaders=")).unwrap_or_default();
    value.replace("%3B", ";").split(';').map(str::to_ascii_lowercase).collect()
}

fn as_documented(name: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "content-type" => "Content-Type".to_owned(),
        "if-none-match" => "If-None-Match".to_owned(),
        other => other.to_owned(),
    }
}

/// A missing object is an answer, and so is nothing else: without `s3:ListBucket` S3 says 403 for one,
/// which is a deployment's mistake and must not look like a missing upload.
fn found<T, E>(sent: Result<T, SdkError<E>>, what: &str) -> Result<Option<T>, Problem>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match sent {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            let status = error.raw_response().map(|response| response.status().as_u16());
            if status == Some(404) && error.code() != Some("NoSuchBucket") {
                return Ok(None);
            }
            Err(failed(what, error))
        }
    }
}

fn failed(what: &str, error: impl std::error::Error) -> Problem {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    tracing::error!(error = text, "could not {what}");
    Problem::internal()
}
