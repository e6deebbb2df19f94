"""Who a member is: ids derived as etcd does (SHA-1), and the file that keeps them in the data directory.

Ids come from member names and the cluster token, not from addresses: a cluster that is started again on other
ports is the same cluster, a restored one (new token) is not. `member/identity.json` is written before
anything else and must agree with the configuration at every later start.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kvstore.errors import ClusterIDMismatch, DataCorrupt, DataDirUnusable

FILE = "identity.json"
FORMAT = 1


@dataclass(frozen=True)
class Identity:
    """`first_start`: (Raft index, term) at which the applied state stood before the log was created."""

    name: str
    member_id: int
    cluster_id: int
    first_start: tuple[int, int] = (0, 0)


def member_id(name: str, token: str) -> int:
    return _id(b"member\0" + name.encode() + b"\0" + token.encode())


def cluster_id(names: Iterable[str], token: str) -> int:
    ids = sorted(member_id(name, token) for name in names)
    return _id(b"cluster\0" + b"".join(id_.to_bytes(8, "big") for id_ in ids) + token.encode())


def identity(name: str, names: Iterable[str], token: str) -> Identity:
    return Identity(name, member_id(name, token), cluster_id(names, token))


def stored(data_dir: Path, name: str) -> Identity | None:
    """The directory's identity, if it has one. Raises `ClusterIDMismatch` if it is another member's."""
    path = data_dir / "member" / FILE
    try:
        found = _read(path) if path.exists() else None
    except OSError as error:
        raise DataDirUnusable(
            f"{path}: {error.strerror}; make the directory readable or choose another"
        ) from error
    if found is not None and found.name != name:
        raise ClusterIDMismatch(f"{path}: belongs to member {found.name}, not to {name}: use that name")
    return found


def claim(data_dir: Path, wanted: Identity) -> Identity:
    """The directory's identity, written if there is none. Raises `ClusterIDMismatch` if it is another's."""
    directory = data_dir / "member"
    path = directory / FILE
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _write(path, wanted)
            return wanted
        found = _read(path)
    except OSError as error:
        raise DataDirUnusable(
            f"{path}: {error.strerror}; make the directory writable or choose another"
        ) from error
    if (found.cluster_id, found.member_id) != (wanted.cluster_id, wanted.member_id):
        raise ClusterIDMismatch(
            f"{path}: belongs to member {found.name} ({found.member_id:x}) of cluster {found.cluster_id:x}, "
            f"not to {wanted.name} ({wanted.member_id:x}) of {wanted.cluster_id:x}: use the name, initial "
            "cluster and token it was created with, or an empty directory"
        )
    return found


def _read(path: Path) -> Identity:
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}")
        index, term = content["first_start"]
        return Identity(
            content["name"], int(content["member"], 16), int(content["cluster"], 16), (index, term)
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataCorrupt(
            f"{path}: unreadable ({error}); restore the file, or this member's directory from a snapshot"
        ) from error


def _write(path: Path, content: Identity) -> None:
    data = {
        "format": FORMAT,
        "name": content.name,
        "member": f"{content.member_id:x}",
        "cluster": f"{content.cluster_id:x}",
        "first_start": list(content.first_start),
    }
    temporary = path.with_suffix(".tmp")
    with temporary.open("w") as file:
        json.dump(data, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def _id(data: bytes) -> int:
    return int.from_bytes(hashlib.sha1(data, usedforsecurity=False).digest()[:8], "big") or 1
