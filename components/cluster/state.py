"""`cluster.yaml`: what was decided when a cluster first started and must not change while its data lives."""

from __future__ import annotations

import secrets

import msgspec
import yaml
from msgspec import Struct

from components.cluster.errors import ClusterError
from components.cluster.files import write_if_changed
from components.cluster.layout import Layout


class State(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """`token` names this incarnation of the store: a restore takes a new one, and old members are refused.
    `formed` says that it has served: from then on a master without data has lost it (`rejoin`).
    """

    slot: int
    token: str
    masters: int
    formed: bool = False


def new_token() -> str:
    """A name no other store has."""
    return secrets.token_hex(8)


def load(layout: Layout) -> State | None:
    """None when no cluster was ever made here. Raises ClusterError for a damaged file."""
    try:
        text = layout.state.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ClusterError(
            f"{layout.state}: cannot be read: {error.strerror}", "check who owns it"
        ) from error
    try:
        return msgspec.convert(yaml.safe_load(text), State)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise ClusterError(
            f"{layout.state}: {error}",
            "restore a backup (kuberaft restore) or start afresh: kuberaft down --purge",
        ) from error


def save(layout: Layout, state: State) -> None:
    """Write it atomically."""
    write_if_changed(layout.state, yaml.safe_dump(msgspec.to_builtins(state), sort_keys=False).encode())
