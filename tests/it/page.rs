//! The page that the stack serves: that every file it is made of is there, under a policy that allows nothing else, and
//! that its live panel is told the truth. What it looks like and how it behaves is tried in a browser: tests/browser.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use darkroom::stack::{Options, Stack};
use darkroom_tests::{Browser, fixture, stack};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

#[tokio::test]
async fn every_file_that_the_page_names_is_served_under_a_policy_that_allows_only_this_stack() {
    let stack = stack().await;
    let http = reqwest::Client::new();
    let mut due = vec!["/".to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(path) = due.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let answer = http.get(format!("{}{path}", stack.api_url)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let expected = match path.rsplit_once('.') {
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(header("content-type"), expected, "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        let text = answer.text().await.unwrap();
        due.extend(named_files(&path, &text));
    }
    for file in ["/upload.js", "/picture.js", "/page/app.js", "/page/style.css"] {
        assert!(seen.contains(file), "the page does not name {file}: {seen:?}");
    }
    stack.shutdown().await;
}

/// The paths of what a file loads: `src` and `href` of HTML, imports of a module.
fn named_files(path: &str, text: &str) -> Vec<String> {
    let base = reqwest::Url::parse("http://page").unwrap().join(path).unwrap();
    let starts: &[&str] =
        if path.ends_with(".js") { &["from \"", "import(\"", "import \""] } else { &["src=\"", "href=\""] };
    let named = starts.iter().flat_map(|start| text.split(start).skip(1));
    let names = named.filter_map(|rest| rest.split('"').next());
    let local = names.filter(|name| name.ends_with(".js") || name.ends_with(".css"));
    local.map(|name| base.join(name).unwrap().path().to_owned()).collect()
}

#[tokio::test]
async fn the_live_panel_is_told_what_waits_and_what_became_of_every_upload() {
    let stack = stack().await;
    let mut events = Events::listen(&stack).await;
    let nothing = json!({"waiting": 0, "inFlight": 0, "delayed": 0, "deadLetters": 0,
                         "ready": 0, "rejected": 0, "failed": 0});
    assert_eq!(events.next().await, nothing);
    let browser = Browser::sign_in(&stack, "ann").await;
    browser.upload("image/jpeg", fixture("images/orientation_1.jpg")).await;
    browser.upload("image/png", fixture("images/orientation_1.jpg")).await;
    let mut expected = nothing;
    expected["ready"] = 1.into();
    expected["rejected"] = 1.into();
    while events.next().await != expected {}
    stack.shutdown().await;
}

#[tokio::test]
async fn the_live_panel_sees_messages_that_wait() {
    let stack = Stack::start(Options { run_worker: false, ..Options::default() }).await.unwrap();
    let mut events = Events::listen(&stack).await;
    stack.local.queue.send("one").await.unwrap();
    stack.local.queue.send("two").await.unwrap();
    while events.next().await["waiting"] != 2 {}
    stack.local.queue.receive(1, 60_000).await.unwrap();
    while events.next().await["inFlight"] != 1 {}
    stack.shutdown().await;
}

#[tokio::test]
async fn a_page_that_listens_does_not_hold_up_the_end() {
    let stack = stack().await;
    let mut events = Events::listen(&stack).await;
    events.next().await;
    let asked = Instant::now();
    stack.shutdown().await;
    // Work in hand is cut off after ten seconds; a listener must not be taken for such.
    assert!(asked.elapsed() < Duration::from_secs(9));
    while events.answer.chunk().await.unwrap().is_some() {}
}

/// The counts of `/dev/events`, one after another.
struct Events {
    answer: Response,
    text: String,
}

impl Events {
    async fn listen(stack: &Stack) -> Self {
        let answer = reqwest::get(format!("{}/dev/events", stack.api_url)).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { answer, text: String::new() }
    }

    async fn next(&mut self) -> Value {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.strip_prefix("event: counts\ndata: ");
                let counts = data.map(|data| serde_json::from_str(data).unwrap());
                self.text = rest.to_owned();
                match counts {
                    Some(counts) => return counts,
                    None => continue,
                }
            }
            let chunk = self.answer.chunk().await.unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}
