"""The keys of service account tokens: one signs, all verify. Files of them may be exchanged while the server runs.

Used by `service_account_tokens`. A file of verifying keys holds one or several, in PEM; private keys count as their
public half. So keys are exchanged in three steps, each by writing a file: the new public key beside the old one, the
new private key, and later, when no token of the old key is in use any more, the new public key alone.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from apiserver.config_files.following import FollowedFile, opened

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
VERIFYING: Final = "--service-account-key-file"
SIGNING: Final = "--service-account-signing-key-file"
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)
_PRIVATE: Final = b"PRIVATE KEY"
_CERTIFICATE: Final = b"CERTIFICATE"
_ALGORITHMS: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


class TokenKeys:
    """Without files it neither signs nor verifies. ``signing``: what signs, with its id; None: nothing does."""

    def __init__(self) -> None:
        self._files: dict[Path, list[PublicKey]] = {}
        self.signing: tuple[PrivateKey, str] | None = None
        self.public: Mapping[str, PublicKey] = {}
        """By their ids."""

    def verify_with(self, path: Path, content: bytes) -> None:
        """These are now the keys of that file. Raises ValueError and changes nothing."""
        found = public_keys(content)
        self._files[path] = found
        self.public = {key_id(key): key for keys in self._files.values() for key in keys}

    def sign_with(self, content: bytes) -> None:
        """Raises ValueError and changes nothing."""
        key = private_key(content)
        self.signing = key, key_id(key.public_key())

    def algorithms(self) -> set[str]:
        return {algorithm(key) for key in self.public.values()} or {"RS256"}


def follow(keys: TokenKeys, verifying: Sequence[Path], signing: Path | None) -> list[FollowedFile]:
    """What they hold is in ``keys`` from now on. Without ``verifying`` it is the signing one's. Raises ConfigError."""

    def verifies(path: Path) -> FollowedFile:
        return opened(VERIFYING, path, lambda content: keys.verify_with(path, content))

    found = [verifies(path) for path in verifying or ([signing] if signing else [])]
    return found if signing is None else [*found, opened(SIGNING, signing, keys.sign_with)]


def public_keys(content: bytes) -> list[PublicKey]:
    """Of every PEM block of a key or a certificate; others are passed over. Raises ValueError when there is none."""
    found = [_public(kind, block) for kind, block in _blocks(content)]
    if not found:
        raise ValueError("not a PEM key")
    return found


def private_key(content: bytes) -> PrivateKey:
    """The first of them. Raises ValueError."""
    for kind, block in _blocks(content):
        if kind.endswith(_PRIVATE):
            return _private(block)
    raise ValueError("not a PEM key that signs")


def _blocks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Each with its kind."""
    found = [(match.group(1), match.group(0)) for match in _BLOCK.finditer(content)]
    return [(kind, block) for kind, block in found if kind.endswith((_PRIVATE, b"PUBLIC KEY", _CERTIFICATE))]


def _public(kind: bytes, block: bytes) -> PublicKey:
    if kind.endswith(_PRIVATE):
        return _private(block).public_key()
    try:
        if kind == _CERTIFICATE:
            key: Any = x509.load_pem_x509_certificate(block).public_key()
        else:
            key = serialization.load_pem_public_key(block)
    except ValueError as exc:
        raise ValueError(f"not a PEM key: {exc}") from exc
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise ValueError("not a key of RSA or ECDSA")
    algorithm(key)
    return key


def _private(block: bytes) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(block, password=None)
    except (ValueError, TypeError) as exc:  # TypeError: it is encrypted
        raise ValueError(f"not a PEM key: {exc}") from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("not a key of RSA or ECDSA")
    algorithm(key)
    return key


def key_id(key: PublicKey) -> str:
    """As the original names a public key: the hash of its DER form."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def algorithm(key: PublicKey | PrivateKey) -> str:
    """Of the signatures that a key makes, by its JWT name. Raises ValueError for a curve that JWT has no name for."""
    if not isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return "RS256"
    found = _ALGORITHMS.get(key.curve.name)
    if found is None:
        raise ValueError(
            f"a key of the curve {key.curve.name} cannot sign tokens: use P-256, P-384, P-521 or RSA"
        )
    return found
