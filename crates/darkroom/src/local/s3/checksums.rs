//! The checksum that a client sends with a body, as a header or as a trailer, and the one that is kept
//! of every object: the client's, or CRC64NVME where it sent none.
//!
//! s3s verifies `x-amz-content-sha256` and the signatures of chunks; `Content-MD5` and
//! `x-amz-checksum-*` it leaves to the backend, which is here. All are judged before anything is
//! stored.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use s3s::checksum::ChecksumHasher;
use s3s::dto::{self, ChecksumAlgorithm, CopyObjectResult};
use s3s::{S3ErrorCode, S3Result, TrailingHeaders, s3_error};

use crate::local::objects::{Algorithm, Checksum, Upload};

const TYPE: HeaderName = HeaderName::from_static("x-amz-checksum-type");

fn header(algorithm: Algorithm) -> HeaderName {
    HeaderName::from_static(match algorithm {
        Algorithm::Crc32 => "x-amz-checksum-crc32",
        Algorithm::Crc32c => "x-amz-checksum-crc32c",
        Algorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
        Algorithm::Sha1 => "x-amz-checksum-sha1",
        Algorithm::Sha256 => "x-amz-checksum-sha256",
    })
}

/// What the client says of the body, and the hash to compare it with.
pub(super) struct Checksums {
    /// Base64.
    md5: Option<String>,
    declared: Option<Declared>,
    sum: Sum,
}

/// Where the client's checksum is.
enum Declared {
    /// Base64.
    Header(String),
    Trailer,
}

impl Checksums {
    /// `declared` are the checksums of the headers or the form; `headers` names those that will come
    /// as trailers.
    pub(super) fn new(md5: Option<String>, declared: dto::Checksum, headers: &HeaderMap) -> S3Result<Self> {
        if let Some(md5) = &md5
            && BASE64_STANDARD.decode(md5).ok().is_none_or(|md5| md5.len() != 16)
        {
            return Err(s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid."));
        }
        let trailers = headers.get_all("x-amz-trailer").iter().filter_map(|value| value.to_str().ok());
        let trailers = trailers.collect::<Vec<_>>().join(",").to_ascii_lowercase();
        let in_trailer =
            |algorithm| trailers.split(',').any(|trailer| trailer.trim() == header(algorithm).as_str());
        let mut found = Vec::new();
        for (algorithm, value) in [
            (Algorithm::Crc32, declared.checksum_crc32),
            (Algorithm::Crc32c, declared.checksum_crc32c),
            (Algorithm::Crc64Nvme, declared.checksum_crc64nvme),
            (Algorithm::Sha1, declared.checksum_sha1),
            (Algorithm::Sha256, declared.checksum_sha256),
        ] {
            match value {
                Some(value) => found.push((algorithm, Declared::Header(value))),
                None if in_trailer(algorithm) => found.push((algorithm, Declared::Trailer)),
                None => {}
            }
        }
        let only = found.pop();
        if !found.is_empty() {
            return Err(s3_error!(
                InvalidRequest,
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
            ));
        }
        let (algorithm, declared) = only.unzip();
        Ok(Self { md5, declared, sum: Sum::new(algorithm.unwrap_or(Algorithm::Crc64Nvme)) })
    }

    pub(super) fn update(&mut self, chunk: &[u8]) {
        self.sum.update(chunk);
    }

    /// The checksum of the whole body, once it is what the client said.
    pub(super) fn verify(self, upload: &Upload, trailers: Option<&TrailingHeaders>) -> S3Result<Checksum> {
        if self.md5.is_some_and(|md5| md5 != BASE64_STANDARD.encode(upload.md5())) {
            return Err(bad_digest("Content-MD5"));
        }
        let name = header(self.sum.algorithm);
        let actual = self.sum.finalize();
        let declared = match self.declared {
            None => return Ok(actual),
            Some(Declared::Header(value)) => Some(value),
            Some(Declared::Trailer) => {
                let trailers = trailers.and_then(TrailingHeaders::take).unwrap_or_default();
                trailers.get(&name).and_then(|value| value.to_str().ok()).map(str::to_owned)
            }
        };
        check(name.as_str(), declared.as_deref(), &actual.value)?;
        Ok(actual)
    }
}

/// A checksum on its way.
pub(super) struct Sum {
    algorithm: Algorithm,
    hasher: ChecksumHasher,
}

impl Sum {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        let mut hasher = ChecksumHasher::default();
        match algorithm {
            Algorithm::Crc32 => hasher.crc32 = Some(Default::default()),
            Algorithm::Crc32c => hasher.crc32c = Some(Default::default()),
            Algorithm::Crc64Nvme => hasher.crc64nvme = Some(Default::default()),
            Algorithm::Sha1 => hasher.sha1 = Some(Default::default()),
            Algorithm::Sha256 => hasher.sha256 = Some(Default::default()),
        }
        Self { algorithm, hasher }
    }

    pub(super) fn update(&mut self, chunk: &[u8]) {
        self.hasher.update(chunk);
    }

    pub(super) fn finalize(self) -> Checksum {
        let sums = self.hasher.finalize();
        let value = match self.algorithm {
            Algorithm::Crc32 => sums.checksum_crc32,
            Algorithm::Crc32c => sums.checksum_crc32c,
            Algorithm::Crc64Nvme => sums.checksum_crc64nvme,
            Algorithm::Sha1 => sums.checksum_sha1,
            Algorithm::Sha256 => sums.checksum_sha256,
        };
        Checksum { algorithm: self.algorithm, value: value.unwrap_or_default() }
    }
}

/// The algorithm that a copy is asked to have.
pub(super) fn algorithm(asked: &ChecksumAlgorithm) -> S3Result<Algorithm> {
    match asked.as_str() {
        ChecksumAlgorithm::CRC32 => Ok(Algorithm::Crc32),
        ChecksumAlgorithm::CRC32C => Ok(Algorithm::Crc32c),
        ChecksumAlgorithm::CRC64NVME => Ok(Algorithm::Crc64Nvme),
        ChecksumAlgorithm::SHA1 => Ok(Algorithm::Sha1),
        ChecksumAlgorithm::SHA256 => Ok(Algorithm::Sha256),
        _ => Err(s3_error!(
            InvalidRequest,
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: \
             [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]"
        )),
    }
}

/// Tells a reader or writer of an object what its checksum is.
pub(super) fn tell(headers: &mut HeaderMap, checksum: Option<&Checksum>) {
    let Some(checksum) = checksum else { return };
    if let Ok(value) = HeaderValue::try_from(&checksum.value) {
        headers.insert(header(checksum.algorithm), value);
        headers.insert(TYPE, HeaderValue::from_static(dto::ChecksumType::FULL_OBJECT));
    }
}

/// [`tell`] for a copy, which is answered in the body.
pub(super) fn tell_copier(result: &mut CopyObjectResult, checksum: &Checksum) {
    let field = match checksum.algorithm {
        Algorithm::Crc32 => &mut result.checksum_crc32,
        Algorithm::Crc32c => &mut result.checksum_crc32c,
        Algorithm::Crc64Nvme => &mut result.checksum_crc64nvme,
        Algorithm::Sha1 => &mut result.checksum_sha1,
        Algorithm::Sha256 => &mut result.checksum_sha256,
    };
    *field = Some(checksum.value.clone());
    result.checksum_type = Some(dto::ChecksumType::from_static(dto::ChecksumType::FULL_OBJECT));
}

fn check(name: &str, declared: Option<&str>, actual: &str) -> S3Result {
    match declared {
        None => Err(s3_error!(InvalidRequest, "The trailer {name} is missing.")),
        Some(declared) if declared == actual => Ok(()),
        Some(declared) if is_of_size(declared, actual) => Err(bad_digest(name)),
        Some(_) => Err(s3_error!(InvalidRequest, "Value for {name} header is invalid.")),
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
