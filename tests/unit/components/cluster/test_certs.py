"""What certificates say, what is wrong with them, and how they are renewed; no process runs here."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import verification
from typer.testing import CliRunner

from components.client import kubeconfig
from components.cluster import authorities, pki, plan, renewal
from components.cluster.certificates import Certificate, describe, urgent, warnings
from components.cluster.cli import app
from components.cluster.errors import ClusterError
from components.cluster.files import write_private
from components.cluster.inventory import inventory
from components.cluster.layout import Layout
from components.cluster.pki import Identity
from components.cluster.prepare import prepare, take_lock
from components.cluster.topology import Masters, Topology, Workers

NOW = datetime.now(UTC) + timedelta(hours=1)  # after whatever is issued here
TOPOLOGY = Topology(name="t", masters=Masters(count=1, api_port=0), workers=Workers(count=1))
ADMIN = Identity("cluster/admin", "kuberaft-admin", "system:masters")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A cluster that was prepared, and does not run."""
    found = Layout.at(tmp_path / "c")
    prepare(found, TOPOLOGY).close()
    return found


def by_name(layout: Layout, now: datetime = NOW) -> dict[str, Certificate]:
    return {certificate.name: certificate for certificate in inventory(layout, now)}


def serials(layout: Layout) -> dict[str, str]:
    return {name: certificate.serial for name, certificate in by_name(layout).items()}


def test_everything_is_listed_and_good(layout: Layout) -> None:
    found = by_name(layout)
    expected = {identity.path for identity in plan.identities(TOPOLOGY, renewal.known(layout)[1])}
    files = {"kubeconfig", "config/w1.kubeconfig", "config/kube-proxy.kubeconfig"}
    files |= {f"config/kube-{part}-m1.kubeconfig" for part in ("scheduler", "controller-manager")}
    assert set(found) == expected | files | {"cluster/ca", "store/ca", "front-proxy/ca"}
    assert {certificate.problem for certificate in found.values()} == {""}
    admin, kubelet = found["cluster/admin"], found["cluster/kubelet-w1"]
    assert (admin.use, admin.subject) == ("client", "kuberaft-admin (system:masters)")
    assert (admin.issuer, admin.days_left) == ("kuberaft-cluster-ca", 364)
    assert (kubelet.use, "w1" in kubelet.hosts) == ("server, client", True)
    assert (found["store/ca"].use, found["store/ca"].days_left) == ("authority", 3649)
    assert found["kubeconfig"].serial == admin.serial


@pytest.mark.parametrize(
    ("file", "content", "row", "problem"),
    [
        ("pki/cluster/admin.crt", b"x", "cluster/admin", "is no PEM certificate"),
        ("pki/cluster/admin.key", b"x", "cluster/admin", "its key is missing, unreadable or another one's"),
        ("pki/store/ca.key", None, "store/ca", "its key is missing, unreadable or another one's"),
        ("pki/store/ca.crt", b"", "store/m1", "was not signed by the cluster's authority"),
        ("pki/cluster/ca.crt", None, "cluster/ca", "cannot be read: No such file or directory"),
        ("kubeconfig", b"[", "kubeconfig", "cannot be read: "),
        ("config/w1.kubeconfig", b"apiVersion: v1", "config/w1.kubeconfig", "cannot be read: "),
    ],
)
def test_a_bad_file_is_a_row(
    layout: Layout, file: str, content: bytes | None, row: str, problem: str
) -> None:
    path = layout.root / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    found = by_name(layout)
    assert found[row].problem.startswith(problem)
    assert found[row] in urgent(found.values(), timedelta(0))


@pytest.mark.parametrize(
    ("later", "problem", "days"),
    [(0, "", 364), (-1, "is not valid yet", 365), (340, "", 24), (366, "has expired", -2)],
)
def test_days_left(layout: Layout, later: int, problem: str, days: int) -> None:
    found = by_name(layout, NOW + timedelta(days=later))["cluster/admin"]
    assert (found.problem, found.days_left) == (problem, days)


def test_a_certificate_of_another_authority(tmp_path: Path, layout: Layout) -> None:
    pki.ensure(tmp_path / "other", [ADMIN])
    pem = (tmp_path / "other/cluster/admin.crt").read_bytes()
    own = (layout.pki / "cluster/ca.crt").read_bytes()
    assert describe("x", pem, NOW, authority=own).problem == "was not signed by the cluster's authority"
    assert (
        describe("x", pem, NOW, authority=own + (tmp_path / "other/cluster/ca.crt").read_bytes()).problem
        == ""
    )


def test_warnings_name_the_most_urgent_and_the_remedy() -> None:
    rows = [
        Certificate("cluster/ca", use="authority", days_left=20),
        Certificate("cluster/b", days_left=12),
        Certificate("cluster/a", days_left=3, problem="has expired"),
        Certificate("cluster/c", days_left=30),
    ]
    assert warnings(rows) == [
        "certificate cluster/ca ends in 20 days; before that: kuberaft certs renew --ca",
        "certificate cluster/a has expired and 1 more; renew: kuberaft certs renew --all",
    ]
    assert warnings(rows[3:]) == []


def test_only_what_is_named_is_renewed(layout: Layout) -> None:
    before = serials(layout)
    assert renewal.renew_stopped(layout, ["admin", "store/m1"]) == ["cluster/admin", "store/m1"]
    after = serials(layout)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"cluster/admin", "store/m1", "kubeconfig"}
    assert after["kubeconfig"] == after["cluster/admin"]
    assert {certificate.problem for certificate in by_name(layout).values()} == {""}
    assert not layout.run.exists()


def test_all_but_the_authorities_are_renewed(layout: Layout) -> None:
    before = serials(layout)
    renewal.renew_stopped(layout, [])
    after = serials(layout)
    assert {name for name in before if before[name] == after[name]} == {
        "cluster/ca",
        "store/ca",
        "front-proxy/ca",
    }


@pytest.mark.parametrize(
    ("damage", "names", "text"),
    [
        (None, ["adm"], "there is no certificate 'adm'"),
        (None, ["ca"], "there is no certificate 'ca'"),
        ("pki/store/ca.key", ["store/m1"], "the certificate authority cannot be read"),
        ("pki/store/ca.key", [], "the certificate authority cannot be read"),
        ("kubeconfig", ["admin"], "where the cluster serves is not known"),
        ("topology.yaml", ["admin"], "topology.yaml: cannot be read"),
    ],
)
def test_what_cannot_be_renewed_changes_nothing(
    layout: Layout, damage: str | None, names: list[str], text: str
) -> None:
    if damage:
        (layout.root / damage).unlink()
    before = serials(layout)
    with pytest.raises(ClusterError, match=text):
        renewal.renew_stopped(layout, names)
    assert serials(layout) == before


def test_a_cluster_that_runs_is_not_touched_from_outside(layout: Layout) -> None:
    layout.make()
    lock = take_lock(layout)
    before = serials(layout)
    try:
        for work in (lambda: renewal.renew_stopped(layout, []), lambda: renewal.renew_authorities(layout)):
            with pytest.raises(ClusterError, match="already running"):
                work()
    finally:
        os.close(lock)
    assert serials(layout) == before


def test_new_authorities_take_everything_along_but_the_keys_of_tokens(layout: Layout) -> None:
    before, keys = serials(layout), (layout.pki / "cluster/sa.key").read_bytes()
    server = kubeconfig.load(layout.kubeconfig).server
    renewal.renew_authorities(layout)
    after = serials(layout)
    assert [name for name in before if before[name] == after[name]] == []
    assert {certificate.problem for certificate in by_name(layout).values()} == {""}
    assert (layout.pki / "cluster/sa.key").read_bytes() == keys
    assert kubeconfig.load(layout.kubeconfig).server == server


def problems(layout: Layout) -> set[str]:
    return {certificate.problem for certificate in by_name(layout).values()}


def trusts(authorities_known: bytes, shown: bytes) -> bool:
    """Whether a client that knows these authorities takes this chain for a server called m1."""
    leaf, *others = x509.load_pem_x509_certificates(shown)
    store = verification.Store(x509.load_pem_x509_certificates(authorities_known))
    verifier = verification.PolicyBuilder().store(store).build_server_verifier(x509.DNSName("localhost"))
    try:
        verifier.verify(leaf, others)
    except verification.VerificationError:
        return False
    return True


def test_authorities_are_exchanged_in_steps(layout: Layout) -> None:
    """After each step everything there is trusted, and a step that is done twice changes nothing."""
    known = (layout, *renewal.known(layout), kubeconfig.load(layout.kubeconfig).server)
    before, old = serials(layout), (layout.pki / "cluster/ca.crt").read_bytes()
    renewal.begin_authorities(*known)
    trusted = (layout.pki / "cluster/ca.crt").read_bytes()
    renewal.begin_authorities(*known)
    assert (layout.pki / "cluster/ca.crt").read_bytes() == trusted
    assert trusted.startswith(old)
    assert kubeconfig.load(layout.kubeconfig).ca == trusted
    assert problems(layout) == {""}
    assert {name: serial for name, serial in serials(layout).items() if name in before} == before
    renewal.switch_authorities(*known)
    assert renewal.switch_authorities(*known) == []
    after = serials(layout)
    assert [name for name in before if before[name] == after[name]] == []
    assert problems(layout) == {""}
    assert (after["cluster/ca (2)"], after["store/ca (2)"]) == (before["cluster/ca"], before["store/ca"])
    server = (layout.pki / "cluster/apiserver-m1.crt").read_bytes()
    assert trusts(old, server)  # as does who has nothing but a copy of the old authority
    assert trusts((layout.pki / "cluster/ca.crt").read_bytes(), server)
    renewal.drop_authorities(*known)
    assert not trusts(old, (layout.pki / "cluster/apiserver-m1.crt").read_bytes())
    assert problems(layout) == {""}
    assert set(serials(layout)) == set(before)
    assert not list(layout.pki.rglob("ca-*"))
    assert old not in (kubeconfig.load(layout.kubeconfig).ca or b"")


@pytest.mark.parametrize("cut", ["ca.key", "ca.crt"])
def test_an_exchange_that_was_cut_off_is_continued(
    layout: Layout, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before or after the key of the second authority was exchanged."""
    known = (layout, *renewal.known(layout), kubeconfig.load(layout.kubeconfig).server)
    renewal.begin_authorities(*known)

    def full(path: Path, content: bytes) -> None:
        if path == layout.pki / "store" / cut:
            raise ClusterError("no space", "")
        write_private(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(authorities, "write_private", full)
        patched.setattr(authorities, "write_if_changed", full)
        with pytest.raises(ClusterError, match="no space"):
            renewal.switch_authorities(*known)
        with pytest.raises(ClusterError, match="finish that first"):
            renewal.drop_authorities(*known)
    prepare(layout, None).close()  # a start in between goes well
    assert problems(layout) == {""}
    renewal.begin_authorities(*known)
    renewal.switch_authorities(*known)
    assert problems(layout) == {""}
    renewal.drop_authorities(*known)
    assert problems(layout) == {""}


def test_new_authorities_that_were_cut_off_are_made_by_the_next_start(layout: Layout) -> None:
    pki.forget_authorities(layout.pki)
    prepare(layout, None).close()
    assert {certificate.problem for certificate in by_name(layout).values()} == {""}


def test_no_certificate_outlives_its_authority(tmp_path: Path) -> None:
    pki.ensure(tmp_path, [ADMIN], NOW - pki.CA_LIFE + timedelta(days=10))
    pki.renew(tmp_path, [ADMIN], NOW)
    loaded = [
        x509.load_pem_x509_certificate((tmp_path / f"cluster/{n}.crt").read_bytes()) for n in ("admin", "ca")
    ]
    assert loaded[0].not_valid_after_utc == loaded[1].not_valid_after_utc


def test_an_authority_that_has_ended_signs_nothing(tmp_path: Path) -> None:
    pki.ensure(tmp_path, [ADMIN], NOW - pki.CA_LIFE - timedelta(days=1))
    before = (tmp_path / "cluster/admin.crt").read_bytes()
    for work in (pki.ensure, pki.renew):
        with pytest.raises(ClusterError, match=r"has ended on .*\n.*certs renew --ca"):
            work(tmp_path, [ADMIN], NOW)
    assert (tmp_path / "cluster/admin.crt").read_bytes() == before


def test_the_exit_status_tells(layout: Layout) -> None:
    def check(*words: str) -> int:
        return CliRunner().invoke(app, ["certs", "check", "--dir", str(layout.root), *words]).exit_code

    assert (check(), check("--within", "400"), check("--within", "364")) == (0, 1, 0)
    (layout.pki / "cluster/admin.key").unlink()
    assert (check(), check("-o", "json")) == (1, 1)


def test_the_list_as_json(layout: Layout) -> None:
    answer = CliRunner().invoke(app, ["certs", "check", "--dir", str(layout.root), "-o", "json"])
    rows = {row["name"]: row for row in json.loads(answer.stdout)}
    assert rows["cluster/apiserver-m1"]["daysLeft"] == 364
    assert rows["cluster/apiserver-m1"]["hosts"]
