"""What `POST /upload-url` does, with boto3: the peer of the presign function, as carefully written."""

import base64
import datetime
import hashlib
import hmac
import json
import os
import re
import time
import uuid

import boto3
from botocore.config import Config

BUCKET = os.environ["BUCKET"]
SECRET = os.environ["KEY_SECRET"].encode()
EXPIRY_S = 900
MAX_BYTES = 26_214_400
FIELDS = {"contentType", "contentLength", "checksumSha256", "articleId", "method", "fileName"}
EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
}
ARTICLE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

s3 = boto3.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}))


class Problem(Exception):
    def __init__(self, status, code, detail, field=None):
        self.status = status
        self.document = {"type": "about:blank", "status": status, "code": code, "detail": detail, "field": field}


def uuid7():
    random = int.from_bytes(os.urandom(10), "big")
    value = (time.time_ns() // 1_000_000) << 80 | 7 << 76 | (random >> 68) << 64 | 2 << 62 | random & (1 << 62) - 1
    return uuid.UUID(int=value)


def parse(body):
    try:
        wish = json.loads(body) if body else {}
    except ValueError:
        raise Problem(400, "invalid_json", "The body is not JSON.")
    if unknown := set(wish) - FIELDS:
        raise Problem(400, "unknown_field", "There is no such field.", unknown.pop())
    content_type = wish.get("contentType", "image/jpeg")
    if content_type not in EXTENSIONS:
        raise Problem(415, "unsupported_type", "This type of file is not accepted.", "contentType")
    length = wish.get("contentLength")
    if length is not None and not (isinstance(length, int) and 0 < length <= MAX_BYTES):
        raise Problem(413, "payload_too_large", "The file is too large.", "contentLength")
    checksum = wish.get("checksumSha256")
    if checksum is not None and len(base64.b64decode(checksum)) != 32:
        raise Problem(400, "invalid_field", "Not a SHA-256.", "checksumSha256")
    article_id = wish.get("articleId", str(uuid7()))
    if not ARTICLE_ID.fullmatch(article_id):
        raise Problem(400, "invalid_field", "Not an article's id.", "articleId")
    return content_type, length, checksum, article_id, wish.get("method", "PUT"), not wish


def mac(sub, article_id, identity):
    parts = (sub.encode(), article_id.encode(), identity.bytes)
    message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hmac.new(SECRET, message, hashlib.sha256).hexdigest()[:16]


def grant(event):
    sub = event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"]
    content_type, length, checksum, article_id, method, plain = parse(event.get("body"))
    identity = uuid7()
    name = f"{identity}-{mac(sub, article_id, identity)}.{EXTENSIONS[content_type]}"
    key = f"raw/articles/{article_id}/{name}"
    expires_at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=EXPIRY_S)
    told = {
        "method": method,
        "key": key,
        "articleId": article_id,
        "expiresIn": EXPIRY_S,
        "expiresAt": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "statusUrl": f"https://{event['requestContext']['domainName']}/uploads/{key}",
        "maxBytes": MAX_BYTES,
    }
    if method == "POST":
        fields = {"Content-Type": content_type, "success_action_status": "201"}
        conditions = [{field: value} for field, value in fields.items()]
        conditions.append(["content-length-range", length or 1, length or MAX_BYTES])
        form = s3.generate_presigned_post(
            BUCKET, key, Fields=fields, Conditions=conditions, ExpiresIn=EXPIRY_S
        )
        return told | {"uploadUrl": form["url"], "fields": form["fields"]}
    params = {"Bucket": BUCKET, "Key": key, "ContentType": content_type}
    headers = {"Content-Type": content_type}
    if length is not None:
        params["ContentLength"] = length
    if checksum is not None:
        params["ChecksumSHA256"] = headers["x-amz-checksum-sha256"] = checksum
    if not plain:
        params["IfNoneMatch"] = headers["If-None-Match"] = "*"
    url = s3.generate_presigned_url("put_object", Params=params, ExpiresIn=EXPIRY_S)
    return told | {"uploadUrl": url, "headers": headers}


def handle(event, _context):
    started = time.perf_counter()
    try:
        status, body, content_type = 200, grant(event), "application/json"
    except Problem as problem:
        status, body, content_type = problem.status, problem.document, "application/problem+json"
    print(json.dumps({"status": status, "HandlerTime": (time.perf_counter() - started) * 1000}))
    return {
        "statusCode": status,
        "headers": {"content-type": content_type, "cache-control": "no-store"},
        "body": json.dumps(body),
    }
