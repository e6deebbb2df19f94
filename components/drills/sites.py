"""Makes a `Site`: starts a cluster for one drill and removes it, finds the one in a directory, or takes addresses.

What a drill of its own starts is in a temporary directory that goes away with it, whatever happens: also when it
is interrupted while the cluster starts.
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import grpc
import msgspec

from components.cluster import ipc, plan, run, state, stopping, topology_file
from components.cluster.addresses import API_PORT, Addresses
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.status import ClusterStatus
from components.cluster.topology import Masters, Store, Topology, Workers
from components.drills import disks
from components.drills.clock import clock_environment, started_with
from components.drills.disks import Disk
from components.drills.links import NamespaceLinks, ProxyLinks
from components.drills.recording.recorder import Endpoint
from components.drills.site import Site
from components.drills.spec import Drill, Need, needs

T = TypeVar("T")
Say = Callable[[str], None]
PREFIX = "kuberaft-drill-"


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Runs to its end even when cancelled meanwhile: what it begins can only be undone once it is done."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise


@asynccontextmanager
async def own(drill: Drill, say: Say, *, namespace: bool = False) -> AsyncIterator[Site]:
    """A cluster for this drill: three masters, the workers it asks for, removed afterwards.

    `namespace`: this process is in a network of its own, so links are cut there and need no proxies.
    """
    with tempfile.TemporaryDirectory(prefix=PREFIX) as place:
        layout = Layout.at(Path(place) / "cluster")
        file = Path(place) / "topology.yaml"
        proxied = "peer-links" in needs(drill) and not namespace
        file.write_text(topology_file.dump(topology(drill, proxied=proxied)))
        made = _disks(drill, layout, Path(place))
        try:
            told = clock_environment(Path(place), "cluster") if "own-clock" in needs(drill) else {}
            with started_with(told):
                await unbroken(start(layout, str(file), say))
            site = await running(layout)
            site.clock = told
            site.disks = made
            site.kind = "own"
            site.offers |= {"own-cluster"}
            site.offers |= {"own-disks"} if made else set()
            site.offers |= {"own-clock"} if told else set()
            if namespace:
                site.offers |= {"peer-links"}
                site.links = NamespaceLinks({name: _host(url) for name, url in site.masters.items()})
            try:
                yield site
            finally:
                await site.close()
        finally:
            await unbroken(_stop(elsewhere(layout)))
            await unbroken(_stop(layout))
            for disk in made.values():
                disk.close()


def _disks(drill: Drill, layout: Layout, place: Path) -> dict[str, Disk]:
    """A file system for each master of a drill that needs them, where they can be made; else none."""
    if "own-disks" not in needs(drill) or not disks.available():
        return {}
    layout.masters.mkdir(mode=0o700, parents=True)
    found: dict[str, Disk] = {}
    try:
        for name in ("m1", "m2", "m3"):
            found[name] = Disk(place, name)
            data = found[name].mount / "data"
            data.mkdir()
            (layout.masters / name).symlink_to(data)
    except BaseException:
        for disk in found.values():
            disk.close()
        raise
    os.sync()
    return found


def topology(drill: Drill, *, proxied: bool) -> Topology:
    """Of a drill's own cluster. Its port is chosen here, so that it stays when the cluster is restored."""
    return Topology(
        name="drill",
        masters=Masters(api_port=free_port(), peer_proxies=proxied),
        workers=Workers(count=drill.cluster.workers),
        store=Store(client_port=True, fsync=drill.cluster.fsync),
    )


def elsewhere(layout: Layout) -> Layout:
    """Where a drill's cluster is restored on other addresses; removed with the drill's own directory."""
    return Layout.at(layout.root.with_name("elsewhere"))


async def start(layout: Layout, config: str | None, say: Say) -> None:
    """As `kuberaft up --detach`. Raises ClusterError."""
    await asyncio.to_thread(functools.partial(run.in_background, layout, config, None, None, say=say))


async def _stop(layout: Layout) -> None:
    if layout.exists():
        await asyncio.to_thread(stopping.stop, layout)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def running(layout: Layout) -> Site:
    """The cluster that runs in a directory. Raises ClusterError when none does."""
    status = msgspec.convert(await ipc.call(layout.socket, "status"), ClusterStatus)
    known = state.load(layout)
    assert known is not None, "it runs"
    topology = topology_file.load(layout.topology)
    addresses = Addresses(known.slot)
    masters = {p.name: addresses.master(plan.index(p.name)) for p in status.processes if p.kind == "master"}
    workers = [p.name for p in status.processes if p.kind == "worker"]
    site = Site(
        kind="directory",
        offers=_offers(topology, len(masters), len(workers)),
        kubeconfig=layout.kubeconfig,
        layout=layout,
        masters={name: f"https://{host}:{API_PORT}" for name, host in masters.items()},
        workers=workers,
        store=_endpoints(layout, addresses, list(masters)) if topology.store.client_port else [],
    )
    site.links = ProxyLinks(site.supervisor) if topology.masters.peer_proxies else None
    return site


def _offers(topology: Topology, masters: int, workers: int) -> frozenset[Need]:
    offers: set[Need] = {"processes"}
    offers |= {"peer-links"} if topology.masters.peer_proxies else set()
    offers |= {"endpoints"} if topology.store.client_port else set()
    offers |= {"masters"} if masters >= 3 else set()
    offers |= {"nodes"} if workers >= 2 else set()
    return frozenset(offers)


def _endpoints(layout: Layout, addresses: Addresses, masters: list[str]) -> list[Endpoint]:
    store = layout.pki / "store"
    secrets = credentials(store / "ca.crt", store / "etcdctl.crt", store / "etcdctl.key")
    return [Endpoint(plan.client_address(addresses, name), secrets) for name in masters]


def credentials(ca: Path | None, cert: Path | None, key: Path | None) -> grpc.ChannelCredentials:
    """Raises ClusterError naming the file that cannot be read."""
    try:
        read = [None if path is None else path.read_bytes() for path in (ca, key, cert)]
    except OSError as error:
        raise ClusterError(f"{error.filename}: {error.strerror}", "name readable PEM files") from error
    return grpc.ssl_channel_credentials(*read)


def remote(kubeconfig: Path | None, etcd: str, ca: Path | None, cert: Path | None, key: Path | None) -> Site:
    """A cluster behind addresses: `etcd` is a list of URLs with commas between. Raises ClusterError."""
    store = [_endpoint(url.strip(), ca, cert, key) for url in etcd.split(",") if url.strip()]
    offers: set[Need] = {"endpoints"} if store else set()
    return Site(kind="remote", offers=frozenset(offers), kubeconfig=kubeconfig, store=store)


def _endpoint(url: str, ca: Path | None, cert: Path | None, key: Path | None) -> Endpoint:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if parts.scheme not in ("http", "https") or not host or not port:
        raise ClusterError(f"--etcd: {url!r} is no endpoint", "write http://HOST:PORT or https://HOST:PORT")
    secrets = credentials(ca, cert, key) if parts.scheme == "https" else None
    return Endpoint(f"{host}:{port}", secrets)
