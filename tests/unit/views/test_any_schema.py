"""Every view answers, whatever the schemas were and whatever nodes have claimed under them."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from pyipam.core.aggregates import AGGREGATE_REST_SECONDS
from pyipam.errors import PyipamError
from pyipam.plan.scope_tree import ScopeTree
from pyipam.views.aggregates import count_by_scope
from pyipam.views.scopes import fullness_of_scopes
from tests.support.core import Core, scope, tree_of
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan
from tests.support.viewing import Viewer

_LONGEST = 24
# Of the scope, and of the one below it.
_LENGTHS = (16, 18)


class Step(NamedTuple):
    """Something that happens to one of two nodes. `number` chooses among what is there."""

    name: str
    on: int
    number: int


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from(["pool", "length", "subnet", "release", "rest", "forget", "remember"]),
        st.integers(0, 1),
        st.integers(0, 7),
    ),
    max_size=12,
)


@st.composite
def keys(draw: st.DrawFn, length: int) -> dict[str, Any]:
    """Keys of a scope of this length."""
    found: dict[str, Any] = {"lock_down": draw(st.booleans())}
    child_prefix = draw(st.none() | st.integers(length, _LONGEST))
    if child_prefix is not None:
        found["child_prefix"] = child_prefix
    if child_prefix is not None and child_prefix > length:
        node_prefix = draw(st.none() | st.integers(length, child_prefix - 1))
        found |= {} if node_prefix is None else {"node_prefix": node_prefix}
    return found


@st.composite
def trees(draw: st.DrawFn) -> ScopeTree:
    """A scope, perhaps with one below it."""
    outer, inner = _LENGTHS
    below = [scope("10.1.64.0", inner, **draw(keys(inner)))] if draw(st.booleans()) else []
    return tree_of(scope("10.1.0.0", outer, **draw(keys(outer)), scopes=below))


def take(plan: SharedPlan, nodes: list[Core], step: Step) -> None:
    """Take a step, which may be refused."""
    core, number = nodes[step.on], step.number
    match step.name:
        case "pool":
            core.pool()
        case "length":
            core.pool(length=17 + number)
        case "subnet":
            core.pool(f"10.1.{number * 16}.0/24")
        case "release" if pools := core.pools():
            core.release_pool(pools[number % len(pools)])
        case "rest":
            core.time.pass_seconds(AGGREGATE_REST_SECONDS)
            core.ipam.catch_up()
        case "forget":
            plan.forget("h2", core.time.wall)
        case "remember":
            plan.undo_forgetting("h2")


def look_at_everything(core: Core) -> None:
    """Ask for every view."""
    viewer = Viewer(core)
    for each in viewer.scopes():
        viewer.free_blocks(each.network)
        viewer.map(each.network)
    for address in ("10.1.0.1", "10.1.80.1", "10.1.255.254"):
        viewer.explain(address)
    for length in (None, 17, 20, _LONGEST):
        viewer.trial(length=length)
    viewer.trial(subnet="10.1.80.0/24")
    viewer.aggregates()
    viewer.census()
    viewer.map()
    viewer.nodes()
    viewer.pools()
    count_by_scope(core.ipam, viewer.known_aggregates, viewer.pause)
    fullness_of_scopes(core.ipam, viewer.pause)


@settings(max_examples=50)
@given(st.lists(st.tuples(trees(), steps), min_size=1, max_size=3))
def test_every_view_answers(lives: list[tuple[ScopeTree, list[Step]]]) -> None:
    plan = SharedPlan()
    nodes = [node(plan, name, lives[0][0]) for name in ("h1", "h2")]

    for tree, happening in lives:
        for core in nodes:
            core.ipam.use_schema(tree)
        for step in happening:
            with contextlib.suppress(PyipamError):
                take(plan, nodes, step)
        for core in nodes:
            core.ipam.catch_up()
            look_at_everything(core)
