//! The page at `/` and what it needs to know about this stack. Files are part of the binary; no
//! request leaves this machine.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::routing::{MethodRouter, get};
use serde::Serialize;

/// What the page asks for first, at `/dev/config.json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    pub cdn: String,
    pub s3: String,
    pub bucket: &'static str,
    pub max_bytes: u64,
    pub accepted: [&'static str; contract::MediaType::ALL.len()],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Path, content type, text.
const FILES: [(&str, &str, &str); 12] = [
    ("/", HTML, include_str!("../../page/index.html")),
    ("/style.css", CSS, include_str!("../../page/style.css")),
    ("/app.js", JS, include_str!("../../page/app.js")),
    ("/api.js", JS, include_str!("../../page/api.js")),
    ("/detail.js", JS, include_str!("../../page/detail.js")),
    ("/dom.js", JS, include_str!("../../page/dom.js")),
    ("/intake.js", JS, include_str!("../../page/intake.js")),
    ("/picture.js", JS, include_str!("../../page/picture.js")),
    ("/thumbhash.js", JS, include_str!("../../page/thumbhash.js")),
    ("/tile.js", JS, include_str!("../../page/tile.js")),
    ("/upload.js", JS, include_str!("../../page/upload.js")),
    ("/words.js", JS, include_str!("../../page/words.js")),
];

pub fn router(config: &Config) -> Router {
    let Config { cdn, s3, .. } = config;
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data: {cdn}; \
         connect-src 'self' {s3} {cdn}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    // Plain strings and numbers: there is nothing here that JSON cannot say.
    let config = serde_json::to_string(config).unwrap_or_default();
    let router = Router::new().route("/dev/config.json", file("application/json", config, &policy));
    FILES.into_iter().fold(router, |router, (path, content_type, text)| {
        router.route(path, file(content_type, text.to_owned(), &policy))
    })
}

fn file(content_type: &'static str, text: String, policy: &str) -> MethodRouter {
    let headers = [
        (CONTENT_TYPE, content_type.to_owned()),
        (CACHE_CONTROL, "no-cache".to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (CONTENT_SECURITY_POLICY, policy.to_owned()),
    ];
    get(async move || (headers.clone(), text.clone()))
}
