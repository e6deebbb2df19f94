"""Sets and lists the faults that the API servers of a cluster inject (``/kuberaft/v1/faults``, docs/faults.md).

Used by `kuberaft fault` and by `components.testing`. A fault is set through one API server; the others have it as soon
as they have applied the store's entry. `Faults` asks each of them, and returns when all that serve have it: what a
client does afterwards meets the fault whichever master it comes to.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from apiserver.api.meta import Object
from components.client import kubeconfig
from components.client.errors import ApiError, ConnectionFailed
from components.client.kubeconfig import ClientConfig
from components.client.transport import ApiClient
from components.cluster import state, topology_file
from components.cluster.addresses import API_PORT, Addresses
from components.cluster.layout import Layout
from components.cluster.plan import index
from components.cluster.topology import master_names

PATH = "/kuberaft/v1/faults"
AGENT = "kuberaft-fault"


class Faults:
    """``servers``: how to reach the API servers of the cluster; the first is asked first. Raises ApiError."""

    def __init__(self, servers: Sequence[ClientConfig]) -> None:
        self._clients = [ApiClient(server, user_agent=AGENT, timeout=10.0) for server in servers]

    async def close(self) -> None:
        await asyncio.gather(*(client.close() for client in self._clients))

    async def __aenter__(self) -> Faults:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def add(self, fault: Object) -> Object:
        """The fault as it was stored, with its name."""
        added = await self._ask("POST", PATH, fault)
        await self._settle(added["metadata"]["resourceVersion"])
        return added

    async def listed(self) -> list[Object]:
        """``status.matched`` and ``status.injected`` are those of all API servers that answer."""
        answers = await asyncio.gather(*(self._listed_by(client) for client in self._clients))
        failures = [answer for answer in answers if isinstance(answer, ApiError)]
        if len(failures) == len(answers):
            raise failures[0]
        return _summed([answer for answer in answers if not isinstance(answer, ApiError)])

    async def remove(self, name: str) -> None:
        removed = await self._ask("DELETE", f"{PATH}/{name}")
        await self._settle(removed["metadata"]["resourceVersion"])

    async def clear(self) -> list[Object]:
        """What was removed."""
        removed = await self._ask("DELETE", PATH)
        await self._settle(removed["metadata"]["resourceVersion"])
        items: list[Object] = removed["items"]
        return items

    async def _ask(self, method: str, path: str, body: Object | None = None) -> Object:
        """Of the first that answers."""
        for number, client in enumerate(self._clients, 1):
            try:
                return await _request(client, method, path, body)
            except ConnectionFailed:
                if number == len(self._clients):
                    raise
        raise AssertionError("there is always a server")

    async def _settle(self, version: str) -> None:
        """A server that is down reads everything when it starts."""
        await asyncio.gather(*(self._seen(client, version) for client in self._clients))

    async def _seen(self, client: ApiClient, version: str) -> None:
        try:
            await _request(client, "GET", PATH, query={"resourceVersion": version})
        except ConnectionFailed:
            return

    async def _listed_by(self, client: ApiClient) -> list[Object] | ApiError:
        try:
            items: list[Object] = (await _request(client, "GET", PATH))["items"]
            return items
        except ApiError as error:
            return error


async def _request(
    client: ApiClient,
    method: str,
    path: str,
    body: Object | None = None,
    query: dict[str, str] | None = None,
) -> Object:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    code, answer = await client.raw(method, path, body=data, headers=headers, query=query)
    try:
        document: Object = json.loads(answer)
    except ValueError:
        document = {"message": answer[:500].decode(errors="replace").strip()}
    if code >= 300:
        raise ApiError.from_status(document, code)
    return document


def _summed(lists: Sequence[list[Object]]) -> list[Object]:
    by_name: dict[str, Object] = {}
    for item in (item for found in lists for item in found):
        known = by_name.setdefault(item["metadata"]["name"], item)
        if known is not item:
            for field in ("matched", "injected"):
                known["status"][field] += item["status"][field]
    return [by_name[name] for name in sorted(by_name)]


def servers_of(layout: Layout) -> list[ClientConfig]:
    """Every master's own API server, as the administrator. Raises ClusterError, KubeconfigError."""
    admin, known = kubeconfig.load(layout.kubeconfig), state.load(layout)
    if known is None:
        return [admin]
    addresses, topology = Addresses(known.slot), topology_file.load(layout.topology)
    hosts = [addresses.master(index(name)) for name in master_names(topology)]
    return [dataclasses.replace(admin, server=f"https://{host}:{API_PORT}") for host in hosts]


def document(
    action: Object,
    match: dict[str, list[str]] | None = None,
    share: dict[str, Any] | None = None,
    name: str = "",
) -> Object:
    """A Fault object; the API server says what is wrong with it."""
    spec = {"action": action, "match": match or {}, "share": share or {}}
    metadata = {"name": name} if name else {}
    return {"apiVersion": "kuberaft.io/v1", "kind": "Fault", "metadata": metadata, "spec": spec}
