"""A container's file tree, built inside its own mount namespace without any privilege on the host.

Process containers share the host's root file system, where mount paths such as
`/var/run/secrets/kubernetes.io/serviceaccount` or `/etc/config` usually do not exist and must not be
created. So the tree is put together anew for each container:

1. a tmpfs becomes the new root; every top-level entry of the host is bound into it (links are copied);
2. a mount point that exists is used as it is. One that does not is made by *opening up* the deepest
   existing directory above it: a small tmpfs is mounted over that directory, its entries are bound back in,
   and the missing part of the path is created in the tmpfs. Nothing on the host changes;
3. volumes are bound on their mount points in path order, `/proc` is mounted for the new PID namespace;
4. `pivot_root` swaps the tree in and the old root is detached.

Only rbind, tmpfs and pivot_root are used, which every kernel with user namespaces allows (an overlay
would need Linux 5.11 and support from the file system below). Called by `spawn` in the child after clone.
"""

from __future__ import annotations

import os
import stat

from components.kubelet.runtime.process.shim import syscalls as sc

_BIND = sc.MS_BIND | sc.MS_REC
_TMPFS_OPTIONS = "mode=0755,size=16m"


class Tree:
    """The tree under construction at `root` (a directory of ours on the host)."""

    def __init__(self, root: str) -> None:
        self.root = root
        # Directories below which the host is visible (True) or which are ours to create entries in (False).
        self._host: dict[str, bool] = {}

    def build(self, mounts: list[dict[str, object]], *, own_proc: bool, readonly: bool, cwd: str) -> None:
        sc.mount("none", "/", None, sc.MS_REC | sc.MS_PRIVATE)
        sc.mount("tmpfs", self.root, "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, _TMPFS_OPTIONS)
        self._host[self.root] = False
        self._fill("/", self.root, skip="proc" if own_proc else "")
        self._place_proc(own_proc)
        if readonly:
            self._prepare(mounts)
            sc.make_readonly(self.root)
        for entry in sorted(mounts, key=lambda m: str(m["container_path"]).count("/")):
            self._bind_volume(entry)
        if cwd and not readonly:
            self._point(cwd, is_dir=True)

    def enter(self) -> None:
        """Make the tree this process's root; the host's own tree is gone afterwards."""
        os.chdir(self.root)
        sc.pivot_root(".", ".")
        sc.unmount(".")
        os.chdir("/")

    def _place_proc(self, own_proc: bool) -> None:
        if not own_proc:
            return
        target = os.path.join(self.root, "proc")
        os.mkdir(target)
        sc.mount("proc", target, "proc", sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC)
        self._host[target] = True

    def _prepare(self, mounts: list[dict[str, object]]) -> None:
        for entry in mounts:
            self._point(str(entry["container_path"]), is_dir=os.path.isdir(str(entry["host_path"])))

    def _bind_volume(self, entry: dict[str, object]) -> None:
        source = str(entry["host_path"])
        target = self._point(str(entry["container_path"]), is_dir=os.path.isdir(source))
        sc.mount(source, target, None, _BIND)
        self._host[target] = False
        if entry.get("readonly"):
            sc.make_readonly(target)

    def _fill(self, source: str, target: str, *, skip: str = "") -> None:
        """Make every entry of `source` appear in the empty directory `target`."""
        for name in os.listdir(source):
            if name != skip:
                self._mirror(os.path.join(source, name), os.path.join(target, name))

    def _mirror(self, source: str, target: str) -> None:
        try:
            mode = os.lstat(source).st_mode
            if stat.S_ISLNK(mode):
                os.symlink(os.readlink(source), target)
                return
            if stat.S_ISDIR(mode):
                os.mkdir(target)
                self._host[target] = True
            else:
                os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
            sc.mount(source, target, None, _BIND)
        except OSError:
            # An entry that vanished or that this user may not reach is not visible to the container either.
            return

    def _point(self, path: str, *, is_dir: bool) -> str:
        """The place in the tree for `path`, created if it is missing. Returns its path below `root`."""
        target = self._resolve(path)
        if os.path.lexists(target):
            if os.path.isdir(target) != is_dir:
                kinds = ("a directory", "a file") if is_dir else ("a file", "a directory")
                raise OSError(20, f"cannot mount {kinds[0]} on {path}, which is {kinds[1]}")
            return target
        parent = os.path.dirname(target)
        while not os.path.isdir(parent):
            parent = os.path.dirname(parent)
        if self._shows_host(parent):
            self._open_up(parent)
        os.makedirs(target if is_dir else os.path.dirname(target), exist_ok=True)
        if not is_dir:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
        return target

    def _open_up(self, directory: str) -> None:
        below = os.open(directory, os.O_PATH | os.O_DIRECTORY)
        try:
            sc.mount("tmpfs", directory, "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, _TMPFS_OPTIONS)
            self._host[directory] = False
            self._fill(f"/proc/self/fd/{below}", directory)
        finally:
            os.close(below)

    def _shows_host(self, directory: str) -> bool:
        while directory not in self._host:
            directory = os.path.dirname(directory)
        return self._host[directory]

    def _resolve(self, path: str) -> str:
        """Follow the links of `path` as the container would: absolute targets start at the new root."""
        pending = [part for part in path.split("/") if part]
        current, links = self.root, 0
        while pending:
            part = pending.pop(0)
            if part == "..":
                current = current if current == self.root else os.path.dirname(current)
            elif part != ".":
                step = os.path.join(current, part)
                if not os.path.islink(step):
                    current = step
                    continue
                links += 1
                if links > 40:
                    raise OSError(40, f"too many links in {path}")
                to = os.readlink(step)
                pending[:0] = [piece for piece in to.split("/") if piece]
                current = self.root if to.startswith("/") else current
        return current
