"""The behaviour of every store, with the store in MongoDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pyipam.store.protocol import Store
from tests.mongodb.nodes import SharedPlan, shared_plan
from tests.support.mongodb.replica_set import ReplicaSet
from tests.support.store_behaviour import AggregatesBehaviour, MakeHome, StoreHome


class MongoDbHome:
    """A home in a database of a replica set."""

    def __init__(self, plan: SharedPlan) -> None:
        self._plan = plan

    def open(self) -> Store:
        return self._plan.open()

    def after_a_crash(self) -> StoreHome:
        # The database is not on this host.
        return self


@pytest.fixture(scope="module")
def make_home(replica_set: ReplicaSet) -> MakeHome:
    """Makes empty databases."""

    @contextmanager
    def make() -> Iterator[StoreHome]:
        with shared_plan(replica_set) as plan:
            yield MongoDbHome(plan)

    return make


class TestMongoDb(AggregatesBehaviour):
    """The suite, over databases of a replica set."""
