"""docs/runbook.md, tried as an operator would: for each entry the fault is brought about on a dev stack of its own,
what the entry says is typed into a shell as it stands there, what is printed is compared with what it shows, and in the
end the upload is ready.

Where this is not as on AWS:

- Messages are received ten times before they are dead letters, as there, but without the waits in between, which take
  over an hour: `at_its_last_receive` receives nine times at once, and the worker's own receive is the tenth.
- The worker is the function's real binary under a Runtime API of a few lines, called as the event-source mapping calls
  it. Its log is searched by `Insights`, which reads no more of CloudWatch's language than the runbook uses.
- Permissions, S3 that fails and S3 that is slow are a proxy's work, `Storage`. What S3 answers to a page that its CORS
  rule does not name is moto's, since the dev stack's S3 takes any page.
- Lambda's throttles and timeouts cannot be had; their entries say what stands for them.
- Lines of the AWS CLI are not run: that their services, operations and parameters exist is read in botocore's models.
"""

import contextlib
import datetime
import http.client
import json
import os
import pathlib
import queue
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from unittest import mock

import boto3
import botocore.session
import emulator
import pytest
from botocore import xform_name
from botocore.config import Config
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

ROOT = pathlib.Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
RUNBOOK = ROOT / "docs" / "runbook.md"
PHOTO = FIXTURES / "images" / "orientation_1.jpg"

PORTS = range(23_000, 23_100, 4)
REGION = "us-east-1"
BUCKET = "darkroom"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "darkroom",
    "AWS_SECRET_ACCESS_KEY": "darkroom-local-only",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
}
# Longer than anything that is typed takes.
TYPED_SECONDS = 100
# A user that every system has.
NOBODY = 65_534
# Receives after which both the worker and the queue give up.
MAX_RECEIVE_COUNT = 10
# Quick to make, and a picture that AVIF would only slow down.
RECIPE = 'formats = [{ format = "jpeg" }]\n[[rendition]]\nname = "w320"\nwidth = 320\n'


# ---- The runbook: its entries, and a terminal to type them into ----


class Block:
    """Commands of an entry, and what it shows of their output, if anything."""

    def __init__(self, code, seen=None):
        self.code, self.seen = code, seen

    @property
    def is_for_aws(self):
        return self.code.startswith("# AWS only\n")

    @property
    def is_search(self):
        """Of the worker's log, for which there is a stand-in."""
        return self.code.startswith("# AWS only\ninsights WorkerLogs ")

    @property
    def is_run(self):
        return not self.is_for_aws or self.is_search


class Entry:
    """What is below a heading of the third level: blocks by part, and the text."""

    PARTS = {"**Look**": "look", "**Do**": "do", "**Over**": "over"}

    def __init__(self, heading, section):
        self.heading, self.section, self.text = heading, section, ""
        self.blocks = {"": [], "look": [], "do": [], "over": []}


def fences(lines):
    """The kind and the text of fenced blocks, and `None` and the line of all else."""
    kind, block = None, []
    for line in lines:
        if kind is None and line.startswith("```"):
            kind, block = line.removeprefix("```"), []
        elif kind is not None and line == "```":
            yield kind, "".join(f"{one}\n" for one in block)
            kind = None
        elif kind is not None:
            block.append(line)
        else:
            yield None, line


def read_runbook():
    """Its entries by heading; what stands before the first is under ''."""
    entries = {"": Entry("", "")}
    entry, section, part = entries[""], "", ""
    for kind, text in fences(RUNBOOK.read_text().splitlines()):
        if kind is None and text.startswith("## "):
            section = text.removeprefix("## ")
        elif kind is None and text.startswith("### "):
            heading = text.removeprefix("### ")
            assert heading not in entries, f"two entries are called {heading}"
            entry, part = entries.setdefault(heading, Entry(heading, section)), ""
        elif kind is None and (named := next((name for name in Entry.PARTS if text.startswith(name)), None)):
            part = Entry.PARTS[named]
            if sentence := re.fullmatch(r".* when `([^`]+)` prints `([^`]+)`", text):
                entry.blocks[part].append(Block(f"{sentence[1]}\n", f"{sentence[2]}\n"))
        elif kind == "sh":
            entry.blocks[part].append(Block(text))
        elif kind == "text" and entry.heading:
            assert entry.blocks[part][-1].seen is None, f"{entry.heading}: output without commands"
            entry.blocks[part][-1].seen = text
        if kind is None:
            entry.text += f"{text}\n"
    return entries


ENTRIES = read_runbook()


def pattern(seen):
    """`...` stands for any text within a line and, alone on its line, for any lines."""
    lines = []
    for line in seen.splitlines():
        if line.strip() == "...":
            lines.append(r"(?:.*\n)*?")
        else:
            lines.append(r".*?".join(map(re.escape, line.split("..."))) + r"\n")
    return re.compile("".join(lines))


def assert_seen(block, printed):
    printed = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
    if block.seen is not None and not pattern(block.seen).fullmatch(printed):
        raise AssertionError(f"typed:\n{block.code}\nis shown:\n{block.seen}\nwas printed:\n{printed}")


class Terminal:
    """A shell in which the runbook's set-up has been typed, and then what entries say."""

    END = "-- what was typed has ended --"

    def __init__(self, directory, environment):
        path = f"{directory / 'bin'}:{os.environ['PATH']}"
        environment = {"PATH": path, "HOME": str(directory), "LC_ALL": "C.UTF-8"} | environment
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self.shell = subprocess.Popen(["bash"], cwd=directory, env=environment, **pipes)

    def type(self, code):
        """What it prints; both outputs, as one sees them."""
        # Commands must not read on in what was typed.
        self.shell.stdin.write(f"{{ {code}\n}} < /dev/null\nprintf '\\n%s\\n' '{self.END}'\n")
        self.shell.stdin.flush()
        printed, too_long = "", threading.Timer(TYPED_SECONDS, self.shell.kill)
        too_long.start()
        while not printed.endswith(f"\n{self.END}\n"):
            line = self.shell.stdout.readline()
            assert line, f"the shell has ended, or this took over {TYPED_SECONDS} s:\n{code}\nwas printed:\n{printed}"
            printed += line
        too_long.cancel()
        return printed.removesuffix(f"\n{self.END}\n")

    def end(self):
        self.shell.kill()
        self.shell.wait()


# ---- The stack, the worker, and what goes wrong ----


def free_ports():
    def is_free(port):
        with contextlib.closing(socket.socket()) as listener, contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            return True

    return next(port for port in PORTS if all(map(is_free, range(port, port + 4))))


class Stack:
    """`darkroom dev`, with an S3 and an SQS client of its own."""

    def __init__(self, directory, *options):
        self.directory, self.port = directory, free_ports()
        self.s3_url, self.sqs_url = (f"http://127.0.0.1:{self.port + n}" for n in (1, 3))
        self.queue = f"{self.sqs_url}/000000000000/darkroom"
        self.output = open(directory / "dev.log", "a+")
        self.start(*options)
        keys = {"aws_access_key_id": "darkroom", "aws_secret_access_key": "darkroom-local-only", "region_name": REGION}
        self.s3 = boto3.client("s3", endpoint_url=self.s3_url, **keys)
        self.sqs = boto3.client("sqs", endpoint_url=self.sqs_url, **keys)

    def start(self, *options):
        where = ["--port", str(self.port), "--dir", str(self.directory / "state")]
        command = [os.environ["DARKROOM"], "dev", *where, *options]
        self.process = subprocess.Popen(command, stdout=self.output, stderr=self.output)
        emulator.wait_for("the stack's start", 30, self.answers)

    def answers(self):
        assert self.process.poll() is None, (self.directory / "dev.log").read_text()
        with contextlib.suppress(OSError), contextlib.closing(socket.create_connection(("127.0.0.1", self.port + 3))):
            return True

    def end(self):
        self.process.terminate()
        self.process.wait()

    def receive(self, visibility_s):
        receive = {"MaxNumberOfMessages": 10, "VisibilityTimeout": visibility_s, "AttributeNames": ["All"]}
        return self.sqs.receive_message(QueueUrl=self.queue, **receive).get("Messages", [])

    def at_its_last_receive(self):
        """Whatever is in the queue will next be received for the last time."""
        for _ in range(MAX_RECEIVE_COUNT - 1):
            self.receive(0)

    def bury(self, messages):
        """What was received ten times goes to the dead letters when it would be given an eleventh time."""
        for message in messages:
            handle = {"QueueUrl": self.queue, "ReceiptHandle": message["ReceiptHandle"]}
            self.sqs.change_message_visibility(VisibilityTimeout=0, **handle)
        assert self.receive(0) == []

    def acknowledge(self, messages):
        for message in messages:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])

    def manifest(self, key):
        folder = key.replace("raw/", "processed/", 1)
        with contextlib.suppress(self.s3.exceptions.NoSuchKey):
            return json.load(self.s3.get_object(Bucket=BUCKET, Key=f"{folder}/manifest.json")["Body"])


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


@contextlib.contextmanager
def served(application):
    """The URL where it answers meanwhile."""
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


class Storage:
    """Before the stack's S3, for the worker alone: `fault` may answer a request in its place, or take its time. Owns
    how requests are passed on, signatures included; what goes wrong is the scenario's."""

    def __init__(self, stack, fault):
        self.address, self.fault = ("127.0.0.1", stack.port + 1), fault

    def __call__(self, environ, start_response):
        request = Request(environ)
        answer = self.fault(request) or self.passed_on(request)
        return answer(environ, start_response)

    def passed_on(self, request):
        connection = http.client.HTTPConnection(*self.address)
        path = request.environ["RAW_URI"]
        connection.putrequest(request.method, path, skip_host=True, skip_accept_encoding=True)
        body = request.get_data()
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers.pop("transfer-encoding", None)
        for name, value in (headers | {"content-length": str(len(body))}).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        told = [(name, value) for name, value in answer.getheaders() if name.lower() != "date"]
        return Response(answer.read(), status=answer.status, headers=told)


def refusal(status, code):
    return Response(f"<Error><Code>{code}</Code></Error>", status=status, content_type="application/xml")


def of_source(request, method="GET"):
    return request.method == method and "/raw/" in request.path


def worker_environment(stack):
    urls = {"AWS_ENDPOINT_URL_S3": stack.s3_url, "AWS_ENDPOINT_URL_SQS": stack.sqs_url}
    return CREDENTIALS | urls | {"BUCKET": BUCKET, "QUEUE_URL": stack.queue}


class Function:
    """The worker's real binary, called as Lambda calls it. What it writes is added to `log`.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """

    def __init__(self, stack, log, settings, timeout_s=60, program=None, **options):
        self.stack, self.timeout_s = stack, timeout_s
        self.events, self.answers = queue.Queue(), queue.Queue()
        self.ends = contextlib.ExitStack()
        runtime_api = self.ends.enter_context(served(Request.application(self.runtime_api)))
        by_lambda = {
            "AWS_LAMBDA_RUNTIME_API": runtime_api.removeprefix("http://"),
            "AWS_LAMBDA_FUNCTION_NAME": "worker",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "2048",
        }
        log = self.ends.enter_context(open(log, "a"))
        environment = worker_environment(stack) | by_lambda | settings
        command = [program or os.environ["DARKROOM_WORKER"]]
        self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.ends.close()

    def runtime_api(self, request):
        if request.path.endswith("/invocation/next"):
            event = self.events.get()
            headers = {
                "Lambda-Runtime-Aws-Request-Id": f"00000000-0000-4000-8000-{time.time_ns() % 10**12:012}",
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self.timeout_s) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:{REGION}:000000000000:function:worker",
            }
            return Response(json.dumps(event), headers=headers, content_type="application/json")
        self.answers.put(json.loads(request.get_data()))
        return Response(status=202)

    def invoke(self, messages):
        """The messages that have failed, or all where the process has ended."""
        self.events.put({"Records": [record(message) for message in messages]})
        while self.process.poll() is None:
            with contextlib.suppress(queue.Empty):
                answer = self.answers.get(timeout=0.05)
                failed = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
                return [message for message in messages if message["MessageId"] in failed]
        return messages


def record(message):
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:000000000000:darkroom",
        "awsRegion": REGION,
    }


# ---- The log, and what stands for Logs Insights ----

PIPE = re.compile(r"\s*\|\s*(?=(?:filter|fields|stats|sort|limit)\b)")
AND = re.compile(r"\s+and\s+(?=ispresent|@?[\w.]+ (?:=|like|>=))")


class Insights:
    """As much of CloudWatch's query language as the runbook uses on the worker's log."""

    def __init__(self, lines):
        self.rows = [self.row(line) for line in lines]
        self.shown = ["@message"]

    @staticmethod
    def row(line):
        line = line.rstrip("\n")
        fields = json.loads(line) if line.startswith("{") else {}
        stamp = fields.get("timestamp") or fields.get("_aws", {}).get("Timestamp", "")
        return fields | {"@message": line, "@timestamp": str(stamp)}

    def run(self, query):
        for command in PIPE.split(query):
            name, _, rest = command.strip().partition(" ")
            getattr(self, name)(rest)
        told = [[self.text(row[name]) for name in self.shown if row.get(name) is not None] for row in self.rows]
        return "".join("  ".join(values) + "\n" for values in told)

    @staticmethod
    def text(value):
        return value if isinstance(value, str) else json.dumps(value)

    def fields(self, names):
        self.shown = re.split(r",\s*", names)

    def limit(self, count):
        self.rows = self.rows[: int(count)]

    def sort(self, by):
        name, _, order = by.partition(" ")
        self.rows.sort(key=lambda row: row.get(name, 0), reverse=order == "desc")

    def stats(self, rest):
        alias, by = re.fullmatch(r"count\(\*\) as (\w+) by (\w+)", rest).groups()
        counts = {}
        for row in self.rows:
            counts[row[by]] = counts.get(row[by], 0) + 1
        self.rows, self.shown = [{alias: count, by: value} for value, count in counts.items()], [alias, by]

    def filter(self, conditions):
        for condition in AND.split(conditions):
            self.rows = [row for row in self.rows if self.holds(condition, row)]

    @staticmethod
    def holds(condition, row):
        if present := re.fullmatch(r"ispresent\((\w+)\)", condition):
            return row.get(present[1]) is not None
        name, operator, wanted = re.fullmatch(r"(@?[\w.]+) (=|like) (.+)", condition).groups()
        value = row.get(name)
        if value is None:
            return False
        if wanted.startswith("/"):
            return re.search(wanted[1:-1], value) is not None
        return value == wanted[1:-1] if operator == "=" else wanted[1:-1] in value


# ---- An operator's desk: a stack, a terminal, and the entry that is read ----


class Desk:
    """`entry` is read at a terminal beside a stack. What is in `log` is what the worker has written."""

    def __init__(self, directory, entry, ends):
        self.directory, self.entry, self.ends = directory, entry, ends
        self.left = [block for blocks in entry.blocks.values() for block in blocks if block.is_run]
        self.log, self.worker = directory / "worker.log", None
        self.log.touch()
        shutil.copy(PHOTO, directory / "photo.jpg")
        (directory / "bin").mkdir()
        (directory / "bin" / "darkroom").symlink_to(pathlib.Path(os.environ["DARKROOM"]).resolve())
        for name in ("jq", "curl"):
            assert shutil.which(name), f"the runbook needs {name}"

    def opens(self, *options, on_aws=False, **environment):
        """A stack, and a terminal with the set-up of the runbook; `on_aws`: where the operator's commands find it as
        they would find one on AWS."""
        self.stack = Stack(self.directory, *options)
        self.ends.callback(self.stack.end)
        if on_aws:
            urls = {"AWS_ENDPOINT_URL_S3": self.stack.s3_url, "AWS_ENDPOINT_URL_SQS": self.stack.sqs_url}
            environment |= CREDENTIALS | urls | {"BUCKET": BUCKET, "QUEUE_URL": self.stack.queue}
        environment |= {"PORT": str(self.stack.port), "LOG": str(self.log)}
        self.terminal = Terminal(self.directory, environment)
        self.ends.callback(self.terminal.end)
        for block in ENTRIES["Set-up"].blocks[""]:
            if not block.is_for_aws:
                assert self.terminal.type(block.code) == ""
        if on_aws:
            self.terminal.type("LOCAL=")
        search = shlex.join([sys.executable, "-B", __file__])
        self.terminal.type(f'insights() {{ {search} "$LOG" "$3"; }}')

    def restarts(self, *options):
        self.stack.end()
        self.stack.start(*options)

    def asks_for_a_url(self):
        """And does not use it."""
        self.knows("WISH", '{"contentType":"image/jpeg"}')
        self.terminal.type('curl -s $API/upload-url -H "Authorization: Bearer $TOKEN" -d "$WISH" > upload.json')
        self.terminal.type("KEY=$(jq -r .key upload.json) URL=$(jq -r .uploadUrl upload.json)")

    def knows(self, name, value):
        self.terminal.type(f"{name}={shlex.quote(value)}")

    def value(self, name):
        return self.terminal.type(f'printf %s "${name}"')

    def uploads(self, file, content_type="image/jpeg", waits=False):
        """As a user does, who perhaps waits for the end; `KEY` and `URL` are those of the upload."""
        if file.parent != self.directory:
            shutil.copy(file, self.directory / file.name)
        assert self.terminal.type(f"put {file.name} {content_type}") == "200\n"
        if waits:
            assert self.terminal.type("settled").startswith("Settled: ")

    def reads(self, *parts):
        """Types all commands of parts of the entry."""
        for block in sum((self.entry.blocks[part] for part in parts), []):
            if block.is_run:
                self.left.remove(block)
                assert_seen(block, self.terminal.type(block.code))

    def works_off(self, timeout_s=60, fault=None, **settings):
        """The worker takes all that is in the queue. The messages that failed, hidden for as long as it has said."""
        failed = []
        with self.behind(fault) as s3, Function(self.stack, self.log, s3 | settings, timeout_s) as self.worker:
            while messages := self.stack.receive(360):
                back = self.worker.invoke(messages)
                failed += back
                self.stack.acknowledge(message for message in messages if message not in back)
        return failed

    @contextlib.contextmanager
    def behind(self, fault):
        """The worker's settings for an S3 with this fault."""
        if fault is None:
            yield {}
            return
        with served(Storage(self.stack, fault)) as url:
            yield {"AWS_ENDPOINT_URL_S3": url}

    def gives_up(self, **fault):
        """On the last receive; the messages are dead letters then."""
        self.stack.at_its_last_receive()
        self.stack.bury(self.works_off(**fault))


SCENARIOS = {}


def of_entry(heading):
    """Which entry a scenario tries."""

    def register(scenario):
        SCENARIOS[heading] = scenario
        return scenario

    return register


# ---- Whether the upload works at all ----


@of_entry("One upload from end to end")
def nothing_is_wrong(desk):
    desk.opens()
    desk.reads("look")


# ---- Alarms ----


def source_is_forbidden(request):
    return refusal(403, "AccessDenied") if of_source(request) else None


@of_entry("DeadLettersAlarm")
def a_permission_is_missing(desk):
    desk.opens("--no-worker")
    desk.uploads(PHOTO)
    desk.uploads(PHOTO)
    desk.gives_up(fault=source_is_forbidden)
    desk.reads("look", "do")
    desk.works_off()
    desk.reads("over")


@of_entry("BacklogAlarm")
def the_worker_is_off(desk):
    desk.opens("--no-worker")
    for _ in range(3):
        desk.uploads(PHOTO)
    desk.reads("look")
    desk.works_off()
    desk.reads("over")


@of_entry("WorkerErrorsAlarm")
def the_worker_does_not_start_and_then_is_killed(desk):
    desk.opens("--no-worker")
    desk.uploads(PHOTO)
    bad = RECIPE.replace("w320", "W640")
    assert len(desk.works_off(RECIPE=bad)) == 1
    desk.reads("look")
    desk.uploads(PHOTO)

    def kill(request):
        if of_source(request):
            desk.worker.process.kill()

    assert len(desk.works_off(fault=kill)) == 1
    desk.reads("do")
    desk.works_off()
    desk.reads("over")


@of_entry("WorkerThrottlesAlarm")
def a_burst_has_one_worker(desk):
    desk.opens("--no-worker")
    for _ in range(12):
        desk.uploads(PHOTO)
    desk.reads("look")
    desk.works_off()
    desk.reads("over")


@of_entry("WorkerSlowAlarm")
def s3_is_slow(desk):
    desk.opens("--no-worker")
    desk.uploads(PHOTO)
    desk.works_off(fault=lambda request: time.sleep(2) if of_source(request) else None)
    desk.restarts()
    desk.uploads(PHOTO, waits=True)
    desk.reads("look", "over")


@of_entry("RejectionsAlarm")
def a_page_sends_bad_files(desk):
    bad = [FIXTURES / "hostile" / f"{name}.jpg" for name in ["truncated"] * 3 + ["png_in_disguise"]]
    desk.opens("--no-worker")
    for file in [PHOTO] * 6 + bad:
        desk.uploads(file)
    desk.works_off()
    desk.restarts()  # with a worker whose metrics the dev stack shows
    for file in bad:
        desk.uploads(file, waits=True)
    desk.reads("look", "over")


@contextlib.contextmanager
def lost_disk(stack):
    """S3 answers 500 of every object."""
    blobs, aside = stack.directory / "state" / "blobs", stack.directory / "aside"
    blobs.rename(aside)
    yield
    aside.rename(blobs)


@of_entry("ApiErrorsAlarm")
def s3_fails(desk):
    desk.opens()
    desk.uploads(PHOTO, waits=True)
    with lost_disk(desk.stack):
        desk.reads("look")
    desk.reads("over")


@of_entry("ApiSlowAlarm")
def s3_has_to_be_asked_again(desk):
    desk.opens()
    desk.uploads(PHOTO, waits=True)
    with lost_disk(desk.stack):
        desk.terminal.type('curl -s "$API/uploads/$KEY" -H "Authorization: Bearer $TOKEN"')
        desk.reads("look")
    desk.reads("over")


# ---- Rejections ----


def of_a_bad_file(heading, name):
    """No limit helps: in the end another file is uploaded, by what the entry says or by the user."""

    @of_entry(heading)
    def scenario(desk):
        desk.opens()
        desk.uploads(FIXTURES / "hostile" / name, waits=True)
        desk.reads("look")
        key = desk.value("KEY")
        desk.reads("do")
        if key == desk.value("KEY"):
            desk.uploads(PHOTO)
        desk.reads("over")


of_a_bad_file("empty", "empty.jpg")
of_a_bad_file("unsupported_type", "not_an_image.jpg")
of_a_bad_file("type_mismatch", "png_in_disguise.jpg")
of_a_bad_file("corrupt", "truncated.jpg")


def of_a_limit(heading, file, content_type, low, high, recipe):
    """What the worker refuses with the settings `low` is made with `high`, which the operator has taken over."""

    @of_entry(heading)
    def scenario(desk):
        desk.opens("--no-worker", on_aws=True, **recipe, **low)
        desk.uploads(file(desk.directory), content_type)
        desk.works_off(**recipe, **low)
        desk.reads("look")
        [(name, value)] = high.items()
        desk.terminal.type(f"settings() {{ export {name}={value}; }}")
        desk.reads("do")
        desk.works_off(**recipe, **high)
        desk.reads("over")


def fixture(name):
    return lambda _: FIXTURES / "images" / name


def plain_png(width_px, height_px):
    """Black."""

    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    def make(directory):
        header = width_px.to_bytes(4, "big") + height_px.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
        pixels = zlib.compress(bytes(height_px * (1 + 3 * width_px)), 1)
        chunks = [chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
        file = directory / "plain.png"
        file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
        return file

    return make


ANIMATED = 'formats = [{ format = "webp", animated = true }]\n[[rendition]]\nname = "w320"\nwidth = 320\n'
for heading, file, content_type, name, low, high, recipe in [
    ("too_many_bytes", fixture("wide.jpg"), "image/jpeg", "MAX_SOURCE_BYTES", 10_000, 52_428_800, {}),
    ("too_many_pixels", plain_png(1250, 800), "image/png", "MAX_PIXELS", 999_999, 200_000_000, {"RECIPE": RECIPE}),
    ("too_many_frames", fixture("two_frames.gif"), "image/gif", "MAX_FRAMES", 1, 120, {"RECIPE": ANIMATED}),
    ("too_much_memory", plain_png(2000, 1600), "image/png", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 128, 4096, {}),
]:
    of_a_limit(heading, file, content_type, {name: str(low)}, {name: str(high)}, recipe)


# ---- Failures ----


def fails_as_contended(desk):
    rounds = iter(range(5))  # in which someone else was quicker; then the failure is written
    of_manifest = lambda request: request.method == "PUT" and request.path.endswith("/manifest.json")
    is_lost = lambda request: of_manifest(request) and next(rounds, None) is not None
    desk.gives_up(fault=lambda request: refusal(412, "PreconditionFailed") if is_lost(request) else None)


def fails_as_interrupted(desk):
    """Told to stop while the source is on its way. Lambda gives no such signal, so it is the poller's."""
    desk.stack.at_its_last_receive()

    def stop(request):
        if of_source(request):
            poller.send_signal(signal.SIGTERM)
            time.sleep(3)  # for two of them it waits for what the queue may still give

    with desk.behind(stop) as s3, open(desk.log, "a") as log:
        environment = worker_environment(desk.stack) | s3 | {"HEALTH_PORT": "0", "RECIPE": RECIPE}
        poller = subprocess.Popen([os.environ["DARKROOM_WORKER"]], env=environment, stdout=log, stderr=log)
        assert poller.wait(timeout=60) == 0
    desk.stack.bury([])


def fails_as_out_of_time(desk):
    desk.gives_up(timeout_s=2.5, fault=lambda request: time.sleep(4) if of_source(request) else None)


def fails_as_storage_unavailable(desk):
    of_rendition = lambda request: request.method == "PUT" and request.path.endswith(".jpg")
    desk.gives_up(fault=lambda request: refusal(503, "SlowDown") if of_rendition(request) else None, RECIPE=RECIPE)


def fails_as_not_told(desk):
    topic = f"arn:aws:sns:{REGION}:000000000000:gone"
    desk.gives_up(EVENT_TOPIC_ARN=topic, AWS_ENDPOINT_URL_SNS="http://127.0.0.1:1")


def fails_as_not_understood(desk):
    desk.stack.sqs.send_message(QueueUrl=desk.stack.queue, MessageBody="hello")
    desk.gives_up()


def fails_as_internal(desk):
    """No more threads are to be had: the system allows a user so many. Those of a first upload are there, but for one
    that each upload starts anew."""
    first = desk.stack.receive(360)
    program = shutil.copy(os.environ["DARKROOM_WORKER"], desk.directory / "darkroom-worker")
    user = {"user": NOBODY} if os.geteuid() == 0 else {}
    with Function(desk.stack, desk.log, {"RECIPE": RECIPE}, program=program, **user) as worker:
        assert worker.invoke(first) == []
        desk.stack.acknowledge(first)
        desk.uploads(PHOTO)
        desk.stack.at_its_last_receive()
        subprocess.run(["prlimit", f"--pid={worker.process.pid}", "--nproc=1:1"], check=True, **user)
        second = desk.stack.receive(360)
        assert worker.invoke(second) == second
    desk.stack.bury(second)


@of_entry("Failure codes")
def everything_that_can_fail_fails(desk):
    desk.opens("--no-worker")
    for fails in [
        fails_as_contended,
        fails_as_internal,
        fails_as_interrupted,
        fails_as_out_of_time,
        fails_as_storage_unavailable,
        fails_as_not_told,
    ]:
        desk.uploads(PHOTO)
        fails(desk)
    fails_as_not_understood(desk)
    desk.uploads(PHOTO)
    desk.gives_up(fault=source_is_forbidden)
    desk.reads("look", "do")
    assert [message["Body"] for message in desk.works_off()] == ["hello"]
    desk.reads("over")


# ---- What S3 refuses ----


@of_entry("Request has expired")
def the_page_was_left_open(desk):
    desk.opens("--url-expiry", "3")
    desk.asks_for_a_url()
    time.sleep(4)
    desk.reads("look", "do", "over")


def of_a_request(heading):
    """The fault is in the request that the entry itself makes."""

    @of_entry(heading)
    def scenario(desk):
        desk.opens()
        desk.asks_for_a_url()
        desk.reads("look", "do", "over")


for heading in ("SignatureDoesNotMatch", "HeadersNotSigned", "a form that is refused", "BadDigest"):
    of_a_request(heading)


def signed_by_boto3(desk, access_key="darkroom"):
    keys = {"aws_access_key_id": access_key, "aws_secret_access_key": "darkroom-local-only", "region_name": REGION}
    client = boto3.client("s3", endpoint_url=desk.stack.s3_url, config=Config(signature_version="s3v4"), **keys)
    put = {"Bucket": BUCKET, "Key": "raw/articles/a/photo.jpg", "ContentType": "image/jpeg"}
    return client.generate_presigned_url("put_object", put, 900)


@of_entry("no permission")
def the_key_that_signed_is_gone(desk):
    desk.opens()
    desk.knows("URL", signed_by_boto3(desk, "gone"))
    desk.reads("look", "do", "over")


@of_entry("another clock")
def who_signs_is_twenty_minutes_ahead(desk):
    desk.opens()
    ahead = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=20)
    with mock.patch("botocore.auth.get_current_datetime", return_value=ahead.replace(tzinfo=None)):
        desk.knows("URL", signed_by_boto3(desk))
    desk.reads("look", "do", "over")


@of_entry("PreconditionFailed")
def the_answer_to_the_first_put_was_lost(desk):
    desk.opens()
    desk.uploads(PHOTO)
    desk.reads("look", "do", "over")


# ---- CORS ----


@of_entry("The API's preflight")
def the_api_does_not_know_the_page(desk):
    desk.opens()
    desk.reads("look", "do", "over")
    desk.uploads(PHOTO, waits=True)


@of_entry("S3's preflight")
def s3_does_not_know_the_page(desk):
    """The dev stack's S3 takes any page, so what refuses is moto, with the template's rule for one page."""
    desk.opens()
    rule = {"AllowedOrigins": ["http://localhost:3000"], "AllowedMethods": ["PUT", "POST", "GET", "HEAD"]}
    rule |= {"AllowedHeaders": ["*"], "MaxAgeSeconds": 3600}
    with emulator.cloud(MAX_RECEIVE_COUNT) as cloud:
        cloud.s3.put_bucket_cors(Bucket=emulator.BUCKET, CORSConfiguration={"CORSRules": [rule]})
        desk.knows("S3", f"{cloud.endpoint}/{emulator.BUCKET}")
        desk.reads("look")
    desk.knows("S3", f"{desk.stack.s3_url}/{BUCKET}")
    desk.reads("over")


# ---- What cannot load ----


@of_entry("Not published, removed or rejected")
def the_source_was_deleted(desk):
    desk.opens()
    desk.uploads(PHOTO, waits=True)
    desk.terminal.type("PICTURE=$(picture)")
    desk.terminal.type('curl -s -X DELETE "$API/uploads/$KEY" -H "Authorization: Bearer $TOKEN"')
    is_removed = lambda: desk.stack.manifest(desk.value("KEY"))["status"] == "removed"
    emulator.wait_for("a tombstone", 60, is_removed)
    desk.reads("look")
    back = {"Key": desk.value("KEY"), "Body": PHOTO.read_bytes(), "ContentType": "image/jpeg"}
    desk.stack.s3.put_object(Bucket=BUCKET, **back)
    desk.reads("over")


@of_entry("raw/ or another key")
def the_page_asks_for_the_source(desk):
    desk.opens()
    desk.uploads(PHOTO, waits=True)
    desk.reads("look", "do", "over")


@of_entry("A path without a format")
def the_cdn_has_the_formats_of_another_recipe(desk):
    recipe = desk.directory / "png.toml"
    recipe.write_text('formats = [{ format = "png" }]\n[[rendition]]\nname = "w320"\nwidth = 320\n')
    desk.opens("--recipe", str(recipe))
    desk.uploads(PHOTO, waits=True)
    desk.terminal.type("PICTURE=$(picture)")
    desk.restarts()
    desk.reads("look", "do", "over")


# ---- What is stuck ----


@of_entry("It waits")
def nobody_takes_it(desk):
    desk.opens("--no-worker")
    desk.uploads(PHOTO)
    desk.reads("look")
    desk.works_off()
    desk.reads("over")


@of_entry("It is in flight")
def it_has_failed_three_times(desk):
    """Hidden for over a minute then, which is long enough to be looked at."""
    desk.opens("--no-worker")
    desk.uploads(PHOTO)
    for _ in range(2):
        desk.stack.receive(0)
    desk.works_off(fault=lambda request: refusal(503, "SlowDown") if of_source(request) else None)
    desk.reads("look", "do")
    desk.works_off()
    desk.reads("over")


@of_entry("No message is about it")
def the_notification_is_lost(desk):
    desk.opens("--no-worker")
    desk.uploads(PHOTO)
    desk.stack.acknowledge(desk.stack.receive(600))
    desk.reads("look", "do")
    desk.works_off()
    desk.reads("over")


@of_entry("Renditions are missing")
def a_rendition_was_deleted(desk):
    desk.opens()
    desk.uploads(PHOTO, waits=True)
    manifest = desk.stack.manifest(desk.value("KEY"))
    desk.stack.s3.delete_object(Bucket=BUCKET, Key=manifest["renditions"][0]["key"])
    desk.reads("look", "do", "over")


@pytest.fixture
def directory():
    with tempfile.TemporaryDirectory(prefix="runbook-") as directory:
        os.chmod(directory, 0o755)  # also for a worker that is another user
        yield pathlib.Path(directory)


@pytest.mark.parametrize("heading", [heading for heading in ENTRIES if heading not in ("", "Set-up")])
def test_the_entry_helps(heading, directory):
    assert heading in SCENARIOS, f"nobody tries {heading}"
    with contextlib.ExitStack() as ends:
        desk = Desk(directory, ENTRIES[heading], ends)
        SCENARIOS[heading](desk)
        assert desk.stack.manifest(desk.value("KEY"))["status"] == "ready"
    assert [block.code for block in desk.left] == [], "commands that were not tried"


# ---- Names ----


def of_section(title):
    return {entry.heading for entry in ENTRIES.values() if entry.section == title}


def test_every_alarm_has_its_entry():
    template = (ROOT / "template.yaml").read_text()
    alarms = re.findall(r"^  (\w+):\n    Type: AWS::CloudWatch::Alarm$", template, re.MULTILINE)
    assert of_section("Alarms") == set(alarms)


def codes(file, enumeration):
    """The words that a Rust enumeration of codes has for the world."""
    [body] = re.findall(rf"^impl {enumeration} {{$(.*?)^}}$", file.read_text(), re.MULTILINE | re.DOTALL)
    return set(re.findall(r'Self::\w+ => "(\w+)"', body))


def test_every_code_has_its_entry():
    crates = ROOT / "crates"
    assert of_section("An upload is rejected") == codes(crates / "contract/src/manifest.rs", "RejectionCode")
    told = re.findall(r"^\| `(\w+)` \|", ENTRIES["Failure codes"].text, re.MULTILINE)
    assert set(told) == codes(crates / "worker/src/error.rs", "FailureCode")


def test_every_entry_says_where_to_look_what_to_do_and_when_it_is_over():
    for entry in ENTRIES.values():
        if entry.section not in ("", "Before you need it"):
            assert all(f"\n{name}" in entry.text for name in Entry.PARTS), entry.heading
    assert set(ENTRIES) - set(SCENARIOS) == {"", "Set-up"}, "each is tried, and nothing else"


def test_links_lead_somewhere():
    text = RUNBOOK.read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        if not path:
            assert anchor in anchors, target
        elif not path.startswith("https://"):
            assert (RUNBOOK.parent / path).exists(), target
    shown = {target.removeprefix("#") for target in re.findall(r"\]\((#[^)]+)\)", ENTRIES[""].text)}
    assert {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in SCENARIOS} <= shown, "at the top"


# ---- What is for AWS alone: read, since it is not run ----


def test_commands_can_be_read_by_bash():
    for entry in ENTRIES.values():
        for block in sum(entry.blocks.values(), []):
            read = subprocess.run(["bash", "-n"], input=block.code, capture_output=True, text=True)
            assert read.returncode == 0, read.stderr + block.code


def aws_lines():
    """Service, operation and options of each line of the AWS CLI, in text as in blocks."""
    text = RUNBOOK.read_text().replace("\\\n", " ")
    text = re.sub(r"'[^'\n]*'", "Q", text)
    while inner := re.search(r"\$\(\(?[^()]*\)?\)", text):
        yield from re.findall(r"\baws ([a-z0-9]+) ([a-z0-9-]+)([^|;`)\n]*)", inner[0])
        text = text.replace(inner[0], "X")
    yield from re.findall(r"\baws ([a-z0-9]+) ([a-z0-9-]+)([^|;`)\n]*)", text)


def test_lines_of_the_aws_cli_name_what_there_is():
    session = botocore.session.get_session()
    dashed = lambda name: xform_name(name).replace("_", "-")
    lines = list(aws_lines())
    assert len(lines) > 10
    for service, operation, rest in lines:
        model = session.get_service_model({"s3api": "s3"}.get(service, service))
        if operation == "wait":
            waiter, rest = rest.split()[0], ""
            assert waiter in map(dashed, session.get_waiter_model(service).waiter_names), waiter
            continue
        operations = {dashed(name): name for name in model.operation_names}
        assert operation in operations, f"aws {service} {operation}"
        shape = model.operation_model(operations[operation]).input_shape
        known = {dashed(name) for name in (shape.members if shape else ())} | {"query", "output"}
        assert set(re.findall(r"--([a-z-]+)", rest)) <= known, f"aws {service} {operation}{rest}"


def test_names_of_the_stack_are_those_of_the_template():
    known = set(re.findall(r"^  (\w+):$", (ROOT / "template.yaml").read_text(), re.MULTILINE))
    text = RUNBOOK.read_text()
    for command in ("parameter", "physical", "insights", r"\(out"):
        named = set(re.findall(rf"{command} ([A-Z]\w+)", text)) - {"NAME", "LOGS"}
        assert named and named <= known, (command, named - known)


def test_searches_of_other_logs_name_fields_that_are_there():
    """The worker's are run; for these, the words are looked up where the lines are made."""
    text = RUNBOOK.read_text()
    template = (ROOT / "template.yaml").read_text()
    api = set(re.findall(r'"(\w+)":"?\$context', template))
    rust = "".join(path.read_text() for path in (ROOT / "crates" / "presign" / "src").glob("*.rs"))
    presign = set(re.findall(r'"(\w+)"', rust)) | {"level", "message", "error"}
    words = set("filter fields stats sort limit count as by desc and like ispresent pct max".split())
    words |= set("p99 calls answers times starts slowest".split())
    for log, known in [("ApiLogs", api), ("PresignLogs", presign)]:
        queries = re.findall(rf"insights {log} \d+ '([^']*)'", text)
        assert queries, log
        for query in queries:
            query = re.sub(r'"[^"]*"|/[^/]*/|@\w+', "", query)
            assert set(re.findall(r"[A-Za-z]\w*", query)) - words <= known, query


if __name__ == "__main__":
    with open(sys.argv[1]) as log:
        print(Insights(log).run(sys.argv[2]), end="")
