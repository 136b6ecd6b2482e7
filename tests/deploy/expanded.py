"""The templates as CloudFormation carries them out: expanded by SAM's own translator, offline, and for given parameters
without any intrinsic function. Owns what parameters and references mean; raises on whatever it does not know.
"""

import copy
import functools
import pathlib
import re

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).parents[2]
TEMPLATE = ROOT / "template.yaml"

REGION = "eu-central-1"
ACCOUNT = "123456789012"
NO_VALUE = object()
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::NoValue": NO_VALUE,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/darkroom/5d0c9a12-7a3b-11f1-8c2e-0a1b2c3d4e5f",
    "AWS::StackName": "darkroom",
    "AWS::URLSuffix": "amazonaws.com",
}
# What the template's references give, by type, where nothing has been deployed.
MADE_UP = {
    "AWS::ApiGateway::ApiKey": {"Ref": "{name}"},
    "AWS::ApiGateway::Deployment": {"Ref": "{name}"},
    "AWS::ApiGateway::RestApi": {"Ref": "{name}"},
    "AWS::ApiGateway::UsagePlan": {"Ref": "{name}"},
    "AWS::ApiGatewayV2::Api": {"Ref": "{name}"},
    "AWS::CloudWatch::Alarm": {"Arn": "arn:aws:cloudwatch:{region}:{account}:alarm:{name}"},
    "AWS::CloudFront::Distribution": {"Ref": "E{name}", "DomainName": "{name}.cloudfront.net"},
    "AWS::CloudFront::Function": {"FunctionMetadata.FunctionARN": "arn:aws:cloudfront::{account}:function/{name}"},
    "AWS::CloudFront::OriginAccessControl": {"Id": "{name}"},
    "AWS::CloudFront::ResponseHeadersPolicy": {"Ref": "{name}"},
    "AWS::Cognito::UserPool": {"Ref": "{region}_{name}"},
    "AWS::Cognito::UserPoolClient": {"Ref": "{name}"},
    "AWS::Events::Rule": {"Arn": "arn:aws:events:{region}:{account}:rule/{name}"},
    "AWS::IAM::Role": {"Ref": "{name}", "Arn": "arn:aws:iam::{account}:role/{name}"},
    "AWS::Lambda::Function": {"Ref": "{name}", "Arn": "arn:aws:lambda:{region}:{account}:function:{name}"},
    "AWS::Lambda::Url": {"FunctionUrl": "https://{name}.lambda-url.{region}.on.aws/"},
    "AWS::Logs::LogGroup": {"Ref": "{name}", "Arn": "arn:aws:logs:{region}:{account}:log-group:{name}:*"},
    "AWS::S3::Bucket": {
        "Ref": "{name}",
        "Arn": "arn:aws:s3:::{name}",
        "RegionalDomainName": "{name}.s3.{region}.amazonaws.com",
    },
    "AWS::SNS::Topic": {"Ref": "arn:aws:sns:{region}:{account}:{name}"},
    "AWS::SQS::Queue": {
        "Ref": "https://sqs.{region}.amazonaws.com/{account}/{name}",
        "Arn": "arn:aws:sqs:{region}:{account}:{name}",
        "QueueName": "{name}",
    },
    "AWS::SecretsManager::Secret": {"Ref": "arn:aws:secretsmanager:{region}:{account}:secret:{name}-AbCdEf"},
    "AWS::WAFv2::WebACL": {"Arn": "arn:aws:wafv2:{region}:{account}:regional/webacl/{name}/0"},
}


class TemplateError(Exception):
    """CloudFormation would refuse it, or this module does not know it."""


def load(text):
    """Of YAML, with its short forms written out."""
    return yaml_parse(text)


def expand(template, parameters):
    """Without anything of SAM's, but with intrinsic functions."""
    template = copy.deepcopy(template)
    functions = [one["Properties"] for one in of_type(template, "AWS::Serverless::Function").values()]
    for properties in [template.get("Globals", {}).get("Function", {}), *functions]:
        if "CodeUri" in properties:
            properties["CodeUri"] = "s3://builds/code.zip"  # a folder would have to be uploaded first
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION))
    return translator.translate(template, dict(parameters))


def of_type(template, kind):
    return {name: one for name, one in template["Resources"].items() if one["Type"] == kind}


@functools.cache
def deployed(path=TEMPLATE, **parameters):
    """A template of the repository with these parameters; not to be changed."""
    return Deployed(expand(load(path.read_text()), parameters), parameters)


class Deployed:
    """An expanded template with values. `physical` has the attributes that are known, by logical id; `Ref` is one."""

    def __init__(self, template, parameters, physical=None, pseudo=None):
        self.template = template
        self.physical = physical or {}
        self.values = PSEUDO | (pseudo or {}) | checked(template["Parameters"], parameters)
        for name, rule in template.get("Rules", {}).items():
            if self.holds(rule["RuleCondition"]):
                for assertion in rule["Assertions"]:
                    if not self.holds(assertion["Assert"]):
                        raise TemplateError(f"{name}: {assertion['AssertDescription']}")
        self.resources = self.part("Resources")
        self.outputs = self.part("Outputs")

    def part(self, name):
        there = {key: one for key, one in self.template[name].items() if self.exists(one)}
        return {key: self.value(one) for key, one in there.items()}

    def of_type(self, kind):
        return of_type({"Resources": self.resources}, kind)

    def exists(self, resource):
        return "Condition" not in resource or self.holds({"Condition": resource["Condition"]})

    def attribute(self, name, attribute="Ref"):
        """What `!Ref name` or `!GetAtt name.attribute` gives."""
        if attribute == "Ref" and name in self.values:
            return self.values[name]
        if attribute in self.physical.get(name, {}):
            return self.physical[name][attribute]
        resource = self.template["Resources"].get(name)
        if resource is None or not self.exists(resource):
            raise TemplateError(f"{name}: is referred to and not there")
        made_up = MADE_UP.get(resource["Type"], {}).get(attribute)
        if made_up is None:
            raise TemplateError(f"{name}: {attribute} of {resource['Type']} is not known here")
        named = self.value(resource["Properties"].get("BucketName", f"darkroom-{name}"))
        return made_up.format(name=named, account=ACCOUNT, region=REGION)

    def value(self, node):
        if isinstance(node, list):
            return [one for one in map(self.value, node) if one is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            [(name, argument)] = node.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self.called(name, argument)
        values = {key: self.value(one) for key, one in node.items()}
        return {key: one for key, one in values.items() if one is not NO_VALUE}

    def called(self, function, argument):
        match function, argument:
            case "Ref", str(name):
                return self.attribute(name)
            case "Fn::GetAtt", [str(name), str(attribute)]:
                return self.attribute(name, attribute)
            case "Fn::Sub", str(text):
                return self.substituted(text, {})
            case "Fn::Sub", [str(text), dict(own)]:
                return self.substituted(text, own)
            case "Fn::If", [str(condition), yes, no]:
                return self.value(yes if self.holds({"Condition": condition}) else no)
            case "Fn::FindInMap", [str(name), first, second]:
                return self.template["Mappings"][name][self.value(first)][self.value(second)]
            case "Fn::Select", [index, items]:
                return self.value(items)[int(index)]
            case "Fn::Split", [str(separator), text]:
                return self.value(text).split(separator)
            case "Fn::Join", [str(separator), items]:
                return separator.join(self.value(items))
        raise TemplateError(f"{function}: not known here with {argument}")

    def substituted(self, text, own):
        def found(match):
            name, _, attribute = match[1].partition(".")
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            value = self.value(own[name]) if name in own else self.attribute(name, attribute or "Ref")
            if not isinstance(value, (str, int)):
                raise TemplateError(f"Fn::Sub: {name} is no text")
            return str(value)

        return re.sub(r"\$\{([^}]+)\}", found, text)

    def holds(self, condition):
        match condition:
            case {"Condition": str(name)}:
                return self.holds(self.template["Conditions"][name])
            case {"Fn::Equals": [one, other]}:
                return self.value(one) == self.value(other)
            case {"Fn::Not": [one]}:
                return not self.holds(one)
            case {"Fn::And": [*several]}:
                return all(map(self.holds, several))
            case {"Fn::Or": [*several]}:
                return any(map(self.holds, several))
        raise TemplateError(f"no condition that is known here: {condition}")


def checked(slots, given):
    """Every parameter's value, as text: so CloudFormation hands them on."""
    if unknown := given.keys() - slots.keys():
        raise TemplateError(f"no such parameters: {sorted(unknown)}")
    return {name: checked_value(name, slot, given) for name, slot in slots.items()}


def checked_value(name, slot, given):
    value = given.get(name, slot.get("Default"))
    if value is None:
        raise TemplateError(f"{name}: has no default and no value")
    value = str(value)
    if "AllowedValues" in slot and value not in map(str, slot["AllowedValues"]):
        raise TemplateError(f"{name}: `{value}` is none of its values")
    if not re.fullmatch(slot.get("AllowedPattern", ".*"), value, re.DOTALL):
        raise TemplateError(f"{name}: `{value}` is not of its pattern")
    match slot["Type"]:
        case "String" if not {"MinValue", "MaxValue"} & slot.keys():
            return value
        case "Number":
            if not slot.get("MinValue", -float("inf")) <= float(value) <= slot.get("MaxValue", float("inf")):
                raise TemplateError(f"{name}: `{value}` is too small or too large")
            return value
    raise TemplateError(f"{name}: no type that is known here")
