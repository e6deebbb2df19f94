"""(P) What an AuthenticationConfiguration may say, checked in the words of ``pkg/apis/apiserver/validation``.

Every expression is compiled here, so that what is used later is known to compile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from apiserver.api.field_errors import FieldError, Path, duplicate, forbidden, invalid, required, too_many
from apiserver.auth.structured.expressions import fault_of, selects
from apiserver.validation.domains import domain_prefixed_path

Object = dict[str, Any]
KIND: Final = "AuthenticationConfiguration"
VERSIONS: Final = ("v1", "v1beta1", "v1alpha1")
_MOST: Final = 64
_BOTH: Final = "claim and expression can't both be set"
_PREFIX: Final = "prefix is required when claim is set. It can be set to an empty string to disable prefixing"
_EMAIL: Final = (
    "claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression "
    "or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression"
)
_RESERVED: Final = "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use"
_NO_CERTIFICATES: Final = "data does not contain any valid RSA or ECDSA certificates"


def validate(config: Object, disallowed: Sequence[str] = ()) -> list[FieldError]:
    """``disallowed``: issuers of other tokens, those of service accounts."""
    root, found = Path("jwt"), list[FieldError]()
    authenticators = config.get("jwt") or []
    if len(authenticators) > _MOST:
        return [too_many(root, len(authenticators), _MOST)]
    issuers = [item.get("issuer") or {} for item in authenticators]
    for at, item in enumerate(authenticators):
        path = root.index(at)
        found += _authenticator(item, path, disallowed)
        for name in ("url", "discoveryURL"):
            value = issuers[at].get(name) or ""
            earlier = [issuer.get(name) or "" for issuer in issuers[:at]]
            if value in earlier and (value or name == "url"):
                found.append(duplicate(path.child("issuer", name), value))
    return found + list(_anonymous(config.get("anonymous")))


def _anonymous(anonymous: Object | None) -> Iterator[FieldError]:
    if anonymous and anonymous.get("conditions") and not anonymous.get("enabled"):
        text = "enabled should be set to true when conditions are defined"
        yield invalid(Path("anonymous").child("conditions"), anonymous["conditions"], text)


def _authenticator(item: Object, path: Path, disallowed: Sequence[str]) -> Iterator[FieldError]:
    yield from _issuer(item.get("issuer") or {}, path.child("issuer"), disallowed)
    yield from _claim_rules(item.get("claimValidationRules") or [], path.child("claimValidationRules"))
    yield from _mappings(item, item.get("claimMappings") or {}, path.child("claimMappings"))
    yield from _user_rules(item.get("userValidationRules") or [], path.child("userValidationRules"))


# ---- the issuer


def _issuer(issuer: Object, path: Path, disallowed: Sequence[str]) -> Iterator[FieldError]:
    url, discovery = issuer.get("url") or "", issuer.get("discoveryURL") or ""
    if url:
        yield from _url(url, path.child("url"), disallowed)
    else:
        yield required(path.child("url"))
    if discovery:
        if url and url.rstrip("/") == discovery.rstrip("/"):
            yield invalid(path.child("discoveryURL"), discovery, "discoveryURL must be different from URL")
        yield from _url(discovery, path.child("discoveryURL"), ())
    yield from _audiences(issuer, path)
    if issuer.get("certificateAuthority"):
        yield from _authority(issuer["certificateAuthority"], path.child("certificateAuthority"))
    if issuer.get("egressSelectorType"):
        yield forbidden(path.child("egressSelectorType"), "egress selectors are not supported here")


def _url(url: str, path: Path, disallowed: Sequence[str]) -> Iterator[FieldError]:
    if url in disallowed:
        listed = " ".join(sorted(disallowed))
        yield invalid(path, url, f"URL must not overlap with disallowed issuers: [{listed}]")
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        yield invalid(path, url, f'parse "{url}": {exc}')
        return
    if parts.scheme != "https":
        yield invalid(path, url, "URL scheme must be https")
    if "@" in parts.netloc:
        yield invalid(path, url, "URL must not contain a username or password")
    if parts.query:
        yield invalid(path, url, "URL must not contain a query")
    if parts.fragment:
        yield invalid(path, url, "URL must not contain a fragment")


def _audiences(issuer: Object, path: Path) -> Iterator[FieldError]:
    audiences, at = issuer.get("audiences") or [], path.child("audiences")
    if not audiences:
        yield required(at, f"at least one {at} is required")
        return
    for number, audience in enumerate(audiences):
        if not audience:
            yield required(at.index(number))
        if audience in audiences[:number]:
            yield duplicate(at.index(number), audience)
    policy, where = issuer.get("audienceMatchPolicy") or "", path.child("audienceMatchPolicy")
    if len(audiences) > 1 and policy != "MatchAny":
        yield invalid(where, policy, "audienceMatchPolicy must be MatchAny for multiple audiences")
    if len(audiences) == 1 and policy not in ("", "MatchAny"):
        yield invalid(where, policy, "audienceMatchPolicy must be empty or MatchAny for single audience")


def _authority(pem: str, path: Path) -> Iterator[FieldError]:
    from cryptography import x509

    try:
        x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        yield invalid(path, "<omitted>", _NO_CERTIFICATES)


# ---- rules


def _claim_rules(rules: Sequence[Object], path: Path) -> Iterator[FieldError]:
    seen: set[tuple[str, str]] = set()
    for number, rule in enumerate(rules):
        at = path.index(number)
        claim, expression = rule.get("claim") or "", rule.get("expression") or ""
        if claim and expression:
            yield invalid(at, claim, _BOTH)
        elif not claim and not expression:
            yield required(at, "claim or expression is required")
        elif claim:
            if rule.get("message"):
                yield invalid(at.child("message"), rule["message"], "may not be specified when claim is set")
            if ("claim", claim) in seen:
                yield duplicate(at.child("claim"), claim)
            seen.add(("claim", claim))
        else:
            yield from _claim_expression(rule, expression, at, seen)


def _claim_expression(
    rule: Object, expression: str, at: Path, seen: set[tuple[str, str]]
) -> Iterator[FieldError]:
    if rule.get("requiredValue"):
        text = "may not be specified when expression is set"
        yield invalid(at.child("requiredValue"), rule["requiredValue"], text)
    if ("expression", expression) in seen:
        yield duplicate(at.child("expression"), expression)
        return
    seen.add(("expression", expression))
    yield from _compiles(expression, "claims", at.child("expression"), boolean=True)


def _user_rules(rules: Sequence[Object], path: Path) -> Iterator[FieldError]:
    seen: set[str] = set()
    for number, rule in enumerate(rules):
        at, expression = path.index(number).child("expression"), rule.get("expression") or ""
        if not expression:
            yield required(at)
        elif expression in seen:
            yield duplicate(at, expression)
        else:
            seen.add(expression)
            yield from _compiles(expression, "user", at, boolean=True)


def _compiles(text: str, variable: str, path: Path, *, boolean: bool = False) -> Iterator[FieldError]:
    fault = fault_of(text, variable, path, boolean=boolean)
    if fault is not None:
        yield fault


# ---- mappings


def _mappings(item: Object, mappings: Object, path: Path) -> Iterator[FieldError]:
    username = mappings.get("username") or {}
    faults = list(_prefixed(username, path.child("username"), needed=True))
    yield from faults
    yield from _prefixed(mappings.get("groups") or {}, path.child("groups"), needed=False)
    uid = mappings.get("uid") or {}
    if uid.get("claim") and uid.get("expression"):
        yield invalid(path.child("uid"), "", _BOTH)
    elif uid.get("expression"):
        yield from _compiles(uid["expression"], "claims", path.child("uid", "expression"))
    yield from _extra(mappings.get("extra") or [], path.child("extra"))
    expression = "" if faults else username.get("expression") or ""
    if expression and selects(expression, "claims", "email") and not _asks_whether_verified(item, expression):
        yield invalid(path.child("username", "expression"), expression, _EMAIL)


def _asks_whether_verified(item: Object, username: str) -> bool:
    extra = (item.get("claimMappings") or {}).get("extra") or []
    texts = [username, *(mapping.get("valueExpression") or "" for mapping in extra)]
    texts += [rule.get("expression") or "" for rule in item.get("claimValidationRules") or []]
    return any(
        fault_of(text, "claims", Path()) is None and selects(text, "claims", "email_verified")
        for text in texts
        if text
    )


def _prefixed(mapping: Object, path: Path, *, needed: bool) -> Iterator[FieldError]:
    claim, expression = mapping.get("claim") or "", mapping.get("expression") or ""
    if claim and expression:
        yield invalid(path, "", _BOTH)
    elif expression:
        if "prefix" in mapping:
            text = "may not be specified when expression is set"
            yield invalid(path.child("prefix"), mapping["prefix"], text)
        yield from _compiles(expression, "claims", path.child("expression"))
    elif claim and "prefix" not in mapping:
        yield required(path.child("prefix"), _PREFIX)
    elif needed and not claim:
        yield required(path, "claim or expression is required")


def _extra(mappings: Sequence[Object], path: Path) -> Iterator[FieldError]:
    seen: set[str] = set()
    for number, mapping in enumerate(mappings):
        at, key = path.index(number), mapping.get("key") or ""
        yield from domain_prefixed_path(key, at.child("key"))
        if key != key.lower():
            yield invalid(at.child("key"), key, "must be lowercase")
        if _is_reserved(key):
            yield invalid(at.child("key"), key, _RESERVED)
        if key in seen:
            yield duplicate(at.child("key"), key)
            continue
        seen.add(key)
        expression = mapping.get("valueExpression") or ""
        if not expression:
            yield required(at.child("valueExpression"))
        else:
            yield from _compiles(expression, "claims", at.child("valueExpression"))


def _is_reserved(key: str) -> bool:
    domain, slash, _ = key.partition("/")
    return bool(slash) and f".{domain}".endswith((".kubernetes.io", ".k8s.io"))
