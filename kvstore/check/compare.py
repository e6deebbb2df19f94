"""The recorded answer beside the expected one: what differs, in words. What was not recorded is not compared."""

from __future__ import annotations

from kvstore.check.history import KeyValue, Result

_KV_FIELDS = ("value", "create", "mod", "version", "lease")


def difference(recorded: Result, expected: Result) -> str | None:
    """Why `recorded` cannot be the answer, or None."""
    if recorded == expected:
        return None
    if recorded.revision is not None and recorded.revision != expected.revision:
        return f"answered at revision {recorded.revision}, the store would be at {expected.revision}"
    return (
        _plain("succeeded", recorded.succeeded, expected.succeeded)
        or _plain("count", recorded.count, expected.count)
        or _plain("deleted", recorded.deleted, expected.deleted)
        or _plain("more", recorded.more, expected.more)
        or _lists("keys", recorded.kvs, expected.kvs)
        or _lists("previous keys", recorded.prev_kvs, expected.prev_kvs)
        or _ttl(recorded, expected)
        or _responses(recorded.responses, expected.responses)
    )


def same_kv(recorded: KeyValue, expected: KeyValue) -> bool:
    if recorded == expected:
        return True
    if recorded.key != expected.key:
        return False
    pairs = ((getattr(recorded, name), getattr(expected, name)) for name in _KV_FIELDS)
    return all(have is None or have == want for have, want in pairs)


def describe_kv(kv: KeyValue | None) -> str:
    if kv is None:
        return "nothing"
    numbers = ", ".join(f"{n} {getattr(kv, n)}" for n in _KV_FIELDS[1:] if getattr(kv, n))
    return f"{kv.key!r} = {kv.value!r}" + (f" ({numbers})" if numbers else "")


def _plain(name: str, recorded: object, expected: object) -> str | None:
    if recorded is None or recorded == expected:
        return None
    return f"answered {name} {recorded}, the store would say {expected}"


def _lists(
    name: str, recorded: tuple[KeyValue, ...] | None, expected: tuple[KeyValue, ...] | None
) -> str | None:
    if recorded is None or recorded == expected:
        return None
    wanted = expected or ()
    for have, want in zip(recorded, wanted, strict=False):
        if not same_kv(have, want):
            return f"{name}: answered {describe_kv(have)}, the store would hold {describe_kv(want)}"
    if len(recorded) == len(wanted):
        return None
    longer, who = (recorded, "answered") if len(recorded) > len(wanted) else (wanted, "left out")
    return f"{name}: {who} {describe_kv(longer[min(len(recorded), len(wanted))])}"


def _ttl(recorded: Result, expected: Result) -> str | None:
    if recorded.ttl is None or (recorded.ttl == 0) == (expected.ttl == 0):
        return None
    return "answered that the lease is gone" if recorded.ttl == 0 else "answered that the lease lives"


def _responses(recorded: tuple[Result, ...] | None, expected: tuple[Result, ...] | None) -> str | None:
    if recorded is None:
        return None
    wanted = expected or ()
    if len(recorded) != len(wanted):
        return f"answered {len(recorded)} responses, the branch has {len(wanted)}"
    for number, (have, want) in enumerate(zip(recorded, wanted, strict=True)):
        if found := difference(have, want):
            return f"response {number}: {found}"
    return None
