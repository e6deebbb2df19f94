"""When a bootstrap token ends (P). Source: pkg/controller/bootstrap/tokencleaner.go."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

from apiserver.api import meta
from apiserver.api.meta import Object

TYPE = "bootstrap.kubernetes.io/token"


def seconds_left(secret: Object, now: datetime) -> float | None:
    """Until it is to be deleted, 0 or less: now; None: never. What cannot be read has ended."""
    encoded = (secret.get("data") or {}).get("expiration")
    if not encoded or secret.get("type") != TYPE:
        return None
    try:
        return (meta.parse_time(base64.b64decode(encoded).decode()) - now).total_seconds()
    except (binascii.Error, ValueError):
        return 0.0
