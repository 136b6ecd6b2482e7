//! In place of API Gateway: verifies the token, writes the request as the HTTP API's event, hands it
//! to presign's real handler and the answer back to the browser. Never answers for the function.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::Uri;
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, RETRY_AFTER,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use presign::Presign;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use crate::stack::tokens::Tokens;

/// API Gateway's own limit on a request.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
const MAX_REQUEST_BYTES: usize = 10 * 1024 * 1024;

struct Gateway {
    presign: Presign,
    tokens: Arc<Tokens>,
}

/// `dev`: what this port serves beside the API, to this machine alone.
pub fn router(presign: Presign, tokens: Arc<Tokens>, dev: Router) -> Router {
    let gateway = Arc::new(Gateway { presign, tokens });
    // Front ends under development on this machine, whatever their port; no other site may ask here.
    let ours = AllowOrigin::predicate(|origin, _| origin.to_str().is_ok_and(is_on_this_machine));
    let cors = CorsLayer::new().allow_origin(ours).allow_methods(Any).expose_headers([ETAG, RETRY_AFTER]);
    // Not `*`: to browsers that never means `Authorization`. <https://fetch.spec.whatwg.org/#cors-non-wildcard-request-header-name>
    let cors = cors.allow_headers([AUTHORIZATION, CONTENT_TYPE, IF_NONE_MATCH]);
    Router::new()
        .route("/dev/token", get(token))
        .fallback(call)
        .with_state(gateway)
        .merge(dev)
        .layer(cors)
        .layer(axum::middleware::from_fn(only_by_our_names))
}

#[derive(Deserialize)]
struct TokenQuery {
    #[serde(default = "anyone")]
    sub: String,
}

fn anyone() -> String {
    "dev".to_owned()
}

async fn token(State(gateway): State<Arc<Gateway>>, Query(query): Query<TokenQuery>) -> Response<Body> {
    match gateway.tokens.issue(&query.sub) {
        Ok(token) => answer(StatusCode::OK, &json!({ "token": token })),
        Err(error) => message(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// Refuses names that only resolve to this machine: a site elsewhere could point its own name here.
async fn only_by_our_names(request: Request, next: Next) -> Response<Body> {
    if host_is_ours(request.headers()) {
        next.run(request).await
    } else {
        message(StatusCode::FORBIDDEN, "Forbidden")
    }
}

async fn call(State(gateway): State<Arc<Gateway>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_REQUEST_BYTES).await else {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Too Long");
    };
    let claims = bearer(&parts.headers).and_then(|token| gateway.tokens.claims(token));
    let event = event(&parts, &body, claims);
    match lambda_http::request::from_str(&event.to_string()) {
        Ok(request) => to_browser(gateway.presign.handle(request).await),
        Err(error) => {
            tracing::error!(%error, "the event for presign could not be made");
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
    }
}

fn host_is_ours(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(|host| is_on_this_machine(&format!("http://{host}")))
}

/// Whether a URL's host is the loopback interface by one of its own names, and its port a number.
fn is_on_this_machine(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let Some(authority) = uri.authority() else { return false };
    let (host, port) =
        (authority.host(), authority.port_u16().map(|port| format!(":{port}")).unwrap_or_default());
    matches!(host, "127.0.0.1" | "localhost" | "[::1]") && authority.as_str() == format!("{host}{port}")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

/// The HTTP API's payload, format 2.0. Without a valid token there is no authorizer, and the function
/// answers 401 in its own words (API Gateway would answer before it).
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
pub(crate) fn event(parts: &Parts, body: &[u8], claims: Option<Map<String, Value>>) -> Value {
    let path = parts.uri.path();
    let method = parts.method.as_str();
    let now = jiff::Timestamp::now();
    let text = std::str::from_utf8(body);
    let mut context = json!({
        "accountId": "000000000000", "apiId": "local", "stage": "$default", "requestId": uuid::Uuid::now_v7(),
        "routeKey": "$default", "domainName": "127.0.0.1", "timeEpoch": now.as_millisecond(),
        "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": ""},
    });
    if let Some(claims) = claims {
        context["authorizer"] = json!({"jwt": {"claims": as_texts(claims), "scopes": null}});
    }
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path,
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "headers": headers(&parts.headers),
        "requestContext": context,
        "body": text.map_or_else(|_| STANDARD.encode(body), str::to_owned),
        "isBase64Encoded": text.is_err(),
    })
}

/// API Gateway hands claims on as text, whatever they were.
fn as_texts(claims: Map<String, Value>) -> Map<String, Value> {
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    claims.into_iter().map(|(name, value)| (name, Value::String(text(value)))).collect()
}

fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut map = Map::new();
    for name in headers.keys() {
        let values: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        map.insert(name.as_str().to_owned(), values.join(",").into());
    }
    map.insert("x-forwarded-proto".to_owned(), "http".into());
    map
}

fn to_browser(answer: lambda_http::Response<lambda_http::Body>) -> Response<Body> {
    let (parts, body) = answer.into_parts();
    Response::from_parts(parts, Body::from(body.to_vec()))
}

fn message(status: StatusCode, text: &str) -> Response<Body> {
    answer(status, &json!({ "message": text }))
}

fn answer(status: StatusCode, json: &Value) -> Response<Body> {
    (status, [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], json.to_string())
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machines_own_names_are_ours() {
        for url in ["http://127.0.0.1:8787", "http://localhost:5173", "http://localhost", "http://[::1]:8787"]
        {
            assert!(is_on_this_machine(url), "{url}");
        }
        for url in [
            "null",
            "https://evil.example",
            "http://127.0.0.1.evil.example:8787",
            "http://127.0.0.1:99999",
            "http://user@127.0.0.1:8787",
            "http://a b",
            "http://",
        ] {
            assert!(!is_on_this_machine(url), "{url}");
        }
    }
}
