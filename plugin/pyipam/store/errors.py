"""The ways in which a commit can fail, besides a plain StoreFailure."""

from __future__ import annotations

from pyipam.errors import StoreFailure
from pyipam.store.records import Change


class Conflict(StoreFailure):
    """Records of other nodes are in the way, and nothing was stored.

    `learned` are the changes of other nodes that were not known yet, in order. Once they are
    applied, the commit can be decided again.
    """

    def __init__(self, message: str, learned: tuple[Change, ...]) -> None:
        super().__init__(message)
        self.learned = learned


class Uncertain(StoreFailure):
    """It is unknown whether the changes were stored. They have to be undone in case they were.

    `doubt` is what is not known, as the first half of the sentence.
    """

    def __init__(
        self,
        doubt: str,
        remedy: str = "if it was, it will be undone. Try again when the database answers",
    ) -> None:
        super().__init__(f"{doubt}; {remedy}")
        self.doubt = doubt
