"""How the tests are laid out: who may import what, read from their imports.

What several suites use is in tests/support, and its fixtures are plugins that tests/conftest.py
names. So a suite can be read, moved and run without the others.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

_ROOT = Path(__file__).parents[2]
_TESTS = _ROOT / "tests"
_SUITES = sorted({path.relative_to(_TESTS).parts[0] for path in _TESTS.glob("*/**/*.py")})


class Import(NamedTuple):
    """One module that a file imports from, as `tests.support.program`."""

    file: str
    module: str


def _files(folder: str) -> list[Path]:
    return sorted((_ROOT / folder).rglob("*.py"))


def _modules_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _imports(folder: str) -> list[Import]:
    return [
        Import(str(file.relative_to(_ROOT)), module)
        for file in _files(folder)
        for module in _modules_in(ast.parse(file.read_text()))
    ]


def _is_of_tests(module: str, *folders: str) -> bool:
    return any(f"{module}.".startswith(f"tests.{folder}.") for folder in folders)


@pytest.mark.parametrize("folder", ["tests", "bench", "tools"])
def test_nothing_imports_a_test_module_or_a_conftest(folder: str) -> None:
    imported = [
        (file, module)
        for file, module in _imports(folder)
        for part in module.split(".")
        if module.startswith("tests") and (part.startswith("test_") or part == "conftest")
    ]

    assert imported == []


def test_no_conftest_hands_on_what_it_imports() -> None:
    """A name that is imported and not used is an error of ruff, unless it is listed there."""
    conftests = _TESTS.rglob("conftest.py")

    assert [path for path in conftests if "__all__" in path.read_text()] == []


@pytest.mark.parametrize("suite", _SUITES)
def test_a_suite_imports_nothing_of_another_one(suite: str) -> None:
    imported = [
        (file, module)
        for file, module in _imports(f"tests/{suite}")
        if module.startswith("tests.") and not _is_of_tests(module, suite, "support")
    ]

    assert imported == []


@pytest.mark.parametrize("folder", ["bench", "tools"])
def test_what_is_not_a_test_uses_of_the_tests_only_their_support(folder: str) -> None:
    imported = [
        (file, module)
        for file, module in _imports(folder)
        if module.startswith("tests") and not _is_of_tests(module, "support")
    ]

    assert imported == []
