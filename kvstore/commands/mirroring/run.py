"""A whole mirror: where it stands, the first copy if there is none, then every change."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from kvstore.commands.connection import Target
from kvstore.commands.mirroring import state as states
from kvstore.commands.mirroring.follow import Mirror
from kvstore.commands.mirroring.plan import Renaming
from kvstore.commands.mirroring.state import State
from kvstore.commands.session import Session
from kvstore.errors import FailedPrecondition
from kvstore.rpc.proto import rpc_pb2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """The flags of `kvstore mirror`."""

    source: Target
    destination: Target
    renaming: Renaming
    state: Path | None
    overwrite: bool
    once: bool
    strict: bool


async def mirror(plan: Plan) -> None:
    """Runs until cancelled, or with `once` until everything is copied. Raises `FailedPrecondition`."""
    async with Session("source", plan.source) as source, Session("destination", plan.destination) as dest:
        here = await _here(plan, source, dest)
        then = states.read(plan.state) if plan.state else None
        _require_same(plan, here, then)

        def moved(revision: int) -> None:
            if plan.state:
                states.write(plan.state, _at(here, revision))

        work = Mirror(source, dest, plan.renaming, not plan.strict, then.revision if then else None, moved)
        if then is None and not plan.overwrite and not await work.destination_is_empty():
            raise FailedPrecondition(
                "the destination has keys already, which a mirror would replace or delete:"
                " check that source and destination are not exchanged, then add --overwrite"
            )
        try:
            if plan.once:
                await work.copy()
            else:
                await work.follow()
        finally:
            work.settle()


async def _here(plan: Plan, source: Session, destination: Session) -> State:
    """The state before anything is done. Raises `FailedPrecondition` for one cluster on both sides."""
    source_id, destination_id = await _cluster_id(source), await _cluster_id(destination)
    old, new = plan.renaming.prefix, plan.renaming.destination
    overlap = old.startswith(new) or new.startswith(old)
    if source_id == destination_id and overlap:
        raise FailedPrecondition("source and destination are the same cluster and prefix")
    return State(source_id, destination_id, old.decode(), new.decode(), 0)


def _require_same(plan: Plan, here: State, then: State | None) -> None:
    if then is not None and _at(then, 0) != here:
        raise FailedPrecondition(
            f"{plan.state}: the state of a mirror of other clusters or prefixes; name another file"
        )


def _at(state: State, revision: int) -> State:
    return State(state.source, state.destination, state.prefix, state.destination_prefix, revision)


async def _cluster_id(session: Session) -> int:
    request = rpc_pb2.RangeRequest(key=b"\0", count_only=True)
    reply = await session.call("etcdserverpb.KV/Range", request, rpc_pb2.RangeResponse)
    return reply.header.cluster_id
