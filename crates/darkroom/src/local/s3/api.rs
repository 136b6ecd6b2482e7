//! S3's operations on one bucket: the wire's types on one side, [`Objects`] on the other.
//!
//! A body is streamed to where it will lie and becomes an object only when its length and checksums
//! are what the client said. Signatures are not judged here.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures::TryStreamExt;
use s3s::dto::*;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, StdError, s3_error};

use super::checksums::{self, Checksums, Sum};
use super::edge::Posted;
use crate::local::event::url_encoded;
use crate::local::objects::{Algorithm, Cause, Condition, Headers, ObjectMeta, Put, Upload};
use crate::local::{Error as LocalError, Objects};

/// The largest object of one request, bytes.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html>
const MAX_BODY_BYTES: u64 = 5 << 30;
/// Names and values of all user metadata, bytes.
const MAX_METADATA_BYTES: usize = 2 * 1024;
/// The most keys on one page of a listing.
const MAX_KEYS: usize = 1000;
/// The most keys of one batch deletion.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>
const MAX_DELETED: usize = 1000;
/// After every key of a common prefix.
const LAST: char = char::MAX;

pub(super) struct Api {
    objects: Objects,
}

/// A body on its way in, whatever the operation.
struct Incoming {
    body: Option<StreamingBlob>,
    length: Option<i64>,
    checksums: Checksums,
    trailers: Option<s3s::TrailingHeaders>,
}

/// One page of a listing.
#[derive(Default)]
struct Page {
    objects: Vec<(String, ObjectMeta)>,
    prefixes: Vec<String>,
    /// Where the next page starts, when there is one.
    next: Option<String>,
}

impl Api {
    pub(super) fn new(objects: Objects) -> Self {
        Self { objects }
    }

    fn check_bucket(&self, bucket: &str) -> S3Result {
        if bucket == self.objects.bucket() {
            return Ok(());
        }
        Err(s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }

    /// Stores the body, or nothing.
    async fn store(&self, key: &str, incoming: Incoming, mut put: Put) -> S3Result<ObjectMeta> {
        check_metadata(&put.headers)?;
        let length = u64::try_from(incoming.length.unwrap_or_default()).map_err(invalid)?;
        if length > MAX_BODY_BYTES {
            return Err(s3_error!(
                EntityTooLarge,
                "Your proposed upload exceeds the maximum allowed object size."
            ));
        }
        let mut checksums = incoming.checksums;
        let upload = self.receive(incoming.body, length, &mut checksums).await?;
        put.checksum = Some(checksums.verify(&upload, incoming.trailers.as_ref())?);
        self.objects.commit(key, upload, put).await.map_err(failed)
    }

    async fn receive(
        &self,
        body: Option<StreamingBlob>,
        length: u64,
        checksums: &mut Checksums,
    ) -> S3Result<Upload> {
        let mut upload = self.objects.upload().await.map_err(failed)?;
        if let Some(mut body) = body {
            while let Some(chunk) = body.try_next().await.map_err(broken_body)? {
                checksums.update(&chunk);
                upload.write(&chunk).await.map_err(failed)?;
            }
        }
        if upload.size() != length {
            return Err(incomplete());
        }
        Ok(upload)
    }

    async fn list(&self, prefix: &str, delimiter: &str, mut after: String, max: usize) -> S3Result<Page> {
        let mut page = Page::default();
        while page.count() < max {
            let batch = self.objects.list(prefix, &after, max - page.count()).await.map_err(failed)?;
            if batch.is_empty() {
                return Ok(page);
            }
            after = page.take(batch, |key| common_prefix(key, prefix, delimiter));
        }
        let more = max > 0 && !self.objects.list(prefix, &after, 1).await.map_err(failed)?.is_empty();
        page.next = more.then_some(after);
        Ok(page)
    }
}

impl Page {
    fn count(&self) -> usize {
        self.objects.len() + self.prefixes.len()
    }

    /// Takes all objects, or those up to the first that a common prefix stands for; returns the key to
    /// go on after. Never called without objects.
    fn take(
        &mut self,
        batch: Vec<(String, ObjectMeta)>,
        common_prefix: impl Fn(&str) -> Option<String>,
    ) -> String {
        let mut after = String::new();
        for (key, meta) in batch {
            if let Some(common) = common_prefix(&key) {
                // What it stands for is skipped, not read.
                after = format!("{common}{LAST}");
                self.prefixes.push(common);
                break;
            }
            after.clone_from(&key);
            self.objects.push((key, meta));
        }
        after
    }
}

/// The part of a key up to the first delimiter after the prefix.
fn common_prefix(key: &str, prefix: &str, delimiter: &str) -> Option<String> {
    if delimiter.is_empty() {
        return None;
    }
    let at = key.get(prefix.len()..)?.find(delimiter)?;
    key.get(..prefix.len() + at + delimiter.len()).map(str::to_owned)
}

#[async_trait::async_trait]
impl S3 for Api {
    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let mut input = req.input;
        self.check_bucket(&input.bucket)?;
        if input.content_length.is_none() {
            return Err(s3_error!(MissingContentLength, "You must provide the Content-Length HTTP header."));
        }
        let put = put_of(&mut input, Cause::Put)?;
        let incoming = incoming(&mut input, &req.headers, req.trailing_headers)?;
        let meta = self.store(&input.key, incoming, put).await?;
        let output = PutObjectOutput { e_tag: Some(etag(&meta)), ..Default::default() };
        let mut response = S3Response::new(output);
        checksums::tell(&mut response.headers, meta.checksum.as_ref());
        Ok(response)
    }

    async fn post_object(&self, req: S3Request<PostObjectInput>) -> S3Result<S3Response<PostObjectOutput>> {
        let redirects = req.input.success_action_redirect.is_some();
        let mut input = as_put(req.input);
        self.check_bucket(&input.bucket)?;
        let put = put_of(&mut input, Cause::Post)?;
        let incoming = incoming(&mut input, &HeaderMap::new(), None)?;
        let meta = self.store(&input.key, incoming, put).await?;
        let location = location(&req.headers, &input)?;
        let output = PostObjectOutput { e_tag: Some(etag(&meta)), ..Default::default() };
        let mut response = S3Response::new(output);
        response.headers.insert(header::ETAG, HeaderValue::try_from(&meta.etag).map_err(internal)?);
        if !redirects {
            response.headers.insert(header::LOCATION, location.clone());
        }
        let posted = Posted { location, bucket: input.bucket, key: input.key, etag: meta.etag };
        response.extensions.insert(posted);
        Ok(response)
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = req.input;
        self.check_bucket(&input.bucket)?;
        check_version(input.version_id.as_deref())?;
        let object = self.objects.get(&input.key).await.map_err(failed)?.ok_or_else(no_such_key)?;
        let meta = object.meta.clone();
        Conditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        }
        .check(&meta)?;
        let range = input.range.map(|range| part(range, meta.size)).transpose()?;
        // It is of all bytes: who reads a part cannot compare it.
        let checksum =
            meta.checksum.as_ref().filter(|_| range.is_none() && is_wanted(input.checksum_mode.as_ref()));
        let bytes = range.clone().unwrap_or(0..meta.size);
        let length = bytes.end - bytes.start;
        let body = object.stream_range(bytes).map_err(internal)?;
        let content_range =
            range.map(|range| format!("bytes {}-{}/{}", range.start, range.end - 1, meta.size));
        let headers = meta.headers.clone();
        let mut response = S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".into()),
            body: Some(StreamingBlob::wrap(body)),
            cache_control: headers.cache_control,
            content_disposition: headers.content_disposition,
            content_encoding: headers.content_encoding,
            content_language: headers.content_language,
            content_length: Some(length.cast_signed()),
            content_range,
            content_type: Some(headers.content_type),
            e_tag: Some(etag(&meta)),
            last_modified: Some(meta.last_modified().into()),
            metadata: Some(headers.user_metadata.into_iter().collect()),
            ..Default::default()
        });
        checksums::tell(&mut response.headers, checksum);
        Ok(response)
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = req.input;
        self.check_bucket(&input.bucket)?;
        check_version(input.version_id.as_deref())?;
        let meta = self.objects.head(&input.key).await.map_err(failed)?.ok_or_else(no_such_key)?;
        Conditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        }
        .check(&meta)?;
        let checksum = meta.checksum.as_ref().filter(|_| is_wanted(input.checksum_mode.as_ref()));
        let headers = meta.headers.clone();
        let mut response = S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".into()),
            cache_control: headers.cache_control,
            content_disposition: headers.content_disposition,
            content_encoding: headers.content_encoding,
            content_language: headers.content_language,
            content_length: Some(meta.size.cast_signed()),
            content_type: Some(headers.content_type),
            e_tag: Some(etag(&meta)),
            last_modified: Some(meta.last_modified().into()),
            metadata: Some(headers.user_metadata.into_iter().collect()),
            ..Default::default()
        });
        checksums::tell(&mut response.headers, checksum);
        Ok(response)
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = req.input;
        self.check_bucket(&input.bucket)?;
        check_version(input.version_id.as_deref())?;
        let condition = condition(input.if_match, None)?;
        self.objects.delete(&input.key, condition).await.map_err(failed)?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = req.input;
        self.check_bucket(&input.bucket)?;
        if input.delete.objects.len() > MAX_DELETED {
            return Err(S3ErrorCode::MalformedXML.into());
        }
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in input.delete.objects {
            let condition = condition(object.e_tag.map(ETagCondition::ETag), None)?;
            match self.objects.delete(&object.key, condition).await.map_err(failed) {
                Ok(_) => deleted.push(DeletedObject { key: Some(object.key), ..Default::default() }),
                Err(error) => errors.push(s3s::dto::Error {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: error.message().map(str::to_owned),
                    version_id: None,
                }),
            }
        }
        if input.delete.quiet == Some(true) {
            deleted.clear();
        }
        let output =
            DeleteObjectsOutput { deleted: Some(deleted), errors: Some(errors), ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = req.input;
        self.check_bucket(&input.bucket)?;
        let CopySource::Bucket { bucket, key, .. } = &input.copy_source else {
            return Err(S3ErrorCode::NotImplemented.into());
        };
        self.check_bucket(bucket)?;
        let source = self.objects.get(key).await.map_err(failed)?.ok_or_else(no_such_key)?;
        Conditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            modified_since: input.copy_source_if_modified_since,
            unmodified_since: input.copy_source_if_unmodified_since,
        }
        .check_write(&source.meta)?;
        let replace = input
            .metadata_directive
            .is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
        if !replace && **key == *input.key {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without \
                 changing the object's metadata."
            ));
        }
        let headers = if replace {
            Headers {
                content_type: input.content_type.unwrap_or(Headers::default().content_type),
                cache_control: input.cache_control,
                content_disposition: input.content_disposition,
                content_encoding: input.content_encoding,
                content_language: input.content_language,
                user_metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            }
        } else {
            source.meta.headers.clone()
        };
        check_metadata(&headers)?;
        let asked = input.checksum_algorithm.as_ref().map(checksums::algorithm).transpose()?;
        let kept = source.meta.checksum.as_ref().map(|checksum| checksum.algorithm);
        let mut sum = Sum::new(asked.or(kept).unwrap_or(Algorithm::Crc64Nvme));
        let mut upload = self.objects.upload().await.map_err(failed)?;
        let mut chunks = std::pin::pin!(source.stream().map_err(internal)?);
        while let Some(chunk) = chunks.try_next().await.map_err(internal)? {
            sum.update(&chunk);
            upload.write(&chunk).await.map_err(failed)?;
        }
        let checksum = sum.finalize();
        let mut result = CopyObjectResult::default();
        checksums::tell_copier(&mut result, &checksum);
        let put = Put { headers, condition: Condition::Always, cause: Cause::Copy, checksum: Some(checksum) };
        let meta = self.objects.commit(&input.key, upload, put).await.map_err(failed)?;
        result.e_tag = Some(etag(&meta));
        result.last_modified = Some(meta.last_modified().into());
        Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() }))
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        self.check_bucket(&input.bucket)?;
        let encoded = is_url_encoded(input.encoding_type.as_ref())?;
        let text = |text: String| if encoded { url_encoded(&text) } else { text };
        let prefix = input.prefix.unwrap_or_default();
        let delimiter = input.delimiter.unwrap_or_default();
        let start_after = input.start_after.clone().unwrap_or_default();
        let after = input.continuation_token.as_deref().map(cursor).transpose()?.unwrap_or(start_after);
        let max = page_size(input.max_keys)?;
        let page = self.list(&prefix, &delimiter, after, max).await?;
        let count = page.count();
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            max_keys: i32::try_from(max).ok(),
            key_count: i32::try_from(count).ok(),
            continuation_token: input.continuation_token,
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.map(|next| BASE64_URL_SAFE_NO_PAD.encode(next)),
            contents: Some(page.objects.into_iter().map(|(key, meta)| listed(text(key), &meta)).collect()),
            common_prefixes: Some(page.prefixes.into_iter().map(|prefix| common(text(prefix))).collect()),
            prefix: Some(text(prefix)),
            delimiter: Some(text(delimiter)).filter(|delimiter| !delimiter.is_empty()),
            start_after: input.start_after.map(text),
            encoding_type: input.encoding_type,
            ..Default::default()
        }))
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let bucket = Bucket { name: Some(self.objects.bucket().to_owned()), ..Default::default() };
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(vec![bucket]), ..Default::default() }))
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.check_bucket(&req.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.check_bucket(&req.input.bucket)?;
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }
}

/// What a form can say of what a PUT can. Not the conditions: S3 has none for forms.
fn as_put(form: PostObjectInput) -> PutObjectInput {
    PutObjectInput {
        bucket: form.bucket,
        key: form.key,
        body: form.body,
        content_length: form.content_length,
        content_md5: form.content_md5,
        checksum_crc32: form.checksum_crc32,
        checksum_crc32c: form.checksum_crc32c,
        checksum_crc64nvme: form.checksum_crc64nvme,
        checksum_sha1: form.checksum_sha1,
        checksum_sha256: form.checksum_sha256,
        content_type: form.content_type,
        cache_control: form.cache_control,
        content_disposition: form.content_disposition,
        content_encoding: form.content_encoding,
        content_language: form.content_language,
        metadata: form.metadata,
        ..Default::default()
    }
}

fn put_of(input: &mut PutObjectInput, cause: Cause) -> S3Result<Put> {
    let headers = Headers {
        content_type: input
            .content_type
            .take()
            .filter(|it| !it.is_empty())
            .unwrap_or(Headers::default().content_type),
        cache_control: input.cache_control.take(),
        content_disposition: input.content_disposition.take(),
        content_encoding: input.content_encoding.take().as_deref().and_then(own_encoding),
        content_language: input.content_language.take(),
        user_metadata: input.metadata.take().unwrap_or_default().into_iter().collect(),
    };
    let condition = condition(input.if_match.take(), input.if_none_match.take())?;
    Ok(Put { headers, condition, cause, checksum: None })
}

fn incoming(
    input: &mut PutObjectInput,
    headers: &HeaderMap,
    trailers: Option<s3s::TrailingHeaders>,
) -> S3Result<Incoming> {
    let declared = Checksum {
        checksum_crc32: input.checksum_crc32.take(),
        checksum_crc32c: input.checksum_crc32c.take(),
        checksum_crc64nvme: input.checksum_crc64nvme.take(),
        checksum_sha1: input.checksum_sha1.take(),
        checksum_sha256: input.checksum_sha256.take(),
        checksum_type: None,
    };
    let checksums = Checksums::new(input.content_md5.take(), declared, headers)?;
    Ok(Incoming { body: input.body.take(), length: input.content_length, checksums, trailers })
}

/// `aws-chunked` is about the transfer, not about the object; S3 does not keep it.
fn own_encoding(encoding: &str) -> Option<String> {
    let own: Vec<&str> = encoding.split(',').map(str::trim).filter(|it| *it != "aws-chunked").collect();
    (!own.is_empty()).then(|| own.join(","))
}

fn check_metadata(headers: &Headers) -> S3Result {
    let bytes: usize = headers.user_metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > MAX_METADATA_BYTES {
        let message = "Your metadata headers exceed the maximum allowed metadata size";
        return Err(s3_error!(MetadataTooLarge, "{message}"));
    }
    Ok(())
}

fn condition(if_match: Option<ETagCondition>, if_none_match: Option<ETagCondition>) -> S3Result<Condition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::Always),
        (Some(ETagCondition::Any), None) => Ok(Condition::Present),
        (Some(ETagCondition::ETag(etag)), None) => Ok(Condition::Match(etag.into_value())),
        (None, Some(ETagCondition::Any)) => Ok(Condition::Absent),
        // S3 writes `If-None-Match` with `*` only, and not both at once.
        (_, Some(_)) => Err(s3_error!(
            NotImplemented,
            "A header you provided implies functionality that is not implemented"
        )),
    }
}

/// The conditions of a read.
struct Conditions {
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
    modified_since: Option<Timestamp>,
    unmodified_since: Option<Timestamp>,
}

impl Conditions {
    /// In the order of RFC 9110, 13.2.2: an ETag has precedence over a time.
    fn check(&self, meta: &ObjectMeta) -> S3Result {
        let modified = Timestamp::from(meta.last_modified());
        let stands = match (&self.if_match, &self.unmodified_since) {
            (Some(condition), _) => matches(condition, meta),
            (None, Some(since)) => modified <= *since,
            (None, None) => true,
        };
        let is_known = match (&self.if_none_match, &self.modified_since) {
            (Some(condition), _) => matches(condition, meta),
            (None, Some(since)) => modified <= *since,
            (None, None) => false,
        };
        match (stands, is_known) {
            (false, _) => Err(precondition_failed()),
            (true, true) => Err(not_modified(meta)),
            (true, false) => Ok(()),
        }
    }

    /// For a write that depends on a read there is no 304.
    fn check_write(&self, meta: &ObjectMeta) -> S3Result {
        self.check(meta).map_err(|_| precondition_failed())
    }
}

fn matches(condition: &ETagCondition, meta: &ObjectMeta) -> bool {
    condition.as_etag().is_none_or(|etag| etag.value() == meta.etag.trim_matches('"'))
}

fn not_modified(meta: &ObjectMeta) -> S3Error {
    let mut headers = HeaderMap::new();
    let fields =
        [(header::ETAG, Some(&meta.etag)), (header::CACHE_CONTROL, meta.headers.cache_control.as_ref())];
    for (name, value) in fields {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    error.set_headers(headers);
    error
}

fn is_wanted(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
}

fn part(range: Range, size: u64) -> S3Result<std::ops::Range<u64>> {
    let part = range.check(size)?;
    if part.is_empty() { Err(S3ErrorCode::InvalidRange.into()) } else { Ok(part) }
}

/// There are no versions: every object is of the version `null`.
fn check_version(version_id: Option<&str>) -> S3Result {
    match version_id {
        None | Some("null") => Ok(()),
        Some(_) => Err(S3ErrorCode::NoSuchVersion.into()),
    }
}

fn etag(meta: &ObjectMeta) -> ETag {
    ETag::Strong(meta.etag.trim_matches('"').to_owned())
}

fn listed(key: String, meta: &ObjectMeta) -> Object {
    Object {
        key: Some(key),
        e_tag: Some(etag(meta)),
        last_modified: Some(meta.last_modified().into()),
        size: Some(meta.size.cast_signed()),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..Default::default()
    }
}

fn common(prefix: String) -> CommonPrefix {
    CommonPrefix { prefix: Some(prefix) }
}

fn is_url_encoded(encoding: Option<&EncodingType>) -> S3Result<bool> {
    match encoding.map(EncodingType::as_str) {
        None => Ok(false),
        Some(EncodingType::URL) => Ok(true),
        Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
    }
}

fn page_size(max_keys: Option<i32>) -> S3Result<usize> {
    let Some(max_keys) = max_keys else { return Ok(MAX_KEYS) };
    Ok(usize::try_from(max_keys).map_err(invalid)?.min(MAX_KEYS))
}

fn cursor(token: &str) -> S3Result<String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

/// Where a form upload can be fetched: the endpoint as the client knows it.
fn location(headers: &HeaderMap, input: &PutObjectInput) -> S3Result<HeaderValue> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.unwrap_or("localhost");
    let key = url_encoded(&input.key).replace('+', "%20");
    HeaderValue::try_from(format!("http://{host}/{}/{key}", input.bucket)).map_err(internal)
}

fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

fn precondition_failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}

fn incomplete() -> S3Error {
    s3_error!(
        IncompleteBody,
        "You did not provide the number of bytes specified by the Content-Length HTTP header"
    )
}

fn invalid(error: std::num::TryFromIntError) -> S3Error {
    s3_error!(error, InvalidArgument)
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> S3Error {
    S3Error::internal_error(error)
}

/// Why the body ended early. s3s's types for it are private; their texts are all there is.
fn broken_body(error: StdError) -> S3Error {
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        let mut error =
            S3Error::with_message(S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()), message);
        // A code that s3s does not know has no status of its own.
        error.set_status_code(StatusCode::BAD_REQUEST);
        return error;
    }
    if text.contains("SignatureMismatch") {
        return s3_error!(SignatureDoesNotMatch);
    }
    incomplete()
}

fn failed(error: LocalError) -> S3Error {
    match error {
        LocalError::NoSuchKey => no_such_key(),
        LocalError::PreconditionFailed => precondition_failed(),
        LocalError::KeyTooLong => s3_error!(KeyTooLongError, "Your key is too long"),
        LocalError::KeyEmpty => s3_error!(InvalidArgument, "User key must have a length greater than 0."),
        LocalError::InUse(_)
        | LocalError::Database(_)
        | LocalError::Io(_)
        | LocalError::Record(_)
        | LocalError::Interrupted(_) => internal(error),
    }
}
