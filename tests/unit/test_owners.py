"""Imports of what several nodes hold into the state of one host."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyipam.store.records import Claim, Record
from tests.support.stored_records import (
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
