"""What the server counts, under kube-apiserver's names.

Recorded by the filters, by watches and by the measured storage; rendered for ``/metrics`` by ``metrics_export``, which
also asks for what is known elsewhere (caches, priority levels). One object per server, so that several servers in a
process do not share counts. Labels come from the table of resources, never from a client's text: a stranger cannot
make series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from apiserver.http.request_info import RequestInfo
from apiserver.http.tally import Counts, Distribution, Distributions

SECONDS: Final = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0,
                  4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)  # fmt: skip
SIZES: Final = tuple(float(1000 * 10**power) for power in range(7))
EVENT_SIZES: Final = tuple(float(1024 * 2**power) for power in range(8))
STORE_SECONDS: Final = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0,
                        3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)  # fmt: skip
WAIT_SECONDS: Final = (0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
AUTH_SECONDS: Final = tuple(0.001 * 2**power for power in range(15))
_VERBS: Final = {"create": "POST", "update": "PUT"}
_CONNECTS: Final = frozenset({"exec", "attach", "portforward", "proxy", "log"})
_PATHS: Final = frozenset({"/healthz", "/livez", "/readyz", "/metrics", "/version", "/openapi/v2"})


class Served(Protocol):
    @property
    def subresources(self) -> Mapping[str, object]: ...


class Lookup(Protocol):
    def __call__(self, group: str, version: str, plural: str) -> Served | None: ...


@dataclass(slots=True)
class Series:
    """All that is counted of requests with the same labels."""

    labels: tuple[str, ...]
    codes: Counts[int]
    seconds: Distribution
    sizes: Distribution
    open: int = 0
    aborted: int = 0

    def copy(self) -> Series:
        """That does not change any more."""
        return replace(self, codes=self.codes.copy(), seconds=self.seconds.copy(), sizes=self.sizes.copy())


class Metrics:
    """``lookup`` says whether there is such a resource; ``owners``: group and resource by prefix of keys."""

    def __init__(self, lookup: Lookup, owners: Mapping[str, tuple[str, str]]) -> None:
        self._lookup = lookup
        self._owners = owners
        self._series: dict[tuple[str, ...], Series] = {}
        self.under_way = {True: 0, False: 0}  # reads, writes
        self.dropped_requests = {True: 0, False: 0}
        # By group, version, resource; one for each watcher's event.
        self.event_sizes = Distributions(EVENT_SIZES)
        self.init_events: Counts[tuple[str, ...]] = Counts()
        self.store = Distributions(STORE_SECONDS)
        self.store_errors: Counts[tuple[str, ...]] = Counts()
        self.authentications: Counts[str] = Counts()
        self.authentication_seconds = Distributions(AUTH_SECONDS)
        self.users: Counts[str] = Counts()
        self.authorizations: Counts[str] = Counts()
        self.authorization_seconds = Distributions(AUTH_SECONDS)
        self.waits = Distributions(WAIT_SECONDS)
        self.audit_events = 0
        self.audit_dropped = 0
        self.audit_levels: Counts[str] = Counts()
        self.handshake_errors: Callable[[], int] = int
        self.reloads: Callable[[], Mapping[str, Mapping[str, int]]] = dict
        """Of the files that are followed: encryption, authentication, authorization → success, failure → how often."""
        self.more: Callable[[], Iterable[Any]] = tuple  # metric families of whoever runs this server

    def series(self, info: RequestInfo) -> Series:
        key = (info.verb, info.group, info.version, info.resource, info.subresource, _scope(info), info.path
               if not info.is_resource and info.path in _PATHS else "")  # fmt: skip
        found = self._series.get(key)
        if found is None:
            labels = self._labels(info)
            found = self._series.get(("", *labels))
            if found is None:
                found = Series(labels, Counts(), Distribution(SECONDS), Distribution(SIZES))
                self._series["", *labels] = found
            if _faithful(found.labels, info):
                self._series[key] = found
        return found

    def all_series(self) -> list[Series]:
        return list({id(series): series for series in self._series.values()}.values())

    def _labels(self, info: RequestInfo) -> tuple[str, ...]:
        """verb, group, version, resource, subresource, scope."""
        verb = _VERBS.get(info.verb, info.verb.upper())
        if not info.is_resource:
            known = verb in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
            return (verb if known else "other", "", "", "", info.path if info.path in _PATHS else "", "")
        served = self._lookup(info.group, info.version, info.resource)
        if served is None or not verb:
            return ("other", "", "", "", "", "")
        if info.subresource in _CONNECTS and info.subresource != "log":
            verb = "CONNECT"
        subresource = info.subresource if info.subresource in served.subresources else ""
        return (verb, info.group, info.version, info.resource, subresource, _scope(info))

    def dropped(self, reads: bool) -> None:
        """A request was refused for the limits."""
        self.dropped_requests[reads] += 1

    def stored(self, operation: str, key: str, seconds: float, failed: bool) -> None:
        """The store has done, or failed to do, one operation."""
        labels = (operation, *self._owner(key))
        self.store.of(labels).observe(seconds)
        if failed:
            self.store_errors[labels] += 1

    def _owner(self, key: str) -> tuple[str, str]:
        """Group and resource of a key; two empty strings for keys of no resource."""
        parts = key.split("/", 4)
        for count in (4, 3):
            found = self._owners.get("/".join(parts[:count]))
            if found is not None:
                return found
        return ("", "")

    def audited(self, events: int) -> None:
        self.audit_events += events

    def audit_lost(self, events: int) -> None:
        self.audit_dropped += events

    def waited(self, level: str, schema: str, executed: bool, seconds: float) -> None:
        """A request's time in a queue is over."""
        self.waits.of((level, schema, "true" if executed else "false")).observe(seconds)


def _faithful(labels: tuple[str, ...], info: RequestInfo) -> bool:
    """Whether the labels say all that the request does. Of what they leave out a client may think of ever more."""
    verb, _, _, resource, part, _ = labels
    return verb != "other" and part == (info.subresource if resource else info.path)


def _scope(info: RequestInfo) -> str:
    if not info.is_resource:
        return ""
    if info.name or info.verb == "create":
        return "resource"
    return "namespace" if info.namespace else "cluster"
