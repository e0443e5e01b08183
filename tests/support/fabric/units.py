"""The units of systemd that docs/routing.md shows, read as systemd reads them. It does not run in
the tests: what it would start is run as the units say."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from tests.support.fabric.configurations import as_shown
from tests.support.fabric.machines import Machine


@dataclass(frozen=True)
class Command:
    """A command of a unit; `may_fail` if systemd goes on when it fails."""

    words: list[str]
    may_fail: bool


def commands_of(unit: str, setting: str, instance: str = "") -> list[Command]:
    """The commands of this setting in the text of a unit, of a template for this instance."""
    # A backslash at the end of a line joins it with the next one, also within quotes.
    text = unit.replace("\\\n", " ").replace("%i", instance)
    found = re.findall(rf"^{setting}=(-?)(.+)$", text, re.MULTILINE)
    return [Command(shlex.split(line), bool(dash)) for dash, line in found]


def settings_of(unit: str, setting: str) -> list[str]:
    """The words that the text of a unit gives to this setting."""
    lines = re.findall(rf"^{setting}=(.*)$", unit, re.MULTILINE)
    return [word for line in lines for word in line.split()]


def start(machine: Machine, unit: str, instance: str = "") -> None:
    """Run what a unit of the type oneshot runs where it is started."""
    for command in commands_of(unit, "ExecStart", instance):
        done = machine.run(*command.words)
        if not command.may_fail:
            done.check()


def stop(machine: Machine, unit: str) -> None:
    """Run what it runs where it is stopped."""
    for command in commands_of(unit, "ExecStop"):
        machine.must(*command.words)


def hook_of(file: str) -> str:
    """The command that the service in this file runs at every change of the routes."""
    (command,) = commands_of(as_shown(file), "ExecStart")
    assert command.words[:-1] == ["/usr/local/bin/pyipam", "routes", "--watch", "--run"]
    return command.words[-1]
