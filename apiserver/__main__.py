"""``python -m apiserver``: one API server with kube-apiserver's flags, over a store of its own or an etcd cluster."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from apiserver.config import ApiServerConfig, ConfigError
from apiserver.flags import parser, words
from apiserver.storage.interface import StorageError

if TYPE_CHECKING:
    from apiserver.storage.interface import Storage

_NAME = "default"
Close = Callable[[], Awaitable[None]]


def config_of(args: argparse.Namespace) -> ApiServerConfig:
    """Raises ConfigError."""
    _check_etcd(args)
    fields = {key: value for key, value in vars(args).items() if key in ApiServerConfig.__dataclass_fields__}
    if args.authorization_config is not None and args.authorization_mode is not None:
        raise ConfigError(
            "--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* "
            "flags are defined"
        )
    fields["authorization_mode"] = words(args.authorization_mode or "AlwaysAllow")
    fields["oidc_required_claim"] = tuple(args.oidc_required_claim)
    fields["service_account_key_file"] = tuple(args.service_account_key_file or ())
    fields["service_account_issuer"] = tuple(
        args.service_account_issuer or ("https://kubernetes.default.svc",)
    )
    config = ApiServerConfig(**fields)
    config.check()
    return config


def _check_etcd(args: argparse.Namespace) -> None:
    """Raises ConfigError."""
    if args.etcd_servers and args.data_dir is not None:
        raise ConfigError("--etcd-servers and --data-dir: give one of them, the store is there or here")
    if args.etcd_prefix != "/registry":
        raise ConfigError(f"--etcd-prefix {args.etcd_prefix}: only /registry is supported")
    if (args.etcd_certfile is None) != (args.etcd_keyfile is None):
        raise ConfigError("--etcd-certfile and --etcd-keyfile: give both or none")
    for name in ("etcd_cafile", "etcd_certfile", "etcd_keyfile"):
        path = getattr(args, name)
        if path is not None and not os.access(path, os.R_OK):
            raise ConfigError(f"--{name.replace('_', '-')} {path}: cannot be read; name a PEM file")


async def _open_etcd(args: argparse.Namespace) -> tuple[Storage, Close]:
    """Raises ConfigError."""
    from apiserver.storage.etcd import EtcdStorage
    from kvstore.client import Client, ClientTls

    files = (args.etcd_cafile, args.etcd_certfile, args.etcd_keyfile)
    try:
        client = Client(args.etcd_servers, tls=ClientTls(*files) if any(files) else None)
    except ValueError as exc:
        raise ConfigError(f"--etcd-servers: {exc}") from exc
    storage = EtcdStorage(client)
    try:
        await storage.current_revision()
    except StorageError as exc:
        await client.close()
        raise ConfigError(f"--etcd-servers {','.join(args.etcd_servers)}: {exc}; are they running?") from exc
    return storage, client.close


async def _nothing() -> None:
    """There is nothing to close."""


async def _open_storage(args: argparse.Namespace) -> tuple[Storage, Close]:
    if args.etcd_servers:
        return await _open_etcd(args)
    if args.data_dir is None:
        from apiserver.storage.memory import MemoryStorage

        logging.getLogger(__name__).warning("no --data-dir: everything is lost when this process ends")
        return MemoryStorage(), _nothing
    from apiserver.storage.embedded import EmbeddedStorage
    from kvstore.config import MemberConfig
    from kvstore.member import Member

    member = Member(
        MemberConfig(
            name=_NAME,
            data_dir=args.data_dir,
            initial_cluster={_NAME: ("127.0.0.1", 0)},
            unsafe_no_fsync=args.unsafe_no_fsync,
            heartbeat_interval=0.05,
            election_timeout=0.2,
        )
    )
    await member.start()
    await member.wait_leader(10.0)
    return EmbeddedStorage(member), member.stop


async def serve(args: argparse.Namespace) -> None:
    """Until SIGTERM or SIGINT, and to the orderly end; a second signal is impatient."""
    from apiserver.server import ApiServer

    config = config_of(args)
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: hurry.set() if stop.is_set() else stop.set())
    storage, close = await _open_storage(args)
    try:
        server = ApiServer(config, storage)
        try:
            await server.start()
            print(f"serving on {server.url}", flush=True)
            await stop.wait()
            await _first_of(server.drain(), hurry.wait())
        finally:
            await server.stop()
    finally:
        await close()


async def _first_of(*works: Coroutine[Any, Any, object]) -> None:
    """Until one is done; the others are cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    level = logging.DEBUG if args.verbosity >= 4 else logging.INFO
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    import uvloop

    from apiserver.auth.static_tokens import TokenFileError
    from kvstore.errors import StoreError

    try:
        uvloop.run(serve(args))
    except (ConfigError, TokenFileError, StorageError, StoreError) as exc:
        print(f"apiserver: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
