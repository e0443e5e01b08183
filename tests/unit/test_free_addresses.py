"""Free addresses against a model that looks at every address."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from pyipam.space.block import AddressRange
from pyipam.space.free_addresses import FreeAddresses
from tests.unit.memory import bytes_taken_by_repeating

FIRST, LAST = 100, 139
any_address = st.integers(FIRST, LAST)


class AddressesAgreeWithTheModel(RuleBasedStateMachine):
    """Lowest free addresses, next ones in turn, requested ones and releases, in any order."""

    @initialize(
        reserved=st.lists(st.tuples(any_address, st.integers(0, 5)), max_size=3),
    )
    def begin(self, reserved: list[tuple[int, int]]) -> None:
        ranges = [AddressRange(first, min(first + more, LAST)) for first, more in reserved]
        self.reserved = {a for item in ranges for a in range(item.first, item.last + 1)}
        self.used: set[int] = set()
        self.free = FreeAddresses(FIRST, LAST, self.used, ranges)

    def available(self) -> list[int]:
        return [a for a in range(FIRST, LAST + 1) if a not in self.used | self.reserved]

    @rule()
    def give_lowest(self) -> None:
        found = self.free.lowest()
        available = self.available()
        assert found == (available[0] if available else None)
        if found is not None:
            self.used.add(found)

    @rule(previous=any_address)
    def give_next(self, previous: int) -> None:
        found = self.free.after(previous)
        available = self.available()
        later = [address for address in available if address > previous]
        assert found == next(iter(later or available), None)
        if found is not None:
            self.used.add(found)

    @rule(address=any_address)
    def give_that_one(self, address: int) -> None:
        self.used.add(address)

    @rule(address=any_address)
    def release(self, address: int) -> None:
        if address in self.used:
            self.used.discard(address)
            self.free.mark_released(address)


AddressesAgreeWithTheModel.TestCase.settings = settings(
    max_examples=150, stateful_step_count=60, deadline=None
)
TestAddressesAgreeWithTheModel = AddressesAgreeWithTheModel.TestCase


def test_capacity_counts_the_addresses_that_are_not_reserved() -> None:
    reserved = [AddressRange(90, 101), AddressRange(101, 103), AddressRange(200, 300)]
    assert FreeAddresses(100, 109, set(), reserved).capacity() == 6


def test_a_reserved_range_of_any_size_is_skipped_in_one_step() -> None:
    free = FreeAddresses(0, 1 << 64, set(), [AddressRange(0, 1 << 63)])
    assert free.lowest() == (1 << 63) + 1


def test_a_reserved_address_that_was_given_on_request_is_not_offered_after_its_release() -> None:
    used = {100}
    free = FreeAddresses(100, 105, used, [AddressRange(100, 100)])
    assert free.lowest() == 101
    used.discard(100)
    free.mark_released(100)
    assert free.lowest() == 101


def test_giving_and_releasing_an_address_over_and_over_takes_no_memory() -> None:
    used = set(range(100, 110))
    free = FreeAddresses(100, 200, used)
    assert free.lowest() == 110

    def release_and_give() -> None:
        used.discard(105)
        free.mark_released(105)
        used.add(105)

    assert bytes_taken_by_repeating(release_and_give) < 4096
    assert free.lowest() == 110
