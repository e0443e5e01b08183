"""What `pyipam routes` prints, for the programs of a machine."""

from __future__ import annotations

from pyipam.cli.routing.announced import read_announced
from pyipam.cli.routing.formats import text_of
from tests.support.fabric.machines import Machine

_PLAN = ["10.1.0.0/16", "fd00:10::/32"]


def printed(form: str, *prefixes: str) -> str:
    """What the command prints in this format while a plugin tells it these prefixes."""
    answer = {
        "version": "1",
        "node": "h1",
        "plan": _PLAN,
        "routes": [{"prefix": prefix} for prefix in prefixes],
    }
    return text_of(read_announced(answer, "a test"), form, 100)


def write_routes(machine: Machine, form: str, path: str, *prefixes: str) -> None:
    """Write what it prints to a file of the machine."""
    (machine.root / path.lstrip("/")).write_text(printed(form, *prefixes))


def answer_with(machine: Machine, form: str, *prefixes: str) -> None:
    """Let `pyipam routes --format FORM` print this on the machine, whose plugin is none."""
    write_routes(machine, form, "/root/printed", *prefixes)
    _install(machine, f'test "$*" = "routes --format {form}" && exec cat /root/printed')


def answer_nothing(machine: Machine) -> None:
    """Let the command fail on the machine, as while the plugin does not answer."""
    _install(machine, "exit 1")


def _install(machine: Machine, script: str) -> None:
    command = machine.root / "usr/local/bin/pyipam"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
