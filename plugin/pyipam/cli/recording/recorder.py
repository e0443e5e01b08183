"""What `pyipam record` does: it follows the events of Docker, and notes who has which address.

It knows what it has noted so far. When it begins, and whenever Docker was away, it looks at what
Docker has and notes the differences as found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pyipam.cli.engine import Engine, Plugin
from pyipam.cli.names import (
    driver_names,
    endpoints_in_use,
    endpoints_of,
    lies_in,
    name_of,
    subnets_of,
)
from pyipam.cli.recording.notes import Note, read_notes, write_notes

_ENDINGS = {"created": "removed", "connected": "disconnected"}
Key = tuple[str, str, str, str]


class Recorder:
    """Notes into a folder what the networks of a plugin and their containers have."""

    def __init__(
        self, folder: Path, engine: Engine, plugin: Plugin, clock: Callable[[], float] = time.time
    ) -> None:
        """Begin where the notes in the folder end. Raises OSError."""
        self.engine = engine
        self._folder = folder
        self._drivers = driver_names(plugin)
        self._clock = clock
        # What there is, by the notes: each with the note that it began with.
        self.present: dict[Key, Note] = {}
        self.latest: float | None = None
        for note in read_notes(folder):
            self.latest = note.time
            self._remember(note)

    def catch_up(self) -> list[Note]:
        """Note what is different from the notes so far; the differences. Raises EngineAway or
        OSError."""
        now = self._now()
        there = {note.key: note for note in self._look(now)}
        gone = [
            note._replace(time=now, event=_ENDINGS[note.event], found=True)
            for key, note in self.present.items()
            if key not in there or _names(there[key]) != _names(note)
        ]
        come = [
            note
            for key, note in there.items()
            if key not in self.present or _names(self.present[key]) != _names(note)
        ]
        differences = [*gone, *come]
        self._write([Note(now, "began"), *differences])
        return differences

    def follow(self, event: dict[str, Any]) -> bool:
        """Note what an event of Docker tells; whether it told anything. Raises EngineAway or
        OSError."""
        actor = event.get("Actor") or {}
        said = actor.get("Attributes") or {}
        at = float(event.get("timeNano", 0)) / 1e9 or self._now()
        what = (event.get("Type"), event.get("Action"))
        subject, container_id = str(actor.get("ID", "")), str(said.get("container", ""))
        match what:
            case ("network", "create"):
                notes = self._created(subject, at)
            case ("network", "connect") if container_id:
                notes = self._connected(subject, container_id, at)
            case ("network", "disconnect") if container_id:
                notes = self._ended(at, subject, container_id)
            case ("network", "destroy" | "remove"):
                notes = self._ended(at, subject)
            case ("container", "rename"):
                notes = self._renamed(subject, str(said.get("name", "")).removeprefix("/"), at)
            case _:
                notes = []
        self._write(notes)
        return bool(notes)

    def _created(self, network_id: str, at: float) -> list[Note]:
        network = self.engine.network(network_id)
        if network is None or not self._is_ours(network):
            return []
        return [note for note in _notes_of(network, at) if note.key not in self.present]

    def _connected(self, network_id: str, container_id: str, at: float) -> list[Note]:
        notes = self._created(network_id, at) if not self._subnets(network_id) else []
        subnets = {note.subnet for note in notes} | self._subnets(network_id)
        if not subnets:
            return []
        container = self.engine.container(container_id)
        if container is None:
            return notes
        network = next((n for n in notes), None) or self._network(network_id)
        found = _notes_of_container(container, network_id, network.network, subnets, at)
        return [*notes, *(note for note in found if note.key not in self.present)]

    def _ended(self, at: float, network_id: str, container_id: str = "") -> list[Note]:
        return [
            note._replace(time=at, event=_ENDINGS[note.event], found=False)
            for note in self.present.values()
            if note.network_id == network_id and container_id in ("", note.container_id)
        ]

    def _renamed(self, container_id: str, name: str, at: float) -> list[Note]:
        return [
            note._replace(time=at, container=name, found=False)
            for note in self.present.values()
            if note.container_id == container_id and name
        ]

    def _network(self, network_id: str) -> Note:
        return next(note for note in self.present.values() if note.network_id == network_id)

    def _subnets(self, network_id: str) -> set[str]:
        return {note.subnet for note in self.present.values() if note.network_id == network_id}

    def _look(self, now: float) -> Iterator[Note]:
        """What there is, as if it had just been found."""
        ours = {
            network["Id"]: network for network in self.engine.networks() if self._is_ours(network)
        }
        for network in ours.values():
            for note in _notes_of(network, now):
                yield note._replace(found=True)
        for container in self.engine.containers():
            in_use = endpoints_in_use(container)
            for network_id in {e.get("NetworkID", "") for e in in_use} & {*ours}:
                network = ours[network_id]
                subnets = subnets_of(network)
                for note in _notes_of_container(
                    container, network_id, network["Name"], subnets, now
                ):
                    yield note._replace(found=True)

    def _is_ours(self, network: dict[str, Any]) -> bool:
        return (network.get("IPAM") or {}).get("Driver") in self._drivers

    def _now(self) -> float:
        return round(self._clock(), 3)

    def _write(self, notes: list[Note]) -> None:
        write_notes(self._folder, notes)
        for note in notes:
            self._remember(note)
            self.latest = note.time

    def _remember(self, note: Note) -> None:
        if note.event in _ENDINGS:
            self.present[note.key] = note
        else:
            self.present.pop(note.key, None)


def _names(note: Note) -> tuple[str, str]:
    return note.network, note.container


def _notes_of(network: dict[str, Any], at: float) -> list[Note]:
    return [
        Note(round(at, 3), "created", network["Name"], network["Id"], subnet)
        for subnet in subnets_of(network)
    ]


def _notes_of_container(
    container: dict[str, Any], network_id: str, network: str, subnets: Iterable[str], at: float
) -> list[Note]:
    name, container_id = name_of(container), container["Id"]
    return [
        Note(
            time=round(at, 3),
            event="connected",
            network=network,
            network_id=network_id,
            subnet=subnet,
            container=name,
            container_id=container_id,
            address=str(ip_address(address)),
        )
        for endpoint in endpoints_of(container)
        if endpoint.get("NetworkID") == network_id
        for address in (endpoint.get("IPAddress"), endpoint.get("GlobalIPv6Address"))
        for subnet in subnets
        if address and lies_in(address, subnet)
    ]
