"""``python -m apiserver``: one API server with kube-apiserver's flags, over a store of its own or an etcd cluster."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from apiserver.config import ApiServerConfig, ConfigError
from apiserver.storage.interface import StorageError

if TYPE_CHECKING:
    from apiserver.storage.interface import Storage

_NAME = "default"
Close = Callable[[], Awaitable[None]]


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="apiserver", description="Kubernetes API server of kuberaft", allow_abbrev=False
    )
    p.add_argument("--bind-address", default="0.0.0.0", metavar="IP", help="address to listen on")
    p.add_argument(
        "--secure-port", type=int, default=6443, metavar="PORT", help="HTTPS port; 0: any free one"
    )
    p.add_argument(
        "--advertise-address", default="", metavar="IP", help="address other members reach this server at"
    )
    p.add_argument("--cert-dir", type=Path, default=Path("/var/run/kubernetes"), metavar="DIR",
                   help="where a self-signed serving certificate is made when none is given")  # fmt: skip
    p.add_argument("--tls-cert-file", type=Path, metavar="FILE", help="serving certificate (PEM)")
    p.add_argument("--tls-private-key-file", type=Path, metavar="FILE", help="its key")
    p.add_argument("--client-ca-file", type=Path, metavar="FILE", help="CA of client certificates")
    p.add_argument("--token-auth-file", type=Path, metavar="FILE", help="CSV of bearer tokens")
    p.add_argument(
        "--authorization-mode", default="AlwaysAllow", metavar="MODES", help="AlwaysAllow, or Node,RBAC"
    )
    p.add_argument(
        "--anonymous-auth", type=_boolean, default=True, metavar="BOOL", help="allow anonymous requests"
    )
    _authentication_flags(p)
    p.add_argument("--service-cluster-ip-range", default="10.96.0.0/16", metavar="CIDR", help="cluster IPs")
    p.add_argument(
        "--service-node-port-range", type=_port_range, default=(30000, 32767), metavar="A-B", help="NodePorts"
    )
    p.add_argument("--service-account-issuer", action="append", metavar="URL", help="issuer of tokens")
    p.add_argument(
        "--service-account-key-file",
        type=Path,
        action="append",
        metavar="FILE",
        help="keys that verify tokens",
    )
    p.add_argument(
        "--service-account-signing-key-file", type=Path, metavar="FILE", help="key that signs tokens"
    )
    p.add_argument(
        "--api-audiences", type=_words, default=(), metavar="LIST", help="audiences of tokens for this API"
    )
    p.add_argument("--kubelet-client-certificate", type=Path, metavar="FILE", help="shown to kubelets")
    p.add_argument("--kubelet-client-key", type=Path, metavar="FILE", help="its key")
    p.add_argument("--kubelet-certificate-authority", type=Path, metavar="FILE", help="CA of kubelets")
    p.add_argument("--max-requests-inflight", type=int, default=400, metavar="N", help="reads at a time")
    p.add_argument(
        "--max-mutating-requests-inflight", type=int, default=200, metavar="N", help="writes at a time"
    )
    p.add_argument(
        "--request-timeout", type=float, default=60.0, metavar="SECONDS", help="limit of a request"
    )
    p.add_argument(
        "--min-request-timeout", type=int, default=1800, metavar="SECONDS", help="shortest default watch"
    )
    p.add_argument("--event-ttl", type=int, default=3600, metavar="SECONDS", help="how long events are kept")
    p.add_argument(
        "--kubernetes-service-port", type=int, default=443, metavar="PORT", help="of default/kubernetes"
    )
    p.add_argument(
        "--allow-loopback-endpoints", action="store_true", help="endpoints may be loopback addresses"
    )
    p.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="data of the embedded store; without it, memory only"
    )
    p.add_argument(
        "--unsafe-no-fsync", action="store_true", help="faster, and loses data when the machine fails"
    )
    p.add_argument(
        "--feature-gates", type=_gates, default=frozenset(), metavar="LIST", help="CBORServingAndStorage=true"
    )
    etcd = p.add_argument_group("the store in other processes, instead of --data-dir")
    etcd.add_argument(
        "--etcd-servers", type=_words, default=(), metavar="URLS", help="kvstore or etcd; separated by commas"
    )
    etcd.add_argument("--etcd-cafile", type=Path, metavar="FILE", help="CA of the store's servers")
    etcd.add_argument("--etcd-certfile", type=Path, metavar="FILE", help="shown to the store's servers")
    etcd.add_argument("--etcd-keyfile", type=Path, metavar="FILE", help="its key")
    etcd.add_argument("--etcd-prefix", default="/registry", metavar="KEY", help="only /registry")
    return p


def _authentication_flags(parser: argparse.ArgumentParser) -> None:
    p = parser.add_argument_group("who makes a request, besides certificates and service account tokens")
    p.add_argument("--enable-bootstrap-token-auth", type=_boolean, nargs="?", const=True, default=False,
                   metavar="BOOL", help="accept tokens of joining nodes")  # fmt: skip
    p.add_argument(
        "--requestheader-client-ca-file", type=Path, metavar="FILE", help="CA of front proxies' certificates"
    )
    for name, what in (
        ("allowed-names", "common names of front proxies; any, if none is given"),
        ("username-headers", "where a front proxy names the user"),
        ("uid-headers", "and the user's uid"),
        ("group-headers", "and groups"),
        ("extra-headers-prefix", "and anything else"),
    ):
        default = getattr(ApiServerConfig(), f"requestheader_{name.replace('-', '_')}")
        p.add_argument(f"--requestheader-{name}", type=_words, default=default, metavar="LIST", help=what)
    p.add_argument("--oidc-issuer-url", default="", metavar="URL", help="issuer of ID tokens")
    p.add_argument("--oidc-client-id", default="", metavar="ID", help="their audience")
    p.add_argument("--oidc-ca-file", type=Path, metavar="FILE", help="CA of the issuer's server")
    p.add_argument("--oidc-username-claim", default="sub", metavar="CLAIM", help="the user's name")
    p.add_argument("--oidc-username-prefix", metavar="TEXT", help="before names; - for none")
    p.add_argument("--oidc-groups-claim", default="", metavar="CLAIM", help="the user's groups")
    p.add_argument("--oidc-groups-prefix", default="", metavar="TEXT", help="before groups")
    p.add_argument(
        "--oidc-required-claim", action="append", default=[], metavar="KEY=VALUE", help="must hold"
    )
    p.add_argument("--oidc-signing-algs", type=_words, default=("RS256",), metavar="LIST", help="accepted")


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is not true or false")
    return text.lower() == "true"


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def _gates(text: str) -> frozenset[str]:
    """The names that are switched on, of ``A=true,B=false``."""
    pairs = [word.partition("=") for word in _words(text)]
    if any(not value for _, _, value in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list such as CBORServingAndStorage=true")
    return frozenset(name for name, _, value in pairs if _boolean(value))


def _port_range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    if not low.isdigit() or not high.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a range of ports such as 30000-32767")
    return int(low), int(high)


def config_of(args: argparse.Namespace) -> ApiServerConfig:
    """Raises ConfigError."""
    _check_etcd(args)
    fields = {key: value for key, value in vars(args).items() if key in ApiServerConfig.__dataclass_fields__}
    fields["authorization_mode"] = _words(args.authorization_mode)
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
    from apiserver.server import ApiServer

    config = config_of(args)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    storage, close = await _open_storage(args)
    try:
        server = ApiServer(config, storage)
        try:
            await server.start()
            print(f"serving on {server.url}", flush=True)
            await stop.wait()
        finally:
            await server.stop()
    finally:
        await close()


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    import uvloop

    from apiserver.auth.service_account_tokens import KeyFileError
    from apiserver.auth.static_tokens import TokenFileError
    from kvstore.errors import StoreError

    try:
        uvloop.run(serve(args))
    except (ConfigError, TokenFileError, KeyFileError, StoreError) as exc:
        print(f"apiserver: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
