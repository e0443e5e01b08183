"""The core: which scope, which block, which address; durable before it is answered.

The rooms above call this facade, and so do tests. Calls are made inside `commit`, which returns
once all that they changed is durable. If that fails, nothing has happened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from pyipam.core import (
    address_calls,
    claiming,
    creations,
    epochs,
    freeing,
    giving_back,
    node_marks,
    pool_calls,
    taking_in,
)
from pyipam.core.claiming import UnclaimedPool, UsedLease
from pyipam.core.clock import Clock
from pyipam.core.counts import Counts
from pyipam.core.decision import Decision
from pyipam.core.freeing import SeenPool
from pyipam.core.node_marks import check_not_forgotten
from pyipam.core.requests import AddressGrant, AddressRequest, PoolRequest
from pyipam.core.seen import SeenLease
from pyipam.core.selection import Policy
from pyipam.core.state import State
from pyipam.core.taking_in import LeftOut, UsedAddress, UsedPool
from pyipam.core.transaction import Commit, Note, Transaction
from pyipam.errors import Exhausted, InUse, NotHeld, PyipamError, Unavailable
from pyipam.host.route import HostRoutes, NoRoutes, Route
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.address import Address, AddressSpace
from pyipam.store.protocol import COMMIT_TIMEOUT_SECONDS, Store

Result = TypeVar("Result")

_ROUTES_AT_A_TIME = 100
# Why calls are refused where other nodes may meanwhile have changed what it is about.
_MAY_BE_OUTDATED = (Exhausted, InUse, NotHeld, Unavailable)


def _forget(_commit: Commit) -> None:
    """Take no note of a commit."""


class Ipam:
    """Gives out pools and addresses of one address plan.

    The calls of Docker, from `begin_epoch` on, and those of an operator are made inside `commit`.
    Everything else takes the locks that it needs.
    """

    def __init__(
        self,
        store: Store,
        policy: Policy,
        clock: Clock,
        routes: HostRoutes | None = None,
        note: Note = _forget,
        node: str = "localhost",
    ) -> None:
        """Without `routes`, none of the host's are known. `note` is told of each commit. `node` is
        the name of this node, also where it is the only one."""
        self._store = store
        self._routes = routes or NoRoutes()
        self._state = State(clock, self._routes, node, shared=store.shared)
        self._transaction = Transaction(self._state, store, note)
        self._policy = replace(policy, refusal="no schema has been loaded yet")

    def load(self, tree: ScopeTree) -> None:
        """Load what the store holds, and draw from these scopes.

        Raises StateCorrupted, or Unavailable where the store cannot be read now.
        """
        self._routes.watch(root.block for root in tree.roots_drawn_from())
        with self._transaction.exclusive():
            self._state.load(self._store.load(), tree)
        self._policy = replace(self._policy, refusal=None)

    def commit(
        self,
        calls: Sequence[Callable[[], Result]],
        within: float = COMMIT_TIMEOUT_SECONDS,
    ) -> list[Result]:
        """Make the calls as one commit, within this many seconds; see Transaction.commit."""
        return self._transaction.commit(calls, within)

    def catch_up(self, within: float = COMMIT_TIMEOUT_SECONDS) -> None:
        """Learn what other nodes did, repair what may have been stored without an answer, and let
        go what has rested: what every commit does. Raises StoreFailure."""
        self._transaction.commit((), within)

    def look_ahead(self) -> None:
        """Do now what the next call would have to. Nothing that can be seen changes."""
        with self._state.lock:
            self._state.placement.look_ahead()

    def use_schema(self, tree: ScopeTree) -> None:
        """Draw from these scopes from now on. Pools of scopes that are gone live on."""
        self._routes.watch(root.block for root in tree.roots_drawn_from())
        with self._transaction.exclusive():
            self._state.use_scopes(tree)
        self._policy = replace(self._policy, refusal=None)

    def refuse_new_pools(self, reason: str) -> None:
        """Refuse new pools with this sentence from now on. Pools that exist keep working."""
        self._policy = replace(self._policy, refusal=reason)

    # The calls of Docker. All of them are made inside `commit`.

    def begin_epoch(self, driver: str, engine: str) -> None:
        """An engine announces itself under a driver name.

        `engine` identifies the run of the engine, empty if unknown. Raises Unavailable or Conflict
        where the plan is shared and its store does not answer.
        """
        if epochs.only_returns(self._state, driver, engine):
            self._transaction.apply(epochs.note_return(self._state, driver, engine))
            return
        self._transaction.reread_global_space()
        self._transaction.apply(epochs.begin_epoch(self._state, driver, engine))

    def request_pool(self, request: PoolRequest) -> str:
        """Give a network its pool; returns the pool's id.

        Raises InvalidRequest, NotManaged, InUse, Exhausted or Unavailable.
        """
        check_not_forgotten(self._state)
        self._state.learn_routes()
        try:
            if request.subnet is None:
                decision = pool_calls.request_block(self._state, self._policy, request)
            else:
                decision = pool_calls.request_subnet(
                    self._state, self._policy, request, request.subnet
                )
        except _MAY_BE_OUTDATED:
            self._transaction.look_again()
            raise
        return self._transaction.apply(decision)

    def release_pool(self, driver: str, pool_id: str) -> None:
        """Drop one reference to a pool; the last one frees it and all its leases."""
        if self._state.aggregates:
            # Which of several empty ones stays depends on them.
            self._state.learn_routes()
        self._transaction.apply(pool_calls.release_pool(self._state, driver, pool_id))

    def request_address(self, request: AddressRequest) -> AddressGrant:
        """Give out an address of a pool.

        Raises InvalidRequest, NotHeld, InUse or Exhausted.
        """
        check_not_forgotten(self._state)
        try:
            if request.address is None:
                decision = address_calls.request_any(self._state, request)
            else:
                decision = address_calls.request_given(self._state, request, request.address)
        except PyipamError as error:
            if isinstance(error, _MAY_BE_OUTDATED):
                self._transaction.look_again()
            if request.pool_id in self._state.announcements.creating:
                self._transaction.apply(creations.refusal_noted(self._state, request))
            raise
        if self._state.announcements.creating:
            decision = creations.with_address_noted(self._state, request, decision)
        return self._transaction.apply(decision)

    def release_address(self, driver: str, pool_id: str, address: Address) -> None:
        """Take an address back."""
        decision = address_calls.release_address(self._state, driver, pool_id, address)
        self._transaction.apply(decision)

    # The calls of an operator. All of them are made inside `commit`.

    def free_address(self, seen: SeenLease) -> None:
        """End a lease that leaked, if it is still the one that was seen.

        Raises NotHeld or InUse.
        """
        self._transaction.apply(freeing.free_address(self._state, seen))

    def free_pool(self, seen: SeenPool) -> None:
        """End a pool that leaked, if it is still as it was seen. Raises NotHeld or InUse."""
        self._state.learn_routes()
        self._transaction.apply(freeing.free_pool(self._state, seen))

    def claim_pool(self, used: UnclaimedPool) -> None:
        """Claim a pool that Docker uses, with its leases, if they are still as they were seen.

        Raises NotHeld or InUse.
        """
        self._transaction.apply(claiming.claim_pool(self._state, used))

    def claim_address(self, driver: str, pool_id: str, used: UsedLease) -> None:
        """Claim a lease that Docker uses, if it is still the one that was seen.

        Raises NotHeld or InUse.
        """
        decision = claiming.claim_address(self._state, driver, pool_id, used)
        self._transaction.apply(decision)

    def take_in_pool(self, used: UsedPool) -> tuple[LeftOut, ...]:
        """Hold a pool that networks have, with its addresses; returns those that had to be left
        out.

        Raises InUse or Unavailable.
        """
        check_not_forgotten(self._state)
        decision = taking_in.take_in_pool(self._state, self._policy, used)
        return self._transaction.apply(decision)

    def take_in_address(self, driver: str, pool_id: str, used: UsedAddress) -> None:
        """Hold an address that Docker uses in a pool that is held.

        Raises NotHeld, InUse, InvalidRequest or Unavailable.
        """
        check_not_forgotten(self._state)
        decision = taking_in.take_in_address(self._state, driver, pool_id, used)
        self._transaction.apply(decision)

    def drain(self, node: str, seen: Collection[str] = ()) -> None:
        """Let a node give no new network a pool. `seen` are the nodes that the store has seen,
        besides those that hold something. Raises InvalidRequest if the node is unknown."""
        self._apply_if_new(node_marks.drain(self._state, node, seen))

    def undrain(self, node: str, seen: Collection[str] = ()) -> None:
        """End that. Raises InvalidRequest if the node is unknown."""
        self._apply_if_new(node_marks.undrain(self._state, node, seen))

    def _apply_if_new(self, decision: Decision[None]) -> None:
        """Apply a decision. That there is nothing to do is said only if no other node has changed
        that meanwhile."""
        if not decision.changes:
            self._transaction.look_again()
        self._transaction.apply(decision)

    def release_aggregate(self, cidr: str) -> None:
        """Give back an aggregate of this node that is empty.

        Raises InvalidRequest, NotHeld or InUse.
        """
        self._transaction.apply(giving_back.release_aggregate(self._state, cidr))

    # Views

    @contextmanager
    def reading(self) -> Iterator[State]:
        """Inside, the state can be read, with the routes that the host has now, and all calls
        wait."""
        with self._state.lock:
            self._state.learn_routes()
            yield self._state

    def seconds_since_seen(self) -> Mapping[str, float | None]:
        """See Store.seconds_since_seen. Asks the store, and needs no lock. Raises Unavailable."""
        return self._store.seconds_since_seen()

    def pools_in_aggregates(self) -> Mapping[str, int]:
        """See Store.pools_in_aggregates. Asks the store, and needs no lock. Raises Unavailable."""
        return self._store.pools_in_aggregates()

    def counts(self) -> Counts:
        """How much is held on this node and in the global space."""
        with self._state.lock:
            return replace(self._state.holdings.counts)

    @property
    def policy(self) -> Policy:
        """By which rules networks get their pools now."""
        return self._policy

    def epoch(self, driver: str, space: AddressSpace) -> int:
        """The present epoch of a driver name in an address space; 0 before its first."""
        with self._state.lock:
            return self._state.holdings.epoch(driver, space)

    @property
    def tree(self) -> ScopeTree:
        """The scopes in force."""
        return self._state.placement.tree

    def routes(self) -> list[tuple[Route, Scope]]:
        """The routes of the host that keep automatic blocks out of a part of a scope, in the order
        of the schema."""
        with self.reading() as state:
            known = sorted(state.placement.routes)
        found: list[tuple[Route, Scope]] = []
        # A few at a time: calls wait meanwhile, and each network may have a route.
        for first in range(0, len(known), _ROUTES_AT_A_TIME):
            with self._state.lock:
                placement = self._state.placement
                for route in known[first : first + _ROUTES_AT_A_TIME]:
                    found += [(route, scope) for scope in placement.scopes_under(route)]
        return sorted(found, key=lambda item: item[1].position)
