"""Three engines in one process, with real sockets and real files."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kvstore.errors import NoLeader, NotLeader, RequestTimeout, Stopped
from kvstore.raft.config import Peer, RaftConfig, TlsFiles
from kvstore.raft.engine import Engine
from tests.support.fake_machine import ListMachine

CLUSTER = 77


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Cluster:
    def __init__(self, directory: Path, size: int = 3, *, snapshot_count: int = 5000) -> None:
        self._directory, self._snapshot_count = directory, snapshot_count
        ports = free_ports(size)
        self._peers = {n: Peer(f"m{n}", "127.0.0.1", port) for n, port in enumerate(ports, 1)}
        self.engines: dict[int, Engine] = {}
        self.machines: dict[int, ListMachine] = {}

    async def start(self, *members: int) -> None:
        for member in members or self._peers:
            directory = self._directory / str(member)
            directory.mkdir(exist_ok=True)
            peer = self._peers[member]
            self.machines[member] = ListMachine(directory / "state")
            config = RaftConfig(
                member_id=member,
                name=peer.name,
                cluster_id=CLUSTER,
                data_dir=directory,
                listen=(peer.host, peer.port),
                peers=self._peers,
                heartbeat_interval=0.05,
                election_timeout=0.4,
                unsafe_no_fsync=True,
                snapshot_count=self._snapshot_count,
            )
            self.engines[member] = Engine(config, self.machines[member])
            await self.engines[member].start()

    async def stop(self, *members: int) -> None:
        for member in members or list(self.engines):
            await self.engines.pop(member).stop()

    async def leader(self) -> Engine:
        def found() -> Engine | None:
            return next((each for each in self.engines.values() if each.is_leader), None)

        await until(lambda: found() is not None)
        engine = found()
        assert engine is not None
        return engine

    async def follower(self) -> Engine:
        leader = await self.leader()
        engine = next(each for each in self.engines.values() if each is not leader)
        await engine.read_index(5)
        return engine

    async def converged(self, values: list[bytes]) -> None:
        await until(lambda: all(self.machines[m].values() == values for m in self.engines))


async def until(condition: Callable[[], bool], timeout: float = 10.0) -> None:
    """Real sockets: there is no event to wait for, so look again now and then."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def with_cluster(directory: Path, test: Callable[[Cluster], Awaitable[None]], **options: int) -> None:
    async def main() -> None:
        cluster = Cluster(directory, **options)
        await cluster.start()
        try:
            await test(cluster)
        finally:
            await cluster.stop()

    asyncio.run(main())


def test_a_single_member_leads_at_once_and_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        engine = cluster.engines[1]
        assert await engine.propose(b"a", 2) == 1
        assert await engine.propose(b"b", 2) == 2
        assert await engine.read_index(2) == engine.applied_index
        await cluster.stop()  # the state machine was never saved: all comes from the log
        await cluster.start()
        assert await cluster.engines[1].propose(b"c", 2) == 3
        assert cluster.machines[1].values() == [b"a", b"b", b"c"]

    with_cluster(tmp_path, test, size=1)


def test_writes_through_leader_and_follower_reach_all_in_one_order(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        leader, follower = await cluster.leader(), await cluster.follower()
        results = await asyncio.gather(
            *(engine.propose(b"%d" % n, 5) for n in range(100) for engine in (leader, follower))
        )
        assert sorted(results) == list(range(1, 201))  # type: ignore[type-var]
        await cluster.converged(cluster.machines[leader.config.member_id].values())

    with_cluster(tmp_path, test)


def test_a_read_on_any_member_sees_the_write_acknowledged_before(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.leader()
        for n in range(10):
            command = b"%d" % n
            await cluster.engines[n % 3 + 1].propose(command, 5)
            for member, engine in cluster.engines.items():
                await engine.read_index(5)
                assert command in cluster.machines[member].values()

    with_cluster(tmp_path, test)


def test_writes_go_on_after_the_leader_is_gone_and_it_catches_up_later(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        leader, follower = await cluster.leader(), await cluster.follower()
        await leader.propose(b"before", 5)
        gone = leader.config.member_id
        await cluster.stop(gone)
        await follower.propose(b"after", 5)  # waits out the election
        await cluster.start(gone)
        await cluster.converged([b"before", b"after"])

    with_cluster(tmp_path, test)


def test_a_member_that_missed_too_much_gets_a_snapshot(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        follower = await cluster.follower()
        gone = follower.config.member_id
        await cluster.stop(gone)
        leader = await cluster.leader()
        values = [b"%d" % n * 20_000 for n in range(100)]
        for value in values:
            await leader.propose(value, 5)
        for member in cluster.engines:
            cluster.machines[member].save()
        await until(lambda: leader.journal.base.index > 60)
        await cluster.start(gone)
        await cluster.converged(values)
        assert cluster.engines[gone].journal.base.index > 60
        await leader.propose(b"last", 5)
        await cluster.converged([*values, b"last"])
        await cluster.stop(gone)
        await cluster.start(gone)
        await cluster.converged([*values, b"last"])

    with_cluster(tmp_path, test, snapshot_count=20)


def test_leadership_moves_where_it_is_asked_to(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        leader, follower = await cluster.leader(), await cluster.follower()
        with pytest.raises(NotLeader):
            await follower.transfer_leadership(leader.config.member_id)
        await leader.transfer_leadership(follower.config.member_id)
        await until(lambda: follower.is_leader)
        await leader.propose(b"forwarded", 5)

    with_cluster(tmp_path, test)


def test_without_a_quorum_nothing_is_promised_and_the_leader_steps_down(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        leader = await cluster.leader()
        await cluster.stop(*[m for m in cluster.engines if m != leader.config.member_id])
        with pytest.raises((NoLeader, RequestTimeout)):
            await leader.propose(b"x", 0.2)
        with pytest.raises(RequestTimeout):
            await leader.read_index(0.2)
        await until(lambda: not leader.is_leader)
        with pytest.raises(NoLeader):
            await leader.propose(b"y", 0.2)

    with_cluster(tmp_path, test)


def test_a_stopped_engine_answers_what_waits(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        leader = await cluster.leader()
        await cluster.stop(*[m for m in cluster.engines if m != leader.config.member_id])
        waiting = asyncio.ensure_future(leader.propose(b"x", 30))
        await asyncio.sleep(0)
        await cluster.stop(leader.config.member_id)
        with pytest.raises(Stopped):
            await waiting
        with pytest.raises(Stopped):
            await leader.propose(b"y", 1)

    with_cluster(tmp_path, test)


def test_a_disk_error_stops_the_member_and_says_so(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        engine = cluster.engines[1]
        await engine.propose(b"a", 2)
        (tmp_path / "1" / "member" / "wal").rename(tmp_path / "moved")
        engine.wal._files.close()
        with pytest.raises(Stopped):
            await engine.propose(b"b", 2)
        assert engine.failure is not None
        assert "log" in str(engine.failure.result())

    with_cluster(tmp_path, test, size=1)


def test_a_peer_of_another_cluster_is_refused_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    async def main() -> None:
        ports = free_ports(2)
        peers = {n: Peer(f"m{n}", "127.0.0.1", port) for n, port in enumerate(ports, 1)}
        engines = []
        for member, cluster_id in ((1, 100), (2, 200)):
            config = RaftConfig(
                member_id=member,
                name=f"m{member}",
                cluster_id=cluster_id,
                data_dir=tmp_path / str(member),
                listen=peers[member][1:],
                peers=peers,
                unsafe_no_fsync=True,
            )
            engines.append(Engine(config, ListMachine()))
            await engines[-1].start()
        await until(lambda: "another cluster" in caplog.text)
        await asyncio.sleep(0.3)
        assert engines[0].connected() == set()
        for engine in engines:
            await engine.stop()

    asyncio.run(main())
    assert len([line for line in caplog.messages if "another cluster" in line]) <= 2


def make_certificates(directory: Path) -> dict[str, TlsFiles]:
    """A CA with one certificate of its own ("good"), and a certificate of another CA ("bad")."""
    found = {}
    now = datetime.datetime.now(datetime.UTC)
    for which in ("good", "bad"):
        keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
        names = [
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{which} {n}")]) for n in ("ca", "member")
        ]
        for subject, key in zip(names, keys, strict=True):
            is_ca = subject is names[0]
            certificate = (
                x509.CertificateBuilder()
                .subject_name(subject)
                .issuer_name(names[0])
                .public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(minutes=1))
                .not_valid_after(now + datetime.timedelta(hours=1))
                .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
                .add_extension(
                    x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
                )
                .sign(keys[0], hashes.SHA256())
            )
            path = directory / f"{which}-{'ca' if is_ca else 'member'}.pem"
            path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_path = directory / f"{which}.key"
        key_path.write_bytes(
            keys[1].private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        found[which] = TlsFiles(directory / f"{which}-member.pem", key_path, directory / "good-ca.pem")
    return found


def test_members_trust_only_certificates_of_their_own_ca(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)

    async def main() -> None:
        peers = {n: Peer(f"m{n}", "127.0.0.1", port) for n, port in enumerate(free_ports(3), 1)}
        engines = {}
        for member in peers:
            config = RaftConfig(
                member_id=member,
                name=f"m{member}",
                cluster_id=CLUSTER,
                data_dir=tmp_path / str(member),
                listen=peers[member][1:],
                peers=peers,
                tls=certificates["bad" if member == 3 else "good"],
                heartbeat_interval=0.05,
                election_timeout=0.4,
                unsafe_no_fsync=True,
            )
            engines[member] = Engine(config, ListMachine())
            await engines[member].start()
        assert await engines[1].propose(b"a", 10) == 1
        await asyncio.sleep(0.3)
        assert engines[1].connected() == {2}
        assert engines[3].connected() == set()
        for new, old in zip(certificates["good"][:2], certificates["bad"][:2], strict=True):
            old.write_bytes(new.read_bytes())  # taken up without a restart
        await until(lambda: engines[3].connected() == {1, 2})
        for engine in engines.values():
            await engine.stop()

    asyncio.run(main())
