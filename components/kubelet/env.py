"""A container's environment, command and arguments (P): literal values, references, `$(VAR)` expansion,
services.

Called by `pods.containers` with the objects already fetched. Order and precedence as kubelet_pods.go
makeEnvironmentVariables: service variables, then envFrom, then env, a later one replacing an earlier.
Errors are `ConfigFault`s with the original's texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.api.quantity import parse_quantity
from components.kubelet.runtime.interface import ConfigFault

Object = dict[str, Any]
_REFERENCE = re.compile(r"\$(\$|\(([^)]*)\)|)")
_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.+)'\]$")


def expand(text: str, values: Mapping[str, str]) -> str:
    """`$(NAME)` becomes its value, `$$(NAME)` a literal `$(NAME)`; what is unknown stays as written."""

    def one(match: re.Match[str]) -> str:
        if match.group(1) == "$":
            return "$"
        name = match.group(2)
        return match.group(0) if name is None else values.get(name, match.group(0))

    return _REFERENCE.sub(one, text)


def field_value(pod: Object, path: str, facts: Mapping[str, str]) -> str:
    """A downward API field; `facts` has what only the node knows (status.podIP, spec.nodeName, …)."""
    if path in facts:
        return facts[path]
    meta = pod["metadata"]
    subscript = _SUBSCRIPT.match(path)
    if subscript:
        return str((meta.get(subscript[1]) or {}).get(subscript[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        values = meta.get(path.partition(".")[2]) or {}
        return "\n".join(f'{key}="{_escaped(value)}"' for key, value in sorted(values.items()))
    simple = {
        "metadata.name": meta.get("name", ""),
        "metadata.namespace": meta.get("namespace", ""),
        "metadata.uid": meta.get("uid", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", ""),
        "spec.nodeName": pod["spec"].get("nodeName", ""),
    }
    if path not in simple:
        raise ConfigFault(f"unsupported fieldPath: {path}")
    return str(simple[path])


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def resource_value(pod: Object, selector: Object, default: Object, allocatable: Mapping[str, str]) -> str:
    """`limits.cpu` and the like of a container, rounded up to the divisor; a missing limit is the node's."""
    name = selector.get("containerName") or default["name"]
    everyone = [*pod["spec"].get("containers", []), *pod["spec"].get("initContainers", [])]
    container = next((c for c in everyone if c["name"] == name), None)
    if container is None:
        raise ConfigFault(f"container {name} not found")
    kind, _, resource = selector["resource"].partition(".")
    amount = ((container.get("resources") or {}).get(kind) or {}).get(resource)
    if amount is None and kind == "limits":
        amount = allocatable.get(resource)
    have = parse_quantity(amount if amount is not None else "0")
    divisor = parse_quantity(selector.get("divisor") or "1")
    if divisor.is_zero():
        divisor = parse_quantity("1")
    if resource == "cpu":
        return str(-(-have.milli_value() // divisor.milli_value()))
    return str(-(-have.value() // divisor.value()))


def service_variables(services: Sequence[Object]) -> dict[str, str]:
    """The Docker-links style variables of every service with a cluster IP."""
    out: dict[str, str] = {}
    for service in services:
        spec = service["spec"]
        ip = spec.get("clusterIP")
        ports = spec.get("ports") or []
        if not ip or ip == "None" or not ports:
            continue
        prefix = service["metadata"]["name"].upper().replace("-", "_")
        out[f"{prefix}_SERVICE_HOST"] = ip
        out[f"{prefix}_SERVICE_PORT"] = str(ports[0]["port"])
        for port in ports:
            if port.get("name"):
                out[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
        for index, port in enumerate(ports):
            protocol = port.get("protocol", "TCP")
            url = f"{protocol.lower()}://{ip}:{port['port']}"
            if index == 0:
                out[f"{prefix}_PORT"] = url
            stem = f"{prefix}_PORT_{port['port']}_{protocol}"
            out.update(
                {
                    stem: url,
                    f"{stem}_PROTO": protocol.lower(),
                    f"{stem}_PORT": str(port["port"]),
                    f"{stem}_ADDR": ip,
                }
            )
    return out


def visible_services(services: Sequence[Object], namespace: str, links: bool) -> list[Object]:
    """The pod's own namespace (if it wants links) and always `default/kubernetes`."""
    chosen: dict[str, Object] = {}
    for service in services:
        meta = service["metadata"]
        if meta["namespace"] == "default" and meta["name"] == "kubernetes":
            chosen.setdefault(meta["name"], service)
        elif links and meta["namespace"] == namespace:
            chosen[meta["name"]] = service
    return list(chosen.values())
