"""What a test gets: a namespace of its own in a clean cluster, and everything to work with it."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apiserver.api.meta import Object
from components.client import kubeconfig
from components.testing import clients, faults
from components.testing.cluster import Cluster
from components.testing.conditions import Condition
from components.testing.objects import Objects

ObjectList = list[Object]
"""Inside the class `list` is a method."""

WAIT_SECONDS = 30.0
_READY_SECONDS = 10.0
_LONGEST_NAME = 50


class Kuberaft:
    """One test's. Methods block; those that end in ``_async`` are for asynchronous tests."""

    def __init__(self, cluster: Cluster, namespace: str, directory: Path) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.kubeconfig = directory / f"{namespace}.kubeconfig"
        self._objects = Objects(cluster.client, cluster.discovery, namespace)
        self._closing = contextlib.ExitStack()

    def open(self, wanted: Sequence[Object] = ()) -> None:
        """Makes the namespace, waits until pods can be made in it, adds the faults of the marker."""
        admin = kubeconfig.load(self.cluster.kubeconfig)
        kubeconfig.write(self.kubeconfig, dataclasses.replace(admin, namespace=self.namespace))
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        self.wait_for("serviceaccounts", "default", "exists", timeout=_READY_SECONDS)
        for fault in wanted:
            self.cluster.add_fault(fault)

    def close(self) -> None:
        """Closes clients that were given out. The cluster is reset by who made this."""
        self._closing.close()

    @property
    def env(self) -> dict[str, str]:
        """For programs under test."""
        return {"KUBECONFIG": str(self.kubeconfig)}

    # ---- clients

    def official(self) -> Any:
        """A ``kubernetes.client.ApiClient``; closed after the test. Raises ClientMissing."""
        return self._closing.enter_context(clients.official(self.kubeconfig))

    def kr8s(self) -> Any:
        """A synchronous ``kr8s.Api``. Raises ClientMissing."""
        return clients.kr8s(self.kubeconfig, self.namespace)

    def lightkube(self) -> Any:
        """A ``lightkube.Client``; closed after the test. Raises ClientMissing."""
        return self._closing.enter_context(clients.lightkube(self.kubeconfig, self.namespace))

    # ---- objects

    def create(self, obj: Object) -> Object:
        """In the test's namespace unless it names one. A definition is served when this returns."""
        return self.cluster.run(self._objects.create(obj))

    def apply(self, obj: Object) -> Object:
        """Server-side apply, by force."""
        return self.cluster.run(self._objects.apply(obj))

    def get(self, resource: str, name: str, namespace: str | None = None) -> Object:
        """``resource``: ``pods``, ``po``, ``Pod``, ``deployments.apps``. Raises ApiError."""
        return self.cluster.run(self._objects.get(resource, name, namespace))

    def list(self, resource: str, namespace: str | None = None, labels: str = "") -> ObjectList:
        """``namespace``: "*" for all."""
        return self.cluster.run(self._objects.list(resource, namespace, labels))

    def patch(
        self,
        resource: str,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
    ) -> Object:
        """A merge patch."""
        return self.cluster.run(self._objects.patch(resource, name, patch, namespace, subresource))

    def delete(self, resource: str, name: str, namespace: str | None = None) -> None:
        self.cluster.run(self._objects.delete(resource, name, namespace))

    def wait_for(
        self,
        resource: str,
        name: str,
        condition: Condition = "exists",
        namespace: str | None = None,
        *,
        timeout: float = WAIT_SECONDS,
    ) -> Object:
        """The object as soon as the condition holds, by a watch. ``condition``: a function of the object, ``exists``,
        ``deleted`` (the answer is then {}), a condition's type (``Available``), or ``Type=Status``. Raises NotReached.
        """
        waiting = self._objects.wait_for(resource, name, condition, namespace, timeout)
        return self.cluster.run(waiting) or {}

    async def wait_for_async(
        self,
        resource: str,
        name: str,
        condition: Condition = "exists",
        namespace: str | None = None,
        *,
        timeout: float = WAIT_SECONDS,
    ) -> Object:
        """`wait_for`, for asynchronous tests."""
        waiting = self._objects.wait_for(resource, name, condition, namespace, timeout)
        return await self.cluster.portal.awaited(waiting) or {}

    # ---- faults

    def fault(self, action: str, **fields: Any) -> Object:
        """Adds a fault (`components.testing.faults.fault`); it ends with the test. Met whichever master is asked."""
        return self.cluster.add_fault(faults.fault(action, **fields))

    def faults(self) -> ObjectList:
        """With how many requests each has met."""
        return self.cluster.faults()

    def clear_faults(self) -> None:
        self.cluster.clear_faults()


def namespace_for(test: str, number: int) -> str:
    """A name that no test before has had."""
    words = re.sub("[^a-z0-9]+", "-", test.lower()).strip("-")
    return f"{words[:_LONGEST_NAME].strip('-') or 'test'}-{number}"
