"""Why a process of a node may commit nothing any more: it is fenced off."""

from __future__ import annotations

from pyipam.store.records import NodeRecord


class Fenced(Exception):
    """This process no longer serves its node. It stays so until it ends."""


class Superseded(Fenced):
    """Another process has begun to serve this node."""


class Removed(Fenced):
    """This node was removed from the plan."""


class Forgotten(Fenced):
    """An operator has forgotten this node. `mark` is what is stored of that."""

    def __init__(self, mark: NodeRecord) -> None:
        super().__init__()
        self.mark = mark
