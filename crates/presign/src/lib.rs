//! The presign function: who asks, what may be uploaded, and what became of it. Owns the HTTP API's
//! decisions; main.rs only wires it. Never touches pixels, and never imports imaging or the worker.

mod caller;
pub mod config;
mod objects;
mod problem;
mod route;
mod status;
mod upload_url;

use std::time::Instant;

use lambda_http::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use lambda_http::http::{Response, StatusCode};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt, tracing};

pub use config::Config;
use objects::Objects;
use problem::Problem;
use route::Route;

/// The presign function, less the Lambda runtime around it.
pub struct Presign {
    config: Config,
    objects: Objects,
}

impl Presign {
    pub fn new(config: Config, client: aws_sdk_s3::Client) -> Self {
        let objects = Objects::new(client, config.bucket.clone());
        Self { config, objects }
    }

    /// Answers any request: what is wrong with it is an answer too.
    pub async fn handle(&self, request: Request) -> Response<Body> {
        let started = Instant::now();
        let route = route::find(request.method(), client_path(&request));
        let answer = match self.answer(&request, route.as_ref()).await {
            Ok(answer) => answer,
            Err(problem) => Answer::from(problem),
        };
        let elapsed_ms = started.elapsed().as_millis() as u64;
        let route = route.as_ref().map_or("none", Route::name);
        // Neither the URL nor a header is logged: both can hold secrets.
        tracing::info!(route, status = answer.status.as_u16(), code = answer.code, elapsed_ms, "answered");
        answer.into_response()
    }

    async fn answer(&self, request: &Request, route: Option<&Route>) -> Result<Answer, Problem> {
        let route = route.ok_or_else(Problem::no_such_route)?;
        let sub = caller::sub(request).ok_or_else(Problem::unauthorized)?;
        match route {
            Route::UploadUrl { base } => {
                upload_url::issue(&self.config, &self.objects, request, base, &sub).await
            }
            Route::Upload { key } => status::tell(&self.config, &self.objects, request, key, &sub).await,
        }
    }
}

/// The path as the client sent it, with the stage or base path that a gateway's address has and without
/// one that it has not: the URI that lambda_http makes always has the stage.
fn client_path(request: &Request) -> &str {
    match request.request_context_ref() {
        // A REST API's raw path lacks the stage; its context has the whole.
        Some(RequestContext::ApiGatewayV1(context)) if context.path.is_some() => {
            context.path.as_deref().unwrap_or_default()
        }
        _ => request.raw_http_path(),
    }
}

/// An HTTP answer before it has become one.
struct Answer {
    status: StatusCode,
    content_type: &'static str,
    headers: Vec<(HeaderName, String)>,
    body: Vec<u8>,
    /// A problem's code, for the log.
    code: &'static str,
}

impl Answer {
    fn json(status: StatusCode, value: &impl serde::Serialize) -> Self {
        // Plain structs with string keys: there is nothing here that JSON cannot say.
        let body = serde_json::to_vec(value).unwrap_or_default();
        Self { status, content_type: "application/json", headers: Vec::new(), body, code: "" }
    }

    fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn into_response(self) -> Response<Body> {
        let mut response = Response::builder().status(self.status);
        if !self.body.is_empty() {
            response = response.header(CONTENT_TYPE, self.content_type);
        }
        if !self.headers.iter().any(|(name, _)| name == CACHE_CONTROL) {
            response = response.header(CACHE_CONTROL, "no-store");
        }
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let text = String::from_utf8(self.body).unwrap_or_default();
        response.body(Body::Text(text)).unwrap_or_else(|_| {
            let mut broken = Response::new(Body::Empty);
            *broken.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            broken
        })
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        let code = problem.code;
        let answer = Self::json(problem.status, &problem.document());
        Self { content_type: "application/problem+json", code, ..answer }
    }
}
