"""The worker's real binary under cargo-lambda's emulator of Lambda: every fixture event, as `fixtures/outcomes.json`
says."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys

import emulator
import pytest

ROOT = pathlib.Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
OUTCOMES = json.loads((FIXTURES / "outcomes.json").read_text())
# Which bucket the events are about.
BUCKET = "darkroom"
FUNCTION = "darkroom-worker"
# Besides a start, it may have to build.
START_SECONDS = 900


# Installed beside the interpreter.
CARGO_LAMBDA = str(pathlib.Path(sys.executable).with_name("cargo-lambda"))


class Lambda:
    def __init__(self, port):
        self.at = ["--invoke-address", "127.0.0.1", "--invoke-port", str(port)]

    def invoke(self, file):
        command = [CARGO_LAMBDA, "lambda", "invoke", FUNCTION, *self.at, "--data-file", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def cloud():
    with emulator.cloud(10) as cloud:
        cloud.s3.create_bucket(Bucket=BUCKET)
        yield cloud


@pytest.fixture(scope="module")
def function(cloud):
    port = emulator.free_port()
    function = Lambda(port)
    environment = emulator.CREDENTIALS | {"AWS_ENDPOINT_URL": cloud.endpoint, "BUCKET": BUCKET}
    # The very build that `cargo xtask interop` has made.
    build = ["--package", FUNCTION, *os.environ["DARKROOM_WORKER_FEATURES"].split()]
    command = [CARGO_LAMBDA, "lambda", "watch", "--ignore-changes", *function.at, *build]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, start_new_session=True)
    try:

        def answers():
            with contextlib.suppress(OSError), contextlib.closing(socket.create_connection(("127.0.0.1", port))):
                return True

        emulator.wait_for("cargo lambda's start", 60, answers)
        yield function
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def told(cloud, key):
    manifest = cloud.manifest(key, BUCKET)
    if manifest is None:
        return "none"
    return manifest["rejection"]["code"] if manifest["status"] == "rejected" else manifest["status"]


@pytest.mark.parametrize("event", sorted(OUTCOMES))
def test_a_fixture_event_has_its_outcome(cloud, function, event):
    case = OUTCOMES[event]
    cloud.clear(BUCKET)
    for source in case["sources"]:
        body = (FIXTURES / source["file"]).read_bytes()
        cloud.put(source["key"], source["contentType"], body, BUCKET)
    answer = function.invoke(FIXTURES / "events" / f"{event}.json")
    failed = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    assert failed == case["failed"]
    assert {key: told(cloud, key) for key in case["manifests"]} == case["manifests"]
