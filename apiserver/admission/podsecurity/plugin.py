"""PodSecurity: pods are held to the standard that their namespace's labels name; templates of pods are only warned of.

`policy` says what is violated. A namespace that gets a stricter standard is told which of its pods would not be let in
any more. What was enforced, who is exempt, and violations of the ``audit`` standard go to the audit log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from apiserver.admission.interface import CREATE, UPDATE, Attributes, Plugin, Reader
from apiserver.admission.podsecurity import policy
from apiserver.admission.podsecurity.policy import Policy, Standard
from apiserver.api import errors, meta
from apiserver.api.gvk import GroupKind, GroupResource, GroupVersionResource
from apiserver.api.meta import Object

NAMESPACES: Final = GroupVersionResource("", "v1", "namespaces")
PODS: Final = GroupVersionResource("", "v1", "pods")
UNRESTRICTED: Final = Policy()
_ANNOTATION: Final = "pod-security.kubernetes.io/"
_MOST_PODS: Final = 3000
_TEMPLATES: Final[dict[GroupResource, tuple[str, ...]]] = {
    # resource: path of its pod template
    GroupResource("", "replicationcontrollers"): ("spec", "template"),
    GroupResource("", "podtemplates"): ("template",),
    GroupResource("apps", "replicasets"): ("spec", "template"),
    GroupResource("apps", "deployments"): ("spec", "template"),
    GroupResource("apps", "statefulsets"): ("spec", "template"),
    GroupResource("apps", "daemonsets"): ("spec", "template"),
    GroupResource("batch", "jobs"): ("spec", "template"),
    GroupResource("batch", "cronjobs"): ("spec", "jobTemplate", "spec", "template"),
}
_POD_PARTS: Final = frozenset({"", "ephemeralcontainers", "resize"})
_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")


@dataclass(frozen=True)
class PodSecurityOptions:
    """As the ``PodSecurityConfiguration`` of the original."""

    defaults: Policy = field(default_factory=Policy)
    usernames: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    runtime_classes: frozenset[str] = frozenset()


class PodSecurity(Plugin):
    name = "PodSecurity"

    def __init__(self, options: PodSecurityOptions) -> None:
        self._options = options

    async def validate(self, attributes: Attributes, reader: Reader) -> None:
        write, obj = attributes, attributes.obj
        if obj is None or write.operation not in (CREATE, UPDATE):
            return
        resource = write.group_resource
        if resource == NAMESPACES.group_resource and not write.subresource:
            await self._check_namespace(write, obj, reader)
        elif resource == PODS.group_resource and write.subresource in _POD_PARTS:
            if write.old is None or _is_significant(obj, write.old):
                await self._check(write, obj, reader, enforce=True)
        elif resource in _TEMPLATES and not write.subresource:
            template = _template(obj, _TEMPLATES[resource])
            if template is not None:
                await self._check(write, template, reader, enforce=False)

    async def _check(self, write: Attributes, pod: Object, reader: Reader, *, enforce: bool) -> None:
        spec, metadata = pod.get("spec") or {}, meta.metadata(pod)
        exempt = self._exempt(write, spec)
        if exempt:
            write.annotate(f"{_ANNOTATION}exempt", exempt)
            return
        wanted = await self._policy(write.namespace, reader)
        if enforce:
            write.annotate(f"{_ANNOTATION}enforce-policy", str(wanted.enforce))
        if wanted == UNRESTRICTED:
            return
        broken = policy.violations(wanted.audit, metadata, spec)
        if broken:
            text = f'would violate PodSecurity "{wanted.audit}": {policy.detail(broken)}'
            write.annotate(f"{_ANNOTATION}audit-violations", text)
        if enforce:
            broken = policy.violations(wanted.enforce, metadata, spec)
            if broken:
                text = f'violates PodSecurity "{wanted.enforce}": {policy.detail(broken)}'
                raise write.forbidden(text)
        broken = policy.violations(wanted.warn, metadata, spec)
        if broken:
            write.warn(f'would violate PodSecurity "{wanted.warn}": {policy.detail(broken)}')

    def _exempt(self, write: Attributes, spec: Object) -> str:
        """Why nothing is checked; empty if something is."""
        chosen = self._options
        if write.namespace in chosen.namespaces:
            return "namespace"
        if write.user.name in chosen.usernames:
            return "user"
        return "runtimeClass" if spec.get("runtimeClassName") in chosen.runtime_classes else ""

    async def _policy(self, namespace: str, reader: Reader) -> Policy:
        found = await reader.get(NAMESPACES, "", namespace)
        return policy.policy_of(meta.labels(found or {}), self._options.defaults)[0]

    async def _check_namespace(self, write: Attributes, namespace: Object, reader: Reader) -> None:
        wanted, faults = policy.policy_of(meta.labels(namespace), self._options.defaults)
        before, known = policy.policy_of(meta.labels(write.old or {}), self._options.defaults)
        if faults and (write.old is None or [str(f) for f in faults] != [str(f) for f in known]):
            raise errors.invalid(GroupKind("", "Namespace"), meta.name(namespace), faults)
        if write.old is not None and _must_be_told(wanted.enforce, before.enforce):
            await self._warn_of_pods(write, meta.name(namespace), wanted.enforce, reader)

    async def _warn_of_pods(
        self, write: Attributes, namespace: str, standard: Standard, reader: Reader
    ) -> None:
        if namespace in self._options.namespaces:
            return
        pods = await reader.list(PODS, namespace)
        for text in policy.existing_pods(standard, namespace, pods[:_MOST_PODS], len(pods)):
            write.warn(text)


def _must_be_told(new: Standard, old: Standard) -> bool:
    if new == old or new.level == "privileged":
        return False
    return new.minor != old.minor or new.is_stricter_than(old)


def _template(obj: Object, path: tuple[str, ...]) -> Object | None:
    value: Any = obj
    for key in path:
        value = (value or {}).get(key)
    return value if isinstance(value, dict) else None


def _is_significant(new: Object, old: Object) -> bool:
    """Whether anything changed that a check may look at: images and containers."""
    return any(_images(new, field) != _images(old, field) for field in _CONTAINERS)


def _images(pod: Object, field: str) -> list[tuple[str, str | None]]:
    return [(c["name"], c.get("image")) for c in (pod.get("spec") or {}).get(field) or ()]
