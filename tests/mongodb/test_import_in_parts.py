"""An import of more records than fit into one commit of a shared store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pyipam.errors import StoreFailure
from pyipam.store.errors import Uncertain
from pyipam.store.mongodb.committing import Committer
from pyipam.store.records import Change, Put, Record
from tests.mongodb.nodes import SharedPlan
from tests.mongodb.transfers import OTHER_HOST, import_file, refusal, seen_by, written
from tests.support.stored_records import DRIVER, LEASE, POOL


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file that a plan is exported to."""
    return tmp_path / "plan.json"


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
    """So that a hundred leases are too many for one commit, instead of a hundred thousand."""
    monkeypatch.setattr("pyipam.transfer.moving.MAX_CHANGES_PER_COMMIT", 30)


@pytest.mark.usefixtures("small_parts")
def test_more_records_than_fit_into_one_commit_can_be_imported(
    plan: SharedPlan, file: Path
) -> None:
    assert import_file(written(file, [DRIVER, *MANY]), plan, "--node", "a") == 0

    assert seen_by(plan, "a") == {DRIVER, *MANY}


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("lost", [1, 2, 4])
def test_an_import_that_was_interrupted_leaves_nothing_and_can_be_repeated(
    plan: SharedPlan, file: Path, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    real = Committer.commit

    def commit(committer: Committer, changes: Sequence[Change], *rest: Any) -> None:
        commits.append(len(changes))
        if len(commits) >= lost:
            raise StoreFailure("the database is gone")
        real(committer, changes, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Committer, "commit", commit)
        assert import_file(written(file, MANY), plan, "--node", "a") == 1
    assert seen_by(plan, "a") == set()

    assert import_file(file, plan, "--node", "a") == 0
    assert seen_by(plan, "a") == set(MANY)


@pytest.mark.usefixtures("small_parts")
def test_an_import_that_was_refused_in_the_middle_leaves_nothing(
    plan: SharedPlan, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Committer.commit

    def commit(committer: Committer, changes: Sequence[Change], *rest: Any) -> None:
        if Put(MANY_POOL) in changes:
            raise StoreFailure("others were faster")
        real(committer, changes, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Committer, "commit", commit)
        assert import_file(written(file, MANY), plan, "--node", "a") == 1

    assert plan.database.leases.count_documents({}) == 0


@pytest.mark.usefixtures("small_parts")
def test_an_import_whose_end_has_an_unknown_outcome_loses_no_lease_if_it_was_stored(
    plan: SharedPlan, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Committer.commit

    def commit(committer: Committer, changes: Sequence[Change], *rest: Any) -> None:
        real(committer, changes, *rest)
        if Put(MANY_POOL) in changes:
            raise Uncertain("nobody can tell")

    with monkeypatch.context() as patch:
        patch.setattr(Committer, "commit", commit)
        assert import_file(written(file, MANY), plan, "--node", "a") == 1

    assert seen_by(plan, "a") == set(MANY)


@pytest.mark.usefixtures("small_parts")
def test_an_import_of_which_a_running_node_took_addresses_is_refused_and_leaves_nothing(
    plan: SharedPlan,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = plan.loaded("b")
    other.commit([Put(MANY_POOL)])
    taken = LEASE._replace(pool=MANY_POOL.id, address="10.0.0.1")
    real, taking = Committer.commit, [other]

    def commit(committer: Committer, changes: Sequence[Change], *rest: Any) -> None:
        if Put(MANY_POOL) in changes and taking:
            # All leases of the import are stored, and none of its pools.
            taking.pop().commit([Put(taken)])
        real(committer, changes, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Committer, "commit", commit)
        assert import_file(written(file, MANY), plan, "--node", "a") == 1

    assert refusal(capsys).endswith("nothing has been done. Try again")
    assert seen_by(plan, "b") == {MANY_POOL, taken}
    assert plan.database.leases.count_documents({}) == 1


@pytest.mark.usefixtures("small_parts")
def test_more_records_than_fit_into_one_commit_cannot_replace_others(
    plan: SharedPlan, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert import_file(written(file, OTHER_HOST), plan, "--node", "a") == 0

    assert import_file(written(file, MANY), plan, "--node", "a", "--force") == 1

    assert refusal(capsys) == (
        "the import is too large to replace 1 pool, 1 lease and 1 driver name in one step, which a "
        "shared store needs. Nothing was changed: drop the database, or name an empty one"
    )
    assert seen_by(plan, "a") == set(OTHER_HOST)
