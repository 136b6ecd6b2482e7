//! What surrounds the workers: the local S3 and SQS of `darkroom dev`, and the users, who write and delete
//! sources past everything. Knows what ought to have become of each source.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use contract::Layout;
use darkroom::local::objects::{Condition, Headers, Put};
use darkroom::local::{self, Local, s3, sqs};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt;

use super::files::{Fate, File};
use super::instance::VISIBILITY;
use super::time::Time;

pub const BUCKET: &str = "uploads";
/// Of S3 and SQS alike.
pub const ENDPOINT: &str = "http://aws.simulator";
/// The only one: its name and its secret.
pub const KEY: &str = "simulator";

/// A defect of the store itself, to see that the simulator would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// `If-Match` and `If-None-Match` mean nothing to it.
    IgnoresConditions,
    /// It says that a rendition is stored, and it is not.
    LosesRenditions,
}

pub struct World {
    pub local: Local,
    s3: Router,
    sqs: Router,
    /// Long polls end when this is dropped.
    _stop: watch::Sender<bool>,
    mistake: Option<Mistake>,
    /// By key, oldest first.
    sources: BTreeMap<String, Vec<Change>>,
}

/// What a user did to a source.
#[derive(Debug, Clone)]
pub enum Change {
    Put { etag: String, fate: Fate },
    Deleted,
}

impl World {
    pub fn new(time: Time, max_receive_count: u32, mistake: Option<Mistake>) -> Result<Self, local::Error> {
        let local = Local::open(&local::Options {
            dir: None,
            bucket: BUCKET.to_owned(),
            layout: Layout::Flat,
            max_receive_count,
            clock: local::Clock::new(move || time.now_ms()),
        })?;
        let credentials = s3::Credentials { access_key: KEY.to_owned(), secret_key: KEY.to_owned() };
        let s3 = s3::router(local.objects.clone(), &credentials);
        let (stop, stopped) = watch::channel(false);
        let options = sqs::Options { url: ENDPOINT.to_owned(), visibility_timeout: VISIBILITY, stopped };
        let sqs = sqs::router(&local, options);
        Ok(Self { local, s3, sqs, _stop: stop, mistake, sources: BTreeMap::new() })
    }

    /// A user writes a source.
    pub async fn put(&mut self, key: &str, file: &File, declared: &str) -> Result<(), local::Error> {
        let headers = Headers { content_type: declared.to_owned(), ..Headers::default() };
        let put = Put { headers, ..Put::default() };
        let meta = self.local.objects.put(key, &file.bytes, put).await?;
        let change = Change::Put { etag: meta.etag, fate: file.fate(declared) };
        self.sources.entry(key.to_owned()).or_default().push(change);
        Ok(())
    }

    /// A user deletes a source; whether there was one.
    pub async fn delete(&mut self, key: &str) -> Result<bool, local::Error> {
        let found = self.local.objects.delete(key, Condition::Always).await?;
        if found {
            self.sources.entry(key.to_owned()).or_default().push(Change::Deleted);
        }
        Ok(found)
    }

    /// Everything that was ever done to each source.
    pub fn sources(&self) -> &BTreeMap<String, Vec<Change>> {
        &self.sources
    }

    /// Lets a request to S3 take effect.
    pub async fn serve_s3(&self, request: Request<Bytes>) -> Response<Bytes> {
        let written = written_key(&request);
        if self.mistake == Some(Mistake::LosesRenditions) && written.as_deref().is_some_and(is_rendition) {
            return Response::default();
        }
        let body = request.body().clone();
        let answer = serve(&self.s3, request).await;
        if self.mistake == Some(Mistake::IgnoresConditions)
            && answer.status() == StatusCode::PRECONDITION_FAILED
            && let Some(key) = written
            && let Ok(meta) = self.local.objects.put(&key, &body, Put::default()).await
        {
            let etag = HeaderValue::try_from(meta.etag).into_iter().map(|etag| (header::ETAG, etag));
            let mut answer = Response::default();
            answer.headers_mut().extend(etag);
            return answer;
        }
        answer
    }

    /// Lets a request to SQS take effect. It never waits for a message: time would pass for all others too.
    pub async fn serve_sqs(&self, request: Request<Bytes>) -> Response<Bytes> {
        let request = request.map(|body| match serde_json::from_slice::<Value>(&body) {
            Ok(mut asked) if asked["WaitTimeSeconds"].is_number() => {
                asked["WaitTimeSeconds"] = 0.into();
                asked.to_string().into()
            }
            _ => body,
        });
        serve(&self.sqs, request).await
    }
}

async fn serve(router: &Router, request: Request<Bytes>) -> Response<Bytes> {
    // A router's error is never.
    let response = router.clone().oneshot(request.map(Body::from)).await.unwrap_or_default();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    Response::from_parts(parts, body)
}

/// The key that a PUT writes.
fn written_key(request: &Request<Bytes>) -> Option<String> {
    let path = percent_decode_str(request.uri().path()).decode_utf8().ok()?;
    let key = path.strip_prefix('/')?.strip_prefix(BUCKET)?.strip_prefix('/')?;
    (request.method() == Method::PUT).then(|| key.to_owned())
}

fn is_rendition(key: &str) -> bool {
    !key.ends_with("/manifest.json")
}
