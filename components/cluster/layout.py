"""The data directory of a cluster: what lies where.

DIR/
  kubeconfig            for the user: the failover endpoint, as system:masters
  topology.yaml         the topology the cluster was made with
  cluster.yaml          slot, store token, port: what was decided at the first start
  pki/store/            CA of the store; one peer certificate per master
  pki/cluster/          CA of the cluster; one certificate per component; the service-account key pair,
                        and encryption.yaml with the keys of encrypted Secrets, if there are such
  pki/front-proxy/      CA of front proxies; the certificate that masters show to extension API servers
  config/               one configuration per process, one kubeconfig per component; rewritten at each start
  masters/mN/           the store of one master: write-ahead log and applied state
  workers/wN/           the kubelet of one worker: pods, volumes, container logs
  logs/NAME.log         what each process says
  drills/ID/            the report of each drill that was started from the dashboard
  run/                  lock and sockets while the cluster runs; gone afterwards
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from components.cluster.errors import ClusterError


def default_dir() -> Path:
    """`$KUBERAFT_DIR`, else `~/.kuberaft`: the same from whichever directory the command is run."""
    return Path(os.environ.get("KUBERAFT_DIR") or "~/.kuberaft").expanduser()


@dataclass(frozen=True)
class Layout:
    """Paths under one data directory."""

    root: Path

    @classmethod
    def at(cls, directory: Path | str | None) -> Layout:
        """The layout of `--dir`, made absolute; the default directory when None."""
        chosen = Path(directory).expanduser() if directory else default_dir()
        return cls(chosen.absolute())

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def topology(self) -> Path:
        return self.root / "topology.yaml"

    @property
    def state(self) -> Path:
        return self.root / "cluster.yaml"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def lock(self) -> Path:
        return self.run / "supervisor.lock"

    @property
    def socket(self) -> Path:
        return self.run / "supervisor.sock"

    @property
    def masters(self) -> Path:
        return self.root / "masters"

    @property
    def workers(self) -> Path:
        return self.root / "workers"

    @property
    def drills(self) -> Path:
        return self.root / "drills"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def admin_socket(self, name: str) -> Path:
        return self.run / f"{name}.sock"

    def config_file(self, name: str) -> Path:
        return self.config / f"{name}.yaml"

    def component_kubeconfig(self, component: str) -> Path:
        return self.config / f"{component}.kubeconfig"

    def exists(self) -> bool:
        """Was a cluster ever made here?"""
        return self.state.exists()

    def own_names(self) -> set[str]:
        """What a cluster puts directly into its directory."""
        directories = (self.pki, self.config, self.logs, self.run, self.masters, self.workers, self.drills)
        return {path.name for path in (*directories, self.kubeconfig, self.topology, self.state)}

    def make(self) -> None:
        """Create the directories, private to the user. Raises ClusterError naming the one that cannot be
        made.
        """
        for path in (self.root, self.pki, self.config, self.logs, self.run, self.masters, self.workers):
            try:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                if not os.access(path, os.W_OK | os.X_OK):
                    raise PermissionError(13, "Permission denied")
            except OSError as error:
                raise unusable(path, error) from error


def unusable(path: Path, error: OSError) -> ClusterError:
    """The message for a file or directory that cannot be written."""
    remedy = "choose another directory: --dir DIR (or the variable KUBERAFT_DIR)"
    if error.errno == 28:
        remedy = "free some space on that disk, or choose a directory on another: --dir DIR"
    return ClusterError(f"{path}: cannot be written: {error.strerror}", remedy)
