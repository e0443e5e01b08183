"""What the plugin remembers of pools and addresses, as /v1/history shows it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyipam.history import reading, segments
from pyipam.history.entries import Entry, from_document, from_line
from pyipam.runtime import history
from tests.support.in_process import InProcess, captured_log
from tests.support.several_nodes import node
from tests.support.shared_plan import NodeStore, SharedPlan

SCHEMA = json.dumps(
    {
        "schema_version": 1,
        "scopes": [
            {"network": "10.0.0.0", "prefix": 16, "child_prefix": 24, "tags": ["default"]},
            {
                "network": "10.1.0.0",
                "prefix": 16,
                "child_prefix": 29,
                "tags": ["slow"],
                "reuse_delay": 60,
            },
        ],
    }
)


CLAIMED = json.dumps(
    {
        "schema_version": 1,
        "scopes": [
            {
                "network": "10.2.0.0",
                "prefix": 23,
                "node_prefix": 24,
                "child_prefix": 25,
                "tags": ["default"],
            }
        ],
    }
)


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[InProcess]:
    plugin = InProcess(tmp_path, SCHEMA)
    plugin.call("GetCapabilities")
    yield plugin
    plugin.stop()


def pool(plugin: InProcess, tags: str = "default", **options: str) -> str:
    """Make a pool; its id."""
    body = {
        "AddressSpace": "local",
        "Pool": "",
        "SubPool": "",
        "Options": {"scope_filter_tags": tags, **options},
        "V6": False,
    }
    return str(plugin.call("RequestPool", body).json()["PoolID"])


def address(plugin: InProcess, pool_id: str, wanted: str = "") -> str:
    """Ask for an address of a pool; it, without the length."""
    body = {"PoolID": pool_id, "Address": wanted, "Options": {}}
    found = plugin.call("RequestAddress", body).json()["Address"]
    return str(found).partition("/")[0]


def release(plugin: InProcess, pool_id: str, address: str = "") -> None:
    """Release an address of a pool, or the pool."""
    if address:
        plugin.call("ReleaseAddress", {"PoolID": pool_id, "Address": address})
    else:
        plugin.call("ReleasePool", {"PoolID": pool_id})


def events(plugin: InProcess, query: str = "") -> list[str]:
    """The history, the latest first: what became of which address, or of the pool."""
    return [
        f"{item['event']} {item['address'] or item['pool']}"
        for item in plugin.get(f"/v1/history{query}")
    ]


def segment_of(plugin_home: Path) -> Path:
    (path,) = (plugin_home / "state" / "history").iterdir()
    return path


def test_every_change_of_a_pool_and_its_addresses_is_remembered(plugin: InProcess) -> None:
    made = pool(plugin, id="shop")
    given = address(plugin, made)
    release(plugin, made, given)
    release(plugin, made)

    assert events(plugin) == [
        f"ended {made}",
        f"ended {given}",
        f"given {given}",
        f"made {made}",
    ]
    oldest = plugin.get("/v1/history")[-1]
    assert (oldest["tags"], oldest["label"], oldest["scope"]) == ("default", "shop", "10.0.0.0/16")
    assert (oldest["driver"], oldest["time"]) == ("driver", plugin.seconds)
    assert oldest["epoch"] == 1


def test_rests_and_their_ends_are_remembered(plugin: InProcess) -> None:
    made = pool(plugin, "slow")
    given = address(plugin, made)
    release(plugin, made, given)
    release(plugin, made)
    plugin.seconds += 61
    pool(plugin)

    assert events(plugin, f"?address={given}") == [
        f"freed {made}",
        f"rested {made}",
        f"freed {given}",
        f"rested {given}",
        f"given {given}",
        f"made {made}",
    ]


def test_an_address_that_is_given_out_while_it_rests_is_reused(plugin: InProcess) -> None:
    made = pool(plugin, "slow")
    given = [address(plugin, made) for _ in range(6)]
    release(plugin, made, given[2])

    assert address(plugin, made) == given[2]
    assert events(plugin)[:2] == [f"reused {given[2]}", f"rested {given[2]}"]


def test_what_a_pool_takes_with_it_ends_one_by_one(plugin: InProcess) -> None:
    made = pool(plugin)
    given = [address(plugin, made) for _ in range(3)]
    release(plugin, made)

    assert sorted(events(plugin)[1:4]) == sorted(f"ended {each}" for each in given)


def test_what_became_of_a_claimed_block_is_remembered(tmp_path: Path) -> None:
    plugin = InProcess(tmp_path, CLAIMED)
    pools = [pool(plugin) for _ in range(3)]
    for each in pools:
        release(plugin, each)
    plugin.seconds += 400
    plugin.call("ReleasePool", {"PoolID": "local/10.9.9.0/24"})
    kept = [pool(plugin) for _ in range(3)]

    found = [
        f"{item['event']} {item['pool']}"
        for item in plugin.get("/v1/history")
        if item["kind"] == "aggregate"
    ]
    at = plugin.get(f"/v1/history?subnet=10.2.1.0/24&at={plugin.seconds + 1}")
    plugin.stop()

    assert kept == pools
    assert found == [
        "claimed local/10.2.1.0/24",
        "freed local/10.2.1.0/24",
        "rested local/10.2.1.0/24",
        "claimed local/10.2.1.0/24",
        "claimed local/10.2.0.0/24",
    ]
    assert [(item["event"], item["pool"]) for item in at] == [
        ("made", "local/10.2.1.0/25"),
        ("claimed", "local/10.2.1.0/24"),
    ]


def test_a_claimed_block_that_is_taken_back_while_it_rests_is_reused(tmp_path: Path) -> None:
    plugin = InProcess(tmp_path, CLAIMED)
    release(plugin, pool(plugin))
    plugin.send("POST", "/Pyipam.ReleaseAggregate", b'{"Aggregate": "10.2.0.0/24"}')
    pool(plugin)

    found = [
        item["event"]
        for item in plugin.get("/v1/history?id=local/10.2.0.0/24")
        if item["kind"] == "aggregate"
    ]
    plugin.stop()

    assert found == ["reused", "rested", "claimed"]


def test_what_operators_said_of_a_node_is_remembered(tmp_path: Path) -> None:
    plugin = InProcess(tmp_path, CLAIMED, node="h1")
    pool(plugin)
    for call in ("DrainNode", "DrainNode", "UndrainNode"):
        plugin.send("POST", f"/Pyipam.{call}", b'{"Node": "h1"}')

    of_node = [(item["event"], item["node"]) for item in plugin.get("/v1/history?node=h1")]
    others = plugin.get("/v1/history?node=h2")
    events_of_all = [item["event"] for item in plugin.get("/v1/history")]
    around = plugin.get("/v1/history?subnet=0.0.0.0/0")
    plugin.stop()

    assert of_node == [("undrained", "h1"), ("drained", "h1")]
    assert others == []
    assert events_of_all == ["undrained", "drained", "made", "claimed"]
    assert [item["event"] for item in around] == ["made", "claimed"]


def test_what_was_said_of_nodes_elsewhere_is_remembered_once(tmp_path: Path) -> None:
    plan = SharedPlan()
    h2 = node(plan, "h2")
    plugin = InProcess(tmp_path, SCHEMA, NodeStore(plan, "h1"), node="h1")

    h2.make(lambda: h2.ipam.drain("h2"))
    plugin.plugin.ipam.catch_up()
    h2.make(lambda: h2.ipam.undrain("h2"))
    plan.forget("h2", h2.time.wall)
    plugin.plugin.ipam.catch_up()
    plugin.plugin.ipam.catch_up()
    found = [item["event"] for item in plugin.get("/v1/history?node=h2")]
    plugin.stop()

    assert found == ["forgotten", "undrained", "drained"]


def test_a_replay_is_no_event(plugin: InProcess) -> None:
    made = pool(plugin)
    given = address(plugin, made)
    before = events(plugin)

    plugin.engine = "engine-2"
    plugin.call("GetCapabilities")
    body = {"AddressSpace": "local", "Pool": "10.0.0.0/24", "SubPool": "", "Options": {}}
    plugin.call("RequestPool", body | {"V6": False})
    address(plugin, made, given)

    assert events(plugin) == before


def test_a_refused_call_is_no_event(plugin: InProcess) -> None:
    made = pool(plugin)
    before = events(plugin)

    body = {"PoolID": made, "Address": "10.9.9.9", "Options": {}}

    assert plugin.call("RequestAddress", body).status == 400
    assert events(plugin) == before


def test_the_history_is_asked_for_by_address_subnet_and_id(plugin: InProcess) -> None:
    first, second = pool(plugin), pool(plugin)
    one, two = address(plugin, first), address(plugin, first)
    other = address(plugin, second)

    assert events(plugin, f"?address={two}") == [f"given {two}", f"made {first}"]
    assert events(plugin, "?address=10.0.1.77") == [f"made {second}"]
    assert events(plugin, "?subnet=10.0.1.0/25") == [f"given {other}", f"made {second}"]
    assert events(plugin, f"?id={first}") == [f"given {two}", f"given {one}", f"made {first}"]
    assert events(plugin, "?subnet=192.168.0.0/16") == []


@pytest.mark.parametrize(
    "query", ["address=10.0.1.2", "subnet=10.0.1.0/24", "id=local/10.0.1.0/24"]
)
def test_what_shows_in_its_bytes_to_be_about_something_else_is_not_read(
    plugin: InProcess, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    first, second = pool(plugin), pool(plugin)
    for each in (first, second):
        address(plugin, each, "")
    assert second == "local/10.0.1.0/24"
    events(plugin)
    seen: list[bytes] = []

    def noted(line: bytes) -> Entry | None:
        seen.append(line)
        return from_line(line)

    monkeypatch.setattr(reading, "from_line", noted)

    assert len(events(plugin, f"?{query}")) == len(seen) > 0


def test_what_was_given_out_at_a_time_is_told(plugin: InProcess) -> None:
    made = pool(plugin)
    given = address(plugin, made)
    plugin.seconds += 100
    release(plugin, made, given)
    plugin.seconds += 100
    address(plugin, made)

    def at(seconds: float) -> list[str]:
        return events(plugin, f"?address={given}&at={seconds:.0f}")

    began = plugin.seconds - 200
    assert at(began - 1) == []
    assert at(began + 50) == [f"given {given}", f"made {made}"]
    assert at(began + 150) == [f"made {made}"]
    assert at(began + 250) == [f"given {given}", f"made {made}"]


def test_what_was_given_out_is_told_by_the_clock_of_that_time_though_it_was_set_back(
    plugin: InProcess,
) -> None:
    begin = plugin.seconds
    made = pool(plugin)
    first = address(plugin, made)
    plugin.seconds += 1000
    release(plugin, made, first)
    plugin.seconds = begin - 500
    address(plugin, made)
    plugin.seconds += 100
    release(plugin, made, first)
    plugin.seconds = begin + 5000

    def at(seconds: float) -> list[str]:
        return events(plugin, f"?address={first}&at={begin + seconds:.0f}")

    assert at(-450) == [f"given {first}"]
    assert at(-300) == []
    assert at(500) == [f"given {first}", f"made {made}"]
    assert at(1500) == [f"made {made}"]


def test_what_is_held_now_is_told_though_the_clock_was_set_back_since(plugin: InProcess) -> None:
    made = pool(plugin)
    given = address(plugin, made)
    plugin.seconds -= 1000

    at = f"?address={given}&at={plugin.seconds:.0f}"
    assert events(plugin, at) == [f"given {given}", f"made {made}"]
    release(plugin, made, given)
    assert events(plugin, at) == [f"made {made}"]


@pytest.mark.parametrize("limit", [1, 2, 3, 500])
@pytest.mark.parametrize("query", ["", "&at=1700000050", "&subnet=10.0.0.0/24"])
def test_pages_have_every_entry_once_whatever_their_size(
    plugin: InProcess, limit: int, query: str
) -> None:
    made = pool(plugin)
    for _ in range(4):
        address(plugin, made)
    expected = events(plugin, f"?limit=500{query}")

    assert len(expected) == 5
    assert events(plugin, f"?limit={limit}{query}") == expected


def test_what_begins_between_two_pages_disturbs_neither(plugin: InProcess) -> None:
    made = pool(plugin)
    given = address(plugin, made)
    page = json.loads(plugin.answer("GET", "/v1/history?limit=1").body)
    address(plugin, made)

    rest = json.loads(plugin.answer("GET", f"/v1/history?after={page['next']}").body)

    assert [item["address"] for item in page["items"] + rest["items"]] == [given, None]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("after=x", "after='x' is not what a page names as its `next`"),
        ("at=yesterday", "at='yesterday' is not a UNIX time in seconds"),
        ("at=-1", "at='-1' is not a UNIX time"),
        ("address=1.2.3", "address='1.2.3' is not an address"),
        ("address=10.0.0.1&subnet=10.0.0.0/8", "not for both"),
        ("node=h1&id=local/10.0.0.0/8", "node=h1 asks for what was said of a node"),
        ("node=h1&at=1", "leave out address, subnet, id and at"),
        ("colour=red", "it has: address, subnet, id, node, at, limit, after"),
    ],
)
def test_what_cannot_be_answered_is_refused(plugin: InProcess, query: str, sentence: str) -> None:
    reply = plugin.answer("GET", f"/v1/history?{query}")

    assert reply.status == 400
    assert sentence in reply.error()


def test_it_outlives_the_process(plugin: InProcess) -> None:
    made = pool(plugin)
    plugin.stop()
    plugin.start()
    given = address(plugin, made)

    assert events(plugin) == [f"given {given}", f"made {made}"]


def test_a_torn_last_line_costs_that_line_alone(plugin: InProcess, tmp_path: Path) -> None:
    made = pool(plugin)
    first = address(plugin, made)
    plugin.stop()
    path = segment_of(tmp_path)
    os.truncate(path, path.stat().st_size - 10)

    plugin.start()
    second = address(plugin, made)

    assert events(plugin) == [f"given {second}", f"made {made}"]
    assert first != second


def test_damage_costs_the_lines_that_it_is_in(plugin: InProcess, tmp_path: Path) -> None:
    made = pool(plugin)
    given = [address(plugin, made) for _ in range(5)]
    expected = events(plugin)
    path = segment_of(tmp_path)
    lines = path.read_bytes().splitlines()
    lines[2] = b'{"time":1,"event":"given","pool":"local/10.0.0.0/24","address":"192.0.2.1"}'
    lines[3] = b"\x00\xff\xfe" + lines[3][3:]
    lines[4] = b'["time"]'
    path.write_bytes(b"\n".join(lines) + b"\n")

    assert events(plugin) == [expected[0], *expected[-2:]]
    assert given[0] in expected[-2]


def test_what_cannot_be_written_is_counted_and_said_and_refuses_no_call(
    plugin: InProcess, tmp_path: Path
) -> None:
    made = pool(plugin)
    events(plugin)
    folder = tmp_path / "state" / "history"
    folder.rename(tmp_path / "aside")
    folder.write_text("not a folder")

    with captured_log() as lines:
        lost = [address(plugin, made) for _ in range(3)]
        plugin.plugin.history.write()
        address(plugin, made)
        plugin.plugin.history.write()

    assert len(lost) == 3
    assert len([line for line in lines if "the history could not be written" in line]) == 1
    assert plugin.plugin.history.dropped == 4

    folder.unlink()
    (tmp_path / "aside").rename(folder)
    last = address(plugin, made)
    found: list[dict[str, Any]] = plugin.get("/v1/history")
    assert [item["event"] for item in found] == ["given", "lost", "made"]
    assert (found[0]["address"], found[1]["lost"]) == (last, 4)


def test_a_queue_that_nobody_empties_is_bounded(
    plugin: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pool(plugin)
    events(plugin)
    monkeypatch.setattr(history, "MAX_PENDING_COMMITS", 2)
    given = [address(plugin, made) for _ in range(5)]

    assert events(plugin) == [f"given {given[1]}", f"given {given[0]}", "lost ", f"made {made}"]
    assert plugin.plugin.history.dropped == 3


def test_a_large_pool_that_ends_fits_into_the_segments(
    plugin: InProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(segments, "MAX_SEGMENT_BYTES", 40_000)
    made = pool(plugin)
    for _ in range(200):
        address(plugin, made)
    release(plugin, made)

    assert len(events(plugin)) == 402
    sizes = [path.stat().st_size for path in (tmp_path / "state" / "history").iterdir()]
    assert max(sizes) <= 40_000


def test_only_one_reader_at_a_time_looks_through_it(plugin: InProcess) -> None:
    pool(plugin)
    with plugin.plugin.history.reading:
        reply = plugin.answer("GET", "/v1/history")

        assert reply.status == 503
        assert "another request is searching the history" in reply.error()
        assert plugin.answer("GET", "/v1/status").status == 200
    assert events(plugin)


@pytest.mark.parametrize("member", ["time", "epoch", "lost"])
def test_a_boolean_is_no_number(member: str) -> None:
    line = {"time": 1.0, "event": "made", "pool": "local/10.0.0.0/24", member: True}

    assert from_document(line) is None
