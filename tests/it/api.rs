//! The HTTP API as a browser sees it, refusals included.

use darkroom_tests::{Browser, event, fixture, idle_stack, invoke, stack};
use lambda_http::Body;
use reqwest::StatusCode;
use serde_json::{Value, json};

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
    let encoded = format!("{}/uploads/{}", stack.api_url, grant.text("key").replace('/', "%2F"));
    assert_eq!(ann.get(&encoded).await.status(), StatusCode::OK);
    for (browser, url) in [
        (&bob, status_url.to_owned()),
        (&ann, status_url.replace("a-1", "a-2")),
        (&ann, status_url.replace(".jpg", "0.jpg")),
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
    let config = presign::Config::from_settings(&|name| match name {
        "BUCKET" => Some("darkroom".to_owned()),
        "KEY_SECRET" => Some("k".repeat(32)),
        _ => None,
    });
    let presign = presign::Presign::new(config.unwrap(), stack.client.clone());
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
