"""docs/openapi.yaml against the running stack, by a property-based checker."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def test_the_document_is_what_the_stack_does(api, tmp_path):
    checker = pathlib.Path(sys.executable).with_name("schemathesis")
    config = pathlib.Path(__file__).with_name("schemathesis.toml")
    document = ROOT / "docs" / "openapi.yaml"
    command = [checker, "--config-file", config, "run", document, "--url", api.url]
    for name, value in api.headers.items():
        command += ["--header", f"{name}: {value}"]
    # Always the same requests: whoever changes nothing breaks nothing. Another seed finds other things.
    command += ["--max-examples", "200", "--seed", os.environ.get("SCHEMATHESIS_SEED", "1")]
    # In a folder of its own: it leaves a record of its findings where it runs.
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
