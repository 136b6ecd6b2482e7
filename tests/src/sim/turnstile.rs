//! Where every request of every client waits until the simulator lets it through, one at a time.
//!
//! The turnstile is the SDK's HTTP client: what a worker sends ends here, and what comes back is what the
//! simulator chose to give. So the order in which concurrent workers' requests take effect, and what becomes
//! of each, is the simulator's to choose. Never chooses by itself.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use axum::http::{HeaderValue, Method, Request, Response, header};
use bytes::Bytes;
use tokio::sync::oneshot;

pub type Answer = Result<Response<SdkBody>, ConnectorError>;

/// Who sends: an instance of the worker, or the operator. No two ever have the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller(pub u32);

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}", self.0)
    }
}

/// Cheap to clone; clones share the queue.
#[derive(Debug, Clone, Default)]
pub struct Turnstile(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    parked: Vec<Parked>,
    arrivals: u64,
    dead: BTreeSet<Caller>,
}

/// A request that waits, and whom to answer.
#[derive(Debug)]
pub struct Parked {
    pub caller: Caller,
    pub request: Request<Bytes>,
    arrival: u64,
    /// Absent where nobody waits for an answer any more.
    reply: Option<oneshot::Sender<Answer>>,
}

impl Parked {
    /// Whether nobody waits for the answer any more.
    pub fn is_forsaken(&self) -> bool {
        self.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Takes the means to answer; the request may still be let through.
    pub fn hang_up(&mut self) -> Option<oneshot::Sender<Answer>> {
        self.reply.take()
    }

    /// By which requests that wait are told apart, the same in every run: when two arrive at once, the order
    /// of arrival is not.
    fn order(&self) -> (Caller, &Method, &str, u64) {
        let target = self.request.uri().path_and_query().map_or("", |target| target.as_str());
        (self.caller, self.request.method(), target, self.arrival)
    }
}

impl Turnstile {
    /// The HTTP client of one caller.
    pub fn gate(&self, caller: Caller) -> Gate {
        Gate { turnstile: self.clone(), caller }
    }

    pub fn waiting(&self) -> usize {
        self.lock().parked.len()
    }

    /// Takes one of those that wait: `choose` sees whose they are, in the same order in every run, and says
    /// which.
    pub fn take(&self, choose: impl FnOnce(&[Caller]) -> usize) -> Option<Parked> {
        let mut waiting = self.lock();
        waiting.parked.sort_by(|one, other| one.order().cmp(&other.order()));
        let callers: Vec<Caller> = waiting.parked.iter().map(|parked| parked.caller).collect();
        (!callers.is_empty()).then(|| waiting.parked.remove(choose(&callers)))
    }

    /// Forgets those that nobody waits for any more.
    pub fn forget_forsaken(&self, which: impl Fn(&Request<Bytes>) -> bool) {
        self.lock().parked.retain(|parked| !(parked.is_forsaken() && which(&parked.request)));
    }

    /// Lets a request that was taken wait again.
    pub fn put_back(&self, parked: Parked) {
        self.lock().parked.push(parked);
    }

    /// A caller is gone: nothing that it waits for comes, and nothing that it still sends arrives. Returns
    /// what it had sent before.
    pub fn kill(&self, caller: Caller) -> Vec<Parked> {
        let mut waiting = self.lock();
        waiting.dead.insert(caller);
        let (gone, rest) = waiting.parked.drain(..).partition(|parked| parked.caller == caller);
        waiting.parked = rest;
        gone
    }

    fn park(&self, caller: Caller, request: Request<Bytes>) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        let mut waiting = self.lock();
        if !waiting.dead.contains(&caller) {
            waiting.arrivals += 1;
            let arrival = waiting.arrivals;
            waiting.parked.push(Parked { caller, request, arrival, reply: Some(reply) });
        }
        answer
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One caller's way to the turnstile.
#[derive(Debug, Clone)]
pub struct Gate {
    turnstile: Turnstile,
    caller: Caller,
}

impl HttpClient for Gate {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Gate {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            let request = whole(request).await?;
            match this.turnstile.park(this.caller, request).await {
                Ok(Ok(response)) => HttpResponse::try_from(response).map_err(unsendable),
                Ok(Err(error)) => Err(error),
                // Never answered, because the caller is gone or the answer is lost without a trace.
                Err(_) => std::future::pending().await,
            }
        })
    }
}

/// The request with its body at hand, and the header that an HTTP client adds.
async fn whole(request: HttpRequest) -> Result<Request<Bytes>, ConnectorError> {
    let (mut parts, body) = request.try_into_http1x().map_err(unsendable)?.into_parts();
    let body = ByteStream::new(body).collect().await.map_err(unsendable)?.into_bytes();
    let host = parts.uri.authority().map_or("", |authority| authority.as_str());
    let host = HeaderValue::try_from(host).map_err(unsendable)?;
    parts.headers.entry(header::HOST).or_insert(host);
    Ok(Request::from_parts(parts, body))
}

fn unsendable(error: impl std::error::Error + Send + Sync + 'static) -> ConnectorError {
    ConnectorError::other(error.into(), None)
}
