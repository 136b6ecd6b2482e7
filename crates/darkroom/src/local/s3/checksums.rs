//! The checksums that a client sends with a body, as headers or as trailers.
//!
//! s3s verifies `x-amz-content-sha256` and the signatures of chunks; `Content-MD5` and
//! `x-amz-checksum-*` it leaves to the backend, which is here. All are judged before anything is
//! stored.

use axum::http::HeaderMap;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use s3s::checksum::ChecksumHasher;
use s3s::dto::Checksum;
use s3s::{S3ErrorCode, S3Result, TrailingHeaders, s3_error};

use crate::local::objects::Upload;

/// What the client says of the body, and the hashes to compare it with.
pub(super) struct Checksums {
    /// Base64.
    md5: Option<String>,
    declared: Checksum,
    hasher: ChecksumHasher,
}

impl Checksums {
    /// `declared` are the checksums of the headers or the form; `headers` names those that will come
    /// as trailers.
    pub(super) fn new(md5: Option<String>, declared: Checksum, headers: &HeaderMap) -> S3Result<Self> {
        if let Some(md5) = &md5
            && BASE64_STANDARD.decode(md5).ok().is_none_or(|md5| md5.len() != 16)
        {
            return Err(s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid."));
        }
        let trailers = headers.get_all("x-amz-trailer").iter().filter_map(|value| value.to_str().ok());
        let trailers = trailers.collect::<Vec<_>>().join(",").to_ascii_lowercase();
        let wants = |declared: &Option<String>, name: &str| {
            declared.is_some() || trailers.split(',').any(|trailer| trailer.trim() == name)
        };
        let hasher = ChecksumHasher {
            crc32: wants(&declared.checksum_crc32, "x-amz-checksum-crc32").then(Default::default),
            crc32c: wants(&declared.checksum_crc32c, "x-amz-checksum-crc32c").then(Default::default),
            sha1: wants(&declared.checksum_sha1, "x-amz-checksum-sha1").then(Default::default),
            sha256: wants(&declared.checksum_sha256, "x-amz-checksum-sha256").then(Default::default),
            crc64nvme: wants(&declared.checksum_crc64nvme, "x-amz-checksum-crc64nvme").then(Default::default),
        };
        Ok(Self { md5, declared, hasher })
    }

    pub(super) fn update(&mut self, chunk: &[u8]) {
        self.hasher.update(chunk);
    }

    /// The checksums of the whole body, once they are what the client said.
    pub(super) fn verify(self, upload: &Upload, trailers: Option<&TrailingHeaders>) -> S3Result<Checksum> {
        if self.md5.is_some_and(|md5| md5 != BASE64_STANDARD.encode(upload.md5())) {
            return Err(bad_digest("Content-MD5"));
        }
        let trailers = trailers.and_then(TrailingHeaders::take).unwrap_or_default();
        let actual = self.hasher.finalize();
        for (name, declared, actual) in [
            ("x-amz-checksum-crc32", self.declared.checksum_crc32, &actual.checksum_crc32),
            ("x-amz-checksum-crc32c", self.declared.checksum_crc32c, &actual.checksum_crc32c),
            ("x-amz-checksum-sha1", self.declared.checksum_sha1, &actual.checksum_sha1),
            ("x-amz-checksum-sha256", self.declared.checksum_sha256, &actual.checksum_sha256),
            ("x-amz-checksum-crc64nvme", self.declared.checksum_crc64nvme, &actual.checksum_crc64nvme),
        ] {
            let trailer = trailers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            check(name, declared.or(trailer).as_deref(), actual.as_deref())?;
        }
        Ok(actual)
    }
}

fn check(name: &str, declared: Option<&str>, actual: Option<&str>) -> S3Result {
    match (declared, actual) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(s3_error!(InvalidRequest, "The trailer {name} is missing.")),
        (Some(declared), Some(actual)) if declared == actual => Ok(()),
        (Some(declared), Some(actual)) if is_of_size(declared, actual) => Err(bad_digest(name)),
        (Some(_), _) => Err(s3_error!(InvalidRequest, "Value for {name} header is invalid.")),
    }
}

/// Whether it could be a checksum of this kind at all.
fn is_of_size(declared: &str, actual: &str) -> bool {
    declared.len() == actual.len() && BASE64_STANDARD.decode(declared).is_ok()
}

fn bad_digest(name: &str) -> s3s::S3Error {
    let message = format!("The {name} you specified did not match what we received.");
    s3s::S3Error::with_message(S3ErrorCode::BadDigest, message)
}
