"""One server for all attacks. At the end: its loop never stood still, and nothing secret was logged."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator

import pytest

from tests.attacks.stage import ADMIN, ALICE, CANARY, STALL, Everything, Stage, staged

POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
rules: [{level: Metadata}]
"""


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("attacks")
    (folder / "policy.yaml").write_text(POLICY)
    audit = folder / "audit.log"
    logged, root = Everything(), logging.getLogger()
    level = root.level
    root.addHandler(logged)
    root.setLevel(logging.DEBUG)
    try:
        with staged(folder, audit_policy_file=folder / "policy.yaml", audit_log_path=str(audit)) as found:
            found.create("/api/v1/namespaces/default/secrets", secret("plain"))
            yield found
            metrics = found.ask("GET", "/metrics").text
    finally:
        root.removeHandler(logged)
        root.setLevel(level)
    assert found.longest < STALL
    assert audit.stat().st_size > 1000
    everything = {"log": "\n".join(logged.texts), "audit": audit.read_text(), "metrics": metrics}
    hidden = (CANARY, ADMIN, ALICE, base64.b64encode(CANARY.encode()).decode().rstrip("="))
    assert [(name, word) for name, text in everything.items() for word in hidden if word in text] == []


def secret(name: str) -> dict[str, object]:
    return {"metadata": {"name": name}, "stringData": {"key": CANARY}}
