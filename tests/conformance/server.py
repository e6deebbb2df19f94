"""A real API server process over an embedded single-member store, for clients that test from outside."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from apiserver.config import ApiServerConfig
from tests.support.kvstore_cluster import free_ports

CORPUS = Path(__file__).parent / "corpus"
START_SECONDS = 30
STOP_SECONDS = 10


def write_signing_key(path: Path) -> Path:
    """A new key for service-account tokens."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(*pem))
    return path


def configuration(folder: Path, **more: Any) -> ApiServerConfig:
    """Of a server in a process of its own choice: on a free port, with the users of the corpus."""
    key = write_signing_key(folder / "sa.key")
    options: dict[str, Any] = {"token_auth_file": CORPUS / "tokens.csv", "cert_dir": folder, **more}
    return ApiServerConfig(
        bind_address="127.0.0.1",
        secure_port=0,
        authorization_mode=("Node", "RBAC"),
        service_account_key_file=(key,),
        service_account_signing_key_file=key,
        **options,
    )


@contextlib.contextmanager
def api_server(*flags: str) -> Iterator[str]:
    """The URL of a running, ready server with the users of the corpus; ended on exit."""
    with tempfile.TemporaryDirectory(prefix="kuberaft-apiserver-") as folder:
        [port] = free_ports(1)
        key = write_signing_key(Path(folder) / "sa.key")
        command = [
            *(sys.executable, "-m", "apiserver", "--bind-address", "127.0.0.1"),
            *("--secure-port", str(port), "--cert-dir", f"{folder}/certs", "--data-dir", f"{folder}/data"),
            *("--token-auth-file", str(CORPUS / "tokens.csv"), "--authorization-mode", "Node,RBAC"),
            *("--service-account-signing-key-file", str(key), "--service-account-key-file", str(key)),
            *("--service-cluster-ip-range", "10.96.0.0/16", *flags),
        ]
        log = Path(folder) / "log"
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        url = f"https://127.0.0.1:{port}"
        try:
            _wait_ready(url, process, log)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    context = ssl._create_unverified_context()  # the server's certificate is its own
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{url}/readyz", context=context, timeout=2):
                return
        except (OSError, urllib.error.URLError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the API server did not become ready:\n{log.read_text()}") from None
            time.sleep(0.05)
