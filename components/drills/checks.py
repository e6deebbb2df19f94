"""The checks of a drill (P): each looks at a run and says whether a promise was kept, and by which operations not."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator

from msgspec import Struct

from components.drills.condense import condense, wrote
from components.drills.eras import Break, Era, answered_after, split
from components.drills.measure import LEDGER, acknowledged, highest_revision, last_list, written_key
from components.drills.observed import Observed
from components.drills.refusals import doors, unfit
from kvstore.check.history import Call, History, Range, Txn
from kvstore.check.report import SHOWN, describe, window_lines
from kvstore.check.verdict import Verdict, check


class Check(Struct, frozen=True):
    """`held` is None when there was nothing to look at, or no answer was found. `offending`: in words."""

    name: str
    held: bool | None
    text: str
    offending: list[str] = []


class Judged(Struct, frozen=True):
    """One era of one kind of client, with the verdict of `kvstore.check`."""

    clients: str
    era: int
    verdict: Verdict


def judge(seen: Observed) -> list[Judged]:
    """Every era of every history; the costly part, done once."""
    return [
        Judged(clients, number, _verdict(era))
        for clients, history in seen.histories.items()
        for number, era in enumerate(split(history, seen.restored))
        if era.history.calls
    ]


def _verdict(era: Era) -> Verdict:
    return check(condense(era.history, era.before))


def linearizable(seen: Observed, judged: list[Judged]) -> Check:
    """There is an order of all calls that explains every answer."""
    wrong: list[str] = []
    undecided = False
    for one in judged:
        undecided |= one.verdict.linearizable is None
        if one.verdict.window is not None and one.verdict.linearizable is False:
            wrong.append(f"{_who(one)}:")
            wrong += window_lines(one.verdict.window, seen.origin)
        for stale in one.verdict.stale_reads[:SHOWN]:
            wrong.append(f"{_who(one)}: stale read: {describe(stale.call)}: {stale.reason}")
    calls = sum(one.verdict.calls for one in judged)
    unknown = sum(one.verdict.unknown for one in judged)
    text = f"{calls} calls, {unknown} of unknown outcome"
    if undecided and not wrong:
        return Check("linearizable", None, f"{text}: no order was found within the budget")
    held = None if not judged else not wrong
    return Check("linearizable", held, text, wrong)


def watches(seen: Observed, judged: list[Judged]) -> Check:
    """Every watch was ordered, complete, without repetition; every acknowledged write was told."""
    wrong = [
        f"{_who(one)}: watch {found.watch} is not {found.rule}: {found.text}"
        for one in judged
        for found in one.verdict.violations
    ]
    for clients, history in seen.histories.items():
        for number, era in enumerate(split(history, seen.restored)):
            wrong += [f"{clients}, era {number + 1}: {text}" for text in untold(era.history)]
    events = sum(one.verdict.events for one in judged)
    observers = sum(len({w.client for w in h.watches}) for h in seen.histories.values())
    return Check(
        "watches", None if not observers else not wrong, f"{events} events at {observers} watchers", wrong
    )


def untold(history: History) -> Iterator[str]:
    """Acknowledged writes that lie between two events of an observer and came to it in no event."""
    told: dict[int, set[int]] = {}
    listed: dict[int, list[int]] = {}
    clients = {watch.watch: watch.client for watch in history.watches}
    for watch in history.watches:
        if watch.resumes is None:
            listed.setdefault(watch.client, []).append(watch.start_revision)
    for response in history.watched:
        client = clients.get(response.watch)
        if client is not None:
            told.setdefault(client, set()).update(event.revision for event in response.events)
    written = sorted(c.result.revision for c in history.calls if wrote(c) and c.result and c.result.revision)
    for client, revisions in told.items():
        if len(listed.get(client, [])) != 1 or not revisions:
            continue  # it had to list again, and what it listed is not recorded
        first, last = max(min(revisions), listed[client][0]), max(revisions)
        missing = [r for r in written if first <= r <= last and r not in revisions]
        if missing:
            yield f"watcher {client} was not told {len(missing)} acknowledged writes, first revision {missing[0]}"


def revisions(seen: Observed, judged: list[Judged]) -> Check:
    """The store's revision never goes back, not even across a restore."""
    wrong = [
        f"{clients}: {text}" for clients, history in seen.histories.items() for text in gone_back(history)
    ]
    if seen.restored is not None:
        wrong += _reused(seen, seen.restored)
    highest = max((highest_revision(history) for history in seen.histories.values()), default=0)
    return Check("revisions", not wrong if highest else None, f"highest revision {highest}", wrong)


def gone_back(history: History) -> Iterator[str]:
    """Answers of a revision below one that was answered before they were asked for."""
    shown = _answers(history)
    times = [time for time, _, _ in shown]
    highest, best = [], 0
    for _, revision, _ in shown:
        best = max(best, revision)
        highest.append(best)
    for _, revision, call in shown:
        at = bisect_left(times, call.call)
        if at and highest[at - 1] > revision:
            yield f"{describe(call)}, after revision {highest[at - 1]} had been answered"


def _answers(history: History) -> list[tuple[int, int, Call]]:
    """(returned, revision, call) of every answer that shows the store's revision, by time."""
    found = [
        (call.returned, call.result.revision, call)
        for call in history.calls
        if call.outcome == "ok"
        and call.returned is not None
        and call.result
        and call.result.revision
        and not (isinstance(call.request, Range) and call.request.serializable)
    ]
    return sorted(found, key=lambda item: item[:2])


def _reused(seen: Observed, at: Break) -> Iterator[str]:
    """Revisions that meant something before the restore and mean something else after it; watches that go on."""
    for clients, history in seen.histories.items():
        before, after = (era.history for era in split(history, at))
        highest = highest_revision(before)
        for call in after.calls:
            if wrote(call) and call.result and (call.result.revision or 0) <= highest:
                yield f"{clients}: {describe(call)} after the restore, revision {highest} was seen before it"
                break
        old = {w.watch for w in after.watches if 0 < w.start_revision <= highest + 1}
        for told in after.watched:
            if told.watch in old and told.events:
                yield f"{clients}: watch {told.watch} went on from before the restore as if nothing had happened"
                break


def restored(seen: Observed, judged: list[Judged]) -> Check:
    """What the backup holds is there again, and nothing that was written after it."""
    if seen.restored is None:
        return Check("restored", False, "no restore took place")
    wrong, kept, undone = [], 0, 0
    for clients, history in seen.histories.items():
        last = last_list(history)
        if last is None:
            continue
        there = {kv.key for kv in (last.result.kvs if last.result else None) or ()}
        promised = list(acknowledged(seen, history))
        wrong += [
            f"{clients}: {describe(c)} is in the backup and was not restored"
            for c in promised
            if written_key(c) not in there
        ]
        kept += len(promised)
        later = {written_key(c) for c in _after_backup(seen, seen.restored, history)}
        undone += len(later)
        wrong += [
            f"{clients}: {key} was written after the backup and is there" for key in sorted(later & there)
        ]
    text = f"{kept} acknowledged writes kept; {undone} were made after the backup and are gone"
    return Check("restored", not wrong, text, wrong)


def _after_backup(seen: Observed, at: Break, history: History) -> Iterator[Call]:
    for call in history.calls:
        new = isinstance(call.request, Txn) and wrote(call) and not answered_after(call, at)
        if new and call.result and (call.result.revision or 0) > at.revision and _is_ledger(seen, call):
            yield call


def _is_ledger(seen: Observed, call: Call) -> bool:
    return written_key(call).startswith(seen.prefix + LEDGER)


def upgraded(seen: Observed, judged: list[Judged]) -> Check:
    """Every process was started by the new program, and says which version it is."""
    wrong = [
        f"{one.name} was started again and does not say its version" for one in seen.upgraded if not one.after
    ]
    if not seen.upgraded:
        return Check("upgraded", False, "nothing was upgraded")
    steps = Counter((one.before or "?", one.after or "?", one.program) for one in seen.upgraded)
    text = "; ".join(
        f"{n} from {before} to {after} by {program}" for (before, after, program), n in steps.items()
    )
    return Check("upgraded", not wrong, text, wrong)


def certificates(seen: Observed, judged: list[Judged]) -> Check:
    """Certificates were good until they ended, good for nothing then, and good again once they were renewed."""
    if seen.expired is None or seen.renewed is None:
        return Check("certificates", False, "no certificate ended, or none was renewed")
    found = doors(seen.knocks, seen.expired, seen.renewed)
    wrong = [text for door in found for text in unfit(door)]
    text = "refused: " + ", ".join(f"{door.name} for {door.refused:.1f} s" for door in found)
    return Check("certificates", None if not found else not wrong, text, wrong)


CHECKS: dict[str, Callable[[Observed, list[Judged]], Check]] = {
    "linearizable": linearizable,
    "watches": watches,
    "revisions": revisions,
    "restored": restored,
    "upgraded": upgraded,
    "certificates": certificates,
}


def _who(one: Judged) -> str:
    return f"{one.clients}, era {one.era + 1}" if one.era else one.clients
