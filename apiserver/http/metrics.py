"""Request metrics under kube-apiserver's names."""

from __future__ import annotations

from apiserver.http.request_info import RequestInfo


class Metrics:
    """One registry per server, so that several servers in a process do not share counts."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

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
        scope = (
            ("resource" if info.name else "namespace" if info.namespace else "cluster")
            if info.is_resource
            else ""
        )
        labels = (info.verb.upper(), info.group, info.version, info.resource, info.subresource, scope)
        self._requests.labels(*labels, str(code)).inc()
        if not info.is_watch:
            self._seconds.labels(*labels).observe(seconds)

    def dropped(self, reads: bool) -> None:
        """A request was refused for the limits."""

    def render(self) -> tuple[bytes, str]:
        from prometheus_client import generate_latest
        from prometheus_client.exposition import CONTENT_TYPE_LATEST

        return generate_latest(self._registry), CONTENT_TYPE_LATEST
