"""Labels of nodes that are deprecated, wherever something selects by them (``pkg/api/node/util.go``). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from apiserver.api.field_errors import Path

Object = dict[str, Any]
DEPRECATED: Final = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": (
        'deprecated since v1.17; use "topology.kubernetes.io/region" instead'
    ),
    "failure-domain.beta.kubernetes.io/zone": (
        'deprecated since v1.17; use "topology.kubernetes.io/zone" instead'
    ),
    "beta.kubernetes.io/instance-type": (
        'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead'
    ),
}


def expression_warnings(expressions: Iterable[Object], path: Path) -> list[str]:
    return [
        f"{path.index(at).child('key')}: {expression['key']} is {DEPRECATED[expression['key']]}"
        for at, expression in enumerate(expressions)
        if expression.get("key") in DEPRECATED
    ]


def term_warnings(terms: Iterable[Object], path: Path) -> list[str]:
    return [
        text
        for at, term in enumerate(terms)
        for text in expression_warnings(
            term.get("matchExpressions") or (), path.index(at).child("matchExpressions")
        )
    ]


def selector_warnings(selector: Object | None, path: Path) -> list[str]:
    """Of a label selector that selects nodes."""
    chosen = selector or {}
    found = expression_warnings(chosen.get("matchExpressions") or (), path.child("matchExpressions"))
    labels = sorted(chosen.get("matchLabels") or ())
    where = path.child("matchLabels")
    return found + [f"{where.child(key)}: {DEPRECATED[key]}" for key in labels if key in DEPRECATED]
