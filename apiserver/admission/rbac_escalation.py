"""Roles and bindings: nobody gives away more than they have, unless told that they may (verbs ``escalate``, ``bind``).

Not a plugin of the original, where the storage of these four kinds does it; here it is the last to admit, at the same
point of a write. `auth.escalation` compares. Source: ``pkg/registry/rbac/*/policybased/storage.go``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from apiserver.admission.interface import CREATE, UPDATE, Access, Attributes, Plugin, Reader
from apiserver.api import errors, meta
from apiserver.api.meta import Object
from apiserver.auth import escalation, rbac
from apiserver.auth.rbac import GROUP, Rule
from apiserver.auth.user import MASTERS

_ROLES: Final = frozenset({"roles", "clusterroles"})
_BINDINGS: Final = frozenset({"rolebindings", "clusterrolebindings"})
_COLLECTED: Final = ("ownerReferences", "finalizers")


class RbacEscalation(Plugin):
    name = "RBACEscalation"

    def __init__(self, access: Access) -> None:
        self._access = access

    async def admit(self, attributes: Attributes, reader: Reader) -> None:
        write, obj = attributes, attributes.obj
        if write.gvr.group != GROUP or obj is None or write.operation not in (CREATE, UPDATE):
            return
        if MASTERS in write.user.groups or (write.old is not None and _only_for_collection(obj, write.old)):
            return
        if write.gvr.resource in _ROLES:
            await self._check_role(write, obj)
        elif write.gvr.resource in _BINDINGS:
            await self._check_binding(write, obj)

    async def _check_role(self, write: Attributes, role: Object) -> None:
        name = write.name if write.operation == UPDATE else ""  # a request to create names no object
        if await self._may(write, "escalate", write.gvr.resource, name):
            return
        if role.get("aggregationRule") or (write.old or {}).get("aggregationRule"):
            await self._confirm(write, escalation.EVERYTHING)
        await self._confirm(write, role.get("rules") or [])

    async def _check_binding(self, write: Attributes, binding: Object) -> None:
        ref = binding.get("roleRef") or {}
        kind, name = ref.get("kind") or "", ref.get("name") or ""
        if kind not in ("Role", "ClusterRole"):
            return  # validation refuses it
        if await self._may(write, "bind", f"{kind.lower()}s", name):
            return
        rules = await self._access.role(kind, write.namespace, name)
        if rules is None:
            raise errors.not_found(write.group_resource, name)
        await self._confirm(write, [rule.raw for rule in rules])

    async def _may(self, write: Attributes, verb: str, resource: str, name: str) -> bool:
        asked = rbac.Attributes(write.user, verb, GROUP, resource, "", write.namespace, name)
        return (await self._access.decide(asked))[0]

    async def _confirm(self, write: Attributes, granted: Sequence[Rule]) -> None:
        owned = await self._access.role_based(write.user, write.namespace)
        missing = escalation.uncovered(owned, granted)
        if missing:
            raise write.forbidden(escalation.refusal(write.user, missing))


def _only_for_collection(new: Object, old: Object) -> bool:
    """Whether only what the garbage collector writes has changed."""
    return _without(new) == _without(old)


def _without(obj: Object) -> Object:
    kept = {key: value for key, value in meta.metadata(obj).items() if key not in _COLLECTED}
    return {**obj, "metadata": kept}
