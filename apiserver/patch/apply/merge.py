"""(P) An applied configuration merged into an object: what it says goes, what it does not say stays.

Removing what an applier no longer says is `remove`, told what by `updater`.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from apiserver.patch.apply.atoms import Atom, Shape, resolve
from apiserver.patch.apply.elements import text
from apiserver.patch.apply.typed import Untypable, element_of, repeated


def merge(live: Any, config: Any, atom: Atom) -> Any:
    """A new value; unchanged parts are shared. Raises Untypable."""
    atom = resolve(atom, config)
    if atom.shape is Shape.SCALAR or atom.atomic or not (live or config):
        return config
    if config is None and not isinstance(live, dict if atom.shape is Shape.MAP else list):
        return None
    if atom.shape is Shape.MAP:
        return _maps(live if isinstance(live, dict) else {}, config or {}, atom)
    return _lists(live if isinstance(live, list) else [], config or [], atom)


def _maps(live: dict[str, Any], config: dict[str, Any], atom: Atom) -> dict[str, Any]:
    result = dict(live)
    for name, value in config.items():
        result[name] = merge(live[name], value, atom.child(name)) if name in live else value
    return result


def _lists(live: list[Any], config: list[Any], atom: Atom) -> list[Any]:
    """Ordered as the configuration wants its items; the others stay where they are among them.

    An item of the live list goes out when the configuration does not name it, or when it is the next of those that
    both have; every other item waits for its turn in the configuration.
    """
    assert atom.item is not None
    wanted = _wanted(config, atom)
    names = [element_of(atom, item) for item in live]
    together = repeated(names)
    single = {name: item for name, item in zip(names, live, strict=True) if name not in together}
    known = set(names)
    order, result, done = list(wanted), [], 0
    shared = deque(name for name in order if name in known)
    taken: set[str] = set()

    def take(name: str) -> None:
        """Items that the live list has several times are replaced, not merged."""
        value = wanted[name]
        result.append(merge(single[name], value, atom.item or atom) if name in single else value)
        taken.add(name)
        if shared and shared[0] == name:
            shared.popleft()

    at = 0
    while at < len(live) or done < len(order):
        name = names[at] if at < len(live) else None
        if name is not None and done < len(order):
            if name == order[done]:
                take(name)
                at, done = at + 1, done + 1
                continue
            if name in wanted and shared and shared[0] != name:
                at += 1
                continue
        if name is not None and name not in wanted:
            result.append(live[at])
            at += 1
            continue
        if name is not None and name in taken:
            at += 1
        if done < len(order):
            take(order[done])
            done += 1
    return result


def _wanted(config: list[Any], atom: Atom) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in config:
        element = element_of(atom, item)
        if element in found:
            raise Untypable(f"duplicate entries for key {text(element)}")
        found[element] = item
    return found
