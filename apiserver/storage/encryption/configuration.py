"""(P) What an EncryptionConfiguration may say, checked in the words of ``pkg/apis/apiserver/validation``.

Between ``config_files.reading``, which has seen to the types, and ``providers``. Secrets are never shown.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any, Final, NamedTuple

from apiserver.api.field_errors import FieldError, Path, forbidden, go_struct, invalid, required

Object = dict[str, Any]
KIND: Final = "EncryptionConfiguration"
PROVIDERS: Final = ("kms", "aesgcm", "aescbc", "secretbox", "identity")
_KEY_SIZES: Final = {"aesgcm": (16, 24, 32), "aescbc": (16, 24, 32), "secretbox": (32,)}
_NO_PROVIDER: Final = (
    "provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity"
)
_SEVERAL_PROVIDERS: Final = (
    "more than one provider specified in a single element, should split into different list elements"
)
_NO_KMS: Final = (
    "key management services are not supported here; use aesgcm, aescbc or secretbox with keys in this file"
)
_STAR: Final = "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources"
_CAPITAL: Final = "resource name should not contain capital letters"
_NO_API: Final = "resources which do not have REST API/s cannot be encrypted"
_EVENTS: Final = (
    "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. "
    "Use 'events' instead in the config file"
)
_EXTENSIONS: Final = "'extensions' group has been removed and cannot be used for encryption"
_ACROSS: Final = "encrypting the same resource across groups is not supported"
_DUPLICATE: Final = "the same resource cannot be specified multiple times"
_OVERLAP: Final = (
    "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be "
    "masked"
)
_INTERNAL: Final = frozenset({"apiserveripinfo", "serviceipallocations", "servicenodeportallocations"})


class GroupResource(NamedTuple):
    """Either may be ``*``."""

    group: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> GroupResource:
        """``secrets``, ``deployments.apps``, ``*.`` (all of the core group), ``*.*``."""
        resource, _, group = text.partition(".")
        return cls(group, resource)

    def __str__(self) -> str:
        if self.resource == "*" and not self.group:
            return "*."
        return f"{self.resource}.{self.group}" if self.group else self.resource


EVERYTHING: Final = GroupResource("*", "*")


def validate(config: Object) -> list[FieldError]:
    root, rules = Path("resources"), config.get("resources") or []
    if not rules:
        return [required(root, f"at least one {root} is required")]
    return [error for at, rule in enumerate(rules) for error in _rule(rule, root.index(at))]


def _rule(rule: Object, path: Path) -> Iterator[FieldError]:
    names, at = rule.get("resources") or [], path.child("resources")
    if not names:
        yield required(at, f"at least one {at} is required")
    yield from _overlaps(names, at)
    for number, name in enumerate(names):
        fault = _name_fault(name)
        if fault:
            yield invalid(at.index(number), name, fault)
    providers, at = rule.get("providers") or [], path.child("providers")
    if not providers:
        yield required(at, f"at least one {at} is required")
    for number, provider in enumerate(providers):
        yield from _provider(provider, at.index(number))


def _overlaps(names: Sequence[str], path: Path) -> Iterator[FieldError]:
    duplicate = overlap = False
    for one, other in permutations([GroupResource.parse(name) for name in names], 2):
        if one == other and not duplicate:
            duplicate = True
            continue
        same_group = one.group == other.group and "*" in (one.resource, other.resource)
        overlap = overlap or one == EVERYTHING or same_group
    if duplicate:
        yield invalid(path, list(names), _DUPLICATE)
    if overlap:
        yield invalid(path, list(names), _OVERLAP)


def _name_fault(name: str) -> str:
    parsed = GroupResource.parse(name)
    if name != name.lower():
        return _CAPITAL
    if name == "*":
        return _STAR
    if name in _INTERNAL:
        return _NO_API
    if parsed.group == "events.k8s.io":
        return _EVENTS
    if parsed.group == "extensions":
        return _EXTENSIONS
    return _ACROSS if parsed.group == "*" and parsed.resource != "*" else ""


def _provider(provider: Object, path: Path) -> Iterator[FieldError]:
    given = [name for name in PROVIDERS if name in provider]
    if len(given) != 1:
        yield invalid(
            path, go_struct(_without_secrets(provider)), _SEVERAL_PROVIDERS if given else _NO_PROVIDER
        )
    if not given:
        return
    name = given[0]
    if name == "kms":
        yield forbidden(path.child("kms"), _NO_KMS)
    elif name in _KEY_SIZES:
        yield from _keys(provider[name].get("keys") or [], path.child(name, "keys"), _KEY_SIZES[name])


def _without_secrets(provider: Object) -> Object:
    return {name: {} for name in provider}


def _keys(keys: Sequence[Object], path: Path, sizes: Sequence[int]) -> Iterator[FieldError]:
    if not keys:
        yield required(path, "at least one keys is required")
    for at, key in enumerate(keys):
        if not key.get("name"):
            yield required(path.index(at).child("name"), "name is a mandatory field for a key")
        yield from _secret(key.get("secret") or "", path.index(at).child("secret"), sizes)


def _secret(text: str, path: Path, sizes: Sequence[int]) -> Iterator[FieldError]:
    if not text:
        yield required(path, "secret is a mandatory field for a key")
        return
    try:
        size = len(decoded(text))
    except ValueError:
        yield invalid(path, "REDACTED", "secrets must be base64 encoded")
        return
    if size not in sizes:
        expected = f"[{' '.join(map(str, sizes))}]"
        detail = f"secret is not of the expected length, got {size}, expected one of {expected}"
        yield invalid(path, "REDACTED", detail)


def decoded(secret: str) -> bytes:
    """Raises ValueError. Line breaks are allowed, as in Go."""
    try:
        return base64.b64decode(secret.replace("\n", "").replace("\r", ""), validate=True)
    except binascii.Error as exc:
        raise ValueError("not base64") from exc
