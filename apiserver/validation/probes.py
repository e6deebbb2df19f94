"""Probes and lifecycle handlers of a container (``validateProbe``, ``validateHandler``). Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, forbidden, invalid, required
from apiserver.validation.common import non_negative, one_of

Object = dict[str, Any]
_NUMBERS: Final = (
    *("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"),
)


def validate_probes(container: Object, path: Path) -> list[FieldError]:
    found = _liveness(container, "livenessProbe", path)
    readiness = container.get("readinessProbe")
    if readiness is not None:
        where = path.child("readinessProbe")
        found += _probe(readiness, where)
        grace = readiness.get("terminationGracePeriodSeconds")
        if grace is not None:
            text = "must not be set for readinessProbes"
            found.append(invalid(where.child("terminationGracePeriodSeconds"), grace, text))
    return found + _liveness(container, "startupProbe", path)


def _liveness(container: Object, field: str, path: Path) -> list[FieldError]:
    probe, where = container.get(field), path.child(field)
    if probe is None:
        return []
    found = _probe(probe, where)
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        found.append(invalid(where.child("terminationGracePeriodSeconds"), grace, "must be greater than 0"))
    if probe.get("successThreshold") not in (None, 1):
        found.append(invalid(where.child("successThreshold"), probe["successThreshold"], "must be 1"))
    return found


def _probe(probe: Object, path: Path) -> list[FieldError]:
    found = validate_handler(probe, path)
    for field in _NUMBERS:
        found += non_negative(probe.get(field), path.child(field))
    return found


def validate_lifecycle(lifecycle: Object, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for field in ("postStart", "preStop"):
        if lifecycle.get(field) is not None:
            found += validate_handler(lifecycle[field], path.child(field))
    return found


def validate_handler(handler: Object, path: Path) -> list[FieldError]:
    """Exactly one of its kinds; the first one is looked into."""
    given = [kind for kind in _KINDS if handler.get(kind) is not None]
    if not given:
        return [required(path, "must specify a handler type")]
    found = _KINDS[given[0]](handler[given[0]], path.child(given[0]))
    text = "may not specify more than 1 handler type"
    return found + [forbidden(path.child(kind), text) for kind in given[1:]]


def _exec(action: Object, path: Path) -> list[FieldError]:
    return [] if action.get("command") else [required(path.child("command"))]


def _http(action: Object, path: Path) -> list[FieldError]:
    found = [] if action.get("path") else [required(path.child("path"))]
    found += _port(action.get("port"), path.child("port"))
    found += one_of(action.get("scheme"), ("HTTP", "HTTPS"), path.child("scheme"))
    for at, header in enumerate(action.get("httpHeaders") or ()):
        name, where = header.get("name") or "", path.child("httpHeaders").index(at).child("name")
        found += [invalid(where, name, text) for text in names.check_http_header_name(name)]
    return found


def _tcp(action: Object, path: Path) -> list[FieldError]:
    return _port(action.get("port"), path.child("port"))


def _grpc(action: Object, path: Path) -> list[FieldError]:
    port = action.get("port") or 0
    return [invalid(path.child("port"), port, text) for text in names.check_port_number(port)]


def _sleep(action: Object, path: Path) -> list[FieldError]:
    return non_negative(action.get("seconds"), path.child("seconds"))


_KINDS: Final[dict[str, Callable[[Object, Path], list[FieldError]]]] = {
    "exec": _exec,
    "httpGet": _http,
    "tcpSocket": _tcp,
    "grpc": _grpc,
    "sleep": _sleep,
}


def _port(port: Any, path: Path) -> list[FieldError]:
    if isinstance(port, str):
        return [invalid(path, port, text) for text in names.check_port_name(port)]
    return [invalid(path, port or 0, text) for text in names.check_port_number(port or 0)]
