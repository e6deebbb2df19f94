"""Hand-made histories, right and wrong, one rule each."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvstore.check.command import main
from kvstore.check.history import (
    AnyRequest,
    Call,
    Compact,
    Compare,
    Delete,
    Event,
    Grant,
    History,
    HistoryError,
    KeepAlive,
    KeyValue,
    Put,
    Range,
    Record,
    Result,
    Revoke,
    Start,
    Txn,
    Watch,
    Watched,
    collect,
    encode,
    parse,
)
from kvstore.check.html import page
from kvstore.check.model import COMPACTED, FUTURE, NO_LEASE
from kvstore.check.report import report
from kvstore.check.verdict import Verdict, check

SECOND = 1_000_000_000


def ok(client: int, start: int, end: int, request: AnyRequest, **result: object) -> Call:
    return Call(client, start, request, "ok", end, Result(**result))  # type: ignore[arg-type]


def lost(client: int, start: int, request: AnyRequest) -> Call:
    return Call(client, start, request, "unknown")


def refused(client: int, start: int, end: int, request: AnyRequest, error: str) -> Call:
    return Call(client, start, request, "error", end, error=error)


def kv(
    key: str, value: str, mod: int, create: int | None = None, version: int = 1, lease: int = 0
) -> KeyValue:
    return KeyValue(key, value, mod if create is None else create, mod, version, lease)


def judge(*records: Record) -> Verdict:
    return check(collect(records))


PUT_A = ok(1, 0, 1, Put("a", "1"), revision=2)
SEEN = (kv("a", "1", 2),)
LOST_A = Call(1, 0, Put("a", "1"), "unknown")
NOTHING_YET = ok(2, 5, 6, Range("a"), revision=1, kvs=())
STALE = Call(2, 2, Range("a", serializable=True), "ok", 3, Result(revision=1, kvs=()))
PUT_A_AGAIN = ok(1, 2, 3, Put("a", "2"), revision=3)


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param(
            [PUT_A, ok(2, 2, 3, Range("a"), revision=2, kvs=(kv("a", "1", 2),))], id="read what was written"
        ),
        pytest.param(
            [ok(1, 0, 9, Put("a", "1"), revision=2), NOTHING_YET],
            id="overlap",
        ),
        pytest.param(
            [LOST_A, NOTHING_YET],
            id="lost, without effect",
        ),
        pytest.param(
            [LOST_A, ok(2, 5, 6, Range("a"), revision=2, kvs=SEEN)],
            id="lost, with effect",
        ),
        pytest.param(
            [
                lost(1, 0, Put("a", "1")),
                ok(2, 5, 6, Range("a"), revision=1, kvs=()),
                ok(2, 7, 8, Range("a"), revision=2, kvs=(kv("a", "1", 2),)),
            ],
            id="lost, with effect much later",
        ),
        pytest.param(
            [PUT_A, ok(1, 2, 3, Delete("a"), revision=3, deleted=1, prev_kvs=(kv("a", "1", 2),))], id="delete"
        ),
        pytest.param(
            [PUT_A, ok(1, 2, 3, Delete("b"), revision=2, deleted=0, prev_kvs=())], id="delete of nothing"
        ),
        pytest.param(
            [PUT_A, PUT_A_AGAIN, ok(1, 4, 5, Range("a", revision=2), revision=3, kvs=SEEN)],
            id="old",
        ),
        pytest.param([PUT_A, refused(1, 2, 3, Range("a", revision=9), FUTURE)], id="future"),
        pytest.param(
            [
                PUT_A,
                PUT_A_AGAIN,
                ok(1, 4, 5, Compact(3)),
                refused(1, 6, 7, Range("a", revision=2), COMPACTED),
            ],
            id="compacted",
        ),
        pytest.param([refused(1, 0, 1, Put("a", "1", lease=7), NO_LEASE)], id="no lease"),
        pytest.param(
            [
                ok(1, 0, 1, Grant(7, 60)),
                ok(1, 2, 3, Put("a", "1", lease=7), revision=2),
                ok(1, 4, 5, Revoke(7)),
                ok(1, 6, 7, Range("a"), revision=3, kvs=()),
            ],
            id="a revoked lease takes its keys",
        ),
        pytest.param(
            [
                ok(1, 0, 1, Grant(7, 2), ttl=2),
                ok(1, 2, 3, Put("a", "1", lease=7), revision=2),
                ok(1, 4, 3 * SECOND, Range("a"), revision=3, kvs=()),
                ok(1, 3 * SECOND + 1, 3 * SECOND + 2, KeepAlive(7), ttl=0),
            ],
            id="a lease that ran out takes its keys",
        ),
        pytest.param(
            [PUT_A, Call(2, 2, Range("a", serializable=True), "ok", 3, Result(revision=1, kvs=()))],
            id="stale, as asked for",
        ),
    ],
)
def test_right_histories_pass(calls: list[Record]) -> None:
    verdict = judge(*calls)
    assert verdict.passed, report(verdict)


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        (
            [PUT_A, ok(2, 2, 3, Range("a"), revision=1, kvs=())],
            "answered at revision 1, the store would be at 2",
        ),
        ([PUT_A, ok(2, 2, 3, Range("a"), revision=2, kvs=(kv("a", "0", 2),))], "answered 'a' = '0'"),
        (
            [PUT_A, ok(2, 2, 3, Range("a"), revision=2, kvs=(), count=0)],
            "answered count 0, the store would say 1",
        ),
        ([PUT_A, ok(2, 2, 3, Put("a", "2"), revision=2)], "answered at revision 2"),
        ([PUT_A, ok(2, 2, 3, Put("a", "2"), revision=4)], "answered at revision 4"),
        ([PUT_A, ok(2, 2, 3, Put("a", "2"), revision=3, prev_kvs=())], "previous keys: left out 'a' = '1'"),
        ([PUT_A, ok(1, 2, 3, Delete("a"), revision=3, deleted=2)], "answered deleted 2"),
        (
            [
                PUT_A,
                ok(1, 2, 3, Txn((Compare("a", "value", "0"),), (Delete("a"),)), revision=3, succeeded=True),
            ],
            "answered at revision 3",
        ),
        ([PUT_A, refused(1, 2, 3, Put("b", "1"), NO_LEASE)], "the store would accept"),
        ([PUT_A, refused(1, 2, 3, Range("a", revision=1), COMPACTED)], "the store would accept"),
        ([ok(1, 0, 1, Put("a", "1", lease=7), revision=2)], "the store would refuse: " + NO_LEASE),
        (
            [
                ok(1, 0, 1, Grant(7, 60), ttl=60),
                ok(1, 2, 3, Put("a", "1", lease=7), revision=2),
                ok(1, 4, 3 * SECOND, Range("a"), revision=3, kvs=()),
            ],
            "answered at revision 3",
        ),
        ([ok(1, 0, 1, Grant(7, 60)), ok(1, 2, 3, KeepAlive(7), ttl=0)], "answered that the lease is gone"),
    ],
)
def test_wrong_histories_fail_with_the_reason(calls: list[Record], said: str) -> None:
    verdict = judge(*calls)
    assert verdict.linearizable is False
    assert said in report(verdict)


def test_a_lease_that_was_renewed_does_not_run_out_before_its_time() -> None:
    calls = [
        ok(1, 0, 1, Grant(7, 2), ttl=2),
        ok(1, 2, 3, Put("a", "1", lease=7), revision=2),
        ok(1, SECOND, SECOND + 1, KeepAlive(7), ttl=2),
        ok(1, SECOND * 5 // 2, SECOND * 5 // 2 + 1, Range("a"), revision=3, kvs=()),
    ]
    assert judge(*calls).linearizable is False


def test_a_serializable_read_of_no_state_there_ever_was() -> None:
    read = Call(2, 2, Range("a", serializable=True), "ok", 3, Result(revision=2, kvs=()))
    verdict = judge(PUT_A, read)
    assert verdict.linearizable
    assert [r.reason for r in verdict.stale_reads] == [
        "keys: left out 'a' = '1' (create 2, mod 2, version 1)"
    ]
    ahead = Call(2, 2, Range("a", serializable=True), "ok", 3, Result(revision=9, kvs=()))
    assert "never came beyond 2" in judge(PUT_A, ahead).stale_reads[0].reason


def test_histories_without_revisions_are_judged_by_key() -> None:
    calls = [
        ok(1, 0, 1, Put("a", "1")),
        ok(2, 0, 1, Put("b", "1")),
        ok(1, 2, 3, Range("a"), kvs=(KeyValue("a", "1"),)),
        ok(2, 2, 3, Range("b"), kvs=(KeyValue("b", "1"),)),
    ]
    assert judge(*calls).passed
    assert judge(*calls[:3], ok(2, 2, 3, Range("b"), kvs=())).linearizable is False


def test_a_search_that_gives_up_says_so() -> None:
    puts = [ok(n, 0, 5, Put("a", str(n))) for n in range(12)]
    read = ok(99, 6, 7, Range("a"), kvs=(KeyValue("a", "never"),))
    verdict = check(collect([*puts, read]), budget=1000)
    assert verdict.linearizable is None
    assert not verdict.passed
    assert "undecided" in report(verdict)


# Watches: three writes, of which the second and the third delete and write at one revision.

HISTORY: tuple[Record, ...] = (
    PUT_A,
    ok(1, 2, 3, Put("b", "1"), revision=3),
    ok(1, 4, 5, Txn((), (Put("a", "2"), Delete("b"))), revision=4, succeeded=True),
    ok(1, 6, 7, Put("a", "3"), revision=5),
)
E2 = Event("PUT", kv("a", "1", 2))
E3 = Event("PUT", kv("b", "1", 3))
E4A = Event("PUT", kv("a", "2", 4, 2, 2), kv("a", "1", 2))
E4B = Event("DELETE", KeyValue("b", mod=4), kv("b", "1", 3))
E5 = Event("PUT", kv("a", "3", 5, 2, 3), kv("a", "2", 4, 2, 2))


def told(*batches: tuple[Event, ...] | int, watch: int = 1, start: int = 2, **fields: object) -> list[Record]:
    """A watch of all keys and what it was told; a number is a progress notification."""
    records: list[Record] = [
        Watch(watch, 9, 0, "a", "\0", start, True, **fields),  # type: ignore[arg-type]
        Watched(watch, 1, 1, created=True),
    ]
    for batch in batches:
        if isinstance(batch, int):
            records.append(Watched(watch, 8, batch))
        else:
            records.append(Watched(watch, 8, batch[-1].revision, events=batch))
    return records


FRAGMENTS = [*told(), Watched(1, 1, 4, events=(E2, E3, E4A), fragment=True), *told((E4B, E5))[2:]]


@pytest.mark.parametrize(
    "records",
    [
        pytest.param(told((E2,), (E3, E4A, E4B), 4, (E5,), 5), id="all of it"),
        pytest.param(told((E4A, E4B), (E5,), start=4), id="from the middle"),
        pytest.param(told((E2, E3)) + told((E4A, E4B, E5), watch=2, start=4, resumes=1), id="resumed"),
        pytest.param(told(1, (E2,), (E3,), 3), id="progress"),
        pytest.param(told((E2, E3, E4A), (E5,), filters=("NODELETE",)), id="filtered"),
        pytest.param(
            [*told(), Watched(1, 1, 4, events=(E2, E3, E4A), fragment=True), *told((E4B, E5))[2:]],
            id="fragments",
        ),
    ],
)
def test_watches_that_keep_their_word_pass(records: list[Record]) -> None:
    verdict = judge(*HISTORY, *records)
    assert verdict.passed, report(verdict)


def changed(event: Event, **fields: object) -> Event:
    values = {name: getattr(event.kv, name) for name in ("key", "value", "create", "mod", "version", "lease")}
    return Event(event.type, KeyValue(**{**values, **fields}), event.prev_kv)


@pytest.mark.parametrize(
    ("rule", "records"),
    [
        ("ordered", told((E3,), (E2,), (E4A, E4B))),
        ("unique", told((E2,), (E2, E3))),
        ("unique", told((E2, E3)) + told((E3, E4A, E4B), watch=2, start=3, resumes=1)),
        ("atomic", told((E2, E3, E4A), (E4B,))),
        ("reliable", told((E2,), (E4A, E4B))),
        ("reliable", told((E2, E3, E4A), (E5,))),
        ("reliable", told((E2,), (Event("PUT", kv("c", "1", 3)),), (E4A, E4B))),
        ("reliable", told((E2,)) + told((E4A, E4B), watch=2, start=4, resumes=1)),
        ("resumable", told((E3, E4A, E4B))),
        ("resumable", told((E2, E3, E4A, E4B), start=3)),
        ("bookmarkable", told((E2,), 3, (E4A, E4B))),
        ("bookmarkable", told((E2,), 3, (E3,))),
        ("bookmarkable", told((E2, E3), 3, 2)),
        ("bookmarkable", told(2)),
        ("content", told((changed(E2, value="0"),))),
        ("content", told((E2, E3, changed(E4A, create=4, version=1), E4B))),
        ("content", told((E2, E3, Event("DELETE", KeyValue("a", mod=4), E4A.prev_kv), E4B))),
        ("prev_kv", told((E2, E3, Event("PUT", E4A.kv), E4B))),
        ("prev_kv", told((E2, E3, Event("PUT", E4A.kv, E3.kv), E4B))),
        ("prev_kv", told((Event("PUT", E2.kv, E2.kv),))),
    ],
)
def test_each_broken_promise_is_named(rule: str, records: list[Record]) -> None:
    verdict = judge(*HISTORY, *records)
    assert verdict.linearizable
    assert rule in {violation.rule for violation in verdict.violations}
    assert f"is not {rule}" in report(verdict)


def test_what_is_compacted_need_not_come_as_the_previous_state() -> None:
    compaction = ok(1, 8, 9, Compact(5))
    bare = Event("PUT", E4A.kv)
    assert judge(*HISTORY, compaction, *told((bare, Event("DELETE", E4B.kv)), start=4)).passed
    assert not judge(*HISTORY, compaction, *told((Event("PUT", E4A.kv, E3.kv), E4B), start=4)).passed


def test_a_store_that_was_not_empty() -> None:
    start = Start(revision=40, kvs=(kv("a", "old", 17, 9, 4),))
    read = ok(1, 0, 1, Range("a"), revision=40, kvs=(kv("a", "old", 17, 9, 4),))
    assert judge(start, read, ok(1, 2, 3, Put("a", "1"), revision=41)).passed
    assert judge(start, read, ok(1, 2, 3, Put("a", "1"), revision=2)).linearizable is False


# The command.


def write(path: Path, history: History) -> None:
    records: list[Record] = [*history.calls, *history.watches, *history.watched]
    path.write_bytes(b"".join(encode(record) + b"\n" for record in records))


def test_what_is_written_is_what_is_read() -> None:
    history = collect([*HISTORY, *told((E2,), (E3, E4A, E4B), 4)])
    records: list[Record] = [*history.calls, *history.watches, *history.watched]
    lines = [encode(record) for record in records]
    assert parse(lines) == history


def test_the_command_prints_the_verdict_and_draws_the_window(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, drawn = tmp_path / "history.jsonl", tmp_path / "page.html"
    write(file, collect([*HISTORY, *told((E2,), (E3, E4A, E4B))]))
    assert main([str(file)]) == 0
    assert capsys.readouterr().out.startswith("PASS: 4 calls")
    write(file, collect([*HISTORY, ok(2, 8, 9, Range("<a>"), revision=4, kvs=())]))
    assert main([str(file), "--html", str(drawn)]) == 1
    assert "FAIL: 5 calls" in capsys.readouterr().out
    text = drawn.read_text()
    assert "class='blocked'" in text
    assert "&lt;a&gt;" in text
    assert "<a>" not in text
    assert "http" not in text, "the page needs nothing else"


def test_unreadable_histories_are_refused_with_the_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "history.jsonl"
    file.write_text('{"type": "start"}\n{"type": "call", "client": 1}\n')
    assert main([str(file)]) == 2
    assert "line 2: Object missing required field" in capsys.readouterr().err
    with pytest.raises(HistoryError, match="line 1: a call with outcome 'ok' needs `return`"):
        parse(
            [
                '{"type":"call","client":1,"call":1,"request":{"op":"put","key":"a","value":"b"},"outcome":"ok"}'
            ]
        )
    assert main([str(tmp_path / "missing")]) == 2


def test_a_verdict_without_a_window_has_a_page_too() -> None:
    history = collect(HISTORY)
    assert "class='pass'" in page(history, check(history))
