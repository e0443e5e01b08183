"""Commits of every sort, by a node that holds a pool and its gateway, and how they fail."""

from __future__ import annotations

import pytest

from pyipam.store.errors import Uncertain
from pyipam.store.mongodb.store import MongoDbStore
from pyipam.store.records import Change
from tests.mongodb.nodes import OTHER_POOL, SharedPlan
from tests.support.stored_records import GATEWAY, LEASE, POOL, deletes, puts, replace

# The change of a lease is one write; that of a block is a transaction.
BATCHES: dict[str, list[Change]] = {
    "a-lease": puts(LEASE),
    "a-release": deletes(GATEWAY),
    "a-block": puts(OTHER_POOL, replace(LEASE, pool=OTHER_POOL.id, address="100.64.0.6")),
    "the-end-of-a-block": deletes(GATEWAY, POOL),
}
# The command on which it depends whether they are stored.
DECISIVE_COMMANDS = {
    "a-lease": "update",
    "a-release": "delete",
    "a-block": "commitTransaction",
    "the-end-of-a-block": "commitTransaction",
}
# Failures after which the client does not know whether the changes are stored.
_WRITE_CONCERN_TIMEOUT = 64
OUTCOMES: dict[str, dict[str, object]] = {
    "not-stored": {"closeConnection": True},
    "stored": {
        "writeConcernError": {"code": _WRITE_CONCERN_TIMEOUT, "errmsg": "waiting timed out"}
    },
}


def make_uncertain(
    plan: SharedPlan, store: MongoDbStore, changes: list[Change], outcome: str
) -> None:
    """Commit changes without learning the outcome."""
    failing = plan.replica_set.failing("commitTransaction", **OUTCOMES[outcome])
    with failing, pytest.raises(Uncertain):
        store.commit(changes, within=0.5)
