"""Selections of cached entries against the plain way: parse each object and ask the selector."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api import codec
from apiserver.api.labels import parse_selector
from apiserver.http.options import ListOptions
from apiserver.http.selection import select
from apiserver.registry.strategy import RegistryOptions
from apiserver.registry.table import Registry, Resource
from apiserver.storage.entry import Entry


def _resource() -> Resource:
    found = Registry.default(RegistryOptions()).lookup("", "v1", "configmaps")
    assert found is not None
    return found


RESOURCE = _resource()
LABELS = st.dictionaries(st.sampled_from("ab"), st.sampled_from(["x", "y", ""]), max_size=2)
SELECTORS = st.sampled_from(["a=x", "a!=x", "a in (x,y),b", "!a", "a,!b", "b notin (y)", "a=x,b=y"])


def entry(name: str, labels: dict[str, str]) -> Entry:
    obj = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "n", "labels": labels},
    }
    return Entry(f"/registry/configmaps/n/{name}", codec.encode(obj), 7)


@given(st.lists(LABELS, max_size=30), SELECTORS)
def test_label_selectors(given_labels: list[dict[str, str]], selector: str) -> None:
    entries = [entry(f"c{number}", labels) for number, labels in enumerate(given_labels)]
    selection = select(RESOURCE, "n", ListOptions(label_selector=selector))
    parsed = parse_selector(selector)
    expected = [e for e, labels in zip(entries, given_labels, strict=True) if parsed.matches(labels)]
    assert asyncio.run(selection.filtered(entries)) == expected
    assert selection.matches is not None
    assert list(filter(selection.matches, entries)) == expected


@pytest.mark.parametrize(
    ("namespace", "fields", "found"),
    [
        ("n", "metadata.name=c", True),
        ("", "metadata.name=c,metadata.namespace=n", True),
        ("n", "metadata.name=c,metadata.namespace=m", False),
        ("n", "metadata.name=c,metadata.name=d", False),
        ("n", "metadata.name=c,metadata.name!=c", False),
        ("n", "metadata.name=d", False),
        ("n", "metadata.name!=d", True),
    ],
)
def test_a_selector_of_one_object(namespace: str, fields: str, found: bool) -> None:
    one = entry("c", {})
    selection = select(RESOURCE, namespace, ListOptions(field_selector=fields))
    covered = [one] if selection.covers(one.key) else []
    expected: list[Any] = [one] if found else []
    assert asyncio.run(selection.filtered(covered)) == expected
