"""`pyipam history`: who had what, and when."""

from __future__ import annotations

import pytest

from tests.support.in_process import InProcess
from tests.unit.cli.host import Host
from tests.unit.cli.plans import make_network, start_container

BEGAN = "2023-11-14T22:13:20Z"


@pytest.fixture
def address(plugin: InProcess) -> str:
    """An address that somebody had for 100 seconds, and nobody since."""
    pool = make_network(plugin, tags="default")
    address = start_container(plugin, pool)
    plugin.seconds += 100
    plugin.call("ReleaseAddress", {"PoolID": pool, "Address": address})
    return address


def test_an_address_has_its_entries_the_latest_last(host: Host, address: str) -> None:
    rows = host.run("history", address).cells

    pool = "local/10.0.0.0/24"
    assert [row[:6] for row in rows] == [
        [BEGAN, "made", "-", "-", pool, "pool"],
        [BEGAN, "given", address, "-", pool, "container"],
        ["2023-11-14T22:15:00Z", "ended", address, "-", pool, "container"],
    ]


@pytest.mark.parametrize("what", ["10.0.0.0/16", "local/10.0.0.0/24"])
def test_a_subnet_and_a_pool_have_theirs(host: Host, address: str, what: str) -> None:
    assert host.run("history", what, "-q").out == f"local/10.0.0.0/24\n{address}\n"


@pytest.mark.parametrize(
    ("time", "found"),
    [
        ("2023-11-14T22:13:19Z", 0),
        ("2023-11-14T22:14:00Z", 2),
        ("2023-11-14T23:14:00+01:00", 2),
        ("2023-11-14 22:14", 2),
        ("1700000050", 2),
        ("2023-11-15", 1),
    ],
)
def test_a_time_asks_for_what_was_given_out_then(
    host: Host, address: str, time: str, found: int
) -> None:
    assert len(host.run("history", address, "--at", time, "--json").json) == found


def test_the_latest_entries_alone_can_be_asked_for(host: Host, address: str) -> None:
    assert [row[1] for row in host.run("history", address, "-n", 2).cells] == ["given", "ended"]


def test_what_is_no_time_is_a_mistake_of_usage_that_says_how_to_write_one(host: Host) -> None:
    outcome = host.run("history", "10.0.0.1", "--at", "yesterday")

    assert outcome.code == 2
    assert "'yesterday' is not a time: write it as 2026-11-27T02:05:22Z" in outcome.err
