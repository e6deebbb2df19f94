"""Which FlowSchema a request belongs to, and to which of its flows (P).

As the original's ``flowcontrol/rule.go``: schemas in the order of their precedence, then of their names; the first with
a rule that names both the user and the request takes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from apiserver.auth.user import User, split_service_account

ALL = "*"
Rule = Mapping[str, Any]


class Request(Protocol):
    """What of ``http.request_info.RequestInfo`` matters."""

    path: str
    verb: str
    is_resource: bool
    group: str
    namespace: str
    resource: str
    subresource: str


@dataclass(frozen=True, slots=True)
class FlowSchema:
    """``distinguisher`` is ByUser, ByNamespace or empty: one flow for all."""

    name: str
    uid: str
    precedence: int
    level: str
    distinguisher: str
    rules: tuple[Rule, ...]

    def flow_of(self, request: Request, user: User) -> str:
        if self.distinguisher == "ByUser":
            return user.name
        return request.namespace if self.distinguisher == "ByNamespace" else ""


def in_order(schemas: Iterable[FlowSchema]) -> list[FlowSchema]:
    return sorted(schemas, key=lambda schema: (schema.precedence, schema.name))


def first_match(schemas: Iterable[FlowSchema], request: Request, user: User) -> FlowSchema | None:
    return next((schema for schema in schemas if matches(schema, request, user)), None)


def matches(schema: FlowSchema, request: Request, user: User) -> bool:
    return any(_rule_matches(rule, request, user) for rule in schema.rules)


def _rule_matches(rule: Rule, request: Request, user: User) -> bool:
    if not any(_subject_matches(subject, user) for subject in rule.get("subjects") or ()):
        return False
    if request.is_resource:
        return any(_resource_matches(one, request) for one in rule.get("resourceRules") or ())
    return any(_path_matches(one, request) for one in rule.get("nonResourceRules") or ())


def _subject_matches(subject: Rule, user: User) -> bool:
    kind = subject.get("kind")
    if kind == "User":
        return (subject.get("user") or {}).get("name") in (ALL, user.name)
    if kind == "Group":
        name = (subject.get("group") or {}).get("name")
        return name == ALL or name in user.groups
    if kind == "ServiceAccount":
        account, found = subject.get("serviceAccount") or {}, split_service_account(user.name)
        return (
            found is not None
            and found[0] == account.get("namespace")
            and account.get("name") in (ALL, found[1])
        )
    return False


def _resource_matches(rule: Rule, request: Request) -> bool:
    resource = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
    if not (
        _names(rule, "verbs", request.verb)
        and _names(rule, "resources", resource)
        and _names(rule, "apiGroups", request.group)
    ):
        return False
    if not request.namespace:
        return bool(rule.get("clusterScope"))
    return _names(rule, "namespaces", request.namespace)


def _path_matches(rule: Rule, request: Request) -> bool:
    if not _names(rule, "verbs", request.verb):
        return False
    for path in rule.get("nonResourceURLs") or ():
        if path in (ALL, request.path):
            return True
        if request.path.startswith(path.removesuffix("*").removesuffix("/") + "/"):
            return True
    return False


def _names(rule: Rule, field: str, value: str) -> bool:
    listed = rule.get(field) or ()
    return value in listed or ALL in listed
