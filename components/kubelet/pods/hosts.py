"""The /etc/hosts that the kubelet writes for a pod (P), as kubelet_pods.go managedHostsFileContent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_HEADER = (
    "# Kubernetes-managed hosts file.\n"
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "fe00::0\tip6-mcastprefix\n"
    "fe00::1\tip6-allnodes\n"
    "fe00::2\tip6-allrouters\n"
)


def pod_hostname(pod: Mapping[str, Any]) -> str:
    """The pod's host name, cut to what Linux takes (63 characters, no trailing `-` or `.`)."""
    name = pod["spec"].get("hostname") or pod["metadata"]["name"]
    return str(name)[:63].rstrip("-.")


def hosts_file(pod: Mapping[str, Any], facts: Mapping[str, str]) -> str:
    ip, hostname = facts["status.podIP"], facts["hostname"]
    subdomain = pod["spec"].get("subdomain")
    if subdomain:
        domain = f"{hostname}.{subdomain}.{pod['metadata']['namespace']}.svc.{facts['clusterDomain']}"
        own = f"{ip}\t{domain}\t{hostname}\n"
    else:
        own = f"{ip}\t{hostname}\n"
    aliases = pod["spec"].get("hostAliases") or []
    if not aliases:
        return _HEADER + own
    lines = "".join(f"{alias['ip']}\t" + "\t".join(alias.get("hostnames") or []) + "\n" for alias in aliases)
    return _HEADER + own + "\n# Entries added by HostAliases.\n" + lines
