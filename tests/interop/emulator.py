"""moto's S3, SQS and SNS in a process of its own, wired as a deployment is: nothing in it was written here.

It verifies no signature and no upload limit, so it proves nothing of presign.
"""

import contextlib
import json
import socket
import subprocess
import sys
import time

import boto3

REGION = "us-east-1"
BUCKET = "uploads"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "moto", "AWS_SECRET_ACCESS_KEY": "moto", "AWS_REGION": REGION}


def free_port():
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what, seconds, check):
    """What `check` gives once it is true; the wait is a bound, not an expectation."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := check():
            return found
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {seconds} s")


class Cloud:
    """A bucket that notifies a queue of `raw/`, with a dead-letter queue, and a topic with a queue of its own."""

    def __init__(self, endpoint, max_receive_count):
        self.endpoint = endpoint
        keys = {"aws_access_key_id": "moto", "aws_secret_access_key": "moto"}
        make = lambda service: boto3.client(service, region_name=REGION, endpoint_url=endpoint, **keys)
        self.s3, self.sqs, self.sns = make("s3"), make("sqs"), make("sns")
        self.s3.create_bucket(Bucket=BUCKET)
        self.dead_letters = self.sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
        redrive = {"deadLetterTargetArn": self.arn(self.dead_letters), "maxReceiveCount": max_receive_count}
        attributes = {"VisibilityTimeout": "360", "RedrivePolicy": json.dumps(redrive)}
        self.queue = self.sqs.create_queue(QueueName="uploads", Attributes=attributes)["QueueUrl"]
        self.events = self.sqs.create_queue(QueueName="events")["QueueUrl"]
        self.topic = self.sns.create_topic(Name="events")["TopicArn"]
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=self.arn(self.events))
        notify = {
            "QueueArn": self.arn(self.queue),
            "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "raw/"}]}},
        }
        self.s3.put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": [notify]}
        )

    def attribute(self, queue, name):
        return self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"][name]

    def arn(self, queue):
        return self.attribute(queue, "QueueArn")

    def queued(self):
        """Messages that are due, and those in hand or hidden."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return tuple(int(self.attribute(self.queue, name)) for name in names)

    def is_drained(self):
        return self.queued() == (0, 0)

    def take(self, queue):
        """All messages of a queue, taken away."""
        found = []
        while messages := self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                found.append(message["Body"])
        return found

    def put(self, key, content_type, body, bucket=BUCKET):
        self.s3.put_object(Bucket=bucket, Key=key, ContentType=content_type, Body=body)

    def delete(self, key, bucket=BUCKET):
        self.s3.delete_object(Bucket=bucket, Key=key)

    def clear(self, bucket):
        for key in self.keys("", bucket):
            self.delete(key, bucket)

    def manifest(self, key, bucket=BUCKET):
        folder = key.replace("raw/", "processed/", 1)
        try:
            found = self.s3.get_object(Bucket=bucket, Key=f"{folder}/manifest.json")
        except self.s3.exceptions.NoSuchKey:
            return None
        return json.loads(found["Body"].read())

    def keys(self, prefix, bucket=BUCKET):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {found["Key"] for page in pages for found in page.get("Contents", [])}


@contextlib.contextmanager
def cloud(max_receive_count):
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:

        def answers():
            with contextlib.suppress(OSError), contextlib.closing(socket.create_connection(("127.0.0.1", port))):
                return True

        wait_for("moto's start", 60, answers)
        yield Cloud(f"http://127.0.0.1:{port}", max_receive_count)
    finally:
        process.kill()
        process.wait()
