//! From a browser's first request to pictures on the CDN, and what survives a restart.

use std::collections::HashSet;
use std::time::Duration;

use contract::{Limits, Recipe};
use darkroom::stack::{BUCKET, Options, Stack};
use darkroom_tests::{Browser, bucket, fixture, idle_stack, stack};
use reqwest::StatusCode;
use serde_json::{Value, json};

#[tokio::test]
async fn one_upload_becomes_ten_upright_renditions_on_the_cdn() {
    let stack = stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    let told = browser.upload("image/jpeg", fixture("images/orientation_6.jpg")).await;

    assert_eq!(told["status"], "ready", "{told}");
    let manifest = &told["manifest"];
    assert_eq!((&manifest["source"]["width"], &manifest["source"]["height"]), (&json!(480), &json!(360)));
    let renditions = manifest["renditions"].as_array().unwrap();
    assert_eq!(renditions.len(), 10);
    for rendition in renditions {
        check_rendition(&stack, &browser, rendition).await;
    }
    stack.shutdown().await;
}

async fn check_rendition(stack: &Stack, browser: &Browser, rendition: &Value) {
    let url = format!("{}/{}", stack.cdn_url, rendition["key"].as_str().unwrap());
    let answer = browser.http.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{url}");
    assert_eq!(answer.headers()["content-type"], rendition["contentType"].as_str().unwrap());
    assert_eq!(answer.headers()["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(json!(bytes.len()), rendition["bytes"]);
    assert!(!contains(&bytes, b"nobody may see this"), "metadata of the source is in {url}");
    let picture = shown(&bytes);
    assert_eq!(json!(picture.width()), rendition["width"]);
    assert_eq!(json!(picture.height()), rendition["height"]);
    assert_upright(&picture, &url);
}

#[tokio::test]
async fn the_cdn_chooses_the_format_that_a_browser_knows_where_the_path_names_none() {
    let stack = stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    let told = browser.upload("image/jpeg", fixture("images/orientation_1.jpg")).await;
    // The recipe's first format is AVIF, or WebP in a build without it.
    let first = &told["manifest"]["renditions"][0];
    let (folder, _) = first["key"].as_str().unwrap().rsplit_once('/').unwrap();
    let modern = first["contentType"].as_str().unwrap();
    for (accept, expected) in [(modern, modern), ("*/*", "image/jpeg"), ("image/png", "image/jpeg")] {
        let asked = browser.http.get(format!("{}/{folder}/w640", stack.cdn_url)).header("accept", accept);
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{accept}");
        let headers = answer.headers();
        assert_eq!(headers["content-type"], expected, "{accept}");
        assert!(headers.get_all("vary").iter().any(|value| value == "Accept"), "{headers:?}");
        assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
    }
    for missing in ["w641", "manifest", "w640.gif"] {
        let answer = browser.http.get(format!("{}/{folder}/{missing}", stack.cdn_url)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{missing}");
    }
    stack.shutdown().await;
}

/// The pixels of a rendition, whatever its format.
#[expect(clippy::disallowed_methods, reason = "a rendition of our own, not a stranger's bytes")]
fn shown(bytes: &[u8]) -> image::RgbImage {
    let mut png = None;
    let lossless =
        Recipe::parse("formats = [{ format = \"png\" }]\n[[rendition]]\nname = \"a\"\nwidth = 9999");
    let (lossless, limits) = (lossless.unwrap(), Limits::default());
    let probe = imaging::probe(bytes, &limits, &lossless).unwrap();
    imaging::render(bytes, &probe, &lossless, 1, &mut |file| {
        png = Some(file.bytes);
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    image::load_from_memory(&png.unwrap()).unwrap().to_rgb8()
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// Red, green over blue, yellow, as `fixtures/make.py` drew it.
fn assert_upright(picture: &image::RgbImage, what: &str) {
    let (right, bottom) = (picture.width() - 6, picture.height() - 6);
    let corners = [
        (5, 5, [220, 40, 40]),
        (right, 5, [40, 180, 60]),
        (5, bottom, [40, 80, 220]),
        (right, bottom, [230, 210, 50]),
    ];
    for (x, y, expected) in corners {
        let found = picture.get_pixel(x, y).0;
        let off = found.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max().unwrap();
        assert!(off < 24, "{what}: {found:?} at {x},{y}, not {expected:?}");
    }
}

#[tokio::test]
async fn a_source_is_never_enlarged_and_every_rendition_of_the_recipe_exists() {
    let stack = stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    let told = browser.upload("image/jpeg", fixture("images/wide.jpg")).await;
    let size = |name: &str| {
        let all = told["manifest"]["renditions"].as_array().unwrap();
        let found = all.iter().find(|r| r["name"] == name && r["format"] == "jpeg").unwrap();
        (found["width"].as_u64().unwrap(), found["height"].as_u64().unwrap())
    };
    assert_eq!(size("w1920"), (1920, 640));
    assert_eq!(size("w320"), (320, 107));
    assert_eq!(size("thumb"), (256, 256));
    for (content_type, file, expected) in [
        ("image/gif", "images/two_frames.gif", [Some(200), Some(100)]),
        ("image/avif", "images/quadrants.avif", [Some(300), Some(200)]),
    ] {
        let small = browser.upload(content_type, fixture(file)).await;
        let widths: HashSet<_> =
            small["manifest"]["renditions"].as_array().unwrap().iter().map(|r| r["width"].as_u64()).collect();
        assert_eq!(widths, HashSet::from(expected), "{file}");
    }
}

#[tokio::test]
async fn every_bad_file_is_rejected_with_its_own_code_and_a_sentence() {
    let stack = stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    for (file, code) in [
        ("empty.jpg", "empty"),
        ("not_an_image.jpg", "unsupported_type"),
        ("png_in_disguise.jpg", "type_mismatch"),
        ("truncated.jpg", "corrupt"),
        ("claims_65000_square.jpg", "too_many_pixels"),
    ] {
        let told = browser.upload("image/jpeg", fixture(&format!("hostile/{file}"))).await;
        assert_eq!(told["status"], "rejected", "{file}: {told}");
        assert_eq!(told["rejection"]["code"], code, "{file}: {told}");
        assert_eq!(told["manifest"]["rejection"], told["rejection"]);
        assert!(told["manifest"].get("renditions").is_none());
        assert!(told["rejection"]["message"].as_str().unwrap().ends_with('.'), "{told}");
    }
    let (queued, dead) = (stack.local.queue.counts().await, stack.local.dead_letters.counts().await);
    assert_eq!((queued.unwrap().visible, dead.unwrap().total()), (0, 0), "a rejection was retried");
}

#[tokio::test]
async fn more_bytes_than_allowed_are_rejected_whoever_uploads_them() {
    let limits = contract::Limits { max_source_bytes: 4000, ..contract::Limits::default() };
    let stack = Stack::start(Options { limits, ..Options::default() }).await.unwrap();
    darkroom_tests::put_source(&stack, "raw/big.jpg", "image/jpeg", fixture("images/wide.jpg")).await;
    for _ in 0..3000 {
        if let Some(manifest) = darkroom_tests::manifest(&stack, "raw/big.jpg").await {
            let json: Value = serde_json::from_slice(&manifest.to_json()).unwrap();
            assert_eq!(json["rejection"]["code"], "too_many_bytes");
            assert!(json["rejection"]["message"].as_str().unwrap().contains("4000"), "{json}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never judged");
}

#[tokio::test]
async fn nothing_but_what_the_worker_publishes_is_served() {
    let stack = stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    let told = browser.upload("image/jpeg", fixture("images/orientation_1.jpg")).await;
    let source = told["key"].as_str().unwrap();
    let encoded = source.replace('/', "%2F");
    let folder = source.replacen("raw/", "processed/", 1);
    for path in [source, &encoded, &folder, &format!("processed/../{source}"), ""] {
        let answer = browser.http.get(format!("{}/{path}", stack.cdn_url)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let manifest =
        browser.http.get(format!("{}/{folder}/manifest.json", stack.cdn_url)).send().await.unwrap();
    assert_eq!(manifest.headers()["cache-control"], "public, max-age=5");
    let etag = manifest.headers()["etag"].clone();
    let public: Value = manifest.json().await.unwrap();
    assert_eq!(public, told["manifest"]);
    let again =
        browser.http.get(format!("{}/{folder}/manifest.json", stack.cdn_url)).header("if-none-match", etag);
    assert_eq!(again.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn a_message_that_is_no_event_is_retried_until_the_dead_letter_queue_has_it() {
    let options = Options { max_receive_count: 3, retry_delays: vec![Duration::ZERO], ..Options::default() };
    let stack = Stack::start(options).await.unwrap();
    stack.local.queue.send("no event").await.unwrap();
    for _ in 0..1000 {
        let dead = stack.local.dead_letters.peek().await.unwrap();
        if let [message] = &dead[..] {
            assert_eq!((message.body.as_str(), message.receive_count), ("no event", 3));
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never given up");
}

#[tokio::test]
async fn what_was_queued_at_the_end_is_processed_after_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { dir: Some(dir.path().to_owned()), ..Options::default() };
    let before = Stack::start(Options { run_worker: false, ..options.clone() }).await.unwrap();
    let browser = Browser::sign_in(&before, "ann").await;
    let grant = browser.grant(&json!({"contentType": "image/jpeg"})).await;
    assert_eq!(browser.put(&grant, fixture("images/orientation_1.jpg")).await.status(), StatusCode::OK);
    before.shutdown().await;

    let after = Stack::start(options).await.unwrap();
    // The token of the first run is valid in the second: the secrets are kept, too.
    let told = browser.wait(&format!("{}/uploads/{}", after.api_url, grant.text("key"))).await;
    assert_eq!(told["status"], "ready");
    after.shutdown().await;
}

#[tokio::test]
async fn a_deleted_source_leaves_a_tombstone_and_none_of_its_renditions() {
    let stack = stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    let told = browser.upload("image/jpeg", fixture("images/orientation_1.jpg")).await;
    let key = told["key"].as_str().unwrap();
    stack.client.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    for _ in 0..3000 {
        let left = bucket(&stack).await;
        if left.len() == 1 {
            let manifest = darkroom_tests::manifest(&stack, key).await.unwrap();
            assert_eq!(manifest.status(), contract::Status::Removed);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("left behind: {:?}", bucket(&stack).await.keys());
}

#[tokio::test]
async fn an_overwritten_source_is_processed_again_under_new_keys() {
    let stack = idle_stack().await;
    let deliver = || darkroom_tests::invoke(&stack, darkroom_tests::event("s3_multipart"));
    let keys = async || {
        let manifest = darkroom_tests::manifest(&stack, "raw/a1/photo.jpg").await.unwrap();
        manifest.renditions().iter().map(|rendition| rendition.key.to_string()).collect::<HashSet<_>>()
    };
    darkroom_tests::put_source(&stack, "raw/a1/photo.jpg", "image/jpeg", fixture("images/orientation_1.jpg"))
        .await;
    deliver().await;
    let first = keys().await;
    darkroom_tests::put_source(&stack, "raw/a1/photo.jpg", "image/jpeg", fixture("images/wide.jpg")).await;
    deliver().await;
    let second = keys().await;
    assert_eq!((first.len(), second.len()), (10, 10));
    assert!(first.is_disjoint(&second));
}

#[tokio::test]
async fn a_taken_port_is_named_with_the_way_out() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Stack::start(Options { port, ..Options::default() }).await.err().unwrap().to_string();
    assert!(error.contains(&format!("port {port}, for the API, is taken")), "{error}");
    assert!(error.contains("--port"), "{error}");
}

#[tokio::test]
async fn the_highest_ports_leave_no_room() {
    for port in [65_533, 65_535] {
        let error = Stack::start(Options { port, ..Options::default() }).await.err().unwrap().to_string();
        assert!(error.contains("room for the three ports after it"), "{error}");
    }
}

#[tokio::test]
async fn what_s3_announces_is_received_by_whoever_polls_the_stacks_queue() {
    let stack = idle_stack().await;
    darkroom_tests::put_source(&stack, "raw/a1/photo.jpg", "image/jpeg", fixture("images/wide.jpg")).await;
    let receive = || stack.sqs.receive_message().queue_url(&stack.queue_url).wait_time_seconds(20);
    let got = receive().send().await.unwrap();
    let body: Value = serde_json::from_str(got.messages()[0].body().unwrap()).unwrap();
    assert_eq!(body["Records"][0]["s3"]["object"]["key"], "raw/a1/photo.jpg");
    let dead = stack.sqs.receive_message().queue_url(&stack.dead_letter_queue_url).send().await.unwrap();
    assert_eq!(dead.messages().len(), 0);
    let known = stack.sqs.get_queue_url().queue_name("darkroom").send().await.unwrap();
    assert_eq!(known.queue_url(), Some(&*stack.queue_url));
}

#[tokio::test]
async fn a_shutdown_waits_for_nobody_who_waits_for_messages() {
    let stack = idle_stack().await;
    let poll = stack.sqs.receive_message().queue_url(&stack.queue_url).wait_time_seconds(20).send();
    let poll = tokio::spawn(poll);
    // Long enough to be there; if it is not, the test proves less and still passes.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let start = std::time::Instant::now();
    stack.shutdown().await;
    // A shutdown that waits in vain cuts off after ten seconds.
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
    assert_eq!(poll.await.unwrap().unwrap().messages().len(), 0);
}

#[tokio::test]
async fn a_folder_in_use_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { dir: Some(dir.path().to_owned()), ..Options::default() };
    let first = Stack::start(options.clone()).await.unwrap();
    let error = Stack::start(options).await.err().unwrap().to_string();
    assert!(error.contains("in use by another darkroom"), "{error}");
    first.shutdown().await;
}
