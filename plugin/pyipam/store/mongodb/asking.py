"""What is asked of the database within a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pymongo
from pymongo.errors import PyMongoError

from pyipam.errors import Unavailable
from pyipam.store.mongodb.fencing import Fenced
from pyipam.store.mongodb.messages import Messages

CONNECT_TIMEOUT_SECONDS = 5.0


@contextmanager
def asking(messages: Messages, within: float) -> Iterator[None]:
    """Give what is asked of the database in the block this many seconds. Raises Unavailable, in the
    words of these messages, if it does not answer, or this process is fenced off."""
    try:
        with pymongo.timeout(within):
            yield
    except Fenced as reason:
        raise Unavailable(messages.fenced(reason)) from None
    except PyMongoError as error:
        raise Unavailable(messages.no_answer(messages.reason_of(error))) from error
