"""(P) Does a write fit into the namespace's quotas, and what do they say afterwards?

Fed by `resource_quota` with the quotas it knows; `charge` gives their new usage, or why the write is refused.
Source: ``CheckRequest`` in ``apiserver/pkg/admission/plugin/resourcequota/controller.go``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from apiserver.admission.interface import CREATE, UPDATE, Attributes
from apiserver.api.meta import Object
from apiserver.api.quantity import ZERO
from apiserver.api.quota import amounts
from apiserver.api.quota.amounts import Amounts
from apiserver.api.quota.evaluator import Evaluator, concerns


@dataclass(frozen=True)
class Ledger:
    """One quota as admission reads it: its status in numbers. `hard` is what the quota controller has taken up."""

    quota: Object
    hard: Amounts
    used: Amounts

    @classmethod
    def of(cls, quota: Object) -> Ledger:
        status = quota.get("status") or {}
        return cls(quota, amounts.parse(status.get("hard")), amounts.parse(status.get("used")))

    @property
    def name(self) -> str:
        return str(self.quota["metadata"]["name"])


def handles(evaluator: Evaluator, write: Attributes) -> bool:
    """Whether this write can raise usage at all."""
    if write.operation == CREATE:
        return not write.subresource
    if write.operation != UPDATE or write.obj is None or write.old is None:
        return False
    return evaluator.charges_update(write.subresource, write.obj, write.old)


def charge(ledgers: Sequence[Ledger], write: Attributes, evaluator: Evaluator, now: datetime) -> list[Ledger]:
    """The ledgers after the write, in their order. Raises 403; nothing is charged then."""
    obj = write.obj
    assert obj is not None
    mine = {ledger.name for ledger in ledgers if concerns(evaluator, ledger.quota, ledger.hard, obj)}
    for ledger in ledgers:
        if ledger.name in mine:
            _check_countable(ledger, write, evaluator)
    usage = evaluator.usage(obj, now)
    negative = [name for name, amount in usage.items() if amount < ZERO]
    if negative:
        raise write.forbidden(f"quota usage is negative for resource(s): {_listed(negative)}")
    return [
        _charged(ledger, write, evaluator, usage, now) if ledger.name in mine else ledger
        for ledger in ledgers
    ]


def _check_countable(ledger: Ledger, write: Attributes, evaluator: Evaluator) -> None:
    names = [name for name in ledger.hard if evaluator.tracks(name)]
    assert write.obj is not None
    missing = evaluator.missing(names, write.obj)
    if missing:
        raise write.forbidden(f"failed quota: {ledger.name}: {missing}")
    if any(name not in ledger.used for name in names):
        raise write.forbidden(f"status unknown for quota: {ledger.name}, resources: {_listed(names)}")


def _listed(names: Collection[str]) -> str:
    return ",".join(sorted(names))


def _charged(
    ledger: Ledger, write: Attributes, evaluator: Evaluator, usage: Amounts, now: datetime
) -> Ledger:
    """An update is charged for what it adds, if what was before counted against this quota too."""
    delta = usage
    if write.old is not None and concerns(evaluator, ledger.quota, ledger.hard, write.old):
        delta = amounts.increase(usage, evaluator.usage(write.old, now))
    requested = amounts.masked(amounts.without_zeros(delta), ledger.hard)
    if not requested:
        return ledger
    after = amounts.add(ledger.used, requested)
    if write.subresource != "status":
        _check_within(ledger, write, requested, after)
    return Ledger(ledger.quota, ledger.hard, after)


def _check_within(ledger: Ledger, write: Attributes, requested: Amounts, after: Amounts) -> None:
    over = amounts.exceeding(amounts.masked(after, requested), ledger.hard)
    if over:
        raise write.forbidden(
            f"exceeded quota: {ledger.name}, requested: {_part(requested, over)}, "
            f"used: {_part(ledger.used, over)}, limited: {_part(ledger.hard, over)}"
        )


def _part(listed: Amounts, names: Iterable[str]) -> str:
    return amounts.text(amounts.masked(listed, names))
