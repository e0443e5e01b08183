"""The routes of the kernel kept equal to what is to be announced."""

from __future__ import annotations

import pytest

from pyipam.cli.routing.announced import NOTHING
from pyipam.cli.routing.kernel import announced_twice, synchronize
from pyipam.space.block import parse_subnet
from tests.unit.cli.routing.answers import MemoryKernel, announced


def test_what_is_missing_is_added_and_what_is_too_much_is_deleted() -> None:
    kernel = MemoryKernel("10.1.0.0/20", "10.1.16.0/20")

    changes = synchronize(kernel, announced("10.1.16.0/20", "fd00:10:1::/48"), NOTHING)

    assert kernel.done == ["+fd00:10:1::/48", "-10.1.0.0/20"]
    assert changes.done == ("added fd00:10:1::/48", "deleted 10.1.0.0/20")
    assert changes.failed == ()


def test_what_is_as_it_is_to_be_is_left_alone() -> None:
    kernel = MemoryKernel("10.1.0.0/20")

    synchronize(kernel, announced("10.1.0.0/20"), NOTHING)

    assert kernel.done == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("10.1.0.0/20", "10.1.16.0/20"), ("10.1.0.0/19",)),
        (("10.1.0.0/19",), ("10.1.0.0/20", "10.1.16.0/20")),
    ],
    ids=["merged", "split"],
)
def test_the_new_route_is_there_before_the_old_one_goes(
    before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    kernel = MemoryKernel(*before)

    synchronize(kernel, announced(*after), NOTHING)

    expected = [*(f"+{prefix}" for prefix in after), *(f"-{prefix}" for prefix in before)]
    assert kernel.done == expected


def test_a_route_outside_the_plan_is_not_touched() -> None:
    kernel = MemoryKernel("10.2.0.0/20")

    synchronize(kernel, announced(), NOTHING)

    assert kernel.done == []


def test_a_route_of_a_scope_that_has_left_the_schema_is_deleted() -> None:
    kernel = MemoryKernel("10.2.0.0/20")
    formerly = announced("10.2.0.0/20", plan=["10.1.0.0/16", "10.2.0.0/16"])

    synchronize(kernel, announced(), formerly)

    assert kernel.done == ["-10.2.0.0/20"]


def test_a_part_stays_where_the_whole_could_not_be_added() -> None:
    kernel = MemoryKernel("10.1.0.0/20", "10.1.64.0/20")
    kernel.taken = {parse_subnet("10.1.0.0/19")}

    changes = synchronize(kernel, announced("10.1.0.0/19"), NOTHING)

    assert kernel.done == ["-10.1.64.0/20"]
    assert changes.failed == (
        "10.1.0.0/19 is not added: the kernel has another route of proto 99 (ip route show "
        "10.1.0.0/19). Remove that; a former --proto leaves its routes there (ip route flush "
        "proto NUMBER)",
    )


def test_an_own_prefix_that_bgp_brings_is_announced_twice() -> None:
    kernel = MemoryKernel()
    kernel.from_bgp = set(map(parse_subnet, ("10.1.16.0/24", "10.1.32.0/20")))

    (warning,) = announced_twice(kernel, announced("10.1.16.0/20"))

    assert warning.startswith("10.1.16.0/24 is announced twice: ")
