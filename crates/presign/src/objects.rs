//! The bucket as presign sees it: URLs and forms for sources, and a look at a source and its manifest. The
//! only module that calls S3.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::SharedCredentialsProvider;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::DateTime;
use contract::{Manifest, ManifestKey, MediaType, SourceKey, UploadKey};
use jiff::Timestamp;
use lambda_http::tracing;
use tokio::sync::OnceCell;

use crate::policy::{self, Fields};
use crate::problem::Problem;
use crate::signer::Signers;

/// What is signed: the client cannot send anything else.
pub struct Terms {
    pub media_type: MediaType,
    pub length: Length,
    /// Base64.
    pub checksum_sha256: Option<String>,
}

/// How many bytes S3 may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    Exactly(u64),
    /// A form says so to S3. A URL cannot: of that the worker refuses what is too much.
    UpTo(u64),
}

impl Length {
    const fn exactly(self) -> Option<u64> {
        match self {
            Self::Exactly(bytes) => Some(bytes),
            Self::UpTo(_) => None,
        }
    }
}

/// How an upload is made.
pub enum Means {
    /// `write_once` signs `If-None-Match: *`: S3 refuses a second write with 412.
    Put { write_once: bool },
    /// S3 ignores that header here: a second write replaces the first.
    Post,
}

/// An address and what must go there, for as long as it is good.
pub struct Signed {
    pub url: String,
    pub with: With,
    pub expires_in: Duration,
    pub expires_at: Timestamp,
}

pub type Headers = BTreeMap<&'static str, String>;

/// Exactly what the browser must send, and nothing else.
pub enum With {
    Headers(Headers),
    Fields(Fields),
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
    signers: Signers,
    bucket_url: OnceCell<String>,
}

impl Objects {
    pub fn new(client: Client, credentials: SharedCredentialsProvider, bucket: String) -> Self {
        let signers = Signers::new(client.config().region().cloned(), credentials);
        Self { client, bucket, signers, bucket_url: OnceCell::new() }
    }

    /// For one upload under `key`, good for `expiry` or for as long as what signs it.
    pub async fn sign_upload(
        &self,
        key: &UploadKey,
        means: Means,
        terms: &Terms,
        expiry: Duration,
    ) -> Result<Signed, Problem> {
        let signer = self.signers.for_life(expiry).await?;
        let bucket_url = self.bucket_url().await?;
        let (url, with) = match means {
            Means::Put { write_once } => {
                let headers = headers(terms, write_once);
                let length = terms.length.exactly().map(|bytes| bytes.to_string());
                // Browsers say the length themselves, and let nobody else say it.
                let length = length.iter().map(|bytes| ("content-length", bytes.as_str()));
                let signed: Vec<_> =
                    headers.iter().map(|(name, value)| (*name, value.as_str())).chain(length).collect();
                let url = signer.url("PUT", &url_of(bucket_url, key), &signed)?;
                (url, With::Headers(headers))
            }
            Means::Post => (bucket_url.to_owned(), With::Fields(signer.form(&self.form_terms(key, terms)))),
        };
        Ok(Signed { url, with, expires_in: signer.expires_in, expires_at: signer.expires_at() })
    }

    fn form_terms<'a>(&'a self, key: &'a UploadKey, terms: &'a Terms) -> policy::Terms<'a> {
        policy::Terms {
            bucket: &self.bucket,
            key: key.source().as_str(),
            content_type: terms.media_type.content_type(),
            length_range: match terms.length {
                Length::Exactly(bytes) => [bytes, bytes],
                Length::UpTo(bytes) => [1, bytes],
            },
            checksum_sha256: terms.checksum_sha256.as_deref(),
        }
    }

    /// To read a source, as a file and not as a page: nobody has looked at what is in it. With how long it is
    /// good.
    pub async fn sign_download(
        &self,
        key: &UploadKey,
        expiry: Duration,
    ) -> Result<(String, Duration), Problem> {
        let signer = self.signers.for_life(expiry).await?;
        let url =
            format!("{}?response-content-disposition=attachment", url_of(self.bucket_url().await?, key));
        Ok((signer.url("GET", &url, &[])?, signer.expires_in))
    }

    /// The SDK knows the bucket's address, whatever the region, the endpoint and the style; it shows it in
    /// what it signs only. Ends with `/`.
    async fn bucket_url(&self) -> Result<&str, Problem> {
        const KEY: &str = "k";
        let find = async || {
            let failed = |error: &dyn Error| Problem::failed("find the bucket's address", error);
            let config =
                PresigningConfig::expires_in(Duration::from_secs(60)).map_err(|error| failed(&error))?;
            let get = self.client.get_object().bucket(&self.bucket).key(KEY).presigned(config).await;
            let get = get.map_err(|error| failed(&error))?;
            let address = get.uri().split('?').next().and_then(|url| url.strip_suffix(KEY));
            address
                .map(str::to_owned)
                .ok_or_else(|| Problem::unusable("the bucket's address does not end with a key"))
        };
        self.bucket_url.get_or_try_init(find).await.map(String::as_str)
    }

    /// Also where there is none.
    pub async fn delete(&self, key: &SourceKey) -> Result<(), Problem> {
        let sent = self.client.delete_object().bucket(&self.bucket).key(key.as_str()).send().await;
        sent.map(|_| ()).map_err(|error| failed("delete the source", error))
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
        let json = object.body.collect().await;
        let json = json.map_err(|error| Problem::failed("read the manifest", error))?;
        Ok(Manifest::parse(&json.into_bytes())
            .inspect_err(|error| tracing::warn!(%key, %error, "manifest taken for absent"))
            .ok())
    }
}

/// Exactly what the browser must send. Nothing else may be among it: a header that is not signed fails CORS,
/// or S3.
fn headers(terms: &Terms, write_once: bool) -> Headers {
    let mut headers = Headers::new();
    headers.insert("Content-Type", terms.media_type.content_type().to_owned());
    headers.extend(write_once.then(|| ("If-None-Match", "*".to_owned())));
    headers.extend(terms.checksum_sha256.clone().map(|checksum| ("x-amz-checksum-sha256", checksum)));
    headers
}

/// Issued keys need no encoding.
fn url_of(bucket_url: &str, key: &UploadKey) -> String {
    format!("{bucket_url}{}", key.source().as_str())
}

/// A missing object is an answer, and so is nothing else: without `s3:ListBucket` S3 says 403 for one,
/// which is a deployment's mistake and must not look like a missing upload.
fn found<T, E>(sent: Result<T, SdkError<E>>, what: &str) -> Result<Option<T>, Problem>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match sent {
        Ok(value) => Ok(Some(value)),
        Err(error) if status(&error) == Some(404) && error.code() != Some("NoSuchBucket") => Ok(None),
        Err(error) => Err(failed(what, error)),
    }
}

fn failed<E>(what: &str, error: SdkError<E>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if status(&error) == Some(503) {
        tracing::warn!("S3 asks for fewer requests");
        return Problem::too_many_requests();
    }
    if status(&error) == Some(403) {
        tracing::error!("S3 forbids to {what}; without `s3:ListBucket` it says so of a missing object, too");
    }
    Problem::failed(what, error)
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
    use contract::{ArticleId, KeySecrets, Layout};
    use std::time::SystemTime;

    fn objects(config: impl FnOnce(aws_sdk_s3::config::Builder) -> aws_sdk_s3::config::Builder) -> Objects {
        expiring(config, None)
    }

    fn expiring(
        config: impl FnOnce(aws_sdk_s3::config::Builder) -> aws_sdk_s3::config::Builder,
        life_s: Option<u64>,
    ) -> Objects {
        let expiry = life_s.map(|secs| SystemTime::now() + Duration::from_secs(secs));
        let credentials = Credentials::new("key", "secret", Some("token".into()), expiry, "test");
        let builder = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"));
        let builder = builder.credentials_provider(credentials.clone());
        let client = Client::from_conf(config(builder).build());
        Objects::new(client, SharedCredentialsProvider::new(credentials), "photos".to_owned())
    }

    async fn signed(objects: &Objects, means: Means) -> Result<Signed, Problem> {
        let secrets = KeySecrets::from_settings(&|_| Some("s".repeat(32))).unwrap();
        let (article_id, uuid) = (ArticleId::parse("a").unwrap(), uuid::Uuid::now_v7());
        let key = UploadKey::issue(Layout::Flat, &secrets, "ann", article_id, uuid, MediaType::Jpeg).unwrap();
        let terms = Terms { media_type: MediaType::Jpeg, length: Length::UpTo(9), checksum_sha256: None };
        objects.sign_upload(&key, means, &terms, Duration::from_secs(900)).await
    }

    #[tokio::test]
    async fn a_form_goes_to_the_buckets_own_address_in_either_style() {
        let of = async |objects: Objects| signed(&objects, Means::Post).await.unwrap().url;
        assert_eq!(of(objects(|config| config)).await, "https://photos.s3.eu-west-1.amazonaws.com/");
        let local = objects(|config| config.endpoint_url("http://127.0.0.1:1").force_path_style(true));
        assert_eq!(of(local).await, "http://127.0.0.1:1/photos/");
    }

    #[tokio::test]
    async fn nothing_is_promised_beyond_the_life_of_the_credentials() {
        for means in [Means::Put { write_once: true }, Means::Post] {
            let before = Timestamp::now();
            let signed = signed(&expiring(|config| config, Some(100)), means).await.unwrap();
            assert!((95..=100).contains(&signed.expires_in.as_secs()), "{:?}", signed.expires_in);
            assert!(signed.expires_at <= before + Duration::from_secs(101));
        }
        let long = signed(&expiring(|config| config, Some(5000)), Means::Post).await.unwrap();
        assert_eq!(long.expires_in.as_secs(), 900);
        assert!(signed(&expiring(|config| config, Some(0)), Means::Post).await.is_err());
    }

    #[tokio::test]
    async fn where_s3_asks_for_a_pause_so_do_we() {
        let slow = axum::Router::new()
            .fallback(|| async { (axum::http::StatusCode::SERVICE_UNAVAILABLE, "SlowDown") });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, slow).into_future());
        let objects = objects(|config| {
            let credentials = Credentials::new("key", "secret", None, None, "test");
            let config = config.endpoint_url(url).force_path_style(true).credentials_provider(credentials);
            config.retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        });
        let problem = objects.delete(&SourceKey::parse("raw/a.jpg").unwrap()).await.unwrap_err();
        assert_eq!((problem.code, problem.header), ("too_many_requests", Some(("retry-after", "5"))));
    }

    #[tokio::test]
    async fn temporary_credentials_are_in_the_url_and_in_policy_and_fields() {
        let put = signed(&objects(|config| config), Means::Put { write_once: true }).await.unwrap();
        assert!(put.url.contains("X-Amz-Security-Token=token"));
        let With::Fields(fields) = signed(&objects(|config| config), Means::Post).await.unwrap().with else {
            panic!("a form has fields")
        };
        assert_eq!(fields["x-amz-security-token"], "token");
    }
}
