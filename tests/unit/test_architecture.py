"""docs/architecture.md describes the program as it is: its files, and the headings that the code
refers to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).parents[2]
_PROGRAM = _REPOSITORY / "plugin" / "pyipam"
_PAGE = (_REPOSITORY / "docs" / "architecture.md").read_text()

_FILE_OF_A_ROW = re.compile(r"^\| \*{0,2}`([\w/.]+)`\*{0,2} \|", re.MULTILINE)
# A line of the way of a call: a file, and what is called in it.
_STEP = re.compile(r"^    ([\w/]+\.py) +(.+)$", re.MULTILINE)
_CALLED = re.compile(r"\b(?:\w+\.)?(\w*_\w+)|\b[A-Z]\w+\.(\w+)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_SOURCES = ("plugin", "tests", "tools", "bench", "rootfs-build")
# A heading in quotes before the name of the page, also across lines; or several after it.
_BEFORE_NAME = re.compile(r'"([^"]+)" in\s+docs/architecture\.md')
_AFTER_NAME = re.compile(r'docs/architecture\.md[,:]\s+((?:"[^"]+"(?:,\s+|\s+and\s+)?)+)')


def _described_files() -> list[str]:
    section = _PAGE.split("\n## Rooms\n")[1].split("\n## ")[0]
    return [path for path in _FILE_OF_A_ROW.findall(section) if not path.endswith("/")]


def _files() -> set[str]:
    return {
        str(path.relative_to(_PROGRAM))
        for path in _PROGRAM.rglob("*.py")
        if path.name != "__init__.py"
    }


def _steps() -> Iterator[tuple[str, str]]:
    """Each file on the way of a call, and a function that is called in it."""
    section = _PAGE.split("\n## The way of a call\n")[1].split("\n## ")[0]
    for file, called in _STEP.findall(section):
        for names in _CALLED.findall(called):
            yield file, "".join(names)


def _references() -> Iterator[tuple[str, str]]:
    """Each file that refers to a heading, and the heading."""
    for folder in _SOURCES:
        for path in sorted((_REPOSITORY / folder).rglob("*.py")):
            text = path.read_text().replace("\n#", "\n")
            headings = _BEFORE_NAME.findall(text)
            for quoted in _AFTER_NAME.findall(text):
                headings += re.findall(r'"([^"]+)"', quoted)
            for heading in headings:
                yield str(path.relative_to(_REPOSITORY)), " ".join(heading.split())


def test_every_file_of_the_program_has_a_row() -> None:
    described = _described_files()

    assert len(described) == len(set(described))
    assert set(described) == _files()


@pytest.mark.parametrize(("file", "function"), list(_steps()))
def test_every_function_on_the_way_of_a_call_is_in_its_file(file: str, function: str) -> None:
    assert re.search(rf"\bdef {function}\(", (_PROGRAM / file).read_text())


@pytest.mark.parametrize(("file", "heading"), sorted(set(_references())))
def test_every_heading_that_the_code_refers_to_exists(file: str, heading: str) -> None:
    assert heading in _HEADING.findall(_PAGE)
