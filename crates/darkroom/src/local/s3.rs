//! The S3 API over [`Objects`]: the service, its credentials, its CORS rule and what guards it.
//!
//! Path-style addressing, one bucket, one access key. It behaves as S3 does for what browsers and SDKs
//! do with presigned URLs, never stricter and never laxer: what passes here passes when deployed.

mod api;
mod checksums;
mod edge;
mod requests;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use s3s::auth::{S3Auth, SecretKey};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3ErrorCode, S3Result};
use tower::ServiceExt;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::Objects;
pub use requests::{Requested, Requests};

/// How far a request's own time may be from ours, s, as S3 has it.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html>
const MAX_SKEW_SECS: u32 = 15 * 60;

/// S3 looks at a form's expiration only, not at its date; a signing key is good for seven days.
const MAX_FORM_AGE_SECS: u32 = 7 * 24 * 3600;

/// How long a browser keeps the answer to a preflight, s.
const CORS_MAX_AGE: std::time::Duration = std::time::Duration::from_secs(3000);

/// The one key pair that requests are signed with.
#[derive(Clone)]
pub struct Credentials {
    pub access_key: String,
    pub secret_key: String,
}

/// The bucket's CORS rule: whose pages may use it.
#[derive(Debug, Clone, Default)]
pub enum Origins {
    #[default]
    Any,
    /// Each as a browser sends it, `https://example.org`.
    Only(Vec<HeaderValue>),
}

/// The endpoint, to be served at the root of a listener; pages of any origin may use it.
pub fn router(objects: Objects, credentials: &Credentials) -> Router {
    router_for(objects, credentials, Origins::Any)
}

/// [`router`] for pages of these origins.
pub fn router_for(objects: Objects, credentials: &Credentials, origins: Origins) -> Router {
    let services = Services {
        forms: service(&objects, credentials, MAX_FORM_AGE_SECS),
        others: service(&objects, credentials, MAX_SKEW_SECS),
    };
    Router::new()
        .fallback(serve)
        .with_state(services)
        .layer(from_fn(edge::guard_presigned))
        .layer(from_fn(edge::answer_forms))
        .layer(cors(origins))
}

/// Two services, since s3s has one limit for what S3 judges differently.
#[derive(Clone)]
struct Services {
    forms: S3Service,
    others: S3Service,
}

fn service(objects: &Objects, credentials: &Credentials, max_skew_secs: u32) -> S3Service {
    let mut config = S3Config::default();
    config.presigned_url_max_skew_time_secs = max_skew_secs;
    let mut builder = S3ServiceBuilder::new(api::Api::new(objects.clone()));
    builder.set_auth(OneKey(credentials.clone()));
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    builder.build()
}

async fn serve(State(services): State<Services>, request: Request) -> Response {
    let service = if edge::is_form(&request) { services.forms } else { services.others };
    match service.oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            tracing::error!(error = ?error, "the local S3 failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// As a bucket's CORS rule with these methods, any header, and what a page may read of an answer.
fn cors(origins: Origins) -> CorsLayer {
    let origins = match origins {
        Origins::Any => AllowOrigin::any(),
        Origins::Only(origins) => AllowOrigin::list(origins),
    };
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::PUT, Method::POST, Method::HEAD])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::ETAG, header::LOCATION, HeaderName::from_static("x-amz-version-id")])
        .max_age(CORS_MAX_AGE)
}

/// s3s has one of its own, with another code for an unknown key than S3's.
struct OneKey(Credentials);

#[async_trait::async_trait]
impl S3Auth for OneKey {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.0.access_key {
            return Ok(SecretKey::from(self.0.secret_key.as_str()));
        }
        Err(S3ErrorCode::InvalidAccessKeyId.into())
    }
}

#[cfg(test)]
mod tests;
