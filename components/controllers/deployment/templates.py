"""Comparing and hashing pod templates (P).

The hash names a ReplicaSet and separates its pods by label. It need not be the original's (a real
controller manager finds ReplicaSets by comparing templates, not by hash), only stable; a collision is
resolved by `status.collisionCount`, which enters the hash.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from apiserver.api.meta import Object
from apiserver.api.quantity import parse_quantity

HASH_LABEL = "pod-template-hash"

# No vowels and nothing that looks like one: a hash never spells a word (rand.SafeEncodeString).
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_MAPS = ("labels", "annotations", "nodeSelector", "limits", "requests")


def template_hash(template: Object, collision_count: int | None) -> str:
    data = json.dumps([canonical(template), collision_count or 0], sort_keys=True).encode()
    number = int.from_bytes(hashlib.blake2b(data, digest_size=4).digest(), "big")
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(number))


def same_template(left: Object, right: Object) -> bool:
    """Whether both make the same pods; the hash label is ignored."""
    return bool(canonical(left) == canonical(right))


def canonical(template: Object) -> Any:
    cleaned = _clean(template)
    metadata = {k: v for k, v in cleaned.get("metadata", {}).items() if k in ("labels", "annotations")}
    if "labels" in metadata:
        metadata["labels"] = {k: v for k, v in metadata["labels"].items() if k != HASH_LABEL}
    return {"metadata": metadata, "spec": cleaned.get("spec", {})}


def _clean(value: Any, field: str = "") -> Any:
    """Without what means nothing: nulls, empty lists, empty maps; quantities in one form."""
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if not isinstance(value, dict):
        return value
    if field in ("limits", "requests"):
        return {name: str(parse_quantity(amount)) for name, amount in value.items()}
    cleaned = {name: _clean(item, name) for name, item in value.items() if item not in (None, [])}
    return {name: item for name, item in cleaned.items() if item != {} or name not in _MAPS}
