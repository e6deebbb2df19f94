"""Everything `kuberaft up` decides and writes before the first process starts; all of it, or nothing.

Order: lock the data directory, decide topology and slot, take every port, and only then write certificates
and configurations. What fails leaves the directory as it was. The result is what `supervisor` needs.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from components.cluster import encryption, interrupted, pki, plan, slots, state, topology_file
from components.cluster.addresses import (
    API_PORT,
    CLIENT_PORT,
    KUBELET_PORT,
    PEER_PORT,
    PEER_PROXY_PORT,
    Addresses,
)
from components.cluster.errors import ClusterError
from components.cluster.files import write_if_changed, write_private
from components.cluster.kubeconfigs import render
from components.cluster.layout import Layout, unusable
from components.cluster.state import State
from components.cluster.topology import Topology, master_names, worker_names

API_HOST = "127.0.0.1"
STOP_OTHER = "stop that cluster (kuberaft down --dir ...)"
_RESERVED_BYTES = 64 << 20  # of free disk space, below which a start would only fail later and worse


@dataclass
class Prepared:
    """A cluster ready to start. `close` gives the lock, the slot and the port back."""

    layout: Layout
    topology: Topology
    addresses: Addresses
    state: State
    api_socket: socket.socket
    api_url: str
    guard: slots.SlotGuard
    lock: int

    def close(self) -> None:
        """Release what other clusters may want, and leave nothing in `run/`."""
        self.api_socket.close()
        self.guard.close()
        shutil.rmtree(self.layout.run, ignore_errors=True)
        os.close(self.lock)


def prepare(layout: Layout, asked: Topology | None) -> Prepared:
    """Ready the cluster in `layout`: the one that is there, or a new one of topology `asked`.

    Raises ClusterError, having changed nothing.
    """
    made = first_missing(layout.root)
    if not layout.exists():
        refuse_foreign(layout)
    with contextlib.ExitStack() as undo:
        layout.make()
        lock = take_lock(layout)
        undo.callback(os.close, lock)
        interrupted.take_back(layout)
        if not layout.exists():
            undo.callback(remove_new, layout, made)
        _check_space(layout.root)
        topology = _decide(layout, asked)
        known = state.load(layout)
        guard = _slot(layout, topology, known)
        undo.callback(guard.close)
        addresses = Addresses(guard.slot)
        _probe_ports(topology, addresses)
        api_socket = _listen(API_HOST, topology.masters.api_port)
        undo.callback(api_socket.close)
        decided = known or State(slot=guard.slot, token=state.new_token(), masters=topology.masters.count)
        url = f"https://{API_HOST}:{api_socket.getsockname()[1]}"
        _write(layout, topology, addresses, decided, url)
        undo.pop_all()
    return Prepared(layout, topology, addresses, decided, api_socket, url, guard, lock)


def take_lock(layout: Layout) -> int:
    """The data directory, until the returned descriptor is closed or the process ends in any way."""
    try:
        descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable(layout.lock, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        pid = os.read(descriptor, 20).decode(errors="replace").strip() or "?"
        os.close(descriptor)
        raise ClusterError(
            f"{layout.root}: a cluster is already running there (process {pid})",
            "look at it (kuberaft status), stop it (kuberaft down), or use another directory (--dir)",
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _decide(layout: Layout, asked: Topology | None) -> Topology:
    """The topology asked for, else the directory's own, else the default; masters cannot change."""
    known = state.load(layout)
    if known is None:
        return asked or topology_file.load(topology_file.find("ha"))
    topology = asked or topology_file.load(layout.topology)
    if topology.masters.count != known.masters:
        raise ClusterError(
            f"{layout.root}: the cluster there has {known.masters} masters, the topology asked for has "
            f"{topology.masters.count}",
            "start it without --config, use another directory (--dir), or delete it: kuberaft down --purge",
        )
    return topology


def _slot(layout: Layout, topology: Topology, known: State | None) -> slots.SlotGuard:
    wanted = topology.network.slot
    if known is None:
        if wanted == "auto":
            return slots.claim_any(str(layout.root))
        return slots.claim(wanted, f"{STOP_OTHER}, or set network.slot in this one's topology")
    if wanted not in ("auto", known.slot):
        raise ClusterError(
            f"network.slot = {wanted}: the data of this cluster names addresses of slot {known.slot}",
            "leave network.slot out, or start a new cluster in another directory (--dir)",
        )
    return slots.claim(known.slot, f"{STOP_OTHER}: the Services stored here have addresses of that slot")


def _probe_ports(topology: Topology, addresses: Addresses) -> None:
    """Every port the processes will want, so that a taken one is told here and not in some log."""
    ports = [API_PORT, PEER_PORT]
    ports += [CLIENT_PORT] if topology.store.client_port else []
    ports += [PEER_PROXY_PORT] if topology.masters.peer_proxies else []
    wanted = [(addresses.master(plan.index(m)), port) for m in master_names(topology) for port in ports]
    wanted += [(addresses.node(plan.index(w)), KUBELET_PORT) for w in worker_names(topology)]
    for host, port in wanted:
        _listen(host, port).close()


def _listen(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(512)
    except OSError as error:
        sock.close()
        raise _taken(host, port, error) from error
    sock.setblocking(False)
    return sock


def _taken(host: str, port: int, error: OSError) -> ClusterError:
    if error.errno != errno.EADDRINUSE:
        return ClusterError(
            f"cannot listen on {host}:{port}: {error.strerror}", "choose another masters.apiPort"
        )
    remedy = "stop the process that listens there (ss -ltnp)"
    if host == API_HOST:
        remedy += ", or choose another port: kuberaft up --api-port N (0 takes a free one)"
    return ClusterError(f"port {port} on {host} is taken", remedy)


def _write(layout: Layout, topology: Topology, addresses: Addresses, decided: State, url: str) -> None:
    pki.ensure(layout.pki, plan.identities(topology, addresses))
    secrets = encryption.ensure(layout.pki, wanted=topology.api_server.encrypt_secrets)
    files = plan.process_files(topology, addresses, layout, decided.token, str(secrets or ""))
    for name, content in files.items():
        write_if_changed(layout.config_file(name), content)
    write_kubeconfigs(layout, topology, addresses, url)
    write_if_changed(layout.topology, topology_file.dump(topology).encode())
    state.save(layout, decided)


def write_kubeconfigs(layout: Layout, topology: Topology, addresses: Addresses, url: str) -> None:
    """Those of the components and the user's, with the certificates as they are now."""
    for name, identity in plan.kubeconfigs(topology).items():
        write_if_changed(layout.component_kubeconfig(name), render(layout.pki, identity, url))
    for name, (identity, master) in plan.local_kubeconfigs(topology).items():
        own = f"https://{addresses.master(plan.index(master))}:{API_PORT}"
        write_if_changed(layout.component_kubeconfig(name), render(layout.pki, identity, own))
    write_if_changed(layout.kubeconfig, render(layout.pki, "cluster/admin", url, cluster=topology.name))


def _check_space(directory: Path) -> None:
    """A real write, because quotas and reserved blocks lie in statvfs; then the figure, because a start needs
    room.
    """
    probe = directory / f".space-{os.getpid()}"
    try:
        write_private(probe, b"\0" * 65536)
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    free = shutil.disk_usage(directory).free
    if free < _RESERVED_BYTES:
        raise ClusterError(
            f"{directory}: {free >> 20} MiB are free on that disk, a start needs {_RESERVED_BYTES >> 20} MiB",
            "free some space on that disk, or choose a directory on another: --dir DIR",
        )


def refuse_foreign(layout: Layout) -> None:
    """A directory with other things in it is not made a cluster's: `down --purge` would take them along."""
    try:
        found = {name for name in os.listdir(layout.root) if not name.startswith(interrupted.PREFIX)}
        foreign = sorted(found - layout.own_names())
    except OSError:
        return  # missing: it will be made; unreadable: making it says why
    if foreign:
        raise ClusterError(
            f"{layout.root}: holds other things ({', '.join(foreign[:3])}) and no cluster",
            "choose an empty or a new directory: --dir DIR",
        )


def first_missing(path: Path) -> Path | None:
    """The topmost directory that `mkdir -p path` would create."""
    missing = None
    for candidate in _upwards(path):
        if candidate.exists():
            break
        missing = candidate
    return missing


def _upwards(path: Path) -> Iterator[Path]:
    yield path
    yield from path.parents


def remove_new(layout: Layout, made: Path | None) -> None:
    """Take back what a start that failed has made; a directory that was there before keeps its own files."""
    if made is not None:
        shutil.rmtree(made, ignore_errors=True)
        return
    if layout.state.exists():
        return
    for path in (layout.pki, layout.config, layout.run, layout.logs, layout.masters, layout.workers):
        shutil.rmtree(path, ignore_errors=True)
    for file in (layout.kubeconfig, layout.topology):
        file.unlink(missing_ok=True)
