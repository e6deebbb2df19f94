"""(P) Several transformers as one, told apart by prefixes: the first writes, all read.

Used twice, one inside the other: providers by ``k8s:enc:aesgcm:v1:``, and the keys of a provider by ``KEYNAME:``. So
a key is replaced without a moment in which anything is unreadable: the new one is put behind the old one, then in
front of it, and the old one goes when every value has been written again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from apiserver.storage.encryption.ciphers import Transformer, TransformError


class Prefixed(NamedTuple):
    """``prefix`` is empty for `Identity` alone."""

    prefix: bytes
    transformer: Transformer


class PrefixTransformers:
    """``unmatched`` is said of a value with none of the prefixes."""

    def __init__(self, unmatched: str, members: Sequence[Prefixed]) -> None:
        self._unmatched = unmatched
        self._members = tuple(members)

    def from_storage(self, data: bytes, key: bytes) -> tuple[bytes, bool]:
        """Stale is what another than the first would write. A member that fails does not keep a later one of the same
        prefix from trying: two providers of one kind may each have a key.
        """
        faults: list[str] = []
        for at, (prefix, transformer) in enumerate(self._members):
            if not data.startswith(prefix):
                continue
            try:
                value, stale = transformer.from_storage(data[len(prefix) :], key)
            except TransformError as fault:
                if prefix:
                    faults.append(str(fault))
                continue
            return value, stale or at != 0
        raise TransformError(_together(faults) if faults else self._unmatched)

    def to_storage(self, data: bytes, key: bytes) -> bytes:
        prefix, transformer = self._members[0]
        return prefix + transformer.to_storage(data, key)


def _together(faults: Sequence[str]) -> str:
    """As Go joins errors: equal ones once."""
    different = list(dict.fromkeys(faults))
    return different[0] if len(different) == 1 else f"[{', '.join(different)}]"
