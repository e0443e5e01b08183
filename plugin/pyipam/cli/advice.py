"""What a schema may contain, but was probably not intended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_network

from pyipam.host.route import Route
from pyipam.plan.docker_ranges import warnings_about_docker_ranges
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import block_of

# A service takes an address for itself, one for each task and one for each node that runs one.
_LONGEST_OF_A_SERVICE = {4: 29, 6: 125}
_SHARED_RANGES = {
    block_of(ip_network("100.64.0.0/10")): "carrier-grade NAT and tailnets (Tailscale)",
    block_of(ip_network("fd7a:115c:a1e0::/48")): "tailnets (Tailscale)",
}


def advice_about(tree: ScopeTree) -> Iterator[tuple[Scope, str]]:
    """Each scope that something is to be said of, and the sentence."""
    sentences = list(warnings_about_docker_ranges(tree))
    for scope in tree:
        yield from (
            (scope, text) for text in sentences if text.startswith(f"scope {scope} can give")
        )
        if not scope.can_be_drawn_from:
            continue
        length = scope.child_prefix
        assert length is not None
        longest = _LONGEST_OF_A_SERVICE[scope.network.version]
        if length > longest and scope.address_space != "local":
            yield (
                scope,
                f"scope {scope} gives out /{length} blocks, which are too small for a service of a "
                f"swarm: it needs an address for itself and for each task and node, a /{longest} "
                "at least; if the scope is for networks of single hosts, set its address_space to "
                "local",
            )
        for block, users in _SHARED_RANGES.items():
            if scope.block.overlaps(block):
                yield (
                    scope,
                    f"scope {scope} overlaps {block}, which {users} use as well: on a host with "
                    "those, choose another range",
                )


def advice_about_routes(tree: ScopeTree, routes: Iterable[Route]) -> Iterator[tuple[Scope, str]]:
    """Each scope that a route of this host keeps networks out of, and the sentence."""
    for route in sorted(routes):
        for scope in tree.overlapped_by(route.block):
            if scope.can_be_drawn_from:
                yield (
                    scope,
                    f"scope {scope} overlaps {route.block}, to which this host has a route "
                    f"({route.interface}): on this host, no network gets a block there "
                    "automatically",
                )
