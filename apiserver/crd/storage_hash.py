"""(P) ``storageVersionHash`` in discovery: a name for the version in which a kind is stored."""

from __future__ import annotations

import base64
import hashlib


def storage_version_hash(group: str, version: str, kind: str) -> str:
    """As ``discovery.StorageVersionHash``: clients compare it and know nothing of its form."""
    digest = hashlib.sha256(f"{group}/{version}/{kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()
