//! How many requests S3 was asked, by what AWS takes money for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

/// Cheap to clone; all clones count together.
#[derive(Debug, Clone, Default)]
pub struct Requests(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    writes: AtomicU64,
    reads: AtomicU64,
}

/// Requests so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Requested {
    /// PUT, COPY, POST and LIST.
    pub writes: u64,
    /// GET and HEAD. Deletions cost nothing.
    pub reads: u64,
}

impl Requests {
    pub fn so_far(&self) -> Requested {
        let Counters { writes, reads } = &*self.0;
        Requested { writes: writes.load(Ordering::Relaxed), reads: reads.load(Ordering::Relaxed) }
    }

    /// `router`, counted.
    pub fn of(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), count))
    }

    fn count(&self, request: &Request) {
        // `/bucket?list-type=2`, and whatever else is asked of a bucket as such.
        let is_of_bucket = !request.uri().path().trim_matches('/').contains('/');
        let is_deletion = request
            .uri()
            .query()
            .is_some_and(|query| query.split('&').any(|part| part.starts_with("delete")));
        let counter = match *request.method() {
            Method::POST if is_deletion => return,
            Method::GET if is_of_bucket => &self.0.writes,
            Method::GET | Method::HEAD => &self.0.reads,
            Method::PUT | Method::POST => &self.0.writes,
            _ => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl std::ops::Sub for Requested {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { writes: self.writes - earlier.writes, reads: self.reads - earlier.reads }
    }
}

async fn count(State(requests): State<Requests>, request: Request, next: Next) -> Response {
    requests.count(&request);
    next.run(request).await
}
