"""A scope of the schema: a network that blocks are carved from, or that holds other scopes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from pyipam.space.address import AddressSpace
from pyipam.space.block import AddressRange, Block, Network, block_of


@dataclass(frozen=True, eq=False)
class Scope:
    """One scope, with its keys as docs/schema.md describes them.

    `tags` and `reserved` are the effective ones: they include what the ancestors propagate.
    `reuse_delay` is in seconds. `position` is the scope's place in the schema, counted from its
    top, and `depth` is 0 for a root. Scopes are compared by identity.
    """

    network: Network
    child_prefix: int | None = None
    own_tags: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    propagate_tags: bool = True
    lock_down: bool = False
    pre_seed_children: bool = False
    reserved: tuple[AddressRange, ...] = ()
    reuse_delay: float = 0.0
    address_space: AddressSpace | None = None
    description: str = ""
    depth: int = 0
    position: int = 0
    children: tuple[Scope, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        return str(self.network)

    @cached_property
    def block(self) -> Block:
        """The network in integers."""
        return block_of(self.network)

    @property
    def can_be_drawn_from(self) -> bool:
        """Whether blocks are carved from the scope's own space, if only its pre-seeded children."""
        return self.child_prefix is not None and (not self.lock_down or self.pre_seed_children)

    @property
    def only_children(self) -> bool:
        """Whether only the blocks that it pre-seeds can be drawn."""
        return self.lock_down and self.pre_seed_children


def is_seeded_child(scope: Scope, network: Network) -> bool:
    """Whether the network is one of the blocks that the scope pre-seeds."""
    return scope.pre_seed_children and network.prefixlen == scope.child_prefix


def seeded_children(scope: Scope) -> Iterator[Network]:
    """The blocks that a scope pre-seeds, in order: all of its own space, outside its children."""
    if not scope.pre_seed_children or scope.child_prefix is None:
        return
    for block in scope.network.subnets(new_prefix=scope.child_prefix):
        if not any(block.overlaps(child.network) for child in scope.children):
            yield block
