"""(P) Arithmetic of resource lists: quantities by name (``apiserver/pkg/quota/v1/resources.go``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apiserver.api.quantity import ZERO, Quantity, parse_quantity

Amounts = dict[str, Quantity]


def parse(listed: Mapping[str, Any] | None) -> Amounts:
    """Raises QuantityError."""
    return {name: parse_quantity(value) for name, value in (listed or {}).items()}


def write(amounts: Mapping[str, Quantity]) -> dict[str, str]:
    """As JSON has it, by name."""
    return {name: str(amounts[name]) for name in sorted(amounts)}


def add(first: Mapping[str, Quantity], second: Mapping[str, Quantity]) -> Amounts:
    total = dict(first)
    for name, amount in second.items():
        total[name] = total[name] + amount if name in total else amount
    return total


def increase(new: Mapping[str, Quantity], old: Mapping[str, Quantity]) -> Amounts:
    """``new - old``, nothing below zero; what only `old` has counts nothing."""
    found = {name: amount - old.get(name, ZERO) for name, amount in new.items()}
    return {name: amount if amount > ZERO else Quantity(0, amount.format) for name, amount in found.items()}


def masked(amounts: Mapping[str, Quantity], names: Iterable[str]) -> Amounts:
    wanted = set(names)
    return {name: amount for name, amount in amounts.items() if name in wanted}


def without_zeros(amounts: Mapping[str, Quantity]) -> Amounts:
    return {name: amount for name, amount in amounts.items() if amount}


def exceeding(amounts: Mapping[str, Quantity], limits: Mapping[str, Quantity]) -> list[str]:
    """Names of the amounts that are above their limit, sorted."""
    return sorted(name for name, amount in amounts.items() if name in limits and limits[name] < amount)


def text(amounts: Mapping[str, Quantity]) -> str:
    """``cpu=1,pods=2``"""
    return ",".join(f"{name}={amounts[name]}" for name in sorted(amounts))
