"""The harness itself: what the other tests do to a replica set is what happens to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pymongo import MongoClient

from tests.support.mongodb.replica_set import Client, Member, ReplicaSet


@pytest.fixture
def whole(replica_set: ReplicaSet) -> Iterator[ReplicaSet]:
    """The replica set, whole before and after."""
    yield replica_set
    replica_set.mend()


Lose = Callable[[Member, ReplicaSet], None]


def lose_killed(primary: Member, _replica_set: ReplicaSet) -> None:
    primary.kill()


def lose_frozen(primary: Member, _replica_set: ReplicaSet) -> None:
    primary.freeze()


def lose_stepped_down(_primary: Member, replica_set: ReplicaSet) -> None:
    replica_set.step_down()


@pytest.mark.parametrize("lose", [lose_killed, lose_frozen, lose_stepped_down])
def test_another_member_leads_when_the_primary_is_lost(whole: ReplicaSet, lose: Lose) -> None:
    primary = whole.primary()

    lose(primary, whole)

    assert whole.primary() is not primary


def test_all_members_come_back_with_what_they_stored(whole: ReplicaSet) -> None:
    with open_client(whole) as client:
        client.harness.kept.insert_one({"_id": 1})
        whole.kill_all()
        whole.start_all()
        whole.wait_until_whole()

        assert client.harness.kept.find_one() == {"_id": 1}
        client.drop_database("harness")


def open_client(replica_set: ReplicaSet) -> Client:
    return MongoClient(replica_set.url, w="majority")
