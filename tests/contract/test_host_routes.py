"""The routes of the host, as its kernel says them: the program in a network of its own.

See "Routes of the host" in docs/architecture.md.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.dockerd import Driver, Engine
from tests.support.program import (
    ENTER_NETWORK,
    IN_OWN_NETWORK,
    Program,
    scope,
    wait_until,
)

SCOPES = (
    scope("100.64.0.0/20", 24),
    scope("2001:db8:1::/48", 64),
    scope("10.0.0.0/9", 24, tags=["large"]),
)

_PLUGIN = Path(__file__).parents[2] / "plugin"

# A seccomp filter that refuses sockets of netlink, as a sandbox may, in front of a command.
WITHOUT_NETLINK = """
import ctypes, os, platform, struct, sys
calls = {"x86_64": 41, "aarch64": 198}
code = [(0x20, 0, 0, 0), (0x15, 0, 3, calls[platform.machine()]), (0x20, 0, 0, 16),
        (0x15, 0, 1, 16), (0x06, 0, 0, 0x00050000 | 97), (0x06, 0, 0, 0x7FFF0000)]
buffer = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in code))
program = struct.pack("@HP", len(code), ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0) == 0, ctypes.get_errno()
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Host:
    """The network that the program is in, with a bridge `lan` that is up."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.ip("link", "set", "lo", "up")
        self.ip("link", "add", "lan", "type", "bridge")
        self.ip("link", "set", "lan", "up")

    def ip(self, *arguments: str, batch: str = "") -> None:
        """Run ip(8) there."""
        subprocess.run([*self._enter(), "ip", *arguments], check=True, input=batch, text=True)

    def pyipam(self, *arguments: str) -> str:
        """What the command prints there."""
        command = [*self._enter(), sys.executable, "-m", "pyipam", *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=_PLUGIN)
        return done.stdout

    def _enter(self) -> list[str]:
        assert self._program.process is not None
        return [*ENTER_NETWORK, f"--target={self._program.process.pid}", "--"]


@pytest.fixture
def host(program: Program) -> Host:
    program.write_schema(*SCOPES)
    program.start(*IN_OWN_NETWORK, PYIPAM_HOST_ROUTES="")
    return Host(program)


@pytest.fixture
def driver(program: Program, host: Host, engine_a: Engine) -> Iterator[Driver]:
    driver = program.driver(engine_a)
    driver.announce()
    yield driver
    assert driver.get("/v1/status")["routes"]["failure"] is None


def _next_block(driver: Driver, **wishes: Any) -> str:
    """The block that a network would get now."""
    pool = driver.request_pool(**wishes)
    driver.release_pool(pool)
    return pool.subnet


def test_a_route_counts_from_the_next_request_on_until_it_goes(host: Host, driver: Driver) -> None:
    assert _next_block(driver) == "100.64.0.0/24"
    host.ip("route", "add", "100.64.0.0/22", "dev", "lan")
    assert _next_block(driver) == "100.64.4.0/24"
    host.ip("route", "delete", "100.64.0.0/22")

    assert _next_block(driver) == "100.64.0.0/24"


def test_an_ipv6_route_counts_as_well(host: Host, driver: Driver) -> None:
    host.ip("address", "add", "2001:db8:1::2/64", "dev", "lan")
    assert _next_block(driver, v6=True) == "2001:db8:1:1::/64"
    host.ip("-6", "route", "add", "2001:db8:1::/63", "dev", "lan", "metric", "99")
    assert _next_block(driver, v6=True) == "2001:db8:1:2::/64"
    host.ip("-6", "route", "flush", "dev", "lan")

    assert _next_block(driver, v6=True) == "2001:db8:1::/64"


@pytest.mark.parametrize(
    "route",
    [
        "100.64.0.0/20 via 192.0.2.1",
        "100.64.0.0/20 nexthop via 192.0.2.1 nexthop via 192.0.2.9",
        "100.64.0.0/20 via inet6 fe80::1 dev lan",
        "unreachable 100.64.0.0/20",
        "blackhole 100.64.0.0/20",
        "prohibit 100.64.0.0/20",
        "throw 100.64.0.0/20",
        "local 100.64.0.0/20 dev lo",
        "default dev lan",
        "100.64.0.0/20 dev lan table 77",
        "100.64.16.0/20 dev lan",
    ],
)
def test_a_route_that_is_not_on_link_or_lies_elsewhere_keeps_nothing_away(
    route: str, host: Host, driver: Driver
) -> None:
    host.ip("address", "add", "192.0.2.2/24", "dev", "lan")
    host.ip("route", "add", *route.split())

    assert _next_block(driver) == "100.64.0.0/24"
    assert driver.get("/v1/status")["routes"]["covering"] == []


@pytest.mark.parametrize(
    "route",
    [
        "2001:db8:1::/48 via fe80::1 dev lan",
        "unreachable 2001:db8:1::/48",
        "2001:db8:1::/48 dev lo",
        "2000::/3 dev lan",
        "default dev lan",
    ],
)
def test_an_ipv6_route_that_is_not_on_link_keeps_nothing_away(
    route: str, host: Host, driver: Driver
) -> None:
    host.ip("-6", "route", "add", *route.split())

    assert _next_block(driver, v6=True) == "2001:db8:1::/64"


def test_a_route_with_one_hop_that_is_on_link_counts(host: Host, driver: Driver) -> None:
    host.ip("address", "add", "192.0.2.2/24", "dev", "lan")
    hops = "nexthop via 192.0.2.1 nexthop dev lan"
    host.ip("route", "add", "100.64.0.0/24", *hops.split())

    assert _next_block(driver) == "100.64.1.0/24"


def test_a_route_that_is_replaced_counts_as_what_it_is_now(host: Host, driver: Driver) -> None:
    host.ip("address", "add", "192.0.2.2/24", "dev", "lan")
    host.ip("route", "add", "100.64.0.0/24", "via", "192.0.2.1")
    host.ip("route", "replace", "100.64.0.0/24", "dev", "lan")
    assert _next_block(driver) == "100.64.1.0/24"
    host.ip("route", "replace", "100.64.0.0/24", "via", "192.0.2.1")

    assert _next_block(driver) == "100.64.0.0/24"


def test_routes_end_with_their_interface_being_down_or_gone(host: Host, driver: Driver) -> None:
    host.ip("route", "add", "100.64.0.0/24", "dev", "lan")
    assert _next_block(driver) == "100.64.1.0/24"
    host.ip("link", "set", "lan", "down")
    assert _next_block(driver) == "100.64.0.0/24"
    host.ip("link", "set", "lan", "up")
    host.ip("route", "add", "100.64.0.0/24", "dev", "lan")
    assert _next_block(driver) == "100.64.1.0/24"
    host.ip("link", "delete", "lan")

    assert _next_block(driver) == "100.64.0.0/24"


def test_routes_end_with_the_last_address_of_their_interface(host: Host, driver: Driver) -> None:
    host.ip("address", "add", "192.0.2.2/24", "dev", "lan")
    host.ip("route", "add", "100.64.0.0/24", "dev", "lan")
    assert _next_block(driver) == "100.64.1.0/24"
    host.ip("address", "delete", "192.0.2.2/24", "dev", "lan")

    wait_until(lambda: _next_block(driver) == "100.64.0.0/24", "the route is known to be gone")


def test_the_tables_that_a_vpn_has_every_packet_looked_up_in_count(
    host: Host, driver: Driver
) -> None:
    host.ip("route", "add", "100.64.0.7", "dev", "lan", "table", "52")
    assert _next_block(driver) == "100.64.0.0/24"
    host.ip("rule", "add", "lookup", "52", "priority", "5270")
    wait_until(lambda: _next_block(driver) == "100.64.1.0/24", "the table counts")
    host.ip("rule", "delete", "priority", "5270")

    wait_until(lambda: _next_block(driver) == "100.64.0.0/24", "the table counts no more")


def test_a_table_for_some_packets_only_does_not_count(host: Host, driver: Driver) -> None:
    host.ip("route", "add", "100.64.0.7", "dev", "lan", "table", "52")
    host.ip("rule", "add", "from", "192.0.2.0/24", "lookup", "52")
    host.ip("rule", "add", "fwmark", "0x80000/0xff0000", "lookup", "52")
    # Of an unmarked packet, all of this is true. It is known when the others are.
    host.ip("route", "add", "100.64.1.7", "dev", "lan", "table", "53")
    host.ip("rule", "add", "not", "fwmark", "0xca6c", "lookup", "53")
    covering = [{"route": "100.64.1.7/32", "interface": "lan", "scope": "100.64.0.0/20"}]
    wait_until(
        lambda: driver.get("/v1/status")["routes"]["covering"] == covering, "the rules are known"
    )

    assert _next_block(driver) == "100.64.0.0/24"


def test_routes_that_are_there_before_the_plugin_count(program: Program, engine_a: Engine) -> None:
    program.write_schema(*SCOPES)
    prepare = (
        "ip link add lan type bridge && ip link set lan up && "
        'ip route add 100.64.0.0/22 dev lan && exec "$@"'
    )
    program.start(*IN_OWN_NETWORK, "sh", "-c", prepare, "sh", PYIPAM_HOST_ROUTES="")
    driver = program.driver(engine_a)
    driver.announce()

    assert _next_block(driver) == "100.64.4.0/24"


def test_the_status_lists_the_routes_that_cover_parts_of_scopes(host: Host, driver: Driver) -> None:
    host.ip("route", "add", "100.64.0.0/10", "dev", "lan")
    host.ip("-6", "route", "add", "2001:db8:1:7::/64", "dev", "lan")

    assert driver.get("/v1/status")["routes"] == {
        "failure": None,
        "covering": [
            {"route": "100.64.0.0/10", "interface": "lan", "scope": "100.64.0.0/20"},
            {"route": "2001:db8:1:7::/64", "interface": "lan", "scope": "2001:db8:1::/48"},
        ],
    }


def test_a_refusal_names_route_and_interface(host: Host, driver: Driver) -> None:
    host.ip("route", "add", "100.64.0.0/10", "dev", "lan")

    error = driver.pool_error(options={"scope_filter_tags": "!large"})
    assert "lies on the route 100.64.0.0/10 dev lan of this host" in error


def test_a_replay_and_an_explicit_subnet_are_served_under_any_route(
    host: Host, driver: Driver
) -> None:
    pool = driver.request_pool(options={"shared": "true"})
    host.ip("route", "add", "100.64.0.0/10", "dev", "lan")

    assert driver.request_pool(pool.subnet, options={"shared": "true"}) == pool
    assert driver.request_pool("100.64.9.0/24").subnet == "100.64.9.0/24"


def test_reports_that_were_lost_are_made_up_for(host: Host, driver: Driver) -> None:
    # Far more changes at once than the kernel keeps for a process that is not asked anything.
    lines = [f"route add 10.{n >> 8}.{n & 255}.0/24 dev lan\n" for n in range(20000)]
    host.ip("-batch", "-", batch="".join(lines))

    wait_until(
        lambda: _next_block(driver, options={"scope_filter_tags": "large"}) == "10.78.32.0/24",
        "all routes are known",
    )


def test_the_kernel_reports_no_route_outside_of_the_plan(
    program: Program, host: Host, driver: Driver
) -> None:
    _next_block(driver)
    program.signal(signal.SIGSTOP)
    try:
        lines = [f"route add 198.{n >> 8}.{n & 255}.0/24 dev lan\n" for n in range(5000)]
        host.ip("-batch", "-", batch="".join(lines))
        assert _pending_reports(program) == (0, 0)
        host.ip("route", "add", "100.64.0.0/24", "dev", "lan")
        assert _pending_reports(program) > (0, 0)
    finally:
        program.signal(signal.SIGCONT)


def _pending_reports(program: Program) -> tuple[int, int]:
    """How many bytes the kernel keeps for the program to read, and how many reports were lost."""
    assert program.process is not None
    lines = Path(f"/proc/{program.process.pid}/net/netlink").read_text().splitlines()
    names = lines[0].split()
    sockets = [dict(zip(names, line.split(), strict=True)) for line in lines[1:]]
    (reports,) = [item for item in sockets if int(item["Groups"], 16)]
    return int(reports["Rmem"]), int(reports["Drops"])


def test_where_netlink_is_refused_blocks_are_given_as_if_there_were_no_routes(
    program: Program, engine_a: Engine
) -> None:
    program.write_schema(*SCOPES)
    program.start(sys.executable, "-c", WITHOUT_NETLINK, PYIPAM_HOST_ROUTES="")
    driver = program.driver(engine_a)
    driver.announce()

    assert _next_block(driver) == "100.64.0.0/24"
    status = driver.get("/v1/status")
    assert "the routes of the host cannot be read" in status["routes"]["failure"]
    (problem,) = status["problems"]
    assert (problem["about"], status["routes"]["failure"] in problem["message"]) == ("routes", True)
    assert len([line for line in program.log() if "the routes of the host cannot" in line]) == 1


def test_a_schema_is_checked_against_the_routes_of_the_host(program: Program, host: Host) -> None:
    host.ip("route", "add", "100.64.2.0/24", "dev", "lan")
    host.ip("link", "add", "br-0123456789ab", "type", "bridge")
    host.ip("link", "set", "br-0123456789ab", "up")
    host.ip("route", "add", "100.64.3.0/24", "dev", "br-0123456789ab")

    lines = host.pyipam("check", str(program.schema.resolve())).splitlines()

    assert [line.partition("warning: ")[2] for line in lines if "has a route" in line] == [
        "$.scopes[0].network: scope 100.64.0.0/20 overlaps 100.64.2.0/24, to which this host has a "
        "route (lan): on this host, no network gets a block there automatically"
    ]
