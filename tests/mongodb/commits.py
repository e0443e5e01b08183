"""Commits of every sort, by a node that holds a pool and its gateway, and how they fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from pyipam.store.errors import Uncertain
from pyipam.store.mongodb.session import OutcomeUnknown
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


@contextmanager
def commits_of_outcome(
    store: MongoDbStore, outcome: str, sent: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Let commits be "stored", or "not-stored", and their outcomes be unknown; or nothing of that
    if it is empty. `sent` is called once that has happened to one, before the node knows."""
    session = store._session

    def send(write: Callable[..., Any]) -> Callable[..., Any]:
        def write_and_lose(*arguments: Any) -> None:
            if outcome == "not-stored":
                session._abort_transaction()
            else:
                write(*arguments)
            sent()
            if outcome:
                raise OutcomeUnknown from AutoReconnect("connection closed")

        return write_and_lose

    with pytest.MonkeyPatch.context() as patch:
        for name in ("_commit_transaction", "write_alone"):
            patch.setattr(session, name, send(getattr(session, name)))
        yield
