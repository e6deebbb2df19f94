"""A worker process: kubelet and proxy (`python -m components.worker --config FILE`).

Composition root, started by the supervisor. `--end-pods` instead ends what a kubelet of this worker left
running, by its own records, and exits: containers outlive a kubelet, but not a cluster.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from components import processes
from components.client import kubeconfig
from components.cluster.config import WorkerConfig, load
from components.kubelet.app import run_kubelet
from components.kubelet.config import KubeletConfig
from components.kubelet.images.catalogue import Catalogue, Image
from components.kubelet.runtime.process.runtime import ProcessRuntime
from components.proxy.app import run_proxy

GRACE = 2.0  # seconds a container gets to end by itself when its cluster is stopped


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point, also of the process starter."""
    parser = processes.parser("components.worker", "A worker of a local cluster: kubelet and proxy.")
    parser.add_argument("--end-pods", action="store_true", help="end the pods of this worker and exit")
    options = parser.parse_args(arguments)

    async def work() -> None:
        config = load(options.config, WorkerConfig)
        await (_end_pods(config) if options.end_pods else _run(config))

    return processes.run(work, options.verbosity)


async def _run(config: WorkerConfig) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(run_kubelet(kubelet_config(config)), name="kubelet")
        group.create_task(_run_proxy(config), name="proxy")


async def _run_proxy(config: WorkerConfig) -> None:
    await run_proxy(kubeconfig.load(config.proxy_kubeconfig), node_name=config.name, node_ip=config.node_ip)


def kubelet_config(config: WorkerConfig) -> KubeletConfig:
    """The kubelet's own settings from the worker's."""
    return KubeletConfig(
        node_name=config.name,
        node_ip=config.node_ip,
        root_dir=Path(config.root_dir),
        kubeconfig=Path(config.kubeconfig),
        port=config.kubelet_port,
        pod_cidr=config.pod_cidr,
        tls_cert_file=Path(config.tls.cert),
        tls_private_key_file=Path(config.tls.key),
        client_ca_file=Path(config.client_ca),
        rotate_certificates=True,
        labels=config.labels,
        taints=tuple(msgspec.to_builtins(taint) for taint in config.taints),
        cpu=config.cpu,
        memory=config.memory,
        max_pods=config.pods or 110,
        images=_images(config),
        node_status_update_frequency=config.node_timing.status_update_frequency,
        node_lease_duration=config.node_timing.lease_duration,
    )


def _images(config: WorkerConfig) -> dict[str, Image]:
    return {image.name: Image(image.name, image.command, image.args, image.env) for image in config.images}


async def _end_pods(config: WorkerConfig) -> None:
    root = Path(config.root_dir) / "runtime"
    if not (root / "sandboxes").is_dir():
        return
    catalogue = Catalogue.default(_images(config))
    runtime = ProcessRuntime(
        root, pod_cidr=config.pod_cidr, node_ip=config.node_ip, catalogue=catalogue, isolation="none"
    )
    await runtime.start()
    try:
        sandboxes = runtime.list_pod_sandboxes()
        containers = runtime.list_containers()
        stops = (runtime.stop_container(c.id, GRACE) for c in containers if c.state == "RUNNING")
        await asyncio.gather(*stops, return_exceptions=True)
        for sandbox in sandboxes:
            await runtime.stop_pod_sandbox(sandbox.id)
            await runtime.remove_pod_sandbox(sandbox.id)
    finally:
        await runtime.close()


if __name__ == "__main__":
    sys.exit(main())
