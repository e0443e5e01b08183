"""Where this node looks for automatic blocks while other nodes look for some at the same moment.

Nodes that share a plan all take the lowest free block, so they meet there: all but one of them have
to decide again. If that happens once, the node may only not have heard yet of what another one did
before, and takes the lowest block that is left. A node that meets others again within a second
takes its next blocks from a stripe of its own, where nobody has been seen, and stays there while
others create networks when it does. Then it takes the lowest ones again. Nothing of this is stored,
and no two nodes have to agree on it: in the same stripe, they meet once more. See "Sharing one plan
between nodes" in docs/architecture.md.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from pyipam.core.clock import Clock
from pyipam.core.placement import Placement
from pyipam.plan.scope import Scope
from pyipam.space.block import Block
from pyipam.space.stripes import STRIPES, next_in_stripe, stripes_of

# How long a node stays in its stripe after it last met another one, or might have.
_STAY_SECONDS = 30.0
# Nodes that create blocks this soon after each other would have met at the lowest one.
_MEETING_SECONDS = 1.0
# For how long a stripe counts as taken after another node was seen in it.
_TAKEN_SECONDS = 5.0
# How many regions of the stripe may be found full by one call.
_MAX_FULL_REGIONS = 64
_NEVER = float("-inf")


class Meetings:
    """The stripe of this node, if it has one. Needs the lock of the state."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._home: int | None = None
        self._until = _NEVER
        self._last_met = _NEVER
        # When another node was last seen to create or delete a block, by stripe.
        self._seen = [_NEVER] * STRIPES
        # Where blocks of each length were found last.
        self._reached: dict[tuple[Scope, int], int] = {}

    @property
    def is_apart(self) -> bool:
        """Whether this node has met another one lately."""
        return self._home is not None

    def see(self, block: Block) -> None:
        """Note that another node has created or deleted a block just now."""
        now = self._clock.monotonic()
        for stripe in stripes_of(block):
            self._seen[stripe] = now

    def meet(self, own: Iterable[Block], others: Iterable[Block]) -> None:
        """Note that blocks of this node could not be created, because others were created or
        deleted at the same moment, or were not known yet. Those in other stripes were not in the
        way."""
        wanted = {stripe for block in own for stripe in stripes_of(block)}
        met = set()
        for block in others:
            self.see(block)
            met |= wanted.intersection(stripes_of(block))
        if not met:
            return
        now = self._clock.monotonic()
        is_first = now - self._last_met > _MEETING_SECONDS
        self._last_met = now
        if self._stripe_at(now) is None and is_first:
            return
        if self._home is None or self._home in met:
            self._move(now)
        self._until = now + _STAY_SECONDS

    def apart(self, placement: Placement, scope: Scope, length: int) -> Block | None:
        """The free block of this length that the scope has for this node alone. None if it has
        none, or if this node has met nobody: the lowest one will do."""
        home = self._stripe_at(self._clock.monotonic())
        if home is None:
            return None
        within = stripes_of(scope.block)
        if home not in within:
            home = within[home % len(within)]
        start = self._reached.pop((scope, length), scope.block.start)
        block = _lowest_in_stripe(placement, scope, length, start, home)
        if block is not None:
            self._reached[scope, length] = block.start
        return block

    def _stripe_at(self, now: float) -> int | None:
        if self._home is None:
            return None
        if now - max(self._seen) < _MEETING_SECONDS:
            self._until = now + _STAY_SECONDS
        elif now >= self._until:
            self._home = None
        return self._home

    def _move(self, now: float) -> None:
        quiet = [stripe for stripe, at in enumerate(self._seen) if now - at > _TAKEN_SECONDS]
        # With more nodes than stripes, some share one.
        self._home = random.choice(quiet or range(STRIPES))
        self._reached.clear()


def _lowest_in_stripe(
    placement: Placement, scope: Scope, length: int, start: int, stripe: int
) -> Block | None:
    """The lowest free block that begins at or after an address, and touches a stripe."""
    size = 1 << (scope.block.width - length)
    for _ in range(_MAX_FULL_REGIONS):
        block = placement.lowest_from(scope, length, start)
        if block is None or stripe in stripes_of(block):
            return block
        # The block around the next region of the stripe.
        start = next_in_stripe(block.version, block.start, stripe) & -size
    return None
