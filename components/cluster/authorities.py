"""Exchanges the authorities of a running cluster in steps, each of which leaves everything trusted that is in use.

    begin    ca.crt = old + new; signed by the old          everybody here comes to trust the new one
    switch   ca.key = the new one's; all leaves anew        everybody shows certificates of the new one
    drop     ca.crt = new                                   nobody trusts the old one any more

Who is not here, a copy of a kubeconfig or a pod that has read its authority long ago, trusts the old one alone until
then: servers show it the new one as signed by the old (`ca-cross.crt`).

`ca.crt` is what is trusted; the key says which of its certificates signs (`pki`), so a switch is one file exchanged,
and a cut anywhere is continued by the same command. Between `begin` and `switch` the processes must have had the time
to look at their files; `renewal` and the supervisor see to that. `drop` is a person's decision: copies of kubeconfigs
and pods may still trust the old authority alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from components.cluster import pki
from components.cluster.errors import ClusterError
from components.cluster.files import read, write_if_changed, write_private

_NEXT_KEY, _NEXT_CERTIFICATE, _NEXT_CROSS = "ca-next.key", "ca-next.crt", "ca-next-cross.crt"
_OF_AUTHORITIES = frozenset({"ca.crt", _NEXT_CERTIFICATE, _NEXT_CROSS, pki.CROSS})


def begin(pki_directory: Path, now: datetime | None = None) -> None:
    """Make new authorities, and have them trusted beside the old ones. Raises ClusterError."""
    for name in pki.AUTHORITIES:
        directory = pki_directory / name
        old, at = pki.load_authority(directory), now or datetime.now(UTC)
        if not (directory / _NEXT_KEY).exists():
            made = pki.new_authority(name, at)
            write_private(directory / _NEXT_CROSS, _pem(pki.cross_signed(old, made, at)))
            write_private(directory / _NEXT_CERTIFICATE, _pem(made.certificate))
            write_private(directory / _NEXT_KEY, pki.key_pem(made))
        coming = _certificates(directory / _NEXT_CERTIFICATE)
        _trust(directory, [*trusted(directory), *coming])


def switch(pki_directory: Path) -> None:
    """From now on the new authorities sign; without effect where nothing was begun. Raises ClusterError."""
    for name in pki.AUTHORITIES:
        directory = pki_directory / name
        if not (directory / _NEXT_KEY).exists():
            continue
        coming = _certificates(directory / _NEXT_CERTIFICATE)
        write_private(directory / pki.CROSS, read(directory / _NEXT_CROSS))
        write_private(directory / "ca.key", read(directory / _NEXT_KEY))
        _trust(directory, [*coming, *trusted(directory)])
        for file in (_NEXT_KEY, _NEXT_CERTIFICATE, _NEXT_CROSS):
            (directory / file).unlink(missing_ok=True)


def drop(pki_directory: Path) -> None:
    """Trust the authorities that sign, and no other. Raises ClusterError, also in the middle of an exchange."""
    if any((pki_directory / name / _NEXT_KEY).exists() for name in pki.AUTHORITIES):
        raise ClusterError(
            "new authorities are being taken into use", "finish that first: kuberaft certs renew --ca"
        )
    for name in pki.AUTHORITIES:
        directory = pki_directory / name
        _trust(directory, [pki.load_authority(directory).certificate])
        (directory / pki.CROSS).unlink(missing_ok=True)
        for path in leaves(directory):
            write_if_changed(path, _pem(_certificates(path)[0]))


def leaves(directory: Path) -> list[Path]:
    """The certificate files below an authority."""
    return sorted(path for path in directory.glob("*.crt") if path.name not in _OF_AUTHORITIES)


def trusted(directory: Path) -> list[x509.Certificate]:
    """Every authority in `ca.crt`. Raises ClusterError."""
    return _certificates(directory / "ca.crt")


def _trust(directory: Path, certificates: list[x509.Certificate]) -> None:
    """In that order, each once."""
    content = b"".join(map(_pem, dict.fromkeys(certificates)))
    write_if_changed(directory / "ca.crt", content)


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(read(path))
    except ValueError as error:
        raise ClusterError(f"{path}: holds no certificates: {error}", "restore it from a backup") from error


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
