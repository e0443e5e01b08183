"""What is seen and done while a call waits for the database."""

from __future__ import annotations

import pytest

from pyipam.errors import StoreFailure
from tests.support.core import DRIVER, Core
from tests.support.reading import count_free
from tests.support.several_nodes import kept_waiting, lead, store_of

# While the database keeps a call waiting


def test_the_views_show_what_is_stored_while_a_call_waits(first: Core) -> None:
    held = first.pool()
    first.address(held)
    with kept_waiting(first, lambda: first.address(held)):
        assert first.leases(held) == {"10.0.0.1": True}
    with kept_waiting(first, first.pool):
        assert first.pools() == [held]
        assert next(count_free(first.ipam, item, 24) for item in first.ipam.tree) == 255
    with kept_waiting(first, lambda: first.release_pool(held)):
        assert first.pools() == [held, "local/10.0.1.0/24"]
        assert first.leases(held) == {"10.0.0.1": True, "10.0.0.2": True}
    assert first.pools() == ["local/10.0.1.0/24"]


def test_the_views_answer_while_a_new_leader_reads_the_global_space(
    first: Core, second: Core, swarm: str
) -> None:
    with kept_waiting(second, lambda: lead(second, "a later run")):
        assert second.pools() == [swarm]
    assert second.pools() == [swarm]


def test_a_call_waits_for_the_previous_one_no_longer_than_the_timeout(first: Core) -> None:
    with (
        kept_waiting(first, first.pool),
        pytest.raises(StoreFailure, match="the calls before this one are waiting for the store"),
    ):
        first.ipam.commit((), within=0.05)


def test_a_commit_is_given_the_time_that_is_left_after_waiting(first: Core, swarm: str) -> None:
    first.engine = "a later run"

    def announced() -> None:
        first.ipam.begin_epoch(DRIVER, first.engine)
        first.time.pass_seconds(15.0)

    first.ipam.commit([announced], within=20.0)
    assert store_of(first).given == pytest.approx([20.0, 5.0], abs=0.001)
