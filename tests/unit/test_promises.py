"""What docs/operations.md guarantees is shown by the tests that docs/promises.md names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_TESTS = Path(__file__).parents[1]
_DOCS = _TESTS.parent / "docs"
_OPERATIONS = _DOCS / "operations.md"
_PROMISES = _DOCS / "promises.md"
_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
_SECTIONS = ("What is guaranteed", "Security")


def _rows(page: Path, section: str) -> list[list[str]]:
    """The rows of the section's table as cells, without its head."""
    text = page.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[1:]]


def _named_tests() -> Iterator[tuple[str, str]]:
    for section in _SECTIONS:
        for row in _rows(_PROMISES, section):
            yield from _TEST.findall(row[-1])


@pytest.mark.parametrize("section", _SECTIONS)
def test_every_guarantee_has_a_row_of_tests(section: str) -> None:
    guaranteed = [row[0] for row in _rows(_OPERATIONS, section)]

    assert len(guaranteed) > 5
    assert [row[0] for row in _rows(_PROMISES, section)] == guaranteed


@pytest.mark.parametrize("section", _SECTIONS)
def test_every_row_names_a_test(section: str) -> None:
    assert [row for row in _rows(_PROMISES, section) if not _TEST.search(row[-1])] == []


@pytest.mark.parametrize("file", sorted({file for file, _ in _named_tests()}))
def test_every_test_that_is_named_exists(file: str) -> None:
    tree = ast.parse((_TESTS / file).read_text())
    existing = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}

    assert {name for named, name in _named_tests() if named == file} <= existing


def test_no_test_is_named_in_another_way() -> None:
    text = _PROMISES.read_text()

    assert len(list(_named_tests())) == text.count("::test_")
