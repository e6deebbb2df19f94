"""The clients that tests are written with, configured; each is imported when it is asked for."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

PACKAGES = {"kubernetes": "kubernetes", "kr8s": "kr8s", "lightkube": "lightkube"}


class ClientMissing(RuntimeError):
    """The client's package is not installed."""


def official(kubeconfig: Path) -> Any:
    """A ``kubernetes.client.ApiClient``. Raises ClientMissing."""
    return _imported("kubernetes.config").new_client_from_config(str(kubeconfig))


def kr8s(kubeconfig: Path, namespace: str) -> Any:
    """A synchronous ``kr8s.Api``. Raises ClientMissing."""
    return _imported("kr8s").api(kubeconfig=str(kubeconfig), namespace=namespace)


def lightkube(kubeconfig: Path, namespace: str) -> Any:
    """A ``lightkube.Client``. Raises ClientMissing."""
    config = _imported("lightkube.config.kubeconfig").KubeConfig.from_file(kubeconfig)
    return _imported("lightkube").Client(config=config, namespace=namespace)


def _imported(module: str) -> Any:
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise ClientMissing(
            f"the client {package} is not installed: pip install {PACKAGES[package]}"
        ) from error
