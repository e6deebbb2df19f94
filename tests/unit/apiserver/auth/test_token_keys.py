"""Keys of service account tokens: what a file may hold, and their exchange while the server runs."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from apiserver.auth import token_keys
from apiserver.auth.service_account_tokens import ServiceAccountTokens, TokenError
from apiserver.auth.token_keys import TokenKeys
from apiserver.config import ConfigError

ACCOUNT = {"metadata": {"namespace": "ns", "name": "robot", "uid": "u"}}
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EC = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
RSA = rsa.generate_private_key(65537, 2048)
KOBLITZ = ec.generate_private_key(ec.SECP256K1())
ED = ed25519.Ed25519PrivateKey.generate()
PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


def private(key: Any, secret: bytes = b"") -> bytes:
    hidden: Any = serialization.BestAvailableEncryption(secret) if secret else serialization.NoEncryption()
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL
        if key is not ED
        else serialization.PrivateFormat.PKCS8,
        hidden,
    )
    return pem


def public(key: Any) -> bytes:
    pem: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem


def certificate(key: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (public(EC[0]), EC[:1]),
        (private(EC[0]), EC[:1]),
        (PARAMETERS + private(EC[0]), EC[:1]),
        (public(EC[0]) + b"# the old one:\n" + public(EC[1]) + public(RSA), [*EC, RSA]),
        (certificate(RSA), [RSA]),
    ],
)
def test_what_verifies(content: bytes, keys: list[Any]) -> None:
    found = token_keys.public_keys(content)
    assert [token_keys.key_id(key) for key in found] == [token_keys.key_id(k.public_key()) for k in keys]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not a PEM key"),
        (PARAMETERS, "not a PEM key"),
        (public(ED), "not a key of RSA or ECDSA"),
        (private(ED), "not a key of RSA or ECDSA"),
        (public(KOBLITZ), "a key of the curve secp256k1 cannot sign tokens"),
        (private(KOBLITZ), "a key of the curve secp256k1 cannot sign tokens"),
        (public(EC[0]).replace(b"M", b"!", 3), "not a PEM key: "),
        (private(EC[0], b"secret"), "not a PEM key: "),
    ],
)
def test_what_does_not(content: bytes, text: str, tmp_path: Path) -> None:
    file = tmp_path / "sa.pub"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"--service-account-key-file {file}: {text}"):
        token_keys.follow(TokenKeys(), [file], None)


def test_a_public_key_does_not_sign(tmp_path: Path) -> None:
    file = tmp_path / "sa.pub"
    file.write_bytes(public(EC[0]))
    with pytest.raises(ConfigError, match=r"--service-account-signing-key-file .*: not a PEM key that signs"):
        token_keys.follow(TokenKeys(), [], file)


def test_keys_are_exchanged_without_a_restart(tmp_path: Path) -> None:
    """In three steps; whatever a file holds meanwhile that cannot be used, what was read before still holds."""
    old, new = EC
    signing, verifying, keys = tmp_path / "sa.key", tmp_path / "sa.pub", TokenKeys()
    signing.write_bytes(private(old))
    verifying.write_bytes(public(old))
    files = token_keys.follow(keys, [verifying], signing)

    async def lookup(plural: str, namespace: str, name: str) -> dict[str, Any]:
        return ACCOUNT

    tokens = ServiceAccountTokens(["https://issuer"], keys, ["api"], lookup, lambda: datetime.now(UTC))

    def step(path: Path, content: bytes) -> None:
        path.write_bytes(content)

        async def look() -> None:
            for file in files:
                await file.look()

        asyncio.run(look())

    def issued() -> str:
        return tokens.issue(ACCOUNT, ["api"], 3600, {}, "id")[0]

    def accepted(token: str) -> bool:
        with contextlib.suppress(TokenError):
            return asyncio.run(tokens.verify(token)) is not None
        return False

    first = issued()
    step(verifying, public(old) + public(new))
    assert len(tokens.public_jwks()) == 2
    between = issued()
    step(signing, b"torn")
    assert accepted(issued())
    step(signing, private(new))
    second = issued()
    assert [accepted(token) for token in (first, between, second)] == [True, True, True]
    step(verifying, public(new))
    assert [accepted(token) for token in (first, between, second)] == [False, False, True]
    assert [key["kid"] for key in tokens.public_jwks()] == [token_keys.key_id(new.public_key())]
