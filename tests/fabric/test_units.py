"""The units that the documentation shows, read by systemd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import homes
from tests.support.engine.chroots import Say
from tests.support.engine.command import Result
from tests.support.fabric.configurations import FOLDER, as_shown
from tests.support.fabric.machines import Machine, ensure_routers

_UNITS = sorted([*FOLDER.parent.glob("*.service"), *FOLDER.glob("*.service")])
_PLACE = "/etc/systemd/system"
_INSTANCE = "up0"


@pytest.fixture(scope="module")
def machine(say: Say) -> Iterator[Machine]:
    """A machine with FRR, BIRD, the command pyipam, and something in the place of Docker."""
    homes.remove_abandoned(say)
    with Machine("units", ensure_routers(say)) as made:
        command = made.root / "usr/local/bin/pyipam"
        command.write_text("#!/bin/sh\n")
        command.chmod(0o755)
        _write(made, "docker.service", "[Service]\nExecStart=/usr/local/bin/pyipam\n")
        for unit in _UNITS:
            _write(made, unit.name, unit.read_text())
        yield made


def _write(machine: Machine, name: str, text: str) -> None:
    place = machine.root / _PLACE.lstrip("/") / name
    place.parent.mkdir(exist_ok=True)
    place.write_text(text)


def _verify(machine: Machine, name: str) -> Result:
    return machine.run("systemd-analyze", "verify", name.replace("@.", f"@{_INSTANCE}."))


@pytest.mark.parametrize("unit", _UNITS, ids=lambda unit: unit.name)
def test_systemd_has_nothing_to_say_about_a_unit(machine: Machine, unit: Path) -> None:
    verified = _verify(machine, f"{_PLACE}/{unit.name}")

    assert (verified.code, verified.text) == (0, "")


@pytest.mark.parametrize(
    ("file", "unit"),
    [
        ("port-fe80.conf", "port@.service"),
        ("docker-user.conf", "docker.service"),
        ("docker-closed.conf", "docker.service"),
    ],
)
def test_systemd_has_nothing_to_say_about_what_is_added_to_a_unit(
    machine: Machine, file: str, unit: str
) -> None:
    _write(machine, f"{unit}.d/{file}", as_shown(file))

    verified = _verify(machine, f"{_PLACE}/{unit}")

    assert (verified.code, verified.text) == (0, "")


@pytest.mark.parametrize(
    "wrong",
    ["Beforehand=docker.service\n[Service]\nExecStart=ip link", "[Service]\nExecStart=none"],
)
def test_systemd_says_so_where_a_unit_is_wrong(machine: Machine, wrong: str) -> None:
    """Otherwise the tests above would show nothing."""
    _write(machine, "wrong.service", f"[Unit]\n{wrong}\n")

    assert _verify(machine, f"{_PLACE}/wrong.service").text
