"""Where a node looks for blocks after it has met other nodes."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pyipam.core.clock import Clock
from pyipam.core.meetings import Meetings
from pyipam.core.placement import Placement
from pyipam.plan.scope import Scope
from pyipam.space.block import Block, parse_subnet
from pyipam.space.stripes import stripes_of
from tests.support.core import Time, scope, tree_of

TREE = tree_of(
    scope("10.0.0.0", 16, child_prefix=26),
    scope("10.1.0.0", 23, child_prefix=26),
    scope("fd00::", 48, child_prefix=64),
)
LARGE, SMALL, IPV6 = TREE
LOWEST = parse_subnet("10.0.0.0/26")


@dataclass
class Node:
    """A node that draws from a plan, and what it has met."""

    time: Time = field(default_factory=Time)
    placement: Placement = field(default_factory=lambda: Placement(TREE))

    def __post_init__(self) -> None:
        clock = Clock(lambda: self.time.wall, lambda: self.time.monotonic, lambda _: None)
        self.meetings = Meetings(clock)

    def meet(self, block: Block = LOWEST) -> None:
        """Meet others again and again."""
        for _ in range(2):
            self.meetings.meet([block], [block])

    def apart(self, drawn: Scope = LARGE, length: int = 26) -> Block | None:
        block = self.meetings.apart(self.placement, drawn, length)
        if block is not None:
            self.placement.hold("local", block)
        return block

    def stripe(self) -> tuple[int, ...]:
        block = self.apart()
        assert block is not None
        return stripes_of(block)


@pytest.fixture
def node() -> Node:
    return Node()


def test_a_node_that_has_met_nobody_takes_the_lowest_block(node: Node) -> None:
    node.meetings.see(LOWEST)
    node.meetings.meet([LOWEST], [parse_subnet("10.0.1.0/26")])

    assert node.apart() is None


def test_a_node_that_had_not_heard_yet_of_a_block_takes_the_lowest_one_that_is_left(
    node: Node,
) -> None:
    for _ in range(5):
        node.meetings.meet([LOWEST], [LOWEST])
        assert node.apart() is None
        node.time.pass_seconds(1.5)


def test_a_node_that_has_met_another_takes_blocks_of_one_other_stripe(node: Node) -> None:
    node.meet()

    blocks = [node.apart() for _ in range(64)]

    assert None not in blocks
    assert len(set(blocks)) == 64
    stripes = {stripes_of(block) for block in blocks if block is not None}
    assert len(stripes) == 1
    assert stripes_of(LOWEST) not in stripes


def test_blocks_are_taken_from_the_start_of_the_stripe_on(node: Node) -> None:
    node.meet()

    blocks = [node.apart() for _ in range(32)]

    assert blocks == sorted(blocks, key=lambda block: 0 if block is None else block.start)


def test_a_stripe_in_which_others_were_just_seen_is_not_chosen(node: Node) -> None:
    for number in range(16):
        block = parse_subnet(f"10.0.{number}.0/24")
        if stripes_of(block) != (5,):
            node.meetings.see(block)

    node.meet()

    assert node.stripe() == (5,)


def test_a_node_that_is_met_in_its_stripe_moves_to_another(node: Node) -> None:
    node.meet()
    own = node.apart()
    assert own is not None

    node.meet(own)

    assert node.stripe() != stripes_of(own)


def test_a_node_that_is_met_elsewhere_stays(node: Node) -> None:
    node.meet()
    own = node.stripe()

    node.meet()

    assert node.stripe() == own


def test_after_a_while_alone_the_lowest_block_is_taken_again(node: Node) -> None:
    node.meet()
    node.time.pass_seconds(29)
    assert node.apart() is not None

    node.time.pass_seconds(2)

    assert node.apart() is None


def test_a_node_stays_while_others_create_blocks_when_it_does(node: Node) -> None:
    node.meet()
    for _ in range(10):
        node.time.pass_seconds(20)
        node.meetings.see(LOWEST)
        node.time.pass_seconds(0.5)
        assert node.apart() is not None


def test_a_scope_without_the_stripe_gives_blocks_of_one_that_it_has(node: Node) -> None:
    node.meet()

    blocks = [node.apart(SMALL) for _ in range(4)]

    assert None not in blocks
    assert len({stripes_of(block) for block in blocks if block is not None}) == 1


def test_a_full_stripe_leaves_the_lowest_block(node: Node) -> None:
    node.meet()
    while node.apart(SMALL) is not None:
        pass

    assert node.placement.lowest(SMALL, 26) is not None


@pytest.mark.parametrize("length", [20, 22, 23, 24, 28])
def test_blocks_of_every_length_touch_the_stripe(node: Node, length: int) -> None:
    node.meet()
    (own,) = node.stripe()

    for _ in range(4):
        block = node.apart(LARGE, length)
        assert block is not None
        assert own in stripes_of(block)


def test_stripes_of_ipv6_are_as_those_of_ipv4(node: Node) -> None:
    node.meet()

    blocks = [node.apart(IPV6, 64) for _ in range(4)]

    assert {stripes_of(block) for block in blocks if block is not None} == {node.stripe()}
