"""Asks the other masters and the kubelets for what they remember.

The other masters are the endpoints of the service ``kubernetes``; the kubelets are where their nodes say. Both are
asked with the certificate that the API server shows to kubelets, at the same time, and have a second each. Who does
not answer is named, and is missing in the answer; nobody waits for it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

import aiohttp
import msgspec

from apiserver.api import codec, meta
from apiserver.api.journal import ObjectRef, Query, Record, decode
from apiserver.api.meta import Object
from components.kubelet.server.records import PATH as RECORDS

if TYPE_CHECKING:
    from apiserver.http.scope import Services

SECONDS: Final = 1.0
INSTANCE: Final = "X-Kuberaft-Instance"
_ENDPOINTS: Final = "/registry/services/endpoints/default/kubernetes"
_NODES: Final = "/registry/minions/"
_PORT: Final = 10250
_CHUNK: Final = 50
_LEFT_ALONE_SECONDS: Final = 2.0
_NO_ANSWER: Final = f"no answer within {SECONDS:g} s"
_ADDRESSES: Final = ("InternalIP", "Hostname", "ExternalIP")
Missing = list[dict[str, str]]


class Peer(NamedTuple):
    """``name`` is empty for a master that was never reached."""

    name: str
    url: str


class Answer(NamedTuple):
    peer: Peer
    body: bytes | None
    error: str


class _Records(msgspec.Struct):
    records: list[msgspec.Raw]


class _Timed(msgspec.Struct, gc=False):
    time: str


_RECORDS: Final = msgspec.json.Decoder(_Records)
_TIMED: Final = msgspec.json.Decoder(_Timed)


class Peers:
    """``members``: the names of all masters, this one's among them."""

    def __init__(self, services: Services, instance: str, members: Callable[[], Iterable[str]]) -> None:
        self._services = services
        self.instance = instance
        self._members = members
        self._names: dict[str, str] = {}  # of masters, by their URL
        self._silent: dict[
            str, float
        ] = {}  # who let a question wait to its end, and until when nobody asks again

    async def masters(self) -> list[Peer]:
        """The others."""
        config = self._services.config
        own = (config.advertise_address, config.secure_port)
        stored, _ = await self._services.storage.get(_ENDPOINTS, linearizable=False)
        addresses = _addresses(codec.decode(stored.value)) if stored is not None else []
        urls = [f"https://{host}:{port}" for host, port in addresses if (host, port) != own]
        return [Peer(self._names.get(url, ""), url) for url in urls]

    async def kubelets(self, query: Query) -> list[Peer]:
        """Those that may have records of what is asked for."""
        if query.source not in ("", "kubelet"):
            return []
        refs = query.any_of or (query.object,)
        if not any(ref.resource in ("", "pods") for ref in refs):
            return []
        listed = await self._services.storage.list(_NODES, linearizable=False)
        peers = [_kubelet(codec.decode(item.value)) for item in listed.items]
        nodes = await self._nodes_of(refs)
        return [peer for peer in peers if peer is not None and (nodes is None or peer.name in nodes)]

    async def _nodes_of(self, refs: Iterable[ObjectRef]) -> set[str] | None:
        """Of named pods that there are; None: they may have been anywhere."""
        found: set[str] = set()
        for ref in refs:
            if ref.resource not in ("", "pods"):
                continue
            if not (ref.resource and ref.name):
                return None
            key = f"/registry/pods/{ref.namespace}/{ref.name}"
            stored, _ = await self._services.storage.get(key, linearizable=False)
            if stored is None:
                return None
            found.add((codec.decode(stored.value).get("spec") or {}).get("nodeName") or "")
        return found

    async def ask(self, peers: Iterable[Peer], path: str) -> list[Answer]:
        """All at once; nobody has longer than a second, and who needed it is left alone for a while."""
        return list(await asyncio.gather(*(self._ask(peer, path) for peer in peers)))

    async def _ask(self, peer: Peer, path: str) -> Answer:
        now = asyncio.get_running_loop().time()
        if self._silent.get(peer.url, 0.0) > now:
            return Answer(peer, None, _NO_ANSWER)
        try:
            async with asyncio.timeout(SECONDS):
                session = await self.session()
                async with session.get(peer.url + path) as response:
                    body = await response.read()
                    name = response.headers.get(INSTANCE) or peer.name
                    if INSTANCE in response.headers:
                        self._names[peer.url] = name
                    found = Peer(name, peer.url)
                    if response.status != 200:
                        return Answer(found, None, f"it answered {response.status}")
                    return Answer(found, body, "")
        except TimeoutError:
            self._silent[peer.url] = now + SECONDS + _LEFT_ALONE_SECONDS
            return Answer(peer, None, _NO_ANSWER)
        except aiohttp.ClientConnectorError as error:
            return Answer(peer, None, os.strerror(error.errno) if error.errno else str(error))
        except (aiohttp.ClientError, OSError) as error:
            return Answer(peer, None, str(error) or type(error).__name__)

    async def session(self) -> aiohttp.ClientSession:
        return await self._services.kubelet.session()

    def missing(self, masters: Iterable[Answer], others: Iterable[Answer] = ()) -> Missing:
        """Whoever did not answer, and the masters that nobody can be sent to any more. All masters are members, so one
        whose name is not known yet is among those that were not heard."""
        answers = list(masters)
        heard = {answer.peer.name for answer in answers if answer.body is not None} | {self.instance}
        errors = {answer.peer.name: answer.error for answer in answers if answer.body is None}
        found = [
            {
                "instance": name,
                "error": errors.get(name) or errors.get("") or "it is not among the API servers",
            }
            for name in sorted(set(self._members()) - heard)
        ]
        known = {one["instance"] for one in found}
        for answer in [*answers, *others]:
            name = answer.peer.name
            if answer.body is None and name and name not in known and name not in heard:
                found.append({"instance": name, "error": answer.error})
        return found

    async def records(self, query: Query, own: list[bytes]) -> tuple[list[bytes], Missing]:
        """``own`` and the others', oldest first, and who did not answer."""
        masters, kubelets = await self.masters(), await self.kubelets(query)
        paths = [f"{RECORDS}?{text}" for text in _queries(query)]
        per_path = await asyncio.gather(
            *(
                asyncio.gather(self.ask(masters, path + "&local=true"), self.ask(kubelets, path))
                for path in paths
            )
        )
        of_masters = [answer for found, _ in per_path for answer in found]
        of_kubelets = [answer for _, found in per_path for answer in found]
        lines = list(own)
        for answer in [*of_masters, *of_kubelets]:
            lines += _lines(answer)
        lines.sort(key=lambda line: _TIMED.decode(line).time)
        return lines[-query.limit :], self.missing(of_masters, of_kubelets)


def decoded(lines: Iterable[bytes]) -> list[Record]:
    return [decode(line) for line in lines]


def _lines(answer: Answer) -> list[bytes]:
    if answer.body is None:
        return []
    try:
        return [bytes(raw) for raw in _RECORDS.decode(answer.body).records]
    except msgspec.DecodeError:
        return []


def _queries(query: Query) -> list[str]:
    """As query strings; many objects need several."""
    ref = query.object
    fields: dict[str, Any] = {
        **{"resource": ref.resource, "group": ref.group, "namespace": ref.namespace, "name": ref.name},
        **{"uid": ref.uid, "source": query.source, "component": query.component, "since": query.since},
    }
    pairs = [(name, value) for name, value in fields.items() if value] + [("limit", str(query.limit))]
    places = [("of", f"{one.resource}/{one.namespace}/{one.name}") for one in query.any_of]
    chunks = [places[at : at + _CHUNK] for at in range(0, len(places), _CHUNK)] or [[]]
    return [urlencode([*pairs, *chunk]) for chunk in chunks]


def _addresses(endpoints: Object) -> list[tuple[str, int]]:
    return [
        (address["ip"], port["port"])
        for subset in endpoints.get("subsets") or []
        for address in subset.get("addresses") or []
        for port in subset.get("ports") or []
    ]


def _kubelet(node: Object) -> Peer | None:
    status = node.get("status") or {}
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or _PORT
    by_type = {one["type"]: one["address"] for one in reversed(status.get("addresses") or [])}
    host = next((by_type[kind] for kind in _ADDRESSES if kind in by_type), None)
    return Peer(meta.name(node), f"https://{host}:{port}") if host else None
