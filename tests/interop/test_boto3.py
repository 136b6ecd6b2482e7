"""A POST's policy and signature against boto3's, for the same inputs and clock."""

import base64
import datetime
import json
import pathlib
from unittest import mock

import boto3
import botocore.config
import requests

GOLDEN = pathlib.Path(__file__).parents[2] / "fixtures" / "interop" / "post_policies.json"


def presigned_post(given):
    """boto3's form for `given`, as if it were `signedAt`."""
    clock = datetime.datetime.strptime(given["signedAt"], "%Y-%m-%dT%H:%M:%SZ")
    client = boto3.client(
        "s3",
        region_name=given["region"],
        endpoint_url=given.get("endpoint"),
        aws_access_key_id=given["accessKeyId"],
        aws_secret_access_key=given["secretAccessKey"],
        aws_session_token=given.get("sessionToken"),
        config=botocore.config.Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if given.get("endpoint") else "virtual"},
        ),
    )
    fields = {"Content-Type": given["contentType"], "success_action_status": "201"}
    if checksum := given.get("checksumSha256"):
        fields |= {"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-sha256": checksum}
    conditions = [{name: value} for name, value in fields.items()]
    conditions.append(["content-length-range", *given["lengthRange"]])
    with (
        mock.patch("botocore.auth.get_current_datetime", return_value=clock),
        mock.patch("botocore.signers.get_current_datetime", return_value=clock),
    ):
        return client.generate_presigned_post(
            given["bucket"],
            given["key"],
            Fields=fields,
            Conditions=conditions,
            ExpiresIn=given["expiresIn"],
        )


def test_the_golden_forms_are_still_what_boto3_makes():
    """The unit test of presign's `policy` compares itself with these, session tokens included."""
    for case in json.loads(GOLDEN.read_text()):
        assert presigned_post(case["given"])["fields"] == case["fields"]


def test_a_grant_of_the_running_stack_is_signed_as_boto3_would(api):
    digest = base64.b64encode(bytes(32)).decode()
    for wish, length_range in [
        ({"method": "POST"}, [1, 26214400]),
        ({"method": "POST", "contentType": "image/avif", "contentLength": 12345}, [12345, 12345]),
        ({"method": "POST", "checksumSha256": digest}, [1, 26214400]),
    ]:
        grant = api.grant(wish)
        fields = grant["fields"]
        signed_at = datetime.datetime.strptime(fields["x-amz-date"], "%Y%m%dT%H%M%SZ")
        bucket = grant["uploadUrl"].rstrip("/").rsplit("/", 1)
        expected = presigned_post(
            {
                "signedAt": signed_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "region": "us-east-1",
                "endpoint": bucket[0],
                "accessKeyId": "darkroom",
                "secretAccessKey": "darkroom-local-only",
                "bucket": bucket[1],
                "key": grant["key"],
                "contentType": fields["Content-Type"],
                "checksumSha256": wish.get("checksumSha256"),
                "lengthRange": length_range,
                "expiresIn": grant["expiresIn"],
            }
        )
        assert fields == expected["fields"]
        assert grant["uploadUrl"].rstrip("/") == expected["url"].rstrip("/")


def test_requests_uploads_with_what_was_granted(api, photo):
    put = api.grant({"contentType": "image/jpeg", "contentLength": len(photo)})
    answer = requests.request(put["method"], put["uploadUrl"], headers=put["headers"], data=photo)
    assert answer.status_code == 200, answer.text
    again = requests.put(put["uploadUrl"], headers=put["headers"], data=photo)
    assert again.status_code == 412, again.text
    assert api.final(put)["status"] == "ready"

    post = api.grant({"contentType": "image/jpeg", "method": "POST"})
    answer = requests.post(post["uploadUrl"], data=post["fields"], files={"file": photo})
    assert answer.status_code == 201, answer.text
    assert api.final(post)["status"] == "ready"


def test_a_client_that_sends_only_a_content_type_can_use_the_plainest_url(api, photo):
    grant = api.grant(None)
    answer = requests.put(grant["uploadUrl"], headers={"Content-Type": "image/jpeg"}, data=photo)
    assert answer.status_code == 200, answer.text
    assert api.final(grant)["status"] == "ready"
