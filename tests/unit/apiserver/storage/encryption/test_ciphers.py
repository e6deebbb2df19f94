"""The stored form of values, and what is said of one that was tampered with."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_secretbox

from apiserver.storage.encryption.ciphers import (
    AesCbc,
    AesGcm,
    Identity,
    Secretbox,
    Transformer,
    TransformError,
)
from apiserver.storage.encryption.transformers import Prefixed, PrefixTransformers

SECRET = bytes(range(32))
KEY = b"/registry/secrets/default/a"


def counted(size: int) -> bytes:
    return bytes(range(100, 100 + size))


def of(kind: str, random: Callable[[int], bytes] = os.urandom) -> Transformer:
    return {"aesgcm": AesGcm, "aescbc": AesCbc, "secretbox": Secretbox}[kind](SECRET, random)


def test_aesgcm_is_a_nonce_and_what_is_sealed_with_the_key_of_the_value() -> None:
    stored = of("aesgcm", counted).to_storage(b"value", KEY)
    assert stored == counted(12) + AESGCM(SECRET).encrypt(counted(12), b"value", KEY)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17])
def test_aescbc_is_an_iv_and_padded_blocks(size: int) -> None:
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(SECRET), modes.CBC(counted(16))).encryptor()
    wanted = encryptor.update(padder.update(b"v" * size) + padder.finalize()) + encryptor.finalize()
    assert of("aescbc", counted).to_storage(b"v" * size, KEY) == counted(16) + wanted


def test_secretbox_is_a_nonce_and_a_box() -> None:
    stored = of("secretbox", counted).to_storage(b"value", KEY)
    assert stored == counted(24) + crypto_secretbox(b"value", counted(24), SECRET)


@given(kind=st.sampled_from(["aesgcm", "aescbc", "secretbox"]), value=st.binary(max_size=100))
def test_what_was_stored_is_read_and_nonces_differ(kind: str, value: bytes) -> None:
    cipher = of(kind)
    stored = cipher.to_storage(value, KEY)
    assert cipher.from_storage(stored, KEY) == (value, False)
    assert cipher.to_storage(value, KEY) != stored
    assert value not in stored or len(value) < 8


@given(
    kind=st.sampled_from(["aesgcm", "secretbox"]),
    value=st.binary(max_size=40),
    at=st.integers(0, 1000),
    flip=st.integers(1, 255),
    cut=st.integers(0, 100),
)
def test_an_authenticated_value_that_was_tampered_with_is_refused(
    kind: str, value: bytes, at: int, flip: int, cut: int
) -> None:
    stored = bytearray(of(kind).to_storage(value, KEY))
    stored[at % len(stored)] ^= flip
    for tampered in (bytes(stored), bytes(stored[:cut]), b""):
        with pytest.raises(TransformError):
            of(kind).from_storage(tampered, KEY)


@given(garbage=st.binary(max_size=80))
def test_aescbc_authenticates_nothing_but_never_fails_in_another_way(garbage: bytes) -> None:
    try:
        value, stale = of("aescbc").from_storage(garbage, KEY)
    except TransformError:
        return
    assert len(value) < len(garbage)
    assert not stale


def test_a_value_that_was_moved_to_another_key_is_refused_by_aesgcm() -> None:
    stored = of("aesgcm").to_storage(b"value", KEY)
    with pytest.raises(TransformError, match=r"^cipher: message authentication failed$"):
        of("aesgcm").from_storage(stored, KEY + b"b")


@pytest.mark.parametrize(
    ("kind", "stored", "text"),
    [
        ("aesgcm", bytes(11), "the stored data was shorter than the required size"),
        ("aesgcm", bytes(12), "cipher: message authentication failed"),
        ("aescbc", bytes(15), "the stored data was shorter than the required size"),
        ("aescbc", bytes(16), r"invalid PKCS7 data \(empty or not padded\)"),
        ("aescbc", bytes(17), "the stored data is not a multiple of the block size"),
        ("secretbox", bytes(39), "the stored data was shorter than the required size"),
        ("secretbox", bytes(40), "output array was not large enough for encryption"),
    ],
)
def test_errors_in_the_originals_words(kind: str, stored: bytes, text: str) -> None:
    with pytest.raises(TransformError, match=f"^{text}$"):
        of(kind).from_storage(stored, KEY)


def test_identity_takes_no_ciphertext_for_a_value() -> None:
    assert Identity().from_storage(b"{}", KEY) == (b"{}", False)
    with pytest.raises(TransformError, match="identity transformer tried to read encrypted data"):
        Identity().from_storage(b"k8s:enc:any", KEY)


def keyed(*secrets: bytes) -> PrefixTransformers:
    """Keys named by their position."""
    return PrefixTransformers(
        "no key", [Prefixed(b"%d:" % at, AesGcm(secret, os.urandom)) for at, secret in enumerate(secrets)]
    )


def test_the_first_writes_and_what_another_has_written_is_stale() -> None:
    old = PrefixTransformers("", [Prefixed(b"x:", keyed(SECRET)), Prefixed(b"", Identity())])
    new = PrefixTransformers("none", [Prefixed(b"", Identity()), Prefixed(b"x:", keyed(SECRET))])
    stored = old.to_storage(b"{}", KEY)
    assert stored.startswith(b"x:0:")
    assert old.from_storage(stored, KEY) == (b"{}", False)
    assert old.from_storage(b"{}", KEY) == (b"{}", True)
    assert new.to_storage(b"{}", KEY) == b"{}"
    assert new.from_storage(b"{}", KEY) == (b"{}", False)


def test_of_two_with_the_same_prefix_the_second_has_its_try() -> None:
    first = PrefixTransformers("no key", [Prefixed(b"1:", AesGcm(bytes(32), os.urandom))])
    second = PrefixTransformers("no key", [Prefixed(b"2:", AesGcm(SECRET, os.urandom))])
    both = PrefixTransformers("none", [Prefixed(b"x:", first), Prefixed(b"x:", second)])
    written = PrefixTransformers("", [Prefixed(b"x:", second)]).to_storage(b"{}", KEY)
    assert both.from_storage(written, KEY) == (b"{}", True)
    with pytest.raises(TransformError, match=r"^no key$"):
        both.from_storage(b"x:3:" + bytes(40), KEY)
    with pytest.raises(TransformError, match=r"^\[cipher: message authentication failed, no key\]$"):
        both.from_storage(b"x:1:" + bytes(40), KEY)
    with pytest.raises(TransformError, match=r"^none$"):
        both.from_storage(b"y:", KEY)
