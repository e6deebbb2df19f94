"""Records over HTTP: the query's parameters, and what a slow reader loses."""

from __future__ import annotations

import pytest
from multidict import MultiDict

from apiserver.api.journal import ObjectRef, Query
from components.client.recordstream import MOST_WAITING, Waiting, framed, query_of, render
from tests.support.virtual_time import run_virtual


def test_parameters() -> None:
    parameters = {"resource": "pods", "namespace": "n", "name": "x", "source": "kubelet", "limit": "7"}
    assert query_of(parameters) == Query(ObjectRef("pods", "", "n", "x"), "kubelet", limit=7)
    assert query_of({"since": "2026-01-01T01:00:00+01:00"}).since == "2026-01-01T00:00:00.000000Z"
    assert query_of({"since": "2026-01-01T00:00:00.5Z"}).since == "2026-01-01T00:00:00.500000Z"
    several = MultiDict([("of", "pods/n/x"), ("of", "nodes//w1")])
    assert query_of(several).any_of == (ObjectRef("pods", "", "n", "x"), ObjectRef("nodes", "", "", "w1"))


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"since": "yesterday"}, "since"),
        ({"limit": "0"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "100000"}, "limit"),
        ({"of": "pods"}, "of"),
        ({"of": "pods/n/"}, "of"),
    ],
)
def test_what_cannot_be_read_is_named(parameters: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        query_of(parameters)


def test_lists_and_lines() -> None:
    assert render([b"{}", b"{}"]) == b'{"kind":"RecordList","records":[{},{}],"missing":[]}'
    assert framed(b"{}") == b'{"type":"RECORD","record":{}}\n'


def test_a_slow_reader_loses_the_oldest_and_is_told_how_many() -> None:
    async def main() -> None:
        waiting = Waiting()
        assert await waiting.take(5.0) == []
        for number in range(MOST_WAITING + 3):
            waiting.put(b"%d" % number)
        lost, first, *_ = await waiting.take(5.0)
        assert lost == b'{"type":"LOST","count":3}\n'
        assert first == b"3"
        waiting.put(b"x")
        assert await waiting.take(5.0) == [b"x"]

    run_virtual(main())
