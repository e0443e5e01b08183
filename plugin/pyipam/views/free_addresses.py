"""The addresses of a pool that are free, as ranges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, takewhile

from pyipam.core.address_calls import held_pool
from pyipam.core.ipam import Ipam
from pyipam.errors import NotHeld
from pyipam.space.address import parse_address, to_text
from pyipam.space.block import AddressRange
from pyipam.views.numbers import in_order
from pyipam.views.order import Page, Part, Pause, in_parts, no_such_page
from pyipam.views.pools import no_such_pool

_NUMBERS_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class FreeRangeView:
    """A range of free addresses, its first and last one, and how many it has, as a string."""

    first: str
    last: str
    addresses: str


def list_free_addresses(ipam: Ipam, pool_id: str, part: Part, pause: Pause) -> Page[FreeRangeView]:
    """A part of the ranges of a pool whose addresses nobody has, and that are given to whoever
    asks for any. Raises NotHeld or InvalidRequest."""
    with ipam.reading() as state:
        try:
            pool, subnet = held_pool(state, pool_id)
        except NotHeld:
            raise no_such_pool(pool_id) from None
        free = subnet.free_addresses(pool.id, state.reserved)
        version = subnet.block.version
        elsewhere = subnet.elsewhere or {}
        taken = [*subnet.leases, *(each for each in elsewhere if each not in subnet.leases)]
        gaps = list(free.ranges())
    begin = _read_address(part.after) + 1 if part.after else 0
    found: list[AddressRange] = []
    for gap in gaps:
        begin = max(gap.first, begin)
        ranges = _between(taken, AddressRange(begin, gap.last), pause)
        found += islice(ranges, part.limit + 1 - len(found))
        if len(found) > part.limit:
            break
    shown = found[: part.limit]
    views = tuple(
        FreeRangeView(
            to_text(version, item.first),
            to_text(version, item.last),
            str(item.last - item.first + 1),
        )
        for item in shown
    )
    return Page(views, views[-1].last if len(found) > len(shown) else None)


def _between(taken: list[int], within: AddressRange, pause: Pause) -> Iterator[AddressRange]:
    """The ranges of numbers that are not taken, in order."""
    first = within.first
    for some in in_parts(in_order(taken, pause), _NUMBERS_AT_A_TIME):
        if some[0] == first and some[-1] == first + len(some) - 1 <= within.last:
            # Nothing lies between them.
            first += len(some)
        else:
            for number in takewhile(lambda number: number <= within.last, some):
                if number > first:
                    yield AddressRange(first, number - 1)
                first = max(first, number + 1)
        if some[-1] > within.last:
            break
        pause()
    if first <= within.last:
        yield AddressRange(first, within.last)


def _read_address(text: str) -> int:
    try:
        return parse_address(text).number
    except ValueError:
        raise no_such_page(text) from None
