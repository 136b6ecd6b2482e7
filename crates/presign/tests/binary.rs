//! The real binary, under Lambda's Runtime API: what it answers there, and what it leaves in the log.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use runtime_api::Function;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::process::Command;

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0LWNsYWltcw.c2VjcmV0LXNpZ25hdHVyZQ";

fn command(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_darkroom-presign"));
    command.env_clear().envs([
        ("BUCKET", "photos"),
        ("KEY_SECRET", "0123456789abcdef0123456789abcdef"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret-access-key"),
        ("AWS_SESSION_TOKEN", "secret-session-token"),
    ]);
    command.envs(settings.iter().copied());
    command
}

fn event(method: &str, path: &str, body: &Value) -> Vec<u8> {
    let event = json!({"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": {"host": "api.example", "authorization": format!("Bearer {TOKEN}")},
        "isBase64Encoded": false, "body": body.to_string(),
        "requestContext": {"accountId": "1", "apiId": "a", "domainName": "api.example", "domainPrefix": "api",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "x"},
            "requestId": "r", "routeKey": "$default", "stage": "$default",
            "time": "22/Nov/2026:05:00:00 +0000", "timeEpoch": 1_795_323_600_000_u64,
            "authorizer": {"jwt": {"claims": {"sub": "ann"}, "scopes": null}}}});
    event.to_string().into_bytes()
}

/// What was answered, and what was written to standard output until then.
async fn run(settings: &[(&str, &str)], events: &[Vec<u8>]) -> (Vec<Value>, String) {
    let mut function = Function::start(command(settings), Duration::from_secs(10)).await.unwrap();
    let mut answers = Vec::new();
    for event in events {
        let answer = function.invoke(event.clone()).await.unwrap().result.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let body = answer["body"].as_str().unwrap();
        answers.push(serde_json::from_str(body).unwrap());
    }
    (answers, log_of(function).await)
}

/// Ends the process.
async fn log_of(mut function: Function) -> String {
    function.process.start_kill().unwrap();
    let mut log = String::new();
    function.process.stdout.take().unwrap().read_to_string(&mut log).await.unwrap();
    log
}

#[tokio::test]
async fn a_grant_made_inside_lambda_names_no_header_that_is_not_signed() {
    let wish = json!({"contentType": "image/png", "contentLength": 7});
    let (answers, _) = run(&[], &[event("POST", "/upload-url", &wish)]).await;
    assert_eq!(answers[0]["headers"], json!({"Content-Type": "image/png", "If-None-Match": "*"}));
    let url = answers[0]["uploadUrl"].as_str().unwrap();
    assert!(url.starts_with("https://photos.s3.eu-west-1.amazonaws.com/raw/articles/"), "{url}");
    assert!(url.contains("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bif-none-match"));
}

#[tokio::test]
async fn every_request_leaves_one_line_that_cloudwatch_counts_and_no_secret_at_the_highest_level() {
    let events = [
        event("POST", "/upload-url", &json!({"contentType": "image/png"})),
        event("POST", "/upload-url", &json!({"method": "POST", "contentType": "image/avif"})),
        event("POST", "/upload-url", &json!({"contentType": "image/tiff"})),
        event("GET", "/uploads/raw/x.jpg", &Value::Null),
    ];
    let levels = [("AWS_LAMBDA_LOG_LEVEL", "TRACE"), ("RUST_LOG", "trace")];
    let (answers, log) = run(&levels, &events).await;
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let counted: Vec<&Value> = lines.iter().filter(|line| line.get("_aws").is_some()).collect();
    assert_eq!(counted.len(), events.len(), "{log}");
    let told = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    for line in &counted {
        assert!(line["HandlerTime"].as_f64().is_some_and(|ms| ms > 0.0));
        assert_eq!((told(line, "Service"), told(line, "requestId").len()), ("function".to_owned(), 36));
        assert_eq!(told(line, "xrayTraceId"), "1-5759e988-bd862e3fe1be46a994272793");
        // Every dimension and every number that is announced is there.
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            let sets = directive["Dimensions"].as_array().unwrap();
            for name in sets.iter().flat_map(|names| names.as_array().unwrap()) {
                assert!(line[name.as_str().unwrap()].is_string(), "{line}");
            }
            assert!(line[directive["Metrics"][0]["Name"].as_str().unwrap()].is_number(), "{line}");
        }
    }
    let issued = |line: &Value| (line["UrlsIssued"].as_u64(), told(line, "Method"), told(line, "Type"));
    assert_eq!(issued(counted[0]), (Some(1), "PUT".to_owned(), "image/png".to_owned()));
    assert_eq!(issued(counted[1]), (Some(1), "POST".to_owned(), "image/avif".to_owned()));
    let refused = |line: &Value| (line["Refusals"].as_u64(), told(line, "Code"), told(line, "Route"));
    assert_eq!(refused(counted[2]), (Some(1), "unsupported_type".to_owned(), "POST /upload-url".to_owned()));
    assert_eq!(refused(counted[3]), (Some(1), "not_found".to_owned(), "GET /uploads/{key+}".to_owned()));

    let signature = answers[0]["uploadUrl"].as_str().unwrap().split("X-Amz-Signature=").nth(1).unwrap();
    let signature = &signature[..64];
    let policy = answers[1]["fields"]["policy"].as_str().unwrap();
    for secret in [signature, policy, TOKEN, "secret", "X-Amz", "0123456789abcdef0123456789abcdef"] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

#[tokio::test]
async fn a_failure_of_ours_is_told_in_the_log_with_the_requests_id_and_not_in_the_answer() {
    let nowhere = [("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1"), ("AWS_MAX_ATTEMPTS", "1")];
    let mut function = Function::start(command(&nowhere), Duration::from_secs(10)).await.unwrap();
    let mut ask = async |event| -> Value {
        let answer = function.invoke(event).await.unwrap().result.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
    };
    let grant = ask(event("POST", "/upload-url", &json!({}))).await;
    let path = format!("/uploads/{}", grant["key"].as_str().unwrap());
    let problem = ask(event("GET", &path, &Value::Null)).await;
    assert_eq!((&problem["code"], &problem["status"]), (&json!("internal_error"), &json!(500)));
    let log = log_of(function).await;
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let error = lines.iter().find(|line| line["level"] == "ERROR").unwrap();
    assert!(error["error"].as_str().unwrap().contains("Connection refused"), "{error}");
    for name in ["requestId", "xrayTraceId"] {
        assert!(error["span"][name].is_string(), "{log}");
        assert_eq!(error["span"][name], lines.last().unwrap()[name], "{log}");
    }
}

#[tokio::test]
async fn a_bad_setting_ends_the_start_with_its_name_and_anonymous_access_is_told() {
    let mut bad = command(&[("KEY_SECRET", "short")]);
    let output = bad.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1").output().await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("KEY_SECRET: has 5 bytes"), "{told}");
    let (_, log) = run(&[("ALLOW_ANONYMOUS", "true")], &[event("GET", "/uploads/x", &Value::Null)]).await;
    assert!(log.lines().next().unwrap().contains("ALLOW_ANONYMOUS is set"), "{log}");
}

const ARN: &str = "arn:aws:secretsmanager:eu-west-1:1:secret:key";

/// Secrets Manager with these versions of one secret; S3 without any object. Its URL.
async fn aws(current: Option<&'static str>, previous: Option<&'static str>) -> String {
    let answer = move |headers: HeaderMap, body: String| async move {
        if headers.get("x-amz-target").is_none_or(|target| target != "secretsmanager.GetSecretValue") {
            return (StatusCode::NOT_FOUND, String::new());
        }
        let asked: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(asked["SecretId"], ARN);
        let stage = asked["VersionStage"].as_str().unwrap();
        let version = if stage == "AWSCURRENT" { current } else { previous };
        match version {
            Some(secret) => (StatusCode::OK, json!({"ARN": ARN, "SecretString": secret}).to_string()),
            None => {
                let missing =
                    json!({"__type": "ResourceNotFoundException", "message": format!("no {stage}")});
                (StatusCode::BAD_REQUEST, missing.to_string())
            }
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await.unwrap() });
    url
}

/// Whose key secret is in Secrets Manager.
fn command_with_kept_secret(aws: &str) -> Command {
    let mut command = command(&[("KEY_SECRET_ARN", ARN), ("AWS_ENDPOINT_URL", aws)]);
    command.env_remove("KEY_SECRET");
    command
}

#[tokio::test]
async fn keys_of_the_current_and_the_previous_version_of_a_kept_secret_are_their_owners_and_older_ones_not() {
    const SECRETS: [&str; 3] = [
        "oldest oldest oldest oldest oldest",
        "older older older older older older",
        "new new new new new new new new new",
    ];
    let issue = async |secret| {
        let (answers, _) = run(&[("KEY_SECRET", secret)], &[event("POST", "/upload-url", &json!({}))]).await;
        format!("/uploads/{}", answers[0]["key"].as_str().unwrap())
    };
    let aws = aws(Some(SECRETS[2]), Some(SECRETS[1])).await;
    let mut function =
        Function::start(command_with_kept_secret(&aws), Duration::from_secs(10)).await.unwrap();
    for (secret, expected) in SECRETS.into_iter().zip([404, 200, 200]) {
        let path = issue(secret).await;
        let answer = function.invoke(event("GET", &path, &Value::Null)).await.unwrap().result.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["statusCode"], expected, "{secret}: {answer}");
    }
    let log = log_of(function).await;
    assert!(!log.contains("older") && !log.contains("new new"), "{log}");
}

#[tokio::test]
async fn a_kept_secret_that_was_never_rotated_is_enough() {
    let aws = aws(Some("new new new new new new new new new"), None).await;
    let mut function =
        Function::start(command_with_kept_secret(&aws), Duration::from_secs(10)).await.unwrap();
    let answer = function.invoke(event("POST", "/upload-url", &json!({}))).await.unwrap().result.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap()["statusCode"], 200);
}

#[tokio::test]
async fn a_kept_secret_that_cannot_be_used_ends_the_start_with_the_settings_name() {
    let aws = [aws(None, None).await, aws(Some("short"), None).await, aws(Some("new"), None).await];
    let mut beside = command_with_kept_secret(&aws[2]);
    beside.env("KEY_SECRET", "0123456789abcdef0123456789abcdef");
    for (mut bad, expected) in [
        (
            command_with_kept_secret(&aws[0]),
            "KEY_SECRET_ARN: `arn:aws:secretsmanager:eu-west-1:1:secret:key` cannot be read",
        ),
        (command_with_kept_secret(&aws[1]), "KEY_SECRET: has 5 bytes"),
        (beside, "KEY_SECRET_ARN: is set beside KEY_SECRET"),
    ] {
        let output = bad.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1").output().await.unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains(expected), "{told}");
    }
}
