//! `GET /uploads/{key+}`: what became of an upload. Ownership is the key's mac, checked before any
//! call to S3; another's upload and one that never was look alike.

use std::time::Duration;

use contract::manifest::{Outcome, Rejection};
use contract::{Manifest, UploadKey};
use jiff::{SignedDuration, Timestamp};
use lambda_http::Request;
use lambda_http::http::StatusCode;
use lambda_http::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::Answer;
use crate::caller::Caller;
use crate::config::Config;
use crate::objects::{Objects, SourceVersion};
use crate::problem::Problem;

/// Seconds between two questions about an upload that is not final: at first, and at most.
const RETRY_AFTER_S: std::ops::RangeInclusive<i64> = 1..=10;
/// So many seconds of processing ask for one more between questions. In a backlog everybody asks again and again, and must leave
/// something of the API to those who want to upload.
const PATIENCE_S: i64 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    AwaitingUpload,
    Processing,
    Ready,
    Rejected,
    Failed,
}

#[derive(Serialize)]
struct Told<'a> {
    status: State,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<&'a Manifest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<&'a Rejection>,
}

pub async fn tell(
    config: &Config,
    objects: &Objects,
    request: &Request,
    key: &str,
    caller: &Caller,
) -> Result<Answer, Problem> {
    let upload = caller.upload(key, &config.key_secrets)?;
    let manifest_key = upload.source().manifest();
    let (manifest, source) =
        tokio::try_join!(objects.manifest(&manifest_key), objects.source(upload.source()))?;
    let expired = has_expired(&upload, config.url_expiry);
    let state = decide(manifest.as_ref(), source.as_ref(), expired).ok_or_else(Problem::no_such_upload)?;
    let manifest = manifest.filter(|_| matches!(state, State::Ready | State::Rejected | State::Failed));
    let rejection = manifest.as_ref().and_then(|manifest| match &manifest.outcome {
        Outcome::Rejected { rejection } => Some(rejection),
        Outcome::Ready { .. } | Outcome::Failed { .. } | Outcome::Removed => None,
    });
    let told = Told { status: state, key: upload.source().as_str(), manifest: manifest.as_ref(), rejection };
    let waits_since_s = source.map(|source| source.modified_s);
    Ok(answer(request, &told, retry_after_s(waits_since_s, Timestamp::now().as_second())))
}

/// How long to wait before the next question.
fn retry_after_s(waits_since_s: Option<i64>, now_s: i64) -> i64 {
    let waited_s = waits_since_s.map_or(0, |since_s| now_s.saturating_sub(since_s));
    (waited_s / PATIENCE_S).clamp(*RETRY_AFTER_S.start(), *RETRY_AFTER_S.end())
}

fn has_expired(upload: &UploadKey, url_expiry: Duration) -> bool {
    // The difference, since a sum could be beyond what a time can be.
    let age = Timestamp::now().duration_since(upload.issued_at());
    SignedDuration::try_from(url_expiry).is_ok_and(|expiry| age > expiry)
}

/// `None` where there is nothing, and can be nothing any more.
fn decide(manifest: Option<&Manifest>, source: Option<&SourceVersion>, expired: bool) -> Option<State> {
    let of_this_source = |manifest: &Manifest| source.is_none_or(|source| tells_of(manifest, source));
    match manifest.filter(|manifest| of_this_source(manifest)).map(|manifest| &manifest.outcome) {
        // What is published stands until the worker has seen that the source is gone.
        Some(Outcome::Ready { .. }) => Some(State::Ready),
        Some(Outcome::Rejected { .. }) => Some(State::Rejected),
        Some(Outcome::Failed { .. }) => Some(State::Failed),
        Some(Outcome::Removed) | None if source.is_some() => Some(State::Processing),
        Some(Outcome::Removed) | None => (!expired).then_some(State::AwaitingUpload),
    }
}

/// Whether a manifest is of the source as it is now. Without versions, the same bytes written again look
/// the same; but what was refused or given up before they were written is due again.
fn tells_of(manifest: &Manifest, source: &SourceVersion) -> bool {
    let same = manifest.source.etag == source.etag && manifest.source.version_id == source.version_id;
    let older = source.version_id.is_none() && manifest.processed_at.as_second() < source.modified_s;
    same && (matches!(manifest.outcome, Outcome::Ready { .. }) || !older)
}

fn answer(request: &Request, told: &Told, retry_after_s: i64) -> Answer {
    let answer = Answer::json(StatusCode::OK, told);
    let etag = etag(&answer.body);
    let known = request.headers().get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let unchanged = known.flat_map(|list| list.split(',')).any(|known| same_etag(known, &etag));
    let answer = match unchanged {
        true => Answer { status: StatusCode::NOT_MODIFIED, body: Vec::new(), ..answer },
        false => answer,
    };
    let answer = answer.with(ETAG, etag).with(CACHE_CONTROL, "private, no-cache");
    match told.status {
        State::AwaitingUpload | State::Processing => answer.with(RETRY_AFTER, retry_after_s.to_string()),
        State::Ready | State::Rejected | State::Failed => answer,
    }
}

fn etag(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let hex: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

/// Weak comparison: gateways that compress turn a strong ETag into a weak one.
fn same_etag(known: &str, etag: &str) -> bool {
    let known = known.trim();
    known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(status: &str, etag: &str) -> Manifest {
        let mut json = serde_json::json!({
            "schema": 1, "status": status, "revision": "3f9a0c12be77", "recipe": "0123456789abcdef",
            "source": {"key": "raw/a.jpg", "etag": etag, "size": 1}, "processedAt": "2026-11-22T05:00:00Z",
        });
        json["renditions"] = serde_json::json!([]);
        json["placeholder"] = serde_json::json!({"thumbhash": "", "color": "#000000"});
        json["rejection"] = serde_json::json!({"code": "corrupt", "message": "m"});
        json["failure"] = serde_json::json!({"code": "gave_up", "message": "m"});
        Manifest::parse(json.to_string().as_bytes()).unwrap()
    }

    fn decided(status: Option<&str>, source: Option<&str>, expired: bool) -> Option<State> {
        let manifest = status.map(|status| manifest(status, "e"));
        let source = source.map(|etag| SourceVersion { etag: etag.into(), version_id: None, modified_s: 0 });
        decide(manifest.as_ref(), source.as_ref(), expired)
    }

    #[test]
    fn the_state_follows_from_manifest_source_and_clock() {
        let table = [
            (None, None, false, Some(State::AwaitingUpload)),
            (None, None, true, None),
            (None, Some("e"), true, Some(State::Processing)),
            (Some("ready"), Some("e"), true, Some(State::Ready)),
            (Some("rejected"), Some("e"), true, Some(State::Rejected)),
            (Some("failed"), Some("e"), true, Some(State::Failed)),
            (Some("ready"), None, true, Some(State::Ready)),
            (Some("ready"), Some("newer"), true, Some(State::Processing)),
            (Some("failed"), Some("newer"), true, Some(State::Processing)),
            (Some("removed"), None, true, None),
            (Some("removed"), None, false, Some(State::AwaitingUpload)),
            (Some("removed"), Some("e"), true, Some(State::Processing)),
        ];
        for (status, source, expired, state) in table {
            assert_eq!(decided(status, source, expired), state, "{status:?} {source:?} {expired}");
        }
    }

    #[test]
    fn a_failure_from_before_the_same_bytes_came_again_is_not_told_of_them() {
        let written_later = SourceVersion { etag: "e".into(), version_id: None, modified_s: i64::MAX };
        for (status, state) in
            [("failed", State::Processing), ("rejected", State::Processing), ("ready", State::Ready)]
        {
            assert_eq!(decide(Some(&manifest(status, "e")), Some(&written_later), true), Some(state));
        }
    }

    #[test]
    fn the_longer_an_upload_waits_the_less_often_it_is_asked_for() {
        let after_s = |waited_s: i64| retry_after_s(Some(1_800_000_000), 1_800_000_000 + waited_s);
        assert_eq!([-5, 0, 19, 20, 60, 100, i64::MAX / 2].map(after_s), [1, 1, 1, 2, 6, 10, 10]);
        assert_eq!(retry_after_s(None, 1_800_000_000), 1, "nothing has been uploaded yet");
    }

    #[test]
    fn etags_are_compared_weakly() {
        assert!(same_etag(" W/\"a\"", "\"a\""));
        assert!(same_etag("*", "\"a\""));
        assert!(!same_etag("\"b\"", "\"a\""));
    }
}
