"""The real binaries at work: presign under Lambda's Runtime API, the worker as a poller. Owns their start and end, and
shows what they said where they end too early.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import os
import queue
import subprocess
import tempfile
import time
import uuid

from expanded import ACCOUNT, REGION
from stack import serve
from werkzeug.wrappers import Request, Response

ANSWER_SECONDS = 30


class Binary:
    """The program whose path the environment has under `variable`."""

    def __init__(self, variable, env):
        assert variable in os.environ, f"{variable} is not set: it is the path of the binary to test"
        self.variable, self.log = variable, tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([os.environ[variable]], env=env, stdout=self.log, stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def assert_runs(self):
        code = self.process.poll()
        if code is not None:
            self.log.seek(0)
            raise AssertionError(f"{self.variable} ended with {code}:\n{self.log.read()}")


class Poller(Binary):
    """The worker without Lambda, which takes from the queue itself."""

    def __init__(self, stack):
        super().__init__("DARKROOM_WORKER", stack.environment("Worker") | {"HEALTH_PORT": "0"})


class Function(Binary):
    """A function of the template, called as Lambda calls it."""

    def __init__(self, variable, stack, name):
        self.events, self.answers = queue.Queue(), queue.Queue()
        runtime_api = serve(Request.application(self.runtime_api)).removeprefix("http://")
        by_lambda = {"AWS_LAMBDA_RUNTIME_API": runtime_api, "AWS_LAMBDA_FUNCTION_NAME": name}
        by_lambda["AWS_LAMBDA_FUNCTION_VERSION"] = "$LATEST"
        super().__init__(variable, stack.environment(name) | by_lambda)

    def runtime_api(self, request):
        if request.path.endswith("/invocation/next"):
            headers = {
                "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + ANSWER_SECONDS) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:one",
            }
            return Response(self.events.get(), headers=headers, content_type="application/json")
        self.answers.put(json.loads(request.get_data()))
        return Response(status=202)

    def invoke(self, event):
        """What it answers, or the error that it reports."""
        self.events.put(json.dumps(event))
        until = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < until:
            self.assert_runs()
            try:
                return self.answers.get(timeout=0.1)
            except queue.Empty:
                continue
        raise AssertionError(f"{self.variable}: no answer within {ANSWER_SECONDS} s")


class Worker(Function):
    """Called as the event-source mapping calls it."""

    def __init__(self, stack):
        super().__init__("DARKROOM_WORKER", stack, "Worker")

    def take(self, bodies):
        """The ids of messages that failed; each message's id is its number."""
        records = [{"messageId": str(number), "body": body} for number, body in enumerate(bodies)]
        common = {"receiptHandle": "one", "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}}
        common |= {"eventSource": "aws:sqs", "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:one"}
        common |= {"awsRegion": REGION, "md5OfBody": ""}
        answer = self.invoke({"Records": [common | record for record in records]})
        return [one["itemIdentifier"] for one in answer["batchItemFailures"]]


class Presign(Function):
    """Called as API Gateway calls it once the authorizer has let `owner` through."""

    def __init__(self, stack, owner):
        self.owner = owner
        super().__init__("DARKROOM_PRESIGN", stack, "Presign")

    def call(self, method, path, body=None):
        """Status and body of the answer."""
        answer = self.invoke(self.event(method, path, body))
        return answer["statusCode"], json.loads(answer["body"] or "null")

    def event(self, method, path, body):
        http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"}
        claims = {"sub": self.owner}
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"host": "api.example"},
            "isBase64Encoded": False,
            "body": json.dumps(body) if body is not None else None,
            "requestContext": {
                "accountId": ACCOUNT,
                "apiId": "api",
                "authorizer": {"jwt": {"claims": claims, "scopes": None}},
                "domainName": "api.example",
                "domainPrefix": "api",
                "http": http,
                "requestId": "request",
                "routeKey": "$default",
                "stage": "$default",
                "time": "27/Nov/2026:12:00:00 +0000",
                "timeEpoch": 1_795_780_800_000,
            },
        }
