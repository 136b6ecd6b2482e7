//! `POST /upload-url`: from a caller's wishes to a URL with the limits signed in. Every field is
//! checked before anything is signed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contract::{ArticleId, MediaType, UploadKey};
use jiff::Timestamp;
use lambda_http::Request;
use lambda_http::http::{StatusCode, Uri};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::config::Config;
use crate::objects::{Headers, Length, Means, Objects, Terms, With};
use crate::policy::Fields;
use crate::problem::Problem;
use crate::{Answer, Counted};

const MAX_BODY_BYTES: usize = 10 * 1024;
const FIELDS: [&str; 6] =
    ["contentType", "contentLength", "checksumSha256", "articleId", "method", "fileName"];

/// What the caller asked for, checked.
struct Wish {
    method: Method,
    terms: Terms,
    article_id: Option<ArticleId>,
    /// Nothing was asked for: the plainest URL, for clients that send a content type and no more.
    plain: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Put,
    Post,
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::Put => "PUT",
            Self::Post => "POST",
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UploadUrl<'a> {
    method: &'static str,
    upload_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Headers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Fields>,
    key: &'a str,
    article_id: &'a str,
    expires_in: u64,
    expires_at: Timestamp,
    status_url: String,
    max_bytes: u64,
}

pub async fn issue(
    config: &Config,
    objects: &Objects,
    request: &Request,
    base: &str,
    owner: &str,
) -> Result<Answer, Problem> {
    let wish = Wish::parse(request.body().as_ref(), config.max_source_bytes)?;
    let Wish { method, terms, article_id, plain } = wish;
    let article_id = match article_id {
        Some(article_id) => article_id,
        // Not by time: S3 splits its load by the beginnings of keys, and those of one moment would all be in one part.
        None => ArticleId::parse(&Uuid::new_v4().to_string()).ok_or_else(Problem::internal)?,
    };
    let (layout, secrets) = (config.layout, &config.key_secrets);
    let key = UploadKey::issue(layout, secrets, owner, article_id, Uuid::now_v7(), terms.media_type);
    let key = key.ok_or_else(Problem::internal)?;
    let means = match method {
        Method::Put => Means::Put { write_once: !plain },
        Method::Post => Means::Post,
    };
    let signed = objects.sign_upload(&key, means, &terms, config.url_expiry).await?;
    let (headers, fields) = match signed.with {
        With::Headers(headers) => (Some(headers), None),
        With::Fields(fields) => (None, Some(fields)),
    };
    let told = UploadUrl {
        method: method.name(),
        upload_url: signed.url,
        headers,
        fields,
        key: key.source().as_str(),
        article_id: key.article_id().as_str(),
        expires_in: signed.expires_in.as_secs(),
        expires_at: signed.expires_at,
        status_url: status_url(request.uri(), base, key.source().as_str()),
        max_bytes: config.max_source_bytes,
    };
    let counted = Counted::Issued { method: method.name(), content_type: terms.media_type.content_type() };
    Ok(Answer { counted, ..Answer::json(StatusCode::OK, &told) })
}

/// Beside this call, wherever the gateway has put it. Issued keys need no encoding.
fn status_url(uri: &Uri, base: &str, key: &str) -> String {
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme), Some(authority)) => format!("{scheme}://{authority}{base}/uploads/{key}"),
        _ => format!("{base}/uploads/{key}"),
    }
}

impl Wish {
    fn parse(body: &[u8], max_source_bytes: u64) -> Result<Self, Problem> {
        let fields = object(body)?;
        if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(Problem::unknown_field(unknown, &FIELDS));
        }
        let method = match text(&fields, "method")? {
            None | Some("PUT") => Method::Put,
            Some("POST") => Method::Post,
            Some(_) => return Err(Problem::invalid_field("method", "`PUT` or `POST`")),
        };
        let terms = Terms {
            media_type: media_type(&fields)?,
            length: length(&fields, max_source_bytes)?,
            checksum_sha256: checksum(&fields)?,
        };
        Ok(Self { method, terms, article_id: article_id(&fields)?, plain: fields.is_empty() })
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    if body.len() > MAX_BODY_BYTES {
        return Err(Problem::too_large(None, "The request", body.len() as u64, MAX_BODY_BYTES as u64));
    }
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Problem::invalid_json("The body must be a JSON object.")),
        Err(error) => Err(Problem::invalid_json(format!("The body is not JSON: {error}."))),
    }
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Problem> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Problem::invalid_field(name, "a string")),
    }
}

/// As told; else guessed from the file's name; else JPEG.
fn media_type(fields: &Map<String, Value>) -> Result<MediaType, Problem> {
    let refused = |field| Problem::unsupported_type(field, &MediaType::accepted());
    let told = text(fields, "contentType")?;
    let file_name = text(fields, "fileName")?;
    match (told, file_name) {
        (Some(told), _) => MediaType::from_content_type(told).ok_or_else(|| refused("contentType")),
        (None, Some(name)) => MediaType::from_file_name(name).ok_or_else(|| refused("fileName")),
        (None, None) => Ok(MediaType::Jpeg),
    }
}

fn length(fields: &Map<String, Value>, max_bytes: u64) -> Result<Length, Problem> {
    let Some(value) = fields.get("contentLength") else { return Ok(Length::UpTo(max_bytes)) };
    match whole(value) {
        Some(bytes) if bytes > max_bytes => {
            Err(Problem::too_large(Some("contentLength"), "The file", bytes, max_bytes))
        }
        Some(bytes) if bytes > 0 => Ok(Length::Exactly(bytes)),
        _ => Err(Problem::invalid_field("contentLength", "a whole number of bytes, at least 1")),
    }
}

/// Some write whole numbers with a point, and to JSON `7.0` is one.
fn whole(value: &Value) -> Option<u64> {
    const LARGEST: f64 = 9_007_199_254_740_991.0; // beyond it, neighbours look alike
    let pointed =
        || value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..=LARGEST).contains(number));
    value.as_u64().or_else(|| pointed().map(|number| number as u64))
}

fn checksum(fields: &Map<String, Value>) -> Result<Option<String>, Problem> {
    let Some(base64) = text(fields, "checksumSha256")? else { return Ok(None) };
    match STANDARD.decode(base64) {
        Ok(digest) if digest.len() == 32 => Ok(Some(base64.to_owned())),
        _ => Err(Problem::invalid_field("checksumSha256", "the base64 of a SHA-256, 32 bytes")),
    }
}

fn article_id(fields: &Map<String, Value>) -> Result<Option<ArticleId>, Problem> {
    let Some(told) = text(fields, "articleId")? else { return Ok(None) };
    ArticleId::parse(told).map(Some).ok_or_else(|| Problem::invalid_field("articleId", ArticleId::RULE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &str) -> (&'static str, Option<String>) {
        let problem = Wish::parse(body.as_bytes(), 1000).err().expect(body);
        let code = problem.code;
        let document = serde_json::to_value(problem.document()).unwrap();
        (code, document["field"].as_str().map(str::to_owned))
    }

    #[test]
    fn an_empty_body_is_the_plainest_wish() {
        for body in ["", "{}", " { } "] {
            let wish = Wish::parse(body.as_bytes(), 1000).ok().unwrap();
            assert!(wish.plain);
            assert_eq!((wish.method, wish.terms.media_type), (Method::Put, MediaType::Jpeg));
        }
    }

    #[test]
    fn the_type_is_told_or_guessed_from_the_file_name() {
        let media_type = |body: &str| Wish::parse(body.as_bytes(), 1000).ok().unwrap().terms.media_type;
        assert_eq!(media_type(r#"{"contentType":"image/webp","fileName":"a.png"}"#), MediaType::Webp);
        assert_eq!(media_type(r#"{"fileName":"a.PNG"}"#), MediaType::Png);
        assert_eq!(media_type(r#"{"contentLength":5}"#), MediaType::Jpeg);
    }

    #[test]
    fn every_bad_field_is_refused_by_its_name() {
        let field = |name: &str| Some(name.to_owned());
        assert_eq!(code("{"), ("invalid_json", None));
        assert_eq!(code(" "), ("invalid_json", None));
        assert_eq!(code("[]"), ("invalid_json", None));
        assert_eq!(code("null"), ("invalid_json", None));
        assert_eq!(code(&"[".repeat(5000)), ("invalid_json", None));
        assert_eq!(code(&" ".repeat(10 * 1024 + 1)), ("payload_too_large", None));
        assert_eq!(code(r#"{"size":1}"#), ("unknown_field", field("size")));
        assert_eq!(code(r#"{"method":"DELETE"}"#), ("invalid_field", field("method")));
        assert_eq!(code(r#"{"contentType":"image/svg+xml"}"#), ("unsupported_type", field("contentType")));
        assert_eq!(code(r#"{"contentType":7}"#), ("invalid_field", field("contentType")));
        assert_eq!(code(r#"{"fileName":"a.heic"}"#), ("unsupported_type", field("fileName")));
        assert_eq!(code(r#"{"contentLength":1001}"#), ("payload_too_large", field("contentLength")));
        for length in ["0", "-1", "1.5", "\"7\"", "null", "1e30"] {
            let body = format!("{{\"contentLength\":{length}}}");
            assert_eq!(code(&body), ("invalid_field", field("contentLength")), "{length}");
        }
        assert_eq!(code(r#"{"checksumSha256":"AAAA"}"#), ("invalid_field", field("checksumSha256")));
        assert_eq!(code(r#"{"articleId":"raw"}"#), ("invalid_field", field("articleId")));
        assert_eq!(code(r#"{"articleId":"../x"}"#), ("invalid_field", field("articleId")));
        let length = |body: &[u8]| Wish::parse(body, 1000).ok().unwrap().terms.length;
        assert_eq!(length(br#"{"contentLength":1000}"#), Length::Exactly(1000));
        assert_eq!(length(br#"{"contentLength":7.0}"#), Length::Exactly(7));
        assert_eq!(length(br#"{"method":"POST"}"#), Length::UpTo(1000));
    }
}
