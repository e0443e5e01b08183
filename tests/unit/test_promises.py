"""What docs/operations.md promises: each row names tests that show it, and they are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_TESTS = Path(__file__).parents[1]
_OPERATIONS = _TESTS.parent / "docs" / "operations.md"
_NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")
_SECTIONS = ("What is promised", "Safety")


def _rows(section: str) -> list[str]:
    """The rows of the section's table, without its head."""
    text = _OPERATIONS.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [line for line in text.splitlines() if line.startswith("| ")][1:]


def _named_tests() -> Iterator[tuple[str, str]]:
    for section in _SECTIONS:
        for row in _rows(section):
            yield from _NAMED.findall(row)


@pytest.mark.parametrize("section", _SECTIONS)
def test_every_row_names_a_test(section: str) -> None:
    rows = _rows(section)

    assert len(rows) > 5
    assert [row for row in rows if not _NAMED.search(row.rsplit(" | ", 1)[1])] == []


@pytest.mark.parametrize("file", sorted({file for file, _ in _named_tests()}))
def test_every_test_that_is_named_is_there(file: str) -> None:
    tree = ast.parse((_TESTS / file).read_text())
    there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}

    assert {name for named, name in _named_tests() if named == file} <= there


def test_no_test_is_named_in_another_way() -> None:
    text = _OPERATIONS.read_text()

    assert len(_NAMED.findall(text)) == text.count("::test_")
