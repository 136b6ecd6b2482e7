"""Writes fixtures/interop/post_policies.json anew: `python golden.py`, with requirements.txt installed."""

import json

from test_boto3 import GOLDEN, presigned_post

COMMON = {
    "signedAt": "2026-11-22T05:06:07Z",
    "region": "eu-central-1",
    "accessKeyId": "AKIDEXAMPLE",
    "secretAccessKey": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "bucket": "photos-example",
    "key": "raw/articles/a-1/019ab1c2-0000-7000-8000-000000000000-0123456789abcdef.jpg",
    "contentType": "image/jpeg",
    "lengthRange": [1, 26214400],
    "expiresIn": 900,
}
TOKEN = {"sessionToken": "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCmV1LWNlbnRyYWwtMSJ=="}
CASES = [
    COMMON,
    COMMON | {"lengthRange": [12345, 12345], "contentType": "image/png"},
    COMMON | TOKEN,
    COMMON | TOKEN | {"checksumSha256": "LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=", "expiresIn": 60},
    # The signing key is of the day in UTC; the expiry lies beyond it.
    COMMON | {"signedAt": "2026-12-31T23:59:59Z", "expiresIn": 3600},
]

if __name__ == "__main__":
    golden = [{"given": given, "fields": presigned_post(given)["fields"]} for given in CASES]
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(golden, indent=2) + "\n")
