"""What holds after any sequence of calls: nothing given twice, nothing lost, nothing left over."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_network
from itertools import combinations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pyipam.errors import PyipamError, StoreFailure
from pyipam.space.address import AddressSpace
from pyipam.store.pool_id import parse_pool_id
from pyipam.transfer.export_file import Export, read_export, write_export
from tests.support.core import Core, scope, tree_of
from tests.support.counting import counted, kept
from tests.support.reading import leases_in, pools_in

SCHEMAS = [
    tree_of(scope("10.0.0.0", 24, child_prefix=28)),
    tree_of(
        scope(
            "10.0.0.0",
            24,
            child_prefix=26,
            reuse_delay=30,
            scopes=[
                scope("10.0.0.64", 26, child_prefix=29, reserved=["10.0.0.64/29", "10.0.0.73"]),
            ],
        ),
    ),
    tree_of(scope("10.0.0.128", 25, child_prefix=29, address_space="global")),
    tree_of(scope("10.0.0.0", 24, child_prefix=27, lock_down=True, pre_seed_children=True)),
]

spaces = st.sampled_from(["local", "global"])
drivers = st.sampled_from(["driver", "ingress"])
subnets = st.builds(
    lambda length, host: str(ip_network(f"10.0.0.{host}/{length}", strict=False)),
    st.integers(25, 30),
    st.integers(0, 255),
)

numbers = st.integers(0, 50)


class Calls(RuleBasedStateMachine):
    """Docker's calls in any order, over changing schemas, with restarts and a failing disk."""

    @initialize()
    def begin(self) -> None:
        self.core = Core(SCHEMAS[0])

    def held(self, number: int) -> str | None:
        pools = self.core.pools()
        return pools[number % len(pools)] if pools else None

    @rule(space=spaces, length=st.none() | st.integers(25, 31), driver=drivers)
    def request_any_pool(self, space: AddressSpace, length: int | None, driver: str) -> None:
        before = {parse_pool_id(pool).subnet for pool in self.core.pools()}
        try:
            given = parse_pool_id(self.core.pool(space=space, length=length, driver=driver))
        except PyipamError:
            return
        replaced = {network for network in before if network.overlaps(given.subnet)}
        still = {parse_pool_id(pool).subnet for pool in self.core.pools()} - {given.subnet}
        assert not replaced & still

    @rule(space=spaces, subnet=subnets, driver=drivers)
    def request_that_pool(self, space: AddressSpace, subnet: str, driver: str) -> None:
        try:
            given = self.core.pool(subnet, space=space, driver=driver)
        except PyipamError:
            return
        assert given == f"{space}/{subnet}"

    @rule(number=numbers, driver=drivers)
    def release_pool(self, number: int, driver: str) -> None:
        pool = self.held(number)
        if pool is not None:
            before = self.core.references(pool)
            with suppress(StoreFailure):
                self.core.release_pool(pool, driver=driver)
            assert self.core.references(pool) in (before, before - 1)

    @rule(number=numbers, serial=st.booleans(), driver=drivers)
    def request_any_address(self, number: int, serial: bool, driver: str) -> None:
        pool = self.held(number)
        if pool is None:
            return
        claimed = {a for a, is_claimed in self.core.leases(pool).items() if is_claimed}
        try:
            given = self.core.address(pool, serial=serial, driver=driver)
        except PyipamError:
            return
        assert given.partition("/")[0] not in claimed

    @rule(number=numbers, host=st.integers(0, 255))
    def request_that_address(self, number: int, host: int) -> None:
        pool = self.held(number)
        if pool is None:
            return
        in_use = {
            lease.address
            for lease, claimed in leases_in(self.core.ipam, pool)
            if claimed and lease.released is None
        }
        try:
            given = self.core.address(pool, f"10.0.0.{host}")
        except PyipamError:
            return
        assert given.partition("/")[0] not in in_use

    @rule(number=numbers, host=st.integers(0, 255))
    def release_address(self, number: int, host: int) -> None:
        pool = self.held(number)
        if pool is not None:
            with suppress(StoreFailure):
                self.core.release(pool, f"10.0.0.{host}")

    @rule(number=st.integers(0, len(SCHEMAS) - 1))
    def change_schema(self, number: int) -> None:
        self.core.tree = SCHEMAS[number]
        self.core.ipam.use_schema(self.core.tree)

    @rule(seconds=st.integers(0, 40))
    def wait(self, seconds: int) -> None:
        self.core.time.pass_seconds(seconds)

    @rule()
    def let_the_disk_fail_or_work(self) -> None:
        self.core.store.fail = not self.core.store.fail

    @rule(engine=st.sampled_from(["engine-1", "engine-2", ""]))
    def restart(self, engine: str) -> None:
        self.core.store.fail = False
        self.core.restart_engine(engine)

    @invariant()
    def pools_of_one_space_do_not_overlap(self) -> None:
        held = [parse_pool_id(pool) for pool in self.core.pools()]
        for one, other in combinations(held, 2):
            if one.space == other.space and one.subnet != other.subnet:
                assert not one.subnet.overlaps(other.subnet)

    @invariant()
    def leases_lie_in_their_pools(self) -> None:
        for pool in self.core.pools():
            network = parse_pool_id(pool).subnet
            for lease, _ in leases_in(self.core.ipam, pool):
                assert ip_network(lease.address).subnet_of(network)  # type: ignore[arg-type]

    @invariant()
    def memory_says_what_is_stored(self) -> None:
        stored = set(self.core.store.records.values())
        known = {pool for pool, _ in pools_in(self.core.ipam)}
        for _, subnet in pools_in(self.core.ipam):
            known |= set(subnet.leases.values())  # type: ignore[arg-type]
        assert known <= stored
        assert {record for record in stored if hasattr(record, "released")} == known

    @invariant()
    def what_it_counts_is_what_one_finds_by_counting(self) -> None:
        assert kept(self.core.ipam) == counted(self.core.ipam)

    @invariant()
    def what_is_stored_can_be_exported_and_imported(self) -> None:
        stored = self.core.store.records.values()
        export = read_export(write_export(Export(tuple(stored))))
        assert isinstance(export, Export), export
        assert set(export.records) == set(stored)

    def teardown(self) -> None:
        """Everything given back leaves a plan as free as it was."""
        if not hasattr(self, "core"):
            return
        self.core.store.fail = False
        for driver in ("driver", "ingress"):
            for pool in self.core.pools():
                for _ in range(self.core.references(pool)):
                    self.core.release_pool(pool, driver=driver)
        self.core.time.pass_seconds(1000)
        self.core.tree = SCHEMAS[0]
        self.core.ipam.use_schema(self.core.tree)
        assert self.core.pool(length=24) == "local/10.0.0.0/24"


Calls.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestAnySequenceOfCalls = Calls.TestCase
