"""The links and paths of the documentation: each leads to a file, and a heading, that exists."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pytest

_REPOSITORY = Path(__file__).parents[2]
_PAGES = sorted([*_REPOSITORY.glob("*.md"), *_REPOSITORY.glob("docs/*.md")])

_CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
# [text](target) and ![text](target); the text may be broken across lines.
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")
# A path in code quotes; one with a word in capitals is an example.
_PATH = re.compile(r"`((?:plugin|tests|tools|bench|rootfs-build|docs)/[a-z0-9_./-]*)`")


class _Link(NamedTuple):
    page: Path
    target: str


def _without_code(text: str) -> str:
    return _CODE.sub("", _CODE_BLOCK.sub("", text))


def _links() -> Iterator[_Link]:
    for page in _PAGES:
        for target in _LINK.findall(_without_code(page.read_text())):
            if not _SCHEME.match(target):
                yield _Link(page, target)


def _paths() -> Iterator[tuple[str, str]]:
    for page in _PAGES:
        for path in _PATH.findall(page.read_text()):
            yield page.name, path


def _anchor(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _anchors(page: Path) -> set[str]:
    found = set()
    seen: Counter[str] = Counter()
    for heading in _HEADING.findall(_CODE_BLOCK.sub("", page.read_text())):
        anchor = _anchor(heading)
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


def _problem(link: _Link) -> str | None:
    path, _, anchor = unquote(link.target).partition("#")
    file = (link.page.parent / path).resolve() if path else link.page
    if not file.is_relative_to(_REPOSITORY):
        return "it leads out of the repository"
    if not file.exists():
        return "the file does not exist"
    if anchor and anchor not in _anchors(file):
        return "the page has no such heading"
    return None


def test_there_are_links_to_check() -> None:
    assert len(list(_links())) > 20


@pytest.mark.parametrize("link", sorted(set(_links())), ids=lambda link: link.target)
def test_every_relative_link_leads_to_a_file_and_a_heading_that_exist(link: _Link) -> None:
    assert _problem(link) is None


@pytest.mark.parametrize(("page", "path"), sorted(set(_paths())))
def test_every_path_of_the_repository_that_is_named_exists(page: str, path: str) -> None:
    assert (_REPOSITORY / path).exists()


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("docs/schema.md", None),
        ("docs/schema.md#network-required", None),
        ("schema.json", None),
        ("docs/missing.md", "the file does not exist"),
        ("docs/schema.md#missing", "the page has no such heading"),
        ("#missing", "the page has no such heading"),
        ("../elsewhere", "it leads out of the repository"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(target: str, problem: str | None) -> None:
    assert _problem(_Link(_REPOSITORY / "README.md", target)) == problem
