//! The HTTP API as a browser sees it, refusals included.

use std::time::Duration;

use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use darkroom::stack::{ACCESS_KEY, Options, SECRET_KEY, Stack};
use darkroom_tests::{Browser, Grant, event, fixture, idle_stack, invoke, put_source, stack};
use lambda_http::Body;
use lambda_http::http::HeaderMap;
use presign::Presign;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Of the stack's own S3.
fn credentials() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
}

/// The function as it is deployed, with these settings, in front of the stack's S3.
fn deployed(stack: &Stack, settings: &[(&str, &str)]) -> Presign {
    let secret = "k".repeat(32);
    let all = [("BUCKET", "darkroom"), ("KEY_SECRET", secret.as_str())];
    let find =
        |name: &str| settings.iter().chain(&all).find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
    Presign::new(presign::Config::from_settings(&find).unwrap(), stack.client.clone(), credentials())
}

/// A call through a Function URL, where nobody has looked at it before.
async fn call(
    presign: &Presign,
    method: &Method,
    path: &str,
    headers: &Value,
) -> (StatusCode, HeaderMap, Value) {
    let event = json!({"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": headers, "isBase64Encoded": false, "body": "{}",
        "requestContext": {"accountId": "1", "apiId": "a", "domainName": "f.example", "domainPrefix": "f",
            "http": {"method": method.as_str(), "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "x"},
            "requestId": "r", "routeKey": "$default", "stage": "$default",
            "time": "22/Nov/2026:05:00:00 +0000", "timeEpoch": 1_795_323_600_000_u64}});
    let answer = presign.handle(lambda_http::request::from_str(&event.to_string()).unwrap()).await;
    let (parts, body) = answer.into_parts();
    (parts.status, parts.headers, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn a_grant_has_the_documented_shape_and_its_headers_are_exactly_what_must_be_sent() {
    let stack = idle_stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    let wish =
        json!({"contentType": "image/png", "contentLength": 7, "articleId": "a-1", "fileName": "x.gif"});
    let answer = browser.ask(&wish).await;
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let grant: Value = answer.json().await.unwrap();
    assert_eq!(grant["method"], "PUT");
    assert_eq!(grant["headers"], json!({"Content-Type": "image/png", "If-None-Match": "*"}));
    assert_eq!(grant["articleId"], "a-1");
    assert_eq!((&grant["expiresIn"], &grant["maxBytes"]), (&json!(900), &json!(26_214_400)));
    let key = grant["key"].as_str().unwrap();
    assert!(key.starts_with("raw/articles/a-1/") && key.ends_with(".png"), "{key}");
    assert_eq!(grant["statusUrl"], format!("{}/uploads/{key}", stack.api_url));
    assert!(grant["uploadUrl"].as_str().unwrap().starts_with(&stack.s3_url));
    assert!(grant["expiresAt"].as_str().unwrap().ends_with('Z'));
    let fields: Vec<_> = grant.as_object().unwrap().keys().map(String::as_str).collect();
    let mut documented = [
        "method",
        "uploadUrl",
        "headers",
        "key",
        "articleId",
        "expiresIn",
        "expiresAt",
        "statusUrl",
        "maxBytes",
    ];
    documented.sort_unstable();
    assert_eq!(fields, documented);
}

#[tokio::test]
async fn an_empty_wish_gives_a_url_for_clients_that_send_a_content_type_and_no_more() {
    let stack = stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    let post = browser.http.post(format!("{}/upload-url", stack.api_url)).bearer_auth(&browser.token);
    let grant: Value = post.send().await.unwrap().json().await.unwrap();
    assert_eq!(grant["headers"], json!({"Content-Type": "image/jpeg"}));
    let put = browser.http.put(grant["uploadUrl"].as_str().unwrap()).header("content-type", "image/jpeg");
    let put = put.body(fixture("images/orientation_1.jpg")).send().await.unwrap();
    assert_eq!(put.status(), StatusCode::OK);
    assert_eq!(browser.wait(grant["statusUrl"].as_str().unwrap()).await["status"], "ready");
}

#[tokio::test]
async fn a_second_put_to_the_same_url_gets_412_and_changes_nothing() {
    let stack = idle_stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    let grant = browser.grant(&json!({"contentType": "image/jpeg"})).await;
    assert_eq!(browser.put(&grant, b"first".to_vec()).await.status(), StatusCode::OK);
    assert_eq!(browser.put(&grant, b"second".to_vec()).await.status(), StatusCode::PRECONDITION_FAILED);
    let object = stack.local.objects.get(grant.text("key")).await.unwrap().unwrap();
    assert_eq!(object.bytes().await.unwrap(), "first");
}

#[tokio::test]
async fn the_store_refuses_whatever_was_not_signed() {
    let stack = idle_stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    let digest = "LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564="; // of `foo`
    let wish = json!({"contentType": "image/png", "contentLength": 3, "checksumSha256": digest});
    let grant = browser.grant(&wish).await;
    assert_eq!(grant.0["headers"]["x-amz-checksum-sha256"], digest);
    let url = grant.text("uploadUrl").to_owned();
    let send = async |url: &str, content_type: &str, body: &'static str, more: &[(&str, &str)]| {
        let mut put = browser.http.put(url).header("content-type", content_type).header("if-none-match", "*");
        if !more.iter().any(|(name, _)| *name == "x-amz-checksum-sha256") {
            put = put.header("x-amz-checksum-sha256", digest);
        }
        for (name, value) in more {
            put = put.header(*name, *value);
        }
        put.body(body).send().await.unwrap().status()
    };
    assert_eq!(send(&url, "image/jpeg", "foo", &[]).await, StatusCode::FORBIDDEN, "another type");
    assert_eq!(send(&url, "image/png", "fooo", &[]).await, StatusCode::FORBIDDEN, "a longer body");
    assert_eq!(send(&url, "image/png", "fo", &[]).await, StatusCode::FORBIDDEN, "a shorter body");
    let other_key = url.replace("/raw/", "/raw/x");
    assert_eq!(send(&other_key, "image/png", "foo", &[]).await, StatusCode::FORBIDDEN, "another key");
    let acl = [("x-amz-acl", "public-read")];
    assert_eq!(send(&url, "image/png", "foo", &acl).await, StatusCode::FORBIDDEN, "an added header");
    assert_eq!(send(&url, "image/png", "bar", &[]).await, StatusCode::BAD_REQUEST, "other bytes");
    let signature = url.find("X-Amz-Signature=").unwrap() + "X-Amz-Signature=".len();
    let flipped = if url[signature..].starts_with('0') { "1" } else { "0" };
    let tampered = format!("{}{flipped}{}", &url[..signature], &url[signature + 1..]);
    assert_eq!(send(&tampered, "image/png", "foo", &[]).await, StatusCode::FORBIDDEN, "another signature");
    let longer = url.replace("X-Amz-Expires=900", "X-Amz-Expires=3600");
    assert_eq!(send(&longer, "image/png", "foo", &[]).await, StatusCode::FORBIDDEN, "a longer life");
    let anonymous = url.split('?').next().unwrap();
    assert_eq!(send(anonymous, "image/png", "foo", &[]).await, StatusCode::FORBIDDEN, "no signature");
    assert!(stack.local.objects.get(grant.text("key")).await.unwrap().is_none());
    assert_eq!(send(&url, "image/png", "foo", &[]).await, StatusCode::OK);
}

#[tokio::test]
async fn the_state_of_an_upload_is_told_from_awaiting_to_ready() {
    let stack = idle_stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    let grant = browser.grant(&json!({"contentType": "image/jpeg"})).await;
    let status_url = grant.text("statusUrl").to_owned();
    let ask = async || {
        let answer = browser.get(&status_url).await;
        let pending = answer.headers().contains_key("retry-after");
        (answer.json::<Value>().await.unwrap()["status"].as_str().unwrap().to_owned(), pending)
    };
    assert_eq!(ask().await, ("awaiting_upload".to_owned(), true));
    browser.put(&grant, fixture("images/orientation_1.jpg")).await;
    assert_eq!(ask().await, ("processing".to_owned(), true));
    let message = stack.local.queue.receive(10, 60_000).await.unwrap().remove(0);
    let mut batch = event("s3_put");
    batch.records[0].body = Some(message.body);
    assert!(invoke(&stack, batch).await.batch_item_failures.is_empty());
    assert_eq!(ask().await, ("ready".to_owned(), false));

    let etag = browser.get(&status_url).await.headers()["etag"].clone();
    let again = browser.http.get(&status_url).bearer_auth(&browser.token).header("if-none-match", etag);
    assert_eq!(again.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn an_upload_is_its_owners_alone() {
    let stack = idle_stack().await;
    let ann = Browser::sign_in(&stack, "ann").await;
    let bob = Browser::sign_in(&stack, "bob").await;
    let grant = ann.grant(&json!({"contentType": "image/jpeg", "articleId": "a-1"})).await;
    let status_url = grant.text("statusUrl");
    assert_eq!(ann.get(status_url).await.status(), StatusCode::OK);
    let uuid = &grant.text("key")["raw/articles/a-1/".len()..][..36];
    // One digit of its time: an issue time is no secret.
    let other_uuid = format!("{}{}", &uuid[..35], if uuid.ends_with('0') { "1" } else { "0" });
    let encoded = format!("{}/uploads/{}", stack.api_url, grant.text("key").replace('/', "%2F"));
    assert_eq!(ann.get(&encoded).await.status(), StatusCode::OK);
    for (browser, url) in [
        (&bob, status_url.to_owned()),
        (&ann, status_url.replace("a-1", "a-2")),
        (&ann, status_url.replace(".jpg", "0.jpg")),
        (&ann, format!("{}.jpg", &status_url[..status_url.len() - 5])),
        (&ann, status_url.replace(uuid, &other_uuid)),
        (&ann, format!("{}/uploads/raw/elsewhere.jpg", stack.api_url)),
    ] {
        let answer = browser.get(&url).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{url}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "not_found");
    }
}

#[tokio::test]
async fn without_a_valid_token_every_call_is_401() {
    let stack = idle_stack().await;
    let http = reqwest::Client::new();
    let ann = Browser::sign_in(&stack, "ann").await;
    let tampered = format!("{}x", ann.token);
    for token in [None, Some("nonsense"), Some(tampered.as_str())] {
        for (method, path) in
            [(reqwest::Method::POST, "upload-url"), (reqwest::Method::GET, "uploads/raw/x.jpg")]
        {
            let mut request = http.request(method, format!("{}/{path}", stack.api_url));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(answer.headers()["www-authenticate"], "Bearer");
            let problem: Value = answer.json().await.unwrap();
            assert_eq!((&problem["code"], &problem["status"]), (&json!("unauthorized"), &json!(401)));
        }
    }
}

#[tokio::test]
async fn every_refusal_is_a_problem_document_with_field_and_limit() {
    let stack = idle_stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    for (wish, status, code, field, limit) in [
        (json!([]), 400, "invalid_json", None, None),
        (json!({"size": 1}), 400, "unknown_field", Some("size"), None),
        (json!({"contentType": "image/tiff"}), 415, "unsupported_type", Some("contentType"), None),
        (json!({"contentLength": 0}), 400, "invalid_field", Some("contentLength"), None),
        (
            json!({"contentLength": 26_214_401}),
            413,
            "payload_too_large",
            Some("contentLength"),
            Some(26_214_400),
        ),
        (json!({"fileName": "x".repeat(11_000)}), 413, "payload_too_large", None, Some(10_240)),
    ] {
        let answer = browser.ask(&wish).await;
        assert_eq!(answer.status().as_u16(), status, "{wish}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], code);
        assert_eq!(problem.get("field").and_then(Value::as_str), field);
        assert_eq!(problem.get("limit").and_then(Value::as_u64), limit);
        assert!(problem["detail"].as_str().unwrap().ends_with('.') && problem["title"].is_string());
    }
}

/// The same call in the envelope of each front door, straight to the real handler.
#[tokio::test]
async fn http_api_rest_api_and_function_url_events_are_all_understood() {
    let stack = idle_stack().await;
    let presign = deployed(&stack, &[]);
    let http = |authorizer: Value, stage: &str, path: &str| {
        json!({"version": "2.0", "routeKey": "$default", "rawPath": path,
            "rawQueryString": "", "headers": {"host": "api.example"}, "isBase64Encoded": true, "body": "e30=",
            "requestContext": {"accountId": "1", "apiId": "a", "domainName": "api.example", "domainPrefix": "api",
                "http": {"method": "POST", "path": "/upload-url", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "x"},
                "requestId": "r", "routeKey": "$default", "stage": stage, "time": "22/Nov/2026:05:00:00 +0000",
                "timeEpoch": 1_795_323_600_000_u64, "authorizer": authorizer}})
    };
    let rest = |path: &str| {
        json!({"resource": "/upload-url", "path": "/upload-url", "httpMethod": "POST",
        "headers": {"Host": "api.example"}, "multiValueHeaders": {"Host": ["api.example"]},
        "queryStringParameters": null, "multiValueQueryStringParameters": null, "pathParameters": null,
        "stageVariables": null, "body": "{}", "isBase64Encoded": false,
        "requestContext": {"accountId": "1", "apiId": "a", "stage": "prod", "resourceId": "x", "requestId": "r",
            "resourcePath": "/upload-url", "httpMethod": "POST", "path": path,
            "identity": {"sourceIp": "192.0.2.1"}, "authorizer": {"claims": {"sub": "ann", "email": "a@example"}}}})
    };
    let claims = json!({"jwt": {"claims": {"sub": "ann"}, "scopes": null}});
    for (event, base) in [
        (http(claims.clone(), "$default", "/upload-url"), ""),
        (http(claims.clone(), "prod", "/prod/upload-url"), "/prod"),
        // Behind a domain of one's own, without and with a base path: the stage is not in the URL.
        (http(claims.clone(), "prod", "/upload-url"), ""),
        (http(claims, "prod", "/v1/upload-url"), "/v1"),
        (rest("/prod/upload-url"), "/prod"),
        (rest("/v1/upload-url"), "/v1"),
    ] {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        let answer = presign.handle(request).await;
        let Body::Text(text) = answer.body() else { panic!("no text") };
        assert_eq!(answer.status(), 200, "{text}");
        let grant: Value = serde_json::from_str(text).unwrap();
        let key = grant["key"].as_str().unwrap();
        assert_eq!(grant["statusUrl"], format!("https://api.example{base}/uploads/{key}"));
    }
    let function_url = http(json!({"iam": {"userId": "AIDA"}}), "$default", "/upload-url");
    let request = lambda_http::request::from_str(&function_url.to_string()).unwrap();
    assert_eq!(presign.handle(request).await.status(), 401, "nobody has verified a subject");
}

#[tokio::test]
async fn a_form_has_the_documented_shape_and_s3_answers_it_with_201() {
    let stack = stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    let photo = fixture("images/orientation_1.jpg");
    let wish = json!({"method": "POST", "contentType": "image/jpeg", "contentLength": photo.len()});
    let grant = browser.grant(&wish).await;
    assert_eq!(grant.text("method"), "POST");
    assert!(grant.0.get("headers").is_none(), "a form has fields in place of headers");
    let fields = &grant.0["fields"];
    assert_eq!((&fields["key"], &fields["Content-Type"]), (&grant.0["key"], &json!("image/jpeg")));
    let names: Vec<_> = fields.as_object().unwrap().keys().map(String::as_str).collect();
    let documented = [
        "Content-Type",
        "key",
        "policy",
        "success_action_status",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-signature",
    ];
    assert_eq!(names, documented);
    let posted = browser.post(&grant, photo).await;
    assert_eq!(posted.status(), StatusCode::CREATED);
    assert_eq!(browser.wait(grant.text("statusUrl")).await["status"], "ready");
}

#[tokio::test]
async fn the_store_refuses_whatever_a_form_was_not_signed_for() {
    let stack = idle_stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    let exact = json!({"method": "POST", "contentType": "image/png", "contentLength": 3});
    let grant = browser.grant(&exact).await;
    let post = async |changes: &[(&str, Option<&str>)], body: &str| {
        browser.post_changed(&grant, changes, body.into()).await.status().as_u16()
    };
    assert_eq!(post(&[("Content-Type", Some("image/jpeg"))], "foo").await, 403, "another type");
    assert_eq!(post(&[("Content-Type", None)], "foo").await, 403, "no type");
    assert_eq!(post(&[], "fooo").await, 400, "a longer body: EntityTooLarge");
    assert_eq!(post(&[], "fo").await, 400, "a shorter body: EntityTooSmall");
    assert_eq!(post(&[("key", Some("raw/other.png"))], "foo").await, 403, "another key");
    assert_eq!(post(&[("x-amz-meta-a", Some("b"))], "foo").await, 403, "an added field");
    assert_eq!(post(&[("acl", Some("public-read"))], "foo").await, 403, "an added permission");
    assert_eq!(post(&[("success_action_status", Some("200"))], "foo").await, 403, "another answer");
    assert_eq!(post(&[("x-amz-signature", Some(&"0".repeat(64)))], "foo").await, 403, "another signature");
    let signing = ["policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"];
    assert_eq!(post(&signing.map(|name| (name, None)), "foo").await, 403, "nobody's");
    let policy = STANDARD.decode(grant.0["fields"]["policy"].as_str().unwrap()).unwrap();
    let looser = String::from_utf8(policy).unwrap().replace("range\", 3, 3]", "range\", 3, 9]");
    assert!(looser.contains("3, 9]"));
    let looser = STANDARD.encode(looser);
    assert_eq!(post(&[("policy", Some(&looser))], "foo").await, 403, "another policy");
    assert!(stack.local.objects.get(grant.text("key")).await.unwrap().is_none());
    assert_eq!(post(&[], "foo").await, 201);
    // S3 ignores `If-None-Match` here: the newest counts.
    assert_eq!(post(&[], "bar").await, 201);
    assert_eq!(
        stack.local.objects.get(grant.text("key")).await.unwrap().unwrap().bytes().await.unwrap(),
        "bar"
    );

    let any = browser.grant(&json!({"method": "POST"})).await;
    assert_eq!(browser.post(&any, Vec::new()).await.status().as_u16(), 400, "nothing at all");
    assert_eq!(browser.post(&any, vec![0; 26_214_401]).await.status().as_u16(), 400, "over the limit");
    assert_eq!(browser.post(&any, vec![0; 26_214_400]).await.status().as_u16(), 201);
}

#[tokio::test]
async fn a_forms_checksum_binds_the_body() {
    let stack = idle_stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    let digest = "LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564="; // of `foo`
    let grant = browser.grant(&json!({"method": "POST", "checksumSha256": digest})).await;
    assert_eq!(grant.0["fields"]["x-amz-checksum-sha256"], digest);
    assert_eq!(browser.post(&grant, b"bar".to_vec()).await.status().as_u16(), 400);
    assert_eq!(browser.post(&grant, b"foo".to_vec()).await.status().as_u16(), 201);
}

#[tokio::test]
async fn urls_and_forms_are_refused_once_they_have_expired() {
    let options = Options { url_expiry: Duration::from_secs(1), run_worker: false, ..Options::default() };
    let stack = Stack::start(options).await.unwrap();
    let browser = Browser::sign_in(&stack, "ann").await;
    let put = browser.grant(&json!({"contentType": "image/jpeg"})).await;
    let post = browser.grant(&json!({"method": "POST"})).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(browser.put(&put, b"late".to_vec()).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(browser.post(&post, b"late".to_vec()).await.status(), StatusCode::FORBIDDEN);
    let status = browser.get(put.text("statusUrl")).await.status();
    assert_eq!(status, StatusCode::NOT_FOUND, "nothing came, and nothing can");
}

#[tokio::test]
async fn an_owner_can_read_the_source_again_as_a_file() {
    let stack = idle_stack().await;
    let (ann, bob) = (Browser::sign_in(&stack, "ann").await, Browser::sign_in(&stack, "bob").await);
    let grant = ann.grant(&json!({"contentType": "image/jpeg"})).await;
    let url = format!("{}/download-url?key={}", stack.api_url, grant.text("key"));
    assert_eq!(ann.get(&url).await.status(), StatusCode::NOT_FOUND, "not there yet");
    ann.put(&grant, b"bytes".to_vec()).await;
    for url in [&url, &url.replace("raw/", "raw%2F")] {
        let answer = ann.get(url).await;
        assert_eq!(
            (answer.status(), &answer.headers()["cache-control"]),
            (StatusCode::OK, &"no-store".parse().unwrap())
        );
        let told: Value = answer.json().await.unwrap();
        assert_eq!(told["expiresIn"], 300);
        let file = ann.http.get(told["downloadUrl"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(file.headers()["content-disposition"], "attachment");
        assert_eq!(file.bytes().await.unwrap(), "bytes");
    }
    assert_eq!(bob.get(&url).await.status(), StatusCode::NOT_FOUND);
    put_source(&stack, "raw/elsewhere.jpg", "image/jpeg", b"x".to_vec()).await;
    let foreign = format!("{}/download-url?key=raw/elsewhere.jpg", stack.api_url);
    assert_eq!(ann.get(&foreign).await.status(), StatusCode::NOT_FOUND);
    let answer = ann.get(&format!("{}/download-url", stack.api_url)).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!((&problem["code"], &problem["field"]), (&json!("invalid_field"), &json!("key")));
}

#[tokio::test]
async fn an_owner_can_delete_an_upload_and_again() {
    let stack = idle_stack().await;
    let (ann, bob) = (Browser::sign_in(&stack, "ann").await, Browser::sign_in(&stack, "bob").await);
    let grant = ann.grant(&json!({"contentType": "image/jpeg"})).await;
    ann.put(&grant, b"bytes".to_vec()).await;
    let url = grant.text("statusUrl");
    assert_eq!(bob.delete(url).await.status(), StatusCode::NOT_FOUND);
    assert!(stack.local.objects.get(grant.text("key")).await.unwrap().is_some());
    for _ in 0..2 {
        let answer = ann.delete(url).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert!(!answer.headers().contains_key("content-type") && answer.bytes().await.unwrap().is_empty());
        assert!(stack.local.objects.get(grant.text("key")).await.unwrap().is_none());
    }
    assert_eq!(ann.get(url).await.json::<Value>().await.unwrap()["status"], "awaiting_upload");
}

#[tokio::test]
async fn a_path_with_other_methods_says_so_and_any_other_path_is_not_found() {
    let stack = idle_stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    for (method, path, status, allowed) in [
        (Method::GET, "upload-url", 405, Some("POST")),
        (Method::PUT, "uploads/raw/a.jpg", 405, Some("GET, DELETE")),
        (Method::POST, "download-url", 405, Some("GET")),
        (Method::GET, "uploads", 404, None),
        (Method::GET, "nothing/here", 404, None),
    ] {
        let request = browser.http.request(method, format!("{}/{path}", stack.api_url));
        let answer = request.bearer_auth(&browser.token).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
        assert_eq!(answer.headers().get("allow").map(|value| value.to_str().unwrap()), allowed);
        let code = if status == 405 { "method_not_allowed" } else { "not_found" };
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], code);
    }
}

#[tokio::test]
async fn a_bucket_that_forbids_is_our_fault_and_never_a_missing_upload() {
    let stack = idle_stack().await;
    let stranger = aws_sdk_s3::Client::from_conf(
        stack
            .client
            .config()
            .to_builder()
            .credentials_provider(Credentials::new("a", "b", None, None, "x"))
            .build(),
    );
    let settings = [
        ("BUCKET", "darkroom"),
        ("KEY_SECRET", "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"),
        ("ALLOW_ANONYMOUS", "true"),
    ];
    let find = |name: &str| settings.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
    let presign = Presign::new(presign::Config::from_settings(&find).unwrap(), stranger, credentials());
    let (_, _, grant) = call(&presign, &Method::POST, "/upload-url", &json!({})).await;
    let path = format!("/uploads/{}", Grant(grant).text("key"));
    let (status, _, problem) = call(&presign, &Method::GET, &path, &json!({})).await;
    assert_eq!((status.as_u16(), &problem["code"]), (500, &json!("internal_error")));
}

#[tokio::test]
async fn without_a_token_one_may_upload_where_that_is_allowed_but_never_read_or_delete() {
    let stack = idle_stack().await;
    let presign = deployed(&stack, &[("ALLOW_ANONYMOUS", "true")]);
    let (status, _, grant) = call(&presign, &Method::POST, "/upload-url", &json!({})).await;
    assert_eq!(status, 200);
    let path = format!("/uploads/{}", Grant(grant.clone()).text("key"));
    let (status, _, told) = call(&presign, &Method::GET, &path, &json!({})).await;
    assert_eq!((status.as_u16(), &told["status"]), (200, &json!("awaiting_upload")));
    for (method, path) in [(Method::DELETE, path.as_str()), (Method::GET, "/download-url")] {
        let (status, headers, problem) = call(&presign, &method, path, &json!({})).await;
        assert_eq!((status.as_u16(), &problem["code"]), (401, &json!("unauthorized")), "{method}");
        assert_eq!(headers["www-authenticate"], "Bearer");
    }
    let (status, _, _) = call(&deployed(&stack, &[]), &Method::POST, "/upload-url", &json!({})).await;
    assert_eq!(status, 401, "nobody without a token, unless it is allowed");
}

#[tokio::test]
async fn only_pages_of_the_allowed_origins_may_call_and_never_with_cookies() {
    let stack = idle_stack().await;
    let own = [("ALLOWED_ORIGINS", "https://a.example,https://b.example"), ("ALLOW_ANONYMOUS", "true")];
    let presign = deployed(&stack, &own);
    let ask = async |presign: &Presign, method: Method, origin: &str| {
        let headers = json!({"origin": origin, "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type"});
        let (status, headers, _) = call(presign, &method, "/upload-url", &headers).await;
        assert!(!headers.contains_key("access-control-allow-credentials"));
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_ascii_lowercase());
        let allowed = text("access-control-allow-origin");
        (status.as_u16(), allowed, text("vary").unwrap_or_default(), text("access-control-allow-headers"))
    };
    for origin in ["https://a.example", "https://b.example"] {
        let (status, allowed, vary, headers) = ask(&presign, Method::OPTIONS, origin).await;
        assert_eq!((status, allowed.as_deref()), (200, Some(origin)));
        assert!(vary.contains("origin") && headers.unwrap().contains("authorization"));
        let (status, allowed, vary, _) = ask(&presign, Method::POST, origin).await;
        assert_eq!((status, allowed.as_deref()), (200, Some(origin)));
        assert!(vary.contains("origin"));
    }
    for method in [Method::OPTIONS, Method::POST] {
        let (_, allowed, vary, _) = ask(&presign, method, "https://evil.example").await;
        assert!(allowed.is_none() && vary.contains("origin"));
    }
    let any = deployed(&stack, &[("ALLOWED_ORIGINS", "*"), ("ALLOW_ANONYMOUS", "true")]);
    assert_eq!(ask(&any, Method::POST, "https://c.example").await.1.as_deref(), Some("*"));
    let none = deployed(&stack, &[("ALLOW_ANONYMOUS", "true")]);
    assert_eq!(ask(&none, Method::POST, "https://a.example").await.1, None);
}

#[tokio::test]
async fn a_manifest_tells_of_its_own_source_alone() {
    let stack = idle_stack().await;
    let browser = Browser::sign_in(&stack, "ann").await;
    let grant = browser.grant(&json!({"method": "POST"})).await;
    let state =
        async || browser.get(grant.text("statusUrl")).await.json::<Value>().await.unwrap()["status"].clone();
    let process = async || {
        let message = stack.local.queue.receive(10, 60_000).await.unwrap().remove(0);
        let mut batch = event("s3_put");
        batch.records[0].body = Some(message.body);
        assert!(invoke(&stack, batch).await.batch_item_failures.is_empty());
        stack.local.queue.delete(&message.receipt_handle).await.unwrap();
    };
    browser.post(&grant, b"no photo".to_vec()).await;
    assert_eq!(state().await, "processing");
    process().await;
    assert_eq!(state().await, "rejected");
    browser.post(&grant, fixture("images/orientation_1.jpg")).await;
    assert_eq!(state().await, "processing", "that rejection was of other bytes");
    process().await;
    assert_eq!(state().await, "ready");

    // As the worker writes it on the last receive.
    let source = contract::SourceKey::parse(grant.text("key")).unwrap();
    let manifest = source.manifest();
    let json = stack.local.objects.get(manifest.as_str()).await.unwrap().unwrap().bytes().await.unwrap();
    let mut json: Value = serde_json::from_slice(&json).unwrap();
    json["status"] = "failed".into();
    json["failure"] = json!({"code": "gave_up", "message": "It failed ten times."});
    put_source(&stack, manifest.as_str(), "application/json", json.to_string().into_bytes()).await;
    assert_eq!(state().await, "failed");
}
