"""Which protocol a client and this server agree on (P). Words and codes as in k8s.io/streaming's httpstream."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

SPDY_31: Final = "SPDY/3.1"
VERSION_HEADER: Final = "X-Stream-Protocol-Version"
ACCEPTED_HEADER: Final = "X-Accepted-Stream-Protocol-Versions"


class HandshakeError(Exception):
    """`status` and the text of the answer; `accepted`: what would have been understood."""

    def __init__(self, status: int, text: str, accepted: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.status, self.accepted = status, accepted


def is_upgrade(connection: Iterable[str]) -> bool:
    """`connection`: the values of the Connection headers."""
    return any("upgrade" in value.lower() for value in connection)


def split(values: Iterable[str]) -> list[str]:
    return [part for value in values for part in (p.strip() for p in value.split(",")) if part]


def stream_protocol(values: Sequence[str], supported: Sequence[str], header_count: int) -> str:
    """The first protocol of the client's that is supported. `values`: the version headers."""
    if not values:
        text = f"unable to upgrade: header {VERSION_HEADER} does not exist in request with {header_count} headers"
        raise HandshakeError(400, text)
    wanted = split(values)
    if not wanted:
        listed = " ".join(values)
        text = f"unable to upgrade: header {VERSION_HEADER} contains [{listed}], but no valid protocols"
        raise HandshakeError(400, text)
    found = next((protocol for protocol in wanted if protocol in supported), None)
    if found is None:
        text = (
            f"unable to upgrade: unable to negotiate protocol: client supports [{' '.join(wanted)}], "
            f"server accepts [{' '.join(supported)}]"
        )
        raise HandshakeError(403, text, supported)
    return found


def websocket_protocol(values: Iterable[str], supported: Sequence[str]) -> str:
    """As :func:`stream_protocol` for Sec-WebSocket-Protocol; "" if the client names none and "" is supported."""
    wanted = split(values) or [""]
    found = next((protocol for protocol in wanted if protocol in supported), None)
    if found is None:
        text = (
            f"unable to upgrade websocket connection: requested protocol(s) are not supported: "
            f"[{' '.join(wanted)}]; supports [{' '.join(supported)}]"
        )
        raise HandshakeError(403, text, supported)
    return found
