"""The ranges that Docker takes by itself, and the scopes that could give them to a swarm.

What the host uses is known from its routes. What the other hosts of a swarm use is not, and neither
is `ingress`, to which no host has a route.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import Block, block_of
from pyipam.space.buddy import BuddyAllocator

# Docker's defaults: moby, daemon/libnetwork/ipamutils/utils.go.
_RANGES = {
    block_of(ip_network("10.0.0.0/24")): "the swarm's own network, ingress",
    block_of(ip_network("172.17.0.0/16")): "docker0, a bridge of every host",
    block_of(ip_network("172.18.0.0/16")): "docker_gwbridge, a bridge of every node of a swarm",
}


def warnings_about_docker_ranges(tree: ScopeTree) -> Iterator[str]:
    """A sentence for each scope that could give a network of a swarm what Docker itself uses."""
    for scope in tree:
        if scope.can_be_drawn_from and scope.address_space != "local":
            for taken, user in _RANGES.items():
                given = _first_given(scope, taken)
                if given is not None:
                    yield (
                        f"scope {scope} can give {given} to a network of a swarm, but {taken} is "
                        f"what Docker by default uses for {user}: put that under reserved or, if "
                        "the scope is for networks of single hosts, set its address_space to local"
                    )


def _first_given(scope: Scope, taken: Block) -> Block | None:
    """The first block of the scope's child_prefix that overlaps what is taken and that the scope
    would give to a network, or None."""
    assert scope.child_prefix is not None
    if not scope.block.overlaps(taken):
        return None
    # As much as a child block has of it, and no more than the scope has.
    length = max(min(scope.child_prefix, taken.length), scope.block.length)
    shift = taken.width - length
    start = max(taken.start, scope.block.start) >> shift << shift
    area = Block(taken.version, start, length)
    allocator = BuddyAllocator(start, length, area.width, scope.reserved)
    for child in scope.children:
        if area.is_inside(child.block):
            return None
        if child.block.overlaps(area):
            allocator.hold(child.block.start, child.block.length)
    first = allocator.lowest(scope.child_prefix)
    return None if first is None else Block(area.version, first, scope.child_prefix)
