"""How long what is released rests, by the scope that it lies in; also of scopes that have left."""

from __future__ import annotations

from operator import attrgetter

from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import Block


class ReuseDelays:
    """The `reuse_delay` of each scope in force, and of those that have left the schema and that no
    other one covers: a schema that lacks a scope for one edit ends no rest."""

    def __init__(self) -> None:
        self._tree = ScopeTree()
        self._former: dict[Block, float] = {}

    def use_scopes(self, tree: ScopeTree) -> None:
        """Let these scopes be in force."""
        self._former.update((scope.block, scope.reuse_delay) for scope in self._tree)
        self._former = {
            block: delay for block, delay in self._former.items() if tree.containing(block) is None
        }
        self._tree = tree

    def known(self, block: Block) -> float | None:
        """The delay that counts for a block, in seconds; None if no scope has ever covered it since
        the state was loaded."""
        scope = self._tree.containing(block)
        if scope is not None:
            return scope.reuse_delay
        if not self._former:
            return None
        around = (former for former in self._former if block.is_inside(former))
        nearest = max(around, key=attrgetter("length"), default=None)
        return None if nearest is None else self._former[nearest]
