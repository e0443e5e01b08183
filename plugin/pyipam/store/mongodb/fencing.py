"""Why a process of a node may commit nothing any more: it is fenced off."""

from __future__ import annotations

from pyipam.store.records import NodeRecord


class Fenced(Exception):
    """This process no longer serves its node. It stays so until it ends."""


class Superseded(Fenced):
    """Another process has begun to serve this node."""


class Removed(Fenced):
    """This node was removed from the plan."""


class Altered(Fenced):
    """Something that this process holds is not stored as its node's: neither a node nor a command
    does that. `what` says what it is."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what


class Forgotten(Fenced):
    """An operator has forgotten this node. `mark` is what is stored of that."""

    def __init__(self, mark: NodeRecord) -> None:
        super().__init__()
        self.mark = mark
