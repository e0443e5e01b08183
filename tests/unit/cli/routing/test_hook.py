"""The command that `pyipam routes --watch --run` gives the routes to."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pyipam.cli.routing.announced import NOTHING
from pyipam.cli.routing.hook import Hook

# Writes something again and again, in a process of its own, as a step of a longer command does.
ENDLESS = "(while :; do echo more >> written; sleep 0.01; done); echo end >> written"


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the command has written."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "written"


def check_that_nothing_runs(written: Path) -> None:
    before = written.read_text()
    time.sleep(0.1)
    assert written.read_text() == before
    assert "end" not in before


def test_a_command_that_takes_too_long_is_ended_with_all_of_its_processes(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyipam.cli.routing.hook._TIMEOUT_SECONDS", 0.3)

    assert Hook(ENDLESS).run(NOTHING) == f"{ENDLESS!r} has not ended within 0.3 seconds"

    check_that_nothing_runs(written)


def test_a_command_ends_with_all_of_its_processes_if_whoever_runs_it_is_stopped(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        while not written.exists():
            time.sleep(0.01)
        raise SystemExit(0)

    monkeypatch.setattr("subprocess.Popen.communicate", stop)

    with pytest.raises(SystemExit):
        Hook(ENDLESS).run(NOTHING)

    check_that_nothing_runs(written)


def test_a_command_that_has_started_something_and_ends_leaves_it_alone(written: Path) -> None:
    assert Hook("(sleep 0.2; echo late >> written) > /dev/null 2>&1 &").run(NOTHING) == ""

    while not written.exists():
        time.sleep(0.01)
    assert written.read_text() == "late\n"
