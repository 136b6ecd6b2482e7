"""What the drivers in Python share: the protocol of src/protocol.rs, a job a line on standard input, an answer a
line on standard output, and the clocks."""

import json
import os
import sys
import time


def serve(version, work, cpu_s, peak_bytes):
    """Answers jobs by `work`, which yields a width, a format and a path for each file that it has written."""
    say({"version": version})
    for line in sys.stdin:
        started, before = time.monotonic(), cpu_s()
        try:
            files = [describe(*file) for file in work(json.loads(line))]
            cpu, wall = cpu_s() - before, time.monotonic() - started
            say({"cpu_ms": cpu * 1e3, "wall_ms": wall * 1e3, "peak_bytes": peak_bytes(), "files": files})
        except Exception as error:
            say({"error": repr(error)})


def describe(width, form, path):
    return {"width": width, "format": form, "path": path, "bytes": os.path.getsize(path)}


def say(answer):
    print(json.dumps(answer), flush=True)
