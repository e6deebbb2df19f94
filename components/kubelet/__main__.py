"""`python -m components.kubelet`: the kubelet alone, with the flags of the original that it supports."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from components.kubelet.app import KubeletError, run_kubelet
from components.kubelet.config import KubeletConfig


def _pairs(text: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in text.split(",") if part)


def _taints(text: str) -> tuple[dict[str, Any], ...]:
    """`key=value:Effect,key:Effect`."""
    out = []
    for part in filter(None, text.split(",")):
        left, colon, effect = part.rpartition(":")
        if not colon:
            raise argparse.ArgumentTypeError(f"invalid taint spec: {part}: use key=value:Effect")
        key, equals, value = left.partition("=")
        out.append({"key": key, **({"value": value} if equals else {}), "effect": effect})
    return tuple(out)


def parse(arguments: list[str]) -> KubeletConfig:
    parser = argparse.ArgumentParser("kubelet", description=__doc__)
    add = parser.add_argument
    add("--kubeconfig", type=Path, required=True, help="how to reach the API server and as whom")
    add("--hostname-override", default=socket.gethostname(), help="name of the node")
    add("--node-ip", default="127.0.0.1", help="address of the node; pods with hostNetwork have it, too")
    add("--root-dir", type=Path, default=Path("/var/lib/kubelet"), help="volumes, logs and runtime state")
    add("--port", type=int, default=10250, help="port of the HTTPS server")
    add("--pod-cidr", default="127.64.1.0/24", help="addresses for pods")
    add("--cluster-domain", default="cluster.local")
    add("--tls-cert-file", type=Path)
    add("--tls-private-key-file", type=Path)
    add("--client-ca-file", type=Path, help="whose client certificates the HTTPS server accepts")
    add("--rotate-certificates", action="store_true", help="renew the client certificate by requests")
    add("--cert-dir", type=Path, help="where renewed client certificates are kept; ROOT_DIR/pki if not given")
    add("--node-labels", type=_pairs, default={}, help="key=value,…")
    add("--register-with-taints", type=_taints, default=(), help="key=value:Effect,…")
    add("--system-reserved", type=_pairs, default={}, help="cpu=200m,memory=150Mi: not given to pods")
    add("--max-pods", type=int, default=110)
    add("--node-status-update-frequency", type=float, default=10.0, help="seconds")
    add("-v", type=int, default=0, help="log verbosity")
    known = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if known.v >= 4 else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    return KubeletConfig(
        node_name=known.hostname_override,
        node_ip=known.node_ip,
        root_dir=known.root_dir.absolute(),
        kubeconfig=known.kubeconfig,
        port=known.port,
        pod_cidr=known.pod_cidr,
        cluster_domain=known.cluster_domain,
        tls_cert_file=known.tls_cert_file,
        tls_private_key_file=known.tls_private_key_file,
        client_ca_file=known.client_ca_file,
        rotate_certificates=known.rotate_certificates,
        cert_dir=known.cert_dir,
        labels=known.node_labels,
        taints=known.register_with_taints,
        system_reserved=known.system_reserved,
        max_pods=known.max_pods,
        node_status_update_frequency=known.node_status_update_frequency,
    )


async def _run(config: KubeletConfig) -> None:
    task = asyncio.ensure_future(run_kubelet(config))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return


def main() -> int:
    try:
        asyncio.run(_run(parse(sys.argv[1:])))
    except (KubeletError, OSError, ValueError) as error:
        print(f"kubelet: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
