"""A node is served by one process at a time."""

from __future__ import annotations

import pytest

from pyipam.errors import StoreFailure
from tests.mongodb.nodes import SharedPlan, wait_until_refused
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

    wait_until_refused(first, puts(LEASE), "give each host a NODE_NAME of its own")
    second.commit(puts(GATEWAY))
