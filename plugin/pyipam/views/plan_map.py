"""The map of an address plan: a block in at most 256 cells, and how full each of them is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from pyipam.core.aggregates import cidr_of, node_of
from pyipam.core.ipam import Ipam
from pyipam.core.state import State
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import AddressRange, Block, merge_ranges
from pyipam.store.pool_id import is_local
from pyipam.store.records import AggregateRecord
from pyipam.views.aggregates import AggregatesInOrder
from pyipam.views.cells import CellState, ClaimedCell, Surroundings, Tally
from pyipam.views.counting import count, count_aggregates
from pyipam.views.levels import cell_length, cells_of, path_to
from pyipam.views.order import Pause, Subnets, in_parts, of_one_schema, reading_scopes_of
from pyipam.views.whose import claimed_in_words

_MOST_CELLS = 256
# About a tenth of a millisecond.
_CELLS_AT_A_TIME = 4
# Of one cell.
_MOST_SCOPES = 16


class MapSources(NamedTuple):
    """What a map is drawn from."""

    ipam: Ipam
    subnets: Subnets
    aggregates: AggregatesInOrder


@dataclass(frozen=True, slots=True)
class CellView:
    """A cell of a map. Its `subnet` is a block, or an address without a length.

    `state` is what is most important about it, and `sentence` says it in words. `used_percent` is
    the share of its addresses that pools hold or other nodes have claimed, or that are given out
    where the cell is a part of one pool. `pools` and `leases` are those in it; `unclaimed` and
    `resting` say how many of both are. `scopes` are the first of the scopes that lie in it, `label`
    what its only pool is called. `aggregate` is the one that the cell lies in, and `node` has
    claimed that: this node if it is its `own`; `aggregates` counts the smaller ones
    in it.
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
    aggregate: str | None = None
    node: str | None = None
    own: bool = False
    aggregates: int = 0


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
def draw_map(sources: MapSources, block: Block | None, pause: Pause) -> MapView:
    """The map of a block; None stands for the whole plan."""
    ipam, subnets = sources.ipam, sources.subnets
    tree = ipam.tree
    if block is None:
        roots = [scope.block for scope in islice(tree.roots, _MOST_CELLS)]
        views = [_draw(sources, tree, root, [root], pause)[0] for root in roots]
        return MapView("", None, (), None, (), tuple(views))
    scope = tree.containing(block)
    around = next(subnets.touching(block, pause), None)
    is_in_pool = around is not None and around[0][2] <= block.length
    # Within a pool, there are no blocks to be seen.
    length = cell_length(block, None if is_in_pool else scope)
    cells = cells_of(block, length)
    return MapView(
        block=str(block),
        cell_prefix=length,
        path=tuple(map(str, path_to(tree, block))),
        scope=None if scope is None else str(scope),
        tags=() if scope is None else tuple(sorted(scope.tags)),
        cells=tuple(_draw(sources, tree, block, cells, pause)),
    )


def _draw(
    sources: MapSources, tree: ScopeTree, block: Block, cells: Sequence[Block], pause: Pause
) -> list[CellView]:
    """The cells of a block, which all have one length."""
    tallies = [Tally(cell) for cell in cells]
    pause()
    count(sources.ipam, sources.subnets, block, tallies, pause)
    count_aggregates(sources.aggregates, block, tallies, pause)
    views: list[CellView] = []
    for some in in_parts(tallies, _CELLS_AT_A_TIME):
        with reading_scopes_of(sources.ipam, tree) as state:
            around = [_surroundings(state, tree, tally) for tally in some]
        views += map(_view, some, around)
        pause()
    return views


def _view(tally: Tally, around: Surroundings) -> CellView:
    """What is to be seen of a cell."""
    return CellView(
        subnet=tally.name,
        state=tally.state(around),
        sentence=tally.sentence(around),
        used_percent=tally.used_percent,
        pools=tally.pools,
        leases=tally.leases,
        unclaimed=tally.unclaimed,
        resting=tally.resting,
        scopes=tuple(map(str, around.inside[:_MOST_SCOPES])),
        label=tally.label,
        aggregate=None if around.claimed is None else around.claimed.aggregate,
        node=None if around.claimed is None else around.claimed.node,
        own=around.claimed is not None and around.claimed.is_own,
        aggregates=tally.aggregates,
    )


def _surroundings(state: State, tree: ScopeTree, tally: Tally) -> Surroundings:
    """What is said of a cell by others. Needs the lock."""
    cell = tally.cell
    scope = tree.containing(cell)
    overlapped = tree.overlapped_by(cell)
    return Surroundings(
        scope=scope,
        inside=tuple(
            item for item in overlapped if item is not scope and item.block.is_inside(cell)
        ),
        is_reserved=_is_covered(state.reserved(cell), cell),
        is_on_route=state.placement.is_on_route(cell),
        claimed=None if tally.claimed is None else _claimed(state, cell, tally.claimed),
    )


def _claimed(state: State, cell: Block, aggregate: AggregateRecord) -> ClaimedCell:
    """The aggregate that a cell lies in. Needs the lock."""
    return ClaimedCell(
        aggregate=cidr_of(aggregate),
        node=node_of(aggregate) or state.node,
        is_own=is_local(aggregate.id),
        rests=aggregate.released is not None,
        words=claimed_in_words(state, cell, aggregate),
    )


def _is_covered(ranges: Sequence[AddressRange], cell: Block) -> bool:
    return any(item.first <= cell.start and cell.last <= item.last for item in merge_ranges(ranges))
