"""Which pools of any node lie in a scope whose blocks nodes claim, and in no aggregate."""

from __future__ import annotations

from pyipam.core.state import State
from pyipam.core.strays import is_stray
from pyipam.plan.scope import Scope
from pyipam.store.pool_id import is_global


def is_known_stray(state: State, subnet_id: str, scope: Scope | None) -> bool:
    """Whether a subnet in a scope, of any node, is announced by no aggregate. Of other nodes, the
    subnets in their aggregates are not known. Needs the lock."""
    if is_global(subnet_id) or scope is None or scope.node_prefix is None:
        return False
    subnet = state.holdings.subnets.get(subnet_id)
    return subnet is None or is_stray(state, subnet)
