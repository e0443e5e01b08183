"""What a commit can fail with, besides StoreFailure."""

from __future__ import annotations

from pyipam.errors import StoreFailure
from pyipam.store.records import Change


class Conflict(StoreFailure):
    """Other nodes' records stand in the way. `learned` says which: to be known, and the decision
    to be made anew."""

    def __init__(self, message: str, learned: tuple[Change, ...]) -> None:
        super().__init__(message)
        self.learned = learned


class Uncertain(StoreFailure):
    """Whether the change was stored cannot be told. It must be taken back, in case that it was."""
