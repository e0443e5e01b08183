"""The replica set of the tests does what a test asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pymongo import MongoClient

from tests.mongodb.losses import LOSSES
from tests.support.mongodb.replica_set import Client, ReplicaSet


@pytest.fixture
def whole(replica_set: ReplicaSet) -> Iterator[ReplicaSet]:
    """The replica set. It is repaired after the test."""
    yield replica_set
    replica_set.repair()


@pytest.mark.parametrize("lose", LOSSES)
def test_another_member_becomes_the_primary_when_the_primary_is_lost(
    whole: ReplicaSet, lose: Callable[[ReplicaSet], None]
) -> None:
    primary = whole.primary()

    lose(whole)

    assert whole.primary() is not primary


def test_all_members_come_back_with_what_they_had_stored(whole: ReplicaSet) -> None:
    with open_client(whole) as client:
        client.harness.kept.insert_one({"_id": 1})
        whole.kill_all()
        whole.start_all()
        whole.wait_until_whole()

        assert client.harness.kept.find_one() == {"_id": 1}
        client.drop_database("harness")


def open_client(replica_set: ReplicaSet) -> Client:
    return MongoClient(replica_set.url, w="majority")
