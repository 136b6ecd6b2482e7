//! `GET /healthz`: whether the poller still gets answers from the queue. Knows nothing else, and tells nothing
//! that the public may not know.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// A receive that takes longer has no answer to come: three long polls.
const STALE: Duration = Duration::from_secs(60);

/// When the queue last answered. Cheap to clone.
#[derive(Clone)]
pub(super) struct Health(Arc<Mutex<Polls>>);

#[derive(Clone, Copy)]
struct Polls {
    /// Since when no answer has come to what was asked; `None` when nothing is asked.
    waiting_since: Option<Instant>,
}

impl Health {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Polls { waiting_since: Some(Instant::now()) })))
    }

    /// The queue is about to be asked. That it was asked before, in vain, is not forgotten.
    pub(super) fn polls(&self) {
        self.change(|polls| Polls { waiting_since: polls.waiting_since.or(Some(Instant::now())) });
    }

    /// The queue has answered. While all places are taken, it is not asked, and that is no fault.
    pub(super) fn polled(&self) {
        self.change(|_| Polls { waiting_since: None });
    }

    fn change(&self, new: impl FnOnce(Polls) -> Polls) {
        let mut polls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *polls = new(*polls);
    }

    fn waits(&self) -> Duration {
        let polls = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        polls.waiting_since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// Serves until the process ends. That it cannot is told, and no reason not to work.
pub(super) async fn serve(health: Health, port: u16) {
    let router = axum::Router::new().route("/healthz", get(answer)).with_state(health);
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let listener = match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        // A machine without IPv6.
        Err(_) => TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, port)).await,
    };
    let served = match listener {
        Ok(listener) => axum::serve(listener, router).await,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::error!(%error, port, "there is no health endpoint (HEALTH_PORT)");
    }
}

async fn answer(State(health): State<Health>) -> Response {
    let waits = health.waits();
    let (status, said) = match waits <= STALE {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the queue does not answer"),
    };
    let body = serde_json::json!({ "status": said, "waitingSeconds": waits.as_secs() });
    let json = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, json, body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_does_not_answer_for_three_polls_is_unhealthy_and_a_busy_poller_is_not() {
        let health = Health::new();
        let healthy = async || answer(State(health.clone())).await.status() == StatusCode::OK;
        let pass = async |seconds| tokio::time::sleep(Duration::from_secs(seconds)).await;
        health.polls();
        health.polled();
        pass(3600).await;
        assert!(healthy().await, "at work, and not asking");
        health.polls();
        pass(59).await;
        assert!(healthy().await);
        health.polls();
        pass(2).await;
        assert!(!healthy().await, "asked twice in vain");
        health.polled();
        assert!(healthy().await);
    }
}
