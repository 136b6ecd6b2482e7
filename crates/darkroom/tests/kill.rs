//! The dev stack on disk, killed again and again under load: what S3 has acknowledged is never lost, never
//! judged wrongly, never half published.
//!
//! When and what is random, by a seed that is printed. Nothing here depends on how fast the machine is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use darkroom::stack::sqs_client;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

const KILLS: usize = 20;
/// A message may be received ten times: now and then the stack lives until all is done.
const LIVES_UNTIL_SETTLED: usize = 4;
const UPLOADERS: usize = 3;
const UPLOADS_EACH: usize = 3;
/// Few renditions: what is tried here is what is kept, not what is made.
const RECIPE: &str = r#"
formats = [{ format = "jpeg" }]
[[rendition]]
name = "w320"
width = 320
[[rendition]]
name = "thumb"
width = 64
height = 64
fit = "cover"
"#;
/// Far more than any of it takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// File, content type, and the rejection's code of one that is to be rejected.
const FILES: [(&str, &str, Option<&str>); 12] = [
    ("images/orientation_6.jpg", "image/jpeg", None),
    ("images/orientation_1.jpg", "image/jpeg", None),
    ("images/quadrants.webp", "image/webp", None),
    ("images/quadrants.avif", "image/avif", None),
    ("images/white_disc.png", "image/png", None),
    ("images/two_frames.gif", "image/gif", None),
    ("hostile/empty.jpg", "image/jpeg", Some("empty")),
    ("hostile/not_an_image.jpg", "image/jpeg", Some("unsupported_type")),
    ("hostile/png_in_disguise.jpg", "image/jpeg", Some("type_mismatch")),
    ("hostile/truncated.jpg", "image/jpeg", Some("corrupt")),
    ("hostile/claims_65000_square.jpg", "image/jpeg", Some("too_many_pixels")),
    ("hostile/claims_65000_square.png", "image/png", Some("too_many_pixels")),
];

/// An upload that S3 has acknowledged.
struct Upload {
    file: &'static str,
    rejection: Option<&'static str>,
    status_url: String,
}

/// The command under test; it ends, at the latest, with this value.
struct Dev {
    child: Child,
    log: PathBuf,
}

impl Dev {
    fn start(dir: &Path, port: u16) -> Self {
        let log = dir.join("log");
        let output = File::options().create(true).append(true).open(&log).unwrap();
        let mut dev = Command::new(env!("CARGO_BIN_EXE_darkroom"));
        dev.arg("dev").arg("--dir").arg(dir.join("state")).args(["--port", &port.to_string()]);
        dev.arg("--recipe").arg(dir.join("recipe.toml"));
        dev.env("RUST_LOG", "warn").stdin(Stdio::null()).stderr(output.try_clone().unwrap()).stdout(output);
        Self { child: dev.spawn().unwrap(), log }
    }

    /// A token, once there is one to be had.
    async fn token(&mut self, http: &Client, api: &str) -> String {
        let start = Instant::now();
        loop {
            if let Ok(answer) = http.get(format!("{api}/dev/token")).send().await {
                let told: Value = answer.json().await.unwrap();
                return told["token"].as_str().unwrap().to_owned();
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && start.elapsed() < PATIENCE, "{ended:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// SIGKILL, where there are signals.
    fn kill(mut self) {
        self.child.kill().unwrap();
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// A browser that is signed in; it knows nothing but what the API tells it.
#[derive(Clone)]
struct Browser {
    http: Client,
    api: String,
    token: String,
}

impl Browser {
    /// Uploads files until the stack is gone or all are there; those that S3 has acknowledged.
    async fn upload_some(self, mut rng: fastrand::Rng) -> Vec<Upload> {
        let mut acknowledged = Vec::new();
        for _ in 0..UPLOADS_EACH {
            match self.upload(&mut rng).await {
                Ok(upload) => acknowledged.push(upload),
                // Nobody promised anything about this one.
                Err(_) => break,
            }
        }
        acknowledged
    }

    async fn upload(&self, rng: &mut fastrand::Rng) -> reqwest::Result<Upload> {
        let (file, content_type, rejection) = FILES[rng.usize(0..FILES.len())];
        let bytes = std::fs::read(fixture(file)).unwrap();
        // A form that promises no bytes is none that the API grants.
        let method = if bytes.is_empty() || rng.bool() { Method::PUT } else { Method::POST };
        let wish = json!({"contentType": content_type, "method": method.as_str()});
        let ask = self.http.post(format!("{}/upload-url", self.api)).bearer_auth(&self.token);
        let answer = ask.body(wish.to_string()).send().await?;
        assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await?);
        let grant: Value = answer.json().await?;
        let answer = self.send(method, &grant, bytes).await?;
        assert!(matches!(answer.status().as_u16(), 200 | 201 | 204), "{}", answer.text().await?);
        let status_url = text(&grant, "statusUrl").to_owned();
        Ok(Upload { file, rejection, status_url })
    }

    async fn send(
        &self,
        method: Method,
        grant: &Value,
        bytes: Vec<u8>,
    ) -> reqwest::Result<reqwest::Response> {
        let url = text(grant, "uploadUrl");
        if method == Method::POST {
            let fields = grant["fields"].as_object().unwrap().iter();
            let form = fields.fold(Form::new(), |form, (name, value)| {
                form.text(name.clone(), value.as_str().unwrap().to_owned())
            });
            return self.http.post(url).multipart(form.part("file", Part::bytes(bytes))).send().await;
        }
        let length = bytes.len();
        let headers = grant["headers"].as_object().unwrap().iter();
        let put =
            headers.fold(self.http.put(url), |put, (name, value)| put.header(name, value.as_str().unwrap()));
        put.header("content-length", length).body(bytes).send().await
    }

    /// The last word on an upload.
    async fn settled(&self, upload: &Upload) -> Value {
        let start = Instant::now();
        loop {
            let answer = self.http.get(&upload.status_url).bearer_auth(&self.token).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{}: {}", upload.file, answer.text().await.unwrap());
            let pending = answer.headers().contains_key("retry-after");
            let told: Value = answer.json().await.unwrap();
            assert_ne!(told["status"], "awaiting_upload", "an acknowledged upload is lost: {told}");
            if !pending {
                return told;
            }
            assert!(start.elapsed() < PATIENCE, "{} never became final: {told}", upload.file);
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// All of it is on the CDN, whole.
    async fn check_renditions(&self, cdn: &str, told: &Value) {
        let renditions = told["manifest"]["renditions"].as_array().unwrap();
        assert_eq!(renditions.len(), 2, "{told}");
        for rendition in renditions {
            let found = self.http.get(format!("{cdn}/{}", text(rendition, "key"))).send().await.unwrap();
            assert_eq!(found.status(), StatusCode::OK, "{rendition}");
            assert_eq!(found.bytes().await.unwrap().len() as u64, rendition["bytes"], "{rendition}");
        }
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(path)
}

/// Four in a row, below those that systems hand out: nobody takes them while the stack is down.
fn free_ports(rng: &mut fastrand::Rng) -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut tries = (0..1000).map(|_| rng.u16(20_000..32_000));
    tries.find(|port| (*port..port + 4).all(is_free)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_upload_that_s3_acknowledged_outlives_twenty_kills() {
    let seed = std::env::var_os("KILL_SEED").and_then(|seed| seed.to_str()?.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("KILL_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("recipe.toml"), RECIPE).unwrap();
    let port = free_ports(&mut rng);
    let [api, cdn, sqs] = [0, 2, 3].map(|offset| format!("http://127.0.0.1:{}", port + offset));
    let http = Client::new();
    let mut acknowledged: Vec<Upload> = Vec::new();

    for life in 0..KILLS {
        let mut dev = Dev::start(folder.path(), port);
        if rng.u8(0..5) == 0 {
            // While it opens what the last one left.
            sleep(Duration::from_millis(rng.u64(0..200))).await;
            dev.kill();
            continue;
        }
        let token = dev.token(&http, &api).await;
        let browser = Browser { http: http.clone(), api: api.clone(), token };
        if life % LIVES_UNTIL_SETTLED == LIVES_UNTIL_SETTLED - 1 {
            for upload in &acknowledged {
                browser.settled(upload).await;
            }
        }
        let mut uploaders = JoinSet::new();
        for _ in 0..UPLOADERS {
            uploaders.spawn(browser.clone().upload_some(rng.fork()));
        }
        sleep(Duration::from_millis(rng.u64(0..800))).await;
        dev.kill();
        acknowledged.extend(uploaders.join_all().await.into_iter().flatten());
    }

    let mut dev = Dev::start(folder.path(), port);
    let token = dev.token(&http, &api).await;
    let browser = Browser { http, api, token };
    for upload in &acknowledged {
        let told = browser.settled(upload).await;
        match upload.rejection {
            None => {
                assert_eq!(told["status"], "ready", "{}: {told}", upload.file);
                browser.check_renditions(&cdn, &told).await;
            }
            Some(code) => {
                assert_eq!(told["status"], "rejected", "{}: {told}", upload.file);
                assert_eq!(told["rejection"]["code"], code, "{}: {told}", upload.file);
            }
        }
    }
    println!("{} uploads were acknowledged", acknowledged.len());
    assert!(acknowledged.len() > KILLS, "{} uploads prove little", acknowledged.len());
    let left = queued(&sqs, "darkroom").await;
    let dead = queued(&sqs, "darkroom-dead-letters").await;
    assert_eq!((left, dead), (0, 0));
}

/// How many messages a queue holds, once it holds none or nothing changes any more.
async fn queued(sqs_url: &str, name: &str) -> u64 {
    let sqs = sqs_client(sqs_url);
    let url = sqs.get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap();
    let start = Instant::now();
    loop {
        let get = sqs.get_queue_attributes().queue_url(&url).attribute_names("All".into());
        let attributes = get.send().await.unwrap().attributes.unwrap();
        let counts = attributes.iter().filter(|(name, _)| name.as_str().starts_with("ApproximateNumber"));
        let left = counts.map(|(_, count)| count.parse::<u64>().unwrap()).sum();
        if left == 0 || start.elapsed() > PATIENCE {
            return left;
        }
        sleep(Duration::from_millis(50)).await;
    }
}
