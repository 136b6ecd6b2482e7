"""What test_permissions.py relies on: that policies.py decides as IAM does."""

import pytest
from expanded import deployed
from policies import Policies, PolicyError, arn_like, check, concerns, holds, is_meant, like

STATEMENT = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::photos/raw/*"}


def test_wildcards_span_slashes_and_nothing_else_is_special():
    assert like("raw/a/b.jpg", "raw/*") and like("raw/a", "raw?a") and like("raw/", "raw/*")
    assert not like("raw/a", "raw/?b") and not like("rawXa", "raw.a") and not like("xraw/a", "raw/*")


def test_wildcards_in_arns_stay_within_their_part():
    assert arn_like("arn:aws:s3:::photos", "arn:*:s3:::ph*")
    assert not arn_like("arn:aws:sqs:eu-central-1:1:photos", "arn:aws:sqs:*:photos")


def test_actions_are_of_any_case_and_resources_not():
    assert concerns(STATEMENT, "S3:getObject", "arn:aws:s3:::photos/raw/a")
    assert not concerns(STATEMENT, "s3:GetObject", "arn:aws:s3:::photos/RAW/a")
    assert not concerns(STATEMENT, "s3:GetObjectVersion", "arn:aws:s3:::photos/raw/a")
    all_but = {"Effect": "Deny", "NotAction": ["s3:Get*"], "Resource": "*"}
    assert concerns(all_but, "s3:PutObject", "arn:aws:s3:::photos/raw/a")
    assert not concerns(all_but, "s3:GetObject", "arn:aws:s3:::photos/raw/a")


@pytest.mark.parametrize(
    ("conditions", "is_met"),
    [
        ({}, True),
        ({"Bool": {"aws:SecureTransport": False}}, False),
        ({"Bool": {"AWS:securetransport": "true"}}, True),
        ({"Bool": {"aws:IsNotTold": False}}, False),
        ({"StringEquals": {"aws:SourceAccount": ["1", "2"]}}, True),
        ({"StringEquals": {"aws:SourceAccount": "*"}}, False),
        ({"StringLike": {"aws:SourceAccount": "*"}}, True),
        ({"NumericGreaterThan": {"s3:signatureAge": "900"}}, False),
        ({"NumericGreaterThan": {"s3:signatureAge": 899}}, True),
        ({"NumericLessThan": {"s3:signatureAge": 901}}, True),
        ({"NumericLessThan": {"s3:signatureAge": 901}, "Bool": {"aws:SecureTransport": False}}, False),
    ],
    ids=str,
)
def test_conditions_hold_together_each_for_any_of_its_values_and_never_of_what_is_not_told(conditions, is_met):
    context = {"aws:securetransport": "true", "aws:sourceaccount": "2", "s3:signatureage": "900"}
    assert holds(conditions, context) == is_met


def test_principals():
    assert is_meant("*", "anyone")
    assert is_meant({"Service": ["a.amazonaws.com", "b.amazonaws.com"]}, "b.amazonaws.com")
    assert is_meant({"AWS": "arn:aws:iam::1:role/a"}, "arn:aws:iam::1:role/a")
    assert not is_meant({"AWS": "arn:aws:iam::1:role/a"}, "arn:aws:iam::1:role/b")
    with pytest.raises(PolicyError):
        is_meant({"Federated": "issuer.example"}, "anyone")


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Perhaps"},
        {"NotResource": "*"},
        {"NotPrincipal": "*"},
        {"NotAction": "s3:PutObject"},
        {"Principal": "*"},
        {"Resource": "arn:aws:s3:::photos/${aws:username}/*"},
        {"Condition": {"StringNotEquals": {"aws:SourceAccount": "1"}}},
        {"Condition": {"BoolIfExists": {"aws:SecureTransport": False}}},
    ],
    ids=str,
)
def test_what_is_not_known_is_not_passed_over(change):
    check(STATEMENT, has_principal=False)
    with pytest.raises(PolicyError):
        check(STATEMENT | change, has_principal=False)


def test_a_deny_outweighs_every_allow_and_what_nobody_allows_is_denied():
    policies, stack = Policies(deployed()), deployed()
    source = f"{stack.attribute('Bucket', 'Arn')}/raw/a.jpg"
    assert policies.allow("Presign", "s3:GetObject", source)
    assert not policies.allow("Presign", "s3:GetObject", source, **{"aws:SecureTransport": False})
    assert not policies.allow("Presign", "s3:GetObjectAcl", source)
    assert not policies.allow("s3.amazonaws.com", "s3:GetObject", source)
