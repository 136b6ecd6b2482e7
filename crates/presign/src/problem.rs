//! What is wrong with a request, as RFC 9457 has it: a stable code for programs, a sentence for
//! people, and the field and limit where there is one. Never tells of our own insides.

use std::error::Error;

use lambda_http::http::StatusCode;
use lambda_http::tracing;
use serde::Serialize;

#[derive(Debug)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    detail: String,
    field: Option<String>,
    limit: Option<u64>,
    /// What else the answer must say, by HTTP's rules; the name in small letters.
    pub header: Option<(&'static str, &'static str)>,
}

#[derive(Serialize)]
pub struct Document {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), field: None, limit: None, header: None }
    }

    pub fn unauthorized(detail: &str) -> Self {
        let problem = Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
        Self { header: Some(("www-authenticate", "Bearer")), ..problem }
    }

    /// `allowed` as the header of that name has it.
    pub fn method_not_allowed(allowed: &'static str) -> Self {
        let detail = format!("This call is made with {allowed}.");
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
        Self { header: Some(("allow", allowed)), ..problem }
    }

    /// S3 asks for a pause.
    pub fn too_many_requests() -> Self {
        let detail = "There are more requests than can be answered. Try again in a few seconds.";
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail);
        Self { header: Some(("retry-after", "5")), ..problem }
    }

    /// This deployment cannot do it, for a `reason` that is told in the log.
    pub fn unusable(reason: &str) -> Self {
        tracing::error!("{reason}");
        Self::internal()
    }

    /// Something of ours failed at `what`: told in the log in full, in the answer not at all.
    pub fn failed(what: &str, error: impl Error) -> Self {
        tracing::error!(error = telemetry::chain(&error), "could not {what}");
        Self::internal()
    }

    pub fn no_such_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such call.")
    }

    /// The same whether the upload is another's or never was.
    pub fn no_such_upload() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such upload of yours.")
    }

    pub fn invalid_json(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_json", detail)
    }

    pub fn unknown_field(name: &str, known: &[&str]) -> Self {
        let detail = format!("There is no field `{name}`; there are {}.", known.join(", "));
        Self { field: Some(name.to_owned()), ..Self::new(StatusCode::BAD_REQUEST, "unknown_field", detail) }
    }

    pub fn invalid_field(name: &str, rule: impl std::fmt::Display) -> Self {
        let detail = format!("`{name}` must be {rule}.");
        Self { field: Some(name.to_owned()), ..Self::new(StatusCode::BAD_REQUEST, "invalid_field", detail) }
    }

    pub fn too_large(field: Option<&str>, what: &str, found: u64, limit: u64) -> Self {
        let detail = format!("{what} has {found} bytes; at most {limit} are accepted.");
        let problem = Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail);
        Self { field: field.map(str::to_owned), limit: Some(limit), ..problem }
    }

    pub fn unsupported_type(field: &str, accepted: &str) -> Self {
        let detail = format!("This type of file is not accepted; accepted are {accepted}.");
        let problem = Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type", detail);
        Self { field: Some(field.to_owned()), ..problem }
    }

    /// Our fault. The cause is in the log, never in the answer.
    pub fn internal() -> Self {
        let detail = "This failed through no fault of the request. Try again in a moment.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", detail)
    }

    pub fn document(self) -> Document {
        Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            field: self.field,
            limit: self.limit,
        }
    }
}
