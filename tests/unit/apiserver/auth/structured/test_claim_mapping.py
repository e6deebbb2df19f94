"""Which user the claims of a token make, and which make none."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.auth.oidc_claims import BadClaims
from apiserver.auth.structured.claim_mapping import ClaimMapping
from apiserver.auth.user import User

Object = dict[str, Any]
CLAIMS: Object = {
    "sub": "jane",
    "email": "jane@example.com",
    "email_verified": True,
    "groups": ["a", "b"],
    "role": "boss",
    "empty": "",
    "mixed": ["a", "", 1],
    "n": 7,
    "jti": "id1",
    "hd": "example.com",
}
TOKEN = {"authentication.kubernetes.io/credential-id": ["JTI=id1"]}
SUB = {"claim": "sub", "prefix": ""}


def mapping(**parts: Any) -> ClaimMapping:
    rules = {
        name: parts.pop(name) for name in ("claimValidationRules", "userValidationRules") if name in parts
    }
    return ClaimMapping({"claimMappings": {"username": SUB, **parts}, **rules})


USERS: list[tuple[Object, User]] = [
    ({}, User("jane", extra=TOKEN)),
    ({"username": {"claim": "sub", "prefix": "oidc:"}}, User("oidc:jane", extra=TOKEN)),
    ({"username": {"claim": "email", "prefix": ""}}, User("jane@example.com", extra=TOKEN)),
    ({"username": {"expression": "claims.sub + '@' + claims.hd"}}, User("jane@example.com", extra=TOKEN)),
    ({"groups": {"claim": "groups", "prefix": "g:"}}, User("jane", ("g:a", "g:b"), extra=TOKEN)),
    ({"groups": {"claim": "role", "prefix": "g:"}}, User("jane", ("g:boss",), extra=TOKEN)),
    ({"groups": {"claim": "none", "prefix": "g:"}}, User("jane", extra=TOKEN)),
    ({"groups": {"expression": "claims.groups.map(g, 'g:' + g)"}}, User("jane", ("g:a", "g:b"), extra=TOKEN)),
    ({"groups": {"expression": "claims.role"}}, User("jane", ("boss",), extra=TOKEN)),
    ({"groups": {"expression": "claims.empty"}}, User("jane", extra=TOKEN)),
    ({"groups": {"expression": "null"}}, User("jane", extra=TOKEN)),
    ({"uid": {"claim": "hd"}}, User("jane", uid="example.com", extra=TOKEN)),
    ({"uid": {"expression": "claims.sub + '1'"}}, User("jane", uid="jane1", extra=TOKEN)),
    (
        {
            "extra": [
                {"key": "example.com/role", "valueExpression": "claims.role"},
                {"key": "example.com/groups", "valueExpression": "claims.groups"},
                {"key": "example.com/none", "valueExpression": "claims.empty"},
            ]
        },
        User("jane", extra={**TOKEN, "example.com/role": ["boss"], "example.com/groups": ["a", "b"]}),
    ),
    (
        {
            "claimValidationRules": [
                {"claim": "hd", "requiredValue": "example.com"},
                {"expression": "claims.n > 5"},
            ],
            "userValidationRules": [{"expression": "user.username == 'jane' && !has(user.uid)"}],
        },
        User("jane", extra=TOKEN),
    ),
]


@pytest.mark.parametrize(("parts", "user"), USERS)
def test_users(parts: Object, user: User) -> None:
    assert mapping(**parts).user(CLAIMS) == user


EVALUATING = "oidc: error evaluating"
FAULTS: list[tuple[Object, str]] = [
    ({"username": {"claim": "none", "prefix": ""}}, 'oidc: parse username claims "none": claim not present'),
    (
        {"username": {"claim": "n", "prefix": ""}},
        'oidc: parse username claims "n": json: cannot unmarshal number into Go value of type string',
    ),
    (
        {"username": {"expression": "claims.none"}},
        f"{EVALUATING} username claim expression: expression 'claims.none' resulted in error: no such key: none",
    ),
    (
        {"username": {"expression": "claims.n"}},
        f"{EVALUATING} username claim expression: username claim expression must return a string",
    ),
    ({"username": {"expression": "claims.empty"}}, "oidc: empty username via CEL expression is not allowed"),
    (
        {"groups": {"claim": "mixed", "prefix": ""}},
        'oidc: parse groups claim "mixed": json: cannot unmarshal array into Go value of type string',
    ),
    (
        {"groups": {"expression": "claims.mixed"}},
        f"{EVALUATING} group claim expression: expression must return a string or a list of strings",
    ),
    (
        {"groups": {"expression": "claims.n"}},
        f"{EVALUATING} group claim expression: expression must return a string or a list of strings",
    ),
    ({"uid": {"claim": "none"}}, 'oidc: parse uid claim "none": claim not present'),
    (
        {"uid": {"expression": "claims.n"}},
        f"{EVALUATING} uid claim expression: uid claim expression must return a string",
    ),
    (
        {"extra": [{"key": "example.com/n", "valueExpression": "claims.n"}]},
        f"{EVALUATING} extra claim expression: claims.n: expression must return a string or a list of strings",
    ),
    ({"claimValidationRules": [{"claim": "none"}]}, "oidc: required claim none not present in ID token"),
    (
        {"claimValidationRules": [{"claim": "hd", "requiredValue": "x"}]},
        "oidc: required claim hd value does not match. Got = example.com, want = x",
    ),
    (
        {"claimValidationRules": [{"expression": "claims.n > 9", "message": "too small"}]},
        f"{EVALUATING} claim validation expression: validation expression 'claims.n > 9' failed: too small",
    ),
    (
        {"claimValidationRules": [{"expression": "claims.none == 'a'"}]},
        f"{EVALUATING} claim validation expression: expression 'claims.none == 'a'' resulted in error: no "
        f"such key: none",
    ),
    (
        {"userValidationRules": [{"expression": "user.username.startsWith('system:')", "message": "no"}]},
        f"{EVALUATING} user info validation rule: validation expression "
        f"'user.username.startsWith('system:')' failed: no",
    ),
]


@pytest.mark.parametrize(("parts", "text"), FAULTS)
def test_tokens_that_are_refused(parts: Object, text: str) -> None:
    with pytest.raises(BadClaims) as refused:
        mapping(**parts).user(CLAIMS)
    assert str(refused.value) == text


@pytest.mark.parametrize(
    ("verified", "text"),
    [
        (False, "oidc: email not verified"),
        (
            "true",
            "oidc: parse 'email_verified' claim: json: cannot unmarshal string into Go value of type bool",
        ),
    ],
)
def test_an_address_that_is_not_verified(verified: Any, text: str) -> None:
    with pytest.raises(BadClaims) as refused:
        mapping(username={"claim": "email", "prefix": ""}).user({**CLAIMS, "email_verified": verified})
    assert str(refused.value) == text
