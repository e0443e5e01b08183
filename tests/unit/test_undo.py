"""A commit that fails leaves nothing behind: whatever is called afterwards is answered as by a
core that never made it."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyipam.core.announcements import Announcements
from pyipam.core.decision import Decision
from pyipam.errors import PyipamError, StoreFailure
from tests.support.core import DRIVER, Core, scope, tree_of

TREE = tree_of(
    scope("10.0.0.0", 22, child_prefix=24, reserved=["10.0.0.0/30"]),
    scope("10.1.0.0", 28, child_prefix=30, tags=["small"], reuse_delay=60),
)
SUBNETS = ("10.0.1.0/24", "10.0.1.128/25", "10.1.0.0/30", "10.1.0.4/30")
ADDRESSES = ("10.0.0.1", "10.0.0.4", "10.0.1.1", "10.0.1.200", "10.1.0.1", "10.1.0.2", "10.1.0.5")

# Two driver names of one engine: the plugin's own, and an alias.
DRIVERS = (DRIVER, "alias")


class Step(NamedTuple):
    """Something that happens to a core. `one` and `other` choose among what is there."""

    name: str
    driver: str
    one: int
    other: int


steps = st.builds(
    Step,
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
    st.sampled_from(DRIVERS),
    st.integers(0, 7),
    st.integers(0, 7),
)


def take(core: Core, step: Step) -> str:
    """Take a step; the answer, or why it was refused."""
    return answer(core, step, core.pools())


def take_together(core: Core, several: list[Step]) -> None:
    """Take steps in one commit. As with the calls of one poll, a refusal is an answer."""
    held = core.pools()
    core.together(*(partial(answer, core, step, held) for step in several))


def answer(core: Core, step: Step, held: list[str]) -> str:
    """The answer of a step, or why it was refused; `held` are the pools that it chooses from."""
    try:
        return _answer(core, step, held)
    except StoreFailure:
        raise
    except PyipamError as error:
        return str(error)


def _answer(core: Core, step: Step, held: list[str]) -> str:
    name, driver, one, other = step
    pool = held[one % len(held)] if held else "local/10.0.0.0/24"
    address = ADDRESSES[other % len(ADDRESSES)]
    match name:
        case "pool":
            return core.pool(space="global" if one == 0 else "local", driver=driver)
        case "small":
            return core.pool(tags="small", driver=driver)
        case "subnet":
            return core.pool(SUBNETS[one % len(SUBNETS)], driver=driver)
        case "release pool":
            core.release_pool(pool, driver)
        case "address":
            return core.address(pool, driver=driver)
        case "given":
            return core.address(pool, address, driver=driver)
        case "gateway":
            return core.gateway(pool, address if other else "", driver)
        case "serial":
            return core.address(pool, serial=True, driver=driver)
        case "release":
            core.release(pool, address, driver)
        case "engine":
            core.engine = f"engine-{one}"
            core.announce(driver)
        case "seconds":
            core.time.pass_seconds(10.0 * one)
    return "done"


@given(
    st.lists(steps, max_size=12),
    st.lists(st.lists(steps, min_size=1, max_size=4), min_size=1, max_size=4),
    st.lists(steps),
)
def test_calls_after_a_failed_commit_are_answered_as_if_it_had_never_been_made(
    before: list[Step], failed: list[list[Step]], after: list[Step]
) -> None:
    core, twin = Core(TREE), Core(TREE)
    for step in before:
        assert take(core, step) == take(twin, step)
    engine = core.engine
    core.store.fail = True
    for commit in failed:
        with contextlib.suppress(StoreFailure):
            take_together(core, commit)
    core.store.fail = False
    core.engine = engine
    # The time of the failed commits has passed for both.
    twin.time.wall, twin.time.monotonic = core.time.wall, core.time.monotonic

    assert core.store.records == twin.store.records
    for step in [*after, *after]:
        assert take(core, step) == take(twin, step)
    assert core.store.records == twin.store.records


def test_calls_before_the_last_one_of_a_failed_commit_are_undone_too() -> None:
    core = Core(TREE)
    core.store.fail = True
    with pytest.raises(StoreFailure):
        core.together(
            core.pool, partial(core.announce, "alias"), partial(core.pool, driver="alias")
        )
    core.store.fail = False

    assert core.pools() == []
    assert core.ipam.epoch("alias", "local") == 0
    assert core.pool() == "local/10.0.0.0/24"


def test_a_block_whose_release_could_not_be_stored_still_counts_as_used() -> None:
    core = Core(tree_of(scope("10.0.0.0", 22, child_prefix=24)))
    pool = core.pool()
    core.address(pool)
    core.release(pool, "10.0.0.1")
    core.store.fail = True
    with pytest.raises(StoreFailure):
        core.release_pool(pool)
    core.store.fail = False
    core.ipam.use_schema(tree_of(scope("10.0.0.0", 22, child_prefix=24, reuse_delay=60)))

    core.release_pool(pool)
    assert core.pool() == "local/10.0.1.0/24"


def test_serial_requests_go_on_where_they_were_after_a_release_of_the_pool_that_failed() -> None:
    core = Core(TREE)
    pool = core.pool()
    for _ in range(3):
        core.address(pool, serial=True)
    core.release(pool, "10.0.0.6")
    core.store.fail = True
    with pytest.raises(StoreFailure):
        core.release_pool(pool)
    core.store.fail = False

    assert core.address(pool, serial=True) == "10.0.0.7/24"


def test_a_decision_can_be_applied_only_inside_a_commit() -> None:
    core = Core(TREE)

    with pytest.raises(AssertionError, match="inside a commit"):
        core.ipam.request_pool(core.pool_request())
    assert core.pools() == []


def test_announcements_with_something_more_leave_the_former_ones_as_they_were() -> None:
    nothing = Announcements()

    nothing.with_back_until("driver", "engine-1", 5.0).with_replay("driver", "local")

    assert nothing == Announcements()


def test_a_replay_does_not_change_until_when_a_driver_name_only_returns() -> None:
    announcements = (
        Announcements().with_back_until("driver", "engine-1", 5.0).with_replay("driver", "local")
    )

    assert announcements.back_until == {("driver", "engine-1"): 5.0}


def test_replays_are_forgotten_for_one_driver_name_alone() -> None:
    replayed = Announcements().with_replay("driver", "local").with_replay("alias", "local")

    assert replayed.without_replays("driver", "local").replayed == {("alias", "local")}


def test_replays_are_forgotten_in_the_given_address_spaces_alone() -> None:
    replayed = Announcements().with_replay("driver", "local").with_replay("driver", "global")

    assert replayed.without_replays("driver", "local").replayed == {("driver", "global")}
    assert replayed.without_replays("driver", "local", "global").replayed == frozenset()


def test_a_decision_changes_nothing_unless_it_says_so() -> None:
    assert Decision("answer") == ("answer", (), (), None)
