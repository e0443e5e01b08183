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


@pytest.mark.parametrize(
    "text",
    [
        *("yesterday", "", "-1", "0", "12", "20261127", "1700000050000", "٣٣٣٣٣٣٣٣٣٣", "9" * 400),
        *("1700000050.5", "2026-13-01", "26-11-27", "0001-01-01", "0001-01-01T00:00+14:00", "nan"),
    ],
)
def test_what_is_no_time_is_a_mistake_of_usage_that_says_how_to_write_one(
    host: Host, text: str
) -> None:
    outcome = host.run("history", "10.0.0.1", "--at", text)

    assert (outcome.code, outcome.out) == (2, "")
    assert f"{text!r} is not a time: write it as 2026-11-27T02:05:22Z" in outcome.err


def test_a_time_that_is_still_to_come_is_a_mistake_of_usage(host: Host) -> None:
    outcome = host.run("history", "10.0.0.1", "--at", "9999-12-31T23:59:59-14:00")

    assert outcome.code == 2
    assert "'9999-12-31T23:59:59-14:00' is in the future: it is 2" in outcome.err


@pytest.mark.parametrize(
    ("what", "hint"),
    [
        ("10.0.0.300", "pyipam leases --filter container=NAME says which address a container has"),
        ("web", "pyipam leases --filter container=NAME says which address a container has"),
        ("10.0.0.5/24", "did you mean 10.0.0.0/24?"),
        ("10.0.0.0/33", "pyipam leases --filter container=NAME"),
        ("elsewhere/10.0.0.0/24", "pyipam leases --filter container=NAME"),
        ("local/10.0.0.5/24", "pyipam leases --filter container=NAME"),
        ("", "pyipam leases --filter container=NAME"),
    ],
)
def test_what_is_neither_address_nor_subnet_nor_pool_is_a_mistake_of_usage(
    host: Host, what: str, hint: str
) -> None:
    outcome = host.run("history", what)

    assert (outcome.code, outcome.out) == (2, "")
    assert f"{what!r} is not an address (10.0.0.2), a subnet (10.0.0.0/24) or the id of a pool" in (
        outcome.err
    )
    assert hint in outcome.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["10.9.0.1"], "nothing is known of 10.9.0.1, as far as the history goes back"),
        (["10.0.0.1", "--at", "2023-11-14"], "nothing is known of 10.0.0.1 at 2023-11-14"),
    ],
)
def test_that_nothing_is_known_is_said(
    host: Host, address: str, arguments: list[str], said: str
) -> None:
    assert host.run("history", *arguments).err == f"pyipam: {said}\n"
