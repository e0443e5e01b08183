"""Imports of what several nodes hold into the state of one host."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyipam.cli.main import main
from pyipam.store.records import Claim, NodeRecord, Record
from tests.support.stored_records import (
    AGGREGATE,
    DRIVER,
    GATEWAY,
    GLOBAL_POOL,
    LEASE,
    POOL,
)
from tests.unit.transfers import (
    EVERYTHING,
    imported,
    load,
    written,
)

# What is exported of a store that two nodes share.
NODES: list[Record] = [
    DRIVER._replace(name="driver@a", global_epoch=7),
    DRIVER._replace(name="driver@b", global_epoch=8),
    POOL._replace(id="local@a/100.64.0.0/30", claims=(Claim("driver@a", 3, 1),)),
    GATEWAY._replace(pool="local@a/100.64.0.0/30", driver="driver@a"),
    POOL._replace(id="local@b/100.64.0.0/30", claims=(Claim("driver@b", 4, 1),)),
    LEASE._replace(pool="local@b/100.64.0.0/30", driver="driver@b"),
    GLOBAL_POOL._replace(claims=(Claim("driver@a", 5, 2), Claim("driver@b", 6, 1))),
    LEASE._replace(pool=GLOBAL_POOL.id, driver="driver@b", epoch=6),
    GATEWAY._replace(pool=GLOBAL_POOL.id, driver="driver@a", epoch=5),
]


# The disk makes nobody wait, and works until told otherwise.
pytestmark = pytest.mark.usefixtures("disk")


def test_a_node_gets_its_own_pools_and_the_global_ones(tmp_path: Path, empty_state: Path) -> None:
    assert imported(written(tmp_path / "export.json", *NODES), empty_state, "--node", "a") == 0

    assert load(empty_state) == {
        DRIVER._replace(name="driver", global_epoch=7),
        POOL._replace(claims=(Claim("driver", 3, 1),)),
        GATEWAY,
        GLOBAL_POOL._replace(claims=(Claim("driver", 5, 2),)),
        LEASE._replace(pool=GLOBAL_POOL.id, driver="driver", epoch=0),
        GATEWAY._replace(pool=GLOBAL_POOL.id, driver="driver", epoch=5),
    }


def test_what_other_nodes_have_is_left_out_with_a_message(
    tmp_path: Path, empty_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    third = POOL._replace(id="local@c/100.64.0.0/30")
    file = written(tmp_path / "export.json", *NODES, third)

    assert imported(file, empty_state, "--node", "a") == 0

    assert capsys.readouterr().err.splitlines() == [
        f"pyipam: imported 2 pools, 3 leases and 1 driver name into {empty_state}",
        "pyipam: left out, because node b has it: 1 pool, 1 lease and 1 driver name",
        "pyipam: left out, because node c has it: 1 pool, 0 leases and 0 driver names",
    ]


@pytest.mark.parametrize("options", [[], ["--node", "c"]])
def test_the_node_must_be_named(
    tmp_path: Path, empty_state: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(written(tmp_path / "export.json", *NODES), empty_state, *options) == 1

    assert capsys.readouterr().err == (
        "pyipam: refused: the file is an export of the nodes a, b: say with --node which of them "
        "this host is\n"
    )
    assert not empty_state.exists()


def test_a_global_pool_that_another_node_claims_counts_as_claimed_before_the_first_epoch(
    tmp_path: Path, empty_state: Path
) -> None:
    pool = GLOBAL_POOL._replace(claims=(Claim("driver@b", 6, 1), Claim("pyipam@b", 2, 1)))
    file = written(tmp_path / "export.json", DRIVER._replace(name="driver@a"), pool)

    assert imported(file, empty_state, "--node", "a") == 0

    assert pool._replace(claims=(Claim("driver", 0, 1), Claim("pyipam", 0, 1))) in load(empty_state)


def test_a_node_that_only_claims_a_pool_must_be_named_too(
    tmp_path: Path, empty_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = GLOBAL_POOL._replace(claims=(Claim("driver@a", 6, 1),))
    file = written(tmp_path / "export.json", pool)

    assert imported(file, empty_state) == 1
    assert "an export of the nodes a:" in capsys.readouterr().err
    assert imported(file, empty_state, "--node", "a") == 0

    assert load(empty_state) == {pool._replace(claims=(Claim("driver", 6, 1),))}


def test_an_export_of_one_host_needs_no_node(full_export: Path, empty_state: Path) -> None:
    assert imported(full_export, empty_state, "--node", "whatever") == 0

    assert load(empty_state) == set(EVERYTHING)


# What operators said of nodes

DRAINED = NodeRecord("a", draining=7.0)
FORGOTTEN = NodeRecord("b", forgotten=8.0)
CONCERNS_ANOTHER_PLAN = "which concerns only the plan that the file is from"


@pytest.mark.parametrize("options", [[], ["--node", "a"]])
def test_a_host_that_is_drained_stays_so(
    tmp_path: Path, empty_state: Path, options: list[str]
) -> None:
    assert imported(written(tmp_path / "export.json", DRAINED), empty_state, *options) == 0

    assert load(empty_state) == {DRAINED}


def test_a_host_that_is_drained_stays_so_under_another_name(
    tmp_path: Path, empty_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another host may have its former name in the plan that it joins."""
    file = written(tmp_path / "export.json", POOL, DRAINED)

    assert imported(file, empty_state, "--node", "h9") == 0

    assert load(empty_state) == {POOL, DRAINED._replace(name="h9")}
    assert "left out" not in capsys.readouterr().err


@pytest.mark.parametrize("records", [[], NODES], ids=["nothing-else", "two-nodes"])
def test_that_other_nodes_were_forgotten_or_are_drained_is_left_out_with_a_message(
    tmp_path: Path,
    empty_state: Path,
    records: list[Record],
    capsys: pytest.CaptureFixture[str],
) -> None:
    marks = (DRAINED, FORGOTTEN, DRAINED._replace(name="c"))
    file = written(tmp_path / "export.json", *records, *marks)

    assert imported(file, empty_state, "--node", "a") == 0

    assert [each for each in load(empty_state) if isinstance(each, NodeRecord)] == [DRAINED]
    assert capsys.readouterr().err.splitlines()[-2:] == [
        f"pyipam: left out: node b was forgotten, {CONCERNS_ANOTHER_PLAN}",
        f"pyipam: left out: node c is being drained, {CONCERNS_ANOTHER_PLAN}",
    ]


def test_a_host_whose_node_is_not_named_is_not_forgotten(
    tmp_path: Path, empty_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "export.json", POOL, FORGOTTEN)

    assert imported(file, empty_state) == 0

    assert load(empty_state) == {POOL}
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"pyipam: left out: node b was forgotten, {CONCERNS_ANOTHER_PLAN}"
    )


def test_a_host_that_was_forgotten_gives_out_subnets_when_it_is_alone_and_is_told_what_it_lost(
    tmp_path: Path, empty_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rests = AGGREGATE._replace(id="local@b/100.64.0.0/24", released=8.0, forgotten=True)
    file = written(tmp_path / "export.json", rests, FORGOTTEN._replace(draining=7.0))

    assert imported(file, empty_state, "--node", "b") == 0

    assert load(empty_state) == {
        AGGREGATE._replace(released=8.0),
        NodeRecord("b", draining=7.0),
    }
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"pyipam: left out: node b was forgotten, {CONCERNS_ANOTHER_PLAN}. What it held is not in "
        "the file, and other nodes may have it now: once the plugin is enabled, compare with "
        "Docker (pyipam reconcile)"
    )


def test_a_backup_does_not_bring_back_that_a_node_was_forgotten(
    tmp_path: Path, empty_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty_state.mkdir()
    file = written(tmp_path / "backup.json", POOL, FORGOTTEN, DRAINED)

    assert main(["restore", "--state", str(empty_state), str(file)]) == 0

    assert load(empty_state) == {POOL, DRAINED}
    assert "left out: node b was forgotten" in capsys.readouterr().err
