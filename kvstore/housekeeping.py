"""What a member should propose by itself: the end of leases, its own space alarm.

`kvstore.member` asks the applied state (`kvstore.statemachine`) about twice a second, which asks here.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

from kvstore.lease import Lessor
from kvstore.types import AlarmAction, AlarmMember, AlarmRequest, AlarmType, LeaseExpireRequest

log = logging.getLogger(__name__)

_SPACE_IS_BACK = 0.9
"""Of the quota: the alarm ends well below the line where it starts, or it would come and go."""


def expired_leases(lessor: Lessor, now: float) -> list[LeaseExpireRequest]:
    """For the leader. Of a lease that is renewed meanwhile the request says nothing."""
    due = (lessor.get(lease_id) for lease_id in lessor.expired(now))
    return [LeaseExpireRequest(lease.id, lease.renewed_at) for lease in due if lease]


class SpaceAlarm:
    """NOSPACE of one member, as the quota (bytes) says. An alarm that somebody else raised is not its own to end."""

    def __init__(self, path: Path, member_id: int, quota: int) -> None:
        self._path, self._id, self.quota = path, member_id, quota

    def requests(
        self, used: int, alarms: Collection[AlarmMember], own: Collection[AlarmMember]
    ) -> list[AlarmRequest]:
        """`alarms` are active, `own` are those of them that end by themselves; `used` bytes of the quota."""
        alarm = AlarmMember(self._id, AlarmType.NOSPACE)
        if alarm not in alarms and used > self.quota:
            log.warning("%s: %d bytes used of a quota of %d: no more writes", self._path, used, self.quota)
            return [self._request(AlarmAction.ACTIVATE)]
        if alarm in own and used < self.quota * _SPACE_IS_BACK:
            log.info("%s: space is back, %d bytes used of %d", self._path, used, self.quota)
            return [self._request(AlarmAction.DEACTIVATE)]
        return []

    def _request(self, action: AlarmAction) -> AlarmRequest:
        return AlarmRequest(action, self._id, AlarmType.NOSPACE, own=True)
