"""The images of the process runtime: what is truly on this machine, under image names (P but for
`Catalogue.default`).

    kuberaft/echo    HTTP, TCP and UDP echo server (images/echo.py); its answers tell the tag
    kuberaft/pause   sleeps until it is told to end (images/pause.py)
    python           this interpreter
    busybox          the host's busybox, if there is one
    host             any command of the host

A topology can add more: name -> entrypoint, command, environment. Anything else is refused with a text
that names the way to real images. `docker.io/library/python:3.12` and `python` are the same name; the
tag never selects another interpreter, it is only told on.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from components.kubelet.runtime.interface import ConfigFault, ImageInfo

_HERE = Path(__file__).parent


class Image(msgspec.Struct, frozen=True):
    """As an OCI image config: `command` of a pod replaces `entrypoint`, `args` replaces `cmd`."""

    name: str
    entrypoint: list[str] = []
    cmd: list[str] = []
    environment: dict[str, str] = {}
    size: int = 0

    def argv(self, command: list[str], args: list[str]) -> list[str]:
        if command:
            full = [*command, *args]
        else:
            full = [*self.entrypoint, *(args or self.cmd)]
        if not full:
            raise ConfigFault(f'no command specified: image "{self.name}" has none of its own')
        if self.name in _SUBSTITUTES and full[0] in _SUBSTITUTES[self.name]:
            full[0] = self.entrypoint[0]
        return full

    def env(self, reference: str) -> dict[str, str]:
        return {**self.environment, "KUBERAFT_IMAGE": reference, "KUBERAFT_IMAGE_TAG": split(reference)[1]}

    @property
    def digest(self) -> str:
        material = msgspec.json.encode(
            [self.name, self.entrypoint, self.cmd, sorted(self.environment.items())]
        )
        return "sha256:" + hashlib.sha256(material).hexdigest()

    def info(self, reference: str) -> ImageInfo:
        return ImageInfo(id=self.digest, tag=reference, size=self.size)


# In the python image, `python` is this interpreter whatever the host's PATH says.
_SUBSTITUTES = {"python": frozenset({"python", "python3"})}


def split(reference: str) -> tuple[str, str]:
    """`registry/name:tag@digest` -> (name without the default registry, tag or "latest")."""
    name = reference.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        head, tag = name, "latest"
    for prefix in ("docker.io/library/", "docker.io/", "index.docker.io/library/"):
        head = head.removeprefix(prefix)
    return head, tag


class Catalogue:
    def __init__(self, images: Mapping[str, Image]) -> None:
        self._images = dict(images)

    @classmethod
    def default(cls, extra: Mapping[str, Image] | None = None) -> Catalogue:
        images = {image.name: image for image in _built_in()}
        images.update(extra or {})
        return cls(images)

    def find(self, reference: str) -> Image | None:
        return self._images.get(split(reference)[0])

    def images(self) -> list[Image]:
        return list(self._images.values())

    def explain(self, reference: str) -> str:
        names = ", ".join(sorted(self._images))
        return (
            f'failed to pull and unpack image "{reference}": not in the catalogue of the process runtime, '
            f"which runs programs of this machine and downloads nothing. It has: {names}. Add a program of "
            f"yours under `images` in the topology file; images from a registry need the containerd runtime "
            f"(a later version)."
        )


def _built_in() -> list[Image]:
    python = sys.executable
    # Isolated and without site packages: starts in half the time and a third of the memory.
    script = [python, "-I", "-S"]
    own = [_HERE / name for name in ("echo.py", "pause.py")]
    images = [
        *(Image(f"kuberaft/{path.stem}", [*script, str(path)], size=path.stat().st_size) for path in own),
        Image("python", [python], size=Path(python).stat().st_size),
        Image("host", size=0),
    ]
    busybox = shutil.which("busybox")
    if busybox:
        images.append(Image("busybox", [busybox], ["sh"], size=Path(busybox).stat().st_size))
    return images
