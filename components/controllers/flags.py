"""kube-controller-manager's flags, as far as they are supported; anything else is refused.

Every flag is written `--name value` or `--name=value`; durations as Go writes them (`40s`, `5m0s`).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from components.controllers.app import ElectionOptions
from components.controllers.options import ControllerOptions

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")

_INTEGERS = (
    "concurrent_deployment_syncs",
    "concurrent_endpoint_syncs",
    "concurrent_gc_syncs",
    "concurrent_namespace_syncs",
    "concurrent_rc_syncs",
    "concurrent_replicaset_syncs",
    "concurrent_resource_quota_syncs",
    "concurrent_service_endpoint_syncs",
    "max_endpoints_per_slice",
    "large_cluster_size_threshold",
    "terminated_pod_gc_threshold",
)
_NUMBERS = ("node_eviction_rate", "secondary_node_eviction_rate", "unhealthy_zone_threshold")
_DURATIONS = (
    "cluster_signing_duration",
    "node_monitor_period",
    "node_monitor_grace_period",
    "node_startup_grace_period",
    "resource_quota_sync_period",
)
_ELECTION_DURATIONS = ("lease_duration", "renew_deadline", "retry_period")


def duration(text: str) -> float:
    """Seconds of a Go duration."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise argparse.ArgumentTypeError(f"invalid duration {text!r}: write it as 40s, 5m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0", "t", "f"):
        raise argparse.ArgumentTypeError(f"invalid boolean {text!r}: write true or false")
    return text.lower() in ("true", "1", "t")


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser("controllers", description=__doc__, allow_abbrev=False)
    result.add_argument("--kubeconfig", required=True, type=Path)
    result.add_argument("--controllers", default="*", help="comma-separated: *, name, -name")
    result.add_argument("--root-ca-file", type=Path, help="CA certificate to publish in every namespace")
    for name in ("cluster_signing_cert_file", "cluster_signing_key_file"):
        _flag(result, name, Path)
    _flag(result, "enable_garbage_collector", boolean)
    for name in _INTEGERS:
        _flag(result, name, int)
    for name in _NUMBERS:
        _flag(result, name, float)
    for name in _DURATIONS:
        _flag(result, name, duration)
    _election_flags(result)
    return result


def _flag(target: argparse.ArgumentParser, name: str, kind: object) -> None:
    default = getattr(ControllerOptions, name)
    target.add_argument("--" + name.replace("_", "-"), type=kind, default=default)  # type: ignore[arg-type]


def _election_flags(target: argparse.ArgumentParser) -> None:
    target.add_argument("--leader-elect", type=boolean, nargs="?", const=True, default=True)
    for name in _ELECTION_DURATIONS:
        flag = "--leader-elect-" + name.replace("_", "-")
        target.add_argument(flag, type=duration, default=getattr(ElectionOptions, name))
    for name in ("resource_name", "resource_namespace"):
        flag = "--leader-elect-" + name.replace("_", "-")
        target.add_argument(flag, default=getattr(ElectionOptions, name))


def parse(arguments: Sequence[str]) -> tuple[Path, ControllerOptions, ElectionOptions]:
    """(kubeconfig, controller options, election options); exits with a usage message on bad flags."""
    flags = parser()
    given = flags.parse_args(arguments)
    values = {name: getattr(given, name) for name in (*_INTEGERS, *_NUMBERS, *_DURATIONS)}
    root_ca = ""
    if given.root_ca_file is not None:
        try:
            root_ca = given.root_ca_file.read_text()
        except OSError as error:
            flags.error(f"--root-ca-file {given.root_ca_file}: {error.strerror}")
    options = ControllerOptions(
        controllers=tuple(given.controllers.split(",")),
        root_ca=root_ca,
        enable_garbage_collector=given.enable_garbage_collector,
        cluster_signing_cert_file=given.cluster_signing_cert_file,
        cluster_signing_key_file=given.cluster_signing_key_file,
        **values,
    )
    election = ElectionOptions(
        leader_elect=given.leader_elect,
        lease_duration=given.leader_elect_lease_duration,
        renew_deadline=given.leader_elect_renew_deadline,
        retry_period=given.leader_elect_retry_period,
        resource_name=given.leader_elect_resource_name,
        resource_namespace=given.leader_elect_resource_namespace,
    )
    return given.kubeconfig, options, election
