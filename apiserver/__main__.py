"""``python -m apiserver``: one API server with kube-apiserver's flags over an embedded single-member store."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from apiserver.config import ApiServerConfig, ConfigError

if TYPE_CHECKING:
    from apiserver.storage.interface import Storage
    from kvstore.member import Member

_NAME = "default"


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
    p.add_argument("--etcd-servers", metavar="URLS", help="not supported yet: the embedded store is used")
    return p


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is not true or false")
    return text.lower() == "true"


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def _port_range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    if not low.isdigit() or not high.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a range of ports such as 30000-32767")
    return int(low), int(high)


def config_of(args: argparse.Namespace) -> ApiServerConfig:
    """Raises ConfigError."""
    if args.etcd_servers:
        raise ConfigError(
            "--etcd-servers: an external etcd is not supported yet; use --data-dir for the embedded store"
        )
    fields = {key: value for key, value in vars(args).items() if key in ApiServerConfig.__dataclass_fields__}
    fields["authorization_mode"] = _words(args.authorization_mode)
    fields["service_account_key_file"] = tuple(args.service_account_key_file or ())
    fields["service_account_issuer"] = tuple(
        args.service_account_issuer or ("https://kubernetes.default.svc",)
    )
    config = ApiServerConfig(**fields)
    config.check()
    return config


async def _open_storage(args: argparse.Namespace) -> tuple[Storage, Member | None]:
    if args.data_dir is None:
        from apiserver.storage.memory import MemoryStorage

        logging.getLogger(__name__).warning("no --data-dir: everything is lost when this process ends")
        return MemoryStorage(), None
    from apiserver.storage.embedded import EmbeddedStorage
    from kvstore.member import Member, MemberConfig

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
    return EmbeddedStorage(member), member


async def serve(args: argparse.Namespace) -> None:
    from apiserver.server import ApiServer

    config = config_of(args)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    storage, member = await _open_storage(args)
    try:
        server = ApiServer(config, storage)
        try:
            await server.start()
            print(f"serving on {server.url}", flush=True)
            await stop.wait()
        finally:
            await server.stop()
    finally:
        if member is not None:
            await member.stop()


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
