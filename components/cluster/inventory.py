"""Every certificate in a cluster's data directory, whether the cluster runs or not: files in, `certificates` out.

The PKI, the kubeconfigs made from it, and what kubelets have asked for themselves. A file that cannot be read is a row
with a problem, never an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from components.client import kubeconfig
from components.cluster.authorities import leaves
from components.cluster.certificates import Certificate, describe
from components.cluster.errors import ClusterError
from components.cluster.layout import Layout
from components.cluster.pki import AUTHORITIES

_BEGIN = b"-----BEGIN CERTIFICATE-----"


def inventory(layout: Layout, now: datetime) -> list[Certificate]:
    """Raises ClusterError where there is no cluster."""
    if not layout.exists():
        raise ClusterError(f"{layout.root}: there is no cluster", "name its directory: --dir DIR")
    return [*_authorities(layout, now), *_leaves(layout, now), *_kubeconfigs(layout, now), *_own(layout, now)]


def _authorities(layout: Layout, now: datetime) -> Iterator[Certificate]:
    """The one that signs, and others that are still trusted."""
    for name in AUTHORITIES:
        stem = layout.pki / name / "ca"
        signs = _pair(f"{name}/ca", stem, now, None)
        bundle = [_BEGIN + pem for pem in _content(stem.with_suffix(".crt")).split(_BEGIN)[1:]]
        key = _content(stem.with_suffix(".key"))
        rows = [(pem, describe(f"{name}/ca", pem, now, key=key)) for pem in bundle]
        own = next((pem for pem, row in rows if not row.problem), None)
        yield signs if own is None else describe(f"{name}/ca", own, now, key=key)
        others = [pem for pem in bundle if pem != (own or bundle[0])]
        for number, pem in enumerate(others, 2):
            yield describe(f"{name}/ca ({number})", pem, now)


def _leaves(layout: Layout, now: datetime) -> Iterator[Certificate]:
    for directory in sorted(layout.pki.glob("*/")):
        for path in leaves(directory):
            name = str(path.relative_to(layout.pki).with_suffix(""))
            yield _pair(name, path.with_suffix(""), now, path.with_name("ca.crt"))


def _pair(name: str, stem: Path, now: datetime, authority: Path | None) -> Certificate:
    certificate, key = stem.with_name(stem.name + ".crt"), stem.with_name(stem.name + ".key")
    try:
        pem = certificate.read_bytes()
    except OSError as error:
        return Certificate(name, problem=f"cannot be read: {error.strerror}")
    return describe(
        name, pem, now, key=_content(key), authority=None if authority is None else _content(authority)
    )


def _kubeconfigs(layout: Layout, now: datetime) -> Iterator[Certificate]:
    own = (
        [layout.kubeconfig] if layout.kubeconfig.exists() else []
    )  # a restored cluster has none before its start
    for path in (*own, *sorted(layout.config.glob("*.kubeconfig"))):
        name = str(path.relative_to(layout.root))
        try:
            config = kubeconfig.load(path)
        except kubeconfig.KubeconfigError as error:
            yield Certificate(name, problem=f"cannot be read: {error}")
            continue
        authority = _content(layout.pki / "cluster" / "ca.crt")
        yield describe(
            name, config.client_cert or b"", now, key=config.client_key or b"", authority=authority
        )


def _own(layout: Layout, now: datetime) -> Iterator[Certificate]:
    """What kubelets have been given at their own request: certificate and key in one file."""
    for path in sorted(layout.workers.glob("*/pki/kubelet-client-current.pem")):
        name, pem = str(path.relative_to(layout.root)), _content(path)
        yield describe(name, pem, now, key=pem, authority=_content(layout.pki / "cluster" / "ca.crt"))


def _content(path: Path) -> bytes:
    """Empty if it cannot be read: nothing fits to that."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
