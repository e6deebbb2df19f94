"""Puts a kubelet together from its configuration and runs it; used by `__main__` and by
`components.worker`."""

from __future__ import annotations

import asyncio
import os

from components.client.transport import ApiClient
from components.kubelet.certificates.rotation import Rotation
from components.kubelet.config import VERSION, KubeletConfig
from components.kubelet.images.catalogue import Catalogue
from components.kubelet.kubelet import Kubelet
from components.kubelet.runtime.process.runtime import ProcessRuntime
from components.kubelet.server.app import KubeletServer


class KubeletError(Exception):
    """The kubelet cannot run as it was told; the text says why and what to do."""


async def run_kubelet(config: KubeletConfig) -> None:
    """Run until cancelled. Containers keep running afterwards and are found again by the next kubelet."""
    _check_root(config)
    runtime = ProcessRuntime(
        config.root_dir / "runtime",
        pod_cidr=config.pod_cidr,
        node_ip=config.node_ip,
        catalogue=Catalogue.default(config.images),
    )
    client = ApiClient.from_kubeconfig(config.kubeconfig, user_agent=f"kubelet/{VERSION}")
    try:
        await runtime.start()
        kubelet = Kubelet(config, client, runtime)
        server = KubeletServer(config, kubelet, runtime)
        rotation = _rotation(config, client)
        await server.start(client)
        try:
            await kubelet.run()
        finally:
            await _ended(rotation)
            await server.stop()
    finally:
        await asyncio.shield(runtime.close())
        await client.close()


def _rotation(config: KubeletConfig, client: ApiClient) -> asyncio.Task[None] | None:
    if not config.rotate_certificates:
        return None
    rotation = Rotation(client, config.node_name, config.cert_dir or config.root_dir / "pki")
    rotation.take_up()
    return asyncio.create_task(rotation.run(), name="client certificate")


async def _ended(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _check_root(config: KubeletConfig) -> None:
    try:
        config.root_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KubeletError(f"cannot create --root-dir {config.root_dir}: {error.strerror}") from error
    if not os.access(config.root_dir, os.W_OK | os.X_OK):
        raise KubeletError(f"--root-dir {config.root_dir} is not writable: choose another with --root-dir")
