"""(P) From the claims of a verified token to a user, as an AuthenticationConfiguration says.

One `ClaimMapping` for each issuer; `auth.oidc` has verified the token before. The order is the original's: name,
groups, uid, extra, required claims, rules about the claims, rules about the user. Errors are told in token reviews
and in the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from apiserver.api import go_json
from apiserver.api.field_errors import quote
from apiserver.auth.oidc_claims import BadClaims, credential
from apiserver.auth.structured import expressions
from apiserver.auth.structured.expressions import Check, ExpressionFault
from apiserver.auth.user import User
from apiserver.cel.values import NONE

Object = dict[str, Any]
Claims = Mapping[str, Any]
_STRINGS: Final = "expression must return a string or a list of strings"


class ClaimMapping:
    """``authenticator``: one of ``jwt``, which validation has accepted."""

    def __init__(self, authenticator: Object) -> None:
        mappings = authenticator.get("claimMappings") or {}
        self._username: Object = mappings.get("username") or {}
        self._groups: Object = mappings.get("groups") or {}
        self._uid: Object = mappings.get("uid") or {}
        self._extra: list[Object] = mappings.get("extra") or []
        self._claim_rules: list[Object] = authenticator.get("claimValidationRules") or []
        self._user_rules: list[Object] = authenticator.get("userValidationRules") or []

    def user(self, claims: Claims, check: Check | None = None) -> User:
        """Raises BadClaims, and whatever ``check`` raises."""
        found = User(
            self._name_of(claims, check),
            tuple(self._groups_of(claims, check)),
            self._uid_of(claims, check),
            self._extra_of(claims, check),
        )
        self._require_claims(claims)
        expressions_of = [rule for rule in self._claim_rules if rule.get("expression")]
        _hold(expressions_of, "claims", dict(claims), check, "claim validation expression")
        _hold(self._user_rules, "user", found.info(), check, "user info validation rule")
        return found

    def _name_of(self, claims: Claims, check: Check | None) -> str:
        expression = self._username.get("expression")
        if not expression:
            return _named(self._username, claims)
        name = _evaluated(expression, claims, check, "username claim expression")
        if not isinstance(name, str):
            text = "username claim expression must return a string"
            raise BadClaims(f"oidc: error evaluating username claim expression: {text}")
        if not name:
            raise BadClaims("oidc: empty username via CEL expression is not allowed")
        return name

    def _groups_of(self, claims: Claims, check: Check | None) -> list[str]:
        claim, expression = self._groups.get("claim"), self._groups.get("expression")
        if claim and claim in claims:
            listed = claims[claim] if isinstance(claims[claim], list) else [claims[claim]]
            wrong = [item for item in listed if not isinstance(item, str)]
            if wrong:
                text = f"json: cannot unmarshal {go_json.kind(claims[claim])} into Go value of type string"
                raise BadClaims(f"oidc: parse groups claim {quote(claim)}: {text}")
            return [(self._groups.get("prefix") or "") + group for group in listed]
        if not expression:
            return []
        return _strings(
            _evaluated(expression, claims, check, "group claim expression"), "group claim expression: "
        )

    def _uid_of(self, claims: Claims, check: Check | None) -> str:
        if self._uid.get("claim"):
            return _text_claim(claims, self._uid["claim"], "uid claim")
        expression = self._uid.get("expression")
        if not expression:
            return ""
        uid = _evaluated(expression, claims, check, "uid claim expression")
        if not isinstance(uid, str):
            text = "uid claim expression must return a string"
            raise BadClaims(f"oidc: error evaluating uid claim expression: {text}")
        return uid

    def _extra_of(self, claims: Claims, check: Check | None) -> dict[str, list[str]]:
        extra = credential(claims)
        for mapping in self._extra:
            expression = mapping["valueExpression"]
            value = _evaluated(expression, claims, check, "extra claim expression")
            found = _strings(value, f"extra claim expression: {expression}: ")
            if found:
                extra[mapping["key"]] = found
        return extra

    def _require_claims(self, claims: Claims) -> None:
        for rule in self._claim_rules:
            claim = rule.get("claim")
            if not claim:
                continue
            if claim not in claims:
                raise BadClaims(f"oidc: required claim {claim} not present in ID token")
            found, wanted = _text_claim(claims, claim, "claim", quoted=False), rule.get("requiredValue") or ""
            if found != wanted:
                text = f"oidc: required claim {claim} value does not match. Got = {found}, want = {wanted}"
                raise BadClaims(text)


def _named(mapping: Object, claims: Claims) -> str:
    claim = mapping["claim"]
    name = _text_claim(claims, claim, "username claims")
    if claim == "email" and "email_verified" in claims:
        verified = claims["email_verified"]
        if not isinstance(verified, bool):
            text = f"json: cannot unmarshal {go_json.kind(verified)} into Go value of type bool"
            raise BadClaims(f"oidc: parse 'email_verified' claim: {text}")
        if not verified:
            raise BadClaims("oidc: email not verified")
    return (mapping.get("prefix") or "") + name


def _text_claim(claims: Claims, claim: str, what: str, *, quoted: bool = True) -> str:
    shown = quote(claim) if quoted else claim
    if claim not in claims:
        raise BadClaims(f"oidc: parse {what} {shown}: claim not present")
    value = claims[claim]
    if not isinstance(value, str):
        text = f"json: cannot unmarshal {go_json.kind(value)} into Go value of type string"
        raise BadClaims(f"oidc: parse {what} {shown}: {text}")
    return value


def _evaluated(expression: str, claims: Claims, check: Check | None, what: str) -> Any:
    try:
        return expressions.run(expression, "claims", dict(claims), check)
    except ExpressionFault as exc:
        raise BadClaims(f"oidc: error evaluating {what}: {exc}") from exc


def _strings(value: Any, what: str) -> list[str]:
    """Empty ones are as if they were not there."""
    if value is None or value is NONE:
        return []
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in listed):
        raise BadClaims(f"oidc: error evaluating {what}{_STRINGS}")
    return [item for item in listed if item]


def _hold(rules: list[Object], variable: str, value: Any, check: Check | None, what: str) -> None:
    """Raises BadClaims for the first that is false or fails."""
    for rule in rules:
        try:
            held = expressions.run(rule["expression"], variable, value, check)
        except ExpressionFault as exc:
            raise BadClaims(f"oidc: error evaluating {what}: {exc}") from exc
        if held is not True:
            text = f"validation expression '{rule['expression']}' failed: {rule.get('message') or ''}"
            raise BadClaims(f"oidc: error evaluating {what}: {text}")
