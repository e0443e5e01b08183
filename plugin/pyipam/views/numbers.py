"""The addresses of a subnet that have leases, as numbers.

A subnet may have a hundred thousand leases. What looks at all of them takes the lock for no longer
than it takes to copy their addresses.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import chain, pairwise

from pyipam.core.ipam import Ipam
from pyipam.core.state import State
from pyipam.space.address import to_number
from pyipam.space.block import Block
from pyipam.store.pool_id import is_on_other_node
from pyipam.store.records import LeaseRecord
from pyipam.views.order import Pause, in_parts
from pyipam.views.pools import pools_of

# Which addresses of a subnet, by its id, are looked at. Needs the lock.
Choice = Callable[[State, str], Collection[int]]

# About a tenth of a millisecond each.
_NUMBERS_AT_A_TIME = 1000
_LEASES_AT_A_TIME = 250
# Of fewer addresses, each is looked up under the lock; of more, those that have leases are copied.
_FEW_ADDRESSES = 1024


def leases_in(state: State, subnet_id: str) -> Mapping[int, LeaseRecord]:
    """The leases of a subnet of any node, by address as an integer. Needs the lock."""
    if not is_on_other_node(subnet_id):
        subnet = state.holdings.subnets.get(subnet_id)
        return {} if subnet is None else subnet.leases
    return {
        to_number(lease.address): lease
        for pool in pools_of(state, subnet_id)
        for lease in state.elsewhere.leases_of(pool.id)
    }


def released(state: State, subnet_id: str) -> Collection[int]:
    """The addresses of a subnet that rest or are held back. Needs the lock."""
    subnet = state.holdings.subnets.get(subnet_id)
    if subnet is not None:
        return {*subnet.resting, *subnet.held_back}
    leases = leases_in(state, subnet_id)
    return {number for number, lease in leases.items() if lease.released is not None}


def held_back(state: State, subnet_id: str) -> Collection[int]:
    """The addresses of a subnet that are held back. Needs the lock."""
    subnet = state.holdings.subnets.get(subnet_id)
    if subnet is not None:
        return list(subnet.held_back)
    leases = leases_in(state, subnet_id)
    return {number for number, lease in leases.items() if lease.is_held_back}


def numbers_of(
    ipam: Ipam, subnet_id: str, within: Block, choice: Choice, pause: Pause
) -> list[int]:
    """The addresses of a choice that lie within a block, in any order."""
    first, last = within.start, within.last
    with ipam.reading() as state:
        chosen = choice(state, subnet_id)
        if last - first < min(_FEW_ADDRESSES, len(chosen)):
            return [number for number in range(first, last + 1) if number in chosen]
        numbers = list(chosen)
    pause()
    found: list[int] = []
    for some in in_parts(numbers, _NUMBERS_AT_A_TIME):
        found += [number for number in some if first <= number <= last]
        pause()
    return found


def unclaimed_among(ipam: Ipam, subnet_id: str, numbers: list[int], pause: Pause) -> list[int]:
    """Those of the addresses of a subnet whose leases are in force and not claimed again."""
    found: list[int] = []
    for some in in_parts(numbers, _LEASES_AT_A_TIME):
        with ipam.reading() as state:
            subnet = state.holdings.subnets.get(subnet_id)
            if subnet is None or not subnet.unclaimed:
                break
            found += subnet.unclaimed_among(some)
        pause()
    return found


def in_order(numbers: list[int], pause: Pause) -> Iterator[int]:
    """The numbers, the lowest first."""
    runs = []
    for some in in_parts(numbers, _NUMBERS_AT_A_TIME):
        runs.append(sorted(some))
        pause()
    runs.sort()
    if all(one[-1] < other[0] for one, other in pairwise(runs)):
        # Most subnets give out their addresses in order. To merge takes five times as long.
        return chain.from_iterable(runs)
    return heapq.merge(*runs)
