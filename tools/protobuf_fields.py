"""Makes apiserver/http/protobuf/fields.json from the sources of k8s.io/api and k8s.io/apimachinery.

    python tools/protobuf_fields.py DIRECTORY > apiserver/http/protobuf/fields.json

DIRECTORY holds ``api`` and ``apimachinery``, as in Debian's golang-k8s-api-dev and golang-k8s-apimachinery-dev. The
``generated.proto`` files give numbers and types; the tags of the Go structs give what protobuf leaves out: the JSON
name, whether the field is inlined, and when its zero value is written.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

SCALARS = frozenset({"bool", "bytes", "int32", "int64", "string"})
WELL_KNOWN = {
    "k8s.io.apimachinery.pkg.api.resource.Quantity": "quantity",
    "k8s.io.apimachinery.pkg.apis.meta.v1.FieldsV1": "raw",
    "k8s.io.apimachinery.pkg.apis.meta.v1.MicroTime": "microTime",
    "k8s.io.apimachinery.pkg.apis.meta.v1.Time": "time",
    "k8s.io.apimachinery.pkg.runtime.RawExtension": "raw",
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": "intOrString",
}
PACKAGES = ("api/*/v1", "api/autoscaling/v2", "apimachinery/pkg/apis/meta/v1")
PREFIXES = ("k8s.io.api.", "k8s.io.apimachinery.pkg.apis.")

_MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.M | re.S)
_FIELD = re.compile(r"^  (optional|repeated|map<string, ([^>]+)>) ?(\S+)? (\w+) = (\d+);", re.M)
_PACKAGE = re.compile(r"^package (\S+);", re.M)
_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.M | re.S)
_LIST = re.compile(r"^type (\w+) \[\]string$", re.M)
_MEMBER = re.compile(r"^\t(?:(\w+)[ \t]+)?(\*?)\S+[ \t]+`(.*json:.*)`", re.M)
_TAG_JSON = re.compile(r'json:"([^",]*)([^"]*)"')
_TAG_NUMBER = re.compile(r'protobuf:"[a-z0-9]+,(\d+)')

Row = list[str]


def tags(folder: Path) -> tuple[dict[str, dict[str, tuple[str, str]]], set[str]]:
    """({struct: {field number: (JSON name, shape)}}, names of the lists that protobuf wraps)."""
    structs: dict[str, dict[str, tuple[str, str]]] = {}
    lists: set[str] = set()
    for path in sorted(folder.glob("*.go")):
        if path.name.startswith(("generated", "zz_")) or path.name.endswith("_test.go"):
            continue
        text = path.read_text()
        lists |= set(_LIST.findall(text))
        for name, body in _STRUCT.findall(text):
            structs[name] = dict(members(body))
    return structs, lists


def members(body: str) -> Iterator[tuple[str, tuple[str, str]]]:
    for _, pointer, tag in _MEMBER.findall(body):
        found, number = _TAG_JSON.search(tag), _TAG_NUMBER.search(tag)
        if found is None or number is None:
            continue
        name, options = found.groups()
        yield number[1], (name, shape(pointer, options))


def shape(pointer: str, options: str) -> str:
    if "inline" in options:
        return "inline"
    return "kept" if pointer or "omitempty" not in options else "omitempty"


def short(name: str) -> str:
    for prefix in PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    raise SystemExit(f"no rule for the type {name}")


def resolve(name: str, package: str, wrapped: set[str]) -> str:
    if name in SCALARS:
        return name
    full = name.removeprefix(".") if name.startswith(".") else f"{package}.{name}"
    if full in WELL_KNOWN:
        return WELL_KNOWN[full]
    return "strings" if name in wrapped else short(full)


def messages(folder: Path) -> Iterator[tuple[str, dict[str, Row]]]:
    proto = (folder / "generated.proto").read_text()
    found = _PACKAGE.search(proto)
    assert found is not None
    package = found[1]
    structs, wrapped = tags(folder)
    for message, body in _MESSAGE.findall(proto):
        if message in wrapped or f"{package}.{message}" in WELL_KNOWN or message not in structs:
            continue
        rows: dict[str, Row] = {}
        for label, value, kind, _, number in _FIELD.findall(body):
            if number not in structs[message]:
                continue
            name, how = structs[message][number]
            how = {"optional": how, "repeated": "list"}.get(label, "map")
            rows[number] = [name, resolve(value or kind, package, wrapped), how]
        if rows:
            yield f"{short(package)}.{message}", rows


def check(table: dict[str, dict[str, Row]]) -> None:
    known = SCALARS | set(WELL_KNOWN.values()) | {"strings"} | set(table)
    unknown = {row[1] for rows in table.values() for row in rows.values()} - known
    if unknown:
        raise SystemExit(f"fields of types that are not in the table: {', '.join(sorted(unknown))}")


def main() -> None:
    root = Path(sys.argv[1])
    table: dict[str, dict[str, Row]] = {}
    for pattern in PACKAGES:
        for folder in sorted(root.glob(pattern)):
            table.update(messages(folder))
    check(table)
    lines = (
        f"{json.dumps(name)}:{json.dumps(rows, separators=(',', ':'))}"
        for name, rows in sorted(table.items())
    )
    print("{" + ",\n".join(lines) + "}")


if __name__ == "__main__":
    main()
