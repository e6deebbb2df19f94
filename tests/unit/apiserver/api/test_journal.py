"""The journal: what it keeps, what it forgets, and that its index finds what a walk over everything finds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api.journal import Journal, ObjectRef, Query, Record, timestamp

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


def journal(**limits: int) -> Journal:
    return Journal("m1", Clock(), **limits)


def note(into: Journal, name: str, **more: Any) -> None:
    ref = ObjectRef(
        more.pop("resource", "pods"), "", more.pop("namespace", "default"), name, more.pop("uid", "")
    )
    into.note(more.pop("source", "apiserver"), "request", ref, f"{name} was written", {"code": 200}, **more)


def names(found: list[Record]) -> list[str]:
    return [record.object.name for record in found]


def test_records_come_back_oldest_first_and_the_newest_of_many() -> None:
    kept = journal()
    for name in "abcd":
        note(kept, name)
    assert names(kept.records(Query())) == ["a", "b", "c", "d"]
    assert names(kept.records(Query(limit=2))) == ["c", "d"]
    first = kept.records(Query())[0]
    assert (first.instance, first.time) == ("m1", "2026-01-01T00:00:00.001000Z")
    assert names(kept.records(Query(since=timestamp(START + timedelta(milliseconds=3))))) == ["c", "d"]


def test_what_began_earlier_has_an_earlier_time() -> None:
    kept = journal()
    note(kept, "a", ago=0.5)
    assert kept.records(Query())[0].time == "2025-12-31T23:59:59.501000Z"


def test_an_object_is_found_by_its_place_and_told_apart_by_its_uid() -> None:
    kept = journal()
    note(kept, "a", uid="1")
    note(kept, "a", uid="2")
    note(kept, "a")
    note(kept, "a", namespace="other", uid="1")
    query = Query(ObjectRef("pods", "", "default", "a", "1"))
    assert [record.object.uid for record in kept.records(query)] == ["1", ""]
    several = Query(any_of=(ObjectRef("pods", "", "default", "a"), ObjectRef("pods", "", "other", "a")))
    assert len(kept.records(several)) == 4


def test_the_number_the_bytes_and_the_records_of_one_object_are_bounded() -> None:
    kept = journal(max_records=10, max_per_object=3)
    note(kept, "once")
    for _ in range(50):
        note(kept, "often")
    assert names(kept.records(Query())) == ["once", "often", "often", "often"]
    for number in range(9):
        note(kept, f"n{number}")
    assert len(kept) == 10
    assert "once" not in names(kept.records(Query()))
    small = journal(max_bytes=1000)
    for number in range(20):
        note(small, f"n{number}")
    assert 0 < small.size <= 1000
    assert names(small.records(Query()))[-1] == "n19"
    assert small.size == sum(map(len, small.lines(Query())))


def test_the_last_word_of_a_component_stays() -> None:
    kept = journal(max_records=2)
    note(kept, "a", source="controller", component="one")
    note(kept, "b", source="controller", component="one")
    for _ in range(5):
        note(kept, "x")
    last = kept.last("controller", "one")
    assert last is not None
    assert last.object.name == "b"
    assert kept.last("controller", "two") is None


def test_who_subscribes_gets_new_records_until_it_ends() -> None:
    kept, got = journal(), list[bytes]()
    end = kept.subscribe(got.append)
    note(kept, "a")
    end()
    note(kept, "b")
    assert [msgspec.json.decode(line)["object"]["name"] for line in got] == ["a"]


def test_what_is_no_utf8_does_not_keep_a_record_out() -> None:
    kept = journal()
    kept.note("apiserver", "request", ObjectRef("pods", "", "", "a"), "x", {"userAgent": "\udcff"})
    assert kept.records(Query())[0].detail == {"userAgent": "\N{REPLACEMENT CHARACTER}"}


OBJECTS = st.tuples(st.sampled_from(["pods", "nodes"]), st.sampled_from("ab"), st.sampled_from("xyz"))
ADDED = st.lists(st.tuples(OBJECTS, st.sampled_from(["apiserver", "kubelet"])), max_size=60)
ASKED = st.tuples(
    st.sampled_from(["", "pods", "nodes"]), st.sampled_from(["", "a", "b"]), st.sampled_from(["", "x", "y"])
)


@given(ADDED, ASKED, st.sampled_from(["", "kubelet"]), st.integers(1, 20))
def test_the_index_finds_what_a_walk_finds(added: Any, asked: Any, source: str, limit: int) -> None:
    kept = journal(max_records=25, max_per_object=4)
    twin: list[Record] = []
    got: list[bytes] = []
    kept.subscribe(got.append)
    for (resource, namespace, name), of in added:
        note(kept, name, resource=resource, namespace=namespace, source=of)
        twin.append(msgspec.json.decode(got[-1], type=Record))
        place = (resource, namespace, name)
        mine = [r for r in twin if (r.object.resource, r.object.namespace, r.object.name) == place]
        if len(mine) > 4:
            twin.remove(mine[0])
        twin = twin[-25:]
    resource, namespace, name = asked
    expected = [
        r
        for r in twin
        if resource in ("", r.object.resource)
        and source in ("", r.source)
        and name in ("", r.object.name)
        # The place of a named object is its whole place.
        and (namespace == r.object.namespace or (not namespace and not (resource and name)))
    ]
    assert (
        kept.records(Query(ObjectRef(resource, "", namespace, name), source, limit=limit))
        == expected[-limit:]
    )
    assert len(kept) == len(twin)
