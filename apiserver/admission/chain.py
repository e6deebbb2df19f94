"""The plugins in their order; `apiserver.http` runs `admit`, then the strategy, then `validate`."""

from __future__ import annotations

from collections.abc import Sequence

from apiserver.admission import observing
from apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from apiserver.admission.default_ingress_class import DefaultIngressClass
from apiserver.admission.default_storage_class import DefaultStorageClass
from apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from apiserver.admission.interface import (
    Access,
    AdmissionOptions,
    Attributes,
    Plugin,
    Reader,
    Writer,
)
from apiserver.admission.limit_ranger import LimitRanger
from apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from apiserver.admission.node_restriction import NodeRestriction
from apiserver.admission.podsecurity.plugin import PodSecurity, PodSecurityOptions
from apiserver.admission.priority import Priority
from apiserver.admission.rbac_escalation import RbacEscalation
from apiserver.admission.resource_quota import ResourceQuota
from apiserver.admission.runtime_class import RuntimeClass
from apiserver.admission.service_account import ServiceAccount
from apiserver.admission.storage_object_in_use import StorageObjectInUseProtection
from apiserver.admission.taint_nodes_by_condition import TaintNodesByCondition
from apiserver.admission.volume_claim_resize import PersistentVolumeClaimResize
from apiserver.trail import CURRENT


class Chain:
    """Every plugin in turn, if it has something to say in that phase; the first refusal ends the write."""

    def __init__(self, plugins: Sequence[Plugin], reader: Reader) -> None:
        self._mutating = tuple(plugin for plugin in plugins if type(plugin).admit is not Plugin.admit)
        self._validating = tuple(plugin for plugin in plugins if type(plugin).validate is not Plugin.validate)
        self._watched = observing.Table(self._mutating)
        self._reader = reader

    async def admit(self, attributes: Attributes) -> None:
        """Twice, where a webhook has changed the object: once more for those that have not seen the change."""
        await self._admit_all(attributes)
        if attributes.reinvocation is not None and attributes.reinvocation.wanted:
            attributes.reinvocation.again = True
            await self._admit_all(attributes)

    async def _admit_all(self, attributes: Attributes) -> None:
        trail = CURRENT.get()
        if trail is None or attributes.obj is None:
            for plugin in self._mutating:
                await plugin.admit(attributes, self._reader)
            return
        trail.obj = attributes.obj
        for plugin, fields in self._watched.rows(attributes):
            before = attributes.obj
            seen = observing.look(before, fields) if fields else []
            await plugin.admit(attributes, self._reader)
            if fields or attributes.obj is not before:
                observing.note(trail, plugin, before, attributes.obj, fields, seen)

    async def validate(self, attributes: Attributes) -> None:
        trail = CURRENT.get()
        if trail is not None:
            trail.obj = attributes.obj or attributes.old
        for plugin in self._validating:
            await plugin.validate(attributes, self._reader)


def default_chain(
    reader: Reader,
    writer: Writer,
    access: Access,
    options: AdmissionOptions | None = None,
    configured: Sequence[Plugin] = (),
) -> Chain:
    """The plugins that kube-apiserver 1.36 turns on by default and that are built so far, in its order.

    ``configured``: those that do what stored configurations say, see ``apiserver.admission.setup``."""
    options = options or AdmissionOptions()
    plugins: list[Plugin] = [
        NamespaceLifecycle(),
        LimitRanger(),
        ServiceAccount(options.rng),
        NodeRestriction(),
        TaintNodesByCondition(),
        PodSecurity(PodSecurityOptions()),
        Priority(),
        DefaultTolerationSeconds(
            options.not_ready_toleration_seconds, options.unreachable_toleration_seconds
        ),
        DefaultStorageClass(),
        StorageObjectInUseProtection(),
        PersistentVolumeClaimResize(),
        RuntimeClass(),
        CertificateApproval(access),
        CertificateSigning(access),
        CertificateSubjectRestriction(),
        DefaultIngressClass(),
        RbacEscalation(access),
        *configured,
        ResourceQuota(writer, options.now),
    ]
    return Chain(plugins, reader)
