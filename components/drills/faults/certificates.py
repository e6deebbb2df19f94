"""Certificates run out while clients use them, and are renewed without stopping anything.

The supervisor issues them as `kuberaft certs renew` does, only with a short life; undone by that same command's code.
Connections that are open outlive the certificate they began with, so what it is worth is asked with new ones: each
certificate is shown again and again, by its server and as a client's, and every answer is recorded (`refusals`).
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from cryptography import x509

from components.cluster import plan, renewal
from components.cluster.addresses import Addresses
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.pki import Identity
from components.cluster.quantities import seconds
from components.cluster.topology import Topology
from components.drills.faults.field import Field
from components.drills.observed import Knock, Observed
from components.drills.recording.recorder import Recorder
from components.drills.schedule import Planned
from components.drills.spec import ExpireCertificates

EVERY = 0.25
KNOCK_SECONDS = 2.0
OPEN_SECONDS = 15.0
"""For every door to open after the renewal; who serves and who connects looks at its files once a second."""


async def expire(field: Field, planned: Planned, undo: AsyncExitStack) -> None:
    step = cast(ExpireCertificates, planned.step)
    names = [await _resolved(field, one) for one in step.whose]
    topology, addresses = await asyncio.to_thread(renewal.known, field.site.directory)
    chosen = certificates_of(plan.identities(topology, addresses), names)
    knocker = Knocker(field.seen, doors_of(field.site.directory.pki, topology, addresses, chosen))
    await undo.enter_async_context(knocker)
    paths = [identity.path for identity in chosen]
    undo.push_async_callback(_renew, field, planned, paths, knocker)
    await field.site.supervisor("renew-certificates", names=paths, seconds=seconds(step.life))
    field.say(f"{', '.join(paths)} end in {step.life}", planned.number)
    left = await asyncio.to_thread(_end, field.site.directory, paths) - time.time()
    field.seen.expired = field.seen.seconds(Recorder.now()) + left
    await asyncio.sleep(max(0.0, left))
    masters = [name for name in names if name in field.site.masters]
    for name in masters if step.restart else ():
        unfinished = await undo.enter_async_context(AsyncExitStack())
        unfinished.push_async_callback(field.running_again, name)
        await field.signal(name, signal.SIGTERM)
        await field.restart(name)
        unfinished.pop_all()
    again = f"; {', '.join(masters)} was started again" if masters and step.restart else ""
    await field.during(planned, f"they have ended{again}")


async def _renew(field: Field, planned: Planned, paths: list[str], knocker: Knocker) -> None:
    """Over when every one of them is good for what it is for."""
    field.seen.renewed = field.seen.seconds(Recorder.now())
    await field.site.supervisor("renew-certificates", names=paths)
    field.say("they are renewed; nothing is stopped for it", planned.number)
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            await knocker.all_open(field.seen.renewed)
    except TimeoutError:
        shut = ", ".join(knocker.shut(field.seen.renewed))
        raise ClusterError(
            f"refused {OPEN_SECONDS:.0f} s after the renewal: {shut}", "kuberaft certs check"
        ) from None


async def _resolved(field: Field, one: str) -> str:
    """A process's name, or a certificate's."""
    return one if one == "admin" or one.startswith("kube-") else await field.resolve(one)


def certificates_of(identities: Sequence[Identity], names: Sequence[str]) -> list[Identity]:
    """A process has those whose path ends with its name. Raises ClusterError for a name that nothing has."""
    found: list[Identity] = []
    for name in names:
        own = [
            i
            for i in identities
            if i.path.rsplit("/", 1)[1].rsplit("-", 1)[-1] == name and name[1:].isdigit()
        ]
        found += own or renewal.choose(identities, [name])
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Door:
    """`ca`, and `pair` (a path without suffix) are what is shown and trusted by who knocks at `place`."""

    name: str
    place: tuple[str, int]
    ca: Path
    pair: Path

    async def knock(self) -> str:
        """Why it was refused; empty when it was let in."""
        context = await self._fitting()
        try:
            async with asyncio.timeout(KNOCK_SECONDS):
                _, writer = await asyncio.open_connection(*self.place, ssl=context)
        except (OSError, TimeoutError) as error:
            return str(error) or type(error).__name__
        writer.transport.abort()
        return ""

    async def _fitting(self) -> ssl.SSLContext:
        """Certificate and key are two files, written one after the other: a moment later they fit."""
        while True:
            try:
                return self._context()
            except ssl.SSLError:
                await asyncio.sleep(EVERY)

    def _context(self) -> ssl.SSLContext:
        """TLS 1.2 is over when both have looked at each other; in 1.3 a client hears of its refusal later."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(f"{self.pair}.crt", f"{self.pair}.key")
        return context


def doors_of(
    directory: Path, topology: Topology, addresses: Addresses, chosen: Sequence[Identity]
) -> list[Door]:
    """Every use of these certificates: where a server shows it, and where a client can show it to somebody else.

    `directory` is that of the PKI.
    """
    identities, places = plan.identities(topology, addresses), plan.serving(topology, addresses)
    ended = {identity.path for identity in chosen}
    found = []
    for identity in chosen:
        ca, own = directory / identity.authority / "ca.crt", directory / identity.path
        prefix = "store/" if identity.authority == "store" else "cluster/apiserver-"
        others = [path for path in places if path.startswith(prefix) and path not in ended]
        friend = _friend(identities, identity.authority, ended)
        if friend is not None:
            pair = directory / friend.path
            found += [
                Door(f"{identity.path} at port {place[1]}", place, ca, pair)
                for place in places.get(identity.path, ())
            ]
        if identity.client and others:
            found.append(Door(f"{identity.path} as a client", places[others[0]][0], ca, own))
    return found


def _friend(identities: Sequence[Identity], authority: str, ended: set[str]) -> Identity | None:
    """Somebody whose own certificate is good."""
    return next(
        (i for i in identities if i.authority == authority and i.client and i.path not in ended), None
    )


class Knocker:
    """`async with Knocker(...)`: knocks at every door, as long as it lasts."""

    def __init__(self, seen: Observed, doors: Sequence[Door]) -> None:
        self._seen, self._doors = seen, doors
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Knocker:
        self._tasks = [asyncio.create_task(self._at(door)) for door in self._doors]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _at(self, door: Door) -> None:
        while True:
            began, error = self._now(), await door.knock()
            self._seen.knocks.append(Knock(began, self._now(), door.name, error))
            await asyncio.sleep(EVERY)

    def _now(self) -> float:
        return self._seen.seconds(Recorder.now())

    def shut(self, since: float) -> list[str]:
        """The doors that have not let anybody in since then."""
        opened = {knock.door for knock in self._seen.knocks if knock.began >= since and not knock.error}
        return [door.name for door in self._doors if door.name not in opened]

    async def all_open(self, since: float) -> None:
        while self.shut(since):  # noqa: ASYNC110 - many doors, one question
            await asyncio.sleep(EVERY)


def _end(layout: Layout, paths: Sequence[str]) -> float:
    """When the last of them ends, in seconds since the epoch."""
    files = [layout.pki / f"{path}.crt" for path in paths]
    return max(x509.load_pem_x509_certificate(f.read_bytes()).not_valid_after_utc.timestamp() for f in files)
