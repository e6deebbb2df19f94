"""The command line of ``python -m apiserver``: kube-apiserver's flags, and how their values are written."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Final

from apiserver.config import ApiServerConfig

_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "\u00b5s": 1e-6, "ns": 1e-9}
_DURATION: Final = re.compile("([0-9]+(?:[.][0-9]*)?|[.][0-9]+)(h|ms|m|us|\u00b5s|ns|s)")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="apiserver", description="Kubernetes API server of kuberaft", allow_abbrev=False
    )
    _serving(p)
    _identities(p)
    _authentication(p)
    _services(p)
    _requests(p)
    _audit(p)
    _store(p)
    return p


def _serving(p: argparse.ArgumentParser) -> None:
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
    p.add_argument("--disable-http2-serving", type=boolean, nargs="?", const=True, default=False, metavar="BOOL",
                   help="speak HTTP/1.1 only")  # fmt: skip
    p.add_argument("--http2-max-streams-per-connection", type=int, default=0, metavar="N",
                   help="requests and watches of a client on one connection; 0: 100")  # fmt: skip
    p.add_argument(
        "--feature-gates", type=gates, default=frozenset(), metavar="LIST", help="CBORServingAndStorage=true"
    )
    p.add_argument("--enable-fault-injection", action="store_true",
                   help="let system:masters make requests fail (/kuberaft/v1/faults)")  # fmt: skip
    p.add_argument("-v", "--v", type=int, default=2, dest="verbosity", metavar="N",
                   help="log level: 2 normal, 3 one line a request, 4 and more debug")  # fmt: skip


def _identities(p: argparse.ArgumentParser) -> None:
    p.add_argument("--client-ca-file", type=Path, metavar="FILE", help="CA of client certificates")
    p.add_argument("--token-auth-file", type=Path, metavar="FILE", help="CSV of bearer tokens")
    p.add_argument(
        "--authorization-mode", metavar="MODES", help="AlwaysAllow, which is the default, or Node,RBAC"
    )
    p.add_argument("--authorization-config", type=Path, metavar="FILE",
                   help="AuthorizationConfiguration: authorizers in their order, also webhooks")  # fmt: skip
    p.add_argument(
        "--anonymous-auth", type=boolean, metavar="BOOL", help="allow anonymous requests; true by default"
    )
    p.add_argument("--service-account-issuer", action="append", metavar="URL", help="issuer of tokens")
    p.add_argument("--service-account-key-file", type=Path, action="append", metavar="FILE",
                   help="keys that verify tokens")  # fmt: skip
    p.add_argument(
        "--service-account-signing-key-file", type=Path, metavar="FILE", help="key that signs tokens"
    )
    p.add_argument(
        "--api-audiences", type=words, default=(), metavar="LIST", help="audiences of tokens for this API"
    )
    p.add_argument("--kubelet-client-certificate", type=Path, metavar="FILE", help="shown to kubelets")
    p.add_argument("--kubelet-client-key", type=Path, metavar="FILE", help="its key")
    p.add_argument("--kubelet-certificate-authority", type=Path, metavar="FILE", help="CA of kubelets")


def _authentication(parser: argparse.ArgumentParser) -> None:
    p = parser.add_argument_group("who makes a request, besides certificates and service account tokens")
    p.add_argument("--enable-bootstrap-token-auth", type=boolean, nargs="?", const=True, default=False,
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
        p.add_argument(f"--requestheader-{name}", type=words, default=default, metavar="LIST", help=what)
    p.add_argument("--authentication-config", type=Path, metavar="FILE",
                   help="AuthenticationConfiguration: issuers of tokens, instead of the oidc flags")  # fmt: skip
    p.add_argument("--proxy-client-cert-file", type=Path, metavar="FILE",
                   help="shown to other API servers, see APIService")  # fmt: skip
    p.add_argument("--proxy-client-key-file", type=Path, metavar="FILE", help="its key")
    p.add_argument("--enable-aggregator-routing", type=boolean, nargs="?", const=True, default=False,
                   metavar="BOOL", help="reach other API servers at endpoints, not at cluster IPs")  # fmt: skip
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
    p.add_argument("--oidc-signing-algs", type=words, default=("RS256",), metavar="LIST", help="accepted")


def _services(p: argparse.ArgumentParser) -> None:
    p.add_argument("--service-cluster-ip-range", default="10.96.0.0/16", metavar="CIDR", help="cluster IPs")
    p.add_argument(
        "--service-node-port-range", type=port_range, default=(30000, 32767), metavar="A-B", help="NodePorts"
    )
    p.add_argument(
        "--kubernetes-service-port", type=int, default=443, metavar="PORT", help="of default/kubernetes"
    )
    p.add_argument(
        "--allow-loopback-endpoints", action="store_true", help="endpoints may be loopback addresses"
    )
    p.add_argument("--event-ttl", type=int, default=3600, metavar="SECONDS", help="how long events are kept")


def _requests(p: argparse.ArgumentParser) -> None:
    p.add_argument("--max-requests-inflight", type=int, default=400, metavar="N", help="reads at a time")
    p.add_argument(
        "--max-mutating-requests-inflight", type=int, default=200, metavar="N", help="writes at a time"
    )
    p.add_argument("--enable-priority-and-fairness", type=boolean, default=True, metavar="BOOL",
                   help="share the sum of both among priority levels; false: two limits for all")  # fmt: skip
    p.add_argument(
        "--request-timeout", type=float, default=60.0, metavar="SECONDS", help="limit of a request"
    )
    p.add_argument(
        "--min-request-timeout", type=int, default=1800, metavar="SECONDS", help="shortest default watch"
    )
    p.add_argument("--shutdown-delay-duration", type=duration, default=0.0, metavar="DURATION",
                   help="time between SIGTERM and the end of the listener; /readyz fails meanwhile")  # fmt: skip


def _audit(p: argparse.ArgumentParser) -> None:
    p.add_argument("--audit-policy-file", type=Path, metavar="FILE", help="audit.k8s.io/v1 Policy")
    p.add_argument("--audit-log-path", default="", metavar="FILE", help="audit log; - is standard output")
    p.add_argument(
        "--audit-log-maxsize", type=int, default=100, metavar="MB", help="then a new file is begun"
    )
    p.add_argument("--audit-log-maxbackup", type=int, default=0, metavar="N", help="old files kept; 0: all")
    p.add_argument("--audit-log-maxage", type=int, default=0, metavar="DAYS", help="of old files; 0: any")


def _store(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="data of the embedded store; without it, memory only"
    )
    p.add_argument(
        "--unsafe-no-fsync", action="store_true", help="faster, and loses data when the machine fails"
    )
    p.add_argument("--encryption-provider-config", type=Path, metavar="FILE",
                   help="EncryptionConfiguration: what is encrypted in the store, with which keys")  # fmt: skip
    p.add_argument("--encryption-provider-config-automatic-reload", type=boolean, nargs="?", const=True,
                   default=False, metavar="BOOL", help="read that file again when it changes")  # fmt: skip
    etcd = p.add_argument_group("the store in other processes, instead of --data-dir")
    etcd.add_argument(
        "--etcd-servers", type=words, default=(), metavar="URLS", help="kvstore or etcd; separated by commas"
    )
    etcd.add_argument("--etcd-cafile", type=Path, metavar="FILE", help="CA of the store's servers")
    etcd.add_argument("--etcd-certfile", type=Path, metavar="FILE", help="shown to the store's servers")
    etcd.add_argument("--etcd-keyfile", type=Path, metavar="FILE", help="its key")
    etcd.add_argument("--etcd-prefix", default="/registry", metavar="KEY", help="only /registry")


def boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is not true or false")
    return text.lower() == "true"


def words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def gates(text: str) -> frozenset[str]:
    """The names that are switched on, of ``A=true,B=false``."""
    pairs = [word.partition("=") for word in words(text)]
    if any(not value for _, _, value in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list such as CBORServingAndStorage=true")
    return frozenset(name for name, _, value in pairs if boolean(value))


def port_range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    if not low.isdigit() or not high.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a range of ports such as 30000-32767")
    return int(low), int(high)


def duration(text: str) -> float:
    """Seconds of a Go duration (``1m30s``, ``500ms``, ``0``) or of a plain number."""
    if re.fullmatch("[0-9]+([.][0-9]+)?", text):
        return float(text)
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 5s, 500ms or 1m30s")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
