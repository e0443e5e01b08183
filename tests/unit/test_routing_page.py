"""The configurations of docs/routing.md: the page shows just those that the tests run."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.fabric.configurations import FOLDER, PAGE, commands, commands_of_step

_TESTS = Path(__file__).parents[1] / "fabric"


def _files() -> set[str]:
    return {path.name for path in FOLDER.iterdir()}


def test_the_page_shows_every_configuration_and_no_other_one() -> None:
    shown = set(re.findall(r"\]\(routing/([^)]+)\)", PAGE.read_text()))

    assert shown == _files()


def test_every_configuration_that_the_page_shows_is_run_by_the_tests_of_fabrics() -> None:
    tests = "".join(path.read_text() for path in _TESTS.glob("test_*.py"))
    support = "".join(
        path.read_text() for path in FOLDER.parents[1].glob("tests/support/fabric/*.py")
    )

    # By the commands of the page, which these tests follow.
    sections = [commands(title) for title in ("Keeping it announced", "BIRD")]
    steps = [commands_of_step(number) for number in (1, 2)]
    followed = " ".join(line for lines in [*steps, *sections] for line in lines).split()

    run = {name for name in _files() if f'"{name}"' in tests + support or name in followed}

    assert run == _files()


def test_the_page_shows_the_schema_that_the_tests_use() -> None:
    shown = PAGE.read_text().partition("```json\n")[2].partition("```")[0]

    assert shown == (FOLDER / "schema.json").read_text()


def test_every_port_is_written_by_its_name_so_that_a_reader_can_replace_it() -> None:
    """The command of the page that replaces a name misses a pattern for several."""
    texts = {name: (FOLDER / name).read_text() for name in _files()}

    assert [name for name, text in texts.items() if re.search(r"\b(up|swp)\*", text)] == []
