"""Networks that nobody announces, because their scope has lost its `node_prefix`, are a warning."""

from __future__ import annotations

from tests.support.core import Core, tree_of
from tests.support.several_nodes import node
from tests.support.shared_plan import SharedPlan
from tests.support.viewing import Viewer
from tests.unit.aggregates import SCOPE, plan_with

PLAIN = tree_of({key: value for key, value in SCOPE.items() if key != "node_prefix"})


def warnings_of(core: Core) -> tuple[str, ...]:
    viewer = Viewer(core, core.node)
    return viewer.censuses.latest(viewer.pause).warnings


def test_networks_that_nobody_announces_once_the_key_is_away_are_a_warning() -> None:
    plan = SharedPlan()
    h1, h2 = node(plan, "h1", plan_with()), node(plan, "h2", plan_with())
    h1.pool()
    h2.pool()
    h1.ipam.catch_up()
    h1.ipam.use_schema(PLAIN)
    assert warnings_of(h1) == ()

    h1.pool("10.1.64.0/22")

    (warning,) = warnings_of(h1)
    assert warning == (
        "scope 10.1.0.0/16 has no node_prefix any more, and 1 pool lies in no block that this node "
        "has claimed of it: such networks are announced only with `pyipam routes --exact`, or when "
        "the key is back"
    )
    h1.ipam.use_schema(plan_with())
    assert warnings_of(h1) == ()


def test_networks_of_a_plan_without_claims_are_no_warning() -> None:
    core = Core(PLAIN)
    core.pool()

    assert warnings_of(core) == ()
