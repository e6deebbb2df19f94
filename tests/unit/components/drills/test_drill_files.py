"""Drill files: those that come with the project, what is refused, and what a timeline makes of them."""

from __future__ import annotations

import random

import pytest

from components.cluster.errors import ClusterError
from components.drills import catalogue
from components.drills.faults.table import KINDS
from components.drills.schedule import choose, links, plan
from components.drills.spec import NEEDS, AnyStep, UpgradeEach, needs, upgraded_to

GOOD = "title: t\ndescription: d\ntimeline: [{at: 1s, fault: kill, target: leader}]\n"


@pytest.mark.parametrize("name", catalogue.names())
def test_the_drills_that_come_with_the_project(name: str) -> None:
    drill = catalogue.find(name)
    assert drill.hypothesis.lost_writes == 0
    assert plan(drill, 7) == plan(drill, 7)


def test_the_schema_for_editors_is_the_one_that_is_checked() -> None:
    stored = (catalogue.DRILL_DIR / "schema.json").read_bytes()
    assert stored == catalogue.json_schema(), "run: python -m components.drills.catalogue"


def test_every_fault_has_its_function_and_its_needs() -> None:
    kinds = set(AnyStep.__args__)  # type: ignore[attr-defined]
    assert set(KINDS) == set(NEEDS) == kinds


def test_every_drill_and_every_fault_is_taught() -> None:
    text = (catalogue.DRILL_DIR.parents[1] / "docs" / "drills.md").read_text()
    headings = " ".join(line for line in text.splitlines() if line.startswith("### "))
    assert [name for name in catalogue.names() if name not in headings] == []
    tags = [kind.__struct_config__.tag for kind in KINDS]
    assert [tag for tag in tags if f"`{tag}`" not in text] == []


def test_the_listing_is_for_machines() -> None:
    listing = catalogue.listing()["drills"]
    kill = next(drill for drill in listing if drill["name"] == "leader-kill")
    assert set(kill) == {"name", "title", "description", "needs", "seconds"}
    assert kill["needs"] == ["processes"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title: [", "not valid YAML"),
        ("title: t\n", "missing required field `description`"),
        (GOOD.replace("kill", "explode"), "Invalid value 'explode'"),
        (GOOD.replace("leader", "x9"), "timeline[0].target"),
        (GOOD + "colour: red\n", "unknown field `colour`"),
        (GOOD + "checks: [restored]\n", "restored is for drills with the fault restore or quorum-loss"),
        (GOOD + "checks: [upgraded]\n", "upgraded is for drills with the fault upgrade-each"),
        (GOOD.replace("kill, target: leader", "expire-certificates, whose: [sa]"), "timeline[0].whose[0]"),
        (GOOD.replace("kill, target: leader", "expire-certificates, whose: []"), "timeline[0].whose"),
        (
            GOOD.replace("[{", "[{at: 0s, fault: expire-certificates, whose: [m1]}, {").replace(
                "kill, target: leader", "expire-certificates, whose: [m2]"
            ),
            "lets certificates end once at most",
        ),
        (GOOD + "cluster: {workers: 0}\n", "workload.service needs workers"),
        (
            GOOD.replace("[{", "[{at: 2s, fault: restore}, {at: 3s, fault: restore}, {"),
            "restores a cluster once at most",
        ),
        (GOOD.replace("[{", "[{at: 2s, fault: compact}, {"), "not in order"),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str) -> None:
    with pytest.raises(ClusterError) as error:
        catalogue.parse(text, "f")
    assert said in str(error.value)


def test_a_drill_that_there_is_not() -> None:
    with pytest.raises(ClusterError, match="leader-kill"):
        catalogue.find("leader-kil")


def test_what_a_drill_needs_is_what_its_faults_need() -> None:
    two = GOOD.replace("[{", "[{at: 0s, fault: partition}, {")
    assert needs(catalogue.parse(two, "f")) == ["peer-links", "processes"]


@pytest.mark.parametrize(
    ("target", "leader", "allowed"),
    [
        ("leader", "m2", {"m2"}),
        ("leader", "", {"m1", "m2", "m3"}),
        ("follower", "m2", {"m1", "m3"}),
        ("m3", "m2", {"m3"}),
    ],
)
def test_who_is_hurt(target: str, leader: str, allowed: set[str]) -> None:
    names = ["m1", "m2", "m3"]
    assert {choose(target, names, leader, random.Random(n)) for n in range(50)} == allowed


def test_an_upgrade_goes_where_it_is_told() -> None:
    upgrade = catalogue.parse(GOOD.replace("kill, target: leader", "upgrade-each"), "f")
    found = upgraded_to(upgrade, "/new/python")
    assert found is not None
    assert [step.to for step in found.timeline if isinstance(step, UpgradeEach)] == ["/new/python"]
    assert upgraded_to(catalogue.parse(GOOD, "f"), "/new/python") is None


def test_a_target_that_there_is_not() -> None:
    with pytest.raises(LookupError, match="m9"):
        choose("m9", ["m1"], "m1", random.Random(0))


def test_the_links_that_are_cut() -> None:
    names = ["m1", "m2", "m3"]
    assert set(links(names, "m1", "out")) == {("m1", "m2"), ("m1", "m3")}
    assert set(links(names, "m1", "in")) == {("m2", "m1"), ("m3", "m1")}
    assert set(links(names, "m1", "both")) == set(links(names, "m1", "out") + links(names, "m1", "in"))
    assert len(links(names, "", "both")) == 6
