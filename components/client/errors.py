"""What a request can fail with.

    ApiError                a Status the server answered with (code, reason, message)
      ConnectionFailed      no answer: refused, reset, timed out, cut off (code 0); the outcome is unknown

Raised by the transport, translated there from HTTP and aiohttp; nothing else escapes from it.
"""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """A request that the server refused; `status` is the Status object as received."""

    def __init__(self, code: int, reason: str, message: str, status: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.status = status or {}

    @classmethod
    def from_status(cls, status: dict[str, Any], code: int = 0) -> ApiError:
        """From a Status object; `code` is the HTTP status, used when the object names none."""
        number = int(status.get("code") or code)
        return cls(number, status.get("reason") or "", status.get("message") or f"HTTP {number}", status)

    @property
    def is_not_found(self) -> bool:
        return self.code == 404

    @property
    def is_already_exists(self) -> bool:
        return self.code == 409 and self.reason == "AlreadyExists"

    @property
    def is_conflict(self) -> bool:
        return self.code == 409 and self.reason == "Conflict"

    @property
    def is_gone(self) -> bool:
        """The revision asked for is compacted (410 Gone or Expired): list again."""
        return self.code == 410

    @property
    def is_invalid(self) -> bool:
        return self.code == 422

    @property
    def is_too_many_requests(self) -> bool:
        return self.code == 429

    @property
    def is_too_large_resource_version(self) -> bool:
        """The revision asked for is in the future of this server: it lags, or was restored from a backup."""
        causes = (self.status.get("details") or {}).get("causes") or []
        return self.code == 504 and any(c.get("reason") == "ResourceVersionTooLarge" for c in causes)


class ConnectionFailed(ApiError):
    """No usable answer came back. A write may or may not have happened."""

    def __init__(self, message: str) -> None:
        super().__init__(0, "ConnectionFailed", message)
