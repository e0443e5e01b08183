"""The messages that the documentation quotes are those that the program writes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).parents[2]
_PROGRAM = _REPOSITORY / "plugin" / "pyipam"
_DOCS = _REPOSITORY / "docs"

# The tables of messages and log lines, by the first cell of their heads, and the column of the
# quotes in them.
_TABLES = {"message": 0, "line": 0, "where": 1}
_CODE = re.compile(r"`([^`]+)`")
# What stands for a value in a quote.
_VALUE = re.compile(r"…|\b[A-Z]{2,}\b|\b[A-Z]\b|\b\w+=…")
# What the libraries say, not the program.
_NOT_OURS = ("Authentication failed", "requires authentication", "certificate verify failed")


def _cells(line: str) -> list[str]:
    return line.strip("| ").split(" | ")


def _quotes() -> Iterator[tuple[str, str]]:
    """Each quote with the name of its page."""
    for page in sorted(_DOCS.glob("*.md")):
        column: int | None = None
        for line in page.read_text().splitlines():
            if not line.startswith("| "):
                column = None if not line.startswith("|") else column
            elif column is None:
                column = _TABLES.get(_cells(line)[0], -1)
            elif column >= 0:
                for quote in _CODE.findall(_cells(line)[column]):
                    if not any(words in quote for words in _NOT_OURS):
                        yield page.name, quote


def _text_of(node: ast.expr) -> str | None:
    """A string of the program, with a mark where a value is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text_of(part) or "…" for part in node.values)
    return None


@cache
def _strings_of_the_program() -> list[str]:
    found = []
    for path in _PROGRAM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            text = _text_of(node) if isinstance(node, ast.expr) else None
            if text is not None:
                found.append(text)
    return found


def _fixed_parts(quote: str) -> list[str]:
    """The parts of a quote between its values, without what joins them."""
    parts = (part.strip(" ,;:()'") for part in _VALUE.split(quote))
    return [part for part in parts if len(part) > 2]


def test_there_are_quotes_to_check() -> None:
    assert len(list(_quotes())) > 30


@pytest.mark.parametrize(("page", "quote"), sorted(set(_quotes())))
def test_every_message_that_is_quoted_is_one_of_the_program(page: str, quote: str) -> None:
    parts = _fixed_parts(quote)

    assert parts != []
    assert [
        part for part in parts if not any(part in text for text in _strings_of_the_program())
    ] == []
