"""The errors that users see.

Each has one sentence: what was asked, why it cannot be done, and what would work. Docker prints it
after the name of the call, so it must make sense to the person who typed the command.
"""

from __future__ import annotations

from collections.abc import Sequence

# Long enough to list all scopes of a plan, and shorter than what a client can put into a request.
_MAX_HEAD_CHARACTERS = 6_000
_MAX_TAIL_CHARACTERS = 2_000


def listed(items: Sequence[object], most: int) -> str:
    """The first items, at most so many, and how many more there are: `a, b and 3 more`."""
    shown, more = ", ".join(map(str, items[:most])), len(items) - most
    return f"{shown} and {more} more" if more > 0 else shown


class PyipamError(Exception):
    """The base of all errors whose text is meant for a user.

    The middle of a long text is left out, because errors are logged and kept for the status.
    """

    def __init__(self, message: str) -> None:
        if len(message) > _MAX_HEAD_CHARACTERS + _MAX_TAIL_CHARACTERS:
            head, tail = message[:_MAX_HEAD_CHARACTERS], message[-_MAX_TAIL_CHARACTERS:]
            message = f"{head} [...] {tail}"
        super().__init__(message)


class InvalidRequest(PyipamError):
    """The request is wrong: a value cannot be read, or no plan could serve it."""


class NotManaged(PyipamError):
    """No scope of the schema may serve the request."""


class NotHeld(PyipamError):
    """The request names a pool that is not held."""


class InUse(PyipamError):
    """The requested address or subnet is already in use."""


class Exhausted(PyipamError):
    """Nothing that could serve the request is free."""


class Unavailable(PyipamError):
    """The request is right, but pyipam cannot serve it now."""


class StoreFailure(Unavailable):
    """A change was not stored, or it is not known whether it was (see store/errors.py)."""


class StateCorrupted(Unavailable):
    """The stored state cannot be read. Nothing is served until that is fixed."""


class TransferRefused(PyipamError):
    """An export or an import cannot be done as requested. Nothing was changed."""
