"""(P) Acting as somebody else: whom the headers ask for, and which questions to the authorizer allow it.

Constrained impersonation (KEP-5284, on by default since 1.36) comes first: the caller must be allowed the request
itself as ``impersonate-on:MODE:VERB``, and each part of the identity as ``impersonate:MODE``. The old way needs only
``impersonate`` on each part. The first way that is allowed counts; if none is, the first refusal is told.
Source: ``apiserver/pkg/endpoints/filters/impersonation``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote

from apiserver.api.names import check_dns1123_subdomain
from apiserver.auth.denial import forbidden
from apiserver.auth.rbac import Attributes
from apiserver.auth.user import (
    ANONYMOUS,
    AUTHENTICATED,
    MASTERS,
    UNAUTHENTICATED,
    User,
    split_service_account,
)

_PREFIX: Final = "impersonate-"
_EXTRA: Final = "impersonate-extra-"
_NODE: Final = "system:node:"
_NODES: Final = "system:nodes"
_NODE_NAME: Final = "authentication.kubernetes.io/node-name"
_AUTHENTICATION: Final = "authentication.k8s.io"
_PATH: Final = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")
_MANY: Final = 4  # parts of one kind, from which on one question for all of them is asked first


class NoUser(ValueError):
    """Parts of an identity without a user name; the text is the original's."""


def asks(names: Iterable[str]) -> bool:
    """Whether there is any header of impersonation among these."""
    return any(name[: len(_PREFIX)].lower() == _PREFIX for name in names)


def wanted(headers: Iterable[tuple[str, str]]) -> User | None:
    """The user as the headers have it, nothing filled in; None if they ask for none. Raises NoUser."""
    parts: dict[str, list[str]] = {}
    extra: dict[str, list[str]] = {}
    for name, value in headers:
        lower = name.lower()
        if lower.startswith(_EXTRA):
            extra.setdefault(unquote(lower[len(_EXTRA) :]), []).append(value)
        elif lower.startswith(_PREFIX):
            parts.setdefault(lower[len(_PREFIX) :], []).append(value)
    user = parts.get("user", [""])[0]
    uid = parts.get("uid", [""])[0]
    groups = parts.get("group", [])
    if not user and (uid or groups or extra):
        raise NoUser(f"requested {_go_text(uid, groups, extra)} without impersonating a user name")
    return User(user, tuple(groups), uid, extra) if user else None


def _go_text(uid: str, groups: list[str], extra: dict[str, list[str]]) -> str:
    listed = "{" + ", ".join(_quoted(group) for group in groups) + "}" if groups else "(nil)"
    pairs = [f"{_quoted(key)}:[]string{{{', '.join(map(_quoted, extra[key]))}}}" for key in sorted(extra)]
    mapped = "{" + ", ".join(pairs) + "}" if extra else "(nil)"
    return (
        f'&user.DefaultInfo{{Name:"", UID:{_quoted(uid)}, Groups:[]string{listed}, '
        f"Extra:map[string][]string{mapped}}}"
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class Check:
    """One of ``any_of`` must be allowed; the last one's refusal is told. ``refusal``: refused without asking."""

    any_of: tuple[Attributes, ...]
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """One mode of impersonation: all checks must hold, then the caller acts as ``user``."""

    checks: tuple[Check, ...]
    user: User


def ways(requestor: User, wish: User, asked: Attributes) -> Iterator[Way]:
    """Every mode that applies, in the original's order. ``asked`` is the request, by the requestor."""
    for mode in _modes(requestor, wish):
        action = replace(asked, verb=f"impersonate-on:{mode}:{asked.verb}")
        identity = _identity(requestor, wish, f"impersonate:{mode}")
        yield Way((Check((action,)), *identity), _completed(wish, constrained=True))
    yield Way(tuple(_identity(requestor, wish, "impersonate")), _completed(wish, constrained=False))


def _modes(requestor: User, wish: User) -> Iterator[str]:
    name_only = not (wish.groups or wish.uid or wish.extra)
    node = _node_name(wish)
    if node is not None:
        if name_only and _runs_on(requestor, node):
            yield "associated-node"
        if name_only:
            yield "arbitrary-node"
    elif split_service_account(wish.name):
        if name_only:
            yield "serviceaccount"
    else:
        yield "user-info"


def _node_name(user: User) -> str | None:
    if not user.name.startswith(_NODE):
        return None
    name = user.name[len(_NODE) :]
    return None if check_dns1123_subdomain(name) else name


def _runs_on(requestor: User, node: str) -> bool:
    """Whether the requestor is a service account of a pod on that node."""
    return bool(split_service_account(requestor.name)) and requestor.extra.get(_NODE_NAME) == [node]


def _identity(requestor: User, wish: User, verb: str) -> Iterator[Check]:
    """The questions about each part of the identity."""
    constrained = ":" in verb
    yield Check((_name(requestor, wish, verb, constrained),))
    if wish.uid:
        yield Check((Attributes(requestor, verb, _AUTHENTICATION, "uids", name=wish.uid),))
    yield from _groups(requestor, wish, verb, constrained)
    yield from _extras(requestor, wish, verb, constrained)


def _name(requestor: User, wish: User, verb: str, constrained: bool) -> Attributes:
    group = _AUTHENTICATION if constrained else ""
    account = split_service_account(wish.name)
    if account is not None:
        return Attributes(requestor, verb, group, "serviceaccounts", namespace=account[0], name=account[1])
    node = _node_name(wish)
    if constrained and node is not None:
        # The name of an associated node does not matter: it is the one that the requestor runs on.
        shown = "*" if verb.endswith(":associated-node") else node
        return Attributes(requestor, verb, group, "nodes", name=shown)
    return Attributes(requestor, verb, group, "users", name=wish.name)


def _groups(requestor: User, wish: User, verb: str, constrained: bool) -> Iterator[Check]:
    asked = Attributes(requestor, verb, _AUTHENTICATION if constrained else "", "groups")
    if constrained and "" in wish.groups:
        yield Check((asked,), "impersonating the empty string group is not allowed")
    elif constrained and MASTERS in wish.groups:
        yield Check((replace(asked, name=MASTERS),), "impersonating the system:masters group is not allowed")
    else:
        each = [replace(asked, name=group) for group in wish.groups]
        yield from _each(each, replace(asked, name="*"), constrained and len(each) >= _MANY)


def _extras(requestor: User, wish: User, verb: str, constrained: bool) -> Iterator[Check]:
    asked = Attributes(requestor, verb, _AUTHENTICATION, "userextras")
    fault = _bad_extra(wish.extra) if constrained else ""
    if fault:
        yield Check((asked,), fault)
        return
    each = [
        replace(asked, subresource=key, name=value) for key, values in wish.extra.items() for value in values
    ]
    yield from _each(each, replace(asked, subresource="*", name="*"), constrained and len(each) >= _MANY)


def _each(each: list[Attributes], every: Attributes, many: bool) -> Iterator[Check]:
    """One check for each; of many, one that allows all will do."""
    for asked in each:
        yield Check((every, asked) if many else (asked,))


def _bad_extra(extra: dict[str, list[str]]) -> str:
    for key, values in extra.items():
        if not key:
            return "impersonating the empty string key in extra is not allowed"
        fault = _bad_path(key)
        if fault:
            shown = f"extra.key: Invalid value: {_quoted(key)}: {fault}"
            return f"impersonating an invalid key in extra is not allowed: {shown}"
        if "" in values:
            return "impersonating the empty string value in extra is not allowed"
    return ""


def _bad_path(key: str) -> str:
    """What is wrong with a key as a domain-prefixed path."""
    domain, _, path = key.partition("/")
    if not domain or not path:
        return 'must be a domain-prefixed path (such as "acme.io/foo")'
    faults = check_dns1123_subdomain(domain)
    if faults:
        return faults[0]
    return "" if _PATH.fullmatch(path) else "Invalid path"


def _completed(wish: User, constrained: bool) -> User:
    """With the groups that follow from the name."""
    groups = list(wish.groups)
    account = split_service_account(wish.name)
    if account is not None and not groups:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{account[0]}"]
    elif constrained and _node_name(wish) is not None:
        groups = [_NODES]
    own = UNAUTHENTICATED if wish.name == ANONYMOUS else AUTHENTICATED
    if own not in groups and UNAUTHENTICATED not in groups:
        groups.append(own)
    return User(wish.name, tuple(groups), wish.uid, wish.extra)


def refusal_of(check: Check, reason: str) -> Exception:
    return forbidden(check.any_of[-1], check.refusal or reason)
