"""Exchanges the key that signs service account tokens, in steps, each of which leaves all tokens good.

    begin    sa.pub = old + new                 every API server comes to accept both
    switch   sa.key = the new one               they sign with the new one
    drop     sa.pub = new                       tokens of the old one are refused

As `authorities` does it for certificates, and with the same pause between `begin` and `switch`: API servers follow
these files. `drop` is a person's decision, for when no token of the old key is in use any more: kubelets replace those
of pods after 80 % of their life.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from components.cluster.errors import ClusterError
from components.cluster.files import read, write_if_changed, write_private

SIGNING, VERIFYING = "sa.key", "sa.pub"
_NEXT = "sa-next.key"
_END = b"-----END PUBLIC KEY-----\n"


def ensure(directory: Path) -> bool:
    """Make the keys where they are missing; whether they were. A start never replaces them: tokens outlive it."""
    if (directory / SIGNING).exists() and (directory / VERIFYING).exists():
        return False
    made = _made()
    write_private(directory / SIGNING, made)
    write_private(directory / VERIFYING, _public(directory / SIGNING))
    return True


def begin(directory: Path) -> None:
    """Make a new key, and have its tokens accepted beside those of the old one. Raises ClusterError."""
    if not (directory / _NEXT).exists():
        write_private(directory / _NEXT, _made())
    _accept(directory, [*_accepted(directory), _public(directory / _NEXT)])


def switch(directory: Path) -> None:
    """From now on the new key signs; without effect where nothing was begun. Raises ClusterError."""
    if not (directory / _NEXT).exists():
        return
    write_private(directory / SIGNING, read(directory / _NEXT))
    _accept(directory, [_public(directory / SIGNING), *_accepted(directory)])
    (directory / _NEXT).unlink(missing_ok=True)


def drop(directory: Path) -> None:
    """Accept tokens of the key that signs, and of no other. Raises ClusterError, also in the middle of an exchange."""
    if (directory / _NEXT).exists():
        raise ClusterError(
            "a new key for tokens is being taken into use",
            "finish that first: kuberaft certs renew --token-key",
        )
    _accept(directory, [_public(directory / SIGNING)])


def _accepted(directory: Path) -> list[bytes]:
    return [part + _END for part in read(directory / VERIFYING).split(_END) if part.strip()]


def _accept(directory: Path, keys: list[bytes]) -> None:
    """In that order, each once."""
    write_if_changed(directory / VERIFYING, b"".join(dict.fromkeys(keys)))


def _made() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public(path: Path) -> bytes:
    """The public half of the private key there."""
    try:
        key = serialization.load_pem_private_key(read(path), password=None)
    except (ValueError, TypeError) as error:
        raise ClusterError(f"{path}: holds no private key: {error}", "restore it from a backup") from error
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
