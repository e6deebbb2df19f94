"""The promises that modules make in their first lines, and the sizes that keep them readable."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("kvstore", "apiserver", "components", "cluster_configs")
IMPURE = frozenset(
    {
        *("asyncio", "threading", "multiprocessing", "concurrent", "subprocess"),
        *("socket", "ssl", "select", "selectors", "aiohttp", "uvloop", "lmdb", "pysyncobj"),
        *("time", "secrets", "uuid", "logging", "os", "shutil", "tempfile"),
    }
)
MAX_LINES = 600
MAX_FUNCTION_LINES = 80


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def says_pure(path: Path) -> bool:
    docstring = ast.get_docstring(parse(path)) or ""
    return "(P)" in docstring.partition("\n")[0]


def imported(tree: ast.Module) -> Iterator[str]:
    """Top-level names of the modules that are really imported (not under TYPE_CHECKING)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("path", [*filter(says_pure, modules())], ids=lambda p: str(p.relative_to(ROOT)))
def test_pure_modules_do_no_input_or_output(path: Path) -> None:
    assert not set(imported(parse(path))) & IMPURE


def test_pure_modules_take_their_randomness_as_an_argument() -> None:
    """They may name the type `random.Random`, nothing else of that module."""
    for path in filter(says_pure, modules()):
        for node in ast.walk(parse(path)):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "random"
            ):
                assert node.attr == "Random", f"{path.relative_to(ROOT)}:{node.lineno}"


def test_only_the_raft_package_knows_pysyncobj() -> None:
    users = {p.relative_to(ROOT).parent for p in modules() if "pysyncobj" in set(imported(parse(p)))}
    assert users == {Path("kvstore/raft")}


def test_pytest_is_known_to_its_plugin_alone() -> None:
    plugin = ROOT / "components/testing/plugin.py"
    assert [p for p in modules() if {"pytest", "_pytest"} & set(imported(parse(p)))] == [plugin]
    users = [p for p in modules() if "components.testing.plugin" in p.read_text() and p != plugin]
    assert users == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [p for p in modules() if p.read_text().strip() and not ast.get_docstring(parse(p))]
    assert silent == []


def test_files_and_functions_stay_small() -> None:
    large = []
    for path in modules():
        if (lines := path.read_text().count("\n")) > MAX_LINES:
            large.append(f"{path.relative_to(ROOT)}: {lines} lines")
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > MAX_FUNCTION_LINES:
                    large.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {size} lines")
    assert large == []


def siblings(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).glob("*/plan.py"))


def test_controllers_do_not_know_each_other() -> None:
    """Each folder under `components/controllers` with a plan of its own stands alone."""
    names = {path.parent.name for path in siblings("components/controllers")}
    assert len(names) > 5
    for path in siblings("components/controllers"):
        others = {f"components.controllers.{name}" for name in names - {path.parent.name}}
        for module in path.parent.glob("*.py"):
            found = {
                node.module
                for node in ast.walk(parse(module))
                if isinstance(node, ast.ImportFrom) and node.module
            }
            crossing = {m for m in found if any(m == o or m.startswith(o + ".") for o in others)}
            assert not crossing, f"{module.relative_to(ROOT)} imports {crossing}"
