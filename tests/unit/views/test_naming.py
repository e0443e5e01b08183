"""Pools and leases have the names that `pyipam record` handed to the plugin, as far as they fit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pyipam.history.names import NAMES_NAME, Name, Names, read_names, to_names_file
from pyipam.views import naming
from tests.support.in_process import InProcess
from tests.unit.cli.plans import SCHEMA, make_network, start_container

SUBNET, POOL = "10.0.0.0/24", "local/10.0.0.0/24"
BEGAN = 1_700_000_000.0


@pytest.fixture
def plugin(tmp_path: Path) -> Iterable[InProcess]:
    """A plugin with a network, and a container in it."""
    plugin = InProcess(tmp_path, SCHEMA)
    make_network(plugin)
    start_container(plugin, POOL)
    yield plugin
    plugin.stop()


def record(home: Path, time: float, *names: Name) -> None:
    """Hand names over as `pyipam record` does."""
    beside = home / "state" / "beside"
    beside.write_bytes(to_names_file(time, names))
    os.rename(beside, home / "state" / NAMES_NAME)


def named(plugin: InProcess) -> list[tuple[list[str], list[str], float | None]]:
    """The names of the pool, those of the lease, and when they were so."""
    found = [*plugin.get("/v1/pools"), *plugin.get("/v1/leases")]
    return [(each["networks"], each.get("containers", []), each["named_at"]) for each in found]


def test_names_come_with_the_time_at_which_they_were_true(
    plugin: InProcess, tmp_path: Path
) -> None:
    record(tmp_path, BEGAN + 1, Name(SUBNET, "shop"), Name(SUBNET, "shop", "10.0.0.1", "web"))

    assert named(plugin) == [(["shop"], [], BEGAN + 1), (["shop"], ["web"], BEGAN + 1)]


def test_an_address_is_explained_with_them(plugin: InProcess, tmp_path: Path) -> None:
    record(tmp_path, BEGAN, Name(SUBNET, "shop"), Name(SUBNET, "shop", "10.0.0.1", "web"))

    explanation = plugin.answer("GET", "/v1/explain?address=10.0.0.1").json()

    assert [pool["networks"] for pool in explanation["pools"]] == [["shop"]]
    assert [lease["containers"] for lease in explanation["leases"]] == [["web"]]


def test_there_are_none_where_record_does_not_run(plugin: InProcess) -> None:
    assert named(plugin) == [([], [], None), ([], [], None)]


def test_what_was_given_out_later_has_none(plugin: InProcess, tmp_path: Path) -> None:
    record(tmp_path, BEGAN - 1, Name(SUBNET, "shop"), Name(SUBNET, "shop", "10.0.0.1", "web"))

    assert named(plugin) == [([], [], None), ([], [], None)]


def test_a_new_file_takes_the_place_of_the_one_before(plugin: InProcess, tmp_path: Path) -> None:
    record(tmp_path, BEGAN, Name(SUBNET, "shop"), Name(SUBNET, "shop", "10.0.0.1", "web"))
    named(plugin)

    record(tmp_path, BEGAN + 5, Name(SUBNET, "market"))

    assert named(plugin) == [(["market"], [], BEGAN + 5), (["market"], [], BEGAN + 5)]


def test_names_are_forgotten_with_their_file(plugin: InProcess, tmp_path: Path) -> None:
    record(tmp_path, BEGAN, Name(SUBNET, "shop"))
    named(plugin)

    (tmp_path / "state" / NAMES_NAME).unlink()

    assert named(plugin) == [([], [], None), ([], [], None)]


def test_all_networks_of_a_subnet_are_named_each_once(plugin: InProcess, tmp_path: Path) -> None:
    record(tmp_path, BEGAN, Name(SUBNET, "a"), Name(SUBNET, "b"), Name(SUBNET, "a"))

    assert named(plugin)[0][0] == ["a", "b"]


def test_of_many_names_a_few_are_shown(plugin: InProcess, tmp_path: Path) -> None:
    record(tmp_path, BEGAN, *(Name(SUBNET, f"net-{number}") for number in range(1000)))

    assert named(plugin)[0][0] == [f"net-{number}" for number in range(16)]


@pytest.mark.parametrize("content", [b"", b"\0" * 9, b"[]", b'{"time": -1}', b'{"time": true}'])
def test_what_is_no_file_of_names_gives_none(
    plugin: InProcess, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "state" / NAMES_NAME).write_bytes(content)

    assert named(plugin) == [([], [], None), ([], [], None)]


def test_addresses_are_compared_as_addresses(plugin: InProcess, tmp_path: Path) -> None:
    pool = make_network(plugin, v6=True)
    assert start_container(plugin, pool) == "fd00::1"
    record(tmp_path, BEGAN, Name("FD00::/64", "six"), Name("fd00::/64", "six", "FD00:0::1", "web"))

    assert named(plugin)[-1] == (["six"], ["web"], BEGAN)


def test_names_are_found_by_a_part_of_them(plugin: InProcess, tmp_path: Path) -> None:
    record(tmp_path, BEGAN, Name(SUBNET, "Shop_default"), Name(SUBNET, "x", "10.0.0.1", "shop-web"))

    found = [plugin.get(f"/v1/names?containing={part}") for part in ("SHOP", "web", "nobody")]

    assert [[each["container"] or each["network"] for each in page] for page in found] == [
        ["Shop_default", "shop-web"],
        ["shop-web"],
        [],
    ]


def test_a_file_that_is_the_same_is_read_once(
    plugin: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[float] = []

    def reading(path: Path, pause: Callable[[], None]) -> Names | None:
        names = read_names(path, pause)
        times.append(0.0 if names is None else names.time)
        return names

    monkeypatch.setattr(naming, "read_names", reading)
    record(tmp_path, BEGAN, Name(SUBNET, "shop"))
    for target in ("/v1/names", "/v1/names?name=shop", "/v1/pools", "/v1/leases"):
        plugin.get(target)
    record(tmp_path, BEGAN + 5, Name(SUBNET, "market"))

    assert [name["network"] for name in plugin.get("/v1/names")] == ["market"]
    assert times == [BEGAN, BEGAN + 5]
