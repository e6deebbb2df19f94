"""Renews certificates of a cluster, running or stopped: leaves; in steps, authorities and keys of tokens.

    commands.certs ──▶ control (a running cluster) ──▶ renew ──▶ pki, kubeconfigs ──▶ every process takes them up
                   └─▶ stopped (under the directory's lock)

Who serves and who connects follows the files; `wait` looks at what is served.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
from cryptography import x509

from components.client import kubeconfig
from components.cluster import authorities, pki, plan, state, token_keys, topology_file
from components.cluster.addresses import Addresses
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.pki import Identity
from components.cluster.prepare import take_lock, write_kubeconfigs
from components.cluster.topology import Topology

SERVED_TIMEOUT = 15.0
TRUST_SECONDS = 4.0
"""For every process to have looked at its files: each does so every two seconds or sooner. One that is later than that
is refused by the others until it has, and tries again."""
_POLL = 0.2
_CONNECT_TIMEOUT = 2.0


class Served(msgspec.Struct, frozen=True, rename="camel"):
    """One place that shows a renewed certificate. `state` is served, not running, or what it still shows."""

    name: str
    where: str
    state: str

    @property
    def behind(self) -> bool:
        return self.state not in ("served", "not running")


def choose(identities: Sequence[Identity], names: Sequence[str]) -> list[Identity]:
    """By path (`cluster/admin`) or its last part (`admin`); all for no names. Raises ClusterError."""
    if not names:
        return list(identities)
    chosen = []
    for name in names:
        found = [i for i in identities if name in (i.path, i.path.rsplit("/", 1)[1])]
        if len(found) != 1:
            known = ", ".join(sorted(identity.path for identity in identities))
            raise ClusterError(f"there is no certificate {name!r}", f"they are: {known}")
        chosen += found
    return list(dict.fromkeys(chosen))


def renew(
    layout: Layout,
    topology: Topology,
    addresses: Addresses,
    url: str,
    names: Sequence[str],
    life: timedelta = pki.LEAF_LIFE,
) -> list[str]:
    """Issue certificates anew and write the kubeconfigs with them; the paths issued. Raises ClusterError."""
    issued = pki.renew(layout.pki, choose(plan.identities(topology, addresses), names), life=life)
    write_kubeconfigs(layout, topology, addresses, url)
    return issued


def renew_stopped(layout: Layout, names: Sequence[str]) -> list[str]:
    """The same for a cluster that does not run. Raises ClusterError, also when it does."""
    with _stopped(layout) as (topology, addresses):
        return renew(layout, topology, addresses, _url(layout), names)


def begin_authorities(layout: Layout, topology: Topology, addresses: Addresses, url: str) -> None:
    """New authorities are trusted beside the old ones, by files and kubeconfigs alike."""
    authorities.begin(layout.pki)
    write_kubeconfigs(layout, topology, addresses, url)


def switch_authorities(layout: Layout, topology: Topology, addresses: Addresses, url: str) -> list[str]:
    """They sign from now on, and have signed everything; the paths issued. The keys of tokens stay."""
    authorities.switch(layout.pki)
    issued = pki.ensure(layout.pki, plan.identities(topology, addresses))
    write_kubeconfigs(layout, topology, addresses, url)
    return issued


def drop_authorities(layout: Layout, topology: Topology, addresses: Addresses, url: str) -> None:
    """The old authorities are trusted no more."""
    authorities.drop(layout.pki)
    write_kubeconfigs(layout, topology, addresses, url)


def drop_stopped(layout: Layout) -> None:
    """The same for a cluster that does not run."""
    with _stopped(layout) as (topology, addresses):
        drop_authorities(layout, topology, addresses, _url(layout))


def renew_authorities(layout: Layout) -> list[str]:
    """New authorities for a stopped cluster at once, and everything issued by them. The keys of tokens stay."""
    with _stopped(layout) as (topology, addresses):
        url = _url(layout)
        pki.forget_authorities(layout.pki)
        for path in layout.workers.glob("*/pki/kubelet-client-current.pem"):
            path.unlink(missing_ok=True)  # of the old authority: worth nothing any more
        issued = pki.ensure(layout.pki, plan.identities(topology, addresses))
        write_kubeconfigs(layout, topology, addresses, url)
        return issued


def exchange_token_key_stopped(layout: Layout) -> None:
    """A new key for the tokens of a stopped cluster; those of the old one stay good. Raises ClusterError."""
    with _stopped(layout):
        token_keys.begin(layout.pki / "cluster")
        token_keys.switch(layout.pki / "cluster")


def drop_token_keys_stopped(layout: Layout) -> None:
    """Tokens of the old keys are refused from the next start on. Raises ClusterError."""
    with _stopped(layout):
        token_keys.drop(layout.pki / "cluster")


@contextlib.contextmanager
def _stopped(layout: Layout) -> Iterator[tuple[Topology, Addresses]]:
    topology, addresses = known(layout)
    layout.make()
    lock = take_lock(layout)
    try:
        yield topology, addresses
        shutil.rmtree(layout.run, ignore_errors=True)
    finally:
        os.close(lock)


def known(layout: Layout) -> tuple[Topology, Addresses]:
    """What the cluster there was last started with. Raises ClusterError."""
    decided = state.load(layout)
    if decided is None:
        raise ClusterError(f"{layout.root}: there is no cluster", "name its directory: --dir DIR")
    return topology_file.load(layout.topology), Addresses(decided.slot)


def _url(layout: Layout) -> str:
    try:
        return kubeconfig.load(layout.kubeconfig).server
    except kubeconfig.KubeconfigError as error:
        raise ClusterError(
            f"where the cluster serves is not known: {error}", "start it (kuberaft up), then renew"
        ) from error


def wait(
    layout: Layout,
    issued: Sequence[str],
    *,
    timeout: float = SERVED_TIMEOUT,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Served]:
    """Look at every place that shows one of the certificates until all show what is on disk, or time is over."""
    places = plan.serving(*known(layout))
    wanted = [(name, place) for name in issued for place in places.get(name, ())]
    deadline = time.monotonic() + timeout
    while True:
        found = [_look(layout, name, place) for name, place in wanted]
        if not any(one.behind for one in found) or time.monotonic() >= deadline:
            return found
        sleep(_POLL)


def _look(layout: Layout, name: str, place: tuple[str, int]) -> Served:
    where = f"{place[0]}:{place[1]}"
    on_disk = x509.load_pem_x509_certificate((layout.pki / f"{name}.crt").read_bytes()).serial_number
    client = name if name.startswith("store/") else "cluster/admin"
    try:
        shown = shown_serial(place, layout.pki / f"{client}.crt", layout.pki / f"{client}.key")
    except ConnectionRefusedError:
        return Served(name, where, "not running")
    except (OSError, ValueError) as error:
        return Served(name, where, f"does not answer: {error or type(error).__name__}")
    return Served(name, where, "served" if shown == on_disk else f"still shows serial {shown:x}")


def shown_serial(place: tuple[str, int], cert: Path, key: Path) -> int:
    """The serial number of the certificate a server shows. Raises OSError (ssl.SSLError is one)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # who it is, is what we ask
    context.load_cert_chain(cert, key)
    with socket.create_connection(place, _CONNECT_TIMEOUT) as plain, context.wrap_socket(plain) as secure:
        return x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"").serial_number
