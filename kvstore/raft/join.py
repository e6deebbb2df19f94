"""How a new member finds out who it is: it asks the running members, on their peer port, before it starts.

It knows the address it was added with (`member add` on the running cluster); the answer has the cluster's id and
all members, of which it is the one with that address. What is said here is what `kvstore.raft.transport` answers
to the greeting [FORMAT, "join"].
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Iterable
from dataclasses import dataclass

import cbor2
import msgspec

from kvstore.errors import FailedPrecondition, StoreError, Unavailable
from kvstore.raft.certificates import client_context
from kvstore.raft.config import TlsFiles
from kvstore.raft.transport import FORMAT, JOIN
from kvstore.types import MemberInfo

LENGTH = struct.Struct(">I")
MAX_ANSWER = 1 << 20
ASK_SECONDS = 3.0


class Answer(msgspec.Struct, frozen=True):
    cluster_id: int
    members: tuple[MemberInfo, ...]


@dataclass(frozen=True)
class Place:
    """What a joining member is told."""

    cluster_id: int
    member_id: int
    members: tuple[MemberInfo, ...]


async def ask(
    addresses: Iterable[tuple[str, int]], own_urls: Iterable[str], tls: TlsFiles | None, timeout: float
) -> Place:
    """Raises `Unavailable` if no member answers in time, `FailedPrecondition` if none knows the address."""
    known, urls = list(addresses), set(own_urls)
    failure: StoreError = Unavailable("none of the members of the initial cluster answers")
    try:
        async with asyncio.timeout(timeout):
            while True:
                for host, port in known:
                    try:
                        answer = await _ask_one(host, port, tls)
                    except (OSError, TimeoutError, ValueError, EOFError) as error:
                        failure = Unavailable(f"{host}:{port} does not say who the members are: {error}")
                        continue
                    mine = next((m for m in answer.members if urls & set(m.peer_urls)), None)
                    if mine is not None:
                        return Place(answer.cluster_id, mine.id, answer.members)
                    failure = FailedPrecondition(
                        f"no member has the peer address {', '.join(sorted(urls))}: add it first, with member "
                        "add on the running cluster"
                    )
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise failure from None


async def _ask_one(host: str, port: int, tls: TlsFiles | None) -> Answer:
    context: ssl.SSLContext | None = client_context(tls) if tls else None
    async with asyncio.timeout(ASK_SECONDS):
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        try:
            greeting = cbor2.dumps([FORMAT, JOIN])
            writer.write(LENGTH.pack(len(greeting)) + greeting)
            while True:
                (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                if length > MAX_ANSWER:
                    raise ValueError(f"an answer of {length} bytes")
                content = cbor2.loads(await reader.readexactly(length))
                if isinstance(content, dict):  # a greeting comes before it
                    return msgspec.convert(content, Answer)
        finally:
            writer.close()
