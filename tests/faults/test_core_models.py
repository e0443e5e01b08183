"""Placement against a model, and a core that has lived long against one that starts over the same
records.

Each round is a world of its own. The seed is printed; MODEL_SEED repeats a run, and MODEL_SECONDS
says how long each test goes on.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from pyipam.core.clock import Clock
from pyipam.core.ipam import Ipam
from pyipam.core.placement import Placement, Space
from pyipam.errors import PyipamError
from pyipam.plan.scope import Scope
from pyipam.plan.scope_tree import ScopeTree
from pyipam.space.block import AddressRange, Block
from pyipam.store.memory import MemoryStore
from pyipam.store.records import LeaseKind
from tests.support.core import DRIVER, Core, scope, tree_of
from tests.support.reading import count_free, leases_in, pools_in

SECONDS = float(os.environ.get("MODEL_SECONDS", "15"))
BASE = int(ip_address("10.0.0.0"))
SPACES: tuple[Space, ...] = ("local", "global", "elsewhere")
STEPS = 120


def worlds() -> Iterator[random.Random]:
    """A random choice for each world, until the time is over."""
    seed = int(os.environ.get("MODEL_SEED", str(random.randrange(2**32))))
    print(f"\nMODEL_SEED={seed}")
    until = time.monotonic() + SECONDS
    number = 0
    while number == 0 or time.monotonic() < until:
        yield random.Random(seed + number)
        number += 1
    print(f"{number} worlds")


# Placement


def any_scope(choose: random.Random, start: int, length: int, depth: int = 0) -> dict[str, Any]:
    """A scope, with scopes below it, with and without keys that limit what it gives out."""
    children = []
    if depth < 2 and length < 31:
        child_length = min(length + choose.randrange(3), 32)
        size = 1 << (32 - child_length)
        children = [
            any_scope(choose, start + number * size, child_length, depth + 1)
            for number in range(1 << (child_length - length))
            if choose.random() < 0.4
        ]
    keys: dict[str, Any] = {}
    if length < 32 and choose.random() < 0.8:
        keys["child_prefix"] = choose.randrange(length, 32)
        keys["pre_seed_children"] = choose.random() < 0.2
    keys["lock_down"] = choose.random() < 0.2
    if choose.random() < 0.3:
        end = start + (1 << (32 - length))
        first = choose.randrange(start, end)
        last = choose.randrange(first, end)
        keys["reserved"] = [f"{ip_address(first)}-{ip_address(last)}"]
    return scope(str(ip_address(start)), length, scopes=children, **keys)


def any_tree(choose: random.Random) -> ScopeTree:
    return tree_of(any_scope(choose, BASE + choose.choice([0, 64]), choose.choice([26, 27])))


def addresses(block: Block | AddressRange) -> range:
    first = block.start if isinstance(block, Block) else block.first
    return range(first, block.last + 1)


def check_scope(choose: random.Random, placement: Placement, drawn: Scope, taken: set[int]) -> None:
    """What a scope says is free is what is neither taken nor a child's."""
    free = set(addresses(drawn.block)) - taken
    for child in drawn.children:
        free -= set(addresses(child.block))
    length = choose.randrange(drawn.block.length, 33)
    size = 1 << (32 - length)
    blocks = [
        start
        for start in range(drawn.block.start, drawn.block.last + 1, size)
        if free.issuperset(range(start, start + size))
    ]
    assert placement.count_free(drawn, length) == len(blocks)
    reserved = {address for item in drawn.reserved for address in addresses(item)}
    lowest = placement.lowest(drawn, length)
    if lowest is not None:
        assert lowest.start in blocks
        hosts = addresses(lowest)[1:-1] if length < 31 else addresses(lowest)
        if not reserved.isdisjoint(addresses(lowest)):
            assert len(set(hosts) - reserved) >= 2, "no room for a gateway and a container"


def claimed_of(drawn: Scope, aggregates: Iterable[Block]) -> set[int]:
    """The addresses of the node's aggregates, but for one inside which a scope lies as a whole: the
    node draws blocks of such a scope."""
    return {
        address
        for block in aggregates
        if not (drawn.block.is_inside(block) and drawn.block.length > block.length)
        for address in addresses(block)
    }


def free_in(placement: Placement, aggregate: Block, taken: set[int]) -> set[int]:
    """The addresses of an aggregate that are neither taken nor those of a scope below."""
    own = placement.tree.containing(aggregate)
    below = (each for each in placement.tree.overlapped_by(aggregate) if each is not own)
    return set(addresses(aggregate)) - taken - {x for each in below for x in addresses(each.block)}


def check_aggregate(
    choose: random.Random, placement: Placement, aggregate: Block, taken: set[int]
) -> None:
    """What an aggregate of the node says is free is what is neither taken nor a scope's below."""
    scope_around = placement.tree.containing(aggregate)
    free = free_in(placement, aggregate, taken)
    length = choose.randrange(aggregate.length, 33)
    size = 1 << (32 - length)
    blocks = [
        start
        for start in range(aggregate.start, aggregate.last + 1, size)
        if free.issuperset(range(start, start + size))
    ]
    assert placement.count_free_in_aggregate(aggregate, length) == len(blocks)
    if scope_around is not None:
        lowest = placement.lowest_in_aggregate(scope_around, aggregate, length)
        if not scope_around.reserved:
            assert (None if lowest is None else lowest.start) == min(blocks, default=None)
        assert lowest is None or lowest.start in blocks


def check_turns(
    placement: Placement, drawn: Scope, aggregates: dict[Block, bool], taken: set[int]
) -> None:
    """The aggregates in use of a scope are drawn from in the order of how full they are."""
    free = {each: free_in(placement, each, taken) for each in aggregates}
    for length in range(drawn.block.length, 33):
        size = 1 << (32 - length)
        found = [
            (len(free[each]), each)
            for each, is_used in aggregates.items()
            if is_used
            and placement.tree.containing(each) is drawn
            and each.length < length
            and any(
                free[each].issuperset(range(start, start + size))
                for start in range(each.start, each.last + 1, size)
            )
        ]
        fullest = list(placement.fullest_aggregates(drawn, length))
        assert fullest == [each for _, each in sorted(found)]


def change_aggregates(
    choose: random.Random, placement: Placement, aggregates: dict[Block, bool]
) -> None:
    """Claim a block of the node, let one rest or use it again, or give one back."""
    if aggregates and choose.random() < 0.6:
        block = choose.choice(list(aggregates))
        if choose.random() < 0.4:
            del aggregates[block]
            placement.release_own_aggregate(block)
        elif aggregates[block]:
            aggregates[block] = False
            placement.rest_own_aggregate(block)
        else:
            aggregates[block] = True
            placement.use_own_aggregate(block)
        return
    length = choose.randrange(26, 31)
    block = Block(4, choose.randrange(BASE, BASE + 256, 1 << (32 - length)), length)
    if not any(block.overlaps(other) for other in aggregates):
        aggregates[block] = True
        placement.hold_own_aggregate(block)


def test_what_is_free_follows_from_what_is_held_over_any_changes_of_the_schema() -> None:
    for choose in worlds():
        held: list[tuple[Space, Block]] = []
        # Each of the node's own with whether it is in use.
        aggregates: dict[Block, bool] = {}
        tree = any_tree(choose)
        placement = Placement(tree)
        for _ in range(STEPS):
            drawable = [item for item in tree if item.can_be_drawn_from]
            what = choose.random()
            if what < 0.03:
                tree = any_tree(choose)
                placement = Placement(tree, held, aggregates=aggregates)
                for block in (each for each, is_used in aggregates.items() if not is_used):
                    placement.rest_own_aggregate(block)
            elif what < 0.1:
                change_aggregates(choose, placement, aggregates)
            elif what < 0.55 or not held:
                length = choose.randrange(24, 33)
                size = 1 << (32 - length)
                found = Block(4, choose.randrange(BASE, BASE + 256, size), length)
                if drawable and choose.random() < 0.5:
                    drawn = choose.choice(drawable)
                    wanted = choose.randrange(drawn.block.length, 33)
                    found = placement.lowest(drawn, wanted) or found
                item = (choose.choice(SPACES), found)
                held.append(item)
                placement.hold(*item)
            else:
                placement.release(*held.pop(choose.randrange(len(held))))
            if choose.random() < 0.5:
                placement.look_ahead()
            taken = {address for _, block in held for address in addresses(block)}
            for aggregate in aggregates:
                check_aggregate(choose, placement, aggregate, taken)
            for drawn in (item for item in tree if item.can_be_drawn_from):
                check_scope(choose, placement, drawn, taken | claimed_of(drawn, aggregates))
                check_turns(placement, drawn, aggregates, taken)
            place = Block(4, choose.randrange(BASE, BASE + 256, 4), 30)
            assert placement.is_free_everywhere(place) == taken.isdisjoint(addresses(place))


# Whole lives of a core


def schema_of_a_life(choose: random.Random) -> ScopeTree:
    keys: dict[str, Any] = {
        "child_prefix": choose.choice([28, 29, 30]),
        "tags": ["default"],
        "reuse_delay": choose.choice([0, 0, 50, 300]),
    }
    if choose.random() < 0.3:
        entries = ["10.0.0.0/29", "10.0.0.17", "10.0.0.3-10.0.0.5", "10.0.0.96/27"]
        keys["reserved"] = choose.sample(entries, 2)
    children = []
    if choose.random() < 0.5:
        children.append(
            scope(
                "10.0.0.64",
                27,
                child_prefix=choose.choice([28, 30]),
                tags=[choose.choice(["default", "other"])],
                lock_down=choose.random() < 0.3,
                reuse_delay=choose.choice([0, 100]),
            )
        )
    if choose.random() < 0.2:
        children.append(scope("10.0.0.0", 28, child_prefix=30, tags=["default"]))
    if choose.random() < 0.1:
        return tree_of(scope("10.9.0.0", 25, child_prefix=29, tags=["default"]))
    return tree_of(scope("10.0.0.0", 25, scopes=children, **keys))


def take_step(choose: random.Random, core: Core, step: int) -> None:
    """Something that happens to a core."""
    driver = choose.choice([DRIVER, DRIVER, "other"])
    pools = core.pools()
    pool = choose.choice(pools) if pools else "local/10.0.0.0/29"
    space = choose.choice(["local", "global"])
    match choose.choices(
        ["block", "subnet", "end", "address", "release", "seconds", "schema", "engine", "plugin"],
        [25, 15, 10, 25, 13, 4, 3, 3, 2],
    )[0]:
        case "block":
            core.pool(space=space, length=choose.choice([None, None, 27, 30]), driver=driver)
        case "subnet":
            length = choose.randrange(26, 31)
            start = choose.randrange(BASE, BASE + 128, 1 << (32 - length))
            subnet = f"{ip_address(start)}/{length}"
            ip_range = f"{ip_address(start)}/{length + 1}" if choose.random() < 0.3 else ""
            core.pool(
                subnet,
                space=space,
                driver=driver,
                ip_range=ip_range,
                is_repeated=choose.random() < 0.3,
            )
        case "end":
            core.release_pool(pool, driver)
        case "address":
            address = (
                "" if choose.random() < 0.7 else str(ip_address(choose.randrange(BASE, BASE + 128)))
            )
            kinds: list[LeaseKind] = ["container", "container", "gateway"]
            kind = choose.choice(kinds)
            core.address(pool, address, kind=kind, serial=choose.random() < 0.2, driver=driver)
        case "release":
            leases = list(core.leases(pool)) if pools else []
            if leases:
                core.release(pool, choose.choice(leases), driver)
        case "seconds":
            core.time.pass_seconds(choose.choice([1, 40, 60, 200]))
        case "schema":
            core.tree = schema_of_a_life(choose)
            core.ipam.use_schema(core.tree)
        case "engine":
            if choose.random() < 0.5:
                core.engine = f"engine-{step}"
            core.announce(driver)
        case "plugin":
            core.store.fail = False
            core.start()


def what_it_knows(ipam: Ipam) -> dict[str, Any]:
    """All that a core holds, and what of it and of its scopes is free."""
    pools = pools_in(ipam)
    return {
        "pools": {pool.id: pool for pool, _ in pools},
        "leases": {subnet.id: dict(subnet.leases) for _, subnet in pools},
        "claimed": {pool.id: leases_in(ipam, pool.id) for pool, _ in pools if pool.claims},
        "free": {
            (str(drawn), length): count_free(ipam, drawn, length)
            for drawn in ipam.tree
            if drawn.can_be_drawn_from
            for length in range(drawn.block.length, 33)
        },
    }


def where_subnets_go_on(ipam: Ipam) -> dict[str, tuple[int | None, bool]]:
    """Of each subnet, where serial requests go on, and whether any address was ever given out."""
    return {subnet.id: (subnet.last_given, subnet.ever_leased) for _, subnet in pools_in(ipam)}


def one_that_starts_now(core: Core) -> Ipam:
    """A core over a copy of what is stored, to which no engine has announced itself yet."""
    clock = Clock(lambda: core.time.wall, core.time.tick)
    ipam = Ipam(MemoryStore(dict(core.store.records)), core.policy, clock)
    ipam.load(core.tree)
    return ipam


def test_a_core_that_has_lived_knows_what_one_knows_that_starts_over_its_records() -> None:
    for choose in worlds():
        core = Core(schema_of_a_life(choose))
        for step in range(STEPS):
            before = what_it_knows(core.ipam), where_subnets_go_on(core.ipam)
            time_before = core.time.wall
            tree_before = core.tree
            core.store.fail = choose.random() < 0.12
            records_before = dict(core.store.records)
            with suppress(PyipamError):
                take_step(choose, core, step)
            failed, core.store.fail = core.store.fail, False
            if failed and core.time.wall == time_before and core.tree is tree_before:
                assert core.store.records == records_before
                assert (what_it_knows(core.ipam), where_subnets_go_on(core.ipam)) == before
            assert what_it_knows(one_that_starts_now(core)) == what_it_knows(core.ipam)
