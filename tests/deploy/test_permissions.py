"""Who may do what, in both layouts of keys: all that is not in the table is forbidden."""

import functools

import pytest
from expanded import ACCOUNT, REGION, ROOT, deployed
from policies import ANYONE, Policies, identity_statements, several

LAYOUTS = ["flat", "nested"]
CDN, S3, EVENTS = "cloudfront.amazonaws.com", "s3.amazonaws.com", "events.amazonaws.com"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:told"
ANYTHING = "anything"  # of an action that knows no resources
# On what each may do each thing, as far as the layouts are alike; `things` says what is meant.
MAY = {
    ("Presign", "s3:PutObject"): {"source"},
    ("Presign", "s3:GetObject"): {"source", "manifest"},
    ("Presign", "s3:DeleteObject"): {"source"},
    ("Presign", "s3:ListBucket"): {"bucket"},
    ("Presign", "secretsmanager:GetSecretValue"): {"secret"},
    ("Presign", "logs:CreateLogStream"): {"presign's log"},
    ("Presign", "logs:PutLogEvents"): {"presign's log"},
    ("Worker", "s3:GetObject"): {"source", "manifest", "rendition"},
    ("Worker", "s3:PutObject"): {"manifest", "rendition"},
    ("Worker", "s3:DeleteObject"): {"manifest", "rendition"},
    ("Worker", "s3:ListBucket"): {"bucket"},
    ("Worker", "sqs:ReceiveMessage"): {"queue"},
    ("Worker", "sqs:DeleteMessage"): {"queue"},
    ("Worker", "sqs:ChangeMessageVisibility"): {"queue"},
    ("Worker", "sqs:GetQueueAttributes"): {"queue"},
    ("Worker", "cloudfront:CreateInvalidation"): {"distribution"},
    ("Worker", "sns:Publish"): {"topic"},
    ("Worker", "events:PutEvents"): {"bus"},
    ("Worker", "logs:CreateLogStream"): {"worker's log"},
    ("Worker", "logs:PutLogEvents"): {"worker's log"},
    (CDN, "s3:GetObject"): {"manifest", "rendition"},
    **{
        (who, action): ANYTHING
        for who in ("Presign", "Worker")
        for action in ("xray:PutTraceSegments", "xray:PutTelemetryRecords")
    },
}
# Who tells the queue of sources.
SENDER = {"flat": S3, "nested": EVENTS}
# What somebody might be given by mistake.
NEVER = {
    "lambda:InvokeFunction",
    "s3:DeleteObjectVersion",
    "s3:GetObjectVersion",
    "s3:PutBucketPolicy",
    "s3:PutObjectAcl",
    "secretsmanager:PutSecretValue",
    "sqs:PurgeQueue",
    "sqs:SetQueueAttributes",
}
KEYS = {
    "flat": {
        "source": "raw/articles/a1/photo.jpg",
        "manifest": "processed/articles/a1/photo.jpg/manifest.json",
        "rendition": "processed/articles/a1/photo.jpg/0123456789ab/w640.avif",
        "source of the other layout": "articles/a1/raw/photo.jpg",
    },
    "nested": {
        "source": "articles/a1/raw/photo.jpg",
        "manifest": "articles/a1/processed/photo.jpg/manifest.json",
        "rendition": "articles/a1/processed/photo.jpg/0123456789ab/w640.avif",
        "source of the other layout": "raw/articles/a1/photo.jpg",
    },
}


@functools.cache
def stack(layout):
    return deployed(KeyLayout=layout, EventTopicArn=TOPIC, EventBusName="told")


def table(layout):
    resolved = {key: things(layout).keys() if some == ANYTHING else some for key, some in MAY.items()}
    return resolved | {(SENDER[layout], "sqs:SendMessage"): {"queue"}}


def things(layout):
    attribute = stack(layout).attribute
    bucket, distribution = attribute("Bucket", "Arn"), f"arn:aws:cloudfront::{ACCOUNT}:distribution/"
    return {
        **{name: f"{bucket}/{key}" for name, key in KEYS[layout].items()},
        "bucket": bucket,
        "object elsewhere": f"{bucket}/elsewhere/photo.jpg",
        "object of another bucket": f"arn:aws:s3:::another/{KEYS[layout]['source']}",
        "another bucket": "arn:aws:s3:::another",
        "queue": attribute("Queue", "Arn"),
        "dead-letter queue": attribute("DeadLetterQueue", "Arn"),
        "secret": attribute("KeySecret"),
        "another secret": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:another-AbCdEf",
        "distribution": distribution + attribute("Cdn"),
        "another distribution": distribution + "EANOTHER",
        "topic": TOPIC,
        "another topic": f"{TOPIC}-another",
        "bus": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/told",
        "another bus": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default",
        "presign's log": attribute("PresignLogs", "Arn").replace("*", "log-stream:one"),
        "worker's log": attribute("WorkerLogs", "Arn").replace("*", "log-stream:one"),
    }


def context(layout, who, **more):
    """What AWS tells of a call that is as it should be."""
    attribute = stack(layout).attribute
    sent = {
        CDN: {"aws:SourceArn": f"arn:aws:cloudfront::{ACCOUNT}:distribution/{attribute('Cdn')}"},
        S3: {"aws:SourceArn": attribute("Bucket", "Arn"), "aws:SourceAccount": ACCOUNT},
        EVENTS: {"aws:SourceArn": attribute("SourcesRule", "Arn") if layout == "nested" else "arn:aws:events:::rule/a"},
    }
    return {"aws:SecureTransport": True, "s3:TlsVersion": 1.3, "s3:signatureAge": 1000} | sent.get(who, {}) | more


def allows(layout, who, action, thing, **more):
    return Policies(stack(layout)).allow(who, action, things(layout)[thing], **context(layout, who, **more))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("who", ["Presign", "Worker", CDN, S3, EVENTS, ANYONE])
def test_everybody_may_what_the_table_has_and_nothing_else(layout, who):
    policies, asked = Policies(stack(layout)), context(layout, who)
    for action in NEVER | {action for _, action in table(layout)}:
        may = {thing for thing, arn in things(layout).items() if policies.allow(who, action, arn, **asked)}
        assert may == table(layout).get((who, action), set()), action


@pytest.mark.parametrize("layout", LAYOUTS)
def test_functions_have_roles_of_their_own_with_exactly_the_actions_of_the_table(layout):
    policies = Policies(stack(layout))
    roles = {policies.role_of(function): function for function in ("Presign", "Worker")}
    assert stack(layout).of_type("AWS::IAM::Role").keys() == roles.keys()
    granted = {
        (function, action)
        for role, function in roles.items()
        for statement in identity_statements(stack(layout).resources[role])
        for action in several(statement["Action"])
    }
    assert granted == {(who, action) for who, action in MAY if who in roles.values()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_roles_are_lambdas_alone_and_have_no_policy_from_elsewhere(layout):
    elsewhere = {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"}
    assert not elsewhere & {one["Type"] for one in stack(layout).resources.values()}
    for role in stack(layout).of_type("AWS::IAM::Role").values():
        assert role["Properties"].keys() == {"AssumeRolePolicyDocument", "Policies"}
        [trust] = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        lambdas = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        assert trust == lambdas


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_role_has_a_wildcard_but_in_keys_and_at_the_end_of_a_log_group(layout):
    for role in stack(layout).of_type("AWS::IAM::Role").values():
        for statement in identity_statements(role):
            assert "*" not in str(statement["Action"])
            if all(action.startswith("xray:") for action in several(statement["Action"])):
                continue  # which knows no resources
            for arn in several(statement["Resource"]):
                is_object = arn.startswith(stack(layout).attribute("Bucket", "Arn") + "/")
                assert is_object or "*" not in (arn.removesuffix(":*") if ":log-group:" in arn else arn), arn


def test_who_is_not_to_be_told_cannot_be():
    policies = Policies(deployed())
    for action, arn in [("sns:Publish", TOPIC), ("events:PutEvents", things("flat")["bus"])]:
        assert not policies.allow("Worker", action, arn, **context("flat", "Worker"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nobody_gets_through_without_tls_or_with_an_old_one(layout):
    allowed = [(who, action, thing) for (who, action), some in table(layout).items() for thing in some]
    for who, action, thing in allowed:
        assert allows(layout, who, action, thing)
        if action.startswith(("s3:", "sqs:")):
            assert not allows(layout, who, action, thing, **{"aws:SecureTransport": False}), (who, action)
        if action.startswith("s3:"):
            assert not allows(layout, who, action, thing, **{"s3:TlsVersion": 1.1}), (who, action)
            assert allows(layout, who, action, thing, **{"s3:TlsVersion": 1.2}), (who, action)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seconds", [60, 900, 3600])
def test_an_upload_url_that_was_signed_longer_ago_than_urls_live_is_void(layout, seconds):
    policies = Policies(deployed(KeyLayout=layout, UrlExpirySeconds=seconds))
    for milliseconds, may in [(seconds * 1000, True), (seconds * 1000 + 1, False)]:
        asked = context(layout, "Presign", **{"s3:signatureAge": milliseconds})
        assert policies.allow("Presign", "s3:PutObject", things(layout)["source"], **asked) == may


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_download_url_is_void_after_five_minutes(layout):
    for milliseconds, may in [(300_000, True), (300_001, False)]:
        assert allows(layout, "Presign", "s3:GetObject", "source", **{"s3:signatureAge": milliseconds}) == may


@pytest.mark.parametrize("layout", LAYOUTS)
def test_cloudfront_reads_for_this_distribution_alone(layout):
    another = {"aws:SourceArn": things(layout)["another distribution"]}
    assert not allows(layout, CDN, "s3:GetObject", "rendition", **another)


@pytest.mark.parametrize(
    ("layout", "who", "another"),
    [
        ("flat", S3, {"aws:SourceArn": "arn:aws:s3:::another"}),
        ("flat", S3, {"aws:SourceAccount": "999999999999"}),
        ("nested", EVENTS, {"aws:SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/another"}),
    ],
)
def test_nothing_is_sent_to_the_queue_for_somebody_else(layout, who, another):
    assert allows(layout, who, "sqs:SendMessage", "queue")
    assert not allows(layout, who, "sqs:SendMessage", "queue", **another)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["rest-api.yaml", "function-url.yaml"])
def test_presign_may_the_same_behind_another_front_door(name, layout):
    given = {
        "Bucket": stack(layout).attribute("Bucket"),
        "KeySecretArn": stack(layout).attribute("KeySecret"),
        "KeyLayout": layout,
        "AllowedOrigins": "https://example.org",
        "JwksUrl": "https://issuer.example/keys",
        "JwtIssuer": "https://issuer.example",
        "JwtAudience": "web",
    }
    other = deployed(ROOT / "deploy" / name, **given)
    assert other.of_type("AWS::IAM::Role").keys() == {"PresignRole"}
    assert other.resources["PresignRole"] == stack(layout).resources["PresignRole"]
