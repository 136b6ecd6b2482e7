"""In front of moto, which asks no policy: what a function's policies do not allow is refused as AWS refuses it. Owns
which action on what a request is; raises on requests that it does not know.
"""

import datetime
import io
import json
import xml.etree.ElementTree
from urllib.parse import unquote

from expanded import ACCOUNT, REGION
from werkzeug.wrappers import Request, Response


class Guard:
    """moto's WSGI application for one function. `refused` has what it was refused."""

    def __init__(self, moto, policies, function):
        self.moto, self.policies, self.function = moto, policies, function
        self.refused = []

    def __call__(self, environ, start_response):
        request = Request(environ)
        body = request.get_data()
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        asked = calls(request, body)
        refused = [call for call in asked if not self.may(request, *call)]
        if not refused:
            answer = Response.from_app(self.moto, environ)
            if answer.status_code != 404 or asked[0][0] != "s3:GetObject":
                return answer(environ, start_response)
            # Only who may list is told that something is not there.
            refused = [call for call in [list_of(asked[0][1])] if not self.may(request, *call)]
            if not refused:
                return answer(environ, start_response)
        self.refused += refused
        return refusal(request)(environ, start_response)

    def may(self, request, action, resource):
        return self.policies.allow(self.function, action, resource, **context(request))


def context(request):
    """What AWS would know of it; over a network it would be TLS."""
    signed = request.headers.get("X-Amz-Date") or request.args["X-Amz-Date"]
    signed = datetime.datetime.strptime(signed, "%Y%m%dT%H%M%S%z")
    age = datetime.datetime.now(datetime.timezone.utc) - signed
    age_ms = int(age.total_seconds() * 1000)
    return {"aws:SecureTransport": True, "s3:TlsVersion": 1.3, "s3:signatureAge": age_ms}


def calls(request, body):
    """Actions and what each is on."""
    service, _, action = request.headers.get("X-Amz-Target", "").partition(".")
    if service == "AmazonSQS":
        queue = json.loads(body)["QueueUrl"].rsplit("/", 1)[-1]
        return [(f"sqs:{action.removesuffix('Batch')}", f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}")]
    if service == "secretsmanager":
        return [(f"secretsmanager:{action}", json.loads(body)["SecretId"])]
    if request.path.startswith("/2020-05-31/distribution/") and request.method == "POST":
        arn = f"arn:aws:cloudfront::{ACCOUNT}:distribution/{request.path.split('/')[3]}"
        return [("cloudfront:CreateInvalidation", arn)]
    return calls_of_s3(request, body)


def calls_of_s3(request, body):
    bucket, _, key = unquote(request.path).lstrip("/").partition("/")
    arn = f"arn:aws:s3:::{bucket}"
    match request.method, bool(key):
        case ("GET" | "HEAD"), True:
            return [("s3:GetObject", f"{arn}/{key}")]
        case "PUT", True:
            return [("s3:PutObject", f"{arn}/{key}")]
        case "DELETE", True:
            return [("s3:DeleteObject", f"{arn}/{key}")]
        case "GET", False if "list-type" in request.args:
            return [("s3:ListBucket", arn)]
        case "POST", False if "delete" in request.args:
            elements = xml.etree.ElementTree.fromstring(body).iter()
            return [("s3:DeleteObject", f"{arn}/{one.text}") for one in elements if one.tag.endswith("}Key")]
    raise NotImplementedError(f"{request.method} {request.full_path}")


def list_of(object_arn):
    return "s3:ListBucket", object_arn.partition("/")[0]


def refusal(request):
    if "X-Amz-Target" in request.headers:
        return Response(json.dumps({"__type": "AccessDeniedException"}), 400, content_type="application/x-amz-json-1.1")
    return Response("<Error><Code>AccessDenied</Code></Error>", 403, content_type="application/xml")
