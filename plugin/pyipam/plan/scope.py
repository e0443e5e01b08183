"""A scope: a part of the address plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from pyipam.space.address import AddressSpace
from pyipam.space.block import AddressRange, Block, Network, block_of


@dataclass(frozen=True, eq=False)
class Scope:
    """A network of the address plan, with the keys of the schema (docs/schema.md).

    `tags` and `reserved` include what the scope inherits; `own_tags` are only its own.
    `child_prefix` is the prefix length of the blocks that are drawn from it, and `node_prefix` that
    of the blocks that nodes claim for that, if they do. `reuse_delay` is in seconds, and an
    `address_space` of None means both; with `node_prefix`, it is local. `position` counts the
    scopes of the schema from its top, from 1; `depth` is 0 for a root. Scopes are compared by
    identity.
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
    node_prefix: int | None = None
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
        """The network as a block."""
        return block_of(self.network)

    @property
    def can_be_drawn_from(self) -> bool:
        """Whether networks get blocks, or at least pre-seeded children, from its own space."""
        return self.child_prefix is not None and (not self.lock_down or self.pre_seed_children)

    @property
    def blocks(self) -> int:
        """How many blocks of `child_prefix` it has room for, if it can be drawn from; else 0."""
        if self.child_prefix is None or not self.can_be_drawn_from:
            return 0
        return 1 << (self.child_prefix - self.block.length)

    @property
    def only_children(self) -> bool:
        """Whether networks get only its pre-seeded children."""
        return self.lock_down and self.pre_seed_children


def is_seeded_child(scope: Scope, network: Network) -> bool:
    """Whether a network in the scope's own space is one of its pre-seeded children."""
    return scope.pre_seed_children and network.prefixlen == scope.child_prefix


def seeded_children(scope: Scope) -> Iterator[Network]:
    """The pre-seeded children of a scope: all child blocks of its own space, in order."""
    if not scope.pre_seed_children or scope.child_prefix is None:
        return
    for network in scope.network.subnets(new_prefix=scope.child_prefix):
        if not any(network.overlaps(child.network) for child in scope.children):
            yield network
