//! The bucket as the operators' commands see it: the worker's own reading of sources and manifests, and
//! what only operators do, which is to list. Every request takes a turn of the pace.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{BoxError, SdkError};
use aws_sdk_s3::operation::head_bucket::HeadBucketError;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::EncodingType;
use contract::{RenditionKey, Revision, SourceKey};
use futures::{Stream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use worker::notification;
use worker::store::{SourceHead, Standing, Store};

use super::pace::Pace;
use super::trouble::{explain, of_store};

/// An object as a listing tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub key: String,
    /// With its quotes.
    pub etag: String,
    pub modified: Timestamp,
    pub size_bytes: u64,
}

/// A page of a listing after the next, in order; the boxed form keeps callers' types short.
pub type Listing<'a> = Pin<Box<dyn Stream<Item = anyhow::Result<Listed>> + Send + 'a>>;

/// A bucket. Cheap to clone.
#[derive(Clone)]
pub struct Bucket {
    client: Client,
    store: Store,
    pace: Pace,
}

impl Bucket {
    pub fn new(client: Client, name: &str, pace: Pace) -> Self {
        Self { store: Store::new(client.clone(), name), client, pace }
    }

    pub fn name(&self) -> &str {
        self.store.bucket()
    }

    /// Makes sure that the bucket is there; the time on S3's own clock, by which objects are aged.
    pub async fn check(&self) -> anyhow::Result<Timestamp> {
        self.pace.take(1).await;
        let clock = Clock::default();
        let asked = self.client.head_bucket().bucket(self.name()).customize().interceptor(clock.clone());
        // Whoever has just typed a wrong address need not wait as long as a run that is under way.
        let soon = aws_sdk_s3::config::Builder::new().retry_config(RetryConfig::standard());
        let sent = asked.config_override(soon).send().await;
        sent.map_err(|error| self.explain_head(&error))?;
        Ok(clock.time().unwrap_or_else(Timestamp::now))
    }

    /// A HEAD has no body, so S3 cannot say in words what is wrong.
    fn explain_head(&self, error: &SdkError<HeadBucketError>) -> anyhow::Error {
        let name = self.name();
        let header = |name: &str| error.raw_response().and_then(|response| response.headers().get(name));
        match (error.raw_response().map(|response| response.status().as_u16()), header("x-amz-bucket-region"))
        {
            (Some(404), _) => anyhow::anyhow!("there is no bucket `{name}` here"),
            (Some(301 | 400), Some(region)) => {
                anyhow::anyhow!("bucket `{name}` is in another region: set AWS_REGION={region}")
            }
            (Some(403), _) => {
                anyhow::anyhow!(
                    "may not list bucket `{name}`. The credentials in use need s3:ListBucket on it"
                )
            }
            _ => explain(error, &format!("look at bucket `{name}`")),
        }
    }

    /// All objects under a prefix in the order of their keys, beginning after `after`.
    pub fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>) -> Listing<'a> {
        let pages = futures::stream::try_unfold(Next::First, move |next| async move {
            let (page, next) = match next {
                Next::First => self.page(prefix, after, None).await?,
                Next::At(token) => self.page(prefix, None, Some(token)).await?,
                Next::End => return Ok::<_, anyhow::Error>(None),
            };
            Ok(Some((futures::stream::iter(page).map(Ok), next)))
        });
        pages.try_flatten().boxed()
    }

    async fn page(
        &self,
        prefix: &str,
        after: Option<&str>,
        token: Option<String>,
    ) -> anyhow::Result<(Vec<Listed>, Next)> {
        self.pace.take(1).await;
        // Without it, a key with a control character makes XML that cannot be read.
        let list = self.client.list_objects_v2().bucket(self.name()).encoding_type(EncodingType::Url);
        let list =
            list.prefix(prefix).set_start_after(after.map(str::to_owned)).set_continuation_token(token);
        let what = || format!("list `{prefix}` in bucket `{}`", self.name());
        let page = list.send().await.map_err(|error| explain(&error, &what()))?;
        let encoded = page.encoding_type() == Some(&EncodingType::Url);
        let mut listed = Vec::with_capacity(page.contents().len());
        for object in page.contents() {
            let key = object.key().unwrap_or_default();
            listed.push(Listed {
                key: if encoded { decode(key)? } else { key.to_owned() },
                etag: object.e_tag().unwrap_or_default().to_owned(),
                modified: object.last_modified().and_then(time).unwrap_or(Timestamp::MAX),
                size_bytes: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            });
        }
        let next = page.next_continuation_token().filter(|_| page.is_truncated() == Some(true));
        Ok((listed, next.map_or(Next::End, |token| Next::At(token.to_owned()))))
    }

    /// What is there of one revision.
    pub async fn made_of(&self, source: &SourceKey, revision: &Revision) -> anyhow::Result<Vec<Listed>> {
        let prefix = source.revision_prefix(revision);
        // Below the folder of `raw/a` may be that of `raw/a/b`.
        let ours = |listed: &Listed| is_made_of(&listed.key, source);
        self.list(&prefix, None).try_filter(|listed| std::future::ready(ours(listed))).try_collect().await
    }

    /// The source as it is now.
    pub async fn source(&self, source: &SourceKey) -> anyhow::Result<Option<SourceHead>> {
        self.pace.take(1).await;
        self.store.head_source(source).await.map_err(|error| of_store(&error))
    }

    /// The manifest of a source as it is now.
    pub async fn manifest(&self, source: &SourceKey) -> anyhow::Result<Option<Standing>> {
        self.pace.take(1).await;
        self.store.manifest(&source.manifest()).await.map_err(|error| of_store(&error))
    }

    /// Whether there is such an object.
    pub async fn has(&self, key: &str) -> anyhow::Result<bool> {
        self.pace.take(1).await;
        match self.client.head_object().bucket(self.name()).key(key).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(false),
            Err(error) => Err(explain(&error, &format!("look at {key}"))),
        }
    }

    /// Deletes renditions; those that are gone already count as deleted.
    pub async fn delete(&self, renditions: &[RenditionKey]) -> anyhow::Result<()> {
        self.pace.take(renditions.len()).await;
        self.store.delete(renditions).await.map_err(|error| of_store(&error))
    }
}

/// Whether it is the key of a rendition of this source.
pub fn is_made_of(key: &str, source: &SourceKey) -> bool {
    RenditionKey::parse(key).and_then(|key| key.source()).as_ref() == Ok(source)
}

/// Where a listing goes on.
enum Next {
    First,
    At(String),
    End,
}

fn decode(key: &str) -> anyhow::Result<String> {
    notification::decode_key(key)
        .with_context(|| format!("a listing has the key `{key}`, which is not UTF-8"))
}

fn time(told: &DateTime) -> Option<Timestamp> {
    Timestamp::new(told.secs(), i32::try_from(told.subsec_nanos()).ok()?).ok()
}

/// Reads the time off a response.
#[derive(Debug, Clone, Default)]
struct Clock(Arc<Mutex<Option<Timestamp>>>);

impl Clock {
    fn time(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "darkroom clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let time = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = time;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_keys_are_decoded_once() {
        for (encoded, key) in [
            ("raw/a+b%2Bc.jpg", "raw/a b+c.jpg"),
            ("raw/%C3%A9%01%252B", "raw/é\u{1}%2B"),
            ("raw/a", "raw/a"),
        ] {
            assert_eq!(decode(encoded).unwrap(), key);
        }
        assert!(decode("raw/%FF").is_err());
    }
}
