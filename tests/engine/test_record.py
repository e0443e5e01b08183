"""`pyipam record` beside a real engine: names of what is gone, in the history."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pyipam.cli.recording.notes import Note, read_notes
from tests.support.engine.host_command import Command
from tests.support.engine.objects import create_network, run_container
from tests.support.engine.plugin import Plugin
from tests.support.engine.private_engine import PrivateEngine
from tests.support.engine.schemas import UseSchema, scope
from tests.support.program import wait_until

# The command, on a host whose folders are in that of the engine.
_RECORD = """
import sys
from pathlib import Path
from pyipam.cli.main import main
from pyipam.cli.surroundings import Surroundings
run, notes, docker = map(Path, sys.argv[1:])
sys.exit(main(["record"], surroundings=Surroundings(sockets=run, notes=notes, docker_root=docker)))
"""


class Record:
    """A running `pyipam record`, and what it has noted."""

    def __init__(self, command: Command) -> None:
        self.notes = command.surroundings.notes

    def has_noted(self, event: str, name: str) -> bool:
        """Whether it has noted that, of the network or the container with the name."""
        return any(
            (note.event, note.container or note.network) == (event, name) for note in self.all()
        )

    def all(self) -> list[Note]:
        """Every note, the oldest first."""
        return read_notes(self.notes)


@contextmanager
def recording(engine: PrivateEngine, command: Command) -> Iterator[Record]:
    """Inside, `pyipam record` runs, and has caught up."""
    around = command.surroundings
    record = Record(command)
    begun = len([note for note in record.all() if note.event == "began"])
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", _RECORD),
            *(str(around.sockets), str(around.notes), str(around.docker_root)),
        ],
        env={**os.environ, "DOCKER_HOST": f"unix://{engine.api_socket}"},
    )
    try:
        wait_until(
            lambda: len([note for note in record.all() if note.event == "began"]) > begun,
            "record has caught up",
        )
        yield record
    finally:
        process.terminate()
        process.wait()


def names(plugin: Plugin) -> list[str]:
    """The names that the plugin shows: of networks, and of containers."""
    return [name["container"] or name["network"] for name in plugin.get("/v1/names")]


@pytest.fixture(autouse=True)
def shop(engine: PrivateEngine, plugin: Plugin, use_schema: UseSchema) -> None:
    """A network of Docker's."""
    use_schema(scope("10.94.0.0/24", 28, tags=["default"]))
    create_network(engine, "shop", driver="pyipam")


def test_the_history_names_containers_that_are_gone_and_what_was_missed_is_found(
    engine: PrivateEngine, plugin: Plugin, command: Command
) -> None:
    with recording(engine, command) as record:
        web = run_container(engine, "web", "shop")
        wait_until(lambda: record.has_noted("connected", "web"), "web is noted")
        wait_until(lambda: names(plugin) == ["shop", "web"], "the plugin has the names")
        assert [pool["networks"] for pool in plugin.get("/v1/pools")] == [["shop"]]
        assert [lease["containers"] for lease in plugin.get("/v1/leases")] == [[], ["web"]]
        web.remove()
        wait_until(lambda: record.has_noted("disconnected", "web"), "its end is noted")
    missed = run_container(engine, "missed", "shop")
    with recording(engine, command) as record:
        missed.remove()
        wait_until(lambda: record.has_noted("disconnected", "missed"), "its end is noted")
        wait_until(lambda: names(plugin) == ["shop"], "the plugin has the names that are left")

    entries = json.loads(command("history", "10.94.0.2", "--json"))

    named = [(entry["event"], entry["containers"]) for entry in entries if entry["address"]]
    assert named == [
        ("given", ["web"]),
        ("ended", ["web"]),
        ("given", ["missed"]),
        ("ended", ["missed"]),
    ]
    assert [note.found for note in record.all() if note.container == "missed"] == [True, False]
    made = next(entry for entry in entries if entry["event"] == "made")
    assert made["networks"] == ["shop"]
    assert "web" in command("history", "10.94.0.0/28")
