"""The file that remembers how far a mirror has come: `--state FILE`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from kvstore.backend import translated
from kvstore.errors import DataCorrupt


@dataclass(frozen=True)
class State:
    """Everything of the source up to `revision` is in the destination. Ids are of the clusters."""

    source: int
    destination: int
    prefix: str
    destination_prefix: str
    revision: int


def read(path: Path) -> State | None:
    with translated(path):
        if not path.exists():
            return None
        text = path.read_bytes()
    try:
        state = State(**json.loads(text))
        if not isinstance(state.revision, int):
            raise TypeError("the revision is not a number")
        return state
    except (ValueError, TypeError) as error:
        raise DataCorrupt(
            f"{path}: no state of a mirror ({error}); remove it to copy everything again"
        ) from error


def write(path: Path, state: State) -> None:
    """Whole or not at all; a power loss may bring back an older state, which only repeats work."""
    part = path.with_name(path.name + ".part")
    with translated(path):
        part.write_text(json.dumps(asdict(state)) + "\n")
        os.replace(part, path)
