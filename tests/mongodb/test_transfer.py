"""A plan moved into a shared store, out of one, and from one to another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings

from pyipam.cli.main import main
from pyipam.errors import StoreFailure
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.records import Change, Claim, LeaseRecord, PoolRecord, Put, Record
from pyipam.store.tinydb.store import TinyDbStore
from pyipam.transfer.plan_file import Plan, read_plan, write_plan
from tests.mongodb.nodes import SharedPlan, shared_plan
from tests.support.mongodb.replica_set import ReplicaSet, wait_for
from tests.support.stored_records import (
    DRIVER,
    GATEWAY,
    GLOBAL_POOL,
    IPV6_LEASE,
    IPV6_POOL,
    LEASE,
    POOL,
    RANGE_LEASE,
    RANGE_POOL,
    Model,
    batches,
    puts,
)

GLOBAL_LEASE = LEASE._replace(pool=GLOBAL_POOL.id, granted=9.0)
# What one host holds. Its container mirrors an address of the global space.
HOST: list[Record] = [
    DRIVER,
    POOL,
    GATEWAY,
    LEASE._replace(kind="mirror"),
    GLOBAL_POOL,
    GLOBAL_LEASE,
    IPV6_POOL,
    IPV6_LEASE,
    RANGE_POOL,
    RANGE_LEASE,
]
OTHER_POOL = POOL._replace(id="local/10.9.0.0/24", scope="")
OTHER_LEASE = LeaseRecord(OTHER_POOL.id, "10.9.0.2", "container", "driver", 1, 7.0)
OTHER_HOST: list[Record] = [DRIVER, OTHER_POOL, OTHER_LEASE]
SCHEMA = '{"schema_version": 1, "scopes": []}'


@pytest.fixture
def plan(replica_set: ReplicaSet) -> Iterator[SharedPlan]:
    """A shared plan that nothing is in."""
    with shared_plan(replica_set) as plan:
        yield plan


@pytest.fixture
def second_plan(replica_set: ReplicaSet) -> Iterator[SharedPlan]:
    """Another one."""
    with shared_plan(replica_set) as plan:
        yield plan


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a plan is exported to."""
    return tmp_path / "plan.json"


def written(path: Path, records: Sequence[Record], schema: str | None = None) -> Path:
    """A file of what one host holds."""
    path.write_bytes(write_plan(Plan(tuple(records), schema)))
    return path


def export(plan: SharedPlan, file: Path) -> Plan:
    assert main(["export", "--store-url", plan.address.url, str(file)]) == 0
    found = read_plan(file.read_bytes())
    assert isinstance(found, Plan), found
    return found


def bring(file: Path, plan: SharedPlan, *options: str) -> int:
    return main(["import", "--store-url", plan.address.url, *options, str(file)])


def seen_by(plan: SharedPlan, node: str) -> set[Record]:
    """What a node finds in the store."""
    store = plan.open(node)
    records = list(store.load())
    store.close()
    assert len(set(records)) == len(records)
    return set(records)


def in_folder(folder: Path) -> set[Record]:
    with closing(TinyDbStore(folder)) as store:
        return set(store.load())


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.splitlines()[-1].removeprefix("pyipam: refused: ")


# Into a shared store


def test_what_a_host_held_is_its_nodes(plan: SharedPlan, tmp_path: Path, file: Path) -> None:
    folder = tmp_path / "state"
    with closing(TinyDbStore(folder)) as store:
        list(store.load())
        store.commit(puts(*HOST))
    assert main(["export", "--state", str(folder), str(file)]) == 0

    assert bring(file, plan, "--node", "a") == 0

    assert seen_by(plan, "a") == set(HOST)


def test_other_nodes_see_whose_it_is(plan: SharedPlan, file: Path) -> None:
    assert bring(written(file, [DRIVER, POOL, LEASE, GLOBAL_POOL]), plan, "--node", "a") == 0

    claims = (Claim("driver@a", 1, 1),)
    assert seen_by(plan, "b") == {
        DRIVER._replace(name="driver@a"),
        POOL._replace(id="local@a/100.64.0.0/30", claims=claims),
        LEASE._replace(pool="local@a/100.64.0.0/30", driver="driver@a"),
        GLOBAL_POOL._replace(claims=claims),
    }


@settings(max_examples=10)
@given(commits=batches())
def test_whatever_a_host_held_comes_over_and_back(
    replica_set: ReplicaSet,
    tmp_path_factory: pytest.TempPathFactory,
    commits: list[Sequence[Change]],
) -> None:
    model = Model()
    for changes in commits:
        model.apply(changes)
    folder = tmp_path_factory.mktemp("transfer")
    file = written(folder / "plan.json", list(model.records.values()))

    with shared_plan(replica_set) as plan:
        assert bring(file, plan, "--node", "a") == 0
        assert model.holds(seen_by(plan, "a"))
        export(plan, file)
    node = ["--node", "a"] if model.records else []
    assert main(["import", "--state", str(folder / "state"), *node, str(file)]) == 0

    assert model.holds(in_folder(folder / "state"))


def test_hosts_come_one_after_another(plan: SharedPlan, file: Path) -> None:
    assert bring(written(file, HOST), plan, "--node", "a") == 0
    assert bring(written(file, OTHER_HOST), plan, "--node", "b") == 0

    seen = seen_by(plan, "b")
    assert set(OTHER_HOST) <= seen
    assert seen_by(plan, "a") >= set(HOST)
    assert len(seen) == len(HOST) + len(OTHER_HOST)


def test_hosts_that_have_the_same_address_cannot_share_a_plan(
    plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bring(written(file, [POOL, LEASE]), plan, "--node", "a") == 0
    before = seen_by(plan, "a")

    assert bring(file, plan, "--node", "b") == 1

    assert refusal(capsys) == (
        "no two hosts of a shared plan may have the same address, and containers of other nodes "
        "have 100.64.0.2 (local@a/100.64.0.0/30): make one of the networks again on a subnet of "
        "its own, and export anew"
    )
    assert seen_by(plan, "a") == before


def test_what_the_node_holds_is_not_replaced_unless_forced(
    plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bring(written(file, HOST), plan, "--node", "a") == 0
    assert bring(written(file, OTHER_HOST), plan, "--node", "b") == 0
    before = seen_by(plan, "a")
    third = OTHER_POOL._replace(id="local/10.10.0.0/24")

    assert bring(written(file, [DRIVER, third]), plan, "--node", "b") == 1
    assert "it holds 1 pool, 1 lease and 1 driver name" in refusal(capsys)
    assert seen_by(plan, "a") == before

    assert bring(file, plan, "--node", "b", "--force") == 0
    assert seen_by(plan, "a") >= set(HOST)
    assert seen_by(plan, "b") >= {DRIVER, third}
    assert OTHER_POOL not in seen_by(plan, "b")


def test_the_global_space_is_not_replaced_unless_forced(
    plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claimed = GLOBAL_POOL._replace(claims=(Claim("driver", 9, 1),))
    assert bring(written(file, HOST), plan, "--node", "a") == 0

    assert bring(written(file, [claimed]), plan, "--node", "b") == 1
    assert "it holds 1 pool, 1 lease and 0 driver names" in refusal(capsys)

    assert bring(file, plan, "--node", "b", "--force") == 0
    seen = seen_by(plan, "b")
    assert claimed in seen
    assert GLOBAL_LEASE._replace(driver="driver@a") not in seen
    assert POOL in seen_by(plan, "a")


def test_a_plan_of_one_host_needs_a_node(
    plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(file, HOST)

    for options in ([], ["--node", "a/b"], ["--node", "a@b"]):
        assert bring(file, plan, *options) == 1
        assert refusal(capsys).startswith("the file is the plan of one host: say with --node")
    assert seen_by(plan, "a") == set()


def test_the_schema_of_a_folder_is_left_out_and_that_is_said(
    plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bring(written(file, HOST, SCHEMA), plan, "--node", "a") == 0

    assert capsys.readouterr().err.splitlines() == [
        "pyipam: imported 4 pools, 5 leases and 1 driver name",
        "pyipam: the schema of the file was left out: each node has its own (SCHEMA_PATH)",
    ]


def test_a_process_of_the_node_that_still_runs_is_superseded(plan: SharedPlan, file: Path) -> None:
    plan.loaded("a")
    before = plan.database.nodes.find_one({"_id": "a"}, {"process": 1})

    assert bring(written(file, OTHER_HOST), plan, "--node", "a") == 0

    assert plan.database.nodes.find_one({"_id": "a"}, {"process": 1}) != before


# Out of a shared store


@pytest.fixture
def shared(plan: SharedPlan, file: Path) -> SharedPlan:
    """The plan of two nodes."""
    assert bring(written(file, HOST), plan, "--node", "a") == 0
    assert bring(written(file, OTHER_HOST), plan, "--node", "b") == 0
    return plan


def test_an_export_says_whose_everything_is(shared: SharedPlan, file: Path) -> None:
    names = {
        record.id if isinstance(record, PoolRecord) else getattr(record, "name", "")
        for record in export(shared, file).records
    }

    assert names - {""} == {
        "driver@a",
        "driver@b",
        "global/100.64.0.0/30",
        "local@a/100.64.0.0/30",
        "local@a/100.64.5.0/24/100.64.5.64/26",
        "local@a/fc00:f00f::/64",
        "local@b/10.9.0.0/24",
    }


def test_an_export_holds_no_schema_and_says_so(
    shared: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(shared, file).schema is None

    assert capsys.readouterr().err.splitlines()[-1] == (
        "pyipam: exported 5 pools, 6 leases and 2 driver names, no schema: each node has its own"
    )


def test_an_export_changes_nothing_for_the_nodes(shared: SharedPlan, file: Path) -> None:
    before = {node: seen_by(shared, node) for node in ("a", "b")}

    export(shared, file)

    assert {node: seen_by(shared, node) for node in ("a", "b")} == before


def test_a_folder_gets_what_its_node_holds_and_the_global_space(
    shared: SharedPlan, tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(shared, file)

    for node, folder in (("a", tmp_path / "a"), ("b", tmp_path / "b")):
        assert main(["import", "--state", str(folder), "--node", node, str(file)]) == 0

    assert in_folder(tmp_path / "a") == set(HOST)
    unclaimed = Claim("driver", 0, 1)
    assert in_folder(tmp_path / "b") == {
        *OTHER_HOST,
        GLOBAL_POOL._replace(claims=(unclaimed,)),
        GLOBAL_LEASE._replace(epoch=0),
    }
    assert capsys.readouterr().err.splitlines()[-3:] == [
        "pyipam: left out, as node b has it: 1 pool, 1 lease and 1 driver name",
        "pyipam: imported 2 pools, 2 leases and 1 driver name",
        "pyipam: left out, as node a has it: 3 pools, 4 leases and 1 driver name",
    ]


def test_a_shared_plan_goes_whole_into_another_store(
    shared: SharedPlan, second_plan: SharedPlan, tmp_path: Path, file: Path
) -> None:
    export(shared, file)

    assert bring(file, second_plan) == 0

    for node in ("a", "b"):
        assert seen_by(second_plan, node) == seen_by(shared, node)
    again = tmp_path / "again.json"
    export(second_plan, again)
    assert again.read_bytes() == file.read_bytes()


def test_forced_a_shared_plan_takes_the_place_of_what_its_nodes_hold_now(
    shared: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {node: seen_by(shared, node) for node in ("a", "b")}
    export(shared, file)
    node = shared.loaded("a")
    node.commit(puts(POOL._replace(id="local/100.64.3.0/30"), GATEWAY._replace(granted=77.0)))
    node.close()

    assert bring(file, shared) == 1
    assert refusal(capsys).startswith("nothing is imported over a state that is not empty")
    assert bring(file, shared, "--force") == 0

    assert {node: seen_by(shared, node) for node in ("a", "b")} == before


def test_a_shared_plan_needs_no_node(
    shared: SharedPlan, second_plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(shared, file)

    assert bring(file, second_plan, "--node", "a") == 1

    assert refusal(capsys) == ("the file says itself whose its pools are (a, b): leave out --node")


# The store


def test_nodes_that_share_the_store_learn_what_was_imported(plan: SharedPlan, file: Path) -> None:
    node = plan.following("b")

    assert bring(written(file, [DRIVER, POOL, LEASE]), plan, "--node", "a") == 0

    learned: list[Change] = []

    def is_told() -> bool:
        learned.extend(node.take_remote_changes())
        return len(learned) >= 2

    wait_for(is_told, "the news")
    claims = (Claim("driver@a", 1, 1),)
    assert learned == puts(
        POOL._replace(id="local@a/100.64.0.0/30", claims=claims),
        LEASE._replace(pool="local@a/100.64.0.0/30", driver="driver@a"),
    )


MANY_POOL = POOL._replace(id="local/10.0.0.0/16", scope="")
MANY: list[Record] = [
    MANY_POOL,
    *(
        LEASE._replace(pool=MANY_POOL.id, address=f"10.0.{n // 250}.{n % 250 + 1}")
        for n in range(100)
    ),
]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes a hundred thousand leases otherwise."""
    monkeypatch.setattr("pyipam.transfer.moving.PART", 30)


@pytest.mark.usefixtures("small_parts")
def test_what_is_too_much_for_one_batch_comes_over(plan: SharedPlan, file: Path) -> None:
    assert bring(written(file, [DRIVER, *MANY]), plan, "--node", "a") == 0

    assert seen_by(plan, "a") == {DRIVER, *MANY}


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("lost", [1, 2, 4])
def test_what_was_not_brought_over_to_its_end_is_nothing(
    plan: SharedPlan, file: Path, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    real = MongoDbStore.commit

    def commit(store: MongoDbStore, changes: Sequence[Change], within: float) -> None:
        commits.append(len(changes))
        if len(commits) >= lost:
            raise StoreFailure("the database is gone")
        real(store, changes, within)

    with monkeypatch.context() as patch:
        patch.setattr(MongoDbStore, "commit", commit)
        assert bring(written(file, MANY), plan, "--node", "a") == 1
    assert seen_by(plan, "a") == set()

    assert bring(file, plan, "--node", "a") == 0
    assert seen_by(plan, "a") == set(MANY)


@pytest.mark.usefixtures("small_parts")
def test_what_was_refused_in_the_middle_leaves_nothing_behind(
    plan: SharedPlan, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = MongoDbStore.commit

    def commit(store: MongoDbStore, changes: Sequence[Change], within: float) -> None:
        if Put(MANY_POOL) in changes:
            raise StoreFailure("others were faster")
        real(store, changes, within)

    with monkeypatch.context() as patch:
        patch.setattr(MongoDbStore, "commit", commit)
        assert bring(written(file, MANY), plan, "--node", "a") == 1

    assert plan.database.leases.count_documents({}) == 0


@pytest.mark.usefixtures("small_parts")
def test_so_much_does_not_replace_anything(
    plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bring(written(file, OTHER_HOST), plan, "--node", "a") == 0

    assert bring(written(file, MANY), plan, "--node", "a", "--force") == 1

    assert refusal(capsys) == (
        "1 pool, 1 lease and 1 driver name cannot be replaced by so much in one step of a shared "
        "store, so nothing has been done: drop its database, or name an empty one"
    )
    assert seen_by(plan, "a") == set(OTHER_HOST)


def test_the_credentials_come_from_a_file(
    plan: SharedPlan, tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    credentials = tmp_path / "credentials.json"
    credentials.write_bytes(orjson.dumps({"username": "nobody", "password": "hunter2"}))

    assert bring(written(file, HOST), plan, "--node", "a") == 0
    named = ["--store-url", plan.address.url, "--store-credentials", str(credentials)]
    assert main(["export", *named, str(file)]) == 1

    error = refusal(capsys)
    assert "Authentication failed" in error
    assert "hunter2" not in error


def test_a_store_that_does_not_answer_is_named_without_its_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "mongodb://me:hunter2@127.0.0.1:1/?replicaSet=no&serverSelectionTimeoutMS=200"

    assert main(["export", "--store-url", url, os.devnull]) == 1

    error = refusal(capsys)
    assert error.startswith("the store mongodb://me@127.0.0.1:1/pyipam does not answer (")
    assert "hunter2" not in error
