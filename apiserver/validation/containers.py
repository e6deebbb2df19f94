"""Rules for one container: ports, environment, mounts, probes, resources."""

from __future__ import annotations

from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import (
    FieldError,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from apiserver.api.quantity import parse_quantity
from apiserver.validation.common import non_negative, non_negative_quantity, one_of

Object = dict[str, Any]

_PROTOCOLS: Final = ("TCP", "UDP", "SCTP")
_PULL: Final = ("Always", "IfNotPresent", "Never")
_MESSAGES: Final = ("File", "FallbackToLogsOnError")
_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_STANDARD: Final = frozenset({"cpu", "memory", "ephemeral-storage", "storage"})


def validate_container(container: Object, volumes: set[str], path: Path) -> list[FieldError]:
    name, image = container.get("name") or "", container.get("image") or ""
    found: list[FieldError] = []
    if not name:
        found.append(required(path.child("name")))
    else:
        found += [invalid(path.child("name"), name, text) for text in names.check_dns1123_label(name)]
    if not image:
        found.append(required(path.child("image")))
    elif image != image.strip():
        found.append(invalid(path.child("image"), image, "must not have leading or trailing whitespace"))
    found += one_of(
        container.get("terminationMessagePolicy"), _MESSAGES, path.child("terminationMessagePolicy")
    )
    found += one_of(container.get("imagePullPolicy"), _PULL, path.child("imagePullPolicy"))
    found += _ports(container.get("ports") or (), path.child("ports"))
    found += _environment(container.get("env") or (), path.child("env"))
    found += _mounts(container.get("volumeMounts") or (), volumes, path.child("volumeMounts"))
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe) is not None:
            found += _probe(container[probe], probe, path.child(probe))
    return found + _resources(container.get("resources") or {}, path.child("resources"))


def _ports(ports: Any, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for at, port in enumerate(ports):
        where, name = path.index(at), port.get("name") or ""
        if name:
            texts = names.check_port_name(name)
            found += [invalid(where.child("name"), name, text) for text in texts]
            if not texts and name in seen:
                found.append(duplicate(where.child("name"), name))
            seen.add(name)
        number = port.get("containerPort") or 0
        if not number:
            found.append(required(where.child("containerPort")))
        else:
            found += [
                invalid(where.child("containerPort"), number, text)
                for text in names.check_port_number(number)
            ]
        if port.get("hostPort"):
            texts = names.check_port_number(port["hostPort"])
            found += [invalid(where.child("hostPort"), port["hostPort"], text) for text in texts]
        protocol = port.get("protocol") or ""
        if not protocol:
            found.append(required(where.child("protocol")))
        elif protocol not in _PROTOCOLS:
            found.append(not_supported(where.child("protocol"), protocol, _PROTOCOLS))
    return found


def _environment(variables: Any, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for at, variable in enumerate(variables):
        where, name = path.index(at), variable.get("name") or ""
        if not name:
            found.append(required(where.child("name")))
        else:
            found += [invalid(where.child("name"), name, text) for text in names.check_env_name(name)]
        source = variable.get("valueFrom")
        if source is None:
            continue
        inner = where.child("valueFrom")
        if variable.get("value"):
            found.append(invalid(inner, "", "may not be specified when `value` is not empty"))
        if len(source) != 1:
            text = (
                "may not have more than one field specified at a time"
                if source
                else (
                    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
                    "`secretKeyRef` or `fileKeyRef`"
                )
            )
            found.append(invalid(inner, "", text))
    return found


def _mounts(mounts: Any, volumes: set[str], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    seen: set[str] = set()
    for at, mount in enumerate(mounts):
        where, name, place = path.index(at), mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            found.append(required(where.child("name")))
        elif name not in volumes:
            found.append(not_found(where.child("name"), name))
        if not place:
            found.append(required(where.child("mountPath")))
        elif place in seen:
            found.append(invalid(where.child("mountPath"), place, "must be unique"))
        seen.add(place)
        sub = mount.get("subPath") or ""
        if sub.startswith("/"):
            found.append(invalid(where.child("subPath"), sub, "must be a relative path"))
        if ".." in sub.split("/"):
            found.append(invalid(where.child("subPath"), sub, "must not contain '..'"))
    return found


def _probe(probe: Object, name: str, path: Path) -> list[FieldError]:
    handlers = [handler for handler in _HANDLERS if probe.get(handler) is not None]
    found: list[FieldError] = []
    if not handlers:
        found.append(required(path, "must specify a handler type"))
    for extra in handlers[1:]:
        text = "may not specify more than 1 handler type"
        found.append(forbidden(path.child(extra), text))
    for field in (
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ):
        found += non_negative(probe.get(field), path.child(field))
    if name != "readinessProbe" and probe.get("successThreshold") not in (None, 0, 1):
        found.append(invalid(path.child("successThreshold"), probe["successThreshold"], "must be 1"))
    return found


def _resources(resources: Object, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            where = path.child(field).key(name)
            found += [invalid(path.child(field), name, text) for text in names.check_qualified_name(name)]
            if name not in _STANDARD and "/" not in name and not name.startswith("hugepages-"):
                text = "must be a standard resource type or fully qualified"
                found.append(invalid(path.child(field), name, text))
                found.append(invalid(path.child(field), name, "must be a standard resource for containers"))
            found += non_negative_quantity(amount, where)
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is not None and parse_quantity(amount) > parse_quantity(limit):
            text = f"must be less than or equal to {name} limit of {limit}"
            found.append(invalid(path.child("requests"), str(amount), text))
    return found
