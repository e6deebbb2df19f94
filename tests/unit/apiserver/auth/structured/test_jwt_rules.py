"""What an AuthenticationConfiguration may say, in the original's words."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from apiserver.auth.structured.jwt_rules import validate
from apiserver.auth.structured.jwt_setup import load
from apiserver.config_files.reading import ConfigFileError

Object = dict[str, Any]
GOOD: Object = {
    "issuer": {"url": "https://issuer.example", "audiences": ["a"]},
    "claimMappings": {"username": {"claim": "sub", "prefix": ""}},
}
BOTH = "claim and expression can't both be set"


def changed(*steps: tuple[str, Any]) -> Object:
    """A good authenticator with other values at dotted places."""
    item = deepcopy(GOOD)
    for place, value in steps:
        *path, last = place.split(".")
        target = item
        for name in path:
            target = target.setdefault(name, {})
        target[last] = value
    return item


USER, GROUPS, UID, EXTRA = (f"claimMappings.{name}" for name in ("username", "groups", "uid", "extra"))
RULES = "claimValidationRules"
EMAIL = changed((USER, {"expression": "claims.email"}))

FAULTS: list[tuple[Object, list[str]]] = [
    (changed(("issuer.url", "")), ["jwt[0].issuer.url: Required value"]),
    (
        changed(("issuer.url", "http://u@issuer.example?a=b#c")),
        [
            f'jwt[0].issuer.url: Invalid value: "http://u@issuer.example?a=b#c": URL {text}'
            for text in (
                "scheme must be https",
                "must not contain a username or password",
                "must not contain a query",
                "must not contain a fragment",
            )
        ],
    ),
    (
        changed(("issuer.url", "https://accounts")),
        [
            'jwt[0].issuer.url: Invalid value: "https://accounts": URL must not overlap with disallowed '
            "issuers: [https://accounts]"
        ],
    ),
    (
        changed(("issuer.discoveryURL", "https://issuer.example/")),
        [
            'jwt[0].issuer.discoveryURL: Invalid value: "https://issuer.example/": discoveryURL must be '
            "different from URL"
        ],
    ),
    (
        changed(("issuer.audiences", [])),
        ["jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required"],
    ),
    (
        changed(("issuer.audiences", ["a", "", "a"])),
        [
            "jwt[0].issuer.audiences[1]: Required value",
            'jwt[0].issuer.audiences[2]: Duplicate value: "a"',
            'jwt[0].issuer.audienceMatchPolicy: Invalid value: "": audienceMatchPolicy must be MatchAny '
            "for multiple audiences",
        ],
    ),
    (
        changed(("issuer.audienceMatchPolicy", "MatchAll")),
        [
            'jwt[0].issuer.audienceMatchPolicy: Invalid value: "MatchAll": audienceMatchPolicy must be '
            "empty or MatchAny "
            "for single audience"
        ],
    ),
    (
        changed(("issuer.certificateAuthority", "x")),
        [
            'jwt[0].issuer.certificateAuthority: Invalid value: "<omitted>": data does not contain any '
            "valid RSA or ECDSA "
            "certificates"
        ],
    ),
    (
        changed(("issuer.egressSelectorType", "cluster")),
        ["jwt[0].issuer.egressSelectorType: Forbidden: egress selectors are not supported here"],
    ),
    (changed((USER, {})), ["jwt[0].claimMappings.username: Required value: claim or expression is required"]),
    (
        changed((USER, {"claim": "a", "expression": "b"})),
        [f'jwt[0].claimMappings.username: Invalid value: "": {BOTH}'],
    ),
    (
        changed((USER, {"claim": "a"})),
        [
            "jwt[0].claimMappings.username.prefix: Required value: prefix is required when claim is set. "
            "It can be set to an "
            "empty string to disable prefixing"
        ],
    ),
    (
        changed((USER, {"expression": "claims.a", "prefix": "p"})),
        [
            'jwt[0].claimMappings.username.prefix: Invalid value: "p": may not be specified when expression is set'
        ],
    ),
    (
        changed((GROUPS, {"expression": "nothing"})),
        [
            'jwt[0].claimMappings.groups.expression: Invalid value: "nothing": compilation failed: '
            "ERROR: <input>:1:1: "
            "undeclared reference to 'nothing' (in container '')\n | nothing\n | ^"
        ],
    ),
    (
        changed((UID, {"claim": "a", "expression": "b"})),
        [f'jwt[0].claimMappings.uid: Invalid value: "": {BOTH}'],
    ),
    (
        changed((EXTRA, [{"key": "a.k8s.io/B", "valueExpression": ""}, {"key": "a.k8s.io/B"}])),
        [
            'jwt[0].claimMappings.extra[0].key: Invalid value: "a.k8s.io/B": must be lowercase',
            'jwt[0].claimMappings.extra[0].key: Invalid value: "a.k8s.io/B": k8s.io, kubernetes.io and '
            "their subdomains are "
            "reserved for Kubernetes use",
            "jwt[0].claimMappings.extra[0].valueExpression: Required value",
            'jwt[0].claimMappings.extra[1].key: Invalid value: "a.k8s.io/B": must be lowercase',
            'jwt[0].claimMappings.extra[1].key: Invalid value: "a.k8s.io/B": k8s.io, kubernetes.io and '
            "their subdomains are "
            "reserved for Kubernetes use",
            'jwt[0].claimMappings.extra[1].key: Duplicate value: "a.k8s.io/B"',
        ],
    ),
    (
        changed((EXTRA, [{"key": "nodomain", "valueExpression": "'a'"}])),
        [
            'jwt[0].claimMappings.extra[0].key: Invalid value: "nodomain": must be a domain-prefixed path (such as '
            '"acme.io/foo")'
        ],
    ),
    (
        EMAIL,
        [
            'jwt[0].claimMappings.username.expression: Invalid value: "claims.email": '
            "claims.email_verified must be used in "
            "claimMappings.username.expression or claimMappings.extra[*].valueExpression or "
            "claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression"
        ],
    ),
    (
        changed(
            (RULES, [{}, {"claim": "a", "expression": "b"}, {"claim": "a", "message": "m"}, {"claim": "a"}])
        ),
        [
            "jwt[0].claimValidationRules[0]: Required value: claim or expression is required",
            f'jwt[0].claimValidationRules[1]: Invalid value: "a": {BOTH}',
            'jwt[0].claimValidationRules[2].message: Invalid value: "m": may not be specified when claim is set',
            'jwt[0].claimValidationRules[3].claim: Duplicate value: "a"',
        ],
    ),
    (
        changed((RULES, [{"expression": "claims.a", "requiredValue": "v"}, {"expression": "claims.a"}])),
        [
            'jwt[0].claimValidationRules[0].requiredValue: Invalid value: "v": may not be specified when '
            "expression is set",
            'jwt[0].claimValidationRules[0].expression: Invalid value: "claims.a": must evaluate to bool',
            'jwt[0].claimValidationRules[1].expression: Duplicate value: "claims.a"',
        ],
    ),
    (
        changed(("userValidationRules", [{}, {"expression": "user.nosuch == 'a'"}, {"expression": "'a'"}])),
        [
            "jwt[0].userValidationRules[0].expression: Required value",
            "jwt[0].userValidationRules[1].expression: Invalid value: \"user.nosuch == 'a'\": "
            "compilation failed: ERROR: "
            "<input>:1:5: undefined field 'nosuch'\n | user.nosuch == 'a'\n | ....^",
            "jwt[0].userValidationRules[2].expression: Invalid value: \"'a'\": must evaluate to bool",
        ],
    ),
]


@pytest.mark.parametrize(("authenticator", "texts"), FAULTS)
def test_faults_of_an_authenticator(authenticator: Object, texts: list[str]) -> None:
    found = validate({"jwt": [authenticator]}, ["https://accounts"])
    assert [error.message() for error in found] == texts


@pytest.mark.parametrize(
    "authenticator",
    [
        GOOD,
        changed(("issuer.audiences", ["a", "b"]), ("issuer.audienceMatchPolicy", "MatchAny")),
        changed((USER, {"expression": "claims.email_verified ? claims.email : claims.sub"})),
        changed(
            (USER, {"expression": "claims.?email.orValue('x')"}),
            (RULES, [{"expression": "claims.?email_verified.orValue(true) == true"}]),
        ),
        changed(
            (USER, {"expression": "claims.email"}),
            (EXTRA, [{"key": "example.com/v", "valueExpression": "string(claims.email_verified)"}]),
        ),
        changed((GROUPS, {"claim": "g", "prefix": "p:"}), (UID, {"claim": "u"})),
        changed(
            ("userValidationRules", [{"expression": "!user.username.startsWith('system:')", "message": "m"}])
        ),
    ],
)
def test_what_is_accepted(authenticator: Object) -> None:
    assert (
        validate({"jwt": [authenticator], "anonymous": {"enabled": True, "conditions": [{"path": "/livez"}]}})
        == []
    )


def test_faults_between_authenticators_and_of_anonymous_requests() -> None:
    two = [changed(("issuer.discoveryURL", "https://d")), changed(("issuer.discoveryURL", "https://d"))]
    found = validate({"jwt": two, "anonymous": {"conditions": [{"path": "/livez"}]}})
    assert [error.message() for error in found] == [
        'jwt[1].issuer.url: Duplicate value: "https://issuer.example"',
        'jwt[1].issuer.discoveryURL: Duplicate value: "https://d"',
        'anonymous.conditions: Invalid value: [{"path":"/livez"}]: enabled should be set to true when '
        "conditions are defined",
    ]
    (many,) = validate({"jwt": [GOOD] * 65})
    assert many.message() == "jwt: Too many: 65: must have at most 64 items"


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha1"])
def test_versions(version: str) -> None:
    assert len(loaded({"apiVersion": f"apiserver.config.k8s.io/{version}", "jwt": [GOOD]}).sources) == 1


def loaded(document: Object, fetcher: Callable[[str], Any] = lambda _: None) -> Any:
    header = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration"}
    return load(json.dumps({**header, **document}).encode(), [], ["api"], fetcher, lambda: 0.0)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"apiVersion": "apiserver.config.k8s.io/v2"}, "no kind .* is registered for version"),
        ({"jwts": []}, 'strict decoding error: unknown field "jwts"'),
        ({"jwt": [{"issuer": {"uri": "x"}}]}, r'strict decoding error: unknown field "jwt\[0\].issuer.uri"'),
        (
            {"anonymous": {"enabled": "yes"}},
            "cannot unmarshal string into Go struct field AnonymousAuthConfig.enabled",
        ),
    ],
)
def test_documents_that_cannot_be_read(document: Object, text: str) -> None:
    with pytest.raises(ConfigFileError, match=text):
        loaded(document)
