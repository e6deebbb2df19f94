"""NamespaceLifecycle: nothing is created in a namespace that is missing or ending; three never end."""

from __future__ import annotations

from apiserver.admission.interface import CREATE, DELETE, Attributes, Plugin, Reader
from apiserver.api import errors, meta
from apiserver.api.gvk import GroupResource, GroupVersionResource

NAMESPACES = GroupVersionResource("", "v1", "namespaces")
IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
ACCESS_REVIEWS = frozenset({"localsubjectaccessreviews"})  # asked by controllers while a namespace ends


class NamespaceLifecycle(Plugin):
    """As `plugin/namespace/lifecycle`."""

    name = "NamespaceLifecycle"

    async def admit(self, attributes: Attributes, reader: Reader) -> None:
        if attributes.is_on("", "namespaces", DELETE) and attributes.name in IMMORTAL:
            raise attributes.forbidden("this namespace may not be deleted")
        if not attributes.namespace or attributes.gvr.resource in ACCESS_REVIEWS:
            return
        if attributes.operation != CREATE or attributes.gvr.resource == "namespaces":
            return
        await self._check_open(attributes, reader)

    async def _check_open(self, attributes: Attributes, reader: Reader) -> None:
        name = attributes.namespace
        namespace = await reader.get(NAMESPACES, "", name)
        if namespace is None:  # the cache may be behind a namespace that another master has just stored
            namespace = await reader.get(NAMESPACES, "", name, fresh=True)
        if namespace is None:
            raise errors.not_found(GroupResource("", "namespaces"), name)
        if meta.is_deleting(namespace) or (namespace.get("status") or {}).get("phase") == "Terminating":
            raise self._terminating(attributes)

    def _terminating(self, attributes: Attributes) -> errors.StatusError:
        name = attributes.namespace
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {name} is being terminated",
            "field": "metadata.namespace",
        }
        reason = f"unable to create new content in namespace {name} because it is being terminated"
        return attributes.forbidden(reason, [cause])
