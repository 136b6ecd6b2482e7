"""The deployed template at work: uploads through the real presign and worker binaries, with the environment, the rights
and the wiring that the template gives them. Then mistakes in it, each of which this must find.
"""

import json
import time

import pytest
import requests
from expanded import ROOT, TEMPLATE
from processes import Poller, Presign, Worker
from stack import Stack

PHOTO = ROOT / "fixtures/images/orientation_1.jpg"
# Bounds, not expectations; the second where waiting is in vain.
SECONDS, IN_VAIN_SECONDS = 60, 8


class Scenario:
    def __init__(self, stack, presign, worker, seconds):
        self.stack, self.presign, self.worker, self.seconds = stack, presign, worker, seconds

    def wait_for(self, what, check):
        """What `check` gives once it is true."""
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            self.worker.assert_runs()
            assert not self.stack.refused(), f"refused: {self.stack.refused()}"
            if found := check():
                return found
            time.sleep(0.1)
        raise AssertionError(f"{what}: not within {self.seconds} s")

    def ask(self, expected, method, path, wish=None):
        """What presign answers, with the status that is expected."""
        status, answer = self.presign.call(method, path, wish)
        assert status == expected, f"{method} {path}: {status} {answer}; refused: {self.stack.refused()}"
        return answer

    def upload(self, content_type, content):
        """Its key."""
        wish = {"contentType": content_type, "contentLength": len(content), "articleId": "a1"}
        grant = self.ask(200, "POST", "/upload-url", wish)
        put = requests.put(grant["uploadUrl"], data=content, headers=grant["headers"])
        assert put.status_code == 200, put.text
        return grant["key"]

    def state(self, key):
        """As its owner is told."""
        return self.ask(200, "GET", f"/uploads/{key}")

    def ends_as(self, expected, key):
        self.wait_for(expected, lambda: self.state(key)["status"] == expected)
        return self.state(key)

    def folder(self, key):
        return key.replace("raw/", "processed/", 1)

    def manifest(self, key):
        found = self.stack.s3.get_object(Bucket=self.stack.bucket, Key=f"{self.folder(key)}/manifest.json")
        return json.loads(found["Body"].read())

    def objects(self, key):
        """What there is of it under `processed/`."""
        listed = self.stack.s3.list_objects_v2(Bucket=self.stack.bucket, Prefix=f"{self.folder(key)}/")
        return {one["Key"] for one in listed.get("Contents", [])}

    def queued(self):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self.stack.sqs.get_queue_attributes(QueueUrl=self.stack.queue, AttributeNames=names)["Attributes"]
        return sum(map(int, told.values()))

    def invalidated(self):
        distribution = self.stack.resources["Worker"]["Properties"]["Environment"]["Variables"]["DISTRIBUTION_ID"]
        return self.stack.cloudfront.list_invalidations(DistributionId=distribution)["InvalidationList"]["Quantity"]

    def run(self):
        photo = self.upload("image/jpeg", PHOTO.read_bytes())
        renditions = {one["key"] for one in self.ends_as("ready", photo)["manifest"]["renditions"]}
        assert renditions and renditions < self.objects(photo)

        text = self.upload("image/png", b"This is no image.")
        assert self.ends_as("rejected", text)["rejection"]["code"] == "unsupported_type"

        self.ask(204, "DELETE", f"/uploads/{photo}")
        self.wait_for("the tombstone", lambda: self.manifest(photo)["status"] == "removed")
        self.wait_for("the renditions' removal", lambda: len(self.objects(photo)) == 1)
        self.wait_for("the CDN's invalidation", self.invalidated)
        self.wait_for("an empty queue", lambda: self.queued() == 0)


def run(text, seconds):
    stack = Stack(text)
    with Presign(stack, "ann") as presign, Poller(stack) as worker:
        Scenario(stack, presign, worker, seconds).run()


def test_uploads_end_as_they_must():
    run(TEMPLATE.read_text(), SECONDS)


def test_the_worker_answers_lambda_with_the_messages_that_failed_and_makes_avif():
    stack = Stack(TEMPLATE.read_text())
    with Presign(stack, "ann") as presign, Worker(stack) as worker:
        scenario = Scenario(stack, presign, worker, SECONDS)
        photo = scenario.upload("image/jpeg", PHOTO.read_bytes())
        taken = stack.sqs.receive_message(QueueUrl=stack.queue, MaxNumberOfMessages=10)["Messages"]
        [body] = [one["Body"] for one in taken if "ObjectCreated" in one["Body"]]
        assert worker.take([body, "no event"]) == ["1"]
        renditions = scenario.ends_as("ready", photo)["manifest"]["renditions"]
        assert {one["format"] for one in renditions} == {"avif", "jpeg"}


# What is written in the template, what a mistake would make of it, and how that shows.
MISTAKES = {
    "the notification is of another prefix": ("Value: raw/", "Value: uploads/", "ready: not within"),
    "the queue's variable is misspelt": ("QUEUE_URL: !Ref", "QUEUE_URI: !Ref", "QUEUE_URL: is not set"),
    "the bucket's variable is misspelt": ("BUCKET: !Ref", "BUKCET: !Ref", "BUCKET: is not set"),
    "the queue takes from another bucket": ("}:s3:::darkroom-${Id}", "}:s3:::photos-${Id}", "S3 may not send to"),
    "the worker may not write": (
        "Action: [s3:GetObject, s3:PutObject, s3:DeleteObject]",
        "Action: [s3:GetObject, s3:DeleteObject]",
        r"refused: \[\('s3:PutObject', 'arn:aws:s3:::[^/]*/processed/",
    ),
    "the key secret is another thing": ("ARN: !Ref KeySecret", "ARN: !Ref Alarms", "KEY_SECRET_ARN.*cannot be read"),
    "presign may not read its secret": ("Resource: !Ref KeySecret", "Resource: !Ref Alarms", "cannot be read"),
}


@pytest.mark.parametrize(("right", "wrong", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_wiring_mistake_makes_it_fail(right, wrong, told):
    text = TEMPLATE.read_text()
    assert right in text
    with pytest.raises(AssertionError, match=f"(?s){told}"):
        run(text.replace(right, wrong), IN_VAIN_SECONDS)
