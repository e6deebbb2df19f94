"""Where the kubelet of a node listens, by the node's status."""

from __future__ import annotations

from typing import Final

from apiserver.api import errors
from apiserver.http.rest.call import Call
from apiserver.http.scope import Exchange

_PREFERRED: Final = ("InternalIP", "Hostname", "ExternalIP")
_PORT: Final = 10250


async def find(exchange: Exchange, node: str) -> tuple[str, int]:
    """(host, port). Raises 404 for an unknown node."""
    nodes = exchange.services.registry.lookup("", "v1", "nodes")
    assert nodes is not None
    call = Call(exchange.services, nodes)
    status = call.decode(await call.read("", node)).get("status") or {}
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or _PORT
    by_type = {a["type"]: a["address"] for a in reversed(status.get("addresses") or [])}
    for kind in _PREFERRED:
        if kind in by_type:
            return by_type[kind], port
    raise errors.unknown(f"no preferred addresses found; known addresses: {status.get('addresses') or []}")
