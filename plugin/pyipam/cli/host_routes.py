"""The routes of the host that the command runs on, as far as a schema has to do with them."""

from __future__ import annotations

import re
import sys

from pyipam.host.route import Route
from pyipam.plan.scope_tree import ScopeTree

# What Docker calls the bridge of a network (moby, daemon/libnetwork/drivers/bridge, BridgeName).
# Blocks of the plan are there because networks have them.
_BRIDGE_OF_NETWORK = re.compile(r"br-[0-9a-f]{12}")


def routes_under(tree: ScopeTree) -> list[Route]:
    """The on-link routes of this host over what can be drawn from, without those of Docker's
    networks. None where the kernel does not tell them, as any but Linux."""
    if sys.platform != "linux":
        return []
    # A plugin elsewhere can be asked (--url) from hosts on which this cannot be imported.
    from pyipam.host.kernel_routes import routes_over

    found = routes_over(root.block for root in tree.roots_drawn_from())
    return [route for route in found if not _BRIDGE_OF_NETWORK.fullmatch(route.interface)]
