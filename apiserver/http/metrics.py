"""Request metrics under kube-apiserver's names. Labels have the values of what is served here and no others, so that
no client can make them grow without end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiserver.http.request_info import RequestInfo

if TYPE_CHECKING:
    from apiserver.registry.table import Registry


class Metrics:
    """One registry per server, so that several servers in a process do not share counts."""

    def __init__(self, served: Registry) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self._served = served
        self._registry = CollectorRegistry()
        labels = ["verb", "group", "version", "resource", "subresource", "scope"]
        self._requests = Counter(
            "apiserver_request_total",
            "Requests by verb, resource and code",
            [*labels, "code"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "apiserver_request_duration_seconds",
            "Time to answer, without watches",
            labels,
            registry=self._registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )

    def observe(self, info: RequestInfo, code: int, seconds: float) -> None:
        labels = (info.verb.upper(), *self._labels(info))
        self._requests.labels(*labels, str(code)).inc()
        if not info.is_watch:
            self._seconds.labels(*labels).observe(seconds)

    def _labels(self, info: RequestInfo) -> tuple[str, str, str, str, str]:
        """(group, version, resource, subresource, scope); empty for what is not served."""
        resource = self._served.lookup(info.group, info.version, info.resource) if info.is_resource else None
        if resource is None:
            return "", "", "", "", ""
        scope = "resource" if info.name else "namespace" if info.namespace else "cluster"
        subresource = info.subresource if info.subresource in resource.subresources else ""
        return info.group, info.version, info.resource, subresource, scope

    def render(self) -> tuple[bytes, str]:
        from prometheus_client import generate_latest
        from prometheus_client.exposition import CONTENT_TYPE_LATEST

        return generate_latest(self._registry), CONTENT_TYPE_LATEST
