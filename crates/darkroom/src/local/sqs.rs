//! The SQS API over [`Queue`]: AWS JSON 1.0, the two queues of this stack, whatever credentials.
//!
//! It behaves as SQS does for what senders, pollers and operators do, never stricter. The queues are
//! what they are: none is made, changed or removed here. No web page may use it: it has no CORS rule,
//! and refuses what says that it comes from one.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html>

mod error;
mod message;
mod operations;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::sync::watch;
use uuid::Uuid;

use super::event::{ACCOUNT, REGION};
use super::queue::Role;
use super::{Clock, Local, Queue};
use error::Error;
use operations::MoveTask;

const JSON: &str = "application/x-amz-json-1.0";
const SERVICE: &str = "AmazonSQS.";
/// The longest request, bytes: a batch of the largest size with every character escaped.
const MAX_REQUEST_BYTES: usize = 8 << 20;

/// The queues' names, as the template's stack would have them.
pub const QUEUE_NAME: &str = "darkroom";
pub const DEAD_LETTER_QUEUE_NAME: &str = "darkroom-dead-letters";

/// How the queues are served.
pub struct Options {
    /// Where the endpoint is found, as in `http://127.0.0.1:8790`.
    pub url: String,
    /// How long a received message is hidden where the receiver does not say.
    pub visibility_timeout: Duration,
    /// Once true, those who wait for a message wait no more.
    pub stopped: watch::Receiver<bool>,
}

/// The URL of a queue at this endpoint.
pub fn queue_url(endpoint_url: &str, role: Role) -> String {
    format!("{endpoint_url}/{ACCOUNT}/{}", name(role))
}

/// The endpoint, to be served at the root of a listener.
pub fn router(local: &Local, options: Options) -> Router {
    let endpoint = Endpoint {
        source: local.queue.clone(),
        dead_letters: local.dead_letters.clone(),
        clock: local.clock.clone(),
        opened_ms: local.clock.now_ms(),
        options,
        moves: Mutex::default(),
    };
    Router::new().fallback(serve).with_state(Arc::new(endpoint))
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Source => QUEUE_NAME,
        Role::DeadLetters => DEAD_LETTER_QUEUE_NAME,
    }
}

fn arn(role: Role) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{}", name(role))
}

struct Endpoint {
    source: Queue,
    dead_letters: Queue,
    clock: Clock,
    opened_ms: u64,
    options: Options,
    /// The newest last.
    moves: Mutex<Vec<MoveTask>>,
}

async fn serve(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answer = match operation(&parts) {
        Ok(operation) => match axum::body::to_bytes(body, MAX_REQUEST_BYTES).await {
            Ok(body) => endpoint.answer(operation, &body).await,
            Err(_) => Err(Error::too_long(MAX_REQUEST_BYTES)),
        },
        Err(error) => Err(error),
    };
    match answer {
        Ok(json) => respond(StatusCode::OK, HeaderMap::new(), json),
        Err(error) => error.into_response(),
    }
}

/// What is asked for, if it is asked by a program in SQS's words.
fn operation(parts: &Parts) -> Result<&str, Error> {
    if parts.headers.contains_key(header::ORIGIN) {
        return Err(Error::from_a_page());
    }
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let target = text("x-amz-target");
    if parts.method != Method::POST || !text("content-type").starts_with(JSON) {
        return Err(Error::unknown_operation(target));
    }
    target.strip_prefix(SERVICE).ok_or_else(|| Error::unknown_operation(target))
}

impl Endpoint {
    /// The answer's JSON.
    async fn answer(&self, operation: &str, body: &Bytes) -> Result<Vec<u8>, Error> {
        match operation {
            "SendMessage" => json(&self.send_message(parse(body)?).await?),
            "SendMessageBatch" => json(&self.send_message_batch(parse(body)?).await?),
            "ReceiveMessage" => json(&self.receive_message(parse(body)?).await?),
            "DeleteMessage" => json(&self.delete_message(parse(body)?).await?),
            "DeleteMessageBatch" => json(&self.delete_message_batch(parse(body)?).await?),
            "ChangeMessageVisibility" => json(&self.change_visibility(parse(body)?).await?),
            "ChangeMessageVisibilityBatch" => json(&self.change_visibility_batch(parse(body)?).await?),
            "PurgeQueue" => json(&self.purge_queue(parse(body)?).await?),
            "GetQueueUrl" => json(&self.get_queue_url(&parse(body)?)?),
            "GetQueueAttributes" => json(&self.get_queue_attributes(parse(body)?).await?),
            "ListQueues" => json(&self.list_queues(&parse(body)?)?),
            "ListDeadLetterSourceQueues" => json(&self.list_dead_letter_source_queues(parse(body)?)?),
            "StartMessageMoveTask" => json(&self.start_message_move_task(parse(body)?).await?),
            "ListMessageMoveTasks" => json(&self.list_message_move_tasks(&parse(body)?)?),
            other => Err(Error::unknown_operation(other)),
        }
    }

    fn queue(&self, url: Option<&str>) -> Result<&Queue, Error> {
        let url = url.ok_or_else(|| Error::missing("QueueUrl"))?;
        // By whatever name the client knows this machine.
        let mut path = url.rsplit('/');
        let (queue, account) = (path.next(), path.next());
        let queue = queue.filter(|_| account == Some(ACCOUNT)).and_then(|name| self.queue_named(name));
        queue.ok_or_else(Error::no_such_queue)
    }

    fn queue_named(&self, name: &str) -> Option<&Queue> {
        match name {
            QUEUE_NAME => Some(&self.source),
            DEAD_LETTER_QUEUE_NAME => Some(&self.dead_letters),
            _ => None,
        }
    }

    fn url(&self, role: Role) -> String {
        queue_url(&self.options.url, role)
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| Error::not_understood(&error))
}

/// For a field that may be left out, or be null.
fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(field: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(field)?.unwrap_or_default())
}

fn json(answer: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(answer).map_err(|error| Error::internal(&error))
}

fn respond(status: StatusCode, mut headers: HeaderMap, json: Vec<u8>) -> Response {
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(JSON));
    if let Ok(id) = Uuid::now_v7().to_string().parse() {
        headers.insert("x-amzn-requestid", id);
    }
    (status, headers, Body::from(json)).into_response()
}

#[cfg(test)]
mod tests;
