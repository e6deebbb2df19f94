"""The audit policy: at which level a request is kept (P).

As the original's ``audit/policy``: the first rule that matches decides, and no rule means None. Read from an
``audit.k8s.io/v1`` Policy; every mistake in it is named at once, in the words of its validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from apiserver.api.names import check_dns1123_subdomain
from apiserver.auth.rbac import Attributes

LEVELS: Final = ("None", "Metadata", "Request", "RequestResponse")
STAGES: Final = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
_BOTH: Final = "rules cannot apply to both regular resources and non-resource URLs"


class PolicyError(ValueError):
    """The text names every mistake."""


@dataclass(frozen=True, slots=True)
class Resources:
    """Names of one API group; none: all of it."""

    group: str = ""
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """Empty fields match everything."""

    level: str
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    verbs: frozenset[str] = frozenset()
    resources: tuple[Resources, ...] = ()
    namespaces: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    omit_stages: frozenset[str] = frozenset()
    omit_managed_fields: bool = False


NOTHING: Final = Rule("None")


@dataclass(frozen=True, slots=True)
class Policy:
    rules: tuple[Rule, ...]

    def rule_of(self, asked: Attributes) -> Rule:
        return next((rule for rule in self.rules if matches(rule, asked)), NOTHING)


def matches(rule: Rule, asked: Attributes) -> bool:
    if rule.users and asked.user.name not in rule.users:
        return False
    if rule.groups and rule.groups.isdisjoint(asked.user.groups):
        return False
    if rule.verbs and asked.verb not in rule.verbs:
        return False
    if rule.namespaces or rule.resources:
        return not asked.path and _matches_resource(rule, asked)
    return not rule.paths or (bool(asked.path) and any(_matches_path(p, asked.path) for p in rule.paths))


def _matches_path(wanted: str, path: str) -> bool:
    return wanted in ("*", path) or (wanted.endswith("*") and path.startswith(wanted.rstrip("*")))


def _matches_resource(rule: Rule, asked: Attributes) -> bool:
    if rule.namespaces and asked.namespace not in rule.namespaces:
        return False
    return not rule.resources or any(_in_group(wanted, asked) for wanted in rule.resources)


def _in_group(wanted: Resources, asked: Attributes) -> bool:
    if wanted.group != asked.group:
        return False
    if not wanted.resources:
        return True
    if wanted.names and asked.name not in wanted.names:
        return False
    return any(_matches_name(name, asked.resource, asked.subresource) for name in wanted.resources)


def _matches_name(wanted: str, resource: str, subresource: str) -> bool:
    full = f"{resource}/{subresource}" if subresource else resource
    if wanted in ("*", full):
        return True
    if subresource and wanted == f"*/{subresource}":
        return True
    return wanted.endswith("/*") and wanted.removesuffix("/*") == resource


class _Resources(Struct, forbid_unknown_fields=True, rename="camel"):
    group: str = ""
    resources: list[str] | None = None
    resource_names: list[str] | None = None


class _Rule(Struct, forbid_unknown_fields=True):
    level: str = ""
    users: list[str] | None = None
    user_groups: list[str] | None = field(name="userGroups", default=None)
    verbs: list[str] | None = None
    resources: list[_Resources] | None = None
    namespaces: list[str] | None = None
    non_resource_urls: list[str] | None = field(name="nonResourceURLs", default=None)
    omit_stages: list[str] | None = field(name="omitStages", default=None)
    omit_managed_fields: bool | None = field(name="omitManagedFields", default=None)


class _Policy(Struct, forbid_unknown_fields=True, rename="camel"):
    """The file."""

    kind: str = ""
    api_version: str = ""
    metadata: dict[str, Any] | None = None
    rules: list[_Rule] | None = None
    omit_stages: list[str] | None = None
    omit_managed_fields: bool = False


def read(document: Any) -> Policy:
    """From a decoded YAML document. Raises PolicyError."""
    try:
        found = msgspec.convert(document, _Policy)
    except msgspec.ValidationError as exc:
        raise PolicyError(str(exc)) from exc
    if (found.kind, found.api_version) != ("Policy", "audit.k8s.io/v1"):
        raise PolicyError(
            f'"{found.kind}" of "{found.api_version}": the file must hold a Policy of audit.k8s.io/v1'
        )
    if not found.rules:
        raise PolicyError("loaded illegal policy with 0 rules")
    problems = [text for index, rule in enumerate(found.rules) for text in _problems(f"rules[{index}]", rule)]
    problems += _stage_problems("omitStages", found.omit_stages or ())
    if problems:
        raise PolicyError("; ".join(problems))
    return Policy(tuple(_rule(rule, found) for rule in found.rules))


def _rule(rule: _Rule, policy: _Policy) -> Rule:
    omit = rule.omit_managed_fields
    return Rule(
        rule.level,
        frozenset(rule.users or ()),
        frozenset(rule.user_groups or ()),
        frozenset(rule.verbs or ()),
        tuple(
            Resources(r.group, tuple(r.resources or ()), tuple(r.resource_names or ()))
            for r in rule.resources or ()
        ),
        frozenset(rule.namespaces or ()),
        tuple(rule.non_resource_urls or ()),
        frozenset((*(policy.omit_stages or ()), *(rule.omit_stages or ()))),
        policy.omit_managed_fields if omit is None else omit,
    )


def _problems(path: str, rule: _Rule) -> Iterable[str]:
    if not rule.level:
        yield f"{path}.level: Required value"
    elif rule.level not in LEVELS:
        allowed = ", ".join(f'"{one}"' for one in LEVELS)
        yield f'{path}.level: Unsupported value: "{rule.level}": supported values: {allowed}'
    yield from _path_problems(f"{path}.nonResourceURLs", rule.non_resource_urls or ())
    for item in rule.resources or ():
        yield from _resource_problems(f"{path}.resources", item)
    yield from _stage_problems(f"{path}.omitStages", rule.omit_stages or ())
    if rule.non_resource_urls and (rule.resources or rule.namespaces):
        yield f"{path}.nonResourceURLs: Invalid value: {_shown(rule.non_resource_urls)}: {_BOTH}"


def _path_problems(path: str, urls: Sequence[str]) -> Iterable[str]:
    for index, url in enumerate(urls):
        where = f'{path}[{index}]: Invalid value: "{url}"'
        if url != "*" and not url.startswith("/"):
            yield f"{where}: non-resource URL rules must begin with a '/' character"
        if "*" in url[:-1]:
            yield f"{where}: non-resource URL wildcards '*' must be the final character of the rule"


def _resource_problems(path: str, item: _Resources) -> Iterable[str]:
    if item.group and (complaints := check_dns1123_subdomain(item.group)):
        yield f'{path}.group: Invalid value: "{item.group}": {",".join(complaints)}'
    if item.resource_names and not item.resources:
        names = _shown(item.resource_names)
        yield f"{path}.resourceNames: Invalid value: {names}: using resourceNames requires at least one resource"


def _stage_problems(path: str, stages: Sequence[str]) -> Iterable[str]:
    for index, stage in enumerate(stages):
        if stage not in STAGES:
            yield f'{path}[{index}]: Invalid value: "{stage}": allowed stages are {",".join(STAGES)}'


def _shown(values: Sequence[str]) -> str:
    return "[" + ",".join(f'"{value}"' for value in values) + "]"
