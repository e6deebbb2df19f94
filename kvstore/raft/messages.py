"""The shape of every message between members (P): checked before anything else looks at it.

Messages are dicts with `type`. The first five are pysyncobj's own; the rest are ours. pysyncobj's others
(`apply_command`, `apply_command_response`, appends with `transmission` or `serialized`) are not in the
table: they would unpickle what a peer sent.
"""

from __future__ import annotations

from typing import Any

import cbor2

Message = dict[str, Any]

APPEND = "append_entries"
APPEND_REPLY = "next_node_idx"
VOTE = "request_vote"
VOTE_REPLY = "response_vote"
TIMEOUT_NOW = "timeout_now"
PRE_VOTE = "pre_vote"
PRE_VOTE_REPLY = "pre_vote_reply"
NEWER_TERM = "newer_term"
COMMIT = "commit"
COMMITTED = "committed"
ALIVE = "alive"
READ = "ri_req"
READ_ACK = "ri_ack"
ASK_INDEX = "ri_ask"
INDEX = "ri_index"
FORWARD = "forward"
FORWARD_CHANGE = "forward_change"
FORWARD_REFUSED = "forward_refused"
ASK_MATCH = "ask_match"
MATCH = "match"
SNAP_OFFER = "snap_offer"
SNAP_CHUNK = "snap_chunk"
SNAP_ACK = "snap_ack"

ENTRY, NO_OP, CHANGE = b"\x00", b"\x01", b"\x02"
"""First byte of a log entry: commands, a new leader's mark, one change of the members."""

IN_ROUNDS = frozenset(
    {
        APPEND,
        APPEND_REPLY,
        VOTE,
        VOTE_REPLY,
        TIMEOUT_NOW,
        PRE_VOTE,
        PRE_VOTE_REPLY,
        NEWER_TERM,
        COMMIT,
        COMMITTED,
        ALIVE,
        FORWARD,
        FORWARD_CHANGE,
        FORWARD_REFUSED,
    }
)
"""May change the log, so they wait for the next round; the others are handled as they come."""

SHAPES: dict[str, dict[str, type]] = {
    APPEND: {"term": int, "commit_index": int},
    APPEND_REPLY: {"term": int, "next_node_idx": int, "reset": bool, "success": bool},
    VOTE: {"term": int, "last_log_index": int, "last_log_term": int},
    VOTE_REPLY: {"term": int},
    TIMEOUT_NOW: {"term": int},
    PRE_VOTE: {"term": int, "round": int, "last_log_index": int, "last_log_term": int},
    PRE_VOTE_REPLY: {"term": int, "round": int, "granted": bool},
    NEWER_TERM: {"term": int},
    COMMIT: {"term": int, "index": int},
    COMMITTED: {"index": int, "entry_term": int},
    ALIVE: {"term": int},
    READ: {"term": int, "round": int},
    READ_ACK: {"term": int, "round": int},
    ASK_INDEX: {"term": int, "round": int},
    INDEX: {"round": int, "index": int},
    FORWARD: {"term": int, "commands": list},
    FORWARD_CHANGE: {"term": int, "commands": list},
    FORWARD_REFUSED: {"term": int, "ids": list},
    ASK_MATCH: {"round": int, "member": int},
    MATCH: {"round": int, "match": int, "last": int},
    SNAP_OFFER: {"term": int, "index": int, "entry_term": int, "size": int, "sha256": str},
    SNAP_CHUNK: {"term": int, "index": int, "offset": int, "data": bytes, "crc": int},
    SNAP_ACK: {"term": int, "index": int, "offset": int, "state": str},
}


_LIMIT = 1 << 63
"""Of terms, indices and sizes: what the log stores has 64 bits, and one more must fit."""
_ID_LIMIT = 1 << 64


def fault(message: object) -> str | None:
    """What is wrong with a message from the network; None if nothing is."""
    if not isinstance(message, dict):
        return "not a map"
    kind = message.get("type")
    shape = SHAPES.get(kind) if isinstance(kind, str) else None
    if shape is None:
        return f"unknown type {kind!r:.60}"
    for name, expected in shape.items():
        value = message.get(name)
        if type(value) is not expected:
            return f"{kind}: field {name} is {type(value).__name__}"
        if isinstance(value, int) and not 0 <= value < (_ID_LIMIT if name == "member" else _LIMIT):
            return f"{kind}: field {name} is out of range"
    if kind == APPEND:
        return _append_fault(message)
    if kind == FORWARD_REFUSED and not all(type(item) is int for item in message["ids"]):
        return "forward_refused: malformed id"
    if kind in (FORWARD, FORWARD_CHANGE) and not all(_is_command(item) for item in message["commands"]):
        return f"{kind}: malformed command"
    return None


def _append_fault(message: Message) -> str | None:
    if set(message) == {"type", "term", "commit_index"}:
        return None  # a bare heartbeat, sent while a snapshot is on its way
    if set(message) != {"type", "term", "commit_index", "entries", "prevLogIdx", "prevLogTerm"}:
        return "append_entries: unexpected fields"
    previous, entries = message["prevLogIdx"], message["entries"]
    if not _is_number(previous) or not _is_number(message["prevLogTerm"]):
        return "append_entries: bad previous entry"
    if type(entries) is not list:
        return "append_entries: bad entries"
    for offset, entry in enumerate(entries, previous + 1):
        if not _is_entry(entry) or entry[1] != offset:
            return "append_entries: bad entry"
    return None


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, list | tuple)
        and len(entry) == 3
        and type(entry[0]) is bytes
        and entry[0][:1] in (ENTRY, NO_OP, CHANGE)
        and type(entry[1]) is int
        and _is_number(entry[2])
    )


def _is_number(value: object) -> bool:
    """A term or an index."""
    return type(value) is int and 0 <= value < _LIMIT


def commands_of(payload: bytes) -> list[tuple[int, int, bytes]] | None:
    """(member, id, command) of each in an entry behind its first byte; None if it is malformed.

    Its bytes are the same on every member, so all of them come to the same conclusion.
    """
    try:
        found = cbor2.loads(payload)
    except Exception:  # cbor2 raises UnicodeError, OverflowError and others, by the content
        return None
    if type(found) is not list or not all(_is_proposed(item) for item in found):
        return None
    return [(member, id_, command) for member, id_, command in found]


def _is_proposed(item: object) -> bool:
    return (
        type(item) is list
        and len(item) == 3
        and type(item[0]) is int
        and type(item[1]) is int
        and type(item[2]) is bytes
    )


def _is_command(item: object) -> bool:
    return isinstance(item, list) and len(item) == 2 and type(item[0]) is int and type(item[1]) is bytes
