"""What reads bytes of clients without doing anything yet: it may refuse them by its own errors, and nothing else.

`python -m tests.apifuzz NAME` feeds a target with what atheris makes up, guided by the branches that are taken.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from multidict import MultiDict

from apiserver.api import codec
from apiserver.api.errors import StatusError
from apiserver.api.fields import FieldSelector, FieldSelectorError, parse_field_selector
from apiserver.api.gvk import GroupVersionKind
from apiserver.api.labels import Selector, SelectorError, parse_selector
from apiserver.api.quantity import QuantityError, parse_quantity
from apiserver.http import body, continue_token, go_yaml, negotiation, options, request_info
from apiserver.http.protobuf import encode, envelope
from apiserver.patch import json_patch, merge, strategic
from apiserver.patch.errors import BadPatch, CannotApply, PatchFailure
from apiserver.schema.schemas import Schemas
from tests.apifuzz import http2, pools, seeds
from tests.support.guided import Fuzzed, Target

POD = GroupVersionKind("", "v1", "Pod")
_DOCUMENT: dict[str, Any] = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "p", "labels": {"a": "b"}, "finalizers": ["a/b", "c/d"]},
    "spec": {
        "containers": [{"name": "a", "image": "x", "ports": [{"containerPort": 80}]}, {"name": "b"}],
        "tolerations": [{"key": "k"}],
        "volumes": [{"name": "v", "emptyDir": {}}],
    },
}


def _refusing(read: Callable[[bytes], object], *refusals: type[Exception]) -> Callable[[], Target]:
    def feed(content: bytes) -> None:
        try:
            read(content)
        except refusals:
            return

    return lambda: feed


def _body(media_type: str) -> Callable[[], Target]:
    """Decoded, then checked against a type, then written as every form."""
    schemas = Schemas.load()

    def read(content: bytes) -> None:
        if media_type == pools.PROTOBUF:
            value = envelope.decode(content, POD)
        else:
            value = body.parse(content, media_type, "Pod")
        body.check_kind(value, POD)
        obj, _ = schemas.check(POD, value, content if media_type == pools.JSON else None)
        assert schemas.check(POD, deepcopy(obj))[0] == obj
        assert codec.decode(codec.encode(obj)).keys() >= {"kind", "apiVersion", "metadata"}
        go_yaml.dump(obj)
        encode.envelope(obj)

    return _refusing(read, StatusError)


def _patch(media_type: str) -> Callable[[], Target]:
    pod = Schemas.load().type_of(POD)

    def read(content: bytes) -> None:
        patch = body.decode_json(content)
        body.require_few_values(patch)
        document = deepcopy(_DOCUMENT)
        if media_type == pools.PATCHES[0]:
            json_patch.apply(document, patch)
        elif isinstance(patch, dict):
            merge.apply(document, patch)
            strategic.apply(document, patch, pod)
        assert document == _DOCUMENT, "the stored object was changed"

    return _refusing(read, codec.DecodeError, StatusError, BadPatch, CannotApply, PatchFailure)


def _text(content: bytes) -> None:
    """All small grammars at once; what is read is written and read again alike."""
    text = content.decode("utf-8", "replace")
    for parse, refusal in (
        (parse_selector, SelectorError),
        (parse_field_selector, FieldSelectorError),
        (parse_quantity, QuantityError),
    ):
        try:
            found = parse(text)
        except refusal:
            continue
        if not _says_nothing(found):
            assert _unordered(parse(str(found))) == _unordered(found), (text, str(found))
    request_info.parse("GET", text, {"fieldSelector": text, "watch": text})
    for read in (lambda: continue_token.decode(text, "/registry/pods/"), lambda: _options(text)):
        try:
            read()
        except StatusError:
            continue
    for header in (negotiation.negotiate, negotiation.content_type):
        try:
            header(text)
        except StatusError:
            continue


def _unordered(found: object) -> object:
    """Terms of a field selector are in the order of how they were written, `=` or `==`; in the original, too."""
    return sorted(found.requirements) if isinstance(found, FieldSelector) else found


def _says_nothing(found: object) -> bool:
    """`a in (,)` is written as `a in ()`, which cannot be read; in the original, too."""
    requirements = found.requirements if isinstance(found, Selector) else ()
    return any(r.operator in ("in", "notin") and r.values == {""} for r in requirements)


def _options(text: str) -> None:
    names = [name for name in pools.QUERY if name not in ("labelSelector", "fieldSelector")]
    options.list_options(MultiDict((name, text) for name in names))


def _bodies(media_type: str) -> list[bytes]:
    plain = [json.dumps(value).encode() for value in seeds.bodies()["Pod"][:20]]
    match media_type:
        case pools.PROTOBUF:
            return [encode.envelope(_DOCUMENT), b"k8s\x00"]
        case pools.YAML:
            return [go_yaml.dump(_DOCUMENT), *pools.YAMLS]
        case pools.CBOR:
            return [*pools.CBORS]
    return [json.dumps(_DOCUMENT).encode(), *plain]


def _patches(media_type: str) -> list[bytes]:
    sent = [seed for seed in seeds.seeds() if seed.headers.get("Content-Type") == media_type]
    return [json.dumps(seed.body).encode() for seed in sent[:50]]


def _texts() -> list[bytes]:
    return [
        text.encode()
        for values in (*pools.QUERY.values(), pools.ACCEPT)
        for text in values
        if len(text) < 4096
    ]


TARGETS = {
    "json": Fuzzed(lambda: _body(pools.JSON)(), lambda: _bodies(pools.JSON)),
    "yaml": Fuzzed(lambda: _body(pools.YAML)(), lambda: _bodies(pools.YAML)),
    "cbor": Fuzzed(lambda: _body(pools.CBOR)(), lambda: _bodies(pools.CBOR)),
    "protobuf": Fuzzed(lambda: _body(pools.PROTOBUF)(), lambda: _bodies(pools.PROTOBUF)),
    "jsonpatch": Fuzzed(lambda: _patch(pools.PATCHES[0])(), lambda: _patches(pools.PATCHES[0])),
    "patch": Fuzzed(lambda: _patch(pools.PATCHES[2])(), lambda: _patches(pools.PATCHES[2])),
    "text": Fuzzed(_refusing(_text), _texts),
    "http2": Fuzzed(http2.target, http2.seeds),
}
