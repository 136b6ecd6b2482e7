//! The page at `/`, the modules of `web/` that it is made of, and what they need to know about this stack. Files are
//! part of the binary; no request leaves this machine.

use std::borrow::Cow;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::routing::{MethodRouter, get};
use serde::Serialize;
use tower_http::compression::CompressionLayer;

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

/// A file of `web/`.
#[derive(Clone, Copy)]
struct File {
    /// Below `web/`, and of the URL.
    path: &'static str,
    text: &'static str,
}

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        [$(File { path: $path, text: include_str!(concat!("../../../../web/", $path)) }),*]
    };
}

const INDEX: &str = "page/index.html";
const FILES: [File; 20] = files![
    "page/index.html",
    "page/style.css",
    "page/announcer.js",
    "page/api.js",
    "page/app.js",
    "page/boot.js",
    "page/compare.js",
    "page/detail.js",
    "page/dom.js",
    "page/intake.js",
    "page/live.js",
    "page/metrics.js",
    "page/previews.js",
    "page/sets.js",
    "page/spark.js",
    "page/tile.js",
    "page/words.js",
    "picture.js",
    "thumbhash.js",
    "upload.js",
];

pub fn router(config: &Config) -> Router {
    let Config { cdn, s3, .. } = config;
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data: {cdn}; \
         connect-src 'self' {s3} {cdn}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    // Plain strings and numbers: there is nothing here that JSON cannot say.
    let config = serde_json::to_string(config).unwrap_or_default();
    let config = serve("application/json", &policy, move || config.clone().into());
    let router = Router::new().route("/dev/config.json", config);
    let router = FILES.into_iter().fold(router, |router, file| {
        let path = if file.path == INDEX { "/".to_owned() } else { format!("/{}", file.path) };
        router.route(&path, serve(file.content_type(), &policy, move || file.text()))
    });
    router.layer(CompressionLayer::new())
}

impl File {
    fn content_type(self) -> &'static str {
        match self.path.rsplit_once('.') {
            Some((_, "html")) => "text/html; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            _ => "text/javascript; charset=utf-8",
        }
    }

    /// While the page is being worked on, what is on the disk counts, and nothing needs to be built anew.
    fn text(self) -> Cow<'static, str> {
        let file =
            || std::fs::read_to_string(format!("{}/../../web/{}", env!("CARGO_MANIFEST_DIR"), self.path));
        let worked_on = cfg!(debug_assertions).then(file);
        worked_on.and_then(Result::ok).map_or(Cow::Borrowed(self.text), Cow::Owned)
    }
}

fn serve(
    content_type: &'static str,
    policy: &str,
    text: impl Fn() -> Cow<'static, str> + Clone + Send + Sync + 'static,
) -> MethodRouter {
    let headers = [
        (CONTENT_TYPE, content_type.to_owned()),
        (CACHE_CONTROL, "no-cache".to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (CONTENT_SECURITY_POLICY, policy.to_owned()),
    ];
    get(async move || (headers.clone(), text()))
}
