"""Whatever two nodes do in the global space, with whatever outcome, while they follow each other or
read the whole plan again: each knows what it holds there, and in the end both know what is stored.

While a node reads the plan again, anything else may happen before and after the plan is read, and
it may be read when a commit is stored already, and its node does not know yet. The seed is printed;
MODEL_SEED repeats a run, as far as the database is as fast. MODEL_STEPS makes it longer.
"""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from contextvars import Context
from functools import partial
from typing import cast

import pytest

from pyipam.errors import PyipamError
from pyipam.store.errors import Uncertain
from pyipam.store.mongodb.documents import RecordCodec
from pyipam.store.mongodb.event_batches import Event, EventBatches
from pyipam.store.mongodb.snapshot import Snapshot, Wanted
from pyipam.store.mongodb.versions import POOL_IDS
from pyipam.store.pool_id import is_driver_of_other_node
from pyipam.store.records import Claim, LeaseKey, LeaseRecord, PoolRecord
from tests.mongodb.commits import commits_of_outcome
from tests.mongodb.nodes import SharedPlan
from tests.support.core import Core, Time, scope, tree_of
from tests.support.failing_store import FailingStore

STEPS = int(os.environ.get("MODEL_STEPS", "80"))
# Two subnets, which rest, in a stripe each.
SUBNETS = ["10.1.0.0/24", "10.1.1.0/24"]
REUSE_DELAY = 100
TREE = tree_of(scope("10.1.0.0", 23, child_prefix=24, reuse_delay=REUSE_DELAY))

Held = tuple[dict[str, PoolRecord], dict[LeaseKey, LeaseRecord]]


@pytest.mark.parametrize("number", range(2))
def test_each_node_knows_what_it_holds_in_the_global_space(plan: SharedPlan, number: int) -> None:
    seed = int(os.environ.get("MODEL_SEED", str(random.randrange(2**32))))
    print(f"\nMODEL_SEED={seed}")
    with closing(World(plan, random.Random(seed + number))) as world:
        for _ in range(STEPS):
            world.take_step()
        world.check_all()
    assert world.happened >= {"uncertain", "caught up", "heard"}


class Node:
    """A node, and what it has yet to hear of the other one."""

    def __init__(self, plan: SharedPlan, name: str, time: Time) -> None:
        self.plan = plan
        self.name = name
        self.store = plan.open(name)
        # Nothing arrives by itself.
        self.store.await_remote_changes = self._hear_all  # type: ignore[method-assign]
        store = cast(FailingStore, self.store)
        self.core = Core(TREE, store=store, time=time, node=name, engine=f"engine of {name}")
        self.is_reading = False
        self.read_now: Callable[[], None] = lambda: None
        self._unheard: deque[Event] = deque()
        # When the pool had been created, as far as this node knew, in which it gave out an address:
        # by the time of that, which is another for each call.
        self._given_in: dict[float, float | None] = {}
        self._batches: EventBatches | None = None

    def hear(self, count: int) -> bool:
        """Hear this many events at most; whether there were any."""
        if self.is_reading:
            return False
        follower = self.store._follower
        if self._batches is None:
            start = {"startAtOperationTime": self.store._follow_since}
            stages = [{"$match": follower._followed()}]
            self._batches = EventBatches(self.store._database, stages, start)
        while events := self._batches.next():
            self._unheard.extend(events)
        heard = [self._unheard.popleft() for _ in range(min(count, len(self._unheard)))]
        follower._handle_batch(heard)
        return bool(heard)

    def _hear_all(self, within: float) -> bool:
        self.hear(len(self._unheard) + 1000)
        return self.store._knowledge.pending_count > 0

    def read_again(self, before: Callable[[], None], after: Callable[[], None]) -> bool:
        """Read the whole plan again, while other things happen; whether that was of use."""
        presence, since = self.store._presence, self.store._follow_since
        read, snapshots = presence.read_snapshot, list[Snapshot]()

        def read_meanwhile(wanted: Wanted) -> Snapshot:
            patch.undo()

            def read_now() -> None:
                if not snapshots:
                    snapshots.append(read(wanted))

            self.read_now = read_now
            # Outside of the time limit of the reading.
            Context().run(before)
            read_now()
            Context().run(after)
            return snapshots[0]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(presence, "read_snapshot", read_meanwhile)
            self.is_reading = True
            self.store._catch_up()
            self.is_reading = False
        if self.store._follow_since is since:
            return False
        self.close()
        return True

    def close(self) -> None:
        """Forget what has not been heard."""
        if self._batches is not None:
            self._batches.__exit__()
            self._batches = None
        self._unheard.clear()

    def repair(self) -> None:
        """Repair what may have been stored without an answer."""
        self.core.ipam.catch_up()

    def reread(self) -> None:
        """Read the global space as a node does that begins to lead the swarm. No epoch begins, so
        the claims of the other node stay."""
        self.core.make(self.core.ipam._transaction.reread_global_space)

    def give_out(self, pool: str, call: Callable[[str], object]) -> None:
        """Give out an address of a pool."""
        now = self.core.time.wall
        try:
            call(pool)
        finally:
            known = self.known()[0].get(pool)
            self._given_in[now] = None if known is None else known.created

    # What is held

    def stored(self) -> Held:
        """What is stored, as this node names it."""
        codec, database = RecordCodec(self.name), self.plan.majority
        pools = [codec.decode_pool(each) for each in database.pools.find({"_id": POOL_IDS})]
        leases = [codec.decode_lease(each) for each in database.leases.find()]
        held = {each.id: each for each in pools}
        # The others were given out before it was heard that their pool had ended.
        return held, {each.key: each for each in leases if each.pool in held}

    def known(self) -> Held:
        """What this node knows."""
        with self.core.ipam.reading() as state:
            subnets = state.holdings.subnets.values()
            leases = [lease for subnet in subnets for lease in subnet.leases.values()]
            pools = list(state.holdings.pools())
        return {each.id: each for each in pools}, {each.key: each for each in leases}

    def check_own(self) -> None:
        """See that this node knows whatever is stored as its own."""
        (pools, leases), (known_pools, known_leases) = self.stored(), self.known()
        for pool in pools.values():
            for claim in own_claims(pool):
                assert claim in known_pools[pool.id].claims
        for lease in self._own_leases(pools, leases):
            # The other node may have released it.
            assert known_leases[lease.key].granted == lease.granted

    def _own_leases(
        self, pools: dict[str, PoolRecord], leases: dict[LeaseKey, LeaseRecord]
    ) -> Iterator[LeaseRecord]:
        """Those of this node, but for what it gave out before it heard that a former pool of the
        same name had ended: they are forgotten with that. Nor does it matter what has rested: the
        other node may have used that, and given it back, when this one had ended it already."""
        own = (each for each in leases.values() if not is_driver_of_other_node(each.driver))
        for lease in own:
            is_former = self._given_in[lease.granted] != pools[lease.pool].created
            if not (is_former or self._has_rested(lease)):
                yield lease

    def _has_rested(self, lease: LeaseRecord) -> bool:
        if lease.released is None:
            return False
        return lease.released + REUSE_DELAY <= self.core.time.wall


def own_claims(pool: PoolRecord) -> Iterator[Claim]:
    return (claim for claim in pool.claims if not is_driver_of_other_node(claim.driver))


class World:
    """The nodes, and what happens to them."""

    def __init__(self, plan: SharedPlan, choose: random.Random) -> None:
        self.choose = choose
        self.time = Time()
        self.nodes = [Node(plan, name, self.time) for name in ("h1", "h2")]
        self.happened: set[str] = set()
        self._depth = 0

    def close(self) -> None:
        for node in self.nodes:
            node.close()

    def take_step(self) -> None:
        """Let something happen, and see now and then what is left of it."""
        self.act()
        for node in self.nodes:
            if self.choose.random() < 0.5:
                node.repair()
                node.check_own()

    def check_all(self) -> None:
        """See that both nodes know what is stored once they have read it."""
        for node in self.nodes:
            node.repair()
        for node in self.nodes:
            assert node.read_again(lambda: None, lambda: None)
            node.repair()
            node.check_own()
            assert node.known()[0] == node.stored()[0]
            node.reread()
            assert node.known() == node.stored()

    def act(self) -> None:
        """Let something happen to one of the nodes."""
        self.time.pass_seconds(1)
        node = self.choose.choice(self.nodes)
        what = self.choose.random()
        if what < 0.15:
            self._hear(node)
        elif what < 0.35:
            self._read_again(node)
        else:
            self._call(node)

    def _hear(self, node: Node) -> None:
        if node.hear(self.choose.randint(1, 4)):
            self.happened.add("heard")

    def _read_again(self, node: Node) -> None:
        if node.is_reading or self._depth > 2:
            return
        if node.read_again(self._act_meanwhile, self._act_meanwhile):
            self.happened.add("caught up")

    def _act_meanwhile(self) -> None:
        self._depth += 1
        for _ in range(self.choose.choice([0, 0, 1, 2, 3])):
            self.act()
        self._depth -= 1

    def _call(self, node: Node) -> None:
        call = self.choose.choices(*zip(*self._calls(node), strict=True))[0]
        outcome = self.choose.choice(["", "", "stored", "not-stored"])
        with commits_of_outcome(node.store, outcome, partial(self._maybe_read, node)):
            try:
                call()
            except Uncertain:
                self.happened.add("uncertain")
            except PyipamError:
                # It is refused.
                return

    def _maybe_read(self, node: Node) -> None:
        if self.choose.random() < 0.3:
            node.read_now()

    def _calls(self, node: Node) -> list[tuple[Callable[[], object], int]]:
        """What may be called next, and how often."""
        core, choose = node.core, self.choose
        subnet = choose.choice(SUBNETS)
        pool, is_repeated = f"global/{subnet}", choose.choice([False, True])
        given = [lease.address for lease in node.known()[1].values() if lease.pool == pool]
        address = choose.choice(given or ["10.1.0.9"])
        return [
            (lambda: core.pool(space="global"), 2),
            (
                lambda: core.pool(subnet, space="global", shared=True, is_repeated=is_repeated),
                8,
            ),
            (lambda: core.release_pool(pool), 8),
            (lambda: node.give_out(pool, core.gateway), 1),
            (lambda: node.give_out(pool, core.address), 3),
            (lambda: core.release(pool, address), 2),
            (node.reread, 1),
            (node.repair, 2),
            (lambda: self.time.pass_seconds(choose.choice([50, 101])), 1),
        ]
