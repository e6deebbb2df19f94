"""A client's configuration that follows its files: certificates and tokens that are replaced while it runs.

Asked by the transport before requests; a look costs one `stat` a file and a second. Files that cannot be used leave
the configuration as it is, with one warning for each change.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from components.client.kubeconfig import ClientConfig, KubeconfigError, load

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
Stamp = tuple[tuple[int, int, int] | None, ...]


class Reload:
    """Follows the `sources` of a configuration; one without any never changes."""

    def __init__(self, config: ClientConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._checked = clock()
        self._seen = stamp_of(config.sources)

    async def newer(self) -> ClientConfig | None:
        """The configuration as the files have it now, once for each change that can be read."""
        now = self._clock()
        if not self._config.sources or now - self._checked < CHECK_SECONDS:
            return None
        self._checked = now
        stamp = stamp_of(self._config.sources)
        if stamp == self._seen:
            return None
        self._seen = stamp
        return await self._read()

    async def _read(self) -> ClientConfig | None:
        path, before = self._config.sources[0], self._config
        try:
            read = await asyncio.to_thread(load, path, before.context)
        except KubeconfigError as error:
            log.warning("the client configuration in use stays: %s", error)
            return None
        self._config = read
        if read.sources != before.sources:
            self._seen = stamp_of(read.sources)
        return read if read != before else None


def stamp_of(paths: Iterable[Path]) -> Stamp:
    """Changes when a file does."""
    return tuple(_stamp(path) for path in paths)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
