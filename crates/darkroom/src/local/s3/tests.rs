//! The endpoint as clients see it: the AWS SDK and plain HTTP over a socket.

use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials as Keys, Region};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, Delete, EncodingType, MetadataDirective, ObjectIdentifier,
};
use axum::middleware::map_response;
use base64::prelude::{BASE64_STANDARD, Engine};
use contract::Layout;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::StatusCode;
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::local::objects::Put;
use crate::local::{Clock, Local, Options};

const BUCKET: &str = "uploads";
const SECRET: &str = "a secret of the tests";
const HELLO_ETAG: &str = "\"5d41402abc4b2a76b9719d911017c592\"";

struct Endpoint {
    local: Local,
    address: String,
    client: Client,
    http: reqwest::Client,
}

impl Endpoint {
    async fn start(dir: Option<&Path>, layout: Layout) -> Self {
        let options = Options {
            dir: dir.map(Path::to_owned),
            bucket: BUCKET.into(),
            layout,
            max_receive_count: 5,
            clock: Clock::default(),
        };
        let local = Local::open(&options).unwrap();
        let credentials = Credentials { access_key: "local".into(), secret_key: SECRET.into() };
        let router = router(local.objects.clone(), &credentials);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = client(&address, "local", SECRET);
        Self { local, address, client, http: reqwest::Client::new() }
    }

    async fn memory() -> Self {
        Self::start(None, Layout::Flat).await
    }

    fn put(&self, key: &str) -> PutObjectFluentBuilder {
        self.client.put_object().bucket(BUCKET).key(key)
    }

    async fn put_hello(&self, key: &str) {
        self.put(key).body(ByteStream::from_static(b"hello")).send().await.unwrap();
    }

    async fn body(&self, key: &str) -> Vec<u8> {
        let object = self.client.get_object().bucket(BUCKET).key(key).send().await.unwrap();
        object.body.collect().await.unwrap().to_vec()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{BUCKET}/{path}", self.address)
    }

    /// The events that were queued and not yet received.
    async fn events(&self) -> Vec<Value> {
        let messages = self.local.queue.receive(10, 3_600_000).await.unwrap();
        messages.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect()
    }

    async fn assert_nothing_stored(&self) {
        assert_eq!(self.local.objects.list("", "", 10).await.unwrap().len(), 0);
        assert_eq!(self.local.queue.counts().await.unwrap().total(), 0);
    }

    /// Sends what was presigned, with other headers where told.
    async fn send(&self, request: &PresignedRequest, body: &'static str, headers: &[(&str, &str)]) -> Answer {
        let method = request.method().parse().unwrap();
        let mut sent = self.http.request(method, request.uri()).body(body);
        let signed = request.headers().filter(|(name, _)| !headers.iter().any(|(other, _)| other == name));
        for (name, value) in signed.chain(headers.iter().copied()) {
            if name != "content-length" {
                sent = sent.header(name, value);
            }
        }
        Answer::of(sent.send().await.unwrap()).await
    }
}

fn client(address: &str, access_key: &str, secret: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://{address}"))
        .force_path_style(true)
        .credentials_provider(Keys::new(access_key, secret, None, None, "tests"))
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

#[derive(Debug, PartialEq)]
struct Answer {
    status: StatusCode,
    text: String,
}

impl Answer {
    async fn of(response: reqwest::Response) -> Self {
        Self { status: response.status(), text: response.text().await.unwrap() }
    }

    #[track_caller]
    fn assert_refused(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert!(self.text.contains(&format!("<Code>{code}</Code>")), "{}", self.text);
    }
}

fn valid(seconds: u64) -> PresigningConfig {
    PresigningConfig::expires_in(Duration::from_secs(seconds)).unwrap()
}

#[tokio::test]
async fn an_object_comes_back_with_its_bytes_and_metadata_from_memory_and_disk() {
    let dir = tempfile::tempdir().unwrap();
    for dir in [None, Some(dir.path())] {
        let s3 = Endpoint::start(dir, Layout::Flat).await;
        let put = s3.put("processed/a b+é.bin").body(ByteStream::from_static(b"hello"));
        let put = put.content_type("image/avif").cache_control("immutable").metadata("owner", "me");
        let put = put.content_disposition("inline").content_language("da").content_encoding("br");
        assert_eq!(put.send().await.unwrap().e_tag(), Some(HELLO_ETAG));

        let get = s3.client.get_object().bucket(BUCKET).key("processed/a b+é.bin").send().await.unwrap();
        assert_eq!(get.e_tag(), Some(HELLO_ETAG));
        assert_eq!(get.content_type(), Some("image/avif"));
        assert_eq!(get.cache_control(), Some("immutable"));
        assert_eq!(get.content_disposition(), Some("inline"));
        assert_eq!(get.content_language(), Some("da"));
        assert_eq!(get.content_encoding(), Some("br"), "and not aws-chunked");
        assert_eq!(get.metadata().unwrap()["owner"], "me");
        assert_eq!(get.version_id(), None);
        assert_eq!(get.body.collect().await.unwrap().to_vec(), b"hello");

        let head = s3.client.head_object().bucket(BUCKET).key("processed/a b+é.bin").send().await.unwrap();
        assert_eq!((head.content_length(), head.content_type()), (Some(5), Some("image/avif")));
        let age =
            SystemTime::now().duration_since(SystemTime::try_from(*head.last_modified().unwrap()).unwrap());
        assert!(age.unwrap() < Duration::from_secs(60));

        s3.client.delete_object().bucket(BUCKET).key("processed/a b+é.bin").send().await.unwrap();
        s3.client.delete_object().bucket(BUCKET).key("processed/a b+é.bin").send().await.unwrap();
        let gone = s3.client.get_object().bucket(BUCKET).key("processed/a b+é.bin").send().await.unwrap_err();
        assert!(gone.into_service_error().is_no_such_key());
        let gone =
            s3.client.head_object().bucket(BUCKET).key("processed/a b+é.bin").send().await.unwrap_err();
        assert!(gone.into_service_error().is_not_found());
    }
}

#[tokio::test]
async fn bytes_of_no_declared_type_are_binary() {
    let s3 = Endpoint::memory().await;
    let request = s3.put("a").presigned(valid(60)).await.unwrap();
    assert_eq!(s3.send(&request, "hello", &[]).await.status, 200);
    let head = s3.client.head_object().bucket(BUCKET).key("a").send().await.unwrap();
    assert_eq!(head.content_type(), Some("binary/octet-stream"));
}

#[tokio::test]
async fn a_range_is_those_bytes() {
    let s3 = Endpoint::memory().await;
    s3.put_hello("a").await;
    for (range, expected) in
        [("bytes=1-2", "el"), ("bytes=3-", "lo"), ("bytes=-2", "lo"), ("bytes=0-99", "hello")]
    {
        let part = s3.client.get_object().bucket(BUCKET).key("a").range(range).send().await.unwrap();
        assert!(part.content_range().unwrap().ends_with("/5"));
        assert_eq!(part.body.collect().await.unwrap().to_vec(), expected.as_bytes(), "{range}");
    }
    let beyond = s3.client.get_object().bucket(BUCKET).key("a").range("bytes=5-").send().await.unwrap_err();
    assert_eq!(beyond.code(), Some("InvalidRange"));
}

#[tokio::test]
async fn a_reader_that_has_it_is_told_so() {
    let s3 = Endpoint::memory().await;
    s3.put_hello("a").await;
    let get = || s3.client.get_object().bucket(BUCKET).key("a");
    let known = get().if_none_match(HELLO_ETAG).presigned(valid(60)).await.unwrap();
    assert_eq!(
        s3.send(&known, "", &[]).await,
        Answer { status: StatusCode::NOT_MODIFIED, text: String::new() }
    );
    let other = get().if_match("\"other\"").send().await.unwrap_err();
    assert_eq!(other.raw_response().unwrap().status().as_u16(), 412);
    let later = SystemTime::now() + Duration::from_secs(60);
    let unmodified = get().if_modified_since(later.into()).send().await.unwrap_err();
    assert_eq!(unmodified.raw_response().unwrap().status().as_u16(), 304);
    get().if_match(HELLO_ETAG).if_unmodified_since(later.into()).send().await.unwrap();
}

#[tokio::test]
async fn a_presigned_get_may_override_the_response_headers() {
    let s3 = Endpoint::memory().await;
    s3.put_hello("a").await;
    let get = s3.client.get_object().bucket(BUCKET).key("a");
    let get =
        get.response_content_type("text/plain").response_content_disposition("attachment; filename=\"a\"");
    let url = get.presigned(valid(60)).await.unwrap().uri().to_owned();
    let response = s3.http.get(url).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain");
    assert_eq!(response.headers()["content-disposition"], "attachment; filename=\"a\"");
}

#[tokio::test]
async fn of_fifty_writers_of_a_new_key_exactly_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    for dir in [None, Some(dir.path())] {
        let s3 = Endpoint::start(dir, Layout::Flat).await;
        let writers = (0..50).map(|n| {
            let body = ByteStream::from(n.to_string().into_bytes());
            s3.put("raw/a").if_none_match("*").body(body).send()
        });
        let results = futures::future::join_all(writers).await;
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().enumerate().partition(|(_, put)| put.is_ok());
        assert_eq!(won.len(), 1);
        for (_, put) in lost {
            let error = put.unwrap_err();
            assert_eq!(error.code(), Some("PreconditionFailed"));
            assert_eq!(error.raw_response().unwrap().status().as_u16(), 412);
        }
        assert_eq!(s3.body("raw/a").await, won[0].0.to_string().as_bytes());
        assert_eq!(s3.events().await.len(), 1);
    }
}

#[tokio::test]
async fn a_conditional_write_is_judged_by_what_is_there() {
    let s3 = Endpoint::memory().await;
    let absent = s3.put("a").if_match(HELLO_ETAG).send().await.unwrap_err();
    assert_eq!((absent.code(), absent.raw_response().unwrap().status().as_u16()), (Some("NoSuchKey"), 404));
    s3.put_hello("a").await;
    let differs = s3.put("a").if_match("\"other\"").send().await.unwrap_err();
    assert_eq!(
        (differs.code(), differs.raw_response().unwrap().status().as_u16()),
        (Some("PreconditionFailed"), 412)
    );
    s3.put("a").if_match(HELLO_ETAG).body(ByteStream::from_static(b"new")).send().await.unwrap();
    assert_eq!(s3.body("a").await, b"new");
    let delete = |etag: &str| s3.client.delete_object().bucket(BUCKET).key("a").if_match(etag).send();
    assert_eq!(delete(HELLO_ETAG).await.unwrap_err().code(), Some("PreconditionFailed"));
    delete("*").await.unwrap();
    assert_eq!(delete("*").await.unwrap_err().code(), Some("NoSuchKey"));
    let unsupported = s3.put("a").if_none_match(HELLO_ETAG).send().await.unwrap_err();
    assert_eq!(unsupported.code(), Some("NotImplemented"));
}

#[tokio::test]
async fn a_listing_has_pages_prefixes_and_encoded_keys() {
    let s3 = Endpoint::memory().await;
    for key in ["a", "a/b", "b c+é/1", "b c+é/2", "b/1", "b/2", "b/2/3", "c"] {
        s3.put_hello(key).await;
    }
    let list = || s3.client.list_objects_v2().bucket(BUCKET);
    let mut names = Vec::new();
    let mut pages = list().delimiter("/").max_keys(2).into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        sizes.push(page.key_count().unwrap());
        names.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        names.extend(page.common_prefixes().iter().map(|prefix| prefix.prefix().unwrap().to_owned()));
    }
    assert_eq!(names, ["a", "a/", "b c+é/", "b/", "c"]);
    assert_eq!(sizes, [2, 2, 1]);

    let below = list().prefix("b/").delimiter("/").send().await.unwrap();
    assert_eq!(below.contents().iter().map(|it| it.key().unwrap()).collect::<Vec<_>>(), ["b/1", "b/2"]);
    assert_eq!(below.common_prefixes()[0].prefix(), Some("b/2/"));
    assert_eq!(below.contents()[0].e_tag(), Some(HELLO_ETAG));
    assert_eq!(below.contents()[0].size(), Some(5));

    let encoded = list().prefix("b c+é/").encoding_type(EncodingType::Url).send().await.unwrap();
    assert_eq!(encoded.contents()[0].key(), Some("b+c%2B%C3%A9/1"));
    assert_eq!(encoded.prefix(), Some("b+c%2B%C3%A9/"));
    assert_eq!(list().start_after("b/2").send().await.unwrap().key_count(), Some(2));
    assert_eq!(list().max_keys(8).send().await.unwrap().is_truncated(), Some(false));
    assert_eq!(list().max_keys(0).send().await.unwrap().is_truncated(), Some(false));
}

#[tokio::test]
async fn many_are_deleted_at_once() {
    let s3 = Endpoint::memory().await;
    s3.put_hello("a").await;
    s3.put_hello("b").await;
    let ids = ["a", "b", "none"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(ids.into())).build().unwrap();
    let deleted = s3.client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert_eq!((deleted.deleted().len(), deleted.errors().len()), (3, 0));
    s3.assert_nothing_stored().await;
    for (many, refused) in [(1000, false), (1001, true)] {
        let ids = (0..many).map(|n| ObjectIdentifier::builder().key(n.to_string()).build().unwrap());
        let delete = Delete::builder().set_objects(Some(ids.collect())).quiet(true).build().unwrap();
        let done = s3.client.delete_objects().bucket(BUCKET).delete(delete).send().await;
        assert_eq!(
            done.err().as_ref().and_then(ProvideErrorMetadata::code),
            refused.then_some("MalformedXML")
        );
    }
}

#[tokio::test]
async fn a_copy_keeps_or_replaces_the_metadata_and_is_announced() {
    let s3 = Endpoint::memory().await;
    s3.put("a").content_type("image/png").body(ByteStream::from_static(b"hello")).send().await.unwrap();
    let copy = |key: &str| s3.client.copy_object().bucket(BUCKET).key(key).copy_source(format!("{BUCKET}/a"));
    copy("raw/kept").send().await.unwrap();
    let replace = copy("a").metadata_directive(MetadataDirective::Replace).content_type("image/jpeg");
    replace.send().await.unwrap();
    assert_eq!(copy("a").send().await.unwrap_err().code(), Some("InvalidRequest"));
    for (key, content_type) in [("raw/kept", "image/png"), ("a", "image/jpeg")] {
        let head = s3.client.head_object().bucket(BUCKET).key(key).send().await.unwrap();
        assert_eq!((head.content_type(), head.e_tag()), (Some(content_type), Some(HELLO_ETAG)));
    }
    assert_eq!(s3.events().await[0]["Records"][0]["eventName"], "ObjectCreated:Copy");
}

#[tokio::test]
async fn there_is_one_bucket() {
    let s3 = Endpoint::memory().await;
    let buckets = s3.client.list_buckets().send().await.unwrap();
    assert_eq!(buckets.buckets()[0].name(), Some(BUCKET));
    s3.client.head_bucket().bucket(BUCKET).send().await.unwrap();
    s3.client.get_bucket_location().bucket(BUCKET).send().await.unwrap();
    let other = s3.client.put_object().bucket("another").key("a").send().await.unwrap_err();
    assert_eq!(other.code(), Some("NoSuchBucket"));
}

#[tokio::test]
async fn only_the_holder_of_the_key_gets_in() {
    let s3 = Endpoint::memory().await;
    s3.put_hello("a").await;
    Answer::of(s3.http.get(s3.url("a")).send().await.unwrap()).await.assert_refused(403, "AccessDenied");
    Answer::of(s3.http.put(s3.url("b")).body("x").send().await.unwrap())
        .await
        .assert_refused(403, "AccessDenied");
    for (access_key, secret, code) in
        [("local", "wrong", "SignatureDoesNotMatch"), ("other", SECRET, "InvalidAccessKeyId")]
    {
        let client = client(&s3.address, access_key, secret);
        let refused = client.get_object().bucket(BUCKET).key("a").send().await.unwrap_err();
        assert_eq!(refused.code(), Some(code));
    }
}

#[tokio::test]
async fn every_write_is_announced_once_with_the_key_as_s3_encodes_it() {
    let s3 = Endpoint::memory().await;
    s3.put_hello("raw/a b+é.jpg").await;
    s3.put_hello("processed/a").await;
    s3.client.delete_object().bucket(BUCKET).key("raw/a b+é.jpg").send().await.unwrap();
    s3.client.delete_object().bucket(BUCKET).key("raw/a b+é.jpg").send().await.unwrap();
    let events = s3.events().await;
    assert_eq!(events.len(), 2);
    let (created, removed) = (&events[0]["Records"][0], &events[1]["Records"][0]);
    assert_eq!(created["eventName"], "ObjectCreated:Put");
    assert_eq!(created["s3"]["bucket"]["name"], BUCKET);
    let object = &created["s3"]["object"];
    assert_eq!(object["key"], "raw/a+b%2B%C3%A9.jpg");
    assert_eq!((&object["size"], &object["eTag"]), (&5.into(), &HELLO_ETAG.trim_matches('"').into()));
    assert_eq!(removed["eventName"], "ObjectRemoved:Delete");
    assert_eq!(removed["s3"]["object"]["key"], "raw/a+b%2B%C3%A9.jpg");
    assert!(removed["s3"]["object"]["sequencer"].as_str() > object["sequencer"].as_str());
}

#[tokio::test]
async fn the_nested_layout_announces_as_event_bridge_does() {
    let s3 = Endpoint::start(None, Layout::Nested).await;
    s3.put_hello("articles/a/raw/a b+é.jpg").await;
    s3.put_hello("articles/a/processed/x").await;
    let events = s3.events().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["detail"]["object"]["key"], "articles/a/raw/a b+é.jpg");
}

#[tokio::test]
async fn a_presigned_put_works_and_nothing_else_does_with_its_url() {
    let s3 = Endpoint::memory().await;
    let request = s3.put("raw/a b+é.jpg").content_type("image/jpeg").presigned(valid(60)).await.unwrap();

    let other_type = s3.send(&request, "hello", &[("content-type", "image/png")]).await;
    other_type.assert_refused(403, "SignatureDoesNotMatch");
    let get = Answer::of(s3.http.get(request.uri()).send().await.unwrap()).await;
    get.assert_refused(403, "SignatureDoesNotMatch");
    for tampered in [
        request.uri().replace("raw/a", "raw/b"),
        request.uri().replace("X-Amz-Expires=60", "X-Amz-Expires=600"),
        request.uri().replace("X-Amz-SignedHeaders=content-type%3Bhost", "X-Amz-SignedHeaders=host"),
    ] {
        assert_ne!(tampered, request.uri());
        let put = s3.http.put(tampered).header("content-type", "image/jpeg").body("hello");
        Answer::of(put.send().await.unwrap()).await.assert_refused(403, "SignatureDoesNotMatch");
    }
    let acl = s3.send(&request, "hello", &[("x-amz-acl", "public-read"), ("x-amz-meta-a", "b")]).await;
    acl.assert_refused(403, "AccessDenied");
    assert!(acl.text.contains("There were headers present in the request which were not signed"));
    assert!(acl.text.contains("x-amz-acl") && acl.text.contains("x-amz-meta-a"), "{}", acl.text);
    s3.assert_nothing_stored().await;

    let unsigned = [("cache-control", "no-store"), ("x-custom", "1"), ("origin", "http://127.0.0.1")];
    assert_eq!(s3.send(&request, "hello", &unsigned).await.status, 200);
    assert_eq!(s3.body("raw/a b+é.jpg").await, b"hello");
    let head = s3.client.head_object().bucket(BUCKET).key("raw/a b+é.jpg").send().await.unwrap();
    assert_eq!(head.content_type(), Some("image/jpeg"));
    assert_eq!(s3.events().await[0]["Records"][0]["eventName"], "ObjectCreated:Put");
}

#[tokio::test]
async fn signed_amz_headers_are_welcome_and_unsigned_content_types_too() {
    let s3 = Endpoint::memory().await;
    let signed = s3.put("a").metadata("owner", "me").if_none_match("*").presigned(valid(60)).await.unwrap();
    let headers = [("content-type", "image/webp"), ("x-amz-meta-owner", "me")];
    assert_eq!(s3.send(&signed, "hello", &headers).await.status, 200);
    let head = s3.client.head_object().bucket(BUCKET).key("a").send().await.unwrap();
    assert_eq!(head.metadata().unwrap()["owner"], "me");
    assert_eq!(head.content_type(), Some("image/webp"));
    s3.send(&signed, "again", &headers).await.assert_refused(412, "PreconditionFailed");
}

#[tokio::test]
async fn a_signed_length_admits_that_length_only() {
    let s3 = Endpoint::memory().await;
    let request = s3.put("a").content_length(5).presigned(valid(60)).await.unwrap();
    assert!(request.uri().contains("content-length"));
    s3.send(&request, "hello, world", &[]).await.assert_refused(403, "SignatureDoesNotMatch");
    s3.assert_nothing_stored().await;
    assert_eq!(s3.send(&request, "hello", &[]).await.status, 200);
}

#[tokio::test]
async fn a_url_is_good_until_it_expires() {
    let s3 = Endpoint::memory().await;
    let presigned = async |ago: u64, valid: u64| {
        let start = SystemTime::now() - Duration::from_secs(ago);
        let config = PresigningConfig::builder().start_time(start).expires_in(Duration::from_secs(valid));
        s3.put("a").presigned(config.build().unwrap()).await.unwrap()
    };
    let expired = s3.send(&presigned(120, 60).await, "hello", &[]).await;
    expired.assert_refused(403, "AccessDenied");
    assert!(expired.text.contains("Request has expired"));
    s3.assert_nothing_stored().await;
    assert_eq!(s3.send(&presigned(6 * 24 * 3600, 7 * 24 * 3600).await, "hello", &[]).await.status, 200);
    let long = presigned(0, 60).await.uri().replace("X-Amz-Expires=60", "X-Amz-Expires=604801");
    let long = Answer::of(s3.http.put(long).body("hello").send().await.unwrap()).await;
    long.assert_refused(400, "AuthorizationQueryParametersError");
}

#[tokio::test]
async fn checksums_are_judged_before_anything_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let s3 = Endpoint::start(Some(dir.path()), Layout::Flat).await;
    let sha256 = |text: &str| BASE64_STANDARD.encode(<Sha256 as sha2::Digest>::digest(text));
    let other = BASE64_STANDARD.encode([0; 16]);
    let put = || s3.put("raw/a").body(ByteStream::from_static(b"hello"));
    for (refused, code) in [
        (put().checksum_sha256(sha256("other")), "BadDigest"),
        (put().checksum_sha256("AAAA"), "InvalidRequest"),
        (put().checksum_crc32("AAAAAA=="), "BadDigest"),
        (put().checksum_crc32_c("AAAAAA=="), "BadDigest"),
        (put().checksum_sha1("AAAAAAAAAAAAAAAAAAAAAAAAAAA="), "BadDigest"),
        (put().checksum_crc64_nvme("AAAAAAAAAAA="), "BadDigest"),
        (put().content_md5(other), "BadDigest"),
        (put().content_md5("AAAA"), "InvalidDigest"),
    ] {
        assert_eq!(refused.send().await.unwrap_err().code(), Some(code));
    }
    s3.assert_nothing_stored().await;
    assert_eq!(std::fs::read_dir(dir.path().join("blobs")).unwrap().count(), 0);
    put().checksum_sha256(sha256("hello")).send().await.unwrap();
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
    ] {
        put().checksum_algorithm(algorithm).send().await.unwrap();
    }
    put()
        .content_md5(BASE64_STANDARD.encode(<md5::Md5 as md5::Digest>::digest("hello")))
        .send()
        .await
        .unwrap();
}

/// Checksums of `hello`.
const HELLO_CRC32: &str = "NhCmhg==";
const HELLO_CRC64: &str = "M3eFcAZSQlc=";

#[tokio::test]
async fn the_clients_checksum_is_kept_and_told_to_who_asks_for_it() {
    let s3 = Endpoint::memory().await;
    let put = || s3.put("a").body(ByteStream::from_static(b"hello"));
    let head = || s3.client.head_object().bucket(BUCKET).key("a").checksum_mode(ChecksumMode::Enabled).send();
    assert_eq!(put().send().await.unwrap().checksum_crc32(), Some(HELLO_CRC32), "the SDK's own choice");
    let told = head().await.unwrap();
    assert_eq!(told.checksum_crc32(), Some(HELLO_CRC32));
    assert_eq!(told.checksum_type().map(ChecksumType::as_str), Some("FULL_OBJECT"));
    assert_eq!(told.checksum_crc64_nvme(), None, "one is kept");

    put().checksum_algorithm(ChecksumAlgorithm::Crc32C).send().await.unwrap();
    assert_eq!(head().await.unwrap().checksum_crc32_c(), Some("mnG7TA=="));
    put().checksum_algorithm(ChecksumAlgorithm::Sha1).send().await.unwrap();
    assert_eq!(head().await.unwrap().checksum_sha1(), Some("qvTGHdzF6KLavt4PO0gs2a6pQ00="));
    put().checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    assert_eq!(head().await.unwrap().checksum_sha256(), Some("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="));
    put().checksum_algorithm(ChecksumAlgorithm::Crc64Nvme).send().await.unwrap();
    assert_eq!(head().await.unwrap().checksum_crc64_nvme(), Some(HELLO_CRC64));

    let get = || s3.client.get_object().bucket(BUCKET).key("a");
    let whole = get().send().await.unwrap();
    assert_eq!(whole.checksum_crc64_nvme(), Some(HELLO_CRC64), "the SDK asks by itself");
    let part = get().range("bytes=0-4").send().await.unwrap();
    assert_eq!((part.checksum_crc64_nvme(), part.checksum_type()), (None, None));
    let url = get().presigned(valid(60)).await.unwrap();
    let unasked = s3.http.get(url.uri()).send().await.unwrap();
    assert!(!unasked.headers().contains_key("x-amz-checksum-crc64nvme"), "{unasked:?}");

    let both = put().checksum_crc32(HELLO_CRC32).checksum_crc64_nvme(HELLO_CRC64);
    assert_eq!(both.send().await.unwrap_err().code(), Some("InvalidRequest"), "there can be one");
}

#[tokio::test]
async fn an_object_that_came_without_a_checksum_has_crc64nvme() {
    let s3 = Endpoint::memory().await;
    let head = async |key: &str| {
        let head = s3.client.head_object().bucket(BUCKET).key(key).checksum_mode(ChecksumMode::Enabled);
        head.send().await.unwrap()
    };
    let request = s3.put("put").presigned(valid(60)).await.unwrap();
    assert_eq!(s3.send(&request, "hello", &[]).await.status, 200);
    assert_eq!(head("put").await.checksum_crc64_nvme(), Some(HELLO_CRC64));
    assert_eq!(Form::new().answer(&s3).await.status, 201);
    assert_eq!(head("raw/a b.jpg").await.checksum_crc64_nvme(), Some(HELLO_CRC64));

    let copy = |from: &str| s3.client.copy_object().bucket(BUCKET).copy_source(format!("{BUCKET}/{from}"));
    s3.put_hello("crc32").await;
    let copied = copy("crc32").key("kept").send().await.unwrap();
    assert_eq!(copied.copy_object_result().unwrap().checksum_crc32(), Some(HELLO_CRC32));
    assert_eq!(head("kept").await.checksum_crc32(), Some(HELLO_CRC32));
    copy("crc32").key("other").checksum_algorithm(ChecksumAlgorithm::Crc64Nvme).send().await.unwrap();
    assert_eq!(head("other").await.checksum_crc64_nvme(), Some(HELLO_CRC64));
    s3.local.objects.put("unknown", b"hello", Put::default()).await.unwrap();
    assert_eq!(head("unknown").await.checksum_type(), None);
    copy("unknown").key("known").send().await.unwrap();
    assert_eq!(head("known").await.checksum_crc64_nvme(), Some(HELLO_CRC64));
}

#[tokio::test]
async fn a_body_that_changes_on_its_way_out_is_found_out_by_the_reader() {
    let s3 = Endpoint::memory().await;
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    s3.put("crc32").body(bytes.clone().into()).send().await.unwrap();
    let url = s3.put("crc64nvme").presigned(valid(60)).await.unwrap();
    assert_eq!(s3.http.put(url.uri()).body(bytes.clone()).send().await.unwrap().status(), 200);

    let credentials = Credentials { access_key: "local".into(), secret_key: SECRET.into() };
    let flip = async |response: Response| {
        let (parts, body) = response.into_parts();
        let mut body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        body[70_000] ^= 1;
        Response::from_parts(parts, Body::from(body))
    };
    let router = router(s3.local.objects.clone(), &credentials).layer(map_response(flip));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let flipped = client(&listener.local_addr().unwrap().to_string(), "local", SECRET);
    tokio::spawn(async move { axum::serve(listener, router).await });
    for key in ["crc32", "crc64nvme"] {
        assert_eq!(s3.body(key).await, bytes);
        let object = flipped.get_object().bucket(BUCKET).key(key).send().await.unwrap();
        let error = object.body.collect().await.unwrap_err();
        assert!(format!("{error:?}").contains("ChecksumMismatch"), "{error:?}");
    }
}

#[tokio::test]
async fn a_presigned_checksum_binds_the_body() {
    let s3 = Endpoint::memory().await;
    let sum = BASE64_STANDARD.encode(<Sha256 as sha2::Digest>::digest("hello"));
    let request = s3.put("a").checksum_sha256(sum).presigned(valid(60)).await.unwrap();
    s3.send(&request, "other", &[]).await.assert_refused(400, "BadDigest");
    s3.assert_nothing_stored().await;
    assert_eq!(s3.send(&request, "hello", &[]).await.status, 200);
}

#[tokio::test]
async fn a_body_cut_short_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let s3 = Endpoint::start(Some(dir.path()), Layout::Flat).await;
    let request = s3.put("raw/a").presigned(valid(60)).await.unwrap();
    let path = request.uri().split_once(&s3.address).unwrap().1.to_owned();
    let head = format!("PUT {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: 1000000\r\n\r\n", s3.address);

    let mut connection = TcpStream::connect(&s3.address).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&[7; 500_000]).await.unwrap();
    connection.shutdown().await.unwrap();
    let mut answer = String::new();
    let _ = connection.read_to_string(&mut answer).await;
    assert!(!answer.contains("200 OK"), "{answer}");

    let mut connection = TcpStream::connect(&s3.address).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&[7; 500_000]).await.unwrap();
    drop(connection);

    let blobs = || std::fs::read_dir(dir.path().join("blobs")).unwrap().count();
    for _ in 0..200 {
        if blobs() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(blobs(), 0);
    s3.assert_nothing_stored().await;
}

#[tokio::test]
async fn a_body_of_unknown_length_is_refused() {
    let s3 = Endpoint::memory().await;
    let request = s3.put("a").presigned(valid(60)).await.unwrap();
    let path = request.uri().split_once(&s3.address).unwrap().1.to_owned();
    let text = format!(
        "PUT {path} HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        s3.address
    );
    let mut connection = TcpStream::connect(&s3.address).await.unwrap();
    connection.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 411"), "{answer}");
    assert!(answer.contains("MissingContentLength"), "{answer}");
}

#[tokio::test]
async fn keys_are_as_long_as_s3_has_them() {
    let s3 = Endpoint::memory().await;
    s3.put_hello(&"k".repeat(1024)).await;
    let long = s3.put(&"k".repeat(1025)).send().await.unwrap_err();
    assert_eq!(long.code(), Some("KeyTooLongError"));
}

#[tokio::test]
async fn a_browser_may_ask_first_and_read_the_etag() {
    let s3 = Endpoint::memory().await;
    let ask = s3.http.request(Method::OPTIONS, s3.url("raw/a")).header("origin", "http://127.0.0.1:5173");
    let ask = ask.header("access-control-request-method", "PUT");
    let ask = ask.header("access-control-request-headers", "content-type,if-none-match,x-amz-meta-a");
    let answer = ask.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    assert_eq!(answer.headers()["access-control-allow-methods"], "GET,PUT,POST,HEAD");
    assert_eq!(answer.headers()["access-control-allow-headers"], "content-type,if-none-match,x-amz-meta-a");
    assert_eq!(answer.headers()["access-control-max-age"], "3000");
    let refused = s3.http.get(s3.url("a")).header("origin", "http://127.0.0.1:5173").send().await.unwrap();
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.headers()["access-control-allow-origin"], "*", "errors can be read too");
    assert_eq!(refused.headers()["access-control-expose-headers"], "etag,location,x-amz-version-id");
}

/// A form as a browser sends it, with a policy signed `age_secs` ago that ends in an hour.
struct Form {
    age_secs: i64,
    expires_in_secs: i64,
    conditions: Value,
    fields: Vec<(&'static str, &'static str)>,
    file: &'static str,
}

impl Form {
    fn new() -> Self {
        let conditions = serde_json::json!([
            { "bucket": BUCKET },
            { "key": "raw/a b.jpg" },
            { "Content-Type": "image/jpeg" },
            { "success_action_status": "201" },
            ["content-length-range", 3, 10],
        ]);
        let fields =
            vec![("key", "raw/a b.jpg"), ("Content-Type", "image/jpeg"), ("success_action_status", "201")];
        Self { age_secs: 0, expires_in_secs: 3600, conditions, fields, file: "hello" }
    }

    async fn send(&self, s3: &Endpoint) -> reqwest::Response {
        let now = jiff::Timestamp::now();
        let signed = now - jiff::SignedDuration::from_secs(self.age_secs);
        let date = signed.strftime("%Y%m%d").to_string();
        let amz_date = signed.strftime("%Y%m%dT%H%M%SZ").to_string();
        let credential = format!("local/{date}/us-east-1/s3/aws4_request");
        let mut conditions = self.conditions.as_array().unwrap().clone();
        conditions.push(serde_json::json!({ "x-amz-algorithm": "AWS4-HMAC-SHA256" }));
        conditions.push(serde_json::json!({ "x-amz-credential": credential }));
        conditions.push(serde_json::json!({ "x-amz-date": amz_date }));
        let expiration = now + jiff::SignedDuration::from_secs(self.expires_in_secs);
        let policy =
            serde_json::json!({ "expiration": format!("{expiration:.3}"), "conditions": conditions });
        let policy = BASE64_STANDARD.encode(policy.to_string());
        let key = [&*date, "us-east-1", "s3", "aws4_request"]
            .iter()
            .fold(format!("AWS4{SECRET}").into_bytes(), |key, part| sign(&key, part));
        let signature: String = sign(&key, &policy).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut fields: Vec<(&str, &str)> = self.fields.clone();
        fields.push(("x-amz-algorithm", "AWS4-HMAC-SHA256"));
        fields.push(("x-amz-credential", &credential));
        fields.push(("x-amz-date", &amz_date));
        fields.push(("policy", &policy));
        fields.push(("x-amz-signature", &signature));
        let mut body = String::new();
        for (name, value) in fields {
            body += &format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        body += "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n";
        body += &format!("Content-Type: image/png\r\n\r\n{}\r\n--b--\r\n", self.file);
        let post = s3.http.post(format!("http://{}/{BUCKET}", s3.address));
        post.header("content-type", "multipart/form-data; boundary=b").body(body).send().await.unwrap()
    }

    async fn answer(&self, s3: &Endpoint) -> Answer {
        Answer::of(self.send(s3).await).await
    }
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[tokio::test]
async fn a_form_upload_is_answered_and_announced_as_such() {
    let s3 = Endpoint::memory().await;
    let response = Form::new().send(&s3).await;
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["etag"], HELLO_ETAG);
    let location = s3.url("raw/a%20b.jpg");
    assert_eq!(response.headers()["location"], location);
    let text = response.text().await.unwrap();
    assert!(text.contains(&format!("<Location>{location}</Location>")), "{text}");
    assert!(text.contains("<Key>raw/a b.jpg</Key>"), "{text}");
    let head = s3.client.head_object().bucket(BUCKET).key("raw/a b.jpg").send().await.unwrap();
    assert_eq!(head.content_type(), Some("image/jpeg"), "of the field, not of the file's part");
    let event = &s3.events().await[0]["Records"][0];
    assert_eq!(
        (&event["eventName"], &event["s3"]["object"]["size"]),
        (&"ObjectCreated:Post".into(), &5.into())
    );
}

#[tokio::test]
async fn a_form_upload_has_the_status_that_was_asked_for() {
    let s3 = Endpoint::memory().await;
    for (status, expected) in [("200", 200), ("204", 204), ("999", 204)] {
        let mut form = Form::new();
        form.fields[2].1 = status;
        form.conditions[3] = serde_json::json!({ "success_action_status": status });
        assert_eq!(form.send(&s3).await.status(), expected);
    }
}

#[tokio::test]
async fn a_policy_is_good_until_it_expires() {
    let s3 = Endpoint::memory().await;
    let old = Form { age_secs: 6 * 24 * 3600, ..Form::new() };
    assert_eq!(old.answer(&s3).await.status, 201);
    let expired = Form { age_secs: 3600, expires_in_secs: -1, ..Form::new() };
    expired.answer(&s3).await.assert_refused(403, "AccessDenied");
}

#[tokio::test]
async fn a_form_that_is_not_what_was_signed_is_refused() {
    let s3 = Endpoint::memory().await;
    let with_field = |at: usize, value| {
        let mut form = Form::new();
        form.fields[at].1 = value;
        form
    };
    let mut extra = Form::new();
    extra.fields.push(("x-amz-meta-a", "b"));
    for (form, status, code) in [
        (with_field(0, "raw/other.jpg"), 403, "AccessDenied"),
        (with_field(1, "text/html"), 403, "AccessDenied"),
        (extra, 403, "AccessDenied"),
        (Form { file: "hello, world", ..Form::new() }, 400, "EntityTooLarge"),
        (Form { file: "h", ..Form::new() }, 400, "EntityTooSmall"),
    ] {
        form.answer(&s3).await.assert_refused(status, code);
    }
    s3.assert_nothing_stored().await;
}

#[tokio::test]
async fn an_upload_outlives_the_process_with_its_event() {
    let dir = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let s3 = Endpoint::start(Some(dir.path()), Layout::Flat).await;
    s3.put_hello("raw/a").await;
    // What a process that is killed now leaves: the folder as it is, nothing closed.
    std::fs::create_dir(copy.path().join("blobs")).unwrap();
    for file in std::fs::read_dir(dir.path().join("blobs")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join("blobs").join(file.file_name())).unwrap();
    }
    std::fs::copy(dir.path().join("state.redb"), copy.path().join("state.redb")).unwrap();
    let s3 = Endpoint::start(Some(copy.path()), Layout::Flat).await;
    assert_eq!(s3.body("raw/a").await, b"hello");
    assert_eq!(s3.events().await.len(), 1);
}
