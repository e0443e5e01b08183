"""The version of the program is written down once."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from pyipam import __version__

_ROOT = Path(__file__).parents[2]
_FOLDERS = (".ci", "bench", "docs", "plugin", "rootfs-build", "tests", "tools")
# Keeps the versions of the past.
_CHANGELOG = "CHANGELOG.md"
_MADE = re.compile(r"__pycache__|\.egg-info/")


def _sources() -> Iterator[Path]:
    yield from (path for path in _ROOT.iterdir() if path.is_file() and path.name != _CHANGELOG)
    for folder in _FOLDERS:
        for path in (_ROOT / folder).rglob("*"):
            if path.is_file() and not _MADE.search(str(path)):
                yield path


def test_only_one_file_spells_the_version() -> None:
    spelled = re.compile(rf"(?<![\d.]){re.escape(__version__)}(?![\d.])".encode())
    files = [path.relative_to(_ROOT) for path in _sources() if spelled.search(path.read_bytes())]

    assert files == [Path("plugin/pyipam/__init__.py")]


def test_the_package_is_built_with_that_version() -> None:
    file = tomllib.loads((_ROOT / "pyproject.toml").read_text())

    assert file["project"]["dynamic"] == ["version"]
    assert file["tool"]["setuptools"]["dynamic"] == {"version": {"attr": "pyipam.__version__"}}
