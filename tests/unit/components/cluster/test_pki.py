"""Certificates: separate authorities, one identity per component, reused until they must change."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from components.cluster import pki, plan
from components.cluster.addresses import Addresses
from components.cluster.errors import ClusterError
from components.cluster.pki import Identity
from components.cluster.topology import Topology

ADDRESSES = Addresses(3)
IDENTITIES = plan.identities(Topology(), ADDRESSES)


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def hosts(path: Path) -> set[str]:
    names = certificate(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def test_every_identity_is_issued_once(tmp_path: Path) -> None:
    issued = pki.ensure(tmp_path, IDENTITIES)
    assert set(issued) == {i.path for i in IDENTITIES} | {
        "store/ca",
        "cluster/ca",
        "front-proxy/ca",
        "cluster/sa",
    }
    assert pki.ensure(tmp_path, IDENTITIES) == []


def test_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    pki.ensure(tmp_path, IDENTITIES)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*.key")}
    assert modes == {0o600}


def test_the_api_server_serves_under_every_name_clients_use(tmp_path: Path) -> None:
    pki.ensure(tmp_path, IDENTITIES)
    expected = {"127.0.0.1", "localhost", "kubernetes.default.svc", "127.71.0.1", "127.70.254.2", "m2"}
    assert expected <= hosts(tmp_path / "cluster/apiserver-m2.crt")


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("cluster/admin", "CN=kuberaft-admin,O=system:masters"),
        ("cluster/kubelet-w1", "CN=system:node:w1,O=system:nodes"),
        ("cluster/kube-scheduler", "CN=system:kube-scheduler"),
        ("cluster/kube-controller-manager", "CN=system:kube-controller-manager"),
    ],
)
def test_subjects_are_those_kubernetes_authorizes(tmp_path: Path, path: str, subject: str) -> None:
    pki.ensure(tmp_path, IDENTITIES)
    assert certificate(tmp_path / f"{path}.crt").subject.rfc4514_string() == subject


def test_no_certificate_of_the_cluster_is_valid_in_the_store(tmp_path: Path) -> None:
    pki.ensure(tmp_path, IDENTITIES)
    store_ca = certificate(tmp_path / "store/ca.crt")
    certificate(tmp_path / "store/m1.crt").verify_directly_issued_by(store_ca)
    for path in (tmp_path / "cluster").glob("*.crt"):
        with pytest.raises((InvalidSignature, ValueError)):
            certificate(path).verify_directly_issued_by(store_ca)


def test_only_a_leaf_that_changed_is_reissued(tmp_path: Path) -> None:
    pki.ensure(tmp_path, IDENTITIES)
    moved = [
        replace(i, hosts=("w1", "127.0.0.9")) if i.path == "cluster/kubelet-w1" else i for i in IDENTITIES
    ]
    assert pki.ensure(tmp_path, moved) == ["cluster/kubelet-w1"]
    assert hosts(tmp_path / "cluster/kubelet-w1.crt") == {"w1", "127.0.0.9"}


def test_leaves_about_to_end_are_reissued_and_authorities_kept(tmp_path: Path) -> None:
    pki.ensure(tmp_path, IDENTITIES)
    later = datetime.now(UTC) + pki.LEAF_LIFE - timedelta(days=10)
    assert set(pki.ensure(tmp_path, IDENTITIES, later)) == {i.path for i in IDENTITIES}


@pytest.mark.parametrize("damage", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAA==\n"])
def test_a_damaged_leaf_is_replaced_and_a_damaged_authority_refused(tmp_path: Path, damage: bytes) -> None:
    only = [Identity("cluster/admin", "admin")]
    pki.ensure(tmp_path, only)
    (tmp_path / "cluster/admin.key").write_bytes(damage)
    assert pki.ensure(tmp_path, only) == ["cluster/admin"]
    (tmp_path / "cluster/ca.key").write_bytes(damage)
    with pytest.raises(ClusterError, match=str(tmp_path / "cluster")) as raised:
        pki.ensure(tmp_path, only)
    assert "restore" in raised.value.remedy


def test_another_authoritys_key_is_refused(tmp_path: Path) -> None:
    pki.ensure(tmp_path, IDENTITIES)
    (tmp_path / "cluster/ca.key").write_bytes((tmp_path / "store/ca.key").read_bytes())
    with pytest.raises(ClusterError, match=r"is not the key of ca\.crt"):
        pki.ensure(tmp_path, IDENTITIES)
