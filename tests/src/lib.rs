//! Boots the whole stack for a test and talks to it as a browser would: over HTTP, with what the API
//! returned and nothing else. Every helper panics with what it saw when the stack does not do its part.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of tests fails by panicking")]

pub mod sim;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use contract::{Manifest, SourceKey};
use darkroom::stack::{BUCKET, Options, Stack};
use lambda_runtime::{Context, LambdaEvent};
use reqwest::multipart::{Form, Part};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

/// A browser that is signed in as one user.
pub struct Browser {
    pub http: reqwest::Client,
    api_url: String,
    pub token: String,
}

/// What `POST /upload-url` has granted.
pub struct Grant(pub Value);

impl Grant {
    pub fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_else(|| panic!("no {field} in {}", self.0))
    }
}

/// A stack in memory on free ports.
pub async fn stack() -> Stack {
    Stack::start(Options::default()).await.unwrap()
}

/// A stack whose worker never runs: what is queued waits, and the test calls the handler itself.
pub async fn idle_stack() -> Stack {
    Stack::start(Options { run_worker: false, ..Options::default() }).await.unwrap()
}

/// A file under `fixtures/`.
pub fn fixture(path: &str) -> Vec<u8> {
    let path = root().join("fixtures").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The workspace's folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A batch from a file under `fixtures/events/`.
pub fn event(name: &str) -> SqsEvent {
    serde_json::from_slice(&fixture(&format!("events/{name}.json"))).unwrap()
}

/// Hands a batch to the worker's real handler, as Lambda would.
pub async fn invoke(stack: &Stack, event: SqsEvent) -> SqsBatchResponse {
    stack.worker.handle(LambdaEvent::new(event, Context::default())).await.unwrap()
}

/// Puts a source as some other writer would, past the API.
pub async fn put_source(stack: &Stack, key: &str, content_type: &str, bytes: Vec<u8>) {
    let put = stack.client.put_object().bucket(BUCKET).key(key).content_type(content_type);
    put.body(bytes.into()).send().await.unwrap();
}

/// The manifest of a source, if there is one.
pub async fn manifest(stack: &Stack, source: &str) -> Option<Manifest> {
    let key = SourceKey::parse(source).unwrap().manifest();
    let object = stack.local.objects.get(key.as_str()).await.unwrap()?;
    Some(Manifest::parse(&object.bytes().await.unwrap()).unwrap())
}

/// Everything in the bucket: key to ETag and modification time. Two equal ones mean that nothing was
/// written in between.
pub async fn bucket(stack: &Stack) -> BTreeMap<String, (String, u64)> {
    let listed = stack.client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    let mut all = BTreeMap::new();
    for key in listed.contents().iter().filter_map(|object| object.key()) {
        // Gone again since it was listed: a worker is at work.
        let Some(meta) = stack.local.objects.head(key).await.unwrap() else { continue };
        all.insert(key.to_owned(), (meta.etag, meta.last_modified_ms));
    }
    all
}

impl Browser {
    /// Signs in through the stack's own token endpoint.
    pub async fn sign_in(stack: &Stack, sub: &str) -> Self {
        let http = reqwest::Client::new();
        let url = format!("{}/dev/token?sub={sub}", stack.api_url);
        let answer: Value = http.get(url).send().await.unwrap().json().await.unwrap();
        let token = answer["token"].as_str().unwrap().to_owned();
        Self { http, api_url: stack.api_url.clone(), token }
    }

    pub async fn ask(&self, body: &Value) -> Response {
        let post = self.http.post(format!("{}/upload-url", self.api_url)).bearer_auth(&self.token);
        post.body(body.to_string()).send().await.unwrap()
    }

    pub async fn grant(&self, body: &Value) -> Grant {
        let answer = self.ask(body).await;
        assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
        Grant(answer.json().await.unwrap())
    }

    /// Sends exactly the headers that the grant says.
    pub async fn put(&self, grant: &Grant, bytes: Vec<u8>) -> Response {
        // A browser says the length of an empty body too; this client would leave it out.
        let length = bytes.len();
        let mut put = self.http.put(grant.text("uploadUrl")).body(bytes).header("content-length", length);
        for (name, value) in grant.0["headers"].as_object().unwrap() {
            put = put.header(name, value.as_str().unwrap());
        }
        put.send().await.unwrap()
    }

    /// Sends the fields that the grant says, the file last, as `FormData` does.
    pub async fn post(&self, grant: &Grant, bytes: Vec<u8>) -> Response {
        self.post_changed(grant, &[], bytes).await
    }

    /// [`Browser::post`] with other values for some fields; `None` leaves one out.
    pub async fn post_changed(
        &self,
        grant: &Grant,
        changes: &[(&str, Option<&str>)],
        bytes: Vec<u8>,
    ) -> Response {
        let mut fields: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in grant.0["fields"].as_object().unwrap() {
            fields.insert(name, value.as_str().unwrap());
        }
        for (name, value) in changes {
            fields.remove(name);
            fields.extend(value.map(|value| (*name, value)));
        }
        let mut form = Form::new();
        for (name, value) in fields {
            form = form.text(name.to_owned(), value.to_owned());
        }
        let form = form.part("file", Part::bytes(bytes).file_name("photo.jpg"));
        self.http.post(grant.text("uploadUrl")).multipart(form).send().await.unwrap()
    }

    pub async fn delete(&self, url: &str) -> Response {
        self.http.delete(url).bearer_auth(&self.token).send().await.unwrap()
    }

    pub async fn get(&self, url: &str) -> Response {
        self.http.get(url).bearer_auth(&self.token).send().await.unwrap()
    }

    /// Asks, uploads and waits for the end; the final status document.
    pub async fn upload(&self, content_type: &str, bytes: Vec<u8>) -> Value {
        let wish = json!({"contentType": content_type, "contentLength": bytes.len().max(1)});
        // Nothing can be asked for zero bytes: such a client leaves the length out.
        let wish = if bytes.is_empty() { json!({"contentType": content_type}) } else { wish };
        let grant = self.grant(&wish).await;
        let put = self.put(&grant, bytes).await;
        assert_eq!(put.status(), StatusCode::OK, "{}", put.text().await.unwrap());
        self.wait(grant.text("statusUrl")).await
    }

    /// Polls until the status is final, as `Retry-After` asks (only faster).
    pub async fn wait(&self, status_url: &str) -> Value {
        for _ in 0..3000 {
            let answer = self.get(status_url).await;
            assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
            let pending = answer.headers().contains_key("retry-after");
            let told: Value = answer.json().await.unwrap();
            if !pending {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{status_url} never became final")
    }
}
