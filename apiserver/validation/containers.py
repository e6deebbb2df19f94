"""Rules for one container; its parts have files of their own. Pure."""

from __future__ import annotations

from typing import Any, Final

from apiserver.api import names
from apiserver.api.field_errors import FieldError, Path, duplicate, invalid, not_supported, required
from apiserver.validation.common import supported
from apiserver.validation.environment import validate_environment, validate_environment_sources
from apiserver.validation.probes import validate_lifecycle, validate_probes
from apiserver.validation.resources import validate_resources
from apiserver.validation.security import validate_container_security
from apiserver.validation.volumes import validate_mounts

Object = dict[str, Any]

_PROTOCOLS: Final = ("TCP", "UDP", "SCTP")
_PULL: Final = ("Always", "IfNotPresent", "Never")
_MESSAGES: Final = ("File", "FallbackToLogsOnError")


def validate_container(container: Object, volumes: set[str], path: Path) -> list[FieldError]:
    found = validate_any_container(container, volumes, path)
    found += validate_lifecycle(container.get("lifecycle") or {}, path.child("lifecycle"))
    return found + validate_probes(container, path)


def validate_any_container(container: Object, volumes: set[str], path: Path) -> list[FieldError]:
    """What holds for ephemeral containers, too, which have neither probes nor a lifecycle."""
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
    for field, allowed in (("terminationMessagePolicy", _MESSAGES), ("imagePullPolicy", _PULL)):
        found += supported(container.get(field), allowed, path.child(field))
    found += _ports(container.get("ports") or (), path.child("ports"))
    found += validate_environment(container.get("env") or (), path.child("env"))
    found += validate_environment_sources(container.get("envFrom") or (), path.child("envFrom"))
    found += validate_mounts(container.get("volumeMounts") or (), volumes, path.child("volumeMounts"))
    found += validate_resources(container.get("resources") or {}, path.child("resources"))
    return found + validate_container_security(
        container.get("securityContext") or {}, path.child("securityContext")
    )


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


def host_port_conflicts(containers: Any, path: Path, *, host_network: bool) -> list[FieldError]:
    """Ports of the host are each taken once, and with the host's network they are the container's own."""
    found: list[FieldError] = []
    taken: set[str] = set()
    for at, container in enumerate(containers):
        for number, port in enumerate(container.get("ports") or ()):
            where, asked = path.index(at).child("ports").index(number).child("hostPort"), port.get("hostPort")
            if host_network and asked != port.get("containerPort"):
                text = "must match `containerPort` when `hostNetwork` is true"
                found.append(invalid(where, asked or 0, text))
            if not asked:
                continue
            key = f"{port.get('protocol') or ''}/{port.get('hostIP') or ''}/{asked}"
            if key in taken:
                found.append(duplicate(where, key))
            taken.add(key)
    return found
