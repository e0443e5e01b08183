"""What is held, in the order of its addresses, and a part of it at a time.

A view may have to look at everything that is held. So that no call waits for that, it takes the
lock of the state for a moment at a time, and asks between two such moments whether calls are to be
answered first (`pause`).
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from itertools import islice
from typing import Generic, ParamSpec, TypeVar

from pyipam.core.ipam import Ipam
from pyipam.core.state import State
from pyipam.errors import InvalidRequest
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import Block, block_of
from pyipam.store.pool_id import parse_stored_pool_id, parse_subnet_id, subnet_id_of

Item = TypeVar("Item")
Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")

# The IP version, the first address, the prefix length and the id of a subnet, of any node.
Key = tuple[int, int, int, str]
# Lets the calls of Docker be answered first.
Pause = Callable[[], None]

# How many are looked at in one moment: about a tenth of a millisecond. A call that comes meanwhile
# waits for that long, and with the lock for all of it.
_AT_A_TIME = 25
_KEYS_AT_A_TIME = 100


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list: its items, and what to ask for the items `after`; None at the end."""

    items: tuple[Item, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a list is asked for: at most `limit` items, those after a `next`."""

    after: str = ""
    limit: int = 200


class SchemaChanged(Exception):
    """Another schema came into force while a view looked at the scopes of the former one."""


@contextmanager
def reading_scopes_of(ipam: Ipam, tree: ScopeTree) -> Iterator[State]:
    """Inside, the state can be read, and these scopes are in force. Raises SchemaChanged."""
    with ipam.reading() as state:
        if state.placement.tree is not tree:
            raise SchemaChanged
        yield state


def of_one_schema(look: Callable[Asked, Answer]) -> Callable[Asked, Answer]:
    """A view that begins anew when another schema comes into force meanwhile."""

    @wraps(look)
    def look_again(*args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
        while True:
            with suppress(SchemaChanged):
                return look(*args, **kwargs)

    return look_again


def in_parts(items: Iterable[Item], size: int = _AT_A_TIME) -> Iterator[list[Item]]:
    """The items, in lists of at most this size: looking at one takes a moment."""
    source = iter(items)
    while part := list(islice(source, size)):
        yield part


def no_such_page(after: str) -> InvalidRequest:
    """The refusal of what no page names as its `next`."""
    return InvalidRequest(
        f"after={after!r} is not what a page names as its `next`; leave it out to begin"
    )


def key_of_subnet(subnet_id: str) -> Key:
    """Where a subnet stands in the order."""
    _, (version, start, length) = parse_subnet_id(subnet_id)
    return version, start, length, subnet_id


def key_of_pool(pool_id: str) -> Key:
    """Where the subnet of a pool stands in the order. Raises InvalidRequest."""
    try:
        version, start, length = block_of(parse_stored_pool_id(pool_id).subnet)
    except ValueError:
        raise no_such_page(pool_id) from None
    return version, start, length, subnet_id_of(pool_id)


class Subnets:
    """The subnets of all nodes and address spaces, in the order of their addresses."""

    def __init__(self, ipam: Ipam) -> None:
        self._ipam = ipam
        self._known: tuple[tuple[int, int], Sequence[Key]] = ((-1, -1), ())

    def keys(self, pause: Pause) -> Sequence[Key]:
        """The keys of all subnets, in order. They are kept until a subnet comes or goes."""
        with self._ipam.reading() as state:
            version = (state.holdings.subnets_version, state.elsewhere.subnets_version)
            if self._known[0] == version:
                return self._known[1]
            subnet_ids = [*state.holdings.subnets, *state.elsewhere.subnet_ids()]
        runs = []
        for part in in_parts(subnet_ids, _KEYS_AT_A_TIME):
            runs.append(sorted(map(key_of_subnet, part)))
            pause()
        keys: list[Key] = []
        for merged in in_parts(heapq.merge(*runs), _KEYS_AT_A_TIME):
            keys += merged
            pause()
        self._known = (version, keys)
        return keys

    def touching(
        self, block: Block | None, pause: Pause, first: Key | None = None
    ) -> Iterator[list[Key]]:
        """The keys, from `first` on, of the subnets that overlap a block, or of all if it is None;
        a part at a time."""
        keys = self.keys(pause)
        if block is None:
            begin = 0 if first is None else bisect_left(keys, first)
            wanted = (keys[position] for position in range(begin, len(keys)))
        else:
            wanted = (key for key in _overlapping(keys, block) if first is None or key >= first)
        for some in in_parts(wanted):
            yield some
            pause()


def _overlapping(keys: Sequence[Key], block: Block) -> Iterator[Key]:
    """The keys of the subnets that a block lies in, and of those that lie in it, in order."""
    version, start, length = block
    for shorter in range(length):
        shift = block.width - shorter
        wanted = (version, start >> shift << shift, shorter)
        for position in range(bisect_left(keys, (*wanted, "")), len(keys)):
            if keys[position][:3] != wanted:
                break
            yield keys[position]
    for position in range(bisect_left(keys, (version, start, length, "")), len(keys)):
        if keys[position][:2] > (version, block.last):
            break
        yield keys[position]
