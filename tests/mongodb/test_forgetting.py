"""`pyipam nodes forget`: what a node held that was lost for good is given back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from pyipam.errors import StoreFailure
from pyipam.store.mongodb.presence import PROOF_LASTS_SECONDS
from pyipam.store.mongodb.versions import POOL_IDS
from pyipam.store.records import Delete, NodeRecord, Put, Record
from tests.mongodb.forgetting import forget, let_time_pass
from tests.mongodb.nodes import OTHER_POOL, SharedPlan, next_changes, on_a, wait_until_refused
from tests.mongodb.transfers import export, refusal, seen_by
from tests.support.mongodb.replica_set import wait_for
from tests.support.stored_records import (
    DRIVER,
    GATEWAY,
    GLOBAL_POOL,
    LEASE,
    MARK,
    POOL,
    RANGE_LEASE,
    RANGE_POOL,
    puts,
    replace,
)

pytestmark = pytest.mark.usefixtures("waited")

HELD: list[Record] = [DRIVER, POOL, GATEWAY, LEASE, RANGE_POOL, RANGE_LEASE]


def marks_of(records: Iterable[Record]) -> list[str]:
    """The nodes that were forgotten."""
    marks = (record for record in records if isinstance(record, NodeRecord))
    return sorted(mark.name for mark in marks if mark.forgotten is not None)


def without_marks(records: Iterable[Record]) -> set[Record]:
    return {record for record in records if not isinstance(record, NodeRecord)}


def test_a_node_that_was_lost_is_forgotten_with_all_that_it_held(
    plan: SharedPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.loaded("nodea").commit(puts(*HELD))
    plan.loaded("nodeb").commit(puts(*HELD[:2]))
    let_time_pass(plan, "nodea", minutes=11)

    assert forget(plan, "nodea", "--force") == 0

    assert "node nodea has been forgotten, with 2 pools, 3 leases and 1 driver name" in (
        capsys.readouterr().err
    )
    assert marks_of(seen_by(plan, "nodeb")) == ["nodea"]
    assert without_marks(seen_by(plan, "nodeb")) == set(HELD[:2])
    assert plan.database.nodes.find_one({"_id": "nodea"}) is None
    assert plan.database.leases.count_documents({}) == 0


def test_other_nodes_learn_of_it_without_a_restart(plan: SharedPlan) -> None:
    plan.loaded("nodea").commit(puts(*HELD))
    let_time_pass(plan, "nodea", minutes=11)
    other = plan.following("nodeb")

    assert forget(plan, "nodea", "--force") == 0

    *pools, mark = next_changes(other, 3)
    assert isinstance(mark, Put)
    assert marks_of([mark.record]) == ["nodea"]
    assert set(pools) == {Delete(on_a(POOL).key), Delete(on_a(RANGE_POOL).key)}
    other.commit(puts(POOL, LEASE))


def test_more_pools_than_a_version_lists_are_all_deleted(plan: SharedPlan) -> None:
    pools = [POOL._replace(id=f"local/10.{n // 256}.{n % 256}.0/24") for n in range(1200)]
    plan.loaded("nodea").commit(puts(*pools))

    assert forget(plan, "nodea", "--force") == 0

    assert plan.database.pools.count_documents({"_id": POOL_IDS}) == 0


def test_others_get_what_a_node_holds_only_once_it_cannot_give_out_more_of_it(
    plan: SharedPlan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    node = plan.loaded("nodea")
    node.commit(puts(*HELD))
    meanwhile: list[set[Record]] = []

    def use(seconds: float) -> None:
        assert seconds > PROOF_LASTS_SECONDS
        # It does not know yet, and is proven lately.
        node.commit(puts(replace(LEASE, address="100.64.0.1")))
        meanwhile.append(seen_by(plan, "nodeb"))
        with pytest.raises(StoreFailure, match="node nodea was forgotten"):
            node.commit(puts(OTHER_POOL))

    monkeypatch.setattr("pyipam.cli.forgetting.sleep", use)
    assert forget(plan, "nodea", "--force") == 0

    assert [marks_of(records) for records in meanwhile] == [["nodea"]]
    assert {on_a(POOL), on_a(RANGE_POOL)} <= meanwhile[0]
    assert without_marks(seen_by(plan, "nodeb")) == set()
    assert plan.database.leases.count_documents({}) == 0
    assert "others can have what it holds in 80 seconds" in capsys.readouterr().err
    plan.loaded("nodeb").commit(puts(POOL, replace(LEASE, address="100.64.0.1")))


def test_nothing_is_waited_for_where_a_node_was_not_seen_lately_or_holds_no_pools(
    plan: SharedPlan, waited: list[float]
) -> None:
    plan.loaded("nodea").commit(puts(*HELD))
    plan.loaded("nodeb").commit(puts(DRIVER))
    let_time_pass(plan, "nodea", minutes=11)

    assert forget(plan, "nodea", "--force") == 0
    assert forget(plan, "nodeb", "--force") == 0

    assert waited == []


def test_what_a_swarm_holds_stays(plan: SharedPlan) -> None:
    lease = LEASE._replace(pool=GLOBAL_POOL.id)
    plan.loaded("nodea").commit(puts(DRIVER, POOL, GLOBAL_POOL, lease))

    assert forget(plan, "nodea", "--force") == 0

    assert without_marks(seen_by(plan, "nodeb")) == {on_a(GLOBAL_POOL), on_a(lease)}


def test_a_node_that_was_seen_lately_is_left_alone(
    plan: SharedPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.loaded("nodea").commit(puts(*HELD))
    let_time_pass(plan, "nodea", minutes=9)

    assert forget(plan, "nodea") == 1

    message = refusal(capsys)
    seen = re.match(r"node nodea was seen (5\d\d) seconds ago: its containers may be", message)
    assert seen is not None
    left = 600 - int(seen[1])
    assert f"wait for another {left} seconds, until it has not been seen for 10 minutes" in message
    assert seen_by(plan, "nodea") == set(HELD)


def test_a_node_that_holds_pools_is_left_alone(
    plan: SharedPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.loaded("nodea").commit(puts(*HELD))
    let_time_pass(plan, "nodea", hours=1)

    assert forget(plan, "nodea") == 1

    assert refusal(capsys) == (
        "node nodea holds 2 pools: others would get the addresses of its containers. Remove its "
        "networks first; if its host is permanently gone, add --force"
    )
    assert seen_by(plan, "nodea") == set(HELD)


def test_a_node_that_holds_no_pools_is_forgotten_without_force(plan: SharedPlan) -> None:
    plan.loaded("nodea").commit(puts(DRIVER))
    let_time_pass(plan, "nodea", minutes=11)

    assert forget(plan, "nodea") == 0

    assert marks_of(seen_by(plan, "nodeb")) == ["nodea"]


def test_a_node_that_does_not_say_that_it_lives_is_left_alone(
    plan: SharedPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.loaded("nodea").commit(puts(*HELD))
    # As a plugin of an older version writes it.
    plan.database.nodes.update_one({"_id": "nodea"}, {"$unset": {"seen": True}})

    assert forget(plan, "nodea") == 1

    assert refusal(capsys).startswith("it is not known when node nodea was last seen")
    assert seen_by(plan, "nodea") == set(HELD)


def test_a_node_that_the_plan_does_not_have_is_refused_with_those_that_it_has(
    plan: SharedPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.loaded("nodea").commit(puts(POOL))

    assert forget(plan, "nodeb") == 1

    assert refusal(capsys) == "the plan has no node nodeb; it has nodea"


def test_the_plugin_of_a_forgotten_node_gives_out_nothing_any_more(plan: SharedPlan) -> None:
    node = plan.following("nodea")
    node.commit(puts(POOL))

    assert forget(plan, "nodea", "--force") == 0

    wait_until_refused(node, puts(LEASE), "node nodea was forgotten by an operator")


def test_a_node_shows_that_it_lives(plan: SharedPlan) -> None:
    node, other = plan.loaded("nodea"), plan.loaded("nodeb")
    let_time_pass(plan, "nodea", hours=1)
    age = other.seconds_since_seen()["nodea"]
    assert age is not None
    assert age > 3000

    node._presence._last_beat = float("-inf")
    plan.follow(node)

    def lives() -> bool:
        age = other.seconds_since_seen()["nodea"]
        return age is not None and age < 3000

    wait_for(lives, "the node to be seen")


def test_an_export_leaves_no_node_behind(plan: SharedPlan, tmp_path: Path) -> None:
    node = plan.loaded("nodea")

    export(plan, tmp_path / "plan.json")

    assert list(node.seconds_since_seen()) == ["nodea"]


def test_a_node_is_no_longer_forgotten_once_that_is_undone(plan: SharedPlan) -> None:
    plan.loaded("nodea").commit(puts(*HELD))
    assert forget(plan, "nodea", "--force") == 0
    plan.database.leases.insert_one({"_id": "local@nodea/100.64.0.0/30/100.64.0.2", "late": True})

    assert forget(plan, "nodea", "--undo") == 0

    assert plan.database.leases.count_documents({}) == 0
    node = plan.loaded("nodea")
    assert node.problem() is None
    node.commit(puts(*HELD))
    assert seen_by(plan, "nodea") == set(HELD)


def test_whoever_undoes_it_is_told_how_the_node_serves_again(
    plan: SharedPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.loaded("nodea").commit(puts(DRIVER))
    assert forget(plan, "nodea", "--force") == 0

    assert forget(plan, "nodea", "--undo") == 0

    assert capsys.readouterr().err.splitlines()[-1] == (
        "pyipam: node nodea is no longer forgotten: disable and enable its plugin, then restart "
        "its dockerd"
    )


def test_a_node_that_was_drained_still_is_when_its_forgetting_is_undone_and_that_is_said(
    plan: SharedPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.loaded("nodeb").commit(puts(MARK))
    assert forget(plan, MARK.name, "--force") == 0

    assert forget(plan, MARK.name, "--undo") == 0

    assert seen_by(plan, "nodeb") == {MARK}
    assert capsys.readouterr().err.splitlines()[-1] == (
        "pyipam: node h1 is no longer forgotten, but still drained: run `pyipam nodes undrain h1` "
        "first, as no network would get its subnet back. Then disable and enable its plugin, and "
        "restart its dockerd"
    )


def test_a_node_that_was_not_forgotten_stays_as_it_is(
    plan: SharedPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.loaded("nodea").commit(puts(POOL))

    assert forget(plan, "nodea", "--undo") == 1

    assert refusal(capsys) == "node nodea was not forgotten; nothing has been done"
    assert seen_by(plan, "nodea") == {POOL}


def test_the_nodes_that_there_are_are_named_if_one_is_unknown_whose_forgetting_is_to_be_undone(
    plan: SharedPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.loaded("nodea").commit(puts(POOL))

    assert forget(plan, "nodeb", "--undo") == 1

    assert refusal(capsys) == "the plan has no node nodeb; it has nodea"
