"""``/metrics``: the server's counts in Prometheus' text form. Everything here happens at a scrape, nothing before.

A server that has been asked for every kind in every way counts a thousand sorts of requests with 35 numbers each, which
take a third of a second to write. So the loop only copies numbers, and a thread writes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from apiserver.http.scope import Services
from apiserver.http.tally import Distributions

_REQUEST: Final = ("verb", "group", "version", "resource", "subresource", "scope", "component")
_COMPONENT: Final = ("apiserver",)
_FLOW: Final = ("priority_level", "flow_schema")
_KINDS: Final = {True: "readOnly", False: "mutating"}


class _Values(dict[Any, float]):
    """By a label or a tuple of labels."""


async def render(services: Services) -> tuple[bytes, str]:
    """Body and content type."""
    registry = CollectorRegistry()
    registry.register(_Requests(services))
    for part in (_Others, _Stores, _Flows, _Identities, _Aggregation):
        registry.register(_Collected(part(services)))
    ProcessCollector(registry=registry)
    return await asyncio.to_thread(generate_latest, registry), CONTENT_TYPE_LATEST


class _Collected(Collector):
    """What a part says now."""

    def __init__(self, part: Collector) -> None:
        self._families = list(part.collect())

    def collect(self) -> Iterable[Metric]:
        return self._families


def _counter(name: str, text: str, labels: Iterable[str], values: Mapping[Any, float]) -> Metric:
    """``values`` by a label or a tuple of labels."""
    family = CounterMetricFamily(name.removesuffix("_total"), text, labels=tuple(labels))
    for key, value in list(values.items()):
        family.add_metric([key] if isinstance(key, str) else list(key), value)
    return family


def _gauge(name: str, text: str, labels: Iterable[str], values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=tuple(labels))
    for key, value in list(values.items()):
        family.add_metric([key] if isinstance(key, str) else list(key), value)
    return family


def _histogram(name: str, text: str, labels: Iterable[str], values: Distributions) -> Metric:
    family = HistogramMetricFamily(name, text, labels=tuple(labels))
    for key, found in values.items():
        family.add_metric(list(key), buckets=found.buckets(), sum_value=found.total)
    return family


class _Part(Collector):
    def __init__(self, services: Services) -> None:
        self._services = services
        self._metrics = services.metrics


class _Requests(Collector):
    """As they are when this is made; collected in a thread."""

    def __init__(self, services: Services) -> None:
        self._series = [series.copy() for series in services.metrics.all_series()]

    def collect(self) -> Iterator[Metric]:
        total = CounterMetricFamily("apiserver_request", "Requests by verb, resource and code",
                                    labels=(*_REQUEST, "code"))  # fmt: skip
        seconds = HistogramMetricFamily(
            "apiserver_request_duration_seconds", "Time to answer; of watches, their life", labels=_REQUEST
        )
        sizes = HistogramMetricFamily(
            "apiserver_response_sizes", "Bytes of answers to GET and LIST", labels=_REQUEST
        )
        opened = GaugeMetricFamily(
            "apiserver_longrunning_requests", "Open long-running requests", labels=_REQUEST
        )
        aborted = CounterMetricFamily(
            "apiserver_request_aborts", "Requests whose client did not wait", labels=_REQUEST[:-1]
        )
        for one in self._series:
            labels = [*one.labels, *_COMPONENT]
            for code, count in one.codes.items():
                total.add_metric([*labels, str(code)], count)
            seconds.add_metric(labels, buckets=one.seconds.buckets(), sum_value=one.seconds.total)
            if one.labels[0] in ("GET", "LIST"):
                sizes.add_metric(labels, buckets=one.sizes.buckets(), sum_value=one.sizes.total)
            if one.open:
                opened.add_metric(labels, one.open)
            if one.aborted:
                aborted.add_metric(list(one.labels), one.aborted)
        yield from (total, seconds, sizes, opened, aborted)


class _Others(_Part):
    def collect(self) -> Iterator[Metric]:
        metrics = self._metrics
        yield _gauge("apiserver_current_inflight_requests", "Requests under way, without long-running ones",
                     ("request_kind",), {_KINDS[k]: v for k, v in metrics.under_way.items()})  # fmt: skip
        yield _counter("apiserver_dropped_requests_total", "Requests refused for the limits",
                       ("request_kind",), {_KINDS[k]: v for k, v in metrics.dropped_requests.items()})  # fmt: skip
        handshakes = CounterMetricFamily(
            "apiserver_tls_handshake_errors", "Connections that ended in the TLS handshake"
        )
        handshakes.add_metric([], metrics.handshake_errors())
        yield handshakes
        yield from metrics.more()


class _Stores(_Part):
    def collect(self) -> Iterator[Metric]:
        metrics, watched = self._metrics, ("group", "version", "resource")
        events = {labels: found.count for labels, found in metrics.event_sizes.items()}
        yield _counter("apiserver_watch_events_total", "Events sent to watchers", watched, events)
        yield _histogram(
            "apiserver_watch_events_sizes", "Bytes of events sent to watchers", watched, metrics.event_sizes
        )
        yield _counter("apiserver_init_events_total", "Objects sent when a watch began", ("group", "resource"),
                       metrics.init_events)  # fmt: skip
        store = ("operation", "group", "resource")
        yield _histogram(
            "etcd_request_duration_seconds", "Time the store took for one operation", store, metrics.store
        )
        yield _counter(
            "etcd_request_errors_total", "Operations that the store failed at", store, metrics.store_errors
        )
        yield from self._caches()

    def _caches(self) -> Iterator[Metric]:
        """Of the caches that have been started."""
        names = ("group", "resource")
        objects, received, begun, versions = _Values(), _Values(), _Values(), _Values()
        for (group, resource), cache in self._filled():
            objects[f"{resource}.{group}" if group else resource] = cache.size
            received[group, resource] = cache.events_received
            begun[group, resource] = cache.initializations
            versions[group, resource] = cache.revision
        yield _gauge("apiserver_storage_objects", "Stored objects", ("resource",), objects)
        yield _counter(
            "apiserver_watch_cache_events_received_total", "Changes read from the store", names, received
        )
        yield _counter(
            "apiserver_watch_cache_initializations_total", "How often a cache was filled", names, begun
        )
        yield _gauge("apiserver_watch_cache_resource_version", "What a cache has seen", names, versions)

    def _filled(self) -> Iterator[tuple[tuple[str, str], Any]]:
        caches = self._services.caches
        seen = set()
        for resource in self._services.registry.resources:
            prefix = resource.storage_prefix + "/"
            cache = caches.started(prefix)
            if cache is not None and prefix not in seen:
                seen.add(prefix)
                yield (resource.gvr.group, resource.gvr.resource), cache


class _Flows(_Part):
    def collect(self) -> Iterator[Metric]:
        flow = self._services.flow
        if flow is None:
            return
        dispatched, rejected, waiting = _Values(), _Values(), _Values()
        executing, seats = _Values(), _Values()
        for name, level in flow.levels.items():
            seats[name] = level.config.seats
            dispatched.update({(name, schema): count for schema, count in level.dispatched.items()})
            rejected.update({(name, *key): count for key, count in level.rejected.items()})
            waiting.update({(name, schema): count for schema, count in level.waiting.items()})
            executing.update({(name, schema): count for schema, count in level.executing.items()})
        prefix = "apiserver_flowcontrol_"
        yield _counter(prefix + "dispatched_requests_total", "Requests that got a seat", _FLOW, dispatched)
        yield _counter(
            prefix + "rejected_requests_total", "Requests that got none", (*_FLOW, "reason"), rejected
        )
        yield _gauge(prefix + "current_inqueue_requests", "Requests that wait in a queue", _FLOW, waiting)
        yield _gauge(prefix + "current_executing_requests", "Requests that have a seat", _FLOW, executing)
        yield _gauge(prefix + "current_executing_seats", "Seats taken", _FLOW, executing)
        yield _gauge(prefix + "nominal_limit_seats", "Seats of a level", ("priority_level",), seats)
        yield _gauge(prefix + "current_limit_seats", "Seats of a level now", ("priority_level",), seats)
        yield _histogram(prefix + "request_wait_duration_seconds", "Time in a queue", (*_FLOW, "execute"),
                         self._metrics.waits)  # fmt: skip


class _Identities(_Part):
    def collect(self) -> Iterator[Metric]:
        metrics, result = self._metrics, ("result",)
        yield _counter("authentication_attempts", "By their result", result, metrics.authentications)
        yield _histogram(
            "authentication_duration_seconds", "By their result", result, metrics.authentication_seconds
        )
        yield _counter("authenticated_user_requests", "By user name", ("username",), metrics.users)
        yield _counter("authorization_attempts_total", "By their result", result, metrics.authorizations)
        yield _histogram(
            "authorization_duration_seconds", "By their result", result, metrics.authorization_seconds
        )
        for subject, outcomes in metrics.reloads().items():
            name = f"apiserver_{subject}_config_controller_automatic_reloads"
            reloads = CounterMetricFamily(name, "How often its file was read again", labels=("status",))
            for status, count in outcomes.items():
                reloads.add_metric([status], count)
            yield reloads
        audit = CounterMetricFamily("apiserver_audit_event", "Audit events written")
        audit.add_metric([], metrics.audit_events)
        yield audit
        lost = CounterMetricFamily("apiserver_audit_error", "Audit events that were lost", labels=("plugin",))
        lost.add_metric(["log"], metrics.audit_dropped)
        yield lost
        yield _counter(
            "apiserver_audit_level_total", "Requests by audit level", ("level",), metrics.audit_levels
        )


class _Aggregation(_Part):
    def collect(self) -> Iterator[Metric]:
        aggregator, name = self._services.aggregator, "aggregator_unavailable_apiservice"
        if aggregator is None:
            return
        yield _gauge(name, "APIServices that are not available", ("name",), aggregator.unavailable())
        text = "APIServices that became unavailable, by reason"
        yield _counter(f"{name}_total", text, ("name", "reason"), aggregator.failures())
