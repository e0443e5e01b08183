"""`pyipam record`: names of networks and containers, noted, joined and handed to the plugin."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyipam.cli.recording.notes import read_notes, read_periods
from pyipam.history.names import read_names
from tests.support.in_process import InProcess
from tests.unit.cli.host import PLUGIN_ID, Host
from tests.unit.cli.plans import make_network, start_container


@pytest.fixture
def state(host: Host) -> Path:
    """The state folder of the plugin."""
    folder = host.folder / "root" / "plugins" / PLUGIN_ID / "propagated-mount"
    folder.mkdir(parents=True)
    return folder


def noted(host: Host) -> list[str]:
    """What was noted, the oldest first, without what only says that record began."""
    return [
        f"{note.event} {note.container or note.network}{' (found)' if note.found else ''}"
        for note in read_notes(host.notes)
        if note.event != "began"
    ]


def follow(host: Host, events: Iterator[dict[str, Any]]) -> str:
    """Let record follow these events, until it is interrupted; what it said."""

    def coming() -> Iterator[dict[str, Any]]:
        yield from events
        # The engine ends; who runs record interrupts it while it waits for another one.
        host.engine.is_interrupted = True

    host.engine.coming_events = coming()
    outcome = host.run("record")
    host.engine.is_interrupted = False
    assert outcome.code == 130
    return outcome.err


def event(kind: str, action: str, subject: str, seconds: float, **said: str) -> dict[str, Any]:
    """An event as Docker's API tells it."""
    return {
        "Type": kind,
        "Action": action,
        "Actor": {"ID": subject, "Attributes": said},
        "timeNano": int(seconds * 1e9),
    }


def test_what_docker_has_is_found_once(host: Host) -> None:
    host.engine.add_network("shop", "10.0.0.0/24")
    host.engine.add_container("web", "shop", "10.0.0.2")

    assert host.run("record", "--once") == (
        0,
        "",
        "pyipam: 2 changes found; it is not known when each of them happened\n",
    )
    assert host.run("record", "--once").err == ""
    assert noted(host) == ["created shop (found)", "connected web (found)"]


def test_networks_of_other_drivers_are_not_noted(host: Host) -> None:
    host.engine.add_network("other", "10.0.0.0/24", driver="default")
    host.engine.add_container("web", "other", "10.0.0.2")

    assert host.run("record", "--once").code == 0
    assert noted(host) == []


def test_events_are_noted_with_the_times_at_which_they_happened(host: Host) -> None:
    def events() -> Iterator[dict[str, Any]]:
        host.engine.add_network("shop", "10.0.0.0/24", "fd00::/64")
        yield event("network", "create", "id of shop", 1000.5)
        host.engine.add_container("web", "shop", "10.0.0.2")
        web = host.engine.known_containers[0]
        yield event("network", "connect", "id of shop", 1001.0, container=web["Id"])
        yield event("container", "start", web["Id"], 1001.5)
        yield event("network", "disconnect", "id of shop", 1002.0, container=web["Id"])
        yield event("network", "destroy", "id of shop", 1003.0)

    follow(host, events())

    assert noted(host) == [
        "created shop",
        "created shop",
        "connected web",
        "disconnected web",
        "removed shop",
        "removed shop",
    ]
    (period,) = read_periods(host.notes, "fd00::/64")
    assert (period.network, period.begin, period.end) == ("shop", 1000.5, 1003.0)
    web = next(period for period in read_periods(host.notes) if period.container)
    assert (web.address, web.begin, web.end) == ("10.0.0.2", 1001.0, 1002.0)


def test_an_event_that_comes_twice_is_noted_once(host: Host) -> None:
    host.engine.add_network("shop", "10.0.0.0/24")
    host.engine.add_container("web", "shop", "10.0.0.2")
    web = host.engine.known_containers[0]

    said = follow(
        host,
        iter(
            [
                event("network", "create", "id of shop", 1000.0),
                event("network", "connect", "id of shop", 1001.0, container=web["Id"]),
            ]
        ),
    )

    assert "2 changes found" in said
    assert noted(host) == ["created shop (found)", "connected web (found)"]


def test_a_container_that_is_renamed_has_its_new_name_from_then_on(host: Host) -> None:
    host.engine.add_network("shop", "10.0.0.0/24")
    host.engine.add_container("web", "shop", "10.0.0.2")
    web = host.engine.known_containers[0]

    follow(host, iter([event("container", "rename", web["Id"], 9e9, name="/front")]))

    names = [period.container for period in read_periods(host.notes) if period.address]
    assert names == ["web", "front"]


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"Type": "network", "Action": "connect", "Actor": {"ID": "gone", "Attributes": {}}},
        event("network", "connect", "gone", 1.0, container="gone"),
        event("network", "connect", "id of shop", 1.0, container="gone"),
        event("network", "disconnect", "id of shop", 1.0),
        event("network", "create", "gone", 1.0),
        event("container", "rename", "gone", 1.0),
    ],
)
def test_an_event_about_what_is_not_there_ends_nothing(host: Host, odd: dict[str, Any]) -> None:
    host.engine.add_network("shop", "10.0.0.0/24")
    host.engine.add_container("web", "shop", "10.0.0.2")

    follow(host, iter([odd]))

    assert noted(host) == ["created shop (found)", "connected web (found)"]


def test_what_changed_while_record_was_away_is_found_and_said(host: Host) -> None:
    host.engine.add_network("shop", "10.0.0.0/24")
    host.engine.add_container("web", "shop", "10.0.0.2")
    host.run("record", "--once")
    host.engine.known_containers.clear()
    host.engine.add_container("db", "shop", "10.0.0.3")

    said = host.run("record", "--once").err

    assert said.startswith("pyipam: 2 changes found since ")
    assert noted(host)[2:] == ["disconnected web (found)", "connected db (found)"]


def test_a_container_that_was_ended_while_record_was_away_has_its_address_no_more(
    host: Host,
) -> None:
    host.engine.add_network("shop", "10.0.0.0/24")
    host.engine.add_container("web", "shop", "10.0.0.2")
    host.run("record", "--once")
    # After a power cut, Docker 20.10 still shows the address.
    host.engine.known_containers[0]["State"] = "exited"
    host.run("record", "--once")

    assert noted(host)[2:] == ["disconnected web (found)"]


def test_a_damaged_note_costs_itself_alone(host: Host) -> None:
    host.engine.add_network("shop", "10.0.0.0/24")
    host.run("record", "--once")
    (path,) = host.notes.iterdir()
    lines = path.read_bytes().splitlines()
    odd = [b"{", b"[]", b'{"event":"created"}', b'{"time":"x","event":"created"}', b'{"time":1}']
    path.write_bytes(b"\n".join([*odd, *lines, b'{"time":1,"event":"crea']))

    assert noted(host) == ["created shop (found)"]


def test_the_history_of_an_address_names_the_containers_that_had_it(
    host: Host, plugin: InProcess
) -> None:
    pool = make_network(plugin, tags="default")
    host.engine.add_network("shop", "10.0.0.0/24")
    began = plugin.seconds

    def lives(name: str, connected: float, left: float) -> Iterator[dict[str, Any]]:
        plugin.seconds = began + connected
        address = start_container(plugin, pool)
        host.engine.add_container(name, "shop", address)
        container = host.engine.known_containers[-1]["Id"]
        at = plugin.seconds + 0.1
        yield event("network", "connect", "id of shop", at, container=container)
        plugin.seconds = began + left
        plugin.call("ReleaseAddress", {"PoolID": pool, "Address": address})
        at = plugin.seconds + 0.1
        yield event("network", "disconnect", "id of shop", at, container=container)

    def events() -> Iterator[dict[str, Any]]:
        yield event("network", "create", "id of shop", began)
        yield from lives("web", 10, 20)
        yield from lives("db", 20, 30)

    host.engine.known_networks, networks = [], host.engine.known_networks

    def beginning() -> Iterator[dict[str, Any]]:
        host.engine.known_networks = networks
        yield from events()

    follow(host, beginning())

    rows = [row[1:4] for row in host.run("history", "10.0.0.1").cells]
    assert rows == [
        ["made", "-", "shop"],
        ["given", "10.0.0.1", "web"],
        ["ended", "10.0.0.1", "web"],
        ["given", "10.0.0.1", "db"],
        ["ended", "10.0.0.1", "db"],
    ]
    then = host.run("history", "10.0.0.1", "--at", f"{began + 15:.0f}", "--json").json
    assert [entry["containers"] for entry in then] == [[], ["web"]]


def test_an_address_is_explained_with_the_containers_that_had_it_before(
    host: Host, plugin: InProcess
) -> None:
    make_network(plugin, tags="default")
    host.engine.add_network("shop", "10.0.0.0/24")
    for name in ("a", "b", "c", "d"):
        host.engine.add_container(name, "shop", "10.0.0.2")

    def events() -> Iterator[dict[str, Any]]:
        for position, container in enumerate(host.engine.known_containers):
            at = 9_000_000_000.0 + 10 * position
            yield event("network", "disconnect", "id of shop", at, container=container["Id"])

    follow(host, events())

    said = host.run("explain", "10.0.0.2").out.splitlines()
    former = [line for line in said if " had it from " in line]
    assert [line.split()[1] for line in former] == ["b", "c", "d"]
    assert former[-1].startswith("container d in network shop had it from no later than 20")
    assert former[-1].endswith(" to 2255-03-14T16:00:30Z")
    assert len(host.run("explain", "10.0.0.2", "--json").json["recorded"]) == 4


def test_notes_that_cannot_be_read_are_said_and_hide_nothing_else(
    host: Host, plugin: InProcess
) -> None:
    make_network(plugin)
    host.notes.write_text("not a folder")

    outcome = host.run("history", "10.0.0.0/24")

    assert (outcome.code, len(outcome.cells)) == (0, 1)
    assert outcome.err.startswith("pyipam: without the names that record noted: ")


def test_names_are_handed_to_the_plugin(host: Host, state: Path) -> None:
    host.engine.add_network("shop", "10.0.0.0/24")
    host.engine.add_container("web", "shop", "10.0.0.2")

    host.run("record", "--once")

    found = read_names(state / "names.jsonl", lambda: None)
    assert found is not None
    assert [(name.network, name.address, name.container) for _, name in found.names] == [
        ("shop", "", ""),
        ("shop", "10.0.0.2", "web"),
    ]


def test_the_plugin_shows_the_names_with_the_time_at_which_they_were_so(
    host: Host, plugin: InProcess, state: Path
) -> None:
    assert plugin.get("/v1/names") == []
    state.rmdir()
    (plugin._home / "state").mkdir(exist_ok=True)
    (plugin._home / "state").rename(state)
    (plugin._home / "state").symlink_to(state)
    host.engine.add_network("shop", "10.0.0.0/24")
    host.engine.add_network("lan", "10.0.1.0/24")
    host.engine.add_container("web", "shop", "10.0.0.2")

    host.run("record", "--once")

    names = plugin.get("/v1/names?limit=1")
    assert [(name["network"], name["container"]) for name in names] == [
        ("shop", None),
        ("lan", None),
        ("shop", "web"),
    ]
    assert len({name["time"] for name in names}) == 1
    (shop,) = plugin.get("/v1/names?address=10.0.0.9")
    assert (shop["subnet"], shop["network"], shop["address"]) == ("10.0.0.0/24", "shop", None)
    assert [name["network"] for name in plugin.get("/v1/names?subnet=10.0.1.0/24")] == ["lan"]
    assert [name["subnet"] for name in plugin.get("/v1/names?name=lan")] == ["10.0.1.0/24"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]\n",
        b'{"time":"x"}\n{"subnet":"10.0.0.0/24","network":"shop"}\n',
        b'{"time":1e300}\n{"subnet":"10.0.0.0/24","network":"shop"}\n',
        b'{"time":1}\n{"subnet":"10.0.0.1/24","network":"shop"}\n',
        b'{"time":1}\n{"subnet":"10.0.0.0/24","network":"' + b"x" * 300 + b'"}\n',
        b'{"time":1}\n{"subnet":"10.0.0.0/24","network":"shop","address":"10.0.0.2"}\n',
        b'{"time":1}\n{"subnet":"10.0.0.0/24","network":"shop","container":["x"]}\n',
        b'{"time":1}\n' + b"[" * 1_000_000,
    ],
)
def test_names_that_are_none_are_not_shown(plugin: InProcess, content: bytes) -> None:
    state = plugin._home / "state"
    state.mkdir(exist_ok=True)
    (state / "names.jsonl").write_bytes(content)

    assert plugin.get("/v1/names") == []


def test_no_link_in_the_folder_of_the_plugin_is_followed(host: Host, state: Path) -> None:
    host.engine.add_network("shop", "10.0.0.0/24")
    precious = host.folder / "precious"
    precious.write_text("untouched")
    for name in ("names.jsonl", "names.jsonl.new"):
        os.symlink(precious, state / name)

    host.run("record", "--once")

    assert precious.read_text() == "untouched"
    assert not (state / "names.jsonl").is_symlink()


def test_a_folder_that_cannot_be_written_is_a_sentence(host: Host) -> None:
    host.notes.write_text("not a folder")

    assert "record runs as root, and needs room there" in host.refusal("record", "--once")


def test_json_of_the_history_has_the_names(host: Host, plugin: InProcess) -> None:
    make_network(plugin)

    (entry,) = json.loads(host.run("history", "10.0.0.0/24", "--json").out)

    assert (entry["networks"], entry["containers"]) == ([], [])
