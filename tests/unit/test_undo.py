"""A commit that fails leaves nothing behind: whatever is called afterwards is answered as by a
core that never made it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyipam.core.announcements import Announcements
from pyipam.core.decision import Decision
from pyipam.errors import PyipamError, StoreFailure
from tests.support.core import Core, scope, tree_of

TREE = tree_of(
    scope("10.0.0.0", 22, child_prefix=24, reserved=["10.0.0.0/30"]),
    scope("10.1.0.0", 28, child_prefix=30, tags=["small"], reuse_delay=60),
)
SUBNETS = ("10.0.1.0/24", "10.0.1.128/25", "10.1.0.0/30", "10.1.0.4/30")
ADDRESSES = ("10.0.0.1", "10.0.0.4", "10.0.1.1", "10.0.1.200", "10.1.0.1", "10.1.0.2", "10.1.0.5")

Step = tuple[str, int, int]

steps = st.tuples(
    st.sampled_from(
        [
            "pool",
            "small",
            "subnet",
            "release pool",
            "address",
            "given",
            "gateway",
            "serial",
            "release",
            "engine",
            "seconds",
        ]
    ),
    st.integers(0, 7),
    st.integers(0, 7),
)


def take(core: Core, step: Step) -> str:
    """Take a step; the answer, or why it was refused."""
    try:
        return _answer(core, *step)
    except StoreFailure:
        raise
    except PyipamError as error:
        return str(error)


def _answer(core: Core, name: str, one: int, other: int) -> str:
    held = core.pools() if name not in ("pool", "small", "subnet", "engine", "seconds") else []
    pool = held[one % len(held)] if held else "local/10.0.0.0/24"
    address = ADDRESSES[other % len(ADDRESSES)]
    match name:
        case "pool":
            return core.pool(space="global" if one == 0 else "local")
        case "small":
            return core.pool(tags="small")
        case "subnet":
            return core.pool(SUBNETS[one % len(SUBNETS)])
        case "release pool":
            core.release_pool(pool)
        case "address":
            return core.address(pool)
        case "given":
            return core.address(pool, address)
        case "gateway":
            return core.gateway(pool, address if other else "")
        case "serial":
            return core.address(pool, serial=True)
        case "release":
            core.release(pool, address)
        case "engine":
            core.engine = f"engine-{one}"
            core.announce()
        case "seconds":
            core.time.pass_seconds(10.0 * one)
    return "done"


@given(st.lists(steps, max_size=12), st.lists(steps, min_size=1, max_size=5), st.lists(steps))
def test_calls_after_a_failed_commit_are_answered_as_if_it_had_never_been_made(
    before: list[Step], failed: list[Step], after: list[Step]
) -> None:
    core, twin = Core(TREE), Core(TREE)
    for step in before:
        assert take(core, step) == take(twin, step)
    engine, seconds = core.engine, core.time.wall
    core.store.fail = True
    for step in failed:
        with contextlib.suppress(StoreFailure):
            take(core, step)
    core.store.fail = False
    core.engine, core.time.wall = engine, seconds
    core.time.monotonic = twin.time.monotonic

    assert core.store.records == twin.store.records
    for step in [*after, *after]:
        assert take(core, step) == take(twin, step)
    assert core.store.records == twin.store.records


def test_a_decision_can_be_applied_only_inside_a_commit() -> None:
    core = Core(TREE)

    with pytest.raises(AssertionError, match="inside of a commit"):
        core.ipam.request_pool(core.pool_request())
    assert core.pools() == []


def test_announcements_are_values() -> None:
    nothing = Announcements()

    some = nothing.with_back_until("driver", 5.0).with_replay("driver", "local")
    some = some.with_replay("driver", "global").with_replay("alias", "local")
    left = some.without_replays("driver", "local", "global")

    assert nothing == Announcements()
    assert some.back_until == left.back_until == {"driver": 5.0}
    assert left.replayed == {("alias", "local")}


def test_a_decision_changes_nothing_unless_it_says_so() -> None:
    assert Decision("answer") == ("answer", (), (), None)
