"""From the password to the refusal: a real member, alone, and one whose log is a list."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import cbor2
import pytest

from kvstore import errors as e
from kvstore import types as t
from kvstore.auth import passwords
from kvstore.auth import types as a
from kvstore.auth.types import ANONYMOUS, Credentials, Permission, PermissionType
from kvstore.calls import Calls
from kvstore.command import decode
from kvstore.config import MemberConfig
from kvstore.statemachine import KVStateMachine
from kvstore.watch.stream import WatchStream


class Alone(Calls):
    """A member whose log takes everything at once; `proposed` is what would be on other members' disks."""

    def __init__(self, path: Path) -> None:
        self._rng = random.Random(1)
        self._config = MemberConfig("a", path, {"a": ("", 0)})
        self.machine = KVStateMachine(path, cluster_id=1, member_id=2, max_txn_ops=128)
        self.proposed: list[bytes] = []

    def _limits(self) -> MemberConfig:
        return self._config

    def _running(self) -> Alone:
        return self

    def _state(self) -> KVStateMachine:
        return self.machine

    async def propose(self, command: bytes, timeout: float) -> object:
        self.proposed.append(command)
        (result,) = self.machine.apply(self.machine.applied()[0] + 1, 1, [command])
        self.machine.flush()
        return result

    async def read_index(self, timeout: float = 0) -> int:
        return self.machine.revision()

    async def prepare(self) -> Credentials:
        """Root, a user with a password that may write a*, and authentication on; root's credentials."""
        await self.auth(a.AuthUserAddRequest("root", "secret"))
        await self.auth(a.AuthUserGrantRoleRequest("root", "root"))
        await self.auth(a.AuthRoleAddRequest("r"))
        await self.auth(
            a.AuthRoleGrantPermissionRequest("r", Permission(PermissionType.READWRITE, b"a", b"b"))
        )
        await self.auth(a.AuthUserAddRequest("u", "pw"))
        await self.auth(a.AuthUserGrantRoleRequest("u", "r"))
        await self.auth(a.AuthEnableRequest())
        return await self.identify(await self.authenticate("root", "secret"))


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords.hashed, "__defaults__", (4,))


@asynccontextmanager
async def alone(path: Path) -> AsyncIterator[Alone]:
    member = Alone(path)
    try:
        yield member
    finally:
        member.machine.close()


def test_users_see_and_write_what_is_theirs(tmp_path: Path) -> None:
    async def main() -> None:
        async with alone(tmp_path) as member:
            with pytest.raises(e.AuthNotEnabled):
                await member.authenticate("u", "pw")
            assert await member.identify("no.1") == ANONYMOUS
            root = await member.prepare()
            token = await member.authenticate("u", "pw")
            who = await member.identify(token)
            assert who.user == "u"
            await member.put(t.PutRequest(b"a1", b"x"), who)
            await member.put(t.PutRequest(b"z1", b"x"), root)
            with pytest.raises(e.PermissionDenied):
                await member.put(t.PutRequest(b"z1", b"y"), who)
            with pytest.raises(e.PermissionDenied):
                await member.range(t.RangeRequest(b"z1"), who)
            with pytest.raises(e.UserEmpty):
                await member.range(t.RangeRequest(b"a1"), ANONYMOUS)
            with pytest.raises(e.UserEmpty):
                await member.put(t.PutRequest(b"a1"), await member.identify(""))
            with pytest.raises(e.InvalidAuthToken):
                await member.identify("guess.3")
            await member.auth(a.AuthUserDeleteRequest("u"), root)
            with pytest.raises(e.InvalidAuthToken):
                await member.identify(token)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("name", "password"), [("u", "wrong"), ("x", "pw"), ("u", ""), ("cn", ""), ("u", "p" * 100)]
)
def test_wrong_passwords_are_all_refused_alike(tmp_path: Path, name: str, password: str) -> None:
    async def main() -> None:
        async with alone(tmp_path) as member:
            root = await member.prepare()
            await member.auth(a.AuthUserAddRequest("cn", no_password=True), root)
            with pytest.raises(e.AuthFailed):
                await member.authenticate(name, password)

    asyncio.run(main())


def test_no_password_is_ever_in_the_log(tmp_path: Path) -> None:
    async def main() -> None:
        async with alone(tmp_path) as member:
            root = await member.prepare()
            await member.auth(a.AuthUserChangePasswordRequest("u", "changed"), root)
            await member.authenticate("u", "changed")
            assert not any(word in b"".join(member.proposed) for word in (b"secret", b"changed"))
            with pytest.raises(e.PasswordTooLong):
                await member.auth(a.AuthUserChangePasswordRequest("u", "x" * 73), root)

    asyncio.run(main())


def test_a_password_changed_while_it_is_checked_is_checked_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with alone(tmp_path) as member:
            root = await member.prepare()
            login = asyncio.create_task(member.authenticate("u", "pw"))
            await asyncio.sleep(0)
            await member.auth(a.AuthUserChangePasswordRequest("u", "other"), root)
            outcome = (await asyncio.gather(login, return_exceptions=True))[0]
            if isinstance(outcome, str):  # it was quicker than the change, whose tokens are dropped
                with pytest.raises(e.InvalidAuthToken):
                    await member.identify(outcome)
            else:
                assert isinstance(outcome, e.AuthFailed)

    asyncio.run(main())


def test_rights_are_decided_when_the_entry_is_applied(tmp_path: Path) -> None:
    async def main() -> None:
        async with alone(tmp_path) as member:
            root = await member.prepare()
            who = await member.identify(await member.authenticate("u", "pw"))
            await member.auth(a.AuthUserRevokeRoleRequest("u", "r"), root)
            with pytest.raises(e.AuthOldRevision):
                await member.put(t.PutRequest(b"a1"), who)
            with pytest.raises(e.PermissionDenied):
                await member.put(t.PutRequest(b"a1"), member.identify_name("u"))

    asyncio.run(main())


def test_common_names_are_users(tmp_path: Path) -> None:
    async def main() -> None:
        async with alone(tmp_path) as member:
            assert member.identify_name("u") == ANONYMOUS
            await member.prepare()
            assert member.identify_name("") == ANONYMOUS
            await member.put(t.PutRequest(b"a1"), member.identify_name("u"))
            with pytest.raises(e.PermissionDenied):
                member.require_root(member.identify_name("u"))
            member.require_root(member.identify_name("root"))
            member.require_root(None)
            with pytest.raises(e.PermissionDenied):
                await member.put(t.PutRequest(b"a1"), member.identify_name("stranger"))

    asyncio.run(main())


def test_a_watch_that_is_not_permitted_is_told_why(tmp_path: Path) -> None:
    async def main() -> None:
        async with alone(tmp_path) as member:
            await member.prepare()
            stream = WatchStream(member.machine.hub, permitted=member.machine.access.check)
            stream.create(t.WatchCreateRequest(b"a", b"b"), member.identify_name("u"))
            stream.create(t.WatchCreateRequest(b"a", b"\0"), member.identify_name("u"))
            stream.create(t.WatchCreateRequest(b"a"), ANONYMOUS)
            answers = [await anext(stream) for _ in range(3)]
            assert [(r.watch_id, r.created, r.canceled) for r in answers] == [
                (0, True, False),
                (-1, True, True),
                (-1, True, True),
            ]
            assert [r.cancel_reason for r in answers[1:]] == [
                "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
                "rpc error: code = InvalidArgument desc = etcdserver: user name is empty",
            ]

    asyncio.run(main())


def test_users_survive_a_restart_and_tokens_do_not(tmp_path: Path) -> None:
    async def main() -> None:
        async with alone(tmp_path) as member:
            await member.prepare()
            token = await member.authenticate("u", "pw")
        async with alone(tmp_path) as member:
            with pytest.raises(e.InvalidAuthToken):
                await member.identify(token)
            assert (await member.identify(await member.authenticate("u", "pw"))).user == "u"

    asyncio.run(main())


def test_users_travel_in_snapshots(tmp_path: Path) -> None:
    async def main() -> None:
        async with alone(tmp_path / "one") as one, alone(tmp_path / "two") as two:
            await one.prepare()
            one.machine.commit()
            one.machine.write_snapshot(tmp_path / "file")
            two.machine.prepare_snapshot(tmp_path / "file").install()
            assert two.machine.auth.enabled
            assert two.machine.auth.revision == one.machine.auth.revision
            assert (await two.identify(await two.authenticate("u", "pw"))).user == "u"

    asyncio.run(main())


def test_replay_gives_the_same_users_everywhere(tmp_path: Path) -> None:
    async def main() -> None:
        async with alone(tmp_path / "one") as one, alone(tmp_path / "two") as two:
            await one.prepare()
            for command in one.proposed:
                assert isinstance(cbor2.loads(command), list)
                decode(command)
                await two.propose(command, 1)
            assert two.machine.auth.answer(a.AuthUserListRequest()) == one.machine.auth.answer(
                a.AuthUserListRequest()
            )
            assert two.machine.auth.user("u") == one.machine.auth.user("u")

    asyncio.run(main())
