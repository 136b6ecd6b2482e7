"""template.yaml deployed to moto: by moto's own CloudFormation as far as that goes, and for the rest by calls made of
the template. Owns which is which; what is wired to what is the template's to decide.
"""

import json
import threading

import boto3
import requests
from expanded import ACCOUNT, MADE_UP, REGION, Deployed, expand, load
from guard import Guard
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import S3Backend
from moto.s3.notifications import S3NotificationEvent, send_event
from policies import Policies
from werkzeug.serving import make_server

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "moto", "AWS_SECRET_ACCESS_KEY": "moto", "AWS_REGION": REGION}
NAME = "darkroom"
# What moto's CloudFormation is not given, and why.
LEFT_OUT = {
    "AWS::ApiGatewayV2::Api": "leads to a function; the test hands presign what it would hand on",
    "AWS::ApiGatewayV2::Stage": "of that API",
    "AWS::CloudFront::Distribution": "unknown to it; made by a call, for the worker's invalidations",
    "AWS::CloudFront::Function": "unknown to it; test_cdn.mjs runs it",
    "AWS::CloudFront::OriginAccessControl": "unknown to it, and nothing is read through the CDN",
    "AWS::CloudFront::ResponseHeadersPolicy": "unknown to it, and nothing is read through the CDN",
    "AWS::CloudWatch::Alarm": "unknown to it, and nothing here waits for an alarm",
    "AWS::CloudWatch::Dashboard": "of those alarms, too; test_template.py reads it",
    "AWS::Cognito::UserPool": "unknown to it; the test says who calls, as the authorizer would",
    "AWS::Cognito::UserPoolClient": "of that pool",
    "AWS::Lambda::EventSourceMapping": "leads to a function; the worker polls its queue itself",
    "AWS::Lambda::Function": "wants an archive of code; the binaries run beside moto",
    "AWS::Lambda::Permission": "of those functions",
    "AWS::S3::BucketPolicy": "unknown to it; guard.py asks it, as IAM would",
    "AWS::SQS::QueuePolicy": "unknown to it; guard.py and `s3_may_send_to` ask it, as IAM would",
    "AWS::SecretsManager::Secret": "unknown to it; made by a call",
}


class Stack:
    """A template's text, deployed. `resources` has what it says, with the names that moto has given."""

    def __init__(self, text, **parameters):
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.endpoint = serve(self.moto)
        requests.post(f"{self.endpoint}/moto-api/reset").raise_for_status()
        self.s3, self.sqs, self.cloudfront = map(self.client, ("s3", "sqs", "cloudfront"))
        self.template, self.parameters = expand(load(text), parameters), parameters
        self.pseudo, self.physical = {}, {}
        self.create()
        self.make("AWS::SecretsManager::Secret", self.make_secret)
        self.make("AWS::CloudFront::Distribution", self.make_distribution)
        self.deployed = self.as_known()
        self.resources = self.deployed.resources
        self.policies = Policies(self.deployed)
        self.bucket, self.queue = self.deployed.attribute("Bucket"), self.deployed.attribute("Queue")
        self.finish_bucket(self.resources["Bucket"]["Properties"])
        functions = self.deployed.of_type("AWS::Lambda::Function")
        self.guards = {name: Guard(self.moto, self.policies, name) for name in functions}

    def client(self, service):
        keys = {"aws_access_key_id": "moto", "aws_secret_access_key": "moto"}
        return boto3.client(service, region_name=REGION, endpoint_url=self.endpoint, **keys)

    def as_known(self):
        """With the names that are known so far, and made-up ones for the rest."""
        return Deployed(self.template, self.parameters, self.physical, self.pseudo)

    def create(self):
        template, names, outputs = for_moto(self.as_known())
        given = [{"ParameterKey": key, "ParameterValue": one} for key, one in (names | self.parameters).items()]
        cloudformation = self.client("cloudformation")
        cloudformation.create_stack(StackName=NAME, TemplateBody=json.dumps(template), Parameters=given)
        made = cloudformation.describe_stack_resources(StackName=NAME)["StackResources"]
        assert {one["LogicalResourceId"] for one in made} == template["Resources"].keys(), "moto left something out"
        [stack] = cloudformation.describe_stacks(StackName=NAME)["Stacks"]
        self.pseudo = {"AWS::StackId": stack["StackId"], "AWS::StackName": NAME}
        for output in stack["Outputs"]:
            name, attribute = outputs[output["OutputKey"]]
            self.physical.setdefault(name, {})[attribute] = output["OutputValue"]

    def make(self, kind, call):
        for name, resource in self.as_known().of_type(kind).items():
            self.physical[name] = {"Ref": call(resource["Properties"])}

    def make_secret(self, properties):
        secrets = self.client("secretsmanager")
        password = secrets.get_random_password(**properties["GenerateSecretString"])["RandomPassword"]
        return secrets.create_secret(Name=NAME, SecretString=password)["ARN"]

    def make_distribution(self, properties):
        """As far as moto wants it: nothing is read through it."""
        config = properties["DistributionConfig"]
        origins = [{key: one[key] for key in ("Id", "DomainName", "S3OriginConfig")} for one in config["Origins"]]
        behaviour = {key: config["DefaultCacheBehavior"][key] for key in ("TargetOriginId", "ViewerProtocolPolicy")}
        made = self.cloudfront.create_distribution(
            DistributionConfig={
                "CallerReference": NAME,
                "Comment": config["Comment"],
                "Enabled": config["Enabled"],
                "Origins": {"Quantity": len(origins), "Items": origins},
                "DefaultCacheBehavior": behaviour,
            }
        )
        return made["Distribution"]["Id"]

    def finish_bucket(self, properties):
        """moto's CloudFormation takes these, and makes nothing of them."""
        versioning = properties["VersioningConfiguration"]
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration=versioning)
        rules = properties["NotificationConfiguration"]["QueueConfigurations"]
        for rule in rules:
            assert self.s3_may_send_to(rule["Queue"]), f"S3 may not send to {rule['Queue']}, so it refuses the rule"
        told = {"QueueConfigurations": [as_call(rule) for rule in rules]}
        self.s3.put_bucket_notification_configuration(Bucket=self.bucket, NotificationConfiguration=told)

    def s3_may_send_to(self, queue):
        bucket = self.deployed.attribute("Bucket", "Arn")
        sent = {"aws:SourceArn": bucket, "aws:SourceAccount": ACCOUNT, "aws:SecureTransport": True}
        return self.policies.allow("s3.amazonaws.com", "sqs:SendMessage", queue, **sent)

    def environment(self, function):
        """What Lambda would start a function with."""
        properties = self.resources[function]["Properties"]
        variables = {key: str(one) for key, one in properties["Environment"]["Variables"].items()}
        memory = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(properties["MemorySize"])}
        return CREDENTIALS | {"AWS_ENDPOINT_URL": serve(self.guards[function])} | memory | variables

    def refused(self):
        return [one for guard in self.guards.values() for one in guard.refused]


def for_moto(made_up):
    """The template without what is left out, and with outputs that tell every attribute of the rest. What is left out
    becomes parameters, so that what refers to it can be made.
    """
    template = made_up.template
    kept = {name: one for name, one in made_up.resources.items() if one["Type"] not in LEFT_OUT}
    known = {name: MADE_UP.get(one["Type"], {}) for name, one in made_up.resources.items()}
    names = {name: made_up.attribute(name) for name in known if name not in kept and "Ref" in known[name]}
    outputs = {f"{name}X{attribute}": (name, attribute) for name in kept for attribute in known[name]}
    parts = {
        "Parameters": template["Parameters"] | {name: {"Type": "String"} for name in names},
        "Resources": {name: template["Resources"][name] for name in kept},
        "Outputs": {key: {"Value": reference(*one)} for key, one in outputs.items()},
    }
    return template | parts, names, outputs


def reference(name, attribute):
    return {"Ref": name} if attribute == "Ref" else {"Fn::GetAtt": [name, attribute]}


def as_call(rule):
    """A rule of a notification as S3's own API has it."""
    rules = rule["Filter"]["S3Key"]["Rules"]
    return {"QueueArn": rule["Queue"], "Events": [rule["Event"]], "Filter": {"Key": {"FilterRules": rules}}}


SET_DELETE_MARKER = S3Backend._set_delete_marker


def set_delete_marker_and_tell(backend, bucket_name, key_name):
    """S3 tells of delete markers; moto makes them in silence."""
    bucket = backend.get_bucket(bucket_name)
    source = bucket.keys[key_name]
    marker = SET_DELETE_MARKER(backend, bucket_name, key_name)
    event = S3NotificationEvent.OBJECT_REMOVED_DELETE_MARKER_CREATED_EVENT
    send_event(backend.account_id, event, bucket, source)
    return marker


S3Backend._set_delete_marker = set_delete_marker_and_tell


class Quiet(MotoRequestHandler):
    def log(self, *_):
        pass


def serve(app):
    """The URL where it answers from now on, on a free port, until the tests end."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
