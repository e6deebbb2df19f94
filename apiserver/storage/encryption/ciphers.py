"""(P) The algorithms, each as a `Transformer`: bytes of a value to bytes of the store, and back.

Used by ``providers``; errors are worded as in the original (``pkg/storage/value/encrypt``), whose layout this is:

=========== ============================================= ==========================================
aesgcm      12 bytes of nonce, ciphertext, 16 bytes tag   authenticates the value and its key
aescbc      16 bytes of IV, ciphertext with PKCS#7        authenticates nothing
secretbox   24 bytes of nonce, 16 bytes tag, ciphertext   XSalsa20 and Poly1305; authenticates the value
=========== ============================================= ==========================================

Nonces and IVs come from the random source that is passed in: never twice the same under one key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apiserver.api import codec

Random = Callable[[int], bytes]
"""So many bytes that nobody can guess."""
_TOO_SHORT: Final = "the stored data was shorter than the required size"
_GCM_NONCE: Final = 12
_BLOCK: Final = 16
_BOX_NONCE: Final = 24
_BOX_TAG: Final = 16


class TransformError(Exception):
    """A stored value cannot be read; the text says why and shows nothing of it."""


class Transformer(Protocol):
    """``key``: where the value is stored."""

    def from_storage(self, data: bytes, key: bytes) -> tuple[bytes, bool]:
        """(value, whether it would be stored otherwise today). Raises TransformError."""
        ...

    def to_storage(self, data: bytes, key: bytes) -> bytes: ...


class AesGcm:
    def __init__(self, secret: bytes, random: Random) -> None:
        self._aead = AESGCM(secret)
        self._random = random

    def from_storage(self, data: bytes, key: bytes) -> tuple[bytes, bool]:
        if len(data) < _GCM_NONCE:
            raise TransformError(_TOO_SHORT)
        try:
            return self._aead.decrypt(data[:_GCM_NONCE], data[_GCM_NONCE:], key), False
        except InvalidTag:
            raise TransformError("cipher: message authentication failed") from None

    def to_storage(self, data: bytes, key: bytes) -> bytes:
        nonce = self._random(_GCM_NONCE)
        return nonce + self._aead.encrypt(nonce, data, key)


class AesCbc:
    def __init__(self, secret: bytes, random: Random) -> None:
        self._aes = algorithms.AES(secret)
        self._random = random

    def from_storage(self, data: bytes, key: bytes) -> tuple[bytes, bool]:
        if len(data) < _BLOCK:
            raise TransformError(_TOO_SHORT)
        if len(data) % _BLOCK:
            raise TransformError("the stored data is not a multiple of the block size")
        decryptor = Cipher(self._aes, modes.CBC(data[:_BLOCK])).decryptor()
        return _unpadded(decryptor.update(data[_BLOCK:]) + decryptor.finalize()), False

    def to_storage(self, data: bytes, key: bytes) -> bytes:
        iv = self._random(_BLOCK)
        missing = _BLOCK - len(data) % _BLOCK
        encryptor = Cipher(self._aes, modes.CBC(iv)).encryptor()
        return iv + encryptor.update(data + bytes([missing]) * missing) + encryptor.finalize()


def _unpadded(data: bytes) -> bytes:
    """Without PKCS#7's padding."""
    size = data[-1] if data else 0
    if not 0 < size <= len(data):
        raise TransformError("invalid PKCS7 data (empty or not padded)")
    if data[-size:] != bytes([size]) * size:
        raise TransformError("invalid padding on input")
    return data[:-size]


class Secretbox:
    def __init__(self, secret: bytes, random: Random) -> None:
        from nacl.secret import SecretBox

        self._box = SecretBox(secret)
        self._random = random

    def from_storage(self, data: bytes, key: bytes) -> tuple[bytes, bool]:
        from nacl.exceptions import CryptoError

        if len(data) < _BOX_NONCE + _BOX_TAG:
            raise TransformError(_TOO_SHORT)
        try:
            return self._box.decrypt(data), False
        except CryptoError:  # the original's words, which say less than they could
            raise TransformError("output array was not large enough for encryption") from None

    def to_storage(self, data: bytes, key: bytes) -> bytes:
        return bytes(self._box.encrypt(data, self._random(_BOX_NONCE)))


class Identity:
    """No encryption; what is encrypted is not taken for a value."""

    def from_storage(self, data: bytes, key: bytes) -> tuple[bytes, bool]:
        if data.startswith(codec.ENCRYPTED):
            raise TransformError(codec.UNREADABLE)
        return data, False

    def to_storage(self, data: bytes, key: bytes) -> bytes:
        return data
