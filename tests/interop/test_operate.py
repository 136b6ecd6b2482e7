"""What operators do, against moto over HTTP, with the worker's real binary for what they ask of it."""

import json
import os
import subprocess

import emulator
import pytest
from test_poller import FIXTURES, MAX_RECEIVE_COUNT, RECIPE, Poller

KEYS = ["raw/a/plain.jpg", "raw/a/é +%2B &<>.jpg", "raw/b/plain.jpg"]


@pytest.fixture
def cloud():
    with emulator.cloud(MAX_RECEIVE_COUNT) as cloud:
        yield cloud


def darkroom(cloud, tmp_path, *args):
    """Exit code, the items and the last line, which is the summary."""
    env = emulator.CREDENTIALS | {
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "BUCKET": emulator.BUCKET,
        "QUEUE_URL": cloud.queue,
        "RECIPE": RECIPE,
    }
    done = subprocess.run(
        [os.environ["DARKROOM"], *args, "--json"], env=env, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode in (0, 3), done.stderr
    *items, last = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, items, last.get("summary", last)


def drained(cloud):
    emulator.wait_for("an empty queue", 60, cloud.is_drained)


def test_what_was_lost_is_found_and_made(cloud, tmp_path):
    image = (FIXTURES / "images" / "orientation_6.jpg").read_bytes()
    for key in KEYS:
        cloud.put(key, "image/jpeg", image)
    cloud.put("raw/a/\x01.jpg", "image/jpeg", image)  # in a listing that is not encoded, no XML
    cloud.take(cloud.queue)

    code, _, story = darkroom(cloud, tmp_path, "status", KEYS[1])
    assert (code, story["verdict"], story["queue"]["queue"]["visible"]) == (3, "waiting", 0)
    code, items, summary = darkroom(cloud, tmp_path, "backfill")
    assert [item["key"] for item in items] == sorted(KEYS)
    assert (code, summary["due"]) == (0, 3)
    poller = Poller(cloud)  # to the end: moto gives messages to whoever asked, gone or not
    drained(cloud)
    _, items, summary = darkroom(cloud, tmp_path, "backfill")
    assert (items, summary["examined"]) == ([], 3), "the worker's recipe and this one are the same"

    code, _, story = darkroom(cloud, tmp_path, "status", f"s3://{emulator.BUCKET}/{KEYS[1]}")
    assert (code, story["verdict"], len(story["renditions"])) == (0, "ready", 4)
    cloud.delete(story["renditions"][0]["key"])
    half = "processed/b/plain.jpg/0123456789ab/w64.jpg"
    cloud.put(half, "image/jpeg", image)
    code, items, summary = darkroom(cloud, tmp_path, "reconcile")
    assert (code, summary["found"], summary["keptForNow"]) == (3, {"rendition_missing": 1}, 1)
    assert (items[0]["key"], summary["unusable"]) == (KEYS[1], 1)
    code, _, summary = darkroom(cloud, tmp_path, "reconcile", "--fix")
    assert (code, summary["asked"]) == (0, 1)
    drained(cloud)
    code, _, summary = darkroom(cloud, tmp_path, "reconcile")
    assert (code, summary["found"]) == (0, {})
    assert half in cloud.keys("processed/"), "it is younger than a day"
    poller.end()


def test_the_dead_letter_queue_is_found_and_told_of(cloud, tmp_path):
    for body in ("no event", json.dumps({"Records": []})):
        cloud.sqs.send_message(QueueUrl=cloud.dead_letters, MessageBody=body)
    code, groups, summary = darkroom(cloud, tmp_path, "redrive", "--dry-run")
    assert {group["reason"] for group in groups} == {"not_json", "not_an_event"}
    assert (code, summary["messages"], summary["complete"]) == (0, 2, True)
    assert len(cloud.take(cloud.dead_letters)) == 2, "a look shows again what it has seen"
