"""Reads a topology file; every fault names the file, the line, the path, the value and the remedy.

Fed by the command line (`--config NAME|FILE`) and by a data directory's own `topology.yaml`. The structs
are in `topology`; this module adds files, YAML positions and messages.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from components.cluster.errors import TopologyError
from components.cluster.topology import Topology, contradictions

CONFIG_DIR = Path(__file__).resolve().parents[2] / "cluster_configs"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")


def builtin_names() -> list[str]:
    """The topologies that come with the project, by name."""
    return sorted(path.stem for path in CONFIG_DIR.glob("*.yaml"))


def find(name_or_path: str) -> Path:
    """`ha` -> the file that comes with the project; anything with a slash or suffix is a path."""
    path = Path(name_or_path).expanduser()
    if "/" in name_or_path or path.suffix in (".yaml", ".yml", ".json"):
        return path
    if name_or_path not in builtin_names():
        known = ", ".join(builtin_names())
        raise TopologyError(
            f"no topology is named {name_or_path!r}", f"use one of {known}, or the path of a file"
        )
    return CONFIG_DIR / f"{name_or_path}.yaml"


def load(path: Path) -> Topology:
    """Read and check one file. Raises TopologyError; never returns a half-checked topology."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise TopologyError(
            f"{path}: cannot be read: {reason}", "give the path of a readable YAML file"
        ) from error
    return parse(text, str(path))


def parse(text: str, source: str) -> Topology:
    """Check the text of a topology file; `source` is its name in messages."""
    try:
        data = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark else source
        problem = getattr(error, "problem", None) or str(error)
        raise TopologyError(f"{where}: not valid YAML: {problem}", "correct the syntax") from error
    raw = {} if data is None else data
    try:
        topology = msgspec.convert(raw, Topology)
    except msgspec.ValidationError as error:
        raise _explain(str(error), raw, text, source) from error
    for keys, wrong, remedy in contradictions(topology):
        raise _fault(list(keys), wrong, remedy, raw, text, source)
    return topology


def dump(topology: Topology) -> str:
    """The topology as a YAML file that `parse` reads back to the same topology."""
    return yaml.safe_dump(msgspec.to_builtins(topology), sort_keys=False)


def json_schema() -> bytes:
    """The JSON schema of a topology file, as stored in `cluster_configs/schema.json`."""
    schema = msgspec.json.schema(Topology)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "kuberaft topology",
        **schema,
    }
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def _explain(text: str, raw: Any, source_text: str, source: str) -> TopologyError:
    """Turn msgspec's "Expected `int`, got `str` - at `$.masters.count`" into our message."""
    match = _AT.match(text)
    what, keys = (match["what"], _named(raw, _split(match["path"] or ""), text)) if match else (text, [])
    unknown = _UNKNOWN.match(what)
    if unknown:
        field = unknown["field"]
        return _fault(
            [*keys, field], "there is no such field", _fields_remedy(keys, field), raw, source_text, source
        )
    return _fault(keys, what.replace("`", ""), _type_remedy(keys), raw, source_text, source)


def _fault(keys: list[str], wrong: str, remedy: str, raw: Any, text: str, source: str) -> TopologyError:
    line = _line(text, keys)
    value = _value(raw, keys)
    shown = "" if value is _MISSING or isinstance(value, dict | list) else f" = {value!r}"
    where = ".".join(keys) or "the file"
    return TopologyError(f"{source}:{line}: {where}{shown}: {wrong}", remedy)


class _Missing:
    pass


_MISSING = _Missing()


def _split(path: str) -> list[str]:
    """`.workers.overrides[...].cpu` -> keys; msgspec writes `[...]` for a key or an index it does
    not name.
    """
    return [part for part in re.split(r"\.|(\[[^\]]*\])", path) if part]


def _named(raw: Any, keys: list[str], text: str) -> list[str]:
    """`keys` with msgspec's `[...]` (any key of a mapping) replaced by the key that makes it complain."""
    if "[...]" not in keys:
        return keys
    at = keys.index("[...]")
    mapping = _value(raw, keys[:at])
    for key in mapping if isinstance(mapping, dict) else ():
        alone = _replaced(raw, keys[:at], {key: mapping[key]})
        try:
            msgspec.convert(alone, Topology)
        except msgspec.ValidationError as error:
            if str(error) == text:
                return _named(raw, [*keys[:at], str(key), *keys[at + 1 :]], text)
    return keys


def _replaced(raw: Any, keys: list[str], value: Any) -> Any:
    if not keys:
        return value
    return {**raw, keys[0]: _replaced(raw[keys[0]], keys[1:], value)}


def _value(raw: Any, keys: list[str]) -> Any:
    for key in keys:
        index = re.fullmatch(r"\[(\d+)\]", key)
        if index and isinstance(raw, list) and int(index[1]) < len(raw):
            raw = raw[int(index[1])]
        elif isinstance(raw, dict) and key in raw:
            raw = raw[key]
        else:
            return _MISSING
    return raw


def _line(text: str, keys: list[str]) -> int:
    """The line of the deepest key of `keys` that the text holds; 1 when none."""
    node = yaml.compose(text, Loader=_Loader)
    line = 1
    for key in keys:
        index = re.fullmatch(r"\[(\d+)\]", key)
        if isinstance(node, yaml.MappingNode):
            found = [(k, v) for k, v in node.value if k.value == key]
            if not found:
                return line
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and index and int(index[1]) < len(node.value):
            node = node.value[int(index[1])]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _schema_at(keys: list[str]) -> dict[str, Any]:
    """The part of the JSON schema that describes the value at `keys`; {} when it has none."""
    schema = msgspec.json.schema(Topology)
    here: dict[str, Any] = schema
    for key in ["", *keys]:
        if key and "[" in key:
            here = here.get("items") or here.get("additionalProperties") or {}
        elif key:
            here = here.get("properties", {}).get(key) or here.get("additionalProperties") or {}
        for choice in here.get("anyOf", []):
            here = {**choice, **{k: v for k, v in here.items() if k != "anyOf"}}
        if "$ref" in here:
            description = {k: v for k, v in here.items() if k == "description"}
            here = {**schema["$defs"][here["$ref"].rsplit("/", 1)[1]], **description}
    return here


def _fields_remedy(keys: list[str], field: str) -> str:
    known = list(_schema_at(keys).get("properties", {}))
    close = difflib.get_close_matches(field, known, n=1)
    return f"did you mean {close[0]}?" if close else f"the fields here are {', '.join(known)}"


def _type_remedy(keys: list[str]) -> str:
    schema = _schema_at(keys)
    if schema.get("enum") and "description" not in schema:
        return f"use one of {', '.join(map(str, schema['enum']))}"
    described = schema.get("description")
    default = schema.get("default")
    text = str(described) if described else "see cluster_configs/schema.json"
    return f"{text} (default: {default})" if default not in (None, {}, []) else text
