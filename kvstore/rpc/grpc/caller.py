"""(P) What a connection and a request's head say about the caller."""

from __future__ import annotations

import re

_TIMEOUT = re.compile(r"(\d{1,8})([HMSmun])")
_SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


def seconds(timeout: str) -> float | None:
    """Of a `grpc-timeout`; None for one that cannot be read, which then does not count."""
    given = _TIMEOUT.fullmatch(timeout)
    return int(given[1]) * _SECONDS[given[2]] if given is not None else None


def peer_name(address: object) -> str:
    """A socket's address in gRPC's words."""
    return f"ipv4:{address[0]}:{address[1]}" if isinstance(address, tuple) else "unix:"


def common_name(certificate: object) -> str | None:
    """Of a client's certificate as `ssl` shows it, which has verified it."""
    if not isinstance(certificate, dict):
        return None
    pairs = (pair for group in certificate.get("subject", ()) for pair in group)
    return next((value for key, value in pairs if key == "commonName"), None)
