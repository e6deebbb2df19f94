"""Looks every few seconds whether a file has changed, and passes its new content on.

Started by the server for each configuration file that is read again while it runs. A content that cannot be used is
told in the log once, and what held before goes on to hold: a server never falls back to less than was configured.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from apiserver.config import ConfigError

log = logging.getLogger(__name__)

SECONDS: Final = 2.0
Use = Callable[[bytes], None]
"""Takes the new content into use, or raises ValueError and changes nothing."""


class FollowedFile:
    """``what``: its flag. ``loaded``: what has been read from it so far."""

    def __init__(self, what: str, path: Path, loaded: bytes, use: Use) -> None:
        self._what = what
        self.subject = what.removeprefix("--").partition("-")[0]
        self.is_configuration = what.endswith("-config")
        self._path = path
        self._use = use
        self._seen = _digest(loaded)
        self.reloads = {"success": 0, "failure": 0}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(SECONDS)
            await self.look()

    async def look(self) -> None:
        try:
            content = await asyncio.to_thread(self._path.read_bytes)
        except OSError as exc:
            self._failed("unreadable", exc.strerror or str(exc))
            return
        digest = _digest(content)
        if digest == self._seen:
            return
        try:
            self._use(content)
        except Exception as exc:  # whatever is wrong with a content, the next one may be right
            self._failed(digest, str(exc))
            return
        self._seen = digest
        self.reloads["success"] += 1
        log.info("reloaded %s %s", self._what, self._path)

    def _failed(self, seen: str, reason: str) -> None:
        if seen == self._seen:
            return
        self._seen = seen
        self.reloads["failure"] += 1
        log.error("%s %s is not used, what was read before still holds: %s", self._what, self._path, reason)


def opened(flag: str, path: Path, use: Use) -> FollowedFile:
    """The file, its content in use. Raises ConfigError."""
    try:
        content = path.read_bytes()
        use(content)
    except OSError as exc:
        raise ConfigError(f"{flag} {path}: {exc.strerror or exc}; name a file that can be read") from exc
    except ValueError as exc:
        raise ConfigError(f"{flag} {path}: {exc}") from exc
    return FollowedFile(flag, path, content, use)


def _digest(content: bytes) -> str:
    """Instead of the content itself, which may hold keys."""
    return hashlib.sha256(content).hexdigest()
