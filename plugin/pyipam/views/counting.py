"""What is held, counted in the cells of a map of an address plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pyipam.core.aggregates import block_of_aggregate
from pyipam.core.ipam import Ipam
from pyipam.core.state import State
from pyipam.space.address import AddressSpace
from pyipam.space.block import Block
from pyipam.store.records import Claim
from pyipam.views.aggregates import AggregatesInOrder
from pyipam.views.cells import Tally
from pyipam.views.numbers import held_back, leases_in, numbers_of, released, unclaimed_among
from pyipam.views.order import Key, Pause, Subnets, in_parts
from pyipam.views.pools import is_unclaimed, pools_of

# Whether the pools of a space that have these claims are unclaimed: most have the same. What is
# released has none.
_Claimed = dict[tuple[AddressSpace, tuple[Claim, ...]], bool]

# About a tenth of a millisecond each.
_NUMBERS_AT_A_TIME = 1000
_LEASES_AT_A_TIME = 100
_AGGREGATES_AT_A_TIME = 100


def count(
    ipam: Ipam, subnets: Subnets, block: Block, tallies: Sequence[Tally], pause: Pause
) -> None:
    """Count the pools and leases of a block in its cells, which all have one length."""
    length = tallies[0].cell.length
    shift = block.width - length
    count_leases = _count_leases if shift else _count_each_lease
    for keys in subnets.touching(block, pause):
        # What lies around a cell comes before what lies in it.
        for key in keys:
            if key[2] < length:
                _count_parts(ipam, key, block, tallies)
                pause()
                count_leases(ipam, key, block, tallies, pause)
        with ipam.reading() as state:
            claimed: _Claimed = {}
            for key in keys:
                if key[2] >= length:
                    _count_whole(state, key, tallies[key[1] - block.start >> shift], claimed)


def count_aggregates(
    aggregates: AggregatesInOrder, block: Block, tallies: Sequence[Tally], pause: Pause
) -> None:
    """Count the aggregates of a block in its cells, which all have one length."""
    shift = block.width - tallies[0].cell.length
    for some in in_parts(aggregates.touching(block, pause), _AGGREGATES_AT_A_TIME):
        for aggregate in some:
            claimed = block_of_aggregate(aggregate)
            first = max(claimed.start - block.start >> shift, 0)
            end = (claimed.last - block.start >> shift) + 1
            for tally in tallies[first:end]:
                tally.add_aggregate(claimed, aggregate)
        pause()


def _count_whole(state: State, key: Key, tally: Tally, claimed: _Claimed) -> None:
    """Count a subnet that lies in one cell as a whole, with its leases. Needs the lock."""
    subnet = state.holdings.subnets.get(key[3])
    if subnet is None:
        for pool in pools_of(state, key[3]):
            tally.add_pool(Block(*key[:3]), pool, is_unclaimed(state, pool))
            tally.add_leases(len(state.elsewhere.leases_of(pool.id)), 0, 0)
        return
    for pool in subnet.pools.values():
        alike = (subnet.space, pool.claims)
        unclaimed = claimed.get(alike)
        if unclaimed is None:
            unclaimed = claimed[alike] = is_unclaimed(state, pool)
        tally.add_pool(subnet.block, pool, unclaimed)
    if subnet.leases:
        tally.add_leases(subnet.leased, subnet.unclaimed, len(subnet.resting))


def _count_parts(ipam: Ipam, key: Key, block: Block, tallies: Sequence[Tally]) -> None:
    """Count the pools of a subnet in each cell that is a part of it."""
    subnet = Block(*key[:3])
    shift = block.width - tallies[0].cell.length
    first = max(subnet.start - block.start >> shift, 0)
    end = (subnet.last - block.start >> shift) + 1
    with ipam.reading() as state:
        pools = [(pool, is_unclaimed(state, pool)) for pool in pools_of(state, key[3])]
    for pool, unclaimed in pools:
        for tally in tallies[first:end]:
            tally.add_pool(subnet, pool, unclaimed)


def _count_leases(
    ipam: Ipam, key: Key, block: Block, tallies: Sequence[Tally], pause: Pause
) -> None:
    """Count the leases of a subnet that lies in several cells."""
    shift = block.width - tallies[0].cell.length

    def by_cell(numbers: list[int]) -> Counter[int]:
        found: Counter[int] = Counter()
        for some in in_parts(numbers, _NUMBERS_AT_A_TIME):
            found.update([number - block.start >> shift for number in some])
            pause()
        return found

    numbers = numbers_of(ipam, key[3], block, leases_in, pause)
    kept = by_cell(numbers_of(ipam, key[3], block, held_back, pause))
    resting = by_cell(numbers_of(ipam, key[3], block, released, pause))
    unclaimed = by_cell(unclaimed_among(ipam, key[3], numbers, pause))
    for cell, leases in by_cell(numbers).items():
        tallies[cell].add_leases(leases - kept[cell], unclaimed[cell], resting[cell] - kept[cell])


def _count_each_lease(
    ipam: Ipam, key: Key, block: Block, tallies: Sequence[Tally], pause: Pause
) -> None:
    """Count the leases of a subnet, of which each cell is an address."""
    numbers = numbers_of(ipam, key[3], block, leases_in, pause)
    unclaimed = set(unclaimed_among(ipam, key[3], numbers, pause))
    for some in in_parts(numbers, _LEASES_AT_A_TIME):
        with ipam.reading() as state:
            leases = leases_in(state, key[3])
            for number in some:
                lease = leases.get(number)
                if lease is not None:
                    tallies[number - block.start].add_lease(lease, number in unclaimed)
        pause()
