"""A node is served by one process at a time."""

from __future__ import annotations

import pytest

from pyipam.errors import StoreFailure
from tests.mongodb.nodes import SharedPlan
from tests.support.mongodb.replica_set import wait_for
from tests.support.stored_records import GATEWAY, LEASE, POOL, puts


def test_a_store_that_is_closed_commits_nothing(plan: SharedPlan) -> None:
    store = plan.loaded()
    store.close()

    with pytest.raises(StoreFailure):
        store.commit(puts(POOL))


def test_a_second_process_of_a_node_takes_over_from_the_first(plan: SharedPlan) -> None:
    first = plan.following("nodea")
    first.commit(puts(POOL))

    second = plan.loaded("nodea")

    def is_refused() -> bool:
        try:
            first.commit(puts(LEASE))
        except StoreFailure as failure:
            return "give each host a NODE_NAME of its own" in str(failure)
        return False

    wait_for(is_refused, "the first process to notice")
    second.commit(puts(GATEWAY))
