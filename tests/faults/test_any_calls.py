"""Any sequence of Docker's calls, with restarts of the plugin and the engine, against a model.

The bytes of each call go to the application, which keeps a real state folder. Each answer must be
the one that the model gives, and after each call the views must show what the model holds.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.faults.model.plan import Plan
from tests.faults.model.records import Refused
from tests.faults.model.scopes import Network
from tests.support.dockerd import GATEWAY, SERIAL, pool_request
from tests.support.in_process import InProcess, captured_log
from tests.support.program import scope

SCHEMA: Mapping[str, Any] = {
    "schema_version": 1,
    "scopes": [
        scope(
            "10.0.0.0/24",
            28,
            tags=["default", "a"],
            reserved=["10.0.0.0/27", "10.0.0.35/32"],
            scopes=[
                scope("10.0.0.128/26", 29, tags=["b"]),
                scope(
                    "10.0.0.192/26",
                    28,
                    tags=["c"],
                    lock_down=True,
                    scopes=[scope("10.0.0.208/28", 30, tags=["d"], address_space="global")],
                ),
            ],
        ),
        scope("10.0.1.0/28", 29, tags=["a"]),
        scope("fd00::/62", 64, tags=["default", "b"]),
    ],
}

drivers = st.sampled_from(["driver", "driver", "ingress"])
engines = st.sampled_from(["engine-1", "engine-2", "engine-3", ""])
spaces = st.sampled_from(["local", "local", "global"])
lengths = st.sampled_from([None, None, 26, 28, 29, 30])
tags = st.sampled_from(["", "", "", "a", "b", "d,b", "a+!default", "d", "c", "nothing"])
subnets = st.builds(
    lambda length, host: str(ip_network(f"10.0.{host // 256}.{host % 256}/{length}", strict=False)),
    st.integers(24, 30),
    st.integers(0, 300),
) | st.sampled_from(["10.0.0.32/28", "10.0.0.32/28", "fd00::/64", "fd00:0:0:1::/64", "10.1.0.0/24"])
ranges = st.integers(0, 2)
numbers = st.integers(0, 1000)
hosts = st.none() | st.none() | st.integers(0, 20)
kinds = st.sampled_from([{}, {}, SERIAL, GATEWAY, GATEWAY | SERIAL])


class Calls(RuleBasedStateMachine):
    """Docker's calls in any order."""

    @initialize()
    def begin(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="pyipam-"))
        self.surroundings = ExitStack()
        self.surroundings.callback(shutil.rmtree, self.home)
        self.surroundings.enter_context(captured_log())
        # This process reads what was written, whether it was synced or not.
        self.surroundings.enter_context(mock.patch("os.fsync"))
        self.surroundings.enter_context(mock.patch("os.fdatasync"))
        self.plugin = InProcess(self.home, json.dumps(SCHEMA), aliases=("ingress",))
        self.plan = Plan(SCHEMA)

    def teardown(self) -> None:
        if hasattr(self, "plugin"):
            self.plugin.stop()
            self.surroundings.close()

    def ask(
        self, driver: str, call: str, body: dict[str, Any], expect: Callable[[], dict[str, Any]]
    ) -> None:
        """Send a call; its answer, or its refusal, must be the expected one."""
        self.plugin.seconds += 1
        self.plan.asking = self.plugin.engine
        reply = self.plugin.call(call, body, driver)
        answer: dict[str, Any] | int
        try:
            answer = expect()
        except Refused as refusal:
            answer = refusal.status
        if isinstance(answer, int):
            assert reply.status == answer, reply
            assert reply.error()
        else:
            assert reply.json() == answer

    def pool(self, number: int) -> str:
        """The id of some pool, which is usually held."""
        known = [*sorted(self.plan.pools), "local/10.0.0.32/28"]
        return known[number % len(known)]

    def leased(self, pool: str, number: int) -> str:
        """Some address that is leased in the subnet of the pool, by this pool or another one."""
        leased = sorted(
            str(address)
            for subnet_id, address in self.plan.leases
            if f"{pool}/".startswith(f"{subnet_id}/")
        ) or ["10.0.0.33"]
        return leased[number % len(leased)]

    # Restarts

    @rule(driver=drivers, engine=engines)
    def announce(self, driver: str, engine: str) -> None:
        self.plugin.engine = engine
        self.plugin.seconds += 2
        answer = {"RequiresMACAddress": False, "RequiresRequestReplay": True}
        assert self.plugin.send("POST", "/Plugin.Activate", driver=driver).status == 200
        assert self.plugin.call("GetCapabilities", driver=driver).json() == answer
        spaces = self.plugin.call("GetDefaultAddressSpaces", driver=driver).json()
        assert set(spaces.values()) == {"local", "global"}
        self.plan.announce(driver, engine, self.plugin.seconds)

    @rule(killed=st.booleans(), engine=engines)
    def restart_the_plugin(self, killed: bool, engine: str) -> None:
        """Stop or kill the plugin and start it; then the engine asks for the capabilities."""
        if killed:
            self.plugin.kill()
        else:
            self.plugin.stop()
        self.plugin.start()
        self.plan.restart_plugin(self.plugin.seconds)
        for driver in ("driver", "ingress"):
            self.announce(driver, engine)

    @rule(somebody=engines)
    def somebody_else_asks(self, somebody: str) -> None:
        """A process calls that has not announced itself, or not last."""
        self.plugin.engine = somebody

    @rule(engine=engines, driver=drivers, forgotten=st.sets(st.integers(0, 9)))
    def replay(self, engine: str, driver: str, forgotten: set[int]) -> None:
        """An engine starts and claims what it knows, which may not be all that it had."""
        self.announce(driver, engine)
        held = sorted(self.plan.pools)
        for pool_id in (pool_id for n, pool_id in enumerate(held) if n not in forgotten):
            if pool_id not in self.plan.pools or driver not in self.plan.pools[pool_id].claims:
                continue
            space, subnet, ip_range = _parts(pool_id)
            shared = self.plan.pools[pool_id].shared
            self.request_that_pool(driver, space, subnet, ip_range, "", shared=shared)
            for n, lease in enumerate(self.plan.leases_of(pool_id)):
                if lease.driver == driver and n + 1 not in forgotten:
                    options = GATEWAY if lease.kind == "gateway" else {}
                    self.request_address(driver, pool_id, str(lease.address), options)

    # Pools

    @rule(driver=drivers, space=spaces, v6=st.booleans(), length=lengths, tags=tags)
    def request_a_pool(
        self, driver: str, space: str, v6: bool, length: int | None, tags: str
    ) -> None:
        options = {"scope_filter_tags": tags} if tags else {}
        if length is not None:
            options["prefix"] = str(length)

        def expect() -> dict[str, Any]:
            pool = self.plan.request_block(
                driver,
                space,
                6 if v6 else 4,
                None if v6 else length,
                tags,
                self.plugin.seconds,
            )
            return _pool_answer(pool)

        self.ask(driver, "RequestPool", pool_request("", "", options, v6, space), expect)

    @rule(
        driver=drivers, space=spaces, subnet=subnets, part=ranges, tags=tags, shared=st.booleans()
    )
    def request_a_subnet(
        self, driver: str, space: str, subnet: str, part: int, tags: str, shared: bool
    ) -> None:
        network = ip_network(subnet)
        ip_range = "" if part == 0 else str(next(network.subnets(part)))
        self.request_that_pool(driver, space, subnet, ip_range, tags, shared=shared)

    @rule(driver=drivers, number=numbers, shared=st.booleans(), is_command=st.booleans())
    def request_a_held_subnet(
        self, driver: str, number: int, shared: bool, is_command: bool
    ) -> None:
        place = _parts(self.pool(number))
        self.request_that_pool(driver, *place, "", shared=shared, is_command=is_command)

    @rule(driver=drivers, space=spaces, subnet=subnets, tags=tags)
    def repeat_a_subnet_of_a_swarm(self, driver: str, space: str, subnet: str, tags: str) -> None:
        self.request_that_pool(driver, space, subnet, "", tags, serial=True)

    def request_that_pool(
        self,
        driver: str,
        space: str,
        subnet: str,
        ip_range: str,
        tags: str,
        serial: bool = False,
        shared: bool = False,
        is_command: bool = False,
    ) -> None:
        """`is_command` says that the docker command asks: it sends an object of no options."""
        options = {"scope_filter_tags": tags} if tags else {}
        if serial:
            options |= SERIAL
        if shared:
            options["shared"] = "true"
        sent = options if options or is_command else None
        body = pool_request(subnet, ip_range, sent, ":" in subnet, space)

        def expect() -> dict[str, Any]:
            pool = self.plan.request_subnet(
                driver,
                space,
                ip_network(subnet),
                ip_network(ip_range) if ip_range else None,
                tags,
                self.plugin.seconds,
                serial,
                shared,
                sent is not None,
            )
            return _pool_answer(pool)

        self.ask(driver, "RequestPool", body, expect)

    @rule(driver=drivers, number=numbers, part=ranges, shared=st.booleans())
    def request_a_part_of_a_held_subnet(
        self, driver: str, number: int, part: int, shared: bool
    ) -> None:
        space, subnet, _ = _parts(self.pool(number))
        self.request_a_subnet(driver, space, subnet, part, "", shared)

    @rule(driver=drivers, number=numbers)
    def release_a_pool(self, driver: str, number: int) -> None:
        pool = self.pool(number)

        def expect() -> dict[str, Any]:
            self.plan.release_pool(driver, pool)
            return {}

        self.ask(driver, "ReleasePool", {"PoolID": pool}, expect)

    # Addresses

    @rule(driver=drivers, number=numbers, host=hosts, options=kinds)
    def request_an_address(
        self, driver: str, number: int, host: int | None, options: dict[str, str]
    ) -> None:
        pool = self.pool(number)
        network: Network = ip_network(_parts(pool)[1])
        address = "" if host is None else str(network.network_address + host)
        self.request_address(driver, pool, address, options)

    @rule(driver=drivers, number=numbers, other=numbers, options=kinds)
    def request_a_leased_address(
        self, driver: str, number: int, other: int, options: dict[str, str]
    ) -> None:
        pool = self.pool(number)
        self.request_address(driver, pool, self.leased(pool, other), options)

    def request_address(
        self, driver: str, pool: str, address: str, options: Mapping[str, str]
    ) -> None:
        def expect() -> dict[str, Any]:
            given = self.plan.request_address(
                driver,
                pool,
                ip_address(address) if address else None,
                "gateway" if "RequestAddressType" in options else "container",
                "com.docker.network.ipam.serial" in options,
                self.plugin.seconds,
            )
            return {"Address": given, "Data": {}}

        body = {"PoolID": pool, "Address": address, "Options": options}
        self.ask(driver, "RequestAddress", body, expect)

    @rule(driver=drivers, number=numbers, host=numbers)
    def release_an_address(self, driver: str, number: int, host: int) -> None:
        pool = self.pool(number)
        address = self.leased(pool, host)

        def expect() -> dict[str, Any]:
            self.plan.release_address(driver, pool, address, self.plugin.seconds)
            return {}

        self.ask(driver, "ReleaseAddress", {"PoolID": pool, "Address": address}, expect)

    @rule(driver=drivers, number=numbers, serial=st.booleans())
    def request_the_gateway_again(self, driver: str, number: int, serial: bool) -> None:
        pool = self.pool(number)
        leases = [x for x in self.plan.leases.values() if f"{pool}/".startswith(f"{x.subnet_id}/")]
        for lease in [x for x in leases if x.kind == "gateway"][:1]:
            options = GATEWAY | SERIAL if serial else GATEWAY
            self.request_address(driver, pool, str(lease.address), options)

    # Views

    @invariant()
    def the_views_show_what_the_model_holds(self) -> None:
        if not hasattr(self, "plugin"):
            return
        assert {
            pool["id"]: (pool["references"], pool["claimed"], pool["scope"])
            for pool in self.plugin.get("/v1/pools")
        } == {
            pool.id: (
                sum(claim.references for claim in pool.claims.values()),
                self.plan.is_claimed(pool),
                "" if pool.scope is None else str(pool.scope.network),
            )
            for pool in self.plan.pools.values()
        }
        for pool in self.plan.pools:
            assert [
                (lease["address"], lease["kind"], lease["claimed"])
                for lease in self.plugin.get(f"/v1/leases?pool={pool}")
                if not lease["held_back"]
            ] == [
                (str(lease.address), lease.kind, not self.plan.is_unclaimed(lease))
                for lease in self.plan.leases_of(pool)
            ]


def _parts(pool_id: str) -> tuple[str, str, str]:
    """Address space, subnet and ip-range of a pool."""
    space, *parts = pool_id.split("/")
    return space, "/".join(parts[:2]), "/".join(parts[2:])


def _pool_answer(pool_id: str) -> dict[str, Any]:
    return {"PoolID": pool_id, "Pool": _parts(pool_id)[1], "Data": {}}


def test_any_sequence_of_calls_and_restarts_is_answered_like_the_model() -> None:
    run_state_machine_as_test(
        Calls, settings=settings(max_examples=150, stateful_step_count=50, deadline=None)
    )
