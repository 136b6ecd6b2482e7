//! An issuer with real keys behind real HTTP, and every way in which a token can be wrong.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;
use crate::caller::{Caller, identify};

const ISSUER: &str = "https://issuer.example/pool";

/// A private key and its public half as the issuer shows it.
struct Pair {
    key: EncodingKey,
    algorithm: Algorithm,
    public: Value,
}

static RSA: LazyLock<Pair> = LazyLock::new(|| rsa_pair("rsa-1"));

static EC: LazyLock<Pair> = LazyLock::new(|| {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let der = pair.to_pkcs8v1().unwrap();
    Pair::new(&EncodingKey::from_ec_der(der.as_ref()), Algorithm::ES256, "ec-1")
});

fn rsa_pair(kid: &str) -> Pair {
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der = pair.as_der().unwrap();
    // What PKCS #8 wraps around the key of this size has this length.
    Pair::new(&EncodingKey::from_rsa_der(&der.as_ref()[26..]), Algorithm::RS256, kid)
}

impl Pair {
    fn new(key: &EncodingKey, algorithm: Algorithm, kid: &str) -> Self {
        let mut public = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
        public["kid"] = kid.into();
        public["use"] = "sig".into();
        Self { key: key.clone(), algorithm, public }
    }

    fn kid(&self) -> &str {
        self.public["kid"].as_str().unwrap()
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid().to_owned());
        encode(&header, claims, &self.key).unwrap()
    }
}

/// What the issuer answers, and how often it was asked.
#[derive(Clone, Default)]
struct Issuer {
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    fn showing(keys: &[&Pair]) -> Self {
        let issuer = Self::default();
        issuer.show(keys);
        issuer
    }

    fn show(&self, keys: &[&Pair]) {
        let keys: Vec<_> = keys.iter().map(|pair| pair.public.clone()).collect();
        self.answer(200, &json!({ "keys": keys }).to_string());
    }

    fn answer(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn verifier(&self, refresh_after: Duration) -> Verifier {
        let answer = async |State(issuer): State<Self>| {
            issuer.asked.fetch_add(1, Ordering::SeqCst);
            let (status, body) = issuer.answer.lock().unwrap().clone();
            (StatusCode::from_u16(status).unwrap(), body)
        };
        let router = Router::new().route("/keys", get(answer)).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        let settings = [("JWKS_URL", url.as_str()), ("JWT_ISSUER", ISSUER), ("JWT_AUDIENCE", "web, app")];
        let find = |name: &str| settings.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let rules = Rules::from_settings(&find).unwrap().unwrap();
        let keys = Keys::new(rules.jwks_url.clone()).refreshing_after(refresh_after);
        Verifier { rules, keys }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// A valid id token's claims, less or more these.
fn claims(changes: &[(&str, Value)]) -> Value {
    let now_s = Timestamp::now().as_second();
    let mut claims = json!({"sub": "ann", "iss": ISSUER, "aud": "web", "exp": now_s + 600, "nbf": now_s - 1});
    for (name, value) in changes {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(*name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

async fn refused(verifier: &Verifier, token: &str) -> &'static str {
    match verifier.sub(token).await {
        Err(Refusal::Invalid(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn tokens_signed_with_rs256_or_es256_tell_their_subject() {
    let issuer = Issuer::showing(&[&RSA, &EC]);
    let verifier = issuer.verifier(MINUTE).await;
    let access = [("aud", Value::Null), ("client_id", "app".into()), ("token_use", "access".into())];
    for pair in [&*RSA, &EC] {
        for valid in [claims(&[]), claims(&[("aud", json!(["other", "app"]))]), claims(&access)] {
            assert_eq!(verifier.sub(&pair.sign(&valid)).await, Ok("ann".to_owned()), "{valid}");
        }
    }
    assert_eq!(issuer.asked(), 1, "keys are kept");
}

#[tokio::test]
async fn every_claim_that_is_not_right_is_refused_in_its_own_words() {
    let verifier = Issuer::showing(&[&RSA]).verifier(MINUTE).await;
    let now_s = Timestamp::now().as_second();
    for (changes, expected) in [
        (vec![("exp", json!(now_s - 10))], "has expired"),
        (vec![("exp", Value::Null)], "lacks one of"),
        (vec![("exp", json!("tomorrow"))], "lacks one of"),
        (vec![("nbf", json!(now_s + 60))], "not valid yet"),
        (vec![("iss", json!("https://evil.example"))], "another issuer"),
        (vec![("iss", Value::Null)], "lacks one of"),
        (vec![("aud", json!("other"))], "another audience"),
        (vec![("aud", json!(["other"]))], "another audience"),
        (vec![("aud", Value::Null)], "another audience"),
        (vec![("aud", Value::Null), ("client_id", json!("other"))], "another audience"),
        // A client of ours does not make a token for another audience one for us.
        (vec![("aud", json!("other")), ("client_id", json!("web"))], "another audience"),
        (vec![("sub", json!("  "))], "no subject"),
        (vec![("sub", json!(7))], "form is not right"),
        (vec![("sub", Value::Null)], "form is not right"),
    ] {
        let reason = refused(&verifier, &RSA.sign(&claims(&changes))).await;
        assert!(reason.contains(expected), "{changes:?}: {reason}");
    }
}

#[tokio::test]
async fn a_token_that_its_issuer_did_not_sign_is_refused_whatever_it_says_of_its_algorithm() {
    let verifier = Issuer::showing(&[&RSA, &EC]).verifier(MINUTE).await;
    let claims = claims(&[]);
    let unsigned = |alg: &str| {
        let header = json!({"alg": alg, "typ": "JWT", "kid": RSA.kid()});
        format!("{}.{}.", encoded(&header), encoded(&claims))
    };
    for alg in ["none", "None", "NONE", "RS256", "ES256", "HS256", ""] {
        refused(&verifier, &unsigned(alg)).await;
    }
    // With the public key as if it were a shared secret: the well-known confusion.
    for secret in [RSA.public["n"].as_str().unwrap().as_bytes(), RSA.public.to_string().as_bytes()] {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(RSA.kid().to_owned());
        refused(&verifier, &encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap()).await;
    }
    // Another's key under a name of the issuer's, and one kind of key under the name of the other.
    let other = rsa_pair(RSA.kid());
    refused(&verifier, &other.sign(&claims)).await;
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(RSA.kid().to_owned());
    refused(&verifier, &encode(&header, &claims, &EC.key).unwrap()).await;
    // A key of the issuer's with another algorithm than it is for.
    let mut header = Header::new(Algorithm::RS512);
    header.kid = Some(RSA.kid().to_owned());
    refused(&verifier, &encode(&header, &claims, &RSA.key).unwrap()).await;
    // A key that the token brings along.
    let mut header = Header::new(Algorithm::RS256);
    header.jwk = Some(serde_json::from_value(other.public.clone()).unwrap());
    assert!(refused(&verifier, &encode(&header, &claims, &other.key).unwrap()).await.contains("`kid`"));
}

#[tokio::test]
async fn a_token_without_key_name_or_with_unknown_extensions_or_damage_is_refused() {
    let verifier = Issuer::showing(&[&RSA]).verifier(MINUTE).await;
    let plain = encode(&Header::new(Algorithm::RS256), &claims(&[]), &RSA.key).unwrap();
    assert!(refused(&verifier, &plain).await.contains("`kid`"));
    let mut header = Header::new(Algorithm::RS256);
    (header.kid, header.crit) = (Some(RSA.kid().to_owned()), Some(vec!["b64".to_owned()]));
    assert!(
        refused(&verifier, &encode(&header, &claims(&[]), &RSA.key).unwrap()).await.contains("extension")
    );
    let good = RSA.sign(&claims(&[]));
    for at in [0, good.len() / 2, good.len() - 2] {
        let mut damaged = good.clone().into_bytes();
        damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
        refused(&verifier, str::from_utf8(&damaged).unwrap()).await;
    }
    for nonsense in ["", ".", "..", "a.b.c", &good[..good.len() - 1], &good.replace('.', "")] {
        refused(&verifier, nonsense).await;
    }
}

#[tokio::test]
async fn unknown_keys_cost_the_issuer_one_question_a_minute_and_a_new_key_is_then_known() {
    let issuer = Issuer::showing(&[&RSA]);
    let verifier = issuer.verifier(MINUTE).await;
    for _ in 0..5 {
        assert!(refused(&verifier, &EC.sign(&claims(&[]))).await.contains("none of its issuer's"));
    }
    assert_eq!(issuer.asked(), 1);

    let issuer = Issuer::showing(&[&RSA]);
    let verifier = issuer.verifier(Duration::ZERO).await;
    assert!(verifier.sub(&RSA.sign(&claims(&[]))).await.is_ok());
    issuer.show(&[&EC]);
    assert!(verifier.sub(&EC.sign(&claims(&[]))).await.is_ok());
    assert_eq!(issuer.asked(), 2);
    assert!(refused(&verifier, &RSA.sign(&claims(&[]))).await.contains("none of its issuer's"), "withdrawn");
}

#[tokio::test]
async fn an_issuer_that_fails_is_our_fault_until_there_are_keys_and_then_none_at_all() {
    let issuer = Issuer::default();
    for (status, body) in [
        (500, "no"),
        (200, "no JSON"),
        (200, "{}"),
        (200, r#"{"keys":[{"kty":"oct","kid":"rsa-1","k":"AA"}]}"#),
    ] {
        issuer.answer(status, body);
        let verifier = issuer.verifier(Duration::ZERO).await;
        assert_eq!(verifier.sub(&RSA.sign(&claims(&[]))).await, Err(Refusal::Unavailable), "{body}");
    }
    issuer.answer(200, &"x".repeat(300 * 1024));
    let verifier = issuer.verifier(Duration::ZERO).await;
    assert_eq!(verifier.sub(&RSA.sign(&claims(&[]))).await, Err(Refusal::Unavailable), "too long");

    issuer.show(&[&RSA]);
    let verifier = issuer.verifier(Duration::ZERO).await;
    assert!(verifier.sub(&RSA.sign(&claims(&[]))).await.is_ok());
    issuer.answer(500, "no");
    refused(&verifier, &EC.sign(&claims(&[]))).await;
    assert!(verifier.sub(&RSA.sign(&claims(&[]))).await.is_ok(), "what was known still is");
}

#[tokio::test]
async fn keys_that_are_not_for_signatures_of_ours_are_passed_over() {
    for (name, value) in [("use", "enc"), ("alg", "RS512")] {
        let mut public = RSA.public.clone();
        public[name] = value.into();
        let issuer = Issuer::default();
        issuer.answer(200, &json!({ "keys": [public, EC.public, {"kty": "new", "kid": "x"}] }).to_string());
        let verifier = issuer.verifier(MINUTE).await;
        refused(&verifier, &RSA.sign(&claims(&[]))).await;
        assert!(verifier.sub(&EC.sign(&claims(&[]))).await.is_ok());
    }
}

#[test]
fn keys_come_by_https_or_from_this_machine() {
    for good in
        ["https://issuer.example/keys", "http://127.0.0.1:8/k", "http://localhost/k", "http://[::1]/k"]
    {
        assert!(safe_url(good).is_some(), "{good}");
    }
    for bad in ["http://issuer.example/keys", "ftp://127.0.0.1/", "issuer.example/keys", "/keys", "https://"]
    {
        assert!(safe_url(bad).is_none(), "{bad}");
    }
}

/// A call as a Function URL hands it over, with this `Authorization` and what a gateway's authorizer has found.
fn request(authorization: Option<&str>, authorizer: &Value) -> lambda_http::Request {
    let headers = authorization.map_or(json!({}), |value| json!({ "authorization": value }));
    let event = json!({"version": "2.0", "routeKey": "$default", "rawPath": "/upload-url", "rawQueryString": "",
        "headers": headers, "isBase64Encoded": false, "requestContext": {"accountId": "1", "apiId": "a",
            "authorizer": authorizer, "domainName": "f.example", "domainPrefix": "f", "requestId": "r",
            "http": {"method": "POST", "path": "/upload-url", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "x"},
            "routeKey": "$default", "stage": "$default", "time": "22/Nov/2026:05:00:00 +0000",
            "timeEpoch": 1_795_323_600_000_u64}});
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

#[tokio::test]
async fn a_tokens_subject_is_the_caller_and_a_bad_token_is_never_taken_for_none() {
    let verifier = Issuer::showing(&[&RSA]).verifier(MINUTE).await;
    let who = async |authorization: Option<&str>, authorizer: &Value, allow_anonymous: bool| {
        let caller = identify(&request(authorization, authorizer), Some(&verifier), allow_anonymous).await;
        caller.map_err(|problem| problem.code)
    };
    let (none, ann) = (Value::Null, || Caller::Known("ann".to_owned()));
    let good = RSA.sign(&claims(&[]));
    let expired = RSA.sign(&claims(&[("exp", json!(1_000_000_000))]));
    for allow_anonymous in [false, true] {
        for scheme in ["Bearer", "bearer"] {
            let authorization = format!("{scheme} {good}");
            assert_eq!(who(Some(&authorization), &none, allow_anonymous).await, Ok(ann()));
        }
        let authorization = format!("Bearer {expired}");
        assert_eq!(who(Some(&authorization), &none, allow_anonymous).await, Err("unauthorized"));
        // What a gateway has verified needs no second look, and its header may be another's.
        let verified = json!({"jwt": {"claims": {"sub": "bob"}, "scopes": null}});
        let bob = Caller::Known("bob".to_owned());
        assert_eq!(who(Some(&authorization), &verified, allow_anonymous).await, Ok(bob));
    }
    for authorization in [None, Some("Basic YTpi"), Some("Bearer"), Some(good.as_str())] {
        assert_eq!(who(authorization, &none, false).await, Err("unauthorized"), "{authorization:?}");
        assert_eq!(who(authorization, &none, true).await, Ok(Caller::Anonymous), "{authorization:?}");
    }
    let down = Issuer::default().verifier(MINUTE).await;
    let caller = identify(&request(Some(&format!("Bearer {good}")), &none), Some(&down), true).await;
    assert_eq!(caller.map_err(|problem| problem.code), Err("internal_error"));
}
