"""Continue tokens of paged lists, in the original's format (``storage/continue.go``). Pure."""

from __future__ import annotations

import base64
import json
import string
from typing import Any, Final

from apiserver.api import codec, errors, go_json
from apiserver.api.errors import StatusError

_VERSION = "meta.k8s.io/v1"
_FIELDS: Final[dict[str, tuple[type, str]]] = {
    "v": (str, "string"),
    "rv": (int, "int64"),
    "start": (str, "string"),
}
_ALPHABET = frozenset(string.ascii_letters + string.digits + "-_")
EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
    "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)


class ContinueExpired(StatusError):
    """410 for a page whose snapshot is gone; carries a token that goes on without the snapshot."""

    def __init__(self, token: str) -> None:
        super().__init__(410, "Expired", EXPIRED)
        self._token = token

    def status(self) -> dict[str, Any]:
        return {**super().status(), "metadata": {"continue": self._token}}


def encode(start: str, prefix: str, revision: int) -> str:
    """``start``: the first key of the next page."""
    document = {"v": _VERSION, "rv": revision, "start": start.removeprefix(prefix)}
    return (
        base64.urlsafe_b64encode(json.dumps(document, separators=(",", ":")).encode()).rstrip(b"=").decode()
    )


def decode(token: str, prefix: str) -> tuple[str, int]:
    """(first key, revision; -1: whatever is current). Raises 400."""
    fault = _base64_fault(token)
    if fault is not None:
        raise _invalid(f"illegal base64 data at input byte {fault}")
    data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    document = _document(data)
    if document.get("v") != _VERSION:
        raise _invalid(f'server does not recognize this encoded version "{document.get("v", "")}"')
    revision, start = document.get("rv", 0), document.get("start", "")
    if not revision:
        raise _invalid(f"incorrect encoded start resourceVersion (version {_VERSION})")
    if not start:
        raise _invalid("encoded start key empty (version meta.k8s.io/v1)")
    if start.startswith("/") or ".." in start.split("/"):
        raise _invalid(start)
    return prefix + start, revision


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = codec.decode(data)
    except codec.DecodeError:
        raise _invalid(go_json.complaint(data.decode("latin-1"))) from None
    if not isinstance(document, dict):
        raise _invalid(
            f"json: cannot unmarshal {go_json.kind(document)} into Go value of type storage.continueToken"
        )
    for name, (wanted, go_type) in _FIELDS.items():
        value = document.get(name)
        if value is None:
            document.pop(name, None)
        elif not _fits(value, wanted):
            found = (
                f"number {value}" if isinstance(value, int | float) and wanted is int else go_json.kind(value)
            )
            into = f"into Go struct field continueToken.{name} of type {go_type}"
            raise _invalid(f"json: cannot unmarshal {found} {into}")
    return document


def _fits(value: Any, wanted: type) -> bool:
    if wanted is not int:
        return isinstance(value, wanted)
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _base64_fault(token: str) -> int | None:
    """Where Go's decoder would stop: Python's skips what it does not know."""
    for at, char in enumerate(token):
        if char not in _ALPHABET:
            return at
    return len(token) - 1 if len(token) % 4 == 1 else None


def _invalid(reason: str) -> StatusError:
    return errors.bad_request(f"invalid continue token: continue key is not valid: {reason}")
