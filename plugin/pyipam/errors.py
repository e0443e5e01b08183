"""The errors that users meet.

Each carries one sentence: what was asked, why it cannot be, and what would work. Docker prints
it after the name of the call, so it must make sense to the person who typed the command.
"""

from __future__ import annotations

# A sentence that lists a whole plan fits; what a client can put into a request does not.
_HEAD_CHARACTERS, _TAIL_CHARACTERS = 6_000, 2_000


class PyipamError(Exception):
    """Base of every error whose text is meant for a user. A long text is shortened in the middle,
    as it is logged, and kept for the status."""

    def __init__(self, message: str) -> None:
        fits = len(message) <= _HEAD_CHARACTERS + _TAIL_CHARACTERS
        head, tail = message[:_HEAD_CHARACTERS], message[-_TAIL_CHARACTERS:]
        super().__init__(message if fits else f"{head} [...] {tail}")


class InvalidRequest(PyipamError):
    """The request itself is wrong: a value that cannot be read, or that no plan could serve."""


class NotManaged(PyipamError):
    """The request is well formed, but no scope of the schema may serve it."""


class NotHeld(PyipamError):
    """The request names a pool that is not held."""


class InUse(PyipamError):
    """The address or the subnet asked for belongs to somebody already."""


class Exhausted(PyipamError):
    """Nothing that could serve the request is free."""


class Unavailable(PyipamError):
    """Nothing is wrong with the request, but pyipam cannot serve it now."""


class StoreFailure(Unavailable):
    """A change could not be made durable. Nothing of it has taken effect."""


class StateCorrupted(Unavailable):
    """The stored state cannot be read. Nothing is served from it until it is repaired."""


class TransferRefused(PyipamError):
    """A plan is not exported or imported as asked. Nothing has been written."""
