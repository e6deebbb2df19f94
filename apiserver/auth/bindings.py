"""(P) RoleBindings and ClusterRoleBindings by the subjects they name.

Kept by `policy`, one binding at a time, as they are stored and deleted; asked for the grants of one user, which are
few however many bindings there are. Example: a binding of the group ``dev`` in ``ns`` is found under
``("ns", ("Group", "dev"))``; a service account is found under its user name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from apiserver.auth.user import SERVICE_ACCOUNT_PREFIX, User

Object = dict[str, Any]
_Subject = tuple[str, str]
_ACCOUNT: Final = "ServiceAccount"


@dataclass(frozen=True, slots=True)
class Grant:
    """A role that one subject of a binding has. ``order`` sorts as bindings are listed, then subjects in them."""

    order: tuple[str, int]
    kind: str
    role: str
    reason: str


class BindingIndex:
    def __init__(self) -> None:
        self._grants: dict[tuple[str, _Subject], dict[tuple[str, int], Grant]] = {}
        self._places: dict[str, list[tuple[str, _Subject]]] = {}

    def put(self, key: str, binding: Object) -> None:
        """``key`` identifies the binding; what was stored under it is replaced."""
        self.remove(key)
        namespace = binding["metadata"].get("namespace") or ""
        places = self._places[key] = []
        for position, subject in enumerate(binding.get("subjects") or ()):
            named = _named(subject, namespace)
            if named is not None:
                place = (namespace, named)
                grant = _grant((key, position), binding, subject, namespace)
                self._grants.setdefault(place, {})[grant.order] = grant
                places.append(place)

    def remove(self, key: str) -> None:
        for place in self._places.pop(key, ()):
            grants = self._grants.get(place, {})
            for order in [order for order in grants if order[0] == key]:
                del grants[order]
            if not grants:
                self._grants.pop(place, None)

    def clear(self) -> None:
        self._grants.clear()
        self._places.clear()

    def grants(self, user: User, namespace: str) -> Iterator[Grant]:
        """Those of the bindings of one namespace, "" for cluster role bindings; one for each binding, in order."""
        found: dict[tuple[str, int], Grant] = {}
        for subject in (("User", user.name), *(("Group", group) for group in user.groups)):
            found.update(self._grants.get((namespace, subject), {}))
        last = None
        for order in sorted(found):
            if order[0] != last:
                last = order[0]
                yield found[order]


def _named(subject: Object, namespace: str) -> _Subject | None:
    kind, name = subject.get("kind"), subject.get("name") or ""
    if kind in ("User", "Group"):
        return kind, name
    scope = subject.get("namespace") or namespace
    return ("User", f"{SERVICE_ACCOUNT_PREFIX}{scope}:{name}") if kind == _ACCOUNT and scope else None


def _grant(order: tuple[str, int], binding: Object, subject: Object, namespace: str) -> Grant:
    ref, name = binding["roleRef"], binding["metadata"]["name"]
    what = f'RoleBinding "{name}/{namespace}"' if namespace else f'ClusterRoleBinding "{name}"'
    who = subject["name"]
    if subject["kind"] == _ACCOUNT:
        who = f"{who}/{subject.get('namespace') or namespace}"
    reason = f'RBAC: allowed by {what} of {ref["kind"]} "{ref["name"]}" to {subject["kind"]} "{who}"'
    return Grant(order, ref["kind"], ref["name"], reason)
