"""The certificates of one cluster: three authorities, one identity per component.

The store has a CA of its own, so no client certificate of the cluster can ever speak to a store peer; so have front
proxies, who name users in headers: no user's certificate may do that, and a front proxy's opens nothing else. Keys
are ECDSA P-256: all of them take a few milliseconds, where RSA would take seconds of the start. What is on
disk is used again at the next start; a leaf is reissued when it names other addresses, belongs to another
authority or ends within 30 days. `plan` says which identities a topology needs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from components.cluster import token_keys
from components.cluster.errors import ClusterError
from components.cluster.files import write_private
from components.cluster.layout import unusable

AUTHORITIES = ("cluster", "store", "front-proxy")
CA_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
CROSS = "ca-cross.crt"
_BACKDATE = timedelta(minutes=5)  # clocks of a restored or copied cluster may differ a little


@dataclass(frozen=True)
class Identity:
    """One leaf certificate: `path` without suffix below the PKI directory, subject, names it serves under."""

    path: str
    common_name: str
    organization: str = ""
    hosts: Sequence[str] = field(default=())
    server: bool = False
    client: bool = True

    @property
    def authority(self) -> str:
        """One of `AUTHORITIES`."""
        return self.path.split("/", 1)[0]


@dataclass(frozen=True)
class Authority:
    """What signs."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def ensure(directory: Path, identities: Iterable[Identity], now: datetime | None = None) -> list[str]:
    """Make what is missing or outdated below `directory`; returns the paths issued. Raises ClusterError."""
    at = now or datetime.now(UTC)
    issued: list[str] = []
    authorities: dict[str, Authority] = {}
    for identity in identities:
        name = identity.authority
        if name not in authorities:
            authorities[name] = _authority(directory / name, name, at, issued)
        if not _usable(directory / identity.path, identity, authorities[name], at):
            _issue(directory / identity.path, identity, authorities[name], at)
            issued.append(identity.path)
    if token_keys.ensure(directory / "cluster"):
        issued.append("cluster/sa")
    return issued


def renew(
    directory: Path,
    identities: Iterable[Identity],
    now: datetime | None = None,
    life: timedelta = LEAF_LIFE,
) -> list[str]:
    """Issue each of these anew by the authorities that are there; returns their paths. Raises ClusterError.

    Certificate and key are two files: who follows them takes them up once both fit.
    """
    at = now or datetime.now(UTC)
    chosen = list(identities)
    authorities = {
        name: _living(_load_authority(directory / name / "ca.crt", directory / name / "ca.key"), name, at)
        for name in sorted({identity.authority for identity in chosen})
    }
    for identity in chosen:
        _issue(directory / identity.path, identity, authorities[identity.authority], at, life)
    return [identity.path for identity in chosen]


def forget_authorities(directory: Path) -> None:
    """`ensure` makes new ones, and issues everything anew; so does the next start, wherever this is cut off."""
    for name in AUTHORITIES:
        for file in ("ca.crt", "ca.key", CROSS, "ca-next.key", "ca-next.crt", "ca-next-cross.crt"):
            path = directory / name / file
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise unusable(path, error) from error


def _living(authority: Authority, name: str, now: datetime) -> Authority:
    ended = authority.certificate.not_valid_after_utc
    if ended <= now:
        raise ClusterError(
            f"pki/{name}/ca.crt: the certificate authority has ended on {ended:%Y-%m-%d}",
            "make a new one, while the cluster is stopped: kuberaft certs renew --ca",
        )
    return authority


def _authority(directory: Path, name: str, now: datetime, issued: list[str]) -> Authority:
    certificate_file, key_file = directory / "ca.crt", directory / "ca.key"
    if certificate_file.exists() and key_file.exists():
        return _living(_load_authority(certificate_file, key_file), name, now)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(directory, error) from error
    made = new_authority(name, now)
    write_private(key_file, _key_pem(made.key))
    write_private(certificate_file, made.certificate.public_bytes(serialization.Encoding.PEM))
    issued.append(f"{name}/ca")
    return made


def new_authority(name: str, now: datetime) -> Authority:
    """A self-signed authority, in memory."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"kuberaft-{name}-ca")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _builder(subject, subject, key.public_key(), now, CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def cross_signed(by: Authority, other: Authority, now: datetime) -> x509.Certificate:
    """`other` as an authority below `by`: who trusts that one alone comes to trust what `other` has signed."""
    key = other.key.public_key()
    life = min(CA_LIFE, by.certificate.not_valid_after_utc - now)
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
    return (
        _builder(other.certificate.subject, by.certificate.subject, key, now, life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(issuer_id, critical=False)
        .sign(by.key, hashes.SHA256())
    )


def _load_authority(certificate_file: Path, key_file: Path) -> Authority:
    """The one of the certificates in the file (`authorities`) that the key belongs to."""
    try:
        certificates = x509.load_pem_x509_certificates(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"{certificate_file.parent}: the certificate authority cannot be read: {error}",
            "restore the directory from a backup (kuberaft restore), or start afresh: kuberaft down --purge",
        ) from error
    own = next((c for c in certificates if c.public_key() == key.public_key()), None)
    if own is None or not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ClusterError(
            f"{key_file}: is not the key of {certificate_file.name}",
            "restore the directory from a backup (kuberaft restore), or start afresh: kuberaft down --purge",
        )
    return Authority(own, key)


def _usable(path: Path, identity: Identity, authority: Authority, now: datetime) -> bool:
    """Is the pair on disk this identity's, of this authority, and not about to end?"""
    try:
        certificate = x509.load_pem_x509_certificate(path.with_name(path.name + ".crt").read_bytes())
        key = serialization.load_pem_private_key(
            path.with_name(path.name + ".key").read_bytes(), password=None
        )
        certificate.verify_directly_issued_by(authority.certificate)
    except Exception:  # whatever is wrong with a leaf, issuing another is the cure
        return False
    return (
        key.public_key() == certificate.public_key()
        and certificate.subject == _subject(identity)
        and certificate.not_valid_after_utc - now > RENEW_BEFORE
        and _hosts_of(certificate) == set(identity.hosts)
    )


def _hosts_of(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in names}


def _issue(
    path: Path, identity: Identity, authority: Authority, now: datetime, longest: timedelta = LEAF_LIFE
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.SERVER_AUTH] if identity.server else []
    usages += [ExtendedKeyUsageOID.CLIENT_AUTH] if identity.client else []
    life = min(longest, authority.certificate.not_valid_after_utc - now)
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = (
        _builder(_subject(identity), authority.certificate.subject, key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(issuer_id, critical=False)
    )
    if identity.hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in identity.hosts])
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    if identity.server:
        certificate += _chain(path.parent)
    write_private(path.with_name(path.name + ".key"), _key_pem(key))
    write_private(path.with_name(path.name + ".crt"), certificate)


def _chain(directory: Path) -> bytes:
    """What servers show beside their own certificate while an authority is exchanged (`authorities`)."""
    try:
        return (directory / CROSS).read_bytes()
    except OSError:
        return b""


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + life)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(identity: Identity) -> x509.Name:
    organization = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, identity.organization)]
    common_name = [x509.NameAttribute(NameOID.COMMON_NAME, identity.common_name)]
    return x509.Name((organization if identity.organization else []) + common_name)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def load_authority(directory: Path) -> Authority:
    """The authority in a directory that is to sign now. Raises ClusterError."""
    return _living(
        _load_authority(directory / "ca.crt", directory / "ca.key"), directory.name, datetime.now(UTC)
    )


def key_pem(authority: Authority) -> bytes:
    """Its private key."""
    return _key_pem(authority.key)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
