"""Who a member is and with whom it starts, settled once: by its names, its data directory or the running members.

Used by `kvstore.member` alone. Ids follow from names and token (`kvstore.raft.identity`), except those of a member
that joins a running cluster, which is told (`kvstore.raft.join`).
"""

from __future__ import annotations

from collections.abc import Mapping

from kvstore.backup import bound_token
from kvstore.config import MemberConfig
from kvstore.raft import identity, join
from kvstore.types import MemberInfo


class Origin:
    """`mine` is this member's; of one that joins it is known after `find`. `founders`: names of the initial cluster
    by id."""

    def __init__(self, config: MemberConfig) -> None:
        self._config = config
        names = config.initial_cluster
        token = bound_token(config.data_dir, config.cluster_token)
        self.founders = {identity.member_id(name, token): name for name in names}
        self.mine = identity.identity(config.name, names, token)

    async def find(self) -> tuple[MemberInfo, ...]:
        """Settle who this is; the members, if it had to ask the others."""
        config = self._config
        known = (
            identity.stored(config.data_dir, config.name) if config.follows_state or config.joins else None
        )
        if known is not None:
            self.mine = known
            return ()
        if not config.joins:
            self.mine = identity.claim(config.data_dir, self.mine)
            return ()
        place = await self.ask_the_others()
        self.mine = identity.claim(
            config.data_dir, identity.Identity(config.name, place.member_id, place.cluster_id)
        )
        return place.members

    async def ask_the_others(self) -> join.Place:
        config = self._config
        own = config.initial_cluster[config.name]
        others = [where for where in config.initial_cluster.values() if where != own]
        return await join.ask(others, (self.url(*own),), config.tls, config.request_timeout)

    def founding_members(self) -> list[MemberInfo]:
        cluster = self._config.initial_cluster
        return [MemberInfo(id_, name, (self.url(*cluster[name]),)) for id_, name in self.founders.items()]

    def given_addresses(self) -> Mapping[int, tuple[str, int]]:
        """Those that come before what the applied state says; none where that is followed."""
        if self._config.follows_state:
            return {}
        return {id_: self._config.initial_cluster[name] for id_, name in self.founders.items()}

    def url(self, host: str, port: int) -> str:
        return f"{'https' if self._config.tls else 'http'}://{host}:{port}"
