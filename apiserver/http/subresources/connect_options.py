"""What exec, attach, port-forward and log read from a request and a pod (P).

Query parameters as Go converts them, the container as pkg/registry/core/pod/strategy.go chooses it, and what the
kubelet is asked in turn. Everything raises the original's StatusError.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from multidict import MultiDict, MultiMapping

from apiserver.api import errors, go_int

Object = dict[str, Any]
Query = MultiMapping[str]

_KINDS: Final = ("initContainers", "containers", "ephemeralContainers")
_STREAMS: Final = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
_MAX_PORT: Final = 65535


def flag(query: Query, name: str) -> bool:
    """Present and neither `false` nor `0`, in any case of letters."""
    value = query.get(name)
    return value is not None and value.lower() not in ("false", "0")


def exec_options(query: Query) -> Object:
    """The fields of PodExecOptions or PodAttachOptions that the request sets."""
    found: Object = {name: True for name in _STREAMS if flag(query, name)}
    found |= {"container": query["container"]} if query.get("container") else {}
    words = query.getall("command", [])
    return {**found, "command": words} if words else found


def port_forward_options(query: Query) -> Object:
    """Of PodPortForwardOptions. Raises 400."""
    ports = [_port(part) for value in query.getall("ports", []) for part in value.split(",")]
    return {"ports": ports} if ports else {}


def as_query(options: Object) -> Query:
    """Options as a request has them."""
    found: MultiDict[str] = MultiDict()
    for name, value in options.items():
        for item in value if isinstance(value, list) else [value]:
            found.add(name, str(item).lower() if isinstance(item, bool) else str(item))
    return found


def container(pod: Object, asked: str) -> str:
    """The container that is meant; with several, one must be named."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    names = [c["name"] for kind in _KINDS for c in spec.get(kind) or ()]
    if asked:
        if asked not in names:
            raise errors.bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    main = [str(c["name"]) for c in spec.get("containers") or ()]
    if len(main) == 1:
        return main[0]
    text = f"a container name must be specified for pod {name}"
    raise errors.bad_request(f"{text}, choose one of: [{' '.join(names)}]" if main else text)


def node(pod: Object) -> str:
    found: str = pod["spec"].get("nodeName") or ""
    if not found:
        raise errors.bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    return found


def exec_query(query: Query) -> str:
    """For the kubelet, in the order of the original's encoder."""
    return _encoded([*_streams(query), *(("command", word) for word in query.getall("command", []))])


def attach_query(query: Query) -> str:
    return _encoded(_streams(query))


def _streams(query: Query) -> list[tuple[str, str]]:
    return [(theirs, "1") for ours, theirs in _STREAMS.items() if flag(query, ours)]


def port_forward_query(query: Query) -> str:
    ports = [_port(part) for value in query.getall("ports", []) for part in value.split(",")]
    return _encoded([("port", ",".join(map(str, ports)))]) if ports else ""


def _port(text: str) -> int:
    why = ""
    if not (text.isascii() and text.isdigit()):
        why = "invalid syntax"
    elif go_int.integer(text) > _MAX_PORT:
        why = "value out of range"
    if why:
        raise errors.bad_request(f'cannot convert to []int32: strconv.ParseUint: parsing "{text}": {why}')
    return int(text)


def _encoded(pairs: list[tuple[str, str]]) -> str:
    return urlencode(sorted(pairs, key=lambda pair: pair[0]))
