"""Drill files: those that come with the project, by name, and anyone's own; every fault names file and field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

from components.cluster.errors import ClusterError
from components.drills.spec import Drill, contradictions, length, needs

DRILL_DIR = Path(__file__).resolve().parents[2] / "cluster_configs" / "drills"
START_SECONDS = 8.0  # of a cluster of the drill's own, on the machines it is written for
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def names() -> list[str]:
    """The drills that come with the project."""
    return sorted(path.stem for path in DRILL_DIR.glob("*.yaml"))


def find(name: str) -> Drill:
    """A shipped drill. Raises ClusterError naming those there are."""
    if name not in names():
        raise ClusterError(
            f"there is no drill {name!r}",
            f"they are {', '.join(names())}; a file of your own: kuberaft drill run FILE",
        )
    return load(DRILL_DIR / f"{name}.yaml")


def load(path: Path) -> Drill:
    """Read and check one file. Raises ClusterError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ClusterError(f"{path}: cannot be read: {reason}", "name a readable YAML file") from error
    return parse(text, str(path))


def parse(text: str, source: str) -> Drill:
    """Check the text of a drill file; `source` is its name in messages. Raises ClusterError."""
    remedy = "the fields are described in docs/drills.md"
    try:
        drill = msgspec.convert(yaml.load(text, Loader=_Loader) or {}, Drill)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark else source
        raise ClusterError(
            f"{where}: not valid YAML: {getattr(error, 'problem', None) or error}", "correct the syntax"
        ) from error
    except msgspec.ValidationError as error:
        raise ClusterError(f"{source}: {error}", remedy) from error
    for wrong, what_to_do in contradictions(drill):
        raise ClusterError(f"{source}: {wrong}", what_to_do)
    return drill


def listing() -> dict[str, Any]:
    """What `kuberaft drill list -o json` prints; `seconds` is about how long a run takes."""
    found = [(name, find(name)) for name in names()]
    return {
        "drills": [
            {
                "name": name,
                "title": drill.title,
                "description": " ".join(drill.description.split()),
                "needs": needs(drill),
                "seconds": round(START_SECONDS + length(drill) + 5),
            }
            for name, drill in found
        ]
    }


def json_schema() -> bytes:
    """The JSON schema of a drill file, as stored in `cluster_configs/drills/schema.json`."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "kuberaft drill",
        **msgspec.json.schema(Drill),
    }
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


if __name__ == "__main__":
    (DRILL_DIR / "schema.json").write_bytes(json_schema())
