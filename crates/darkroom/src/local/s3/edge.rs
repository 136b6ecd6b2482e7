//! What S3 does at its edge and s3s does not: presigned requests with headers that nobody signed, and
//! the answers to form uploads.
//!
//! Looks at headers and status codes only; a body that is on its way in is never touched.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use s3s::S3ErrorCode;

/// The longest that a presigned URL may be valid, s.
const MAX_EXPIRES_SECS: u64 = 7 * 24 * 3600;

/// The longest error text that is looked into, bytes.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// What a form upload has made; the API leaves it with the response.
#[derive(Debug, Clone)]
pub(super) struct Posted {
    pub(super) location: HeaderValue,
    pub(super) bucket: String,
    pub(super) key: String,
    /// With its quotes.
    pub(super) etag: String,
}

pub(super) fn is_form(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    request.method() == Method::POST
        && content_type.is_some_and(|value| value.to_ascii_lowercase().starts_with("multipart/form-data"))
}

/// Refuses a presigned request that sends `x-amz-*` headers beyond those signed, or that asks for more
/// than seven days, as S3 does and s3s does not. All other headers may be sent unsigned.
pub(super) async fn guard_presigned(request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    if parameter(query, "X-Amz-Signature").is_none() {
        return next.run(request).await;
    }
    let expires = parameter(query, "X-Amz-Expires").and_then(|secs| secs.parse::<u64>().ok());
    if expires.is_some_and(|secs| secs > MAX_EXPIRES_SECS) {
        return too_long();
    }
    let signed = parameter(query, "X-Amz-SignedHeaders").unwrap_or_default();
    let unsigned = unsigned_headers(&signed, request.headers());
    if unsigned.is_empty() { next.run(request).await } else { not_signed(&unsigned) }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(found, _)| *found == name)?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

fn unsigned_headers<'a>(signed: &str, headers: &'a HeaderMap) -> Vec<&'a str> {
    let names = headers.keys().map(HeaderName::as_str);
    names.filter(|name| name.starts_with("x-amz-") && !signed.split(';').any(|it| it == *name)).collect()
}

fn not_signed(names: &[&str]) -> Response {
    let detail = format!("<HeadersNotSigned>{}</HeadersNotSigned>", escaped(&names.join(", ")));
    let message = "There were headers present in the request which were not signed";
    error(StatusCode::FORBIDDEN, "AccessDenied", message, &detail)
}

fn too_long() -> Response {
    let message = "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires \
                   must be less than 604800 seconds";
    error(StatusCode::BAD_REQUEST, S3ErrorCode::AuthorizationQueryParametersError.as_str(), message, "")
}

/// Where a form upload ended with 201, the XML that S3 answers with (s3s has no host in `Location` and
/// no quotes in `ETag`); where its policy refused it, S3's status and code.
pub(super) async fn answer_forms(request: Request, next: Next) -> Response {
    let is_form = is_form(&request);
    let response = next.run(request).await;
    match response.status() {
        StatusCode::CREATED if is_form => created(response),
        StatusCode::BAD_REQUEST if is_form => refused(response).await,
        _ => response,
    }
}

fn created(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Some(posted) = parts.extensions.remove::<Posted>() else {
        return Response::from_parts(parts, body);
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse><Location>{}</Location><Bucket>{}</Bucket>\
         <Key>{}</Key><ETag>{}</ETag></PostResponse>",
        escaped(posted.location.to_str().unwrap_or_default()),
        escaped(&posted.bucket),
        escaped(&posted.key),
        escaped(&posted.etag),
    );
    Response::from_parts(parts, Body::from(xml))
}

async fn refused(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(text) = axum::body::to_bytes(body, MAX_ERROR_BYTES).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    // The only way to tell a policy that refuses from one that cannot be read.
    let failed = String::from_utf8_lossy(&text).contains("<Message>Policy condition ");
    if !failed {
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::from(text));
    }
    let message = "Invalid according to Policy: Policy Condition failed";
    error(StatusCode::FORBIDDEN, "AccessDenied", message, "")
}

fn error(status: StatusCode, code: &str, message: &str, detail: &str) -> Response {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
         {detail}</Error>"
    );
    (status, [(header::CONTENT_TYPE, "application/xml")], xml).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
