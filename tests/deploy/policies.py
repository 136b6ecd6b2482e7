"""What the policies of a template allow, decided as IAM decides it. Knows the elements and operators that the templates
use, and raises on any other rather than to overlook it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import re

ANYONE = "anyone"
ELEMENTS = {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "Condition"}


class PolicyError(Exception):
    """IAM would refuse it, or this module does not know it."""


class Policies:
    """Of a template without intrinsic functions (`expanded.Deployed`)."""

    def __init__(self, deployed):
        self.deployed = deployed
        for role in deployed.of_type("AWS::IAM::Role").values():
            for statement in identity_statements(role):
                check(statement, has_principal=False)
        for statement in (one for document, _ in self.attached() for one in document["Statement"]):
            check(statement, has_principal=True)

    def allow(self, who, action, resource, **context):
        """Whether `who` may: a function of the template by its logical id, a service of AWS by its name, or ANYONE. A
        role is allowed by either kind of policy, all others by that of the resource; a Deny of any outweighs all.
        """
        context = {key.lower(): text(value) for key, value in context.items()}
        effects = {
            statement["Effect"]
            for statement in self.statements(who, resource)
            if concerns(statement, action, resource) and holds(statement.get("Condition", {}), context)
        }
        return "Allow" in effects and "Deny" not in effects

    def statements(self, who, resource):
        role = self.role_of(who)
        if role is not None:
            yield from identity_statements(self.deployed.resources[role])
        principal = who if role is None else self.deployed.attribute(role, "Arn")
        for document, arns in self.attached():
            if any(resource == arn or resource.startswith(f"{arn}/") for arn in arns):
                yield from (one for one in document["Statement"] if is_meant(one["Principal"], principal))

    def role_of(self, who):
        """The logical id of a function's role; None of anybody else."""
        functions = self.deployed.of_type("AWS::Lambda::Function")
        if who not in functions:
            return None
        roles = {self.deployed.attribute(name, "Arn"): name for name in self.deployed.of_type("AWS::IAM::Role")}
        return roles[functions[who]["Properties"]["Role"]]

    def attached(self):
        """Policies of resources, each with the ARNs that it is attached to."""
        for policy in self.deployed.of_type("AWS::S3::BucketPolicy").values():
            buckets = self.arns("AWS::S3::Bucket")
            yield policy["Properties"]["PolicyDocument"], [buckets[policy["Properties"]["Bucket"]]]
        for policy in self.deployed.of_type("AWS::SQS::QueuePolicy").values():
            queues = self.arns("AWS::SQS::Queue")
            yield policy["Properties"]["PolicyDocument"], [queues[one] for one in policy["Properties"]["Queues"]]

    def arns(self, kind):
        attribute = self.deployed.attribute
        return {attribute(name): attribute(name, "Arn") for name in self.deployed.of_type(kind)}


def identity_statements(role):
    for policy in role["Properties"].get("Policies", []):
        yield from policy["PolicyDocument"]["Statement"]


def check(statement, has_principal):
    if statement["Effect"] not in ("Allow", "Deny") or "Resource" not in statement:
        raise PolicyError(f"no statement: {statement}")
    if unknown := statement.keys() - ELEMENTS:
        raise PolicyError(f"not known here: {unknown}")
    if ("Principal" in statement) != has_principal or ("Action" in statement) == ("NotAction" in statement):
        raise PolicyError(f"one of Action and NotAction, and a Principal in policies of resources alone: {statement}")
    if unknown := statement.get("Condition", {}).keys() - OPERATORS.keys():
        raise PolicyError(f"not known here: {unknown}")
    if "${" in str(statement):
        raise PolicyError(f"variables are not known here: {statement}")


def is_meant(principal, who):
    match principal:
        case "*":
            return True
        case {"Service": services, **others} if not others:
            return who in several(services)
        case {"AWS": arns, **others} if not others:
            return "*" in several(arns) or who in several(arns)
    raise PolicyError(f"not known here: {principal}")


def concerns(statement, action, resource):
    if "NotAction" in statement:
        is_named = not any(like(action.lower(), one.lower()) for one in several(statement["NotAction"]))
    else:
        is_named = any(like(action.lower(), one.lower()) for one in several(statement["Action"]))
    return is_named and any(like(resource, one) for one in several(statement["Resource"]))


def holds(conditions, context):
    """All of them, each for any of its values; of a key that is not told, none."""
    return all(
        key.lower() in context and any(OPERATORS[operator](context[key.lower()], text(one)) for one in several(values))
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


def like(value, pattern):
    """`*` and `?` stand for slashes, too."""
    expression = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(expression, value, re.DOTALL) is not None


def arn_like(value, pattern):
    """Each of the six parts for itself."""
    parts, patterns = value.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(patterns) == 6 and all(map(like, parts, patterns))


OPERATORS = {
    "ArnEquals": arn_like,
    "ArnLike": arn_like,
    "Bool": lambda have, want: have.lower() == want.lower(),
    "NumericGreaterThan": lambda have, want: float(have) > float(want),
    "NumericLessThan": lambda have, want: float(have) < float(want),
    "StringEquals": lambda have, want: have == want,
    "StringLike": like,
}


def several(one):
    return one if isinstance(one, list) else [one]


def text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)
