"""An import of more records than fit into one commit of a shared store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import pytest

from pyipam.errors import StoreFailure, TransferRefused
from pyipam.store.errors import Uncertain
from pyipam.store.mongodb.committing import Committer
from pyipam.store.records import Change, Put, Record
from pyipam.transfer.export_file import Export
from pyipam.transfer.moving import State, put_in_place, put_into_empty
from tests.mongodb.nodes import SharedPlan
from tests.mongodb.transfers import OTHER_HOST, seen_by
from tests.support.stored_records import DRIVER, LEASE, POOL

MANY_POOL = POOL._replace(id="local/10.0.0.0/16", scope="")
MANY: list[Record] = [
    MANY_POOL,
    *(
        LEASE._replace(pool=MANY_POOL.id, address=f"10.0.{n // 250}.{n % 250 + 1}")
        for n in range(100)
    ),
]


def import_in_parts(
    plan: SharedPlan, records: Sequence[Record], put: Callable[[State, Export], None]
) -> None:
    """Import what one host holds as node "a", in commits that a hundred leases are too many for."""
    with closing(plan.open("a")) as store:
        put(State(store, max_changes_per_commit=30), Export(tuple(records), None))


def test_more_records_than_fit_into_one_commit_can_be_imported(
    plan: SharedPlan,
) -> None:
    import_in_parts(plan, [DRIVER, *MANY], put_into_empty)

    assert seen_by(plan, "a") == {DRIVER, *MANY}


@pytest.mark.parametrize("lost", [1, 2, 4])
def test_an_import_that_was_interrupted_leaves_nothing_and_can_be_repeated(
    plan: SharedPlan, lost: int, monkeypatch: pytest.MonkeyPatch
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
        with pytest.raises(StoreFailure):
            import_in_parts(plan, MANY, put_into_empty)
    assert seen_by(plan, "a") == set()

    import_in_parts(plan, MANY, put_into_empty)
    assert seen_by(plan, "a") == set(MANY)


def test_an_import_that_was_refused_in_the_middle_leaves_nothing(
    plan: SharedPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Committer.commit

    def commit(committer: Committer, changes: Sequence[Change], *rest: Any) -> None:
        if Put(MANY_POOL) in changes:
            raise StoreFailure("others were faster")
        real(committer, changes, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Committer, "commit", commit)
        with pytest.raises(StoreFailure):
            import_in_parts(plan, MANY, put_into_empty)

    assert plan.database.leases.count_documents({}) == 0


def test_an_import_whose_end_has_an_unknown_outcome_loses_no_lease_if_it_was_stored(
    plan: SharedPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Committer.commit

    def commit(committer: Committer, changes: Sequence[Change], *rest: Any) -> None:
        real(committer, changes, *rest)
        if Put(MANY_POOL) in changes:
            raise Uncertain("nobody can tell")

    with monkeypatch.context() as patch:
        patch.setattr(Committer, "commit", commit)
        with pytest.raises(Uncertain) as told:
            import_in_parts(plan, MANY, put_into_empty)

    assert seen_by(plan, "a") == set(MANY)
    assert str(told.value) == (
        "nobody can tell; if it was, all of the import is there, and otherwise nothing of it. When "
        "the database answers, look what is there with pyipam export, and import again if it is "
        "nothing"
    )


def test_an_import_of_which_a_running_node_took_addresses_is_refused_and_leaves_nothing(
    plan: SharedPlan, monkeypatch: pytest.MonkeyPatch
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
        with pytest.raises(StoreFailure, match=r"nothing has been done\. Try again$"):
            import_in_parts(plan, MANY, put_into_empty)

    assert seen_by(plan, "b") == {MANY_POOL, taken}
    assert plan.database.leases.count_documents({}) == 1


def test_more_records_than_fit_into_one_commit_cannot_replace_others(plan: SharedPlan) -> None:
    import_in_parts(plan, OTHER_HOST, put_into_empty)

    with pytest.raises(TransferRefused) as refused:
        import_in_parts(plan, MANY, put_in_place)

    assert str(refused.value) == (
        "the import is too large to replace 1 pool, 1 lease and 1 driver name in one step, which a "
        "shared store needs. Nothing was changed: drop the database, or name an empty one"
    )
    assert seen_by(plan, "a") == set(OTHER_HOST)
