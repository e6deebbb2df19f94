"""The `kvstore` server process: flags in, exit code out.

0 after a signal, 1 for a configuration, port or data directory that does not work, 2 for flags that cannot be
parsed. Whatever is wrong is told in one line on standard error; a traceback would be a bug of ours.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kvstore.server import flags, logs, settings
from kvstore.server.flags import ConfigError, Parsed, UsageError

if TYPE_CHECKING:
    from kvstore.server.app import App

log = logging.getLogger(__name__)


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    try:
        parsed, path = flags.parse(arguments, environ)
        if parsed.action:
            print(_version() if parsed.action == "version" else flags.usage())
            return 0
        if path:
            parsed = _from_file(path)
        wanted = settings.build(parsed)
        values = wanted.values
        logs.set_up(values.text("log-level"), values.text("log-format"), values.strings("log-outputs"))
    except UsageError as error:
        print(f"{error}\n{flags.USAGE}", file=sys.stderr)
        return 2
    except ConfigError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}")
    for note in parsed.notes:
        log.warning("%s", note)
    return _serve(wanted)


def _from_file(path: str) -> Parsed:
    import yaml

    try:
        return flags.from_document(yaml.safe_load(Path(path).read_bytes()))
    except OSError as error:
        raise ConfigError(f"error verifying flags, open {path}: {error.strerror}.{flags.SEE_HELP}") from error
    except yaml.YAMLError as error:
        reason = str(error).replace("\n", " ")
        raise ConfigError(f"error verifying flags, {path} is not YAML: {reason}") from error


def _version() -> str:
    from kvstore.config import VERSION

    return (
        f"kvstore Version: {VERSION} (API of etcd)\nPython Version: {platform.python_version()}\n"
        f"OS/Arch: {platform.system().lower()}/{platform.machine()}"
    )


def _serve(wanted: settings.Settings) -> int:
    import uvloop

    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # else every refused handshake is a line of its own form
    from kvstore.errors import StoreError
    from kvstore.server.certificates import BadCertificate

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(wanted))
    except (StoreError, BadCertificate, ValueError) as error:
        return _fail(str(error))
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        return _fail(f"{named}{error.strerror or error}")
    except KeyboardInterrupt:
        return 0


async def _run(wanted: settings.Settings) -> int:
    from kvstore.server.app import App

    app = App(wanted)
    signalled = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled.set)
    _announce(wanted)
    starting = asyncio.ensure_future(app.start())
    stopping = asyncio.ensure_future(signalled.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.wait({starting})
        return 0
    try:
        starting.result()
    finally:
        stopping.cancel()
    return await _until_end(app, signalled)


async def _until_end(app: App, signalled: asyncio.Event) -> int:
    failing = asyncio.ensure_future(app.wait())
    stopping = asyncio.ensure_future(signalled.wait())
    await asyncio.wait({failing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    failure = failing.result() if failing.done() else None
    for task in (failing, stopping):
        task.cancel()
    if failure is None:
        log.info("a signal asks to stop: closing")
    await app.stop()
    if failure is not None:
        return _fail(f"the member can no longer work and stops: {failure}")
    log.info("stopped")
    return 0


def _announce(wanted: settings.Settings) -> None:
    log.info(
        "starting member %s: data in %s, peers at %s, clients at %s, cluster %s",
        wanted.name,
        wanted.data_dir,
        wanted.listen_peer[0],
        ", ".join(map(str, wanted.listen_client)),
        ",".join(f"{name}={urls[0]}" for name, urls in wanted.initial_cluster.items()),
    )


def _fail(message: str) -> int:
    print(f"kvstore: {message}", file=sys.stderr)
    return 1
