"""The map of an address plan: a block in at most 256 cells, and how full each of them is."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from pyipam.core.ipam import Ipam
from pyipam.core.state import State
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import AddressRange, Block, merge_ranges
from pyipam.views.cells import CellState, Surroundings, Tally
from pyipam.views.leases import leases_in
from pyipam.views.levels import cell_length, cells_of, path_to
from pyipam.views.order import Key, Pause, Subnets, in_parts, of_one_schema, reading_scopes_of
from pyipam.views.pools import is_claimed, pools_of

_MOST_CELLS = 256
_LEASES_AT_A_TIME = 200


@dataclass(frozen=True, slots=True)
class CellView:
    """A cell of a map. Its `subnet` is a block, or an address without a length.

    `state` is what is most important about it, and `sentence` says it in words. `used_percent` is
    the share of its addresses that pools hold, or that are given out where the cell is a part of
    one pool. `pools` and `leases` are those in it; `unclaimed` and `resting` say how many of both
    are. `scopes` are the scopes that lie in it, `label` what its only pool is called.
    """

    subnet: str
    state: CellState
    sentence: str
    used_percent: int
    pools: int
    leases: int
    unclaimed: int
    resting: int
    scopes: tuple[str, ...]
    label: str


@dataclass(frozen=True, slots=True)
class MapView:
    """A block as a map: its cells, in order. `block` is empty for the whole plan, whose cells are
    the outermost scopes. `path` are the blocks whose maps lead to it, the block itself the last;
    `scope` is the one that it lies in, and `tags` are that scope's."""

    block: str
    cell_prefix: int | None
    path: tuple[str, ...]
    scope: str | None
    tags: tuple[str, ...]
    cells: tuple[CellView, ...]


@of_one_schema
def draw_map(ipam: Ipam, subnets: Subnets, block: Block | None, pause: Pause) -> MapView:
    """The map of a block; None stands for the whole plan."""
    tree = ipam.tree
    if block is None:
        roots = [scope.block for scope in islice(tree.roots, _MOST_CELLS)]
        views = [_draw(ipam, subnets, tree, root, [root], pause)[0] for root in roots]
        return MapView("", None, (), None, (), tuple(views))
    scope = tree.containing(block)
    around = next(_keys_touching(subnets.keys(pause), block), None)
    is_in_pool = around is not None and around[2] <= block.length
    # Within a pool, there are no blocks to be seen.
    length = cell_length(block, None if is_in_pool else scope)
    cells = cells_of(block, length)
    return MapView(
        block=str(block),
        cell_prefix=length,
        path=tuple(map(str, path_to(tree, block))),
        scope=None if scope is None else str(scope),
        tags=() if scope is None else tuple(sorted(scope.tags)),
        cells=tuple(_draw(ipam, subnets, tree, block, cells, pause)),
    )


def _draw(
    ipam: Ipam,
    subnets: Subnets,
    tree: ScopeTree,
    block: Block,
    cells: Sequence[Block],
    pause: Pause,
) -> list[CellView]:
    """The cells of a block, which all have one length."""
    tallies = [Tally(cell) for cell in cells]
    shift = block.width - cells[0].length
    for keys in in_parts(_keys_touching(subnets.keys(pause), block)):
        with ipam.reading() as state:
            for key in keys:
                _count_pools(state, key, block, tallies, shift)
        for key in keys:
            if key[2] < cells[0].length:
                _count_leases(ipam, key, block, tallies, shift, pause)
        pause()
    views = []
    for some in in_parts(tallies, 32):
        with reading_scopes_of(ipam, tree) as state:
            state.learn_routes()
            views += [_view(state, tree, tally) for tally in some]
        pause()
    return views


def _keys_touching(keys: Sequence[Key], block: Block) -> Iterator[Key]:
    """The subnets that a block lies in, and those that lie in it, the widest first."""
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


def _count_pools(state: State, key: Key, block: Block, tallies: list[Tally], shift: int) -> None:
    """Count the pools of a subnet in each cell that they touch. Needs the lock."""
    version, start, length, subnet_id = key
    held = Block(version, start, length)
    first = max(start, block.start) - block.start >> shift
    last = min(held.last, block.last) - block.start >> shift
    subnet = state.holdings.subnets.get(subnet_id)
    for pool in pools_of(state, subnet_id):
        unclaimed = pool.released is None and not is_claimed(state, pool)
        for tally in tallies[first : last + 1]:
            tally.add_pool(held, pool, unclaimed)
        if subnet is None:
            tallies[first].add_leases(len(state.elsewhere.leases_of(pool.id)), 0, 0)
    if subnet is not None and length >= tallies[0].cell.length:
        tallies[first].add_leases(subnet.leased, subnet.unclaimed, len(subnet.resting))


def _count_leases(
    ipam: Ipam, key: Key, block: Block, tallies: list[Tally], shift: int, pause: Pause
) -> None:
    """Count the leases of a subnet, each in the cell of its address."""
    with ipam.reading() as state:
        numbers = list(leases_in(state, key[3]))
    for some in in_parts(numbers, 5000):
        inside = [number for number in some if block.start <= number <= block.last]
        pause()
        for few in in_parts(inside, _LEASES_AT_A_TIME):
            with ipam.reading() as state:
                leases = leases_in(state, key[3])
                subnet = state.holdings.subnets.get(key[3])
                for number in few:
                    lease = leases.get(number)
                    if lease is not None:
                        unclaimed = subnet is not None and subnet.is_unclaimed(lease)
                        tallies[number - block.start >> shift].add_lease(lease, unclaimed)
            pause()


def _view(state: State, tree: ScopeTree, tally: Tally) -> CellView:
    """What is to be seen of a cell. Needs the lock."""
    around = _surroundings(state, tree, tally.cell)
    return CellView(
        subnet=tally.name,
        state=tally.state(around),
        sentence=tally.sentence(around),
        used_percent=tally.used_percent,
        pools=tally.pools,
        leases=tally.leases,
        unclaimed=tally.unclaimed,
        resting=tally.resting,
        scopes=tuple(map(str, around.inside)),
        label=tally.label,
    )


def _surroundings(state: State, tree: ScopeTree, cell: Block) -> Surroundings:
    scope = tree.containing(cell)
    overlapped = tree.overlapped_by(cell)
    return Surroundings(
        scope=scope,
        inside=tuple(
            item for item in overlapped if item is not scope and item.block.is_inside(cell)
        ),
        is_reserved=_is_covered(state.reserved(cell), cell),
        is_on_route=state.placement.is_on_route(cell),
    )


def _is_covered(ranges: Sequence[AddressRange], cell: Block) -> bool:
    return any(item.first <= cell.start and cell.last <= item.last for item in merge_ranges(ranges))
