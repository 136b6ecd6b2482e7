"""The worker's real binary as a poller, against moto over HTTP: what it does outside Lambda."""

import collections
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import urllib.request

import emulator
import pytest

FIXTURES = pathlib.Path(__file__).parents[2] / "fixtures"
TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".gif": "image/gif", ".webp": "image/webp", ".avif": "image/avif"}
GOOD = sorted((FIXTURES / "images").iterdir())
# File, type that it is uploaded as, code that it is refused with.
BAD = [
    ("hostile/empty.jpg", "image/jpeg", "empty"),
    ("hostile/not_an_image.jpg", "image/jpeg", "unsupported_type"),
    ("hostile/png_in_disguise.jpg", "image/jpeg", "type_mismatch"),
    ("hostile/truncated.jpg", "image/jpeg", "corrupt"),
    ("hostile/claims_65000_square.jpg", "image/jpeg", "too_many_pixels"),
    ("images/wide.jpg", "text/html", "unsupported_type"),
]
RECIPE = """
formats = [{ format = "jpeg" }, { format = "png" }]
[[rendition]]
name = "w64"
width = 64
[[rendition]]
name = "thumb"
width = 16
height = 16
fit = "cover"
"""
UPLOADS = 200
# A receive that fails comes back after some 5 s: the second one is the last here.
MAX_RECEIVE_COUNT = 2


class Poller:
    def __init__(self, cloud):
        self.health_port = emulator.free_port()
        # No pipe: nobody would read it while it works, and a full one would hold it up.
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [os.environ["DARKROOM_WORKER"]],
            env=emulator.CREDENTIALS
            | {
                "AWS_ENDPOINT_URL": cloud.endpoint,
                "BUCKET": emulator.BUCKET,
                "QUEUE_URL": cloud.queue,
                "EVENT_TOPIC_ARN": cloud.topic,
                "MAX_RECEIVE_COUNT": str(MAX_RECEIVE_COUNT),
                "HEALTH_PORT": str(self.health_port),
                "RECIPE": RECIPE,
            },
            stdout=self.log,
        )

    def health(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/healthz") as answer:
            return answer.status, json.load(answer)["status"]

    def end(self):
        """Asks it to end, as ECS and Kubernetes do; its log's lines."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0
        self.log.seek(0)
        return [json.loads(line) for line in self.log]


@pytest.fixture
def cloud():
    with emulator.cloud(MAX_RECEIVE_COUNT) as cloud:
        yield cloud


def upload(cloud, first, count):
    """`count` mixed uploads; what must become of each, by key."""
    expected = {}
    for n in range(first, first + count):
        if n % 4 == 3:
            name, content_type, code = BAD[n // 4 % len(BAD)]
            file, outcome = FIXTURES / name, code
        else:
            file = GOOD[n % len(GOOD)]
            content_type, outcome = TYPES[file.suffix], "ready"
        key = f"raw/articles/a{n % 7}/{n:03} é+&{file.suffix}"
        if n % 10 == 0:
            # Replaced at once, perhaps while it is worked on.
            cloud.put(key, "image/png", (FIXTURES / "images/white_disc.png").read_bytes())
        cloud.put(key, content_type, file.read_bytes())
        if n % 25 == 24:
            cloud.delete(key)
            outcome = "removed"
        expected[key] = outcome
    return expected


def assert_settled(cloud, expected):
    named = set()
    for key, outcome in expected.items():
        manifest = cloud.manifest(key)
        assert manifest is not None, key
        told = manifest["rejection"]["code"] if manifest["status"] == "rejected" else manifest["status"]
        assert told == outcome, (key, manifest)
        renditions = {rendition["key"] for rendition in manifest.get("renditions", [])}
        assert len(renditions) == (4 if outcome == "ready" else 0), (key, renditions)
        named |= renditions
    there = cloud.keys("processed/")
    assert named <= there, named - there
    return there


def test_two_hundred_mixed_uploads_end_as_they_must_and_are_told_of(cloud):
    pollers = [Poller(cloud), Poller(cloud)]
    expected = upload(cloud, 0, UPLOADS)
    nobody_understands = ["", "not JSON", "[" * 200_000, '{"Records":[]}', '{"Records":[{"eventVersion":"3.0"}]}']
    for body in nobody_understands[1:]:
        cloud.sqs.send_message(QueueUrl=cloud.queue, MessageBody=body)
    emulator.wait_for("an empty queue", 240, cloud.is_drained)
    assert [poller.health() for poller in pollers] == [(200, "ok")] * 2
    assert_settled(cloud, expected)
    assert sorted(cloud.take(cloud.dead_letters)) == sorted(nobody_understands[1:])

    told = collections.defaultdict(set)
    events = [json.loads(json.loads(body)["Message"]) for body in cloud.take(cloud.events)]
    for event in events:
        told[event["key"]].add((event["type"], event["id"]))
    for key, outcome in expected.items():
        kind = {"ready": "image.ready", "removed": "image.removed"}.get(outcome, "image.rejected")
        assert kind in {kind for kind, _ in told[key]}, (key, told[key])
    of_one_manifest = collections.defaultdict(set)
    for event in events:
        of_one_manifest[event["key"], json.dumps(event["manifest"])].add(event["id"])
    assert all(len(ids) == 1 for ids in of_one_manifest.values()), "the same id on repetition"

    for poller in pollers:
        lines = poller.end()
        assert any("stops" in line.get("message", "") for line in lines)
        assert not any("panic" in json.dumps(line) for line in lines)


def test_a_poller_that_is_told_to_end_finishes_or_gives_back_and_the_next_one_goes_on(cloud):
    expected = upload(cloud, 300, 40)
    for _ in range(3):
        poller = Poller(cloud)
        before = cloud.queued()[0]
        emulator.wait_for("work", 60, lambda: cloud.queued()[0] < before or before == 0)
        poller.end()
        assert cloud.queued()[1] == 0, "it holds nothing back"
    last = Poller(cloud)
    emulator.wait_for("an empty queue", 240, cloud.is_drained)
    last.end()
    assert_settled(cloud, expected)

