"""Pools of a node in aggregates that it does not have.

Nothing that plugins and commands do leaves any, but a backup that was restored in part may, or
whoever changes the database by hand. Other nodes may have claimed the aggregate, so nothing may be
given out in such a pool. A node that starts gives it up: it then holds what it would if it had been
forgotten and that had been undone, and its networks are known again as they would be then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pymongo import DeleteMany

from pyipam import log
from pyipam.errors import Unavailable, listed
from pyipam.store.mongodb.committing import Committer
from pyipam.store.mongodb.deadline import Deadline
from pyipam.store.mongodb.documents import ids_in
from pyipam.store.mongodb.operations import Operation
from pyipam.store.mongodb.session import Collision, NotCommitted, OutcomeUnknown
from pyipam.store.mongodb.snapshot import Snapshot
from pyipam.store.mongodb.writes import Write
from pyipam.store.pool_id import is_local, subnet_id_of, subnet_of
from pyipam.store.records import PoolRecord

_MOST_NAMED = 5


def give_up_lost_pools(committer: Committer, snapshot: Snapshot, deadline: Deadline) -> Snapshot:
    """Delete what the node holds in aggregates that it does not have, unless it was forgotten: then
    that is left to whoever forgets it. Returns the snapshot without it.

    Requires the lock of the store. Raises Unavailable, Fenced or PyMongoError.
    """
    node = committer.codec.node
    lost = _lost_pools(snapshot)
    if not lost or any(mark.name == node and mark.forgotten for mark in snapshot.marks):
        return snapshot
    try:
        committer.session.write_together(_deletion(committer, lost), deadline)
    except Collision:
        committer.presence.check(committer.session.client_session)
        raise Unavailable(committer.messages.conflict()) from None
    except (NotCommitted, OutcomeUnknown) as error:
        raise Unavailable(committer.messages.not_stored(error)) from error
    _tell(node, lost)
    ended = {pool.id for pool in lost}
    return replace(
        snapshot,
        pools=[pool for pool in snapshot.pools if pool.id not in ended],
        leases=[lease for lease in snapshot.leases if lease.pool not in ended],
    )


def _lost_pools(snapshot: Snapshot) -> list[PoolRecord]:
    aggregates = {
        subnet_of(each.id)
        for each in snapshot.aggregates
        # Nobody serves a node in an aggregate that was forgotten, until it claims that again.
        if is_local(each.id) and not each.forgotten
    }
    drawn = (pool for pool in snapshot.pools if pool.aggregate and is_local(pool.id))
    return [pool for pool in drawn if pool.aggregate not in aggregates]


def _deletion(committer: Committer, lost: Sequence[PoolRecord]) -> list[Write]:
    """The writes that delete these pools with their leases. An import may have put other ones since
    they were read, but then this process no longer serves the node."""
    encode = committer.codec.encode_id
    subnets = sorted({encode(subnet_id_of(pool.id)) for pool in lost})
    leases: tuple[Operation, ...] = tuple(DeleteMany(ids_in(subnet)) for subnet in subnets)
    pools = {"_id": {"$in": [encode(pool.id) for pool in lost]}}
    return [
        committer.presence.make_fence(),
        Write("aggregates", (DeleteMany(pools),)),
        Write("aggregate_leases", leases),
    ]


def _tell(node: str, lost: Sequence[PoolRecord]) -> None:
    aggregates = sorted({pool.aggregate for pool in lost})
    log.warning(
        "pools given up",
        pools=listed([pool.id for pool in lost], _MOST_NAMED),
        reason=f"they were drawn from {listed(aggregates, _MOST_NAMED)}, which node {node} does "
        "not have, and others may have by now. Restart dockerd, or run pyipam reconcile: their "
        "networks are taken in again where nobody else has their subnets",
    )
