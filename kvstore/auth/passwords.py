"""What must not be guessed: passwords, with bcrypt in threads (one hash takes tens of milliseconds on purpose),
and the secret part of tokens.

Used by `kvstore.calls` before a request is proposed, so that a password is never in the log.
"""

from __future__ import annotations

import asyncio
import random
import string

import bcrypt

from kvstore.errors import PasswordTooLong

COST = 10
"""As etcd's default of --bcrypt-cost."""
_MAX_BYTES = 72
"""bcrypt looks at no more; like etcd's, ours refuses what it would ignore."""

_SECRET_LENGTH = 16


def new_secret() -> str:
    """The part of a token that nobody can guess."""
    return "".join(random.SystemRandom().choices(string.ascii_letters, k=_SECRET_LENGTH))


async def hashed(password: str, cost: int = COST) -> bytes:
    """Raises `PasswordTooLong`."""
    data = password.encode()
    if len(data) > _MAX_BYTES:
        raise PasswordTooLong
    return await asyncio.to_thread(lambda: bcrypt.hashpw(data, bcrypt.gensalt(cost)))


async def matches(password: str, hash_: bytes) -> bool:
    data = password.encode()
    if not hash_ or len(data) > _MAX_BYTES:
        return False
    return await asyncio.to_thread(_matches, data, hash_)


def _matches(data: bytes, hash_: bytes) -> bool:
    try:
        return bcrypt.checkpw(data, hash_)
    except ValueError:  # a hash that is none, as an older etcd could be given
        return False
