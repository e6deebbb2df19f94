"""What an exec or attach request asks for, and what it is answered in the end (P).

Used by `remotecommand.handler` and `session`. Parameters, texts and codes as in
k8s.io/cri-streaming/pkg/streaming/remotecommand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from components.kubelet.runtime.interface import Streams

V5, V4, V3, V2, V1 = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v3.channel.k8s.io",
    "v2.channel.k8s.io",
    "channel.k8s.io",
)
V4_BASE64, V1_BASE64 = "v4.base64.channel.k8s.io", "base64.channel.k8s.io"
WEBSOCKET_PROTOCOLS: Final = (V5, V4, V4_BASE64, V1, V1_BASE64, "")
SPDY_PROTOCOLS: Final = (V5, V4, V3, V2, V1)
Status = dict[str, Any]


def streams(query: Mapping[str, str]) -> Streams:
    """Raises ValueError when the client wants no stream at all."""

    def asked(name: str) -> bool:
        return query.get(name) == "1"

    tty = asked("tty")
    found = Streams(asked("input"), asked("output"), asked("error") and not tty, tty)
    if not (found.stdin or found.stdout or found.stderr):
        raise ValueError("you must specify at least 1 of stdin, stdout, stderr")
    return found


def success() -> Status:
    return {"metadata": {}, "status": "Success"}


def exit_status(code: int) -> Status:
    """How the command ended: the client takes its own exit code from the cause."""
    if code == 0:
        return success()
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failure(text: str) -> Status:
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {text}",
        "reason": "InternalError",
        "details": {"causes": [{"message": text}]},
        "code": 500,
    }


def written(status: Status, protocol: str) -> bytes:
    """As it goes into the error stream: JSON from version 4 on, before that the text of a failure."""
    if protocol in (V5, V4, V4_BASE64):
        return json.dumps(status, separators=(",", ":")).encode()
    return b"" if status["status"] == "Success" else str(status["message"]).encode()


class Sizes:
    """Window sizes out of a stream of JSON objects, however they are cut into pieces."""

    _LIMIT: Final = 4096

    def __init__(self) -> None:
        self._text = ""

    def feed(self, data: bytes) -> list[tuple[int, int]]:
        """(width, height) of each object that is complete. What is not such an object ends the reading of it."""
        self._text += data.decode("utf-8", "replace")
        decoder, found = json.JSONDecoder(), []
        while text := self._text.lstrip():
            try:
                value, end = decoder.raw_decode(text)
            except ValueError:
                self._text = text[: self._LIMIT]
                break
            self._text = text[end:]
            size = _size(value)
            if size is not None:
                found.append(size)
        return found


def _size(value: Any) -> tuple[int, int] | None:
    if not isinstance(value, dict):
        return None
    width, height = value.get("Width", 0), value.get("Height", 0)
    if not (isinstance(width, int) and isinstance(height, int)):
        return None
    return (width, height) if 0 <= width < 1 << 16 and 0 <= height < 1 << 16 else None
