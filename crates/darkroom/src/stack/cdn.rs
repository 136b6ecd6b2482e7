//! In place of CloudFront: serves what the worker publishes, renditions and manifests, and nothing else;
//! `deploy/cdn.js` chooses the format where a path names none. A source is never found here, whatever the URL.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use axum::response::IntoResponse;
use contract::{Format, ManifestKey, Recipe, RenditionKey};
use percent_encoding::percent_decode_str;
use tower_http::cors::{Any, CorsLayer};

use super::cdn_function::{CdnFunction, FunctionError};
use crate::local::Objects;
use crate::local::objects::Object;

#[derive(Clone)]
struct Cdn {
    objects: Objects,
    function: CdnFunction,
}

pub fn router(objects: Objects, recipe: &Recipe) -> Router {
    let cors = CorsLayer::new().allow_origin(Any).allow_methods([Method::GET, Method::HEAD]);
    Router::new().fallback(serve).with_state(Cdn { objects, function: CdnFunction::new(recipe) }).layer(cors)
}

async fn serve(State(cdn): State<Cdn>, request: Request) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let path = request.uri().path();
    if names_a_file(path) {
        return serve_file(&cdn.objects, path, request.headers()).await;
    }
    match through_function(&cdn, path, request.headers()).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, path, "the CDN's function failed");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// Such a path goes by the function, as the distribution's cache behaviours in template.yaml have it.
fn names_a_file(path: &str) -> bool {
    let extension = path.rsplit_once('.').map(|(_, extension)| extension);
    extension.and_then(Format::from_extension).is_some() || path.ends_with("/manifest.json")
}

async fn through_function(
    cdn: &Cdn,
    path: &str,
    headers: &HeaderMap,
) -> Result<Response<Body>, FunctionError> {
    let mut response = serve_file(&cdn.objects, &cdn.function.on_request(path, headers)?, headers).await;
    *response.headers_mut() = cdn.function.on_response(path, response.headers())?;
    Ok(response)
}

async fn serve_file(objects: &Objects, path: &str, headers: &HeaderMap) -> Response<Body> {
    let Some(key) = published_key(path) else { return not_found() };
    match objects.get(&key).await {
        Ok(Some(object)) => answer(headers, object),
        Ok(None) => not_found(),
        Err(error) => {
            tracing::error!(%error, key, "the CDN could not read an object");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The key in a URL's path, if it is one that the worker writes.
fn published_key(path: &str) -> Option<String> {
    let key = percent_decode_str(path.strip_prefix('/')?).decode_utf8().ok()?.into_owned();
    (RenditionKey::parse(key.as_str()).is_ok() || ManifestKey::parse(&key).is_ok()).then_some(key)
}

fn not_found() -> Response<Body> {
    (StatusCode::NOT_FOUND, [(CACHE_CONTROL, "no-store")], "not found\n").into_response()
}

fn answer(request: &HeaderMap, object: Object) -> Response<Body> {
    let meta = object.meta.clone();
    let known = request.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = Response::builder()
        .header(ETAG, &meta.etag)
        .header(CONTENT_TYPE, &meta.headers.content_type)
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
    if let Some(caching) = &meta.headers.cache_control {
        response = response.header(CACHE_CONTROL, caching);
    }
    let unchanged = known.is_some_and(|list| list.split(',').any(|known| known.trim() == meta.etag));
    let response = if unchanged {
        response.status(StatusCode::NOT_MODIFIED).body(Body::empty())
    } else {
        match object.stream() {
            Ok(stream) => response.header(CONTENT_LENGTH, meta.size).body(Body::from_stream(stream)),
            Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    };
    response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_worker_writes_has_a_published_key() {
        for path in [
            "/processed/a/u.jpg/3f9a0c12be77/w640.webp",
            "/articles/a/processed/u.jpg/3f9a0c12be77/w640.webp",
            "/processed/a/u%20v.jpg/manifest.json",
        ] {
            assert!(published_key(path).is_some(), "{path}");
        }
        for path in [
            "/",
            "/raw/a/u.jpg",
            "/raw%2Fa%2Fu.jpg",
            "/processed/../raw/a/u.jpg",
            "/processed/x/../../raw/u.jpg/manifest.json",
            "/processed/a/u.jpg",
            "/raw/processed/u.jpg/manifest.json",
            "//processed/u.jpg/manifest.json",
        ] {
            assert_eq!(published_key(path), None, "{path}");
        }
    }
}
