"""What the documents name exists."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/flow.md",
    "docs/bugs.md",
    "docs/topology.md",
    "docs/backup.md",
    "docs/connect.md",
    "docs/dashboard.md",
    "docs/design.md",
    "docs/deviations.md",
    "docs/extension.md",
    "docs/faults.md",
    "docs/drills.md",
    "docs/kvstore.md",
    "docs/performance.md",
    "docs/raft.md",
    "docs/robustness.md",
    "docs/security.md",
    "docs/testing.md",
)
PACKAGE_PATH = re.compile(r"`((?:kvstore|apiserver|components|cluster_configs|tests|benchmarks)/[\w./-]*)`")
NAMED = re.compile(r"`([\w/]+\.py)`\s+`(\w+)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


@pytest.mark.parametrize("document", DOCUMENTS)  # not the plan: it names what is to come
def test_named_files_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    missing = [name for name in PACKAGE_PATH.findall(text) if not (ROOT / name).exists()]
    assert missing == []


@pytest.mark.parametrize("document", [*DOCUMENTS, "docs/plan.md"])
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    broken = [link for link in LINK.findall(path.read_text()) if not (path.parent / link).exists()]
    assert broken == []


def test_flow_names_functions_that_are_in_their_files() -> None:
    found = [pair for pair in NAMED.findall((ROOT / "docs/flow.md").read_text()) if "/" in pair[0]]
    assert len(found) > 5
    for path, name in found:
        source = (ROOT / path).read_text()
        assert re.search(rf"\b(def|class) {name}\b", source), f"{path} has no {name}"


def test_readme_shows_every_command_and_no_other() -> None:
    from components.cluster.cli import app

    commands = {command.name for command in (*app.registered_commands, *app.registered_groups)}
    shown = set(re.findall(r"bin/kuberaft ([a-z]+)", (ROOT / "README.md").read_text()))
    assert shown == commands


def test_every_topology_field_is_documented() -> None:
    schema = json.loads((ROOT / "cluster_configs/schema.json").read_text())
    text = (ROOT / "docs/topology.md").read_text()
    fields = {field for part in schema["$defs"].values() for field in part.get("properties", {})}
    assert len(fields) > 20
    assert sorted(field for field in fields if f"`{field}`" not in text) == []
