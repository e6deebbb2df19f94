"""One API server as a process of its own, over an embedded store in a folder that outlives it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import psutil

from benchmarks.http_load import Connection, Target
from components.client.kubeconfig import ClientConfig
from tests.conformance.server import CORPUS, write_signing_key
from tests.support.kvstore_cluster import free_ports

_SECONDS: Final = 60.0
_MEBIBYTE: Final = 1 << 20
_MASTERS: Final = "admintoken"


class Server:
    """`with Server(folder) as server:` it is ready; `started` says after how many seconds."""

    def __init__(self, folder: Path, *, bare: bool = False) -> None:
        """``bare``: everybody may do everything, and nothing is looked at by admission."""
        folder.mkdir(exist_ok=True)
        [self._port] = free_ports(1)
        self._log = folder / "log"
        key = folder / "sa.key"
        if not key.exists():
            write_signing_key(key)
        self._command = [
            *(sys.executable, "-m", "benchmarks.bare_server" if bare else "apiserver"),
            *("--bind-address", "127.0.0.1", "--secure-port", str(self._port)),
            *("--cert-dir", f"{folder}/certs", "--data-dir", f"{folder}/data"),
            *("--token-auth-file", str(CORPUS / "tokens.csv")),
            *("--authorization-mode", "AlwaysAllow" if bare else "Node,RBAC"),
            *("--service-account-signing-key-file", str(key), "--service-account-key-file", str(key)),
        ]
        self.started = 0.0

    def target(self, token: str = _MASTERS) -> Target:
        url = f"https://127.0.0.1:{self._port}"
        return Target.of(ClientConfig(url, token=token, insecure_skip_tls_verify=True))

    def __enter__(self) -> Server:
        began = time.perf_counter()
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=subprocess.STDOUT)
        while b"serving on" not in self._log.read_bytes():
            if self._process.poll() is not None or time.perf_counter() > began + _SECONDS:
                raise RuntimeError(f"the API server does not start:\n{self._log.read_text()}")
            time.sleep(0.01)
        self.started = time.perf_counter() - began
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def memory(self) -> float:
        """MiB of its own: what is mapped from files, as the store's database is, is the kernel's to give up."""
        taken = psutil.Process(self._process.pid).memory_info()
        return float(taken.rss - taken.shared) / _MEBIBYTE


async def asked(connection: Connection, request: bytes, expected: int = 200) -> Any:
    """The decoded answer."""
    import msgspec

    return msgspec.json.decode(await connection.fetch(request, expected))
