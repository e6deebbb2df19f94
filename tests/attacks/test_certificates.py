"""Certificates of the wrong authority, usage or time, made as a cluster makes its own; TLS refuses them all."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from apiserver.config import ApiServerConfig
from apiserver.http import tls
from components.cluster import pki, plan
from components.cluster.addresses import Addresses
from components.cluster.topology import Masters, Store, Topology, Workers
from components.kubelet.server.tls import Serving
from kvstore.raft.certificates import server_context
from kvstore.raft.config import TlsFiles
from kvstore.server.certificates import Certificates, Files
from tests.support.handshake import shown_serial
from tests.support.pki import Pair

NOW = datetime.now(UTC)
IDENTITIES = plan.identities(
    Topology(masters=Masters(count=1), workers=Workers(count=1), store=Store(client_port=True)), Addresses(0)
)
CLIENTS = ("cluster/admin", "cluster/kube-scheduler", "cluster/kubelet-w1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clusters' worth: this one's, one of another cluster, and pairs of this one at other times."""
    made = tmp_path_factory.mktemp("pki")
    pki.ensure(made / "own", IDENTITIES)
    pki.ensure(made / "other", IDENTITIES)
    for name, at in (("expired", NOW - timedelta(days=400)), ("early", NOW + timedelta(days=1))):
        for authority in pki.AUTHORITIES:
            target = made / name / authority
            target.mkdir(parents=True)
            for file in ("ca.crt", "ca.key"):
                (target / file).write_bytes((made / "own" / authority / file).read_bytes())
        pki.renew(made / name, IDENTITIES, at)
    return made


def pair(folder: Path, cluster: str, identity: str) -> Pair:
    return Pair(folder / cluster / f"{identity}.crt", folder / cluster / f"{identity}.key")


@pytest.fixture(params=["API server", "kubelet", "store's peers", "store's clients"])
def server(request: pytest.FixtureRequest, folder: Path) -> tuple[str, ssl.SSLContext]:
    own, where = folder / "own", str(request.param)
    cluster_ca, store_ca = own / "cluster/ca.crt", own / "store/ca.crt"
    api, kubelet, member = (
        pair(folder, "own", f) for f in ("cluster/apiserver-m1", "cluster/kubelet-w1", "store/m1")
    )
    if where == "API server":
        config = ApiServerConfig(
            tls_cert_file=api.cert, tls_private_key_file=api.key, client_ca_file=cluster_ca
        )
        return where, tls.Serving(config, NOW).context
    if where == "kubelet":
        return where, Serving(kubelet.cert, kubelet.key, cluster_ca).context
    if where == "store's peers":
        return where, server_context(TlsFiles(member.cert, member.key, store_ca))
    return where, Certificates(Files(member.cert, member.key, store_ca)).context(())


def good(where: str) -> tuple[str, ...]:
    return ("store/m1", "store/etcdctl") if where.startswith("store") else CLIENTS


def test_its_own_clients_come_in(folder: Path, server: tuple[str, ssl.SSLContext]) -> None:
    where, context = server
    for identity in good(where):
        shown_serial(context, pair(folder, "own", identity))


def test_all_others_do_not(folder: Path, server: tuple[str, ssl.SSLContext]) -> None:
    where, context = server
    other_side = good("API server" if where.startswith("store") else "store")
    attempts = [("own", identity) for identity in (*other_side, "cluster/apiserver-m1")]
    attempts += [(when, identity) for when in ("other", "expired", "early") for identity in good(where)]
    accepted = []
    for cluster, identity in attempts:
        try:
            shown_serial(context, pair(folder, cluster, identity))
        except ssl.SSLError:
            continue
        accepted.append((cluster, identity))
    assert accepted == []


def test_who_shows_none_is_nobody_at_the_api_server_and_refused_elsewhere(
    server: tuple[str, ssl.SSLContext],
) -> None:
    where, context = server
    if where == "API server":
        shown_serial(context)
        return
    with pytest.raises(ssl.SSLError):
        shown_serial(context)
