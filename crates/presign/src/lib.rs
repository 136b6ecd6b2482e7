//! The presign function: who asks, what may be uploaded, and what became of it. Owns the HTTP API's
//! decisions; serve.rs only wires it. Never touches pixels, and never imports imaging or the worker.

mod caller;
pub mod config;
mod keys;
mod objects;
mod origins;
mod policy;
mod problem;
mod route;
mod secret;
mod serve;
mod signer;
mod source;
mod status;
mod token;
mod upload_url;

use std::convert::Infallible;
use std::time::Instant;

use aws_sdk_s3::config::SharedCredentialsProvider;
use jiff::Timestamp;
use lambda_http::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use lambda_http::http::{Response, StatusCode};
use lambda_http::request::RequestContext;
use lambda_http::tower::{Layer, ServiceExt};
use lambda_http::tracing::Instrument;
use lambda_http::{Body, Request, RequestExt, service_fn, tracing};
use telemetry::{Metrics, Unit, trace_id};
use tower_http::cors::CorsLayer;

pub use config::Config;
use objects::Objects;
pub use origins::Origins;
use problem::Problem;
use route::{NoRoute, Route};
pub use serve::serve;
pub use token::Rules;
use token::Verifier;

/// The presign function, less the Lambda runtime around it.
pub struct Presign {
    config: Config,
    objects: Objects,
    verifier: Option<Verifier>,
    cors: Option<CorsLayer>,
}

impl Presign {
    /// `credentials` sign what browsers get; the client's own are for its calls.
    pub fn new(config: Config, client: aws_sdk_s3::Client, credentials: SharedCredentialsProvider) -> Self {
        if config.allow_anonymous {
            tracing::warn!("ALLOW_ANONYMOUS is set: anyone may upload without a token");
        }
        let objects = Objects::new(client, credentials, config.bucket.clone());
        let verifier = config.tokens.clone().map(Verifier::new);
        let cors = config.allowed_origins.as_ref().map(Origins::layer);
        Self { config, objects, verifier, cors }
    }

    /// Answers any request: what is wrong with it is an answer too.
    pub async fn handle(&self, request: Request) -> Response<Body> {
        let Some(cors) = &self.cors else { return self.handle_call(request).await };
        let inner = service_fn(async |request| Ok::<_, Infallible>(self.handle_call(request).await));
        match cors.layer(inner).oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    async fn handle_call(&self, request: Request) -> Response<Body> {
        let started = Instant::now();
        let origin = Origin::of(&request);
        let route = route::find(request.method(), client_path(&request));
        let answer = match self.answer(&request, &route).instrument(origin.span()).await {
            Ok(answer) => answer,
            Err(problem) => Answer::from(problem),
        };
        let elapsed_ms = started.elapsed().as_secs_f64() * 1000.0;
        self.report(&origin, route.as_ref().map_or("none", Route::name), &answer, elapsed_ms);
        answer.into_response()
    }

    async fn answer(&self, request: &Request, route: &Result<Route, NoRoute>) -> Result<Answer, Problem> {
        let route = route.as_ref().map_err(|no_route| match no_route {
            NoRoute::NoSuchPath => Problem::no_such_route(),
            NoRoute::OnlyBy(methods) => Problem::method_not_allowed(methods),
        })?;
        let Self { config, objects, verifier, .. } = self;
        let caller = caller::identify(request, verifier.as_ref(), config.allow_anonymous).await?;
        match route {
            Route::UploadUrl { base } => {
                upload_url::issue(config, objects, request, base, caller.owner()).await
            }
            Route::Status { key } => status::tell(config, objects, request, key, &caller).await,
            Route::Delete { key } => source::delete(config, objects, key, &caller).await,
            Route::DownloadUrl => source::download(config, objects, request, &caller).await,
        }
    }

    /// One line a request, for people and for CloudWatch's counters. Neither the URL nor a header is in it:
    /// both can hold secrets.
    fn report(&self, origin: &Origin, route: &str, answer: &Answer, elapsed_ms: f64) {
        let service = ("Service", self.config.service.as_str());
        let now_ms = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
        let line = Metrics::new(now_ms)
            .property("requestId", origin.request_id.as_deref())
            .property("xrayTraceId", origin.trace_id.as_deref())
            .property("status", answer.status.as_u16())
            .metric_apart(&[service], &[("Route", route)], "HandlerTime", Unit::Milliseconds, elapsed_ms);
        let line = match answer.counted {
            Counted::Nothing => line,
            Counted::Issued { method, content_type } => {
                let apart = [("Method", method), ("Type", content_type)];
                line.metric_apart(&[service], &apart, "UrlsIssued", Unit::Count, 1)
            }
            Counted::Refused { code } => {
                line.metric_apart(&[service], &[("Code", code)], "Refusals", Unit::Count, 1)
            }
        };
        line.emit();
    }
}

/// Which request this is, and of which trace, as Lambda has it.
struct Origin {
    request_id: Option<String>,
    trace_id: Option<String>,
}

impl Origin {
    fn of(request: &Request) -> Self {
        let context = request.lambda_context_ref();
        Self {
            request_id: context.map(|context| context.request_id.clone()),
            trace_id: context.and_then(|context| context.xray_trace_id.as_deref()).and_then(trace_id),
        }
    }

    /// Every line of the log says whose it is.
    fn span(&self) -> tracing::Span {
        let Self { request_id, trace_id } = self;
        tracing::info_span!("request", requestId = request_id, xrayTraceId = trace_id)
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
    counted: Counted,
}

/// What an answer adds to the counters, besides its time.
#[derive(Clone, Copy)]
enum Counted {
    Nothing,
    Issued { method: &'static str, content_type: &'static str },
    Refused { code: &'static str },
}

impl Answer {
    fn json(status: StatusCode, value: &impl serde::Serialize) -> Self {
        // Plain structs with string keys: there is nothing here that JSON cannot say.
        let body = serde_json::to_vec(value).unwrap_or_default();
        Self {
            status,
            content_type: "application/json",
            headers: Vec::new(),
            body,
            counted: Counted::Nothing,
        }
    }

    fn empty(status: StatusCode) -> Self {
        let (headers, body) = (Vec::new(), Vec::new());
        Self { status, content_type: "", headers, body, counted: Counted::Nothing }
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
        let counted = Counted::Refused { code: problem.code };
        let header = problem.header.map(|(name, value)| (HeaderName::from_static(name), value.to_owned()));
        let headers = header.into_iter().collect();
        let answer = Self::json(problem.status, &problem.document());
        Self { content_type: "application/problem+json", headers, counted, ..answer }
    }
}
