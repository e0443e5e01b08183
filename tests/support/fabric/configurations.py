"""The configurations and commands that docs/routing.md shows, for machines with other names and
numbers."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "docs" / "routing"
PAGE = FOLDER.with_suffix(".md")


def of_host(number: int, *files: str) -> str:
    """What these files make of host `number`, from 1 on: its name, the number of its AS, and its
    router id are other ones than those of host 1."""
    shown = "".join((FOLDER / file).read_text() for file in files)
    for old, new in (
        ("hostname h1", f"hostname h{number}"),
        ("65001", str(65000 + number)),
        ("192.0.2.1", f"192.0.2.{number}"),
    ):
        shown = re.sub(rf"{re.escape(old)}\b", new, shown)
    return shown


def as_shown(*files: str) -> str:
    """What is in these files."""
    return "".join((FOLDER / file).read_text() for file in files)


def exchanged(shown: str, one: str, other: str) -> str:
    """The text with two names in each other's place, wherever they stand as whole words."""
    names = {one: other, other: one}
    pattern = "|".join(rf"(?<![\w.]){re.escape(name)}(?![\w.])" for name in names)
    return re.sub(pattern, lambda found: names[found[0]], shown)


def commands(section: str) -> list[str]:
    """The commands of that section of docs/routing.md, each in a line."""
    _, _, rest = PAGE.read_text().partition(f"\n## {section}\n")
    assert rest, f"{PAGE} has no section {section!r}"
    return _commands_in(rest.partition("\n## ")[0])


def commands_of_step(number: int) -> list[str]:
    """The commands of a step that leads from two hosts to a ping; those after the last one, which
    show what has become of it, are the step that follows."""
    steps = re.split(r"^\*\*\d\. |^What each step", PAGE.read_text(), flags=re.MULTILINE)
    return _commands_in(steps[number].partition("\n## ")[0])


def _commands_in(shown: str) -> list[str]:
    lines = re.findall(r"^    (.*)$", shown, re.MULTILINE)
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [" ".join(line.split()) for line in joined.splitlines()]


def words(command: str) -> list[str]:
    """The words of a command as a shell reads it, without what is said behind it."""
    return shlex.split(command, comments=True)


def network_options() -> list[str]:
    """The options that the page gives to `docker network create`, without those of the address
    management."""
    (create,) = (line for line in commands("The networks") if "network create" in line)
    given = words(create)
    return [part for place, part in enumerate(given) if part == "-o" or given[place - 1] == "-o"]


def docker_user_rules() -> list[list[str]]:
    """The commands that let packets of the plan through, as systemd runs them when Docker has
    started: one that fails is no error there."""
    started = re.findall(r"^ExecStartPost=-(.*)$", as_shown("docker-user.conf"), re.MULTILINE)
    assert started
    return [words(command) for command in started]
