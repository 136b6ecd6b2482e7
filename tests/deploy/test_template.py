"""What the templates make, for the parameters that change it."""

import functools
import json
import re

import pytest
import yaml
from expanded import ROOT, TEMPLATE, TemplateError, deployed, load
from policies import like

LAYOUTS = ["flat", "nested"]
FRONT_DOORS = [ROOT / "deploy/function-url.yaml", ROOT / "deploy/rest-api.yaml"]
TEMPLATES = [TEMPLATE, *FRONT_DOORS]
OF_A_FRONT_DOOR = {
    "Bucket": "uploads",
    "KeySecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-AbCdEf",
    "AllowedOrigins": "https://example.org",
    "JwksUrl": "https://issuer.example/keys",
    "JwtIssuer": "https://issuer.example",
    "JwtAudience": "web",
}
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/1"


def made(name, **parameters):
    """The properties of a resource."""
    return deployed(**parameters).resources[name]["Properties"]


def given(path):
    """What a template cannot do without."""
    return {} if path == TEMPLATE else OF_A_FRONT_DOOR


def test_no_template_is_forgotten():
    assert [path for path in sorted(ROOT.glob("deploy/*.yaml")) if "AWSTemplate" in path.read_text()] == FRONT_DOORS


each_template = pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
each_layout = pytest.mark.parametrize("layout", LAYOUTS)


# The bucket


@each_layout
def test_the_bucket_is_private_versioned_and_encrypted(layout):
    bucket = made("Bucket", KeyLayout=layout)
    blocked = {"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"}
    assert bucket["PublicAccessBlockConfiguration"] == dict.fromkeys(blocked, True)
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    [encryption] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


ORIGINS = ["https://example.org", "http://localhost:3000"]


def test_pages_of_the_allowed_origins_may_upload():
    [rule] = made("Bucket", AllowedOrigins=",".join(ORIGINS))["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedOrigins"] == ORIGINS
    assert {"PUT", "POST"} <= set(rule["AllowedMethods"])
    assert rule["AllowedHeaders"] == ["*"]


@pytest.mark.parametrize(("layout", "prefix"), [("flat", "raw/"), ("nested", "articles/")])
def test_what_nobody_needs_any_more_goes_and_sources_cool_down(layout, prefix):
    rules = made("Bucket", KeyLayout=layout)["LifecycleConfiguration"]["Rules"]
    assert all(rule["Status"] == "Enabled" for rule in rules)
    assert [rule["AbortIncompleteMultipartUpload"] for rule in rules if "AbortIncompleteMultipartUpload" in rule]
    assert [rule["NoncurrentVersionExpiration"] for rule in rules if "NoncurrentVersionExpiration" in rule]
    assert [rule["Prefix"] for rule in rules if "Transitions" in rule] == [prefix]
    assert not [rule for rule in rules if "ExpirationInDays" in rule], "no source goes by itself"


def test_the_access_log_goes_where_it_is_asked_for():
    assert "LoggingConfiguration" not in made("Bucket")
    log = made("Bucket", AccessLogBucket="logs")["LoggingConfiguration"]
    assert log == {"DestinationBucketName": "logs", "LogFilePrefix": "darkroom/"}


def test_what_cannot_be_made_again_stays_when_the_stack_goes():
    def kept(name, policy):
        return {resource for resource, one in deployed().resources.items() if one.get(name) == policy}

    # But for a first deployment that failed.
    of_worth = {"Bucket", "BucketPolicy", "KeySecret", "UserPool"}
    assert kept("DeletionPolicy", "RetainExceptOnCreate") == kept("UpdateReplacePolicy", "Retain") == of_worth


# From the bucket to the worker


def test_flat_sources_and_nothing_else_are_told_of_by_s3():
    flat = deployed(KeyLayout="flat")
    told = made("Bucket", KeyLayout="flat")["NotificationConfiguration"]
    assert told.keys() == {"QueueConfigurations"}
    events = {rule["Event"] for rule in told["QueueConfigurations"]}
    assert events == {"s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:LifecycleExpiration:DeleteMarkerCreated"}
    for rule in told["QueueConfigurations"]:
        assert rule["Queue"] == flat.attribute("Queue", "Arn")
        assert rule["Filter"] == {"S3Key": {"Rules": [{"Name": "prefix", "Value": "raw/"}]}}
    assert not flat.of_type("AWS::Events::Rule")
    assert "QueuePolicy" in flat.resources["Bucket"]["DependsOn"]


def test_nested_sources_and_nothing_else_are_told_of_by_eventbridge():
    nested = deployed(KeyLayout="nested")
    told = made("Bucket", KeyLayout="nested")["NotificationConfiguration"]
    assert told == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    [rule] = nested.of_type("AWS::Events::Rule").values()
    [target] = rule["Properties"]["Targets"]
    assert target["Arn"] == nested.attribute("Queue", "Arn")
    pattern = rule["Properties"]["EventPattern"]
    assert pattern["source"] == ["aws.s3"]
    assert pattern["detail-type"] == ["Object Created", "Object Deleted"]
    assert pattern["detail"]["bucket"] == {"name": [nested.attribute("Bucket")]}
    [key] = pattern["detail"]["object"]["key"]
    assert like("articles/a1/raw/photo.jpg", key["wildcard"])
    assert not like("articles/a1/processed/photo.jpg/0123456789ab/w640.avif", key["wildcard"])


TIMEOUTS = load(TEMPLATE.read_text())["Parameters"]["WorkerTimeoutSeconds"]["AllowedValues"]


@pytest.mark.parametrize("seconds", TIMEOUTS)
def test_messages_are_hidden_for_six_times_the_workers_timeout(seconds):
    assert int(made("Worker", WorkerTimeoutSeconds=seconds)["Timeout"]) == int(seconds)
    assert int(made("Queue", WorkerTimeoutSeconds=seconds)["VisibilityTimeout"]) == 6 * int(seconds)


@each_layout
def test_the_worker_takes_from_its_queue_and_tells_which_messages_failed(layout):
    stack = deployed(KeyLayout=layout, WorkerConcurrency=7)
    [mapping] = stack.of_type("AWS::Lambda::EventSourceMapping").values()
    assert mapping["Properties"] == {
        "BatchSize": 10,
        "EventSourceArn": stack.attribute("Queue", "Arn"),
        "FunctionName": stack.attribute("Worker"),
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": "7"},
    }


def test_the_worker_knows_when_the_queue_gives_up_and_what_was_given_up_stays_as_long():
    redrive = made("Queue")["RedrivePolicy"]
    assert int(made("Worker")["Environment"]["Variables"]["MAX_RECEIVE_COUNT"]) == redrive["maxReceiveCount"]
    assert redrive["deadLetterTargetArn"] == deployed().attribute("DeadLetterQueue", "Arn")
    assert made("DeadLetterQueue")["MessageRetentionPeriod"] >= made("Queue")["MessageRetentionPeriod"]


# The functions


def documented_settings():
    """Which variables each function reads, as README.md has it."""
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| ([a-z, ]+) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    return {function: {name for name, readers in rows if function in readers} for function in ("presign", "worker")}


@each_template
def test_every_variable_of_a_function_is_one_that_it_reads(path):
    for name, function in deployed(path, **given(path)).of_type("AWS::Lambda::Function").items():
        variables = function["Properties"]["Environment"]["Variables"].keys()
        assert variables <= documented_settings()[name.lower()], variables - documented_settings()[name.lower()]


def test_the_functions_are_told_what_the_parameters_say():
    told = {"KeyLayout": "nested", "MaxSourceBytes": 1000, "UrlExpirySeconds": 60, "Recipe": "{}", "EventBusName": "b"}
    presign, worker = (made(name, **told)["Environment"]["Variables"] for name in ("Presign", "Worker"))
    assert (presign["KEY_LAYOUT"], presign["URL_EXPIRY_SECONDS"]) == ("nested", "60")
    assert presign["MAX_SOURCE_BYTES"] == worker["MAX_SOURCE_BYTES"] == "1000"
    assert (worker["RECIPE"], worker["EVENT_BUS"], worker["EVENT_TOPIC_ARN"]) == ("{}", "b", "")


# The API


@functools.cache
def documented_routes():
    paths = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())["paths"]
    return sorted((method, path) for path, methods in paths.items() for method in methods if method != "parameters")


def routes(paths):
    methods = [(path.replace("+}", "}"), of_path) for path, of_path in paths.items()]
    return {(method, path): route for path, of_path in methods for method, route in of_path.items()}


def test_every_documented_call_has_a_route_to_presign_and_no_other_has_and_all_need_a_token():
    there = routes(made("Api")["Body"]["paths"])
    assert sorted(there) == documented_routes()
    for route in there.values():
        assert route["security"] == [{"Token": []}]
        assert deployed().attribute("Presign", "Arn") in route["x-amazon-apigateway-integration"]["uri"]
        assert route["x-amazon-apigateway-integration"]["payloadFormatVersion"] == "2.0"


def test_the_rest_api_has_the_same_routes_with_preflights_and_all_others_need_a_key():
    api = deployed(ROOT / "deploy/rest-api.yaml", **OF_A_FRONT_DOOR).resources["Api"]["Properties"]["Body"]
    there = routes(api["paths"])
    preflights = {route for route in there if route[0] == "options"}
    assert sorted(there.keys() - preflights) == documented_routes()
    assert {path for _, path in preflights} == {path for _, path in documented_routes()}
    for name, route in there.items():
        # The gateway takes no notice of what is said for all of them.
        assert route.get("security") == (None if name in preflights else [{"key": []}])


def test_the_rest_api_has_one_stage_which_has_the_firewall_and_the_usage_plan():
    rest = deployed(ROOT / "deploy/rest-api.yaml", **OF_A_FRONT_DOOR)
    [stage] = rest.of_type("AWS::ApiGateway::Stage").values()
    [deployment] = rest.of_type("AWS::ApiGateway::Deployment").values()
    assert "StageName" not in deployment["Properties"]
    name = stage["Properties"]["StageName"]
    [plan] = rest.of_type("AWS::ApiGateway::UsagePlan").values()
    assert plan["Properties"]["ApiStages"] == [{"ApiId": rest.attribute("Api"), "Stage": name}]
    [behind] = rest.of_type("AWS::WAFv2::WebACLAssociation").values()
    assert behind["Properties"]["ResourceArn"].endswith(f"/restapis/{rest.attribute('Api')}/stages/{name}")
    assert rest.resources["InvokedByTheApi"]["Properties"]["SourceArn"].endswith(f"/{name}/*")


def test_pages_of_the_allowed_origins_may_call():
    cors = made("Api", AllowedOrigins=",".join(ORIGINS))["Body"]["x-amazon-apigateway-cors"]
    assert cors["allowOrigins"] == ORIGINS
    assert {method.upper() for method, _ in documented_routes()} == set(cors["allowMethods"])
    assert {"authorization", "content-type", "if-none-match"} <= set(cors["allowHeaders"])
    assert {"etag", "retry-after"} <= set(cors["exposeHeaders"])


def test_whose_tokens_are_taken():
    def taken(**parameters):
        schemes = made("Api", **parameters)["Body"]["components"]["securitySchemes"]
        token = schemes["Token"]["x-amazon-apigateway-authorizer"]
        assert (token["type"], token["identitySource"]) == ("jwt", "$request.header.Authorization")
        return token["jwtConfiguration"]

    pool, client = deployed().attribute("UserPool"), deployed().attribute("UserPoolClient")
    issuer = f"https://cognito-idp.eu-central-1.amazonaws.com/{pool}"
    assert taken() == {"issuer": issuer, "audience": [client]}
    own = {"JwtIssuer": "https://issuer.example", "JwtAudience": "web,app"}
    assert taken(**own) == {"issuer": "https://issuer.example", "audience": ["web", "app"]}
    assert not deployed(**own).of_type("AWS::Cognito::UserPool")
    assert "UserPoolId" in deployed().outputs and "UserPoolId" not in deployed(**own).outputs


def test_nobody_signs_up_alone():
    assert made("UserPool")["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}


def test_the_api_is_throttled():
    limits = made("ApiApiGatewayDefaultStage", ApiRequestsPerSecond=5, ApiBurst=9)["DefaultRouteSettings"]
    assert (limits["ThrottlingRateLimit"], limits["ThrottlingBurstLimit"]) == ("5", "9")


# The CDN


def behaviours():
    cdn = made("Cdn")["DistributionConfig"]
    return cdn["DefaultCacheBehavior"], cdn["CacheBehaviors"]


def test_cloudfront_signs_what_it_asks_of_the_bucket():
    [origin] = made("Cdn")["DistributionConfig"]["Origins"]
    assert origin["DomainName"] == deployed().attribute("Bucket", "RegionalDomainName")
    assert origin["OriginAccessControlId"] == deployed().attribute("CdnAccess", "Id")
    access = made("CdnAccess")["OriginAccessControlConfig"]
    kind = (access["OriginAccessControlOriginType"], access["SigningBehavior"], access["SigningProtocol"])
    assert kind == ("s3", "always", "sigv4")


def test_all_that_is_served_is_read_only_over_https_with_the_same_headers():
    default, others = behaviours()
    for one in [default, *others]:
        assert one["AllowedMethods"] == ["GET", "HEAD"]
        assert one["ViewerProtocolPolicy"] == "redirect-to-https"
        assert one["ResponseHeadersPolicyId"] == deployed().attribute("CdnHeaders")
        assert one["TargetOriginId"] == "bucket"
    headers = made("CdnHeaders")["ResponseHeadersPolicyConfig"]
    assert headers["SecurityHeadersConfig"]["ContentTypeOptions"] == {"Override": True}
    assert headers["CorsConfig"]["AccessControlAllowOrigins"] == {"Items": ["*"]}


def test_the_function_runs_where_a_path_names_no_format_and_nowhere_else():
    default, others = behaviours()
    arn = deployed().attribute("CdnFunction", "FunctionMetadata.FunctionARN")
    associated = [(one["EventType"], one["FunctionARN"]) for one in default["FunctionAssociations"]]
    assert associated == [("viewer-request", arn), ("viewer-response", arn)]
    assert not [one for one in others if "FunctionAssociations" in one]
    named = {one["PathPattern"] for one in others}
    assert named == {"*.avif", "*.webp", "*.jpg", "*.png", "*/manifest.json"}


@pytest.mark.parametrize("formats", ["avif,jpeg", "avif,webp,jpeg thumb=webp,jpeg"])
def test_the_function_is_deploys_to_the_letter(formats):
    function = made("CdnFunction", RenditionFormats=formats)
    assert function["FunctionCode"] == (ROOT / "deploy/cdn.js").read_text().replace("${Formats}", formats)
    assert function["FunctionConfig"]["Runtime"] == "cloudfront-js-2.0"
    assert function["AutoPublish"] is True


def test_what_is_missing_or_fails_is_asked_for_again_soon():
    responses = made("Cdn")["DistributionConfig"]["CustomErrorResponses"]
    errors = {one["ErrorCode"]: one["ErrorCachingMinTTL"] for one in responses}
    assert errors.keys() >= {403, 404, 500, 502, 503, 504}
    assert max(errors.values()) <= 10


def test_a_domain_of_ones_own():
    alone = made("Cdn")["DistributionConfig"]
    assert "Aliases" not in alone and alone["ViewerCertificate"] == {"CloudFrontDefaultCertificate": True}
    own = {"CdnDomainName": "images.example.org", "CdnCertificateArn": CERTIFICATE}
    named = made("Cdn", **own)["DistributionConfig"]
    assert named["Aliases"] == ["images.example.org"]
    assert named["ViewerCertificate"]["AcmCertificateArn"] == CERTIFICATE
    assert named["ViewerCertificate"]["MinimumProtocolVersion"].startswith("TLSv1.2")
    assert deployed(**own).outputs["CdnUrl"]["Value"] == "https://images.example.org"


# Alarms


def test_alarms_reach_who_wants_them():
    assert "Subscription" not in made("Alarms")
    [subscription] = made("Alarms", AlarmEmail="a@example.org")["Subscription"]
    assert subscription == {"Protocol": "email", "Endpoint": "a@example.org"}
    for alarm in deployed().of_type("AWS::CloudWatch::Alarm").values():
        assert alarm["Properties"]["AlarmActions"] == [deployed().attribute("Alarms")]


def test_every_log_is_kept_for_as_long_as_it_was_asked_for():
    logs = deployed(LogRetentionDays=7).of_type("AWS::Logs::LogGroup")
    assert {one["Properties"]["RetentionInDays"] for one in logs.values()} == {"7"}
    groups = {deployed().attribute(name) for name in logs}
    functions = [made(name)["LoggingConfig"]["LogGroup"] for name in ("Presign", "Worker")]
    stage = made("ApiApiGatewayDefaultStage")["AccessLogSettings"]["DestinationArn"]
    assert groups == {*functions, stage.split(":log-group:")[1].removesuffix(":*")}


@each_template
def test_every_function_is_traced(path):
    for function in deployed(path, **given(path)).of_type("AWS::Lambda::Function").values():
        assert function["Properties"]["TracingConfig"] == {"Mode": "Active"}


def emitted():
    """Every metric that the functions tell, as (function, name, dimensions): tests/it/metrics.rs holds the list to that."""
    functions = json.loads((ROOT / "fixtures/metrics.json").read_text())
    return {
        (function.capitalize(), name, tuple(sorted(dimensions)))
        for function, metrics in functions.items()
        for name, metric in metrics.items()
        for dimensions in metric["dimensions"]
    }


# What AWS counts by itself, of what is read here.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
OF_AWS = {
    "AWS/SQS": (
        "QueueName",
        {
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfMessagesVisible",
            "ApproximateNumberOfMessagesNotVisible",
        },
    ),
    "AWS/Lambda": ("FunctionName", {"ConcurrentExecutions", "Duration", "Errors", "Invocations", "Throttles"}),
    "AWS/ApiGateway": ("ApiId", {"4xx", "5xx", "Count", "Latency"}),
}


def read(namespace, name, dimensions):
    """Our metric as `emitted` has it, or None of one that AWS counts."""
    if namespace in OF_AWS:
        dimension, names = OF_AWS[namespace]
        assert dimensions.keys() == {dimension} and name in names, name
        return None
    assert namespace == "Darkroom", namespace
    by_service = {deployed().attribute(function): function for function in ("Presign", "Worker")}
    return by_service[dimensions["Service"]], name, tuple(sorted(dimensions))


SEARCH = re.compile(r"""SEARCH\('\{(\w+),([\w,]+)\} MetricName="(\w+)" Service="([\w-]+)"', '\w+'\)""")


def shown(widget):
    for metric in widget["properties"].get("metrics", []):
        if isinstance(metric[0], dict):
            namespace, dimensions, name, service = SEARCH.fullmatch(metric[0]["expression"]).groups()
            yield read(namespace, name, dict.fromkeys(dimensions.split(",")) | {"Service": service})
        else:
            namespace, name, *dimensions = metric[:-1]
            yield read(namespace, name, dict(zip(dimensions[::2], dimensions[1::2], strict=True)))


def dashboard():
    return json.loads(made("Dashboard")["DashboardBody"])["widgets"]


def test_the_dashboard_shows_every_metric_that_the_functions_tell_and_no_other():
    assert {metric for widget in dashboard() for metric in shown(widget)} - {None} == emitted()


def alarms():
    return {name: one["Properties"] for name, one in deployed().of_type("AWS::CloudWatch::Alarm").items()}


def test_every_alarm_watches_a_metric_that_is_told_and_is_on_the_dashboard():
    for alarm in alarms().values():
        several = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one]
        for metric in several or [alarm]:
            dimensions = {one["Name"]: one["Value"] for one in metric["Dimensions"]}
            assert read(metric["Namespace"], metric["MetricName"], dimensions) in emitted() | {None}
        assert alarm["TreatMissingData"] == "notBreaching", "nothing happens at night"
    [of_alarms] = [widget["properties"]["alarms"] for widget in dashboard() if widget["type"] == "alarm"]
    assert set(of_alarms) == {deployed().attribute(name, "Arn") for name in alarms()}


def test_the_alarm_of_rejections_counts_both_sides_and_gaps_as_nothing():
    of_share, *_ = alarm = alarms()["RejectionsAlarm"]["Metrics"]
    ids = {one["Id"] for one in alarm if "MetricStat" in one}
    used = re.findall(r"FILL\((\w+), 0\)", of_share["Expression"])
    assert set(used) == ids and not re.search(r"(?<!FILL\()\b(rejected|published)\b", of_share["Expression"])


@pytest.mark.parametrize(
    ("rejected", "published", "alarms_"),
    [(None, None, False), (9, None, False), (10, None, True), (2, 8, False), (3, 7, True), (20, 80, False), (21, 79, True)],
)
def test_over_a_fifth_of_ten_or_more_rejected_is_alarming(rejected, published, alarms_):
    alarm = alarms()["RejectionsAlarm"]
    functions = {
        "FILL": lambda value, missing: missing if value is None else value,
        "IF": lambda condition, yes, no: yes() if condition else no(),
    }
    # As CloudWatch, which minds no division by zero.
    condition, yes, no = re.fullmatch(r"IF\((.+?), (100 .+), (0)\)", alarm["Metrics"][0]["Expression"]).groups()
    expression = f"IF({condition}, lambda: {yes}, lambda: {no})"
    share = eval(expression, functions | {"rejected": rejected, "published": published})  # noqa: S307
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold" and (share > alarm["Threshold"]) == alarms_


def test_what_darkroom_cost_bills_is_what_the_template_has():
    bill = (ROOT / "crates/darkroom/src/cost/bill.rs").read_text()
    billed = {name: float(value) for name, value in re.findall(r"const (\w+): f64 = ([\d.]+);", bill)}
    watched = [sum("MetricStat" in one for one in alarm.get("Metrics", [])) or 1 for alarm in alarms().values()]
    assert billed["ALARMS"] == sum(watched)
    assert billed["PRESIGN_MIB"] == made("Presign")["MemorySize"]


@pytest.mark.parametrize("seconds", TIMEOUTS)
def test_a_worker_is_slow_above_four_fifths_of_its_timeout(seconds):
    slow = deployed(WorkerTimeoutSeconds=seconds).resources["WorkerSlowAlarm"]["Properties"]
    assert slow["Threshold"] == 800 * int(seconds)


def test_widgets_do_not_cover_each_other():
    cells = [
        (x, y)
        for one in dashboard()
        for x in range(one["x"], one["x"] + one["width"])
        for y in range(one["y"], one["y"] + one["height"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24


# Parameters and form


@pytest.mark.parametrize(
    "parameters",
    [
        {"JwtIssuer": "https://issuer.example"},  # without an audience
        {"JwtIssuer": "http://issuer.example", "JwtAudience": "web"},
        {"CdnDomainName": "images.example.org"},  # without a certificate
        {"CdnDomainName": "images.example.org", "CdnCertificateArn": CERTIFICATE.replace("us-east-1", "eu-central-1")},
        {"AllowedOrigins": "example.org"},
        {"AllowedOrigins": "https://example.org/"},
        {"RenditionFormats": "avif,jpg"},
        {"RenditionFormats": "avif'+x"},
        {"KeyLayout": "deep"},
        {"UrlExpirySeconds": "59"},
        {"UrlExpirySeconds": "3601"},
        {"WorkerTimeoutSeconds": "90"},
    ],
    ids=str,
)
def test_what_could_not_work_is_refused_before_anything_is_made(parameters):
    with pytest.raises(TemplateError):
        deployed(**parameters)


@each_template
def test_everything_that_is_asked_and_told_is_described(path):
    template = load(path.read_text())
    for name, one in (template["Parameters"] | template["Outputs"]).items():
        assert one.get("Description", "").strip(), name


@each_template
def test_every_parameter_is_used(path):
    text = path.read_text()
    for name in load(text)["Parameters"]:
        assert re.search(rf"!Ref {name}\b|\$\{{{name}\}}", text), name


def test_every_parameter_is_in_one_group():
    template = load(TEMPLATE.read_text())
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(template["Parameters"])


@each_template
def test_no_template_has_yaml_that_cloudformation_does_not_know(path):
    unknown = (yaml.AnchorToken, yaml.AliasToken)
    tokens = list(yaml.scan(path.read_text()))
    assert not [token for token in tokens if isinstance(token, unknown) or getattr(token, "value", None) == "<<"]
