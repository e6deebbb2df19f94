"""A kubelet's own certificate: when it is renewed, and that nothing in use is lost on the way."""

from __future__ import annotations

import asyncio
import base64
import logging
import random
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from apiserver.api import certificate_requests as requests
from apiserver.api.gvk import GroupVersionResource
from components.client.kubeconfig import ClientConfig
from components.cluster import pki
from components.cluster.pki import Identity
from components.controllers.csrsigning.authority import Authority
from components.controllers.csrsigning.plan import Sign, decide
from components.kubelet.certificates import plan
from components.kubelet.certificates.rotation import FILE, Rotation

NOW = datetime.now(UTC)
KUBELET = Identity("cluster/kubelet-n1", "system:node:n1", "system:nodes", ("n1",), server=True)
DAY = timedelta(days=1)


class Api:
    """A client whose requests are approved and signed at once, denied, or left alone."""

    def __init__(self, folder: Path, issued: datetime) -> None:
        pki.ensure(folder, [KUBELET], NOW - 360 * DAY)
        pki.renew(folder, [KUBELET], issued)
        self._authority = Authority.load(folder / "cluster/ca.crt", folder / "cluster/ca.key")
        files = [(folder / f"cluster/kubelet-n1.{end}").read_bytes() for end in ("crt", "key")]
        self.config = ClientConfig("https://a", client_cert=files[0], client_key=files[1])
        self.denied = False
        self.asked: list[Any] = []
        self.used: list[ClientConfig] = []

    def use(self, config: ClientConfig) -> None:
        self.config = config
        self.used.append(config)

    async def create(self, gvr: GroupVersionResource, obj: Any) -> Any:
        self.asked.append(obj)
        return {**obj, "metadata": {"name": f"csr-{len(self.asked)}"}}

    async def get(self, gvr: GroupVersionResource, name: str) -> Any:
        verdict = "Denied" if self.denied else "Approved"
        csr = {
            **self.asked[-1],
            "status": {"conditions": [{"type": verdict, "status": "True", "message": "no"}]},
        }
        outcome = decide(csr, 365 * DAY)
        if isinstance(outcome, Sign):
            pem = self._authority.sign(outcome, NOW)
            csr["status"]["certificate"] = base64.b64encode(pem).decode()
        return csr


def rotation(api: Api, folder: Path) -> Rotation:
    return Rotation(api, "n1", folder / "pki", now=lambda: NOW, rng=random.Random(1), sleep=slept)


class Slept(Exception):
    """What was due is done."""


async def slept(_: float) -> None:
    raise Slept


async def run_for_a_moment(it: Rotation) -> None:
    with pytest.raises(Slept):
        await it.run()


@given(st.floats(0, 1))
def test_it_is_due_between_70_and_90_per_cent_of_its_life(share: float) -> None:
    due = plan.deadline(NOW, NOW + 100 * DAY, share)
    assert NOW + 70 * DAY <= due <= NOW + 90 * DAY


def test_what_is_asked_is_what_the_signer_of_kubelets_signs(tmp_path: Path) -> None:
    api = Api(tmp_path, NOW - 350 * DAY)
    asyncio.run(rotation(api, tmp_path).rotate())
    [csr] = api.asked
    asked = requests.read(csr)
    assert (asked.common_name, asked.organizations) == ("system:node:n1", ("system:nodes",))
    assert requests.fault_of(requests.KUBELET_CLIENT, asked, csr["spec"]["usages"]) == ""


def test_one_that_nears_its_end_is_renewed_kept_and_used(tmp_path: Path) -> None:
    api = Api(tmp_path, NOW - 350 * DAY)
    asyncio.run(run_for_a_moment(rotation(api, tmp_path)))
    [used] = api.used
    kept = (tmp_path / "pki" / FILE).read_bytes()
    assert kept == (used.client_cert or b"") + (used.client_key or b"")
    assert stat.S_IMODE((tmp_path / "pki" / FILE).stat().st_mode) == 0o600
    certificate = x509.load_pem_x509_certificate(kept)
    assert (
        certificate.public_key()
        == serialization.load_pem_private_key(used.client_key or b"", None).public_key()
    )
    assert certificate.not_valid_after_utc > NOW + 364 * DAY


def test_one_with_time_left_is_left_alone(tmp_path: Path) -> None:
    api = Api(tmp_path, NOW - 200 * DAY)
    asyncio.run(run_for_a_moment(rotation(api, tmp_path)))
    assert (api.asked, api.used) == ([], [])


def test_a_refusal_changes_nothing_and_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    api = Api(tmp_path, NOW - 350 * DAY)
    api.denied = True
    asyncio.run(run_for_a_moment(rotation(api, tmp_path)))
    assert (len(api.asked), api.used, (tmp_path / "pki").exists()) == (1, [], False)
    assert "denied: no" in caplog.records[-1].getMessage()
    assert [plan.pause(n).total_seconds() for n in (0, 1, 20)] == [2, 4, 300]


def test_what_was_kept_is_used_at_the_next_start_if_it_is_the_better_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api = Api(tmp_path, NOW - 350 * DAY)
    asyncio.run(rotation(api, tmp_path).rotate())
    renewed = api.config
    older = Api(tmp_path / "older", NOW - 350 * DAY)
    rotation(older, tmp_path).take_up()
    assert older.config == renewed
    newer = Api(tmp_path / "newer", NOW + DAY)
    rotation(newer, tmp_path).take_up()
    assert newer.used == []
    for bad in (b"", b"x", (renewed.client_cert or b"")):
        (tmp_path / "pki" / FILE).write_bytes(bad)
        caplog.clear()
        again = Api(tmp_path / f"again{len(bad)}", NOW - 350 * DAY)
        rotation(again, tmp_path).take_up()
        assert again.used == []
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
