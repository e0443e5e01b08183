"""Nodes that share one plan in memory, and what their engines and stores do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_network

from pyipam.plan.scope_tree import ScopeTree
from tests.support.core import Core, scope, tree_of
from tests.support.shared_plan import NodeStore, SharedPlan

TREE = tree_of(scope("10.0.0.0", 16, child_prefix=24), scope("fd00::", 48, child_prefix=64))


def node(plan: SharedPlan, name: str, tree: ScopeTree = TREE) -> Core:
    return Core(tree, store=NodeStore(plan, name), engine=f"engine of {name}", node=name)


def store_of(core: Core) -> NodeStore:
    assert isinstance(core.store, NodeStore)
    return core.store


def lead(core: Core, name: str) -> None:
    """Let the node's engine become the leader: its allocator asks for capabilities."""
    core.engine = name
    core.announce()


def repeat(core: Core, pool: str, *addresses: str) -> None:
    """Make the calls of a new leader's allocator for a network that it has: the pool, its gateway,
    and the addresses of services and tasks."""
    assert core.pool(pool.removeprefix("global/"), space="global") == pool
    gateway = str(next(ip_network(pool.removeprefix("global/")).hosts()))
    assert core.gateway(pool, gateway, serial=True) == f"{gateway}/24"
    for address in addresses:
        assert core.address(pool, address, serial=True) == f"{address}/24"


@contextmanager
def kept_waiting(core: Core, act: Callable[[], object]) -> Iterator[None]:
    """Inside, the call waits for the database, which answers when the block ends."""
    store = store_of(core)
    store.answers.clear()
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(act)
        try:
            assert store.is_asked.wait(60)
            yield
        finally:
            store.answers.set()
        done.result()
